//! What `OpenFeature`'s providers are answered: flags, and why there is none.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use serde::Serialize;
use serde_json::{Map, Value as Json, json};
use utoipa::openapi::schema::{AdditionalProperties, ObjectBuilder, Schema, Type};
use utoipa::openapi::{OneOfBuilder, RefOr};
use utoipa::{PartialSchema, ToSchema};

use super::envelope::{add_headers, json_response};
use super::error::ApiError;
use crate::domain::ask::Question;
use crate::domain::bound::{Bound, MAX_QUANTITY, Quantity};
use crate::domain::decision::{Decision, Detail, Facts, Usage, decide, standing};
use crate::domain::effective::{Effective, Source};
use crate::domain::limit_key::{LimitKey, Rule};
use crate::domain::names::LimitKeyName;
use crate::domain::refusal::{Refusal, Removed};
use crate::domain::retention::earliest;
use crate::domain::time::UtcMillis;
use crate::domain::value::Value;
use crate::snapshot::KnownOrg;
use crate::wire::schema;

/// A flag: what one limit key is for one org.
#[derive(Serialize, ToSchema)]
#[schema(as = Flag)]
pub struct FlagView {
    /// The limit key.
    key: LimitKeyName,
    /// feature: whether it is on. count, quota, rate: how many. retention: days. interval: the smallest, in its unit.
    /// Without a limit it is 9007199254740991, and `metadata.unlimited` is true.
    #[schema(value_type = FlagValue)]
    value: Json,
    /// `TARGETING_MATCH`: the tier's or an override's value. `STATIC`: the default. `DISABLED`: the org is banned, and nothing is granted.
    reason: &'static str,
    /// Where the value came from: the tier's name, `override` or `default`.
    variant: String,
    /// The decision's facts: `kind`, `source`, `tier`, `unlimited`, `banned`, and as the kind has them `current`, `held`, `remaining`, `resetsAt`,
    /// `earliest`, `unit`, `per`.
    #[schema(value_type = FlagMetadata)]
    metadata: Map<String, Json>,
}

/// What a flag's value can be.
pub struct FlagValue;

impl PartialSchema for FlagValue {
    fn schema() -> RefOr<Schema> {
        let number = ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(0)).maximum(Some(MAX_QUANTITY));
        OneOfBuilder::new().item(ObjectBuilder::new().schema_type(Type::Boolean)).item(number).into()
    }
}

impl ToSchema for FlagValue {}

/// Facts that are booleans, numbers and texts.
pub struct FlagMetadata;

impl PartialSchema for FlagMetadata {
    fn schema() -> RefOr<Schema> {
        let types = [Type::Boolean, Type::Number, Type::String];
        let fact = types.into_iter().fold(OneOfBuilder::new(), |fact, kind| fact.item(ObjectBuilder::new().schema_type(kind)));
        let facts = AdditionalProperties::RefOr(RefOr::from(Schema::from(fact.build())));
        let example =
            json!({"kind": "count", "source": "tier", "tier": "free", "unlimited": false, "current": 3, "remaining": 2});
        ObjectBuilder::new().schema_type(Type::Object).additional_properties(Some(facts)).examples([example]).into()
    }
}

impl ToSchema for FlagMetadata {}

/// What is judged without a decision of its own: what stands when nothing is asked for.
fn stood(limit_key: &LimitKey, effective: Effective, usage: Option<Usage>, now: UtcMillis) -> Option<Decision> {
    usage.map(|usage| standing(limit_key, effective, Quantity::ZERO, usage, now))
}

/// Whether a feature is on, by the same judge that answers `check`.
fn is_on(limit_key: &LimitKey, effective: Effective, org: &KnownOrg, now: UtcMillis) -> bool {
    let facts = Facts { org_banned: org.banned, ..Facts::default() };
    decide(limit_key, effective, &Question::Have, &facts, now).refusal.is_none()
}

impl FlagView {
    /// What a limit key is for an org. `usage` is that of a count or a quota of the org as a whole.
    pub fn of(limit_key: &LimitKey, effective: Effective, org: &KnownOrg, usage: Option<Usage>, now: UtcMillis) -> Self {
        let granted = |bound: Bound| match bound {
            _ if org.banned => Quantity::ZERO,
            Bound::Limited(number) => number,
            Bound::Unlimited => Quantity::MAX,
        };
        let value = match effective.value {
            Value::Max(bound) | Value::Days(bound) => json!(granted(bound)),
            Value::Min(min) => json!(min),
            Value::Enabled(_) => json!(is_on(limit_key, effective, org, now)),
        };
        let reason = match effective.source {
            _ if org.banned => "DISABLED",
            Source::Override | Source::Tier => "TARGETING_MATCH",
            Source::Default => "STATIC",
        };
        let variant = match effective.source {
            Source::Tier => org.tier.to_string(),
            Source::Override | Source::Default => effective.source.to_string(),
        };
        let metadata = facts_of(limit_key, effective, org, usage, now);
        Self { key: limit_key.name.clone(), value, reason, variant, metadata }
    }

    /// The same, with the catalogue revision that the answer knows.
    #[must_use]
    pub fn at(mut self, revision: u64) -> Self {
        self.metadata.insert("revision".to_owned(), json!(revision));
        self
    }
}

fn facts_of(
    limit_key: &LimitKey,
    effective: Effective,
    org: &KnownOrg,
    usage: Option<Usage>,
    now: UtcMillis,
) -> Map<String, Json> {
    let is_unlimited = matches!(effective.value, Value::Max(Bound::Unlimited) | Value::Days(Bound::Unlimited));
    let mut facts = vec![
        ("kind", json!(limit_key.kind())),
        ("source", json!(effective.source)),
        ("tier", json!(org.tier)),
        ("banned", json!(org.banned)),
        ("unlimited", json!(is_unlimited)),
        ("per", json!(limit_key.per.as_str())),
    ];
    match &limit_key.rule {
        Rule::Interval { unit } => facts.push(("unit", json!(unit))),
        Rule::Rate { window_seconds, bucket, .. } => {
            facts.extend([("windowSeconds", json!(window_seconds)), ("bucket", json!(bucket))]);
        }
        Rule::Quota { window, .. } => facts.push(("window", json!(window))),
        Rule::Count | Rule::Retention | Rule::Feature => {}
    }
    if let Value::Days(days) = effective.value {
        facts.extend(earliest(days, now).map(|day| ("earliest", json!(day))));
    }
    if let Some(Decision { detail: Detail::Count(amounts) | Detail::Quota { amounts, .. }, .. }) =
        stood(limit_key, effective, usage, now)
    {
        facts.extend([("current", json!(amounts.current)), ("held", json!(amounts.held))]);
        facts.extend(amounts.remaining.map(|remaining| ("remaining", json!(remaining))));
    }
    if let Rule::Quota { window, .. } = &limit_key.rule {
        facts.push(("resetsAt", json!(window.span(now).end)));
    }
    facts.into_iter().map(|(name, fact)| (name.to_owned(), fact)).collect()
}

/// All flags of an org.
#[derive(Serialize, ToSchema)]
#[schema(as = Flags)]
pub struct FlagsView {
    /// One for each limit key that is not archived, by name.
    pub flags: Vec<FlagView>,
    /// What holds for all of them: `org`, `tier`, `banned`.
    #[schema(value_type = FlagMetadata)]
    pub metadata: Json,
}

/// Why there is no flag, as the protocol has it.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = EvaluationFailure)]
pub struct FailureView<'a> {
    /// The flag that was asked for, if it was one.
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<&'a str>,
    /// What programs should read.
    #[schema(value_type = FailureCode)]
    error_code: &'static str,
    /// What people should read.
    error_details: String,
}

/// The protocol's words for what went wrong.
pub struct FailureCode;

impl PartialSchema for FailureCode {
    fn schema() -> RefOr<Schema> {
        let words = ["PARSE_ERROR", "TARGETING_KEY_MISSING", "INVALID_CONTEXT", "FLAG_NOT_FOUND", "GENERAL"];
        schema::words(words, "What programs should read.").into()
    }
}

impl ToSchema for FailureCode {}

/// Why a flag was not evaluated.
pub enum Unevaluated {
    /// 400: the context does not say whose flags they are.
    TargetingKeyMissing,
    /// 400: the context is none, or its `targetingKey` is no org that the caller may ask about.
    InvalidContext(String),
    /// What any other request would be refused for.
    Refused(ApiError),
}

impl From<ApiError> for Unevaluated {
    fn from(error: ApiError) -> Self {
        // The protocol knows only flags that are not found. An org of somebody else is one that does not exist.
        if matches!(error, ApiError::NotFound("org")) {
            return Self::InvalidContext("There is no such org as the targetingKey names".to_owned());
        }
        Self::Refused(error)
    }
}

/// The protocol's word for an error of ours.
fn error_code(error: &ApiError) -> &'static str {
    match error.kind() {
        (404 | 410, _) => "FLAG_NOT_FOUND",
        (400 | 408 | 413 | 415, _) => "PARSE_ERROR",
        (_, _) => "GENERAL",
    }
}

impl Unevaluated {
    /// The answer, for a flag of this key or for all of them.
    pub fn response(&self, key: Option<&str>) -> HttpResponse {
        let (status, error_code, error_details, headers) = match self {
            Self::TargetingKeyMissing => (400, "TARGETING_KEY_MISSING", MISSING.to_owned(), Vec::new()),
            Self::InvalidContext(why) => (400, "INVALID_CONTEXT", why.clone(), Vec::new()),
            Self::Refused(error) => {
                let is_gone = matches!(error, ApiError::Refused(Refusal::Gone { what: Removed::LimitKey, .. }));
                let status = if is_gone { 404 } else { error.kind().0 };
                (status, error_code(error), error.to_string(), error.headers())
            }
        };
        let body = serde_json::to_vec(&FailureView { key, error_code, error_details }).unwrap_or_default();
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = json_response(status, body);
        add_headers(&mut response, headers);
        response
    }
}

const MISSING: &str = "The context must have a targetingKey: the org";

/// How the document shows an error of ours on these routes.
pub fn failure_example(code: &str, sentence: &str) -> Json {
    let error_code = match code {
        "not_found" | "gone" => "FLAG_NOT_FOUND",
        "invalid_body" | "request_timeout" | "payload_too_large" | "unsupported_media_type" => "PARSE_ERROR",
        _ => "GENERAL",
    };
    json!({"key": "max_creators_per_org", "errorCode": error_code, "errorDetails": sentence})
}

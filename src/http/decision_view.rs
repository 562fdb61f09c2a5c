//! A decision as it is answered.

use serde::Serialize;
use serde_json::json;
use utoipa::openapi::schema::{Discriminator, ObjectBuilder, Schema, Type};
use utoipa::openapi::{OneOfBuilder, Ref, RefOr};
use utoipa::{PartialSchema, ToSchema};

use super::document::NamedSchema;
use super::envelope::{ErrorEnvelope, null};
use super::explanation::{self, ExplanationSchema};
use super::judge::Asked;
use crate::domain::ask::Question;
use crate::domain::bound::{Bound, MAX_QUANTITY, Quantity};
use crate::domain::decision::{Amounts, Decision, Detail};
use crate::domain::effective::Source;
use crate::domain::explain::Explanation;
use crate::domain::limit_key::{Kind, LimitKey, Rule};
use crate::domain::names::{LimitKeyName, OrgId, RecordId, ResourceId, TierName};
use crate::domain::refusal::{Denial, Refusal};
use crate::domain::retention::Range;
use crate::domain::time::{Day, Moment, UtcMillis};
use crate::wire::schema;

/// A decision: what every kind has, around the figures of its own.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DecisionView<'a> {
    allowed: bool,
    decision: &'static str,
    kind: Kind,
    org: &'a OrgId,
    limit_key: &'a LimitKeyName,
    resource: Option<&'a ResourceId>,
    #[serde(flatten)]
    figures: Figures<'a>,
    tier: &'a TierName,
    source: Source,
    #[serde(skip_serializing_if = "Option::is_none")]
    resets_at: Option<Option<UtcMillis>>,
    revision: u64,
    denial: Option<Denial>,
    #[serde(skip_serializing_if = "Option::is_none")]
    explanation: Option<Box<Explanation>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    decision_id: Option<RecordId>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Figures<'a> {
    Count(CountFigures),
    Quota(QuotaFigures),
    Rate(RateFigures<'a>),
    Retention(RetentionFigures),
    Interval(IntervalFigures),
    Feature(FeatureFigures),
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct CountFigures {
    /// What is used plus what is held.
    current: Quantity,
    /// What is held by reservations.
    held: Quantity,
    /// The cap; null when unlimited.
    #[schema(required)]
    max: Option<Quantity>,
    /// Whether there is no cap.
    unlimited: bool,
    /// The amount asked for.
    requested: Quantity,
    /// What is left, never below 0; null when unlimited.
    #[schema(required)]
    remaining: Option<Quantity>,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct QuotaFigures {
    /// What is used plus what is held in this window.
    current: Quantity,
    /// What is held by reservations.
    held: Quantity,
    /// The cap; null when unlimited.
    #[schema(required)]
    max: Option<Quantity>,
    /// Whether there is no cap.
    unlimited: bool,
    /// The amount asked for.
    requested: Quantity,
    /// What is left in this window, never below 0; null when unlimited.
    #[schema(required)]
    remaining: Option<Quantity>,
    /// The window's first moment.
    window_start: UtcMillis,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct RateFigures<'a> {
    /// The window's name.
    bucket: &'a str,
    /// The most that fit in the window; null when unlimited.
    #[schema(required)]
    limit: Option<Quantity>,
    /// Whether there is no limit.
    unlimited: bool,
    /// How many more fit now; null when unlimited.
    #[schema(required)]
    remaining: Option<Quantity>,
    /// Seconds until there is room; null when there is.
    #[schema(required)]
    retry_after: Option<u64>,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct RetentionFigures {
    /// Days of history; null when unlimited.
    #[schema(required)]
    retention_days: Option<Quantity>,
    /// Whether history is kept for ever.
    unlimited: bool,
    /// The first day that may be read; null when unlimited.
    #[schema(required)]
    earliest: Option<Day>,
    /// Where the range starts.
    from: Moment,
    /// Where the range ends; today when it was not given.
    to: Moment,
    /// The part of the range that may be read, or null.
    #[schema(required)]
    permitted: Option<RangeView>,
}

/// A range of history, both ends included.
#[derive(Serialize, ToSchema)]
struct RangeView {
    /// Where it starts.
    from: Moment,
    /// Where it ends.
    to: Moment,
}

#[derive(Serialize, ToSchema)]
struct IntervalFigures {
    /// The interval asked for.
    requested: Quantity,
    /// The smallest allowed.
    min: Quantity,
    /// What applies: the larger of the two.
    effective: Quantity,
    /// Whether it is other than what was asked for.
    clamped: bool,
}

#[derive(Serialize, ToSchema)]
struct FeatureFigures {
    /// Whether the feature is in the plan.
    enabled: bool,
}

/// A decision, and what it was about.
#[derive(Clone, Copy)]
pub struct Shown<'a> {
    /// The org.
    pub org: &'a OrgId,
    /// The limit key.
    pub limit_key: &'a LimitKey,
    /// The resource.
    pub resource: Option<&'a ResourceId>,
    /// The org's tier.
    pub tier: &'a TierName,
    /// Where the value came from.
    pub source: Source,
    /// The catalogue revision that it was judged by.
    pub revision: u64,
}

impl<'a> Shown<'a> {
    /// What a question was about.
    pub fn asked(org: &'a OrgId, asked: &'a Asked<'_>, revision: u64) -> Self {
        let resource = match &asked.question {
            Question::Add { resource, .. } => resource.as_ref(),
            Question::Happen { .. } | Question::Read { .. } | Question::Clamp { .. } | Question::Have => None,
        };
        Self { org, limit_key: asked.limit_key, resource, tier: asked.org.tier, source: asked.effective.source, revision }
    }
}

impl<'a> DecisionView<'a> {
    /// The view of a decision.
    pub fn of(shown: Shown<'a>, decision: &'a Decision) -> Self {
        let Shown { org, limit_key, resource, tier, source, revision } = shown;
        let refusal = decision.refusal.as_ref();
        Self {
            allowed: refusal.is_none(),
            decision: refusal.map_or("allowed", Refusal::code),
            kind: limit_key.kind(),
            org,
            limit_key: &limit_key.name,
            resource,
            figures: figures(limit_key, decision.detail),
            tier,
            source,
            resets_at: resets_at(decision.detail),
            revision,
            denial: refusal.map(Refusal::denial),
            explanation: None,
            decision_id: None,
        }
    }

    /// The same with the id of its receipt.
    pub fn with_receipt(self, id: RecordId) -> Self {
        Self { decision_id: Some(id), ..self }
    }

    /// The same with why it is what it is.
    pub fn explained(self, explanation: Explanation) -> Self {
        Self { explanation: Some(Box::new(explanation)), ..self }
    }
}

/// When it resets, for the kinds that say so: a count never does, and says null.
const fn resets_at(detail: Detail) -> Option<Option<UtcMillis>> {
    match detail {
        Detail::Count(_) => Some(None),
        Detail::Quota { resets_at, .. } => Some(Some(resets_at)),
        Detail::Rate { resets_at, .. } => Some(resets_at),
        Detail::Retention { .. } | Detail::Interval { .. } | Detail::Feature { .. } => None,
    }
}

fn figures(limit_key: &LimitKey, detail: Detail) -> Figures<'_> {
    match detail {
        Detail::Count(Amounts { current, held, max, requested, remaining }) => {
            let unlimited = max == Bound::Unlimited;
            Figures::Count(CountFigures { current, held, max: max.limit(), unlimited, requested, remaining })
        }
        Detail::Quota { amounts: Amounts { current, held, max, requested, remaining }, window_start, .. } => {
            let (max, unlimited) = (max.limit(), max == Bound::Unlimited);
            Figures::Quota(QuotaFigures { current, held, max, unlimited, requested, remaining, window_start })
        }
        Detail::Rate { limit, remaining, retry_after, .. } => {
            let bucket = match &limit_key.rule {
                Rule::Rate { bucket, .. } => bucket.as_str(),
                Rule::Count | Rule::Quota { .. } | Rule::Retention | Rule::Interval { .. } | Rule::Feature => "",
            };
            let (limit, unlimited) = (limit.limit(), limit == Bound::Unlimited);
            Figures::Rate(RateFigures { bucket, limit, unlimited, remaining, retry_after })
        }
        Detail::Retention { retention, earliest, range: Range { from, to }, permitted } => {
            let (retention_days, unlimited) = (retention.limit(), retention == Bound::Unlimited);
            let permitted = permitted.map(|Range { from, to }| RangeView { from, to });
            Figures::Retention(RetentionFigures { retention_days, unlimited, earliest, from, to, permitted })
        }
        Detail::Interval { requested, min, effective } => {
            Figures::Interval(IntervalFigures { requested, min, effective, clamped: effective != requested })
        }
        Detail::Feature { enabled } => Figures::Feature(FeatureFigures { enabled }),
    }
}

/// The names of the six shapes, which the discriminator `kind` chooses among.
const SHAPES: [(&str, &str); 6] = [
    ("count", "CountDecision"),
    ("quota", "QuotaDecision"),
    ("rate", "RateDecision"),
    ("retention", "RetentionDecision"),
    ("interval", "IntervalDecision"),
    ("feature", "FeatureDecision"),
];

fn shape<F: PartialSchema>(kind: &str) -> RefOr<Schema> {
    let codes = ["allowed", "limit_reached", "rate_limit_exceeded", "retention_exceeded", "feature_unavailable", "org_banned"];
    let nullable = |schema: RefOr<Schema>| OneOfBuilder::new().item(null()).item(schema);
    let boolean = ObjectBuilder::new().schema_type(Type::Boolean).description(Some("Whether it may happen."));
    let mut object = ObjectBuilder::new()
        .title(Some(kind))
        .property("allowed", boolean)
        .property("decision", schema::words(codes, "`allowed`, or the refusal's code."))
        .property("kind", schema::words([kind], "The limit key's kind, which says what the other fields are."))
        .property("org", OrgId::schema())
        .property("limitKey", LimitKeyName::schema())
        .property("resource", nullable(ResourceId::schema()));
    let mut names = vec!["allowed", "decision", "kind", "org", "limitKey", "resource", "tier", "source", "revision", "denial"];
    let figures = F::schema();
    if let RefOr::T(Schema::Object(figures)) = &figures {
        for (name, property) in &figures.properties {
            object = object.property(name, property.clone());
            names.push(name);
        }
    }
    let revision = schema::number(0, MAX_QUANTITY, "The catalogue revision that the answer knows.");
    let denial = nullable(Ref::from_schema_name("Denial").into())
        .description(Some("The response for the product's own customer; null when allowed."));
    object = object.property("tier", TierName::schema()).property("source", Source::schema());
    let resets = match kind {
        "count" => Some(nullable(UtcMillis::schema()).description(Some("A count never resets: always null."))),
        "quota" => Some(nullable(UtcMillis::schema()).description(Some("The first moment of the next window."))),
        "rate" => Some(
            nullable(UtcMillis::schema())
                .description(Some("When the window has room again, or loses its oldest; null when it is empty.")),
        ),
        _ => None,
    };
    if let Some(resets) = resets {
        object = object.property("resetsAt", resets);
        names.push("resetsAt");
    }
    object = object.property("revision", revision).property("denial", denial);
    let object = object.property("explanation", explanation::property()).property("decisionId", RecordId::schema());
    names.into_iter().fold(object, ObjectBuilder::required).into()
}

impl PartialSchema for DecisionView<'_> {
    fn schema() -> RefOr<Schema> {
        let reference = |name: &str| Ref::from_schema_name(name);
        let discriminator =
            Discriminator::with_mapping("kind", SHAPES.map(|(kind, name)| (kind, format!("#/components/schemas/{name}"))));
        let one_of = SHAPES.iter().fold(OneOfBuilder::new(), |one_of, (_, name)| one_of.item(reference(name)));
        let one_of = one_of.discriminator(Some(discriminator)).examples([example()]);
        one_of.description(Some("A decision; `kind` says which figures it has.")).into()
    }
}

fn example() -> serde_json::Value {
    let meta = json!({"code": "limit_reached", "limitKey": "max_creators_per_org", "current": 5, "max": 5});
    let body = json!({"data": null, "error": "Limit reached: max_creators_per_org", "meta": meta});
    json!({
        "allowed": false, "decision": "limit_reached", "kind": "count", "org": "demo-free", "limitKey": "max_creators_per_org",
        "resource": null, "current": 5, "held": 0, "max": 5, "unlimited": false, "requested": 1, "remaining": 0,
        "tier": "free", "source": "tier", "resetsAt": null, "revision": 42, "denial": {"status": 402, "headers": {}, "body": body},
    })
}

impl ToSchema for DecisionView<'_> {
    fn name() -> std::borrow::Cow<'static, str> {
        "Decision".into()
    }

    fn schemas(schemas: &mut Vec<NamedSchema>) {
        let shapes = [
            shape::<CountFigures>("count"),
            shape::<QuotaFigures>("quota"),
            shape::<RateFigures<'_>>("rate"),
            shape::<RetentionFigures>("retention"),
            shape::<IntervalFigures>("interval"),
            shape::<FeatureFigures>("feature"),
        ];
        schemas.extend(SHAPES.iter().zip(shapes).map(|((_, name), shape)| ((*name).to_owned(), shape)));
        CountFigures::schemas(schemas);
        QuotaFigures::schemas(schemas);
        RateFigures::schemas(schemas);
        RetentionFigures::schemas(schemas);
        schemas.push(("RangeView".to_owned(), RangeView::schema()));
        schemas.push(("Denial".to_owned(), denial_schema()));
        schemas.push(("ErrorEnvelope".to_owned(), ErrorEnvelope::schema()));
        schemas.push((ExplanationSchema::name().into_owned(), ExplanationSchema::schema()));
        ExplanationSchema::schemas(schemas);
    }
}

/// The response for the product's own customer, as the document shows it.
pub struct DenialSchema;

impl ToSchema for DenialSchema {
    fn name() -> std::borrow::Cow<'static, str> {
        "Denial".into()
    }
}

impl PartialSchema for DenialSchema {
    fn schema() -> RefOr<Schema> {
        denial_schema()
    }
}

fn denial_schema() -> RefOr<Schema> {
    let text = ObjectBuilder::new().schema_type(Type::String);
    let headers = ObjectBuilder::new().additional_properties(Some(text)).description(Some("Headers to send."));
    let object = ObjectBuilder::new()
        .property("status", schema::number(401, 429, "The HTTP status to answer with."))
        .property("headers", headers)
        .property("body", Ref::from_schema_name("ErrorEnvelope"))
        .description(Some("The exact response that the product should give to its own customer."));
    ["status", "headers", "body"].into_iter().fold(object, ObjectBuilder::required).into()
}

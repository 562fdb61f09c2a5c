//! `OpenFeature`'s Remote Evaluation Protocol: an org's features and limits as flags.

use std::convert::Infallible;

use actix_web::body::BoxBody;
use actix_web::dev::Payload;
use actix_web::http::StatusCode;
use actix_web::http::header::{ETAG, IF_NONE_MATCH};
use actix_web::{FromRequest, HttpRequest, HttpResponse, Responder};
use futures_util::future::LocalBoxFuture;
use serde::Serialize;
use serde_json::{Value as Json, json};
use sha2::{Digest, Sha256};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{AdditionalProperties, ObjectBuilder, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

use super::caller::Caller;
use super::document::{Describe, Description, Doc, header};
use super::entitlements::is_counted_per_org;
use super::envelope::{add_headers, json_response};
use super::error::ApiError;
use super::extract::{Body, Demand, Fresh, Permission, Permit, Read, Scope};
use super::judge::{asked_about, visible_org};
use super::ofrep_view::{FailureView, FlagView, FlagsView, Unevaluated, failure_example};
use super::routes::OPENFEATURE;
use super::service::{App, Service};
use crate::clock;
use crate::domain::limit_key::LimitKey;
use crate::domain::masked::masked;
use crate::domain::names::{ID_PATTERN, LimitKeyName, OrgId};
use crate::domain::time::UtcMillis;
use crate::ledger::CounterRef;
use crate::snapshot::KnownOrg;
use crate::wire::schema;

/// Bytes of the hash that an entity tag shows: enough that no two states of an org meet.
const TAG_BYTES: usize = 16;

/// Whose flags are asked for, as the document shows it.
pub struct EvaluationRequest;

impl PartialSchema for EvaluationRequest {
    fn schema() -> RefOr<Schema> {
        let context = ObjectBuilder::new()
            .property("targetingKey", schema::text(ID_PATTERN, "The org.", "demo-free"))
            .required("targetingKey")
            .additional_properties(Some(AdditionalProperties::FreeForm(true)))
            .description(Some("What OpenFeature knows of the evaluation. Of its attributes only `targetingKey` is looked at."));
        ObjectBuilder::new().property("context", context).required("context").into()
    }
}

impl ToSchema for EvaluationRequest {}

/// What an evaluation needs of its request. Like every permit it is looked at before the body; what is wrong is answered in the protocol's words.
pub struct Evaluating(Result<Asked, Unevaluated>);

struct Asked {
    caller: Caller,
    demand: Demand,
    org: OrgId,
}

impl Permission for Evaluating {}

impl FromRequest for Evaluating {
    type Error = Infallible;
    type Future = LocalBoxFuture<'static, Result<Self, Infallible>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let permit = Permit::<Read>::from_request(request, payload).into_inner();
        let demand = Demand::from_request(request, payload).into_inner();
        let head = permit.and_then(|permit| Ok((permit, demand?)));
        let body = head.is_ok().then(|| Body::<Json>::from_request(request, payload));
        Box::pin(async move {
            let (permit, demand) = match head {
                Ok(head) => head,
                Err(error) => return Ok(Self(Err(Unevaluated::Refused(error)))),
            };
            let body = match body {
                Some(body) => body.await.map(|body| body.value),
                None => Err(ApiError::Internal),
            };
            let org = body.map_err(Unevaluated::Refused).and_then(|body| org_of(&body));
            Ok(Self(org.map(|org| Asked { caller: permit.caller, demand, org })))
        })
    }
}

impl Describe for Evaluating {
    fn describe(description: &mut Description<'_>) {
        description.secured(Read::NAME);
        let failure = description.reference::<FailureView<'_>>();
        description.errors_as(failure, failure_example);
        Demand::describe(description);
        description.open_body::<EvaluationRequest>();
    }
}

/// The org that a context is about.
fn org_of(body: &Json) -> Result<OrgId, Unevaluated> {
    let invalid = |why: &str| Unevaluated::InvalidContext(why.to_owned());
    let context = body.get("context").and_then(Json::as_object).ok_or_else(|| invalid("The context must be an object"))?;
    match context.get("targetingKey") {
        None | Some(Json::Null) => Err(Unevaluated::TargetingKeyMissing),
        Some(Json::String(text)) if text.is_empty() => Err(Unevaluated::TargetingKeyMissing),
        Some(Json::String(text)) => {
            OrgId::parse(text.as_str()).map_err(|wrong| Unevaluated::InvalidContext(format!("The targetingKey {}", wrong.0)))
        }
        Some(Json::Bool(_) | Json::Number(_) | Json::Array(_) | Json::Object(_)) => {
            Err(invalid("The targetingKey must be a string"))
        }
    }
}

/// The key in the path, whatever it is: one that no limit key can have is a flag that is not found.
pub struct FlagKey(String);

impl FromRequest for FlagKey {
    type Error = Infallible;
    type Future = std::future::Ready<Result<Self, Infallible>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        std::future::ready(Ok(Self(request.match_info().get("key").unwrap_or_default().to_owned())))
    }
}

impl Describe for FlagKey {
    fn describe(description: &mut Description<'_>) {
        let key = ObjectBuilder::new().schema_type(Type::String).min_length(Some(1)).description(Some("The limit key."));
        description.path_parameters(vec![key.into()]);
    }
}

/// One evaluation, or why there is none.
pub struct Evaluation(HttpResponse);

impl Responder for Evaluation {
    type Body = BoxBody;

    fn respond_to(self, _: &HttpRequest) -> HttpResponse {
        self.0
    }
}

impl Describe for Evaluation {
    fn describe(description: &mut Description<'_>) {
        let schema = description.reference::<FlagView>();
        description.success(200, schema, &[]);
    }
}

fn answered<T: Serialize>(data: &T) -> HttpResponse {
    json_response(StatusCode::OK, serde_json::to_vec(data).unwrap_or_default())
}

/// How an evaluation is documented.
pub const FLAG: Doc = Doc {
    id: "evaluateFlag",
    tag: OPENFEATURE,
    summary: "One feature or limit of an org, as a flag",
    text: "OpenFeature's Remote Evaluation Protocol, for its server providers. The flag is a limit key, `targetingKey` is the org. A feature is a boolean; a count, a quota and \
           a rate are the number allowed, a retention its days, an interval the smallest in its unit. What has no limit is 9007199254740991 with `metadata.unlimited`. \
           Nothing is consumed. A limit key that does not exist or is archived is `FLAG_NOT_FOUND`; an org that does not exist or is not the caller's is \
           `INVALID_CONTEXT`. Answers have no envelope.",
    examples: &[
        ("an org", r#"{"context":{"targetingKey":"demo-free"}}"#),
        ("with attributes, which are not looked at", r#"{"context":{"targetingKey":"demo-ultra","email":"jane@example.com"}}"#),
    ],
    errors: &["not_found"],
};

/// Evaluates one flag.
pub async fn flag(evaluating: Evaluating, key: FlagKey, service: App) -> Evaluation {
    let flag = match evaluating.0 {
        Ok(asked) => one(&service, asked, &key.0).await,
        Err(unevaluated) => Err(unevaluated),
    };
    Evaluation(match flag {
        Ok(flag) => answered(&flag),
        Err(unevaluated) => unevaluated.response(Some(&masked(&key.0))),
    })
}

async fn one(service: &Service, asked: Asked, key: &str) -> Result<FlagView, Unevaluated> {
    let (fresh, org, now) = known(service, &asked).await?;
    let name = LimitKeyName::parse(key).map_err(|_| ApiError::NotFound("limit key"))?;
    let limit_key = asked_about(&fresh, &name)?;
    let usage = match is_counted_per_org(limit_key) {
        true => {
            let counter = service.ledger.counter(CounterRef::new(&asked.org, limit_key, None, now), fresh.max_stale).await;
            Some(counter.map_err(ApiError::from)?.usage(now))
        }
        false => None,
    };
    let effective = fresh.catalogue.effective(&org, limit_key, now);
    Ok(FlagView::of(limit_key, effective, &org, usage, now).at(fresh.revision))
}

/// What is known of the org that is asked about, at this moment.
async fn known(service: &Service, asked: &Asked) -> Result<(Fresh, KnownOrg, UtcMillis), Unevaluated> {
    let fresh = asked.demand.met(service).await?;
    let now = clock::now();
    let org = visible_org(service, &fresh, &asked.caller, &asked.org, now).await?;
    Ok((fresh, org, now))
}

/// All evaluations, that they are as they were, or why there are none.
pub struct Evaluations(HttpResponse);

impl Responder for Evaluations {
    type Body = BoxBody;

    fn respond_to(self, request: &HttpRequest) -> HttpResponse {
        let Some(tag) = self.0.headers().get(ETAG) else { return self.0 };
        if !is_known(request, tag.to_str().unwrap_or_default()) {
            return self.0;
        }
        let mut unchanged = HttpResponse::with_body(StatusCode::NOT_MODIFIED, BoxBody::new(()));
        unchanged.headers_mut().insert(ETAG, tag.clone());
        unchanged
    }
}

/// Whether the caller has what this tag stands for. Providers may have lost the quotation marks or what says that it is weak.
fn is_known(request: &HttpRequest, tag: &str) -> bool {
    let bare = |text: &str| text.trim().trim_start_matches("W/").trim_matches('"').to_owned();
    let given = request.headers().get_all(IF_NONE_MATCH).filter_map(|value| value.to_str().ok());
    given.flat_map(|tags| tags.split(',')).any(|given| given.trim() == "*" || bare(given) == bare(tag))
}

impl Describe for Evaluations {
    fn describe(description: &mut Description<'_>) {
        let schema = description.reference::<FlagsView>();
        let tag = || {
            let text = "What is answered; pass it as `If-None-Match` to be told whether that has changed.";
            header("ETag", text, schema::text("^\"[0-9a-f]{32}\"$", "A hash.", "\"0123456789abcdef0123456789abcdef\""))
        };
        description.success(200, schema, &[tag()]);
        description.unchanged(&[tag()]);
        let text = "The `ETag` of an earlier answer: 304 without a body if it is still the same.";
        description.header_parameter("If-None-Match", text, ObjectBuilder::new().schema_type(Type::String));
    }
}

/// How evaluating all is documented.
pub const FLAGS: Doc = Doc {
    id: "evaluateFlags",
    tag: OPENFEATURE,
    summary: "Everything that an org has, as flags",
    text: "OpenFeature's Remote Evaluation Protocol, for its client providers: a flag for each limit key that is not archived, by name, each as the single evaluation has it \
           but without `revision`. The `ETag` stands for all that is answered, usage too. An org that does not exist or is not the caller's is `INVALID_CONTEXT`.",
    examples: &[("an org", r#"{"context":{"targetingKey":"demo-starter"}}"#)],
    errors: &[],
};

/// Evaluates all flags.
pub async fn flags(evaluating: Evaluating, service: App) -> Evaluations {
    let flags = match evaluating.0 {
        Ok(asked) => all(&service, asked).await,
        Err(unevaluated) => Err(unevaluated),
    };
    Evaluations(flags.map_or_else(|unevaluated| unevaluated.response(None), |flags| tagged(&flags)))
}

async fn all(service: &Service, asked: Asked) -> Result<FlagsView, Unevaluated> {
    let (fresh, org, now) = known(service, &asked).await?;
    let limit_keys = fresh.catalogue.active_limit_keys();
    let counted = limit_keys.iter().filter(|limit_key| is_counted_per_org(limit_key));
    let keys = counted.map(|limit_key| CounterRef::new(&asked.org, limit_key, None, now).to_owned()).collect();
    let counters = service.ledger.counters(keys, fresh.max_stale).await.map_err(ApiError::from)?;
    let mut usages = counters.into_iter().map(|counter| counter.usage(now));
    let flag = |limit_key: &LimitKey| {
        let usage = if is_counted_per_org(limit_key) { usages.next() } else { None };
        FlagView::of(limit_key, fresh.catalogue.effective(&org, limit_key, now), &org, usage, now)
    };
    let flags = limit_keys.into_iter().map(AsRef::as_ref).map(flag).collect();
    Ok(FlagsView { flags, metadata: json!({"org": asked.org, "tier": org.tier, "banned": org.banned}) })
}

fn tagged(flags: &FlagsView) -> HttpResponse {
    let body = serde_json::to_vec(flags).unwrap_or_default();
    let hash = Sha256::digest(&body);
    let tag: String = hash.iter().take(TAG_BYTES).map(|byte| format!("{byte:02x}")).collect();
    let mut response = json_response(StatusCode::OK, body);
    add_headers(&mut response, [(ETAG, format!("\"{tag}\""))]);
    response
}

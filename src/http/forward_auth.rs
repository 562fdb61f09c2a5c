//! The gate for reverse proxies, which ask before they pass a request on: nginx `auth_request`, Traefik `ForwardAuth`,
//! Envoy `ext_authz` over HTTP, HAProxy.

use std::borrow::Cow;
use std::future::{Ready, ready};

use actix_web::body::BoxBody;
use actix_web::dev::Payload;
use actix_web::http::StatusCode;
use actix_web::http::header::HeaderMap;
use actix_web::{FromRequest, HttpRequest, HttpResponse, Responder};
use deserr::Deserr;
use utoipa::IntoParams;
use utoipa::openapi::schema::{ObjectBuilder, Type};

use super::authorize::{AuthorizationView, MAX_PATH, METHOD, PATH, is_method, is_path};
use super::caller::api_key_of;
use super::decision_view::DecisionView;
use super::document::{Describe, Description, Doc, header};
use super::envelope::{DEGRADED, LIMITER, add_headers, envelope, json_response, strength, strength_meta, success_body};
use super::error::ApiError;
use super::extract::{Demand, DenyStatus, Public, Query};
use super::gate::{Gate, Verdict, Wanted};
use super::guard;
use super::routes::GATE;
use super::service::App;
use super::telling::{RECEIPT, Telling};
use crate::clock;
use crate::domain::gate::Request;
use crate::domain::issue::Issue;
use crate::domain::names::ScopeName;
use crate::domain::refusal::Refusal;
use crate::ledger::Outcome;
use crate::wire::Issues;

/// The headers in which a proxy says which request it asks about: its method and its path.
const SAID_BY_PROXIES: [[&str; 2]; 2] = [["X-Forwarded-Method", "X-Original-Method"], ["X-Forwarded-Uri", "X-Original-URI"]];
/// How a request may be refused that consumes nothing.
const REFUSALS: [&str; 6] =
    ["invalid_api_key", "org_banned", "user_banned", "gone", "insufficient_scope", "rate_limit_exceeded"];
/// A token, as methods are.
const METHOD_PATTERN: &str = "^[A-Za-z0-9!#$%&'*+.^_`|~-]+$";
/// The path under which the request's own method and path are the ones asked about.
const PREFIX: &str = "/v1/forward-auth";

/// The request of a customer that a proxy asks about.
struct Asked {
    method: String,
    path: String,
}

impl Asked {
    fn of(request: &HttpRequest) -> Result<Self, ApiError> {
        let own = request.uri().path_and_query().map_or("", |target| target.as_str());
        let rest = own.strip_prefix(PREFIX).filter(|rest| rest.starts_with('/'));
        // A slash too many in a proxy's settings must not make every request one for the root.
        if rest.is_some_and(|rest| rest == "/" || rest.starts_with("/?")) && is_said(request.headers()) {
            let message = format!("is not looked at under {PREFIX}/: ask {PREFIX} without the slash");
            return Err(ApiError::InvalidParams(vec![Issue::new("X-Forwarded-Uri", message)]));
        }
        let (method, path) = match rest {
            Some(path) => (Cow::Borrowed(request.method().as_str()), Cow::Borrowed(path)),
            None => {
                let [methods, paths] = SAID_BY_PROXIES;
                (said(request.headers(), methods)?, without_host(said(request.headers(), paths)?))
            }
        };
        let [[method_header, _], [path_header, _]] = SAID_BY_PROXIES;
        let issues = [(method_header, is_method(&method), METHOD), (path_header, is_path(&path), PATH)];
        let issues = issues.into_iter().filter(|(_, is_good, _)| !is_good);
        let issues: Vec<Issue> = issues.map(|(header, _, message)| Issue::new(header, message)).collect();
        if !issues.is_empty() {
            return Err(ApiError::InvalidParams(issues));
        }
        Ok(Self { method: method.into_owned(), path: path.into_owned() })
    }
}

/// What the headers say of which a proxy sends one. A customer can send the other: when they contradict each other, nothing is believed.
fn said<'a>(headers: &'a HeaderMap, [first, second]: [&str; 2]) -> Result<Cow<'a, str>, ApiError> {
    let fault = |message: String| Err(ApiError::InvalidParams(vec![Issue::new(first, message)]));
    let mut values = headers.get_all(first).chain(headers.get_all(second)).map(|value| value.to_str());
    match values.next() {
        None => fault(format!("or {second} is required: it says which request is asked about")),
        Some(Ok(value)) if values.all(|other| other.is_ok_and(|other| other == value)) => Ok(Cow::Borrowed(value)),
        Some(Ok(_)) => fault(format!("and {second} contradict each other, or one of them is given twice")),
        Some(Err(_)) => fault("must be printable ASCII".to_owned()),
    }
}

/// Whether a proxy says which request it asks about.
fn is_said(headers: &HeaderMap) -> bool {
    SAID_BY_PROXIES.iter().flatten().any(|name| headers.contains_key(*name))
}

/// Some proxies send a whole address.
fn without_host(uri: Cow<'_, str>) -> Cow<'_, str> {
    let Some((_, rest)) = uri.split_once("://").filter(|(scheme, _)| matches!(*scheme, "http" | "https")) else { return uri };
    match rest.find(['/', '?']) {
        Some(at) if rest.get(at..).is_some_and(|path| path.starts_with('/')) => {
            Cow::Owned(rest.get(at..).unwrap_or_default().to_owned())
        }
        Some(at) => Cow::Owned(format!("/{}", rest.get(at..).unwrap_or_default())),
        None => Cow::Borrowed("/"),
    }
}

/// What a proxy sends. It is read when it is known how a proxy is told that something is wrong with it.
pub struct Asking(HttpRequest);

impl FromRequest for Asking {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Ok(Self(request.clone())))
    }
}

impl Describe for Asking {
    fn describe(description: &mut Description<'_>) {
        let faults = ["invalid_params", "not_found", "internal_error", "unavailable"];
        faults.into_iter().for_each(|code| description.error(code));
        REFUSALS.into_iter().chain(faults).for_each(|code| description.disguised_error(DenyStatus::STATUS, code));
        let text = |(pattern, limit): (&str, usize)| {
            let text = ObjectBuilder::new().schema_type(Type::String).min_length(Some(1));
            text.max_length(Some(limit)).pattern(Some(pattern))
        };
        let [methods, paths] = SAID_BY_PROXIES;
        let of_method = (METHOD_PATTERN, 32);
        let of_path = ("^/[!-~]*$", MAX_PATH);
        for (names, what, limit) in [(methods, "method", of_method), (paths, "path, with its query or without", of_path)] {
            for name in names {
                let about = format!("The {what} of the request that is asked about.");
                description.header_parameter(name, &about, text(limit));
            }
        }
    }
}

/// How a refusal is told.
#[derive(Debug, Deserr, IntoParams)]
#[deserr(error = Issues, rename_all = camelCase, deny_unknown_fields)]
#[into_params(rename_all = "camelCase")]
pub struct ForwardQuery {
    /// For nginx, which turns every status but 2xx, 401 and 403 into a 500: a refusal comes with this status, with its own in
    /// `X-Plimsoll-Status`, its body in `X-Plimsoll-Body`, and its headers. So do a 400 about what was asked, and a 503.
    #[deserr(default)]
    #[param(inline)]
    deny_status: Option<DenyStatus>,
    /// The scope that the request needs. Without it GET and HEAD need `read`, other methods `write`.
    #[deserr(default)]
    #[param(inline)]
    required_scope: Option<ScopeName>,
}

/// How it is documented.
pub const FORWARD_AUTH: Doc = Doc {
    id: "forwardAuth",
    tag: GATE,
    summary: "The gate for reverse proxies",
    text: "Like `authorize` for nginx `auth_request`, Traefik `ForwardAuth`, Envoy `ext_authz` over HTTP and others. Every method but TRACE is answered the same. The customer's API key is taken from \
           `Authorization`; method and path from `X-Forwarded-Method` and `X-Forwarded-Uri`, or `X-Original-Method` and `X-Original-URI`: a 400 when they are missing, or contradict each \
           other. 200 lets the request pass, with `X-Plimsoll-Org` (not for a platform key), `X-Plimsoll-Key-Id` and `X-Plimsoll-Scopes` (separated by spaces) to pass on; everything else is \
           the response for the customer. Both have the `RateLimit` headers, a refusal the id of its receipt in `X-Plimsoll-Decision-Id`, and `X-Plimsoll-Degraded` when a part of the answer could not be had at full strength.\n\nIt needs no credential of the proxy: whoever reaches it can try API keys, so let only the proxy reach it.",
    examples: &[],
    errors: &[],
};

/// How it is documented where the path follows.
pub const FORWARD_AUTH_PATH: Doc = Doc {
    id: "forwardAuthPath",
    tag: GATE,
    summary: "The gate for reverse proxies that put the path behind ours",
    text: "The same for Envoy's `path_prefix`: what follows `/v1/forward-auth` is the path that is asked about, with this request's own method, whichever it is. It may hold slashes, which a client must not encode: this is for proxies, others ask `authorize`. `X-Forwarded-*` and `X-Original-*` are not looked at.",
    examples: &[],
    errors: &[],
};

/// May this request of a customer pass the proxy?
pub async fn forward_auth(
    _: Public,
    demand: Demand,
    query: Query<ForwardQuery>,
    service: App,
    asking: Asking,
) -> Result<Relayed, ApiError> {
    let is_disguised = query.0.deny_status.is_some();
    match judged(&demand, query.0, service, &asking.0).await {
        Err(error) if is_disguised => Ok(Relayed::in_disguise(&error)),
        told => told,
    }
}

/// The same with the path behind ours; its query is the customer's.
pub async fn forward_auth_path(_: Public, demand: Demand, service: App, asking: AskingBehind) -> Result<Relayed, ApiError> {
    judged(&demand, ForwardQuery { deny_status: None, required_scope: None }, service, &asking.0).await
}

/// [`Asking`] where the path follows.
pub struct AskingBehind(HttpRequest);

impl FromRequest for AskingBehind {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Ok(Self(request.clone())))
    }
}

impl Describe for AskingBehind {
    fn describe(description: &mut Description<'_>) {
        description.error("unavailable");
        let path = ObjectBuilder::new().schema_type(Type::String).min_length(Some(1)).max_length(Some(8_191));
        description.path_parameters(vec![path.into()]);
    }
}

async fn judged(demand: &Demand, query: ForwardQuery, service: App, request: &HttpRequest) -> Result<Relayed, ApiError> {
    let asked = Asked::of(request)?;
    let fresh = demand.met(&service).await?;
    let now = clock::now();
    let key = api_key_of(&service, request.headers(), now).await?;
    let customers = Request {
        key: key.as_deref().map_err(|presented| *presented),
        method: Some(&asked.method),
        path: Some(&asked.path),
        required_scope: query.required_scope.as_ref(),
    };
    let gate = Gate::open(service, &fresh, key.clone().ok(), &customers, Wanted::default(), now).await?;
    let outcome = if gate.passes().await { service.ledger.run(gate.operation()).await? } else { Outcome::Withheld };
    let telling = Telling::plain(now, (service, "forwardAuth"));
    gate.count(&outcome, &telling);
    let verdict = gate.verdict(&outcome);
    let mut headers = verdict.rate_headers(now, service.older_rate_headers);
    headers.extend(verdict.receipts(&gate, &telling).map(|id| (RECEIPT, id.to_string())));
    telling.tell();
    headers.extend(verdict.is_degraded.then(|| (DEGRADED, LIMITER.to_owned())));
    Ok(match verdict.refusal {
        Some(refusal) => {
            let refusal = guard::instead_of(refusal.clone(), &service, request);
            Relayed::refused(&refusal, headers, query.deny_status)
        }
        None => Relayed::allowed(&gate, &verdict, headers, &telling),
    })
}

/// What the proxy is told.
pub struct Relayed {
    status: u16,
    headers: Vec<(Cow<'static, str>, String)>,
    body: Vec<u8>,
}

impl Relayed {
    fn allowed(gate: &Gate, verdict: &Verdict<'_>, mut headers: Vec<(&'static str, String)>, telling: &Telling) -> Self {
        // What proxies relay is not among the headers that are relayed to customers.
        let relayed = headers.iter().filter(|(name, _)| *name != DEGRADED).cloned().collect();
        let body = success_body(&AuthorizationView::of(gate, verdict, relayed, telling), strength(verdict.is_degraded));
        headers.extend(identity(gate));
        Self { status: 200, headers: named(headers), body }
    }

    fn refused(refusal: &Refusal, mut headers: Vec<(&'static str, String)>, deny_status: Option<DenyStatus>) -> Self {
        let denial = refusal.denial();
        headers.extend(denial.headers.0);
        let body = serde_json::to_string(&denial.body).unwrap_or_default();
        let plain = Self { status: denial.status, headers: named(headers), body: body.into_bytes() };
        if deny_status.is_some() { plain.disguised() } else { plain }
    }

    /// What could not be judged, for a proxy that knows few statuses: the customer is told what it is all the same.
    fn in_disguise(error: &ApiError) -> Self {
        let headers = error.headers().into_iter().map(|(name, value)| (Cow::Owned(name), value)).collect();
        Self { status: error.kind().0, headers, body: error.body().to_string().into_bytes() }.disguised()
    }

    /// The same under the status that such a proxy knows, with what it is in headers.
    fn disguised(mut self) -> Self {
        let body = in_ascii(&String::from_utf8_lossy(&self.body));
        self.headers.extend(named(vec![("X-Plimsoll-Status", self.status.to_string()), ("X-Plimsoll-Body", body)]));
        Self { status: DenyStatus::STATUS, ..self }
    }
}

fn named(headers: Vec<(&'static str, String)>) -> Vec<(Cow<'static, str>, String)> {
    headers.into_iter().map(|(name, value)| (Cow::Borrowed(name), value)).collect()
}

/// Who it was that was let pass.
fn identity(gate: &Gate) -> Vec<(&'static str, String)> {
    let Some(key) = &gate.key else { return Vec::new() };
    let scopes: Vec<&str> = key.scopes.iter().map(ScopeName::as_str).collect();
    let org = key.org.iter().map(|org| ("X-Plimsoll-Org", org.to_string()));
    org.chain([("X-Plimsoll-Key-Id", key.id.to_string()), ("X-Plimsoll-Scopes", scopes.join(" "))]).collect()
}

/// The same JSON without a character that a header cannot hold.
fn in_ascii(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for character in json.chars() {
        if character.is_ascii() {
            text.push(character);
        } else {
            for unit in character.encode_utf16(&mut [0; 2]) {
                text.push_str(&format!("\\u{unit:04x}"));
            }
        }
    }
    text
}

impl Responder for Relayed {
    type Body = BoxBody;

    fn respond_to(self, _: &HttpRequest) -> HttpResponse {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::FORBIDDEN);
        let mut response = json_response(status, self.body);
        add_headers(&mut response, self.headers.iter().map(|(name, value)| (name.as_ref(), value.as_str())));
        response
    }
}

impl Describe for Relayed {
    fn describe(description: &mut Description<'_>) {
        description.reference::<DecisionView<'_>>();
        let schema = description.reference::<AuthorizationView<'_>>();
        let text = || ObjectBuilder::new().schema_type(Type::String);
        let headers = [
            header("X-Plimsoll-Key-Id", "The id of the API key.", text()),
            header("X-Plimsoll-Scopes", "The scopes of the API key, separated by spaces.", text()),
        ];
        description.success(200, envelope(schema, strength_meta()), &headers);
        REFUSALS.into_iter().for_each(|code| description.error(code));
    }
}

#[cfg(test)]
#[path = "forward_auth_tests.rs"]
mod tests;

//! The envelope that every response of the API has: `{"data": …, "error": …, "meta": …}`.

use actix_web::body::BoxBody;
use actix_web::http::StatusCode;
use actix_web::http::header::{CONTENT_TYPE, ETAG, HeaderName, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, Responder};
use serde::Serialize;
use serde_json::json;
use utoipa::openapi::schema::{ObjectBuilder, Schema, SchemaType, Type};
use utoipa::openapi::{RefOr, Required};
use utoipa::{PartialSchema, ToSchema};

use super::document::{Describe, Description, ERRORS, header};
use crate::domain::bound::MAX_QUANTITY;
use crate::domain::names::ScopeName;
use crate::limiter::Told;
use crate::store::Recorded;
use crate::wire::schema;

/// The content type of every enveloped response.
const JSON: HeaderValue = HeaderValue::from_static("application/json");
/// What a 429 names.
const BUCKETS: &str = "`rate_limit_exceeded`: the window, of a limit key of kind rate; or what Plimsoll limits to guard itself: `idempotency`, \
    `failedAuthentication`, `adminApi`, `eventStreams`.";
/// Room for a usual answer, so that the buffer grows once at most.
const USUAL_SIZE: usize = 640;

/// What an answer is made of.
#[derive(Serialize)]
struct Envelope<'a, T, M> {
    data: &'a T,
    error: (),
    meta: M,
}

#[derive(Serialize)]
struct RevisionMeta {
    revision: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PageMeta<'a> {
    next_cursor: Option<&'a str>,
}

/// What `meta` says of an answer of which a part could not be had at full strength.
#[derive(Serialize)]
pub(super) struct StrengthMeta {
    degraded: [&'static str; 1],
}

/// What `meta` says of an answer that sliding windows have a part in: nothing, unless a process's own stood in for the shared ones.
pub(super) fn strength(is_degraded: bool) -> Option<StrengthMeta> {
    is_degraded.then_some(StrengthMeta { degraded: [LIMITER] })
}

/// The schema of that.
pub(super) fn strength_meta() -> RefOr<Schema> {
    let parts = utoipa::openapi::ArrayBuilder::new().items(schema::words([LIMITER], "A part of the service."));
    let parts = parts.min_items(Some(1)).max_items(Some(1)).description(Some(
        "What could not be had at full strength. `limiter`: the sliding windows that all processes share were not reached in time, so those of \
         the process that answers stood in for them.",
    ));
    let types = SchemaType::Array(vec![Type::Object, Type::Null]);
    let text = "null, unless a part of the answer could not be had at full strength.";
    let meta = ObjectBuilder::new().schema_type(types).description(Some(text));
    meta.property("degraded", parts).required("degraded").into()
}

/// The header that says the same where the body is the customer's.
pub(super) const DEGRADED: &str = "X-Plimsoll-Degraded";
/// What names the sliding windows.
pub(super) const LIMITER: &str = "limiter";

/// The body of a success.
pub(super) fn success_body<T: Serialize, M: Serialize>(data: &T, meta: M) -> Vec<u8> {
    let mut body = Vec::with_capacity(USUAL_SIZE);
    match serde_json::to_writer(&mut body, &Envelope { data, error: (), meta }) {
        Ok(()) => body,
        // Our own types have string keys and finite numbers only, so there is nothing that can fail.
        Err(error) => {
            tracing::error!(%error, "an answer could not be written");
            Vec::new()
        }
    }
}

/// A response with a JSON body that is already written.
pub(super) fn json_response(status: StatusCode, body: Vec<u8>) -> HttpResponse {
    let mut response = HttpResponse::with_body(status, BoxBody::new(body));
    response.headers_mut().insert(CONTENT_TYPE, JSON);
    response
}

/// Adds headers by their names and values.
pub(super) fn add_headers<N, V>(response: &mut HttpResponse, headers: impl IntoIterator<Item = (N, V)>)
where
    HeaderName: TryFrom<N>,
    HeaderValue: TryFrom<V>,
{
    for (name, value) in headers {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            response.headers_mut().insert(name, value);
        }
    }
}

fn etag_of(revision: u64) -> String {
    format!("\"{revision}\"")
}

/// 200 with data and no meta.
pub struct Data<T>(pub T);

impl<T: Serialize> Responder for Data<T> {
    type Body = BoxBody;

    fn respond_to(self, _: &HttpRequest) -> HttpResponse {
        json_response(StatusCode::OK, success_body(&self.0, ()))
    }
}

impl<T: ToSchema> Describe for Data<T> {
    fn describe(description: &mut Description<'_>) {
        let schema = description.reference::<T>();
        description.success(200, envelope(schema, null()), &[]);
    }
}

/// 200 with data that sliding windows have a part in.
pub struct Weighed<T>(pub Told<T>);

impl<T: Serialize> Responder for Weighed<T> {
    type Body = BoxBody;

    fn respond_to(self, _: &HttpRequest) -> HttpResponse {
        let Told { what, is_degraded } = self.0;
        json_response(StatusCode::OK, success_body(&what, strength(is_degraded)))
    }
}

impl<T: ToSchema> Describe for Weighed<T> {
    fn describe(description: &mut Description<'_>) {
        let schema = description.reference::<T>();
        description.success(200, envelope(schema, strength_meta()), &[]);
    }
}

/// 200 with one resource and its `ETag`.
pub struct Resource<T> {
    /// The resource.
    pub data: T,
    /// The revision of its last change.
    pub revision: u64,
}

impl<T: Serialize> Responder for Resource<T> {
    type Body = BoxBody;

    fn respond_to(self, _: &HttpRequest) -> HttpResponse {
        let mut response = json_response(StatusCode::OK, success_body(&self.data, ()));
        add_headers(&mut response, [(ETAG, etag_of(self.revision))]);
        response
    }
}

impl<T: ToSchema> Describe for Resource<T> {
    fn describe(description: &mut Description<'_>) {
        let schema = description.reference::<T>();
        description.success(200, envelope(schema, null()), &[etag_header()]);
    }
}

/// One page of a list.
pub struct Page<T> {
    /// The items.
    pub items: Vec<T>,
    /// What to pass as `cursor` for the next page; nothing on the last.
    pub next_cursor: Option<String>,
}

impl<T: Serialize> Responder for Page<T> {
    type Body = BoxBody;

    fn respond_to(self, _: &HttpRequest) -> HttpResponse {
        let meta = PageMeta { next_cursor: self.next_cursor.as_deref() };
        json_response(StatusCode::OK, success_body(&self.items, meta))
    }
}

impl<T: ToSchema> Describe for Page<T> {
    fn describe(description: &mut Description<'_>) {
        let item = description.reference::<T>();
        let items = utoipa::openapi::ArrayBuilder::new().items(item);
        description.success(200, envelope(items.into(), page_meta()), &[]);
    }
}

fn page_meta() -> RefOr<Schema> {
    let cursor = ObjectBuilder::new()
        .schema_type(utoipa::openapi::schema::SchemaType::Array(vec![Type::String, Type::Null]))
        .description(Some("Pass it as `cursor` for the next page; null on the last page."));
    ObjectBuilder::new().property("nextCursor", cursor).required("nextCursor").into()
}

/// One answer that holds a page of a list.
pub struct Summary<T> {
    /// The answer.
    pub data: T,
    /// What to pass as `cursor` for the next page; nothing on the last.
    pub next_cursor: Option<String>,
}

impl<T: Serialize> Responder for Summary<T> {
    type Body = BoxBody;

    fn respond_to(self, _: &HttpRequest) -> HttpResponse {
        let meta = PageMeta { next_cursor: self.next_cursor.as_deref() };
        json_response(StatusCode::OK, success_body(&self.data, meta))
    }
}

impl<T: ToSchema> Describe for Summary<T> {
    fn describe(description: &mut Description<'_>) {
        let data = description.reference::<T>();
        description.success(200, envelope(data, page_meta()), &[]);
    }
}

/// The answer to an admin write: 200 or 201, with the new catalogue revision in `meta`.
/// It may be a recorded one, when the request repeats an earlier one under its idempotency key.
pub struct Change<T, F> {
    answer: Recorded,
    is_replay: bool,
    form: std::marker::PhantomData<fn() -> (T, F)>,
}

/// How an admin write is answered when it succeeds.
pub trait Form: 'static {
    /// The statuses that it can have.
    const STATUSES: &'static [u16];
    /// Whether there is a resource left that has a version.
    const IS_TAGGED: bool;
}

macro_rules! forms {
    ($($(#[$meta:meta])* $form:ident: $statuses:expr, $is_tagged:literal;)*) => {$(
        $(#[$meta])*
        pub struct $form;

        impl Form for $form {
            const STATUSES: &'static [u16] = &$statuses;
            const IS_TAGGED: bool = $is_tagged;
        }
    )*};
}

forms! {
    /// 201 when it created, 200 when it replaced.
    PutForm: [200, 201], true;
    /// 201.
    CreatedForm: [201], true;
    /// 200.
    ChangedForm: [200], true;
    /// 200, and nothing is left that has a version.
    UntaggedForm: [200], false;
}

impl<T, F> Change<T, F> {
    /// The answer as it was written, now or earlier.
    pub fn recorded(answer: Recorded, is_replay: bool) -> Self {
        Self { answer, is_replay, form: std::marker::PhantomData }
    }
}

/// Writes the answer to an admin write.
pub(super) fn change_answer<T: Serialize>(status: u16, data: &T, revision: u64, etag: Option<u64>) -> Recorded {
    let headers = etag.map(|revision| (ETAG.as_str().to_owned(), etag_of(revision)));
    Recorded { status, body: success_body(data, RevisionMeta { revision }), headers: headers.into_iter().collect() }
}

/// The response that an answer was recorded from.
pub(super) fn recorded_response(answer: Recorded, is_replay: bool) -> HttpResponse {
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = json_response(status, answer.body);
    add_headers(&mut response, answer.headers);
    if is_replay {
        add_headers(&mut response, [("idempotent-replayed", "true")]);
    }
    response
}

impl<T, F> Responder for Change<T, F> {
    type Body = BoxBody;

    fn respond_to(self, _: &HttpRequest) -> HttpResponse {
        recorded_response(self.answer, self.is_replay)
    }
}

impl<T: ToSchema, F: Form> Describe for Change<T, F> {
    fn describe(description: &mut Description<'_>) {
        let schema = description.reference::<T>();
        let text = "The catalogue revision after this change. Pass it as `Plimsoll-At-Least`.";
        let revision = schema::number(0, MAX_QUANTITY, text);
        let meta = ObjectBuilder::new().property("revision", revision).required("revision");
        let body = envelope(schema, meta.into());
        let headers = if F::IS_TAGGED { vec![etag_header()] } else { Vec::new() };
        for status in F::STATUSES {
            description.success(*status, body.clone(), &headers);
        }
    }
}

/// The answer to a `PUT`.
pub type Put<T> = Change<T, PutForm>;
/// The answer to a `POST` that created.
pub type Created<T> = Change<T, CreatedForm>;
/// The answer to any other write.
pub type Changed<T> = Change<T, ChangedForm>;
/// The answer to a write after which no resource with a version is left.
pub type Untagged<T> = Change<T, UntaggedForm>;

/// The schema of an envelope.
pub(super) fn envelope(data: RefOr<Schema>, meta: RefOr<Schema>) -> RefOr<Schema> {
    let object = ObjectBuilder::new().property("data", data).required("data");
    let object = object.property("error", null()).required("error");
    object.property("meta", meta).required("meta").into()
}

/// The schema of null.
pub(super) fn null() -> RefOr<Schema> {
    ObjectBuilder::new().schema_type(Type::Null).into()
}

fn etag_header() -> (&'static str, utoipa::openapi::Header) {
    header(
        "ETag",
        "The version of this resource; pass it as `If-Match` to change only this version.",
        schema::text("^\"[0-9]+\"$", "A version.", "\"42\""),
    )
}

/// The envelope of an error.
pub struct ErrorEnvelope;

impl PartialSchema for ErrorEnvelope {
    fn schema() -> RefOr<Schema> {
        let issue = ObjectBuilder::new()
            .property(
                "path",
                ObjectBuilder::new().schema_type(Type::String).description(Some("The JSON path or the parameter.")),
            )
            .required("path")
            .property("message", ObjectBuilder::new().schema_type(Type::String).description(Some("What is wrong there.")))
            .required("message");
        let issues = utoipa::openapi::ArrayBuilder::new()
            .items(issue)
            .description(Some("400: everything that is wrong. 409 of a catalogue: everything that cannot be deleted."));
        let meta = error_meta().property("issues", issues);
        let sentence = ObjectBuilder::new().schema_type(Type::String).description(Some("What people should read."));
        let object = ObjectBuilder::new().property("data", null()).required("data");
        let object = object.property("error", sentence).required("error").property("meta", meta).required("meta");
        let example = json!({"data": null, "error": "Not found", "meta": {"code": "not_found"}});
        object.examples([example]).into()
    }
}

impl ToSchema for ErrorEnvelope {}

/// The code, and what single codes bring with them.
fn error_meta() -> ObjectBuilder {
    let codes = ERRORS.iter().map(|(code, ..)| *code).chain(["method_not_allowed"]);
    let number = |text: &str| schema::number(0, MAX_QUANTITY, text);
    let text = |text: &str| ObjectBuilder::new().schema_type(Type::String).description(Some(text));
    let scopes = utoipa::openapi::ArrayBuilder::new().items(ScopeName::schema());
    ObjectBuilder::new()
        .property("code", schema::words(codes, "What programs should read."))
        .required("code")
        .property("limitKey", text("402: the limit key that refused."))
        .property("current", number("`limit_reached`: what is used."))
        .property("max", number("`limit_reached`: the cap."))
        .property("retentionDays", number("`retention_exceeded`: days of history."))
        .property("earliest", text("`retention_exceeded`: the first day that may be read."))
        .property("required", text("`insufficient_scope`: the scope that is missing."))
        .property("granted", scopes.description(Some("`insufficient_scope`: the scopes of the caller.")))
        .property("bucket", text(BUCKETS))
        .property("retryAfter", number("`rate_limit_exceeded` with a `bucket`: seconds to wait."))
        .property("replacement", text("`gone`: what to use instead, if there is something."))
}

/// Keeps `Required` in one place: a header or parameter either must be there or may be.
pub(super) const fn required(is_required: bool) -> Required {
    if is_required { Required::True } else { Required::False }
}

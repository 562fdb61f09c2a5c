//! The OpenAPI document, built from what the handlers take and answer: a handler's signature *is* its
//! documentation, so the two cannot disagree.

use std::collections::{BTreeMap, BTreeSet};

use actix_web::http::Method;
use serde_json::{Value as Json, json};
use utoipa::openapi::path::{Operation, OperationBuilder, ParameterBuilder, ParameterIn};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::response::ResponseBuilder;
use utoipa::openapi::schema::{AdditionalProperties, Schema};
use utoipa::openapi::{ContentBuilder, Header, Ref, RefOr, SecurityRequirement};
use utoipa::{PartialSchema, ToSchema};

use super::envelope::{ErrorEnvelope, required};
use crate::wire::schema::TEXT_PATTERN;

/// A schema and the name that it stands under.
pub type NamedSchema = (String, RefOr<Schema>);

/// What is said of an operation for people; everything else follows from its types.
pub struct Doc {
    /// The stable operation id.
    pub id: &'static str,
    /// The group that it stands in.
    pub tag: &'static str,
    /// One line.
    pub summary: &'static str,
    /// What a client's author wants to know beyond it.
    pub text: &'static str,
    /// Named request bodies that run as they are on the quick start's data.
    pub examples: &'static [(&'static str, &'static str)],
    /// Codes of errors beyond those that follow from the types.
    pub errors: &'static [&'static str],
}

/// A part of a handler's signature that documents itself.
pub trait Describe {
    /// Adds its part of the operation.
    fn describe(description: &mut Description<'_>);
}

/// An operation in the making.
pub struct Description<'a> {
    method: &'a Method,
    path: &'a str,
    doc: &'a Doc,
    operation: OperationBuilder,
    responses: BTreeMap<u16, RefOr<utoipa::openapi::response::Response>>,
    errors: BTreeSet<&'static str>,
    disguised: BTreeSet<(u16, &'static str)>,
    schemas: Vec<NamedSchema>,
    strict: Vec<String>,
    error_form: Option<ErrorForm>,
}

/// The schema of errors that have no envelope, and how an example of one is written from its code and sentence.
type ErrorForm = (RefOr<Schema>, fn(&str, &str) -> Json);

impl<'a> Description<'a> {
    /// An operation of `method` at `path`, as `doc` introduces it.
    pub fn new(method: &'a Method, path: &'a str, doc: &'a Doc) -> Self {
        let operation = OperationBuilder::new().tag(doc.tag).operation_id(Some(doc.id)).summary(Some(doc.summary));
        let operation = if doc.text.is_empty() { operation } else { operation.description(Some(doc.text)) };
        let errors = doc.errors.iter().copied().chain(["internal_error"]).collect();
        let (responses, disguised, schemas, strict) = Default::default();
        Self { method, path, doc, operation, responses, errors, disguised, schemas, strict, error_form: None }
    }

    /// Whether it may make what was not there.
    pub fn creates_or_replaces(&self) -> bool {
        self.method == Method::PUT
    }

    /// Names a schema and refers to it.
    pub fn reference<T: ToSchema>(&mut self) -> RefOr<Schema> {
        let name = T::name().into_owned();
        T::schemas(&mut self.schemas);
        self.schemas.push((name.clone(), T::schema()));
        Ref::from_schema_name(name).into()
    }

    /// A status that means success, with its body and headers.
    pub fn success(&mut self, status: u16, body: RefOr<Schema>, headers: &[(&'static str, Header)]) {
        self.success_of(status, "application/json", body, headers);
    }

    /// The same, of any content type.
    pub fn success_of(&mut self, status: u16, content: &str, body: RefOr<Schema>, headers: &[(&'static str, Header)]) {
        let text = if status == 201 { "Created" } else { "Success" };
        let mut response =
            ResponseBuilder::new().description(text).content(content, ContentBuilder::new().schema(Some(body)).build());
        for (name, header) in headers {
            response = response.header(*name, header.clone());
        }
        self.responses.insert(status, response.build().into());
    }

    /// That what was asked for before has not changed: 304 without a body.
    pub fn unchanged(&mut self, headers: &[(&'static str, Header)]) {
        let response = ResponseBuilder::new().description("Not changed");
        let response = headers.iter().fold(response, |response, (name, header)| response.header(*name, header.clone()));
        self.responses.insert(304, response.build().into());
    }

    /// Errors have this form instead of the envelope.
    pub fn errors_as(&mut self, schema: RefOr<Schema>, example: fn(&str, &str) -> Json) {
        self.error_form = Some((schema, example));
    }

    /// A code that the operation may answer with.
    pub fn error(&mut self, code: &'static str) {
        self.errors.insert(code);
    }

    /// A code that the operation may answer with under another status than its own.
    pub fn disguised_error(&mut self, status: u16, code: &'static str) {
        self.disguised.insert((status, code));
    }

    /// The scope that the caller needs.
    pub fn secured(&mut self, scope: &str) {
        self.errors.insert("insufficient_scope");
        self.secured_by(&[scope]);
    }

    /// For every caller that is known, whatever its scopes.
    pub fn secured_without_scope(&mut self) {
        self.secured_by(&[]);
    }

    fn secured_by(&mut self, scopes: &[&str]) {
        self.errors.extend([
            "invalid_api_key",
            "invalid_token",
            "org_banned",
            "user_banned",
            "rate_limit_exceeded",
            "unavailable",
            // Also of an operation that takes no query: then it has to be empty.
            "invalid_query",
        ]);
        let operation = std::mem::take(&mut self.operation);
        self.operation = operation.security(SecurityRequirement::new("bearer", scopes.iter().copied()));
    }

    /// Explicitly open to everybody.
    pub fn open(&mut self) {
        let operation = std::mem::take(&mut self.operation);
        self.operation = operation.security(SecurityRequirement::default());
    }

    /// The parameters in the path, in order.
    pub fn path_parameters(&mut self, schemas: Vec<RefOr<Schema>>) {
        self.error("invalid_params");
        let names: Vec<String> =
            self.path.split('/').filter_map(|part| Some(part.strip_prefix('{')?.strip_suffix('}')?.to_owned())).collect();
        for (name, schema) in names.into_iter().zip(schemas) {
            let example = example_of(self.method, self.path, &name).map(Json::from);
            self.parameter(
                ParameterBuilder::new()
                    .name(name)
                    .parameter_in(ParameterIn::Path)
                    .required(required(true))
                    .schema(Some(schema))
                    .example(example),
            );
        }
    }

    /// One parameter.
    pub fn parameter(&mut self, parameter: ParameterBuilder) {
        let operation = std::mem::take(&mut self.operation);
        self.operation = operation.parameter(parameter);
    }

    /// A header that a caller may send.
    pub fn header_parameter(&mut self, name: &str, text: &str, schema: impl Into<RefOr<Schema>>) {
        let parameter = ParameterBuilder::new().name(name).parameter_in(ParameterIn::Header).required(required(false));
        self.parameter(parameter.description(Some(text)).schema(Some(schema)));
    }

    /// The JSON body, with the examples of the operation.
    pub fn body<T: ToSchema>(&mut self, is_required: bool) {
        self.strict.push(T::name().into_owned());
        self.any_body::<T>(is_required);
    }

    /// The same, of a body whose other fields are nobody's business.
    pub fn open_body<T: ToSchema>(&mut self) {
        self.any_body::<T>(true);
    }

    fn any_body<T: ToSchema>(&mut self, is_required: bool) {
        self.errors.extend(["invalid_body", "payload_too_large", "unsupported_media_type", "request_timeout"]);
        let schema = self.reference::<T>();
        let mut content = ContentBuilder::new().schema(Some(schema));
        let mut examples = Vec::new();
        for (position, (name, text)) in self.doc.examples.iter().enumerate() {
            let value: Json = serde_json::from_str(text).unwrap_or_default();
            // They are shown in the order of their keys, by their summaries.
            examples.push((
                format!("{position:02}"),
                utoipa::openapi::example::ExampleBuilder::new().summary(*name).value(Some(value)).build(),
            ));
        }
        content = content.examples_from_iter(examples);
        let body = RequestBodyBuilder::new().content("application/json", content.build()).required(Some(required(is_required)));
        let operation = std::mem::take(&mut self.operation);
        self.operation = operation.request_body(Some(body.build()));
    }

    /// The operation, the schemas that it speaks of, and the names of those that are request bodies.
    pub fn finish(mut self) -> (Operation, Vec<NamedSchema>, Vec<String>) {
        let mut by_status: BTreeMap<u16, Vec<(&str, &str)>> = BTreeMap::new();
        for (code, status, sentence) in ERRORS {
            if self.errors.contains(code) {
                by_status.entry(*status).or_default().push((code, sentence));
            }
            for (other, _) in self.disguised.iter().filter(|(other, disguised)| disguised == code && other != status) {
                by_status.entry(*other).or_default().push((code, sentence));
            }
        }
        let form = match self.error_form.take() {
            Some(form) => form,
            None => (self.reference::<ErrorEnvelope>(), enveloped_example as fn(&str, &str) -> Json),
        };
        for (status, codes) in by_status {
            self.responses.insert(status, error_response(status, &codes, form.clone()).into());
        }
        let mut operation = self.operation;
        for (status, response) in self.responses {
            operation = operation.response(status.to_string(), response);
        }
        (operation.build(), self.schemas, self.strict)
    }
}

/// Every code, its status, and the sentence of its example; in the order of the contract.
pub const ERRORS: &[(&str, u16, &str)] = &[
    ("invalid_body", 400, "The request body is not valid: amount must be a whole number, not a string"),
    ("invalid_query", 400, "The query is not valid: limit must be a whole number from 1 to 100"),
    ("invalid_params", 400, "A parameter is not valid: org must be 1 to 128 characters of A-Z a-z 0-9 . _ : @ -"),
    ("invalid_api_key", 401, "Missing API key"),
    ("invalid_token", 401, "Invalid or expired token"),
    ("limit_reached", 402, "Limit reached: max_creators_per_org"),
    ("retention_exceeded", 402, "Date range exceeds history retention: stats_history_retention_days"),
    ("feature_unavailable", 402, "Feature not in plan: sso"),
    ("insufficient_scope", 403, "This action requires the 'write' scope. Granted: [read]"),
    ("org_banned", 403, "This organization is banned"),
    ("user_banned", 403, "This user is banned"),
    ("not_found", 404, "There is no such org"),
    ("request_timeout", 408, "The request took too long to arrive"),
    ("duplicate", 409, "There is a removed endpoint of this method and path already"),
    ("state_conflict", 409, "The tier has orgs"),
    ("idempotency_key_reused", 409, "This Idempotency-Key was used for another request"),
    ("idempotency_in_progress", 409, "The first request with this Idempotency-Key is still running"),
    ("gone", 410, "This limit key is archived"),
    ("precondition_failed", 412, "The resource has changed: the precondition does not hold"),
    ("payload_too_large", 413, "The request body is larger than 1048576 bytes"),
    ("unsupported_media_type", 415, "The request body must be application/json"),
    ("rate_limit_exceeded", 429, "Rate limit exceeded"),
    ("internal_error", 500, "Something went wrong here. The request id finds it in the log"),
    ("unavailable", 503, "Plimsoll cannot answer at the moment"),
];

/// An error in its envelope.
fn enveloped_example(code: &str, sentence: &str) -> Json {
    let mut meta = json!({"code": code});
    if let (Some(meta), Json::Object(details)) = (meta.as_object_mut(), details_of(code)) {
        meta.extend(details);
    }
    json!({"data": null, "error": sentence, "meta": meta})
}

fn error_response(status: u16, codes: &[(&str, &str)], (schema, example): ErrorForm) -> utoipa::openapi::response::Response {
    let names: Vec<String> = codes.iter().map(|(code, _)| format!("`{code}`")).collect();
    let examples = codes.iter().map(|(code, sentence)| {
        let value = example(code, sentence);
        (*code, utoipa::openapi::example::ExampleBuilder::new().value(Some(value)).build())
    });
    let content = ContentBuilder::new().schema(Some(schema)).examples_from_iter(examples).build();
    let response = ResponseBuilder::new().description(names.join(" or ")).content("application/json", content);
    let response = match status {
        401 => response.header("WWW-Authenticate", text_header("How to authenticate.")),
        429 | 503 => response.header("Retry-After", text_header("Seconds to wait.")),
        _ => response,
    };
    response.build()
}

/// What stands beside `meta.code` in the example of an error.
fn details_of(code: &str) -> Json {
    let issue = |path: &str, message: &str| json!({"issues": [{"path": path, "message": message}]});
    match code {
        "invalid_body" => issue("amount", "must be a whole number, not a string"),
        "invalid_query" => issue("limit", "must be a whole number from 1 to 100"),
        "invalid_params" => issue("org", "must be 1 to 128 characters of A-Z a-z 0-9 . _ : @ -"),
        "limit_reached" => json!({"limitKey": "max_creators_per_org", "current": 5, "max": 5}),
        "retention_exceeded" => {
            json!({"limitKey": "stats_history_retention_days", "retentionDays": 30, "earliest": "2026-10-23"})
        }
        "feature_unavailable" => json!({"limitKey": "sso"}),
        "insufficient_scope" => json!({"required": "write", "granted": ["read"]}),
        "gone" => json!({"replacement": "max_projects_per_org"}),
        "rate_limit_exceeded" => json!({"bucket": "v1Api", "retryAfter": 7}),
        _ => Json::Null,
    }
}

fn text_header(text: &str) -> Header {
    header("", text, utoipa::openapi::ObjectBuilder::new().schema_type(utoipa::openapi::schema::Type::String)).1
}

/// A response header.
pub(super) fn header(name: &'static str, text: &str, schema: impl Into<RefOr<Schema>>) -> (&'static str, Header) {
    let mut header = Header::new(schema);
    header.description = Some(text.to_owned());
    (name, header)
}

/// What stands in "Try it out", so that it works on the quick start's data: what is read is there, what is made or
/// deleted is something new, and nothing that other examples speak of is spoilt.
fn example_of(method: &Method, path: &str, parameter: &str) -> Option<&'static str> {
    let makes_or_deletes = method == Method::PUT || method == Method::DELETE;
    Some(match (path, parameter) {
        ("/v1/admin/tiers/{tier}", "tier") if makes_or_deletes => "pro",
        ("/v1/admin/limit-keys/{limitKey}", "limitKey") if makes_or_deletes => "max_reports",
        ("/v1/admin/orgs/{org}", "org") if makes_or_deletes => "acme",
        ("/v1/admin/limit-keys/{limitKey}/archive", "limitKey") => "max_payout_methods_per_org",
        ("/v1/admin/retention-windows/{limitKey}/{tier}", "limitKey") => "stats_history_retention_days",
        ("/v1/admin/orgs/{org}/overrides/{id}", "id") => "ovr_0192f0c1b7e07000a0000000000000aa",
        ("/v1/admin/removed-endpoints/{id}", "id") => "rem_0192f0c1b7e07000a0000000000000aa",
        ("/v1/admin/decisions/{id}", "id") => "dec_0192f0c1b7e07000a0000000000000aa",
        (_, "tier") => "free",
        (_, "limitKey") => "max_creators_per_org",
        (_, "org") => "demo-free",
        (_, "user") => "jane@example.com",
        (_, "scope") => "reports",
        (_, "key") => "max_creators_per_org",
        (_, "path") => "api/v1/creators",
        _ => return None,
    })
}

/// Says of a request body what the parser holds it to: no other fields, and no control characters in texts for people.
pub(super) fn close(schema: &mut RefOr<Schema>) {
    let RefOr::T(Schema::Object(object)) = schema else { return };
    if object.additional_properties.is_none() {
        object.additional_properties = Some(Box::new(AdditionalProperties::FreeForm(false)));
    }
    for property in object.properties.values_mut() {
        if let RefOr::T(Schema::Object(text)) = property
            && text.max_length.is_some()
            && text.pattern.is_none()
        {
            text.pattern = Some(TEXT_PATTERN.to_owned());
        }
    }
}

/// The schema of a type, for parameters, which are not referred to by name.
pub(super) fn inline<T: PartialSchema>() -> RefOr<Schema> {
    T::schema()
}

//! The OpenAPI document as a judge: an answer that it does not describe fails the test.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use jsonschema::{Draft, Validator};
use serde_json::{Map, Value, json};

use super::answer::Answer;

/// What proxies ask, where all that follows is one variable part.
const FOR_PROXIES: &str = "/v1/forward-auth";
/// What `OpenFeature`'s providers ask, where answers have no envelope.
const FOR_OPENFEATURE: &str = "/ofrep/";
/// Served, and deliberately not operations: the document itself and its page.
const UNDOCUMENTED: [&str; 3] = ["/openapi.json", "/docs", "/docs/"];
/// What every enveloped answer carries.
const EVERY: [(&str, Option<&str>); 3] =
    [("x-request-id", None), ("cache-control", Some("no-store")), ("x-content-type-options", Some("nosniff"))];

/// One documented operation.
#[derive(Clone, Debug)]
pub(crate) struct Operation {
    pub(crate) id: String,
    /// In capitals.
    pub(crate) method: String,
    /// With `{name}` for its parameters.
    pub(crate) template: String,
    /// As the document has it.
    pub(crate) value: Value,
}

/// The document of one server.
pub(crate) struct Document {
    /// All of it.
    pub(crate) value: Value,
    operations: Vec<Operation>,
    validators: Mutex<HashMap<String, Arc<Validator>>>,
}

impl Document {
    pub(crate) fn parse(text: &str) -> Self {
        let value: Value = serde_json::from_str(text).expect("a JSON document");
        let paths = value["paths"].as_object().expect("paths");
        let of_path = |(template, methods): (&String, &Value)| {
            let methods = methods.as_object().expect("methods").clone();
            let template = template.clone();
            methods.into_iter().map(move |(method, value)| Operation {
                id: value["operationId"].as_str().expect("an operation id").to_owned(),
                method: method.to_uppercase(),
                template: template.clone(),
                value,
            })
        };
        let operations = paths.iter().flat_map(of_path).collect();
        Self { value, operations, validators: Mutex::default() }
    }

    /// Every operation, in order.
    pub(crate) fn operations(&self) -> &[Operation] {
        &self.operations
    }

    /// Fails the test if the answer is not one that the document describes.
    pub(super) fn hold(&self, method: &str, path: &str, answer: &Answer) {
        let path = path.split('?').next().unwrap_or_default();
        if let Err(why) = self.judge(method, path, answer) {
            panic!("{} answers {}, which its document does not describe: {why}\n{}", answer.asked, answer.status, answer.text);
        }
    }

    fn judge(&self, method: &str, path: &str, answer: &Answer) -> Result<(), String> {
        if UNDOCUMENTED.iter().any(|known| path == *known || (known.ends_with('/') && path.starts_with(known))) {
            return Ok(());
        }
        // There every method is answered as GET is, and HEAD without a body.
        let method = match (path.starts_with(FOR_PROXIES), method) {
            (true, "HEAD") => return Ok(()),
            (true, _) => "GET",
            (false, method) => method,
        };
        // A path that is written out stands before one with a place for a name.
        let is_written_out = self.operations.iter().any(|operation| operation.template == path);
        let is_here = |operation: &&Operation| {
            if is_written_out { operation.template == path } else { matches(&operation.template, path) }
        };
        let here: Vec<&Operation> = self.operations.iter().filter(is_here).collect();
        match here.iter().find(|operation| operation.method == method) {
            Some(operation) => self.judge_operation(operation, answer),
            None => self.judge_unknown(&here, method, answer),
        }
    }

    /// No such route is 404; a route without this method is 405 and says which there are.
    fn judge_unknown(&self, here: &[&Operation], method: &str, answer: &Answer) -> Result<(), String> {
        let expected = if here.is_empty() { (404, "not_found") } else { (405, "method_not_allowed") };
        if answer.status != expected.0 {
            return Err(format!("it must be {}", expected.0));
        }
        if !here.is_empty() {
            let allowed: BTreeSet<&str> = answer.header("allow").ok_or("no Allow")?.split(", ").collect();
            let mut known: BTreeSet<&str> = here.iter().map(|operation| operation.method.as_str()).collect();
            // Whoever may get a thing may ask for its head, which the document need not say.
            if known.contains("GET") {
                known.insert("HEAD");
            }
            if allowed != known {
                return Err(format!("Allow is {allowed:?} instead of {known:?}"));
            }
        }
        if method == "HEAD" {
            return Ok(());
        }
        if answer.code() != expected.1 {
            return Err(format!("meta.code is {:?} instead of {:?}", answer.code(), expected.1));
        }
        enveloped(answer)?;
        self.valid("ErrorEnvelope", &json!({"$ref": "#/components/schemas/ErrorEnvelope"}), &answer.body)
    }

    fn judge_operation(&self, operation: &Operation, answer: &Answer) -> Result<(), String> {
        let status = answer.status.to_string();
        let response = &operation.value["responses"][&status];
        if response.is_null() {
            return Err(format!("{} has no such status", operation.id));
        }
        if response["content"].is_null() {
            judge_headers(self, operation, response, answer)?;
            return if answer.text.is_empty() { Ok(()) } else { Err(format!("{} {status} has a body", operation.id)) };
        }
        let content_type = answer.header("content-type").ok_or("no content type")?;
        let essence = content_type.split(';').next().unwrap_or_default();
        let content = &response["content"][essence];
        if content.is_null() {
            return Err(format!("{} has no content type {essence}", operation.id));
        }
        judge_headers(self, operation, response, answer)?;
        if essence != "application/json" {
            return Ok(());
        }
        let is_enveloped = !operation.template.starts_with(FOR_OPENFEATURE);
        if is_enveloped {
            enveloped(answer)?;
        }
        if is_enveloped && answer.status >= 400 && content["examples"][answer.code()].is_null() {
            return Err(format!("{} has no code {:?}", operation.id, answer.code()));
        }
        self.valid(&format!("{} {status}", operation.id), &content["schema"], &answer.body)
    }

    /// Says what of `instance` is not as `schema` has it. The name stands for the schema.
    pub(crate) fn valid(&self, name: &str, schema: &Value, instance: &Value) -> Result<(), String> {
        let validator = self.validator(name, schema);
        let errors: Vec<String> =
            validator.iter_errors(instance).map(|error| format!("{}: {error}", error.instance_path())).collect();
        if errors.is_empty() { Ok(()) } else { Err(errors.join("\n")) }
    }

    fn validator(&self, name: &str, schema: &Value) -> Arc<Validator> {
        let mut known = self.validators.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(validator) = known.get(name) {
            return Arc::clone(validator);
        }
        // The components beside the schema, so that its references resolve.
        let whole = json!({"allOf": [schema], "components": self.value["components"]});
        let built = jsonschema::options().with_draft(Draft::Draft202012).should_validate_formats(false).build(&whole);
        let validator = Arc::new(built.unwrap_or_else(|error| panic!("{name} is no schema: {error}")));
        known.insert(name.to_owned(), Arc::clone(&validator));
        validator
    }
}

/// Every header that the document names must be there and be as it says.
fn judge_headers(document: &Document, operation: &Operation, response: &Value, answer: &Answer) -> Result<(), String> {
    let named: BTreeMap<String, Value> =
        response["headers"].as_object().cloned().unwrap_or_default().into_iter().collect::<Map<_, _>>().into_iter().collect();
    for (name, header) in named {
        // What was deleted has no version.
        let is_optional = name == "ETag" && operation.method == "DELETE";
        match answer.header(&name) {
            Some(value) => document.valid(&format!("{} {name}", operation.id), &header["schema"], &json!(value))?,
            None if is_optional => {}
            None => return Err(format!("no header {name}")),
        }
    }
    Ok(())
}

/// Three fields in this order; an error is a sentence, and so is never null when the status says that there is one.
fn enveloped(answer: &Answer) -> Result<(), String> {
    for (name, expected) in EVERY {
        let found = answer.header(name).ok_or_else(|| format!("no header {name}"))?;
        if expected.is_some_and(|expected| found != expected) {
            return Err(format!("{name} is {found}"));
        }
    }
    let envelope = answer.body.as_object().ok_or("no envelope")?;
    if !envelope.keys().eq(["data", "error", "meta"]) {
        return Err("the envelope must hold data, error and meta".to_owned());
    }
    let is_error = answer.status >= 400;
    if is_error == envelope["error"].is_null() || (is_error && !envelope["data"].is_null()) {
        return Err("the envelope is neither an answer nor an error".to_owned());
    }
    Ok(())
}

fn matches(template: &str, path: &str) -> bool {
    if let Some(behind) = path.strip_prefix(FOR_PROXIES) {
        return template == FOR_PROXIES && behind.is_empty()
            || template != FOR_PROXIES && template.starts_with(FOR_PROXIES) && behind.starts_with('/');
    }
    let (mut expected, mut found) = (template.split('/'), path.split('/'));
    loop {
        match (expected.next(), found.next()) {
            (None, None) => return true,
            (Some(expected), Some(found)) if expected == found => {}
            (Some(expected), Some(found)) if expected.starts_with('{') && !found.is_empty() => {}
            _ => return false,
        }
    }
}

#[test]
fn an_answer_that_the_document_does_not_describe_is_refused() {
    let text = include_str!("../../../openapi/openapi.json");
    let document = Document::parse(text);
    let judge = |method: &str, path: &str, status: u16, headers: &[(&'static str, &'static str)], body: Value| {
        let usual = [("x-request-id", "x"), ("cache-control", "no-store"), ("x-content-type-options", "nosniff")];
        let named = usual.iter().chain(headers).map(|(name, value)| {
            (reqwest::header::HeaderName::from_static(name), reqwest::header::HeaderValue::from_static(value))
        });
        let answer = Answer::new(String::new(), status, named.collect(), body.to_string().as_bytes());
        document.judge(method, path, &answer).err().unwrap_or_default()
    };
    let is_json = ("content-type", "application/json");
    let page = |item: Value| json!({"data": [item], "error": null, "meta": {"nextCursor": null}});
    let tier = json!({"tier": "a", "name": "", "description": "", "createdAt": "2026-11-22T00:00:00Z", "updatedAt": "2026-11-22T00:00:00Z"});
    let error = |code: &str| json!({"data": null, "error": "x", "meta": {"code": code}});
    let tiers = "/v1/admin/tiers";
    let table = [
        (judge("GET", tiers, 200, &[is_json], page(tier.clone())), ""),
        (judge("GET", tiers, 200, &[is_json], page(json!({"tier": "a"}))), "required property"),
        (judge("GET", tiers, 200, &[is_json], json!({"error": null, "data": [], "meta": null})), "data, error and meta"),
        (judge("GET", tiers, 200, &[("content-type", "text/plain")], page(tier)), "no content type"),
        (judge("GET", tiers, 418, &[is_json], error("teapot")), "no such status"),
        (judge("GET", tiers, 500, &[is_json], error("teapot")), "no code"),
        (judge("GET", tiers, 500, &[is_json], error("internal_error")), ""),
        (judge("GET", tiers, 401, &[is_json], error("invalid_api_key")), "no header WWW-Authenticate"),
        (judge("GET", "/nowhere", 200, &[is_json], json!({})), "must be 404"),
        (judge("PUT", tiers, 405, &[is_json], error("method_not_allowed")), "no Allow"),
        (judge("PUT", tiers, 405, &[is_json, ("allow", "GET, POST")], error("method_not_allowed")), "Allow is"),
        (judge("PUT", tiers, 405, &[is_json, ("allow", "GET, HEAD")], error("method_not_allowed")), ""),
    ];
    for (why, expected) in table {
        assert!(why.contains(expected) && why.is_empty() == expected.is_empty(), "{why:?} instead of {expected:?}");
    }
}

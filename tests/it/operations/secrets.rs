//! Credentials in every wrong place: none is repeated in a log, an error, a metric or the audit log.

use reqwest::header::HeaderMap;
use serde_json::{Map, Value, json};

use super::set_up;
use crate::harness::{Actor, Answer, Operation, Plimsoll, Setup};
use crate::jwt::forge::{AUDIENCE, ISSUER, SECRET, SHARED, claims_with};

const BOOTSTRAP: &str = "plm_b00757a4b00757a4b00757a4b00757a4b00757a4b00757a4b00757a4b00757a4";

/// A part that shows that a secret was repeated.
fn core(secret: &str) -> &str {
    &secret[secret.len() - 24..]
}

async fn server() -> Plimsoll {
    let setup = Setup::new().variable("PLIMSOLL_LOG", "trace").variable("PLIMSOLL_JWT_SECRET", SECRET);
    let setup = setup.variable("PLIMSOLL_JWT_ISSUER", ISSUER).variable("PLIMSOLL_JWT_AUDIENCE", AUDIENCE);
    Plimsoll::on(setup.variable("PLIMSOLL_BOOTSTRAP_ADMIN_KEY", BOOTSTRAP)).await
}

/// Credentials that work, that almost work, and that nobody has.
fn planted(key: &str) -> Vec<String> {
    let token = SHARED.token(&claims_with("scope", "read write"));
    let mut forged = token.clone();
    forged.replace_range(forged.len() - 12..forged.len() - 8, "AAAA");
    let unknown = format!("plm_{}", "7c".repeat(32));
    vec![key.to_owned(), BOOTSTRAP.to_owned(), key[..67].to_owned(), key.to_uppercase(), unknown, token, forged]
}

/// The path with this in the place of every parameter.
fn path_with(operation: &Operation, text: &str) -> String {
    let segments = operation.template.split('/').map(|segment| if segment.starts_with('{') { text } else { segment });
    segments.collect::<Vec<_>>().join("/")
}

/// The names of the fields of its body.
fn fields(server: &Plimsoll, operation: &Operation) -> Vec<String> {
    let schema = &operation.value["requestBody"]["content"]["application/json"]["schema"];
    let name = schema["$ref"].as_str().and_then(|name| name.rsplit('/').next()).unwrap_or_default();
    let properties = server.document().value["components"]["schemas"][name]["properties"].as_object();
    properties.into_iter().flatten().map(|(name, _)| name.clone()).collect()
}

/// Bodies that hold it and that none of them can be stored from: each has a field that nobody knows, or is no JSON.
fn bodies(fields: &[String], secret: &str) -> Vec<String> {
    let mut all: Map<String, Value> = fields.iter().map(|name| (name.clone(), json!(secret))).collect();
    all.insert(secret.to_owned(), json!(secret));
    let nested: Map<String, Value> = fields.iter().map(|name| (name.clone(), json!({secret: secret}))).collect();
    let mut nested = Value::Object(nested);
    nested["nobody knows"] = json!([secret]);
    vec![
        Value::Object(all).to_string(),
        nested.to_string(),
        json!([secret]).to_string(),
        secret.to_owned(),
        format!("{{\"{secret}"),
    ]
}

/// What was answered, where it may not repeat anything.
fn repeated(answer: &Answer, secret: &str) -> bool {
    let in_header =
        |headers: &HeaderMap| headers.values().any(|value| value.to_str().is_ok_and(|text| text.contains(core(secret))));
    in_header(&answer.headers) || (answer.status >= 400 && answer.text.contains(core(secret)))
}

#[track_caller]
fn hold(answer: &Answer, secret: &str) {
    assert!(!repeated(answer, secret), "{} {}: {:?} {}", answer.asked, answer.status, answer.headers, answer.text);
}

async fn plant(server: &Plimsoll, actor: &Actor, operation: &Operation, secret: &str) {
    let method = operation.method.as_str();
    let (path, plain) = (path_with(operation, secret), path_with(operation, "planted"));
    let encoded = path_with(operation, &secret.replace('a', "%61"));
    hold(&actor.request(method, &encoded).bytes("application/json", "[]").send().await, secret);
    hold(
        &actor
            .request(method, &format!("{plain}?{secret}={secret}&limit={secret}&cursor={secret}"))
            .bytes("application/json", "[]")
            .send()
            .await,
        secret,
    );
    for body in bodies(&fields(server, operation), secret) {
        hold(&actor.request(method, &path).bytes("application/json", body.as_str()).send().await, secret);
    }
    let request = actor.request(method, &plain).bytes(&format!("text/{secret}"), "[]");
    let names =
        ["X-Request-Id", "Idempotency-Key", "If-Match", "If-None-Match", "Plimsoll-At-Least", "X-Api-Key", "Cookie", "Referer"];
    hold(&names.into_iter().fold(request, |request, name| request.header(name, secret)).send().await, secret);
}

#[tokio::test]
async fn a_credential_in_a_wrong_place_is_never_repeated() {
    let server = server().await;
    let admin = server.bearer(BOOTSTRAP).unjudged();
    set_up(&admin).await;
    let made = admin.create_key(&json!({"name": "planted", "org": "acme"})).await;
    let key = server.bearer(made.is(201).text_at("/data/key")).unjudged();
    let secrets = planted(key.secret());
    let actors = [server.anonymous().unjudged(), key.clone(), admin.clone()];
    // A stream answers for minutes: it is asked with each of them below.
    let operations = server.document().operations();
    for operation in operations.iter().filter(|operation| operation.id != "streamEvents") {
        for (number, secret) in secrets.iter().enumerate() {
            // Everything by the admin, whom nothing stops early; of the others each in turn.
            plant(&server, &admin, operation, secret).await;
            plant(&server, &actors[number % 2], operation, secret).await;
        }
    }
    for secret in &secrets {
        let path = format!("/v1/admin/events/stream?maxSeconds=1&after={secret}&type={secret}");
        hold(&admin.request("GET", &path).header("Last-Event-ID", secret).send().await, secret);
        let path = "/v1/admin/events/stream?maxSeconds=1";
        hold(&admin.request("GET", path).header("Last-Event-ID", secret).send().await, secret);
        for scheme in ["Basic", "Token", "bearer bearer", "plm", ""] {
            let request = server.anonymous().request("GET", "/v1/whoami");
            hold(&request.header("Authorization", format!("{scheme} {secret}").trim()).send().await, secret);
        }
        server.bearer(secret).get(&format!("/{secret}")).await.is(404);
        hold(&server.raw(format!("GET /{secret}\r\n{secret}\r\n\r\n")).await, secret);
        hold(&server.raw(format!("{secret} / {secret}\r\n\r\n")).await, secret);
    }
    let audit = admin.get("/v1/admin/audit?limit=100").await.is(200).text.clone();
    let metrics = server.anonymous().get("/metrics").await.text;
    let stopped = server.terminate();
    assert!(stopped.stderr.contains("TRACE") && stopped.stderr.contains("/v1/admin/api-keys/***"), "it says what it can");
    for (place, text) in [("log", &stopped.stderr), ("output", &stopped.stdout), ("metrics", &metrics), ("audit log", &audit)] {
        for secret in secrets.iter().map(String::as_str).chain([SECRET]) {
            let line =
                text.lines().find(|line| line.contains(core(secret)) || line.contains(&core(secret).replace('a', "%61")));
            assert_eq!(line, None, "the {place} holds {secret}");
        }
    }
}

#[tokio::test]
async fn the_password_of_a_database_is_never_repeated() {
    for url in [
        "postgres://plimsoll:hunter2@localhost/plimsoll",
        "mysql://plimsoll:hunter2@localhost/plimsoll",
        "sqlite://plimsoll:hunter2@localhost/plimsoll.db?mode=rwc",
        "sqlite://plimsoll.db?mode=rwc&password=hunter2",
        "plimsoll:hunter2@localhost",
    ] {
        let setup = || Setup::new().variable("PLIMSOLL_LOG", "trace").variable("PLIMSOLL_DATABASE_URL", url);
        let mut ended = vec![Plimsoll::refused(setup())];
        for command in [vec!["migrate"], vec!["doctor"], vec!["backup", "copy.db"], vec!["keys", "create", "--name", "x"]] {
            ended.push(Plimsoll::run(&setup(), command));
        }
        for stopped in &ended {
            assert!(!stopped.status.success());
        }
        ended.push(Plimsoll::run(&setup(), ["serve", "--help"]));
        for stopped in ended {
            assert!(!format!("{}{}", stopped.stdout, stopped.stderr).contains("hunter2"), "{url}: {}", stopped.stderr);
        }
    }
}

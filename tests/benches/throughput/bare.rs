//! The ceiling: a web server that reads a question into a struct and writes an answer of the same size, and does nothing else.

use std::process::Command;
use std::time::Duration;

use actix_web::rt::System;
use actix_web::web::{Data, Json};
use actix_web::{App, HttpResponse, HttpServer, web};
use serde::{Deserialize, Serialize};

use crate::scenario::{CHANGING, Scenario, org};
use crate::server::Server;
use crate::{Contender, Outcome};

/// About the bytes of Plimsoll's answer to an allowed check.
pub(crate) const USUAL_ANSWER: usize = 330;

/// How long a connection may be idle: as long as with Plimsoll, and longer than a round takes.
pub(crate) const KEEP_ALIVE: Duration = Duration::from_secs(75);

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Question {
    pub(crate) org: String,
    pub(crate) limit_key: String,
    pub(crate) amount: u64,
    #[serde(default)]
    pub(crate) current: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Request {
    api_key: String,
    method: String,
    path: String,
    required_scope: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Envelope<'a> {
    data: Answer<'a>,
    error: Option<&'a str>,
    meta: Option<&'a str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Answer<'a> {
    allowed: bool,
    decision: &'a str,
    kind: &'a str,
    org: &'a str,
    limit_key: &'a str,
    current: u64,
    held: u64,
    max: u64,
    requested: u64,
    remaining: u64,
    padding: &'a str,
}

/// Starts this very program as the bare server, named so in the table.
pub(crate) fn start(name: &str, answer_bytes: usize) -> Outcome<Contender> {
    start_self(name, "--bare-server", answer_bytes, &[])
}

/// Starts this very program as another server, which the others are compared with.
pub(crate) fn start_self(name: &str, option: &str, answer_bytes: usize, more: &[&str]) -> Outcome<Contender> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args([option, &answer_bytes.to_string()]).args(more);
    let server = Server::start(command)?;
    let key = crate::plimsoll::ADMIN_KEY.to_owned();
    Ok(Contender { name: name.to_owned(), server, key, more: Vec::new(), is_reference: true, notes: Vec::new() })
}

/// Serves until it is ended. As many workers as the web server takes by itself.
pub(crate) fn serve(answer_bytes: usize) -> Outcome<()> {
    let padding = Data::new(padding(answer_bytes)?);
    System::new().block_on(async move {
        let app = move || {
            let app = App::new().app_data(padding.clone());
            let app = app.route(Scenario::Authorize.path(), web::post().to(authorized));
            [Scenario::Check, Scenario::Naive].into_iter().fold(app, |app, of| app.route(of.path(), web::post().to(answered)))
        };
        let server = HttpServer::new(app).keep_alive(KEEP_ALIVE).bind(("127.0.0.1", 0))?;
        for address in server.addrs() {
            eprintln!("listening on http://{address}");
        }
        server.run().await
    })?;
    Ok(())
}

/// What fills an answer up to so many bytes.
pub(crate) fn padding(answer_bytes: usize) -> Outcome<String> {
    let limit_key = crate::plimsoll::LIMIT_KEY.to_owned();
    let question = Question { org: org(0), limit_key, amount: 1, current: 3 };
    let unpadded = serde_json::to_vec(&answer(&question, question.current, crate::plimsoll::MAX, ""))?.len();
    Ok("x".repeat(answer_bytes.saturating_sub(unpadded)))
}

async fn answered(question: Json<Question>, padding: Data<String>) -> HttpResponse {
    HttpResponse::Ok().json(answer(&question, question.current, crate::plimsoll::MAX, &padding))
}

async fn authorized(request: Json<Request>, padding: Data<String>) -> HttpResponse {
    let Request { api_key, method, path, required_scope } = request.into_inner();
    // All of it is looked at, and the org follows from the key.
    let amount = u64::from(!method.is_empty() && !path.is_empty() && !required_scope.is_empty());
    let org = format!("org-{}", api_key.get(api_key.len() - CHANGING..).unwrap_or_default());
    let question = Question { org, limit_key: crate::plimsoll::LIMIT_KEY.to_owned(), amount, current: 3 };
    HttpResponse::Ok().json(answer(&question, question.current, crate::plimsoll::MAX, &padding))
}

/// The answer to a question about an org that has `current` of `max`.
pub(crate) fn answer<'a>(question: &'a Question, current: u64, max: u64, padding: &'a str) -> Envelope<'a> {
    let Question { org, limit_key, amount, .. } = question;
    let allowed = current.saturating_add(*amount) <= max;
    let remaining = max.saturating_sub(current);
    let decision = if allowed { "allowed" } else { "limit_reached" };
    let requested = *amount;
    let data =
        Answer { allowed, decision, kind: "count", org, limit_key, current, held: 0, max, requested, remaining, padding };
    Envelope { data, error: None, meta: None }
}

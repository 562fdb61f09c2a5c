//! The ceiling: a web server that reads a question into a struct and writes an answer of the same size, and does nothing else.

use std::process::Command;

use actix_web::rt::System;
use actix_web::web::{Data, Json};
use actix_web::{App, HttpResponse, HttpServer, web};
use serde::{Deserialize, Serialize};

use crate::Outcome;
use crate::server::Server;

/// About the bytes of Plimsoll's answer to an allowed check.
pub(crate) const USUAL_ANSWER: usize = 330;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Question {
    org: String,
    limit_key: String,
    amount: u64,
    current: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Envelope<'a> {
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

/// Starts this very program as the bare server.
pub(crate) fn start(answer_bytes: usize) -> Outcome<Server> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["--bare-server", &answer_bytes.to_string()]);
    Server::start(command)
}

/// Serves until it is ended. As many workers as the web server takes by itself.
pub(crate) fn serve(answer_bytes: usize) -> Outcome<()> {
    let unpadded = serde_json::to_vec(&answer(&question(), ""))?.len();
    let padding = Data::new("x".repeat(answer_bytes.saturating_sub(unpadded)));
    System::new().block_on(async move {
        let app = move || App::new().app_data(padding.clone()).route("/v1/check", web::post().to(check));
        let server = HttpServer::new(app).bind(("127.0.0.1", 0))?;
        for address in server.addrs() {
            eprintln!("listening on http://{address}");
        }
        server.run().await
    })?;
    Ok(())
}

async fn check(question: Json<Question>, padding: Data<String>) -> HttpResponse {
    HttpResponse::Ok().json(answer(&question, &padding))
}

fn answer<'a>(question: &'a Question, padding: &'a str) -> Envelope<'a> {
    let Question { org, limit_key, amount, current } = question;
    let max = crate::plimsoll::MAX;
    let allowed = current.saturating_add(*amount) <= max;
    let remaining = max.saturating_sub(*current);
    let decision = if allowed { "allowed" } else { "limit_reached" };
    let (current, requested) = (*current, *amount);
    let data =
        Answer { allowed, decision, kind: "count", org, limit_key, current, held: 0, max, requested, remaining, padding };
    Envelope { data, error: None, meta: None }
}

/// A question as the generator asks it, to know how much an answer has to be padded.
fn question() -> Question {
    let (org, limit_key) = (crate::load::org(0), crate::plimsoll::LIMIT_KEY.to_owned());
    Question { org, limit_key, amount: 1, current: 3 }
}

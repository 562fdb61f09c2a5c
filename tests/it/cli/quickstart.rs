//! `plimsoll quickstart`: what it prints works when it is pasted.

use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::harness::{Answer, Operation, Plimsoll, Setup};

const PATIENCE: Duration = Duration::from_secs(10);

/// A printed command, taken apart: the words between spaces, single quotes around some.
fn words(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut is_quoted = false;
    for letter in line.trim().chars() {
        match letter {
            '\'' => is_quoted = !is_quoted,
            ' ' if !is_quoted => words.push(String::new()),
            letter => words.last_mut().expect("a word").push(letter),
        }
    }
    words
}

/// Runs the line in a shell, as a reader would.
fn pasted(line: &str) -> Option<Value> {
    let ran = Command::new("sh").args(["-c", &format!("unset http_proxy HTTP_PROXY; {line}")]).output().expect("a shell");
    let is_missing = ran.status.code() == Some(127);
    (!is_missing).then(|| serde_json::from_slice(&ran.stdout).unwrap_or_else(|_| panic!("{line}: {ran:?}")))
}

/// The same request, by the harness, which holds the answer to the document.
async fn asked(server: &Plimsoll, line: &str) -> Answer {
    let words = words(line);
    let url = words.iter().find(|word| word.starts_with("http://")).expect("an address");
    let path = url.strip_prefix(&server.url("")).expect("an address of this server");
    let bearer = words.iter().find_map(|word| word.strip_prefix("Authorization: Bearer ")).expect("a bearer");
    let body = words.last().expect("a body");
    server.bearer(bearer).post(path, serde_json::from_str(body).expect("JSON")).await
}

async fn started(setup: Setup) -> (Plimsoll, Vec<String>) {
    let server = Plimsoll::on(setup.serving_by("quickstart")).await;
    server.stdout.wait_for(PATIENCE, |line| line.contains("Stop with Ctrl-C").then_some(())).expect("a welcome");
    let lines = server.stdout.text().lines().map(|line| line.trim().to_owned()).collect();
    (server, lines)
}

fn after<'a>(lines: &'a [String], name: &str) -> &'a str {
    let line = lines.iter().find_map(|line| line.strip_prefix(name)).unwrap_or_else(|| panic!("no {name} in {lines:#?}"));
    line.trim().split(' ').next().expect("a word")
}

async fn both_lines_are_refused(server: &Plimsoll, lines: &[String]) {
    let curls: Vec<&String> = lines.iter().filter(|line| line.starts_with("curl ")).collect();
    assert_eq!(curls.len(), 2, "{lines:#?}");
    for (line, decision) in curls.into_iter().zip(["limit_reached", "retention_exceeded"]) {
        let answer = asked(server, line).await;
        assert_eq!(answer.is(200).data()["decision"], decision);
        assert_eq!(answer.data()["denial"]["status"], 402);
        if let Some(body) = pasted(line) {
            assert_eq!(body, answer.body, "{line}");
        }
    }
}

#[tokio::test]
async fn what_the_quick_start_prints_works_when_it_is_pasted() {
    let setup = Setup::new().without("PLIMSOLL_BOOTSTRAP_ADMIN_KEY");
    let (server, lines) = started(setup).await;
    both_lines_are_refused(&server, &lines).await;
    let page = after(&lines, "UI").strip_prefix(&server.url("")).expect("an address of this server");
    assert!(server.anonymous().get(page).await.is(200).text.contains("swagger"));
    let first_key = after(&lines, "Admin key").to_owned();
    let orgs = server.bearer(&first_key).get("/v1/admin/orgs").await;
    assert_eq!(orgs.is(200).each("org"), ["demo-free", "demo-starter", "demo-ultra"]);
    assert_eq!(orgs.each("tier"), ["free", "starter", "ultra"]);
    server.bearer(&first_key).put("/v1/admin/orgs/demo-ultra", serde_json::json!({"tier": "free"})).await.is(200);
    let stopped = server.terminate();
    assert!(stopped.status.success(), "{}", stopped.stderr);
    assert!(!stopped.stderr.contains(&first_key), "the log holds the key");

    let (server, lines) = started(stopped.setup).await;
    both_lines_are_refused(&server, &lines).await;
    let key = after(&lines, "Admin key");
    let kept = server.bearer(key).get("/v1/admin/orgs/demo-ultra").await;
    assert_eq!(kept.is(200).data()["tier"], "free", "a second start undoes nothing");
}

#[tokio::test]
async fn the_quick_start_takes_an_admin_key_from_the_settings() {
    let (server, lines) = started(Setup::new()).await;
    assert_eq!(after(&lines, "Admin key"), crate::harness::ADMIN_KEY);
    server.admin().get("/v1/admin/tiers").await.is(200);
}

#[tokio::test]
async fn the_quick_start_keeps_its_data_in_a_file_of_its_own() {
    let (server, _) = started(Setup::new().without("PLIMSOLL_DATABASE_URL")).await;
    assert!(server.folder().join("plimsoll-quickstart.db").exists());
    assert!(!server.database().exists());
}

#[tokio::test]
async fn a_smaller_plan_would_hit_somebody_of_the_quick_start() {
    let (server, _) = started(Setup::new()).await;
    let mut asked = 0;
    for operation in server.document().operations().iter().filter(|operation| operation.template.contains("/what-if/")) {
        let examples = operation.value["requestBody"]["content"]["application/json"]["examples"].as_object().expect("examples");
        let answer = server.admin().post(&operation.template, examples["00"]["value"].clone()).await;
        let hit = answer.is(200).data()["orgs"][0]["limits"][0]["excess"].as_u64();
        assert!(hit.is_some_and(|excess| excess > 0), "{}: {}", operation.id, answer.text);
        asked += 1;
    }
    assert_eq!(asked, 3);
}

/// The path of an operation with the examples of its variable parts, if each has one.
fn example_path(operation: &Operation) -> Option<String> {
    let parameters = operation.value["parameters"].as_array().cloned().unwrap_or_default();
    let in_path = parameters.iter().filter(|parameter| parameter["in"] == "path");
    in_path.into_iter().try_fold(operation.template.clone(), |path, parameter| {
        let name = parameter["name"].as_str().expect("a name");
        Some(path.replace(&format!("{{{name}}}"), parameter["example"].as_str()?))
    })
}

#[tokio::test]
async fn the_examples_of_the_document_run_as_they_are_on_the_quick_start_s_data() {
    let (server, _) = started(Setup::new()).await;
    let admin = server.admin();
    let (mut ran, mut failed) = (0, Vec::new());
    let has_body = |operation: &&Operation| operation.value["requestBody"].is_object();
    for operation in server.document().operations().iter().filter(has_body) {
        let Some(path) = example_path(operation) else { continue };
        let examples = operation.value["requestBody"]["content"]["application/json"]["examples"].as_object().expect("examples");
        // Where the path names one thing, the other examples are for things of other kinds.
        let shown = if path == operation.template { examples.len() } else { 1 };
        for (name, example) in examples.iter().take(shown) {
            let answer = admin.call(&operation.method, &path, &example["value"]).await;
            failed.extend((!(200..300).contains(&answer.status)).then(|| format!("{} {name}: {}", operation.id, answer.text)));
            ran += 1;
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
    assert!(ran > 40, "{ran}");
}

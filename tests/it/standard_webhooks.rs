//! The official library of Standard Webhooks verifies what is sent to endpoints, also while a secret is rotated.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::harness::{Actor, Plimsoll, Received, Receiver, Setup};

/// Seconds that the library may take on a busy machine.
const PATIENCE: &str = "60";

/// What the library says of messages, each with the secret that it is verified with.
fn verified(messages: &[Value]) -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let modules = root.join("target/standardwebhooks/node_modules");
    assert!(modules.is_dir(), "{} is missing, which .ci/test installs", modules.display());
    let mut command = Command::new("timeout");
    command.args([PATIENCE, "node"]).arg(root.join("tests/standardwebhooks/verify.cjs"));
    let command = command.arg(Value::from(messages).to_string()).env("NODE_PATH", modules);
    let told = command.output().expect("node, which .ci/test installs");
    assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));
    serde_json::from_slice(&told.stdout).expect("JSON")
}

fn message(secret: &str, received: &Received) -> Value {
    json!({"secret": secret, "headers": received.headers, "body": received.text})
}

async fn tested(admin: &Actor, receiver: &Receiver, webhook: &str) -> Received {
    let before = receiver.received().len();
    admin.post(&format!("/v1/admin/webhooks/{webhook}/test"), json!({})).await.is(200);
    receiver.wait_for(before + 1).await[before].clone()
}

#[tokio::test]
async fn the_library_verifies_what_is_sent_also_while_a_secret_is_rotated() {
    let receiver = Receiver::start().await;
    let server = Plimsoll::on(Setup::new().variable("PLIMSOLL_WEBHOOK_ALLOW_PRIVATE", "127.0.0.1")).await;
    let admin = server.admin();
    let made = admin.post("/v1/admin/webhooks", json!({"url": receiver.url("/")})).await;
    let (id, old) = (made.is(201).text_at("/data/id").to_owned(), made.text_at("/data/secret").to_owned());
    let before = tested(&admin, &receiver, &id).await;
    let rotate = async |overlap: u64| {
        let rotated = admin.post(&format!("/v1/admin/webhooks/{id}/rotate-secret"), json!({"overlapSeconds": overlap})).await;
        rotated.is(201).text_at("/data/secret").to_owned()
    };
    let new = rotate(3600).await;
    let meanwhile = tested(&admin, &receiver, &id).await;
    let last = rotate(0).await;
    let after = tested(&admin, &receiver, &id).await;
    let mut forged = before.clone();
    forged.text = forged.text.replace("webhook.tested", "webhook.forged");
    let judged = verified(&[
        message(&old, &before),
        message(&old, &meanwhile),
        message(&new, &meanwhile),
        message(&last, &after),
        message(&old, &after),
        message(&new, &after),
        message(&new, &before),
        message(&old, &forged),
    ]);
    let (good, bad) = judged.split_at(4);
    assert!(good.iter().all(|kind| kind == "webhook.tested"), "{judged:?}");
    assert!(bad.iter().all(|why| why == "refused: No matching signature found"), "{judged:?}");
}

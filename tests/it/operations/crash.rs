//! SIGKILL: whatever was acknowledged is there on the next start.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::json;

use super::set_up;
use crate::harness::{Plimsoll, Setup};

const CALLERS: usize = 6;
/// So many answers come before the crash, and more are on their way.
const ACKNOWLEDGED: usize = 60;
const PATIENCE: Duration = Duration::from_secs(10);

/// Puts one org after the other until the server is gone, and notes those that were acknowledged.
async fn put_orgs(
    client: reqwest::Client,
    url: String,
    caller: usize,
    noted: Arc<Mutex<Vec<String>>>,
    count: Arc<AtomicUsize>,
) {
    for number in 0.. {
        let org = format!("org-{caller}-{number}");
        let request = client.put(format!("{url}/v1/admin/orgs/{org}")).bearer_auth(crate::harness::ADMIN_KEY);
        let sent = request.header("Content-Type", "application/json").body(json!({"tier": "free"}).to_string()).send().await;
        match sent {
            Ok(answer) if answer.status() == 201 => noted.lock().expect("no panic").push(org),
            Ok(answer) => panic!("{org}: {}", answer.status()),
            Err(_) => return,
        }
        count.fetch_add(1, Ordering::SeqCst);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_acknowledged_before_a_crash_is_there_after_it() {
    let mut server = Plimsoll::start().await;
    set_up(&server.admin()).await;
    let reader = server.key(&["read"], None).await.secret().to_owned();
    let noted = Arc::new(Mutex::new(Vec::new()));
    for round in 0..3 {
        let client = reqwest::Client::builder().no_proxy().build().expect("a client");
        let count = Arc::new(AtomicUsize::new(0));
        let put = |caller: usize| {
            put_orgs(client.clone(), server.url(""), round * 100 + caller, Arc::clone(&noted), Arc::clone(&count))
        };
        let callers: Vec<_> = (0..CALLERS).map(|caller| tokio::spawn(put(caller))).collect();
        let enough = async {
            while count.load(Ordering::SeqCst) < ACKNOWLEDGED {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, enough).await.expect("so many answers in time");
        let killed = server.kill();
        assert_eq!(killed.status.code(), None, "it was to be killed");
        for caller in callers {
            caller.await.expect("no other answer than 201");
        }
        server = Plimsoll::on(Setup::clone(&killed.setup)).await;
        let asker = server.bearer(&reader);
        let acknowledged = noted.lock().expect("no panic").clone();
        for org in acknowledged {
            asker.get(&format!("/v1/orgs/{org}/entitlements")).await.is(200);
        }
        let audit = server.admin().get("/v1/admin/audit?limit=1").await;
        assert_eq!(audit.is(200).items().len(), 1);
    }
    assert_eq!(server.terminate().status.code(), Some(0));
}

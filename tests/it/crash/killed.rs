//! `kill -9` at random moments under load, again and again, on the same data.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::timeout;

use super::load::{Book, Crew, KEYED, Servers, UNKEYED, Until, assert_bounds, assert_exact};
use super::random::Random;
use super::release::{assert_content, release_binary};
use super::set_up;
use crate::harness::{Plimsoll, Setup};

const ROUNDS: u64 = 30;
const CALLERS: usize = 32;
/// Some of the counters are full long before the last round.
const MAX: u64 = 1_500;
const PATIENCE: Duration = Duration::from_secs(30);
const READY_WITHIN: Duration = Duration::from_secs(2);

/// Lets the callers run until a random number of answers has come, and kills the server under them.
async fn killed_under_load(server: Plimsoll, round: u64, random: &mut Random, book: &Arc<Mutex<Book>>) -> Setup {
    let crew = Crew::on(Servers::at([server.url("")]), book, Until::Gone);
    let callers = crew.start(CALLERS, &round.to_string(), random);
    let wanted = u32::try_from(random.below(600)).expect("a small number");
    let enough = timeout(PATIENCE, crew.answers.acquire_many(wanted)).await.expect("so many answers in time");
    drop(enough);
    let killed = server.kill();
    assert_eq!(killed.status.code(), None, "it was to be killed");
    for caller in callers {
        caller.await.expect("no answer that is neither a grant nor a refusal");
    }
    killed.setup.clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn usage_is_what_was_granted_after_thirty_crashes_under_load() {
    let mut random = Random::new();
    let program = release_binary();
    let setup = Setup::new().program(program.clone());
    let mut server = Plimsoll::on(setup).await;
    set_up(&server.admin(), MAX, [KEYED.as_slice(), &UNKEYED].concat()).await;
    let book = Arc::new(Mutex::new(Book::default()));
    let mut lost = 0;
    for round in 0..ROUNDS {
        let setup = killed_under_load(server, round, &mut random, &book).await;
        assert_content(&program, &setup.database());
        server = Plimsoll::on(setup).await;
        server.anonymous().get("/readyz").await.is(200);
        assert!(server.started_in < READY_WITHIN, "it took {:?} to be ready", server.started_in);
        assert_bounds(&server.admin(), &book, MAX).await;
        lost += assert_exact(&server, &book).await;
    }
    assert_eq!(server.terminate().status.code(), Some(0));
    let book = book.lock().expect("no panic");
    eprintln!("{} granted, {} refused, {lost} answers lost", book.granted, book.refused);
    assert!(lost >= 30 && book.granted > 1_000, "this was no load: {lost} answers lost");
    assert!(book.refused > 0, "no counter was ever full");
}

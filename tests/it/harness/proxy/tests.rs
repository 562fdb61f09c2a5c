//! The proxy does to real clients of a real PostgreSQL what it says.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::super::postgres::{Postgres, until};
use super::messages::is_commit;
use super::{Fate, Proxy};

/// A client whose input stays open, and what it says.
struct Psql {
    child: Child,
    output: super::super::output::Output,
    errors: super::super::output::Output,
}

impl Psql {
    fn through(postgres: &Postgres, proxy: &Proxy) -> Self {
        let mut command = postgres.psql();
        command.args(["-X", "-q", "-A", "-t", &postgres.url_through(proxy.address())]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("psql");
        let output = super::super::output::Output::of(child.stdout.take().expect("a pipe"));
        let errors = super::super::output::Output::of(child.stderr.take().expect("a pipe"));
        Self { child, output, errors }
    }

    fn send(&mut self, statements: &str) {
        writeln!(self.child.stdin.as_mut().expect("a pipe"), "{statements}").expect("psql reads");
    }

    fn says(&self, text: &str) -> bool {
        self.output.wait_for(Duration::from_secs(30), |line| (line == text).then_some(())).is_some()
    }

    fn complains(&self, text: &str) -> bool {
        self.errors.wait_for(Duration::from_secs(30), |line| line.contains(text).then_some(())).is_some()
    }
}

impl Drop for Psql {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn table(postgres: &Postgres) {
    postgres.sql("CREATE TABLE t (n int); ALTER TABLE t OWNER TO plimsoll");
}

fn rows(postgres: &Postgres) -> i64 {
    postgres.number("SELECT count(*) FROM t")
}

#[test]
fn a_delay_holds_every_answer_back_until_it_is_taken_away() {
    let postgres = Postgres::start();
    let proxy = Proxy::to(postgres.address());
    let mut client = Psql::through(&postgres, &proxy);
    client.send("SELECT 'one';");
    assert!(client.says("one"));
    proxy.delay(Duration::from_secs(1));
    let begun = Instant::now();
    client.send("SELECT 'two';");
    assert!(client.says("two") && begun.elapsed() >= Duration::from_secs(2), "one way and back: {:?}", begun.elapsed());
    proxy.delay(Duration::ZERO);
    let begun = Instant::now();
    client.send("SELECT 'three';");
    assert!(client.says("three") && begun.elapsed() < Duration::from_secs(2));
}

#[test]
fn nothing_comes_through_a_silence_not_even_an_end() {
    let postgres = Postgres::start();
    let proxy = Proxy::to(postgres.address());
    let (mut one, mut another) = (Psql::through(&postgres, &proxy), Psql::through(&postgres, &proxy));
    one.send("SELECT 'before';");
    another.send("SELECT 'before';");
    assert!(one.says("before") && another.says("before"));
    proxy.silence(true);
    one.send("SELECT 'after';");
    drop(another);
    let knocking = Psql::through(&postgres, &proxy);
    until("it is let in", || proxy.connections() == 3);
    assert_eq!(postgres.connections(), 2, "the server does not know that one has gone");
    assert!(!one.output.text().contains("after"));
    proxy.silence(false);
    assert!(one.says("after"));
    until("the server knows", || postgres.connections() == 2 && proxy.connections() == 2);
    drop(knocking);
}

#[test]
fn what_is_abandoned_hears_no_more_and_what_comes_after_it_does() {
    let postgres = Postgres::start();
    let proxy = Proxy::to(postgres.address());
    let mut one = Psql::through(&postgres, &proxy);
    one.send("SELECT 'before';");
    assert!(one.says("before"));
    proxy.abandon();
    one.send("SELECT 'after';");
    let mut another = Psql::through(&postgres, &proxy);
    another.send("SELECT 'after';");
    assert!(another.says("after"));
    assert!(!one.output.text().contains("after") && proxy.connections() == 2);
}

#[test]
fn a_reset_is_a_reset_and_a_closed_way_is_reset_until_it_opens() {
    let postgres = Postgres::start();
    let proxy = Proxy::to(postgres.address());
    let mut client = Psql::through(&postgres, &proxy);
    client.send("SELECT 'one';");
    assert!(client.says("one"));
    let mut bare = TcpStream::connect(proxy.address()).expect("a connection");
    until("both are there", || proxy.connections() == 2);
    proxy.reset();
    assert_eq!(bare.read(&mut [0]).expect_err("a reset").kind(), ErrorKind::ConnectionReset);
    until("the server knows as well", || postgres.connections() == 0 && proxy.connections() == 0);
    client.send("SELECT 'two';");
    assert!(client.complains("connection to server was lost") || client.complains("closed the connection"));
    let mut next = Psql::through(&postgres, &proxy);
    next.send("SELECT 'three';");
    assert!(next.says("three"));
    proxy.close(true);
    assert!(Psql::through(&postgres, &proxy).complains("failed"));
    proxy.close(false);
    let mut last = Psql::through(&postgres, &proxy);
    last.send("SELECT 'four';");
    assert!(last.says("four"));
}

#[test]
fn a_commit_is_done_and_its_answer_swallowed() {
    let postgres = Postgres::start();
    table(&postgres);
    let proxy = Proxy::to(postgres.address());
    proxy.swallow_commits(1);
    let mut client = Psql::through(&postgres, &proxy);
    client.send("BEGIN; INSERT INTO t VALUES (1); SELECT 'inserted';");
    assert!(client.says("inserted"));
    client.send("COMMIT;");
    assert!(client.complains("server closed the connection unexpectedly") || client.complains("reset"));
    assert_eq!((rows(&postgres), proxy.sprung()), (1, 1));
    let mut next = Psql::through(&postgres, &proxy);
    next.send("BEGIN; INSERT INTO t VALUES (2); COMMIT; SELECT 'committed';");
    assert!(next.says("committed"), "only one answer was to be swallowed");
    assert_eq!((rows(&postgres), proxy.sprung()), (2, 1));
}

#[test]
fn a_commit_is_lost_and_never_done() {
    let postgres = Postgres::start();
    table(&postgres);
    let proxy = Proxy::to(postgres.address());
    proxy.lose_commits(1);
    let mut client = Psql::through(&postgres, &proxy);
    client.send("BEGIN; INSERT INTO t VALUES (1);\nCOMMIT;");
    assert!(client.complains("server closed the connection unexpectedly") || client.complains("reset"));
    until("the transaction is over", || postgres.connections() == 0);
    assert_eq!((rows(&postgres), proxy.sprung()), (0, 1));
}

#[test]
fn the_answer_to_any_statement_can_be_swallowed() {
    let postgres = Postgres::start();
    table(&postgres);
    let proxy = Proxy::to(postgres.address());
    proxy.swallow(1, |text| text.contains("INSERT"));
    let mut client = Psql::through(&postgres, &proxy);
    client.send("SELECT 'one';");
    assert!(client.says("one"));
    client.send("INSERT INTO t VALUES (1);");
    assert!(client.complains("server closed the connection unexpectedly") || client.complains("reset"));
    assert_eq!((rows(&postgres), proxy.sprung()), (1, 1));
}

/// The extended protocol, as drivers speak it, with the answer to each message.
#[test]
fn a_commit_in_the_extended_protocol_is_recognized_by_its_statement() {
    let postgres = Postgres::start();
    table(&postgres);
    let proxy = Proxy::to(postgres.address());
    // pgbench prepares each statement once, and sends Bind, Execute and Sync.
    let script = postgres.folder().join("script.sql");
    std::fs::write(&script, "BEGIN;\nINSERT INTO t VALUES (1);\nCOMMIT;\n").expect("a file");
    let bench = |protocol: &str| {
        let mut command: Command = postgres.program("pgbench");
        command.args(["-n", "-c", "1", "-t", "5", "-M", protocol, "-f"]).arg(&script);
        command.arg(postgres.url_through(proxy.address())).stdout(Stdio::null()).stderr(Stdio::piped());
        let output = command.output().expect("pgbench");
        (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    for (turn, protocol) in (1..).zip(["simple", "extended", "prepared"]) {
        postgres.sql("TRUNCATE t");
        let (is_done, complaint) = bench(protocol);
        assert!(is_done, "{complaint}");
        assert_eq!(rows(&postgres), 5, "{protocol}: nothing goes wrong by itself");
        proxy.swallow_commits(1);
        assert!(!bench(protocol).0);
        assert_eq!((rows(&postgres), proxy.sprung()), (6, 2 * turn - 1), "{protocol}: one was done");
        proxy.lose_commits(1);
        assert!(!bench(protocol).0);
        until("the transaction is over", || postgres.connections() == 0);
        assert_eq!((rows(&postgres), proxy.sprung()), (6, 2 * turn), "{protocol}: none was done");
    }
}

#[test]
fn connections_can_be_led_elsewhere() {
    let (first, second) = (Postgres::start(), Postgres::start());
    let proxy = Proxy::to(first.address());
    table(&second);
    proxy.redirect(second.address());
    let mut client = Psql::through(&first, &proxy);
    client.send("INSERT INTO t VALUES (1); SELECT 'there';");
    assert!(client.says("there"));
    assert_eq!(rows(&second), 1);
}

#[test]
fn a_text_commits_when_its_last_statement_does() {
    for text in
        ["COMMIT", "commit;", "Commit Work ;\n", "END", "BEGIN; INSERT INTO t VALUES (1); COMMIT;", "COMMIT AND NO CHAIN"]
    {
        assert!(is_commit(text), "{text}");
    }
    for text in ["", ";", "BEGIN", "ROLLBACK", "SELECT 'COMMIT'", "COMMIT; BEGIN", "COMMITTED", "COMMIT PREPARED 'x'", "ENDED"]
    {
        assert!(!is_commit(text), "{text}");
    }
}

#[test]
fn answers_before_a_swallowed_one_are_told_whatever_the_pieces_that_they_come_in() {
    fn message(kind: u8, body: &[u8]) -> Vec<u8> {
        let length = u32::try_from(body.len() + 4).expect("a short body");
        [&[kind], &length.to_be_bytes()[..], body].concat()
    }
    let start = [&8_u32.to_be_bytes()[..], &196_608_u32.to_be_bytes()].concat();
    let statement = |text: &str| {
        [message(b'P', &[b"\0", text.as_bytes(), b"\0\0\0"].concat()), message(b'B', b"\0\0\0\0\0\0\0\0")].concat()
    };
    let execute = [message(b'E', b"\0\0\0\0\0"), message(b'S', b"")].concat();
    let asked =
        [&start[..], &statement("SELECT 1"), &execute, &statement("COMMIT"), &execute, &message(b'Q', b"SELECT 2\0")].concat();
    let ready = message(b'Z', b"I");
    let answers = [&message(b'R', b"\0\0\0\0"), &ready, &message(b'C', b"SELECT 1\0"), &ready].map(Vec::as_slice).concat();
    let lost = [&message(b'1', b""), &message(b'2', b""), &message(b'C', b"COMMIT\0"), &ready].map(Vec::as_slice).concat();
    for piece in [1, 2, 3, 7, 1_000] {
        let mut dialogue = super::dialogue::Dialogue::default();
        for bytes in asked.chunks(piece) {
            assert!(dialogue.asks(bytes, |text| is_commit(text).then_some(Fate::Answerless)));
        }
        let heard: Vec<_> = [&answers[..], &lost].concat().chunks(piece).map(|bytes| dialogue.hears(bytes)).collect();
        assert_eq!(heard.iter().flat_map(|heard| heard.told.clone()).collect::<Vec<_>>(), answers, "in pieces of {piece}");
        assert_eq!(heard.iter().filter(|heard| heard.has_swallowed).count(), 1);
        assert!(heard.last().is_some_and(|heard| heard.has_swallowed));
    }
}

//! The way to PostgreSQL under TLS, as `sslmode` of the URL says.

use serde_json::json;

use crate::crash::{set_up, taking};
use crate::harness::postgres::{Options, PASSWORD};
use crate::harness::{Plimsoll, Postgres, Setup};

/// That it does not start at this URL, and what it says, which is not the password.
fn refused(postgres: &Postgres, url: &str) -> String {
    let stopped = Plimsoll::refused(Setup::on_postgres(postgres).at_database(url));
    assert_eq!(stopped.status.code(), Some(1), "{}", stopped.stderr);
    assert!(!stopped.stderr.contains(PASSWORD), "{}", stopped.stderr);
    let last = stopped.stderr.lines().last().expect("a sentence");
    assert!(last.contains(&postgres.address().to_string()), "it does not name the server: {last}");
    last.to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_verified_is_talked_to_under_tls_on_every_connection() {
    let postgres = Postgres::with(Options::tls);
    assert!(postgres.url().contains("sslmode=verify-full"), "the URL of the test");
    let server = Plimsoll::on(Setup::on_postgres(&postgres)).await;
    let admin = server.admin();
    set_up(&admin, 5, ["acme"]).await;
    assert_eq!(admin.post("/v1/consume", taking("acme", "seats", 1)).await.is(200).data()["current"], json!(1));
    let connections = "FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE application_name LIKE 'plimsoll %'";
    assert!(postgres.number(&format!("SELECT count(DISTINCT application_name) {connections} AND ssl")) >= 4, "each kind");
    assert_eq!(postgres.number(&format!("SELECT count(*) {connections} AND NOT ssl")), 0);
}

#[test]
fn a_server_that_another_authority_vouches_for_is_not_talked_to() {
    let (postgres, elsewhere) = (Postgres::with(Options::tls), Postgres::with(Options::tls));
    let root = |postgres: &Postgres| postgres.root_certificate().display().to_string();
    let said = refused(&postgres, &postgres.url().replace(&root(&postgres), &root(&elsewhere)));
    assert!(said.contains("certificate"), "{said}");
}

#[test]
fn a_server_that_demands_tls_refuses_plain_text_and_one_without_is_not_enough_for_who_demands_it() {
    let demanding = Postgres::with(Options::tls);
    let url = demanding.url();
    let (plain, _) = url.split_once('?').expect("parameters");
    let said = refused(&demanding, &format!("{plain}?sslmode=disable"));
    assert!(said.contains("no encryption"), "{said}");
    let without = Postgres::start();
    let said = refused(&without, &format!("{}?sslmode=require", without.url()));
    assert!(said.to_lowercase().contains("tls"), "{said}");
}

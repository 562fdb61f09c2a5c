//! `plimsoll catalog apply` and `plimsoll catalog export`.

use super::{failure, run};
use crate::harness::{Plimsoll, Setup};

/// A real product's plan.
const PLAN: &str = include_str!("../../../src/cli/quickstart.yaml");

fn apply(setup: &Setup, name: &str, text: impl AsRef<[u8]>) -> String {
    let file = setup.file(name, text);
    run(setup, &["catalog", "apply", file.to_str().expect("UTF-8")]).stdout
}

/// The bytes as they are printed.
fn export(setup: &Setup, format: &str) -> Vec<u8> {
    let printed = setup.command(["catalog", "export", "--format", format]).output().expect("the program");
    assert!(printed.status.success(), "{}", String::from_utf8_lossy(&printed.stderr));
    printed.stdout
}

#[test]
fn an_export_is_the_same_every_time_and_makes_the_same_catalogue_again() {
    let first = Setup::new();
    apply(&first, "plan.yaml", PLAN);
    for format in ["yaml", "json"] {
        let exported = export(&first, format);
        assert!(exported.len() > 1_000 && exported.ends_with(b"\n"));
        assert!(exported == export(&first, format), "{format} differs between two exports");
        let second = Setup::new();
        apply(&second, "exported", &exported);
        assert!(exported == export(&second, format), "{format} is no fixed point");
        assert!(export(&first, "yaml") == export(&second, "yaml"), "{format} loses something");
        let again = apply(&second, "again", &exported);
        assert_eq!(again, "0 changed.");
    }
}

#[test]
fn an_export_is_in_the_format_that_was_asked_for() {
    let setup = Setup::new();
    apply(&setup, "plan.yaml", PLAN);
    let json: serde_json::Value = serde_json::from_slice(&export(&setup, "json")).expect("JSON");
    let yaml: serde_json::Value = yaml_serde::from_slice(&export(&setup, "yaml")).expect("YAML");
    assert_eq!(json, yaml);
    assert_eq!(json["tiers"]["free"]["limits"]["max_creators_per_org"]["max"], 5);
    assert!(serde_json::from_slice::<serde_json::Value>(&export(&setup, "yaml")).is_err());
}

#[tokio::test]
async fn an_applied_catalogue_is_what_the_next_start_serves() {
    let setup = Setup::new();
    let changes = apply(&setup, "plan.yaml", PLAN);
    assert!(changes.lines().any(|line| line.starts_with("+ ") && line.contains("max_creators_per_org")), "{changes}");
    let changed = PLAN.replacen("max_creators_per_org: {max: 5}", "max_creators_per_org: {max: 6}", 1);
    let changes = apply(&setup, "changed.yaml", changed);
    assert_eq!(changes.lines().count(), 2, "{changes}");
    assert!(changes.starts_with("~ ") && changes.ends_with("\n1 changed."), "{changes}");
    let server = Plimsoll::on(setup).await;
    let limits = server.admin().get("/v1/admin/tiers/free/limits").await;
    assert!(limits.is(200).text.contains(r#""max":6"#), "{}", limits.text);
}

#[test]
fn a_dry_run_says_the_same_and_changes_nothing() {
    let setup = Setup::new();
    run(&setup, &["migrate"]);
    let empty = export(&setup, "yaml");
    let file = setup.file("plan.yaml", PLAN);
    let dry = run(&setup, &["catalog", "apply", "--dry-run", file.to_str().expect("UTF-8")]).stdout;
    assert!(dry.ends_with(" would change."), "{dry}");
    assert!(empty == export(&setup, "yaml"), "a dry run changed something");
    assert_eq!(dry.replace("would change", "changed"), apply(&setup, "plan.yaml", PLAN));
}

#[test]
fn a_file_that_contradicts_itself_is_refused_whole_with_every_finding() {
    let setup = Setup::new();
    run(&setup, &["migrate"]);
    let empty = export(&setup, "yaml");
    let text = "
limitKeys:
  seats: {kind: count, default: {max: 1}}
  history: {kind: retention, default: {days: 1}}
tiers:
  free:
    limits:
      seats: {days: 3}
      history: {max: 3}
      unheard_of: {max: 3}
";
    let file = setup.file("contradiction.yaml", text);
    let sentence = failure(&setup, &["catalog", "apply", file.to_str().expect("UTF-8")]);
    for named in ["contradiction.yaml", "tiers.free.limits.seats", "tiers.free.limits.history", "unheard_of"] {
        assert!(sentence.contains(named), "{named} is missing: {sentence}");
    }
    assert!(empty == export(&setup, "yaml"), "a refused file changed something");
}

#[test]
fn a_file_that_cannot_be_understood_is_refused_by_its_name() {
    let setup = Setup::new();
    let broken = [
        ("no.yaml", "limitKeys: [unclosed"),
        ("text.yaml", "just a sentence"),
        ("field.yaml", "limitKeyz: {}"),
        ("kind.yaml", "limitKeys: {seats: {kind: counter, default: {max: 1}}}"),
        ("twice.yaml", "tiers:\n  free: {name: A}\n  free: {name: B}\n"),
        ("binary.yaml", "\u{0}\u{1}"),
        ("two.yaml", "tiers: {}\n---\ntiers: {}\n"),
    ];
    for (name, text) in broken {
        let file = setup.file(name, text);
        let sentence = failure(&setup, &["catalog", "apply", file.to_str().expect("UTF-8")]);
        assert!(sentence.contains(name), "{name}: {sentence}");
    }
    let sentence = failure(&setup, &["catalog", "apply", "nowhere.yaml"]);
    assert!(sentence.contains("nowhere.yaml"), "{sentence}");
}

#[test]
fn an_export_without_a_database_is_refused_and_makes_none() {
    let setup = Setup::new();
    let sentence = failure(&setup, &["catalog", "export"]);
    assert!(sentence.contains("plimsoll.db") && sentence.contains("does not exist"), "{sentence}");
    assert!(!setup.database().exists());
}

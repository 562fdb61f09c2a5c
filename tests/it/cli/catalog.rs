//! `plimsoll catalog export`, `diff` and `apply`, against a database and against a running service.

use serde_json::{Value, json};

use super::{failure, run};
use crate::harness::{ADMIN_KEY, Plimsoll, Setup, Stopped};

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

/// Runs `catalog diff`, whose exit code says whether there is a difference.
fn diff(setup: &Setup, arguments: &[&str], expected: i32) -> Stopped {
    let ended = Plimsoll::run(setup, ["catalog", "diff"].into_iter().chain(arguments.iter().copied()));
    assert_eq!(ended.status.code(), Some(expected), "{}{}", ended.stdout, ended.stderr);
    ended
}

/// The settings of a command that asks this service, and has no database.
fn asking(server: &Plimsoll) -> Setup {
    let setup = Setup::new().variable("PLIMSOLL_SERVER", server.url("/"));
    let key = setup.file("key", format!("{ADMIN_KEY}\n"));
    setup.variable("PLIMSOLL_API_KEY_FILE", key)
}

fn path_of(setup: &Setup, name: &str, text: &str) -> String {
    setup.file(name, text).to_str().expect("UTF-8").to_owned()
}

const CHANGED: &str = "
limitKeys:
  max_creators_per_org: {kind: count, default: {max: 1}, description: Active tracked creators across all projects}
tiers:
  free: {name: Free, description: To try it, limits: {max_creators_per_org: {max: 3}}}
  pro: {}
";

/// What the two say and do is the same.
fn says_what_changes(setup: &Setup) {
    let file = path_of(setup, "changed.yaml", CHANGED);
    let text = diff(setup, &[&file], 2);
    let expected = "~ limitKeys.max_creators_per_org\n    default: {\"max\":0} -> {\"max\":1}\n\
                    ~ tiers.free.limits.max_creators_per_org: {\"max\":5} -> {\"max\":3}\n\
                    + tiers.pro: {\"name\":\"pro\",\"description\":\"\"}\n3 would change, at revision ";
    assert!(text.stdout.starts_with(expected), "{}", text.stdout);
    assert_eq!(text.stderr, "", "there is nothing odd about it");
    let revision = text.stdout.rsplit(' ').next().expect("a revision").trim_end_matches('.');
    let told: Value = serde_json::from_str(&diff(setup, &["--output", "json", &file], 2).stdout).expect("JSON");
    assert_eq!((&told["dryRun"], told["revision"].to_string().as_str()), (&json!(true), revision));
    assert_eq!(told["changes"][1]["before"], json!({"max": 5}));
    let old = failure(setup, &["catalog", "apply", "--if-revision", "1", &file]);
    assert!(old.contains("not at the expected revision"), "{old}");
    let applied = run(setup, &["catalog", "apply", "--output", "json", "--if-revision", revision, &file]);
    let applied: Value = serde_json::from_str(&applied.stdout).expect("JSON");
    assert_eq!((&applied["dryRun"], &applied["changes"]), (&json!(false), &told["changes"]));
    assert!(diff(setup, &[&file], 0).stdout.starts_with("0 would change"), "what was applied is no difference");

    let pruned = diff(setup, &["--prune", &path_of(setup, "plan.yaml", PLAN)], 2);
    assert!(pruned.stdout.contains("- tiers.pro: {\"name\":\"pro\""), "{}", pruned.stdout);
    run(setup, &["catalog", "apply", "--prune", &path_of(setup, "plan.yaml", PLAN)]);
    let exported = String::from_utf8(export(setup, "yaml")).expect("UTF-8");
    diff(setup, &["--prune", &path_of(setup, "exported.yaml", &exported)], 0);
    let odd = run(setup, &["catalog", "apply", &path_of(setup, "odd.yaml", "limitKeys: {spare: {kind: count}}")]);
    assert!(odd.stderr.contains("warning: limitKeys.spare: is in no tier"), "{}", odd.stderr);
    assert_eq!(
        odd.stdout,
        "+ limitKeys.spare: {\"kind\":\"count\",\"per\":\"org\",\"default\":{\"max\":0},\"description\":\"\"}\n1 changed."
    );
}

fn refuses_with_every_finding(setup: &Setup) {
    let wrong = "limitKeys: {a: {kind: quota}}\ntiers: {free: {limits: {a: {days: 1}, nothing: {max: 1}}}}";
    let file = path_of(setup, "wrong.yaml", wrong);
    for ended in [diff(setup, &[&file], 1).stderr, failure(setup, &["catalog", "apply", &file])] {
        for named in ["wrong.yaml", "limitKeys.a.window", "tiers.free.limits.a", "tiers.free.limits.nothing"] {
            assert!(ended.contains(named), "{named} is missing: {ended}");
        }
    }
}

#[tokio::test]
async fn a_difference_is_told_and_applied_alike_to_a_database_and_to_a_service() {
    let setup = Setup::new();
    apply(&setup, "plan.yaml", PLAN);
    says_what_changes(&setup);
    refuses_with_every_finding(&setup);
    let of_database = export(&setup, "yaml");

    let server = Plimsoll::start().await;
    let asking = asking(&server);
    apply(&asking, "plan.yaml", PLAN);
    says_what_changes(&asking);
    refuses_with_every_finding(&asking);
    assert!(export(&asking, "yaml") == of_database, "a service exports otherwise than a database");
    // The service's own database can be looked at beside it.
    assert!(export(server.setup(), "json") == export(&asking, "json"));
    diff(server.setup(), &[&path_of(&asking, "of_service.yaml", &String::from_utf8(of_database).expect("UTF-8"))], 0);
}

#[tokio::test]
async fn what_is_in_use_is_not_pruned_through_a_service() {
    let server = Plimsoll::start().await;
    let asking = asking(&server);
    apply(&asking, "plan.yaml", PLAN);
    server.admin().put_org("acme", "free").await.is(201);
    let sentence = failure(&asking, &["catalog", "apply", "--prune", &path_of(&asking, "empty.yaml", "{}")]);
    assert!(sentence.contains("tiers.free: cannot be deleted: the org acme is assigned it"), "{sentence}");
}

#[tokio::test]
async fn a_service_that_cannot_be_asked_is_named_and_the_key_is_not() {
    let server = Plimsoll::start().await;
    let file = path_of(server.setup(), "plan.yaml", PLAN);
    let asking = asking(&server);
    let without = asking.clone().without("PLIMSOLL_API_KEY_FILE");
    assert!(failure(&without, &["catalog", "export"]).contains("PLIMSOLL_API_KEY"));
    let unknown = format!("plm_{}", "0".repeat(64));
    let sentence = failure(&without.variable("PLIMSOLL_API_KEY", &unknown), &["catalog", "diff", &file]);
    assert!(sentence.contains("401") && !sentence.contains(&unknown), "{sentence}");
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port");
    let sentence = failure(&asking.variable("PLIMSOLL_SERVER", format!("http://{nobody}")), &["catalog", "export"]);
    assert!(sentence.contains(&nobody.to_string()) && !sentence.contains(ADMIN_KEY), "{sentence}");
}

#[test]
fn whatever_keeps_diff_from_telling_is_an_error_and_no_difference() {
    let setup = Setup::new();
    run(&setup, &["migrate"]);
    let file = path_of(&setup, "plan.yaml", PLAN);
    for arguments in [&["nowhere.yaml"][..], &[], &["--prun", &file], &[&file, "--output", "xml"]] {
        let ended = diff(&setup, arguments, 1);
        assert!(!ended.stderr.is_empty(), "{arguments:?}");
    }
    diff(&setup.clone().variable("PLIMSOLL_LISTN", "x"), &[&file], 1);
    diff(&Setup::new(), &[&file], 1);
    assert!(diff(&setup, &["--help"], 0).stdout.contains("--prune"));
    diff(&setup, &[&file], 2);
}

/// A catalogue with names and texts that a careless reader takes for something else.
fn odd_catalogue(number: usize) -> Value {
    let texts = ["", "- x", "# no", "a: b", "null", "1e3", "line\nline\n", "\ttab ", "'\"\\", "\u{feff}\u{2028}é", "~", "{}"];
    let text = |offset: usize| texts[(number + offset) % texts.len()];
    let limit_keys = ["null", "no", "y", "e1", "a:b", "on.off-x"]
        .map(|name| (name.to_owned(), json!({"kind": "count", "description": text(name.len())})));
    let limits = json!({"null": {"max": number}, "y": {"unlimited": true}, "a:b": {"max": 9_007_199_254_740_991_u64}});
    json!({
        "limitKeys": limit_keys.into_iter().skip(number % 2).collect::<serde_json::Map<_, _>>(),
        "tiers": {"true": {"name": text(0), "description": text(3), "limits": if number.is_multiple_of(2) { limits } else { json!({}) }}},
    })
}

#[tokio::test]
async fn what_a_service_exports_is_a_fixed_point_there_and_in_a_database() {
    let server = Plimsoll::start().await;
    let (asking, setup) = (asking(&server), Setup::new());
    for number in 0..4 {
        let file = path_of(&asking, "odd.json", &odd_catalogue(number).to_string());
        run(&asking, &["catalog", "apply", "--prune", &file]);
        for format in ["yaml", "json"] {
            let exported = String::from_utf8(export(&asking, format)).expect("UTF-8");
            let file = path_of(&asking, "exported", &exported);
            diff(&asking, &["--prune", &file], 0);
            run(&setup, &["catalog", "apply", "--prune", &file]);
            assert_eq!(String::from_utf8(export(&setup, format)).expect("UTF-8"), exported, "{number} {format}");
        }
    }
}

//! What stands in `.deploy/` is about the program as it is: every setting, path, port and metric in it is real.

mod metrics;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::cli::run;
use crate::harness::{Plimsoll, Setup};

/// The longest that requests in flight may take when the service stops, in seconds; `src/server.rs` says so.
const STOP_SECONDS: u64 = 30;
/// What a container's end may take beside that.
const SLACK_SECONDS: u64 = 10;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(".deploy")
}

fn text(name: &str) -> String {
    std::fs::read_to_string(folder().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// A file that is one document, of YAML or of JSON.
fn document(name: &str) -> Value {
    yaml_serde::from_str(&text(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// Every file, by its path.
fn files() -> Vec<String> {
    let (mut found, mut folders) = (Vec::new(), vec![folder()]);
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(next).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.push(path.strip_prefix(folder()).expect("a file of the folder").to_string_lossy().into_owned());
            }
        }
    }
    found.sort();
    found
}

fn deployment() -> Value {
    document("kubernetes/deployment.yaml")
}

fn at<'a>(value: &'a Value, pointer: &str) -> &'a Value {
    value.pointer(pointer).unwrap_or_else(|| panic!("nothing at {pointer}"))
}

const POD: &str = "/spec/template/spec";
const CONTAINER: &str = "/spec/template/spec/containers/0";

fn in_pod(pointer: &str) -> Value {
    at(&deployment(), &format!("{POD}{pointer}")).clone()
}

fn in_container(pointer: &str) -> Value {
    at(&deployment(), &format!("{CONTAINER}{pointer}")).clone()
}

/// The settings of the `ConfigMap`.
fn settings() -> Vec<(String, String)> {
    let map = document("kubernetes/configmap.yaml");
    let data = map["data"].as_object().expect("settings").clone();
    data.into_iter().map(|(name, value)| (name, value.as_str().expect("text, as Kubernetes wants it").to_owned())).collect()
}

/// The words of a text that begin so.
fn words<'a>(text: &'a str, prefix: &'a str) -> BTreeSet<&'a str> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    text.split(|c| !is_name(c)).filter(|word| word.starts_with(prefix) && word.len() > prefix.len()).collect()
}

#[test]
fn every_file_is_well_formed_and_every_manifest_is_applied() {
    let names = files();
    assert!(names.len() > 8, "{names:?}");
    for name in names.iter().filter(|name| name.ends_with(".yaml") || name.ends_with(".json")) {
        assert!(document(name).is_object(), "{name}");
    }
    let kustomization = document("kubernetes/kustomization.yaml");
    let applied: BTreeSet<String> = kustomization["resources"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|name| name.as_str().expect("text").to_owned())
        .collect();
    let manifests = names.iter().filter_map(|name| name.strip_prefix("kubernetes/"));
    let others = ["kustomization.yaml", "secret.example.yaml"];
    assert_eq!(applied, manifests.filter(|name| !others.contains(name)).map(str::to_owned).collect());
}

#[test]
fn every_setting_that_is_named_is_one() {
    let help = run(&Setup::new(), &["serve", "--help"]).stdout;
    let known = words(&help, "PLIMSOLL_");
    assert!(known.len() > 20, "{known:?}");
    // Named as what Kubernetes would make of a Service.
    let made_up = BTreeSet::from(["PLIMSOLL_PORT"]);
    for name in files() {
        let text = text(&name);
        let unknown: Vec<&str> =
            words(&text, "PLIMSOLL_").difference(&known).copied().filter(|word| !made_up.contains(word)).collect();
        assert!(unknown.is_empty(), "{name} names {unknown:?}");
    }
}

#[tokio::test]
async fn a_process_with_these_settings_answers_the_probes() {
    // In a test it is not to listen to the whole network.
    let settings = settings().into_iter().filter(|(name, _)| name != "PLIMSOLL_LISTEN");
    let server = Plimsoll::with(|setup| settings.fold(setup, |setup, (name, value)| setup.variable(&name, value))).await;
    for probe in ["startupProbe", "livenessProbe", "readinessProbe"] {
        let path = in_container(&format!("/{probe}/httpGet/path"));
        server.anonymous().get(path.as_str().expect("a path")).await.is(200);
        assert_eq!(in_container(&format!("/{probe}/httpGet/port")), "http");
    }
    assert_eq!(in_container("/livenessProbe/httpGet/path"), "/livez", "nobody is restarted because the database is away");
    assert_eq!(in_container("/readinessProbe/httpGet/path"), "/readyz");
    let scraped = at(&deployment(), "/spec/template/metadata/annotations/prometheus.io~1path").clone();
    server.anonymous().get(scraped.as_str().expect("a path")).await.is(200);
}

#[test]
fn a_process_has_the_time_to_be_left_alone_and_to_finish() {
    let drain = settings().into_iter().find(|(name, _)| name == "PLIMSOLL_DRAIN_SECONDS").expect("a setting").1;
    let drain: u64 = drain.parse().expect("seconds");
    let source = include_str!("../../src/server.rs");
    assert!(source.contains(&format!("const STOP_SECONDS: u64 = {STOP_SECONDS};")), "the program takes another time to stop");
    let grace = in_pod("/terminationGracePeriodSeconds").as_u64().expect("seconds");
    assert!(grace >= drain + STOP_SECONDS + SLACK_SECONDS, "{grace} seconds do not suffice");
    let seconds = |field: &str| in_container(&format!("/readinessProbe/{field}")).as_u64().expect("a number");
    let noticed = (seconds("periodSeconds") + seconds("timeoutSeconds")) * seconds("failureThreshold");
    assert!(noticed < drain, "it is noticed after {noticed} seconds that a process is no longer ready");
}

#[test]
fn the_image_and_the_manifests_agree_on_user_port_and_command() {
    let dockerfile = text("Dockerfile");
    let has = |line: &str| assert!(dockerfile.lines().any(|other| other == line), "the Dockerfile has no line {line:?}");
    let user = in_pod("/securityContext/runAsUser");
    has(&format!("USER {user}:{user}"));
    assert!(dockerfile.contains(&format!("--uid {user} ")));
    let port = in_container("/ports/0/containerPort");
    has(&format!("EXPOSE {port}"));
    assert!(dockerfile.contains(&format!("PLIMSOLL_LISTEN=0.0.0.0:{port} ")));
    assert!(settings().contains(&("PLIMSOLL_LISTEN".to_owned(), format!("0.0.0.0:{port}"))));
    let scraped = at(&deployment(), "/spec/template/metadata/annotations/prometheus.io~1port").clone();
    assert_eq!(scraped.as_str(), Some(port.to_string().as_str()));
    let service = document("kubernetes/service.yaml");
    assert_eq!(at(&service, "/spec/ports/0/targetPort"), &in_container("/ports/0/name"));
    has("CMD [\"serve\"]");
    assert_eq!(in_container("/args"), serde_json::json!(["serve"]));
}

#[test]
fn the_image_is_built_from_what_the_repository_has_with_its_own_compiler() {
    let dockerfile = text("Dockerfile");
    let allowed = text("Dockerfile.dockerignore");
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let copied = dockerfile.lines().filter_map(|line| line.strip_prefix("COPY ")).filter(|line| !line.starts_with("--from"));
    let sources = copied.flat_map(|line| line.split(' ').collect::<Vec<_>>().into_iter().rev().skip(1).collect::<Vec<_>>());
    let sources: Vec<&str> = sources.collect();
    assert!(sources.len() > 5, "{sources:?}");
    for source in sources {
        assert!(root.join(source).exists(), "there is no {source}");
        assert!(allowed.lines().any(|line| line.strip_prefix('!') == Some(source)), "{source} is not sent to the builder");
    }
    let manifest = std::fs::read_to_string(root.join("Cargo.toml")).expect("the manifest");
    let version =
        manifest.lines().find_map(|line| line.strip_prefix("rust-version = \"")?.strip_suffix('"')).expect("a version");
    assert!(dockerfile.contains(&format!("FROM rust:{version}-slim")), "another compiler than {version}");
    assert!(manifest.contains("[profile.dist]") && dockerfile.contains("--profile dist"));
}

#[test]
fn a_container_may_do_as_little_as_it_needs() {
    assert_eq!(in_pod("/securityContext/runAsNonRoot"), true);
    assert_eq!(in_container("/securityContext/readOnlyRootFilesystem"), true);
    assert_eq!(in_container("/securityContext/allowPrivilegeEscalation"), false);
    assert_eq!(in_container("/securityContext/capabilities/drop"), serde_json::json!(["ALL"]));
    assert_eq!(in_pod("/automountServiceAccountToken"), false);
    // The variables that Kubernetes makes of a Service called plimsoll would stop the start.
    assert_eq!(in_pod("/enableServiceLinks"), false);
    let told = Plimsoll::refused(Setup::new().variable("PLIMSOLL_PORT", "tcp://10.0.0.1:80")).stderr;
    assert!(told.contains("PLIMSOLL_PORT is not a setting"), "{told}");
}

#[test]
fn secrets_come_from_the_secret_and_labels_select_the_processes() {
    let secret = document("kubernetes/secret.example.yaml");
    let env = in_container("/env");
    for variable in env.as_array().expect("variables") {
        let name = variable["name"].as_str().expect("a name");
        assert_eq!(at(variable, "/valueFrom/secretKeyRef/key"), name);
        assert_eq!(at(variable, "/valueFrom/secretKeyRef/name"), at(&secret, "/metadata/name"));
        assert!(secret["stringData"][name].is_string(), "the example has no {name}");
    }
    assert_eq!(in_container("/envFrom/0/configMapRef/name"), document("kubernetes/configmap.yaml")["metadata"]["name"]);
    let labels = at(&deployment(), "/spec/template/metadata/labels").clone();
    assert_eq!(at(&deployment(), "/spec/selector/matchLabels"), &labels);
    assert_eq!(at(&document("kubernetes/service.yaml"), "/spec/selector"), &labels);
    assert_eq!(at(&document("kubernetes/poddisruptionbudget.yaml"), "/spec/selector/matchLabels"), &labels);
}

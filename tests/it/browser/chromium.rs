//! Chromium behind its driver: both are gone, with all that they wrote, when the test lets go of them.

use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use fantoccini::{Client, ClientBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use tempfile::TempDir;

/// The longest that what was killed may go on writing.
const END: Duration = Duration::from_secs(10);

/// The driver, its browser and their folder.
struct Processes {
    driver: Child,
    folder: TempDir,
}

impl Drop for Processes {
    fn drop(&mut self) {
        // The driver leads a process group that the browser is in. It may have ended by itself.
        let group = format!("-{}", self.driver.id());
        let _ = Command::new("kill").args(["-KILL", "--", &group]).stderr(Stdio::null()).status();
        let _ = self.driver.wait();
        let deadline = Instant::now() + END;
        while std::fs::remove_dir_all(self.folder.path()).is_err() && self.folder.path().exists() && Instant::now() < deadline {
            std::thread::yield_now();
        }
    }
}

/// A browser with one window and nothing remembered.
pub(super) struct Chromium {
    pub(super) client: Client,
    session: String,
    processes: Processes,
}

impl Chromium {
    pub(super) async fn start() -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        let mut driver = spawn(folder.path());
        let stdout = driver.stdout.take().expect("a pipe");
        let processes = Processes { driver, folder };
        let port = BufReader::new(stdout).lines().map_while(Result::ok).find_map(|line| port_in(&line));
        let driver = format!("http://127.0.0.1:{}", port.expect("chromedriver listens"));
        let mut builder = ClientBuilder::new(HttpConnector::new());
        let wanted = capabilities(&processes.folder.path().join("profile"));
        let client = builder.capabilities(wanted).connect(&driver).await.expect("Chromium starts");
        let id = client.session_id().await.expect("a driver").expect("a session");
        Self { client, session: format!("{driver}/session/{id}"), processes }
    }

    /// The address of every request that was sent since the last time that this was asked.
    pub(super) async fn requests(&self) -> Vec<String> {
        let entries = self.log("performance").await;
        let messages = entries.iter().filter_map(|entry| serde_json::from_str::<Value>(entry["message"].as_str()?).ok());
        let sent = messages.filter(|message| message["message"]["method"] == "Network.requestWillBeSent");
        sent.filter_map(|message| Some(message["message"]["params"]["request"]["url"].as_str()?.to_owned())).collect()
    }

    /// What the console says is wrong.
    pub(super) async fn complaints(&self) -> Vec<String> {
        let entries = self.log("browser").await;
        let severe = entries.iter().filter(|entry| entry["level"] == "SEVERE" || entry["level"] == "WARNING");
        severe.map(|entry| entry["message"].to_string()).collect()
    }

    /// Ends the browser in good order.
    pub(super) async fn close(self) {
        self.client.close().await.expect("Chromium ends");
        drop(self.processes);
    }

    async fn log(&self, kind: &str) -> Vec<Value> {
        let client = reqwest::Client::builder().no_proxy().build().expect("a client");
        let asked = client.post(format!("{}/se/log", self.session)).body(json!({"type": kind}).to_string());
        let answer = asked.send().await.expect("a driver").text().await.expect("text");
        let answer: Value = serde_json::from_str(&answer).expect("JSON");
        answer["value"].as_array().expect("a log").clone()
    }
}

fn spawn(folder: &Path) -> Child {
    let mut command = Command::new("chromedriver");
    command.arg("--port=0").process_group(0).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    // Whatever either of them keeps, it keeps in there.
    command.env("HOME", folder).env("TMPDIR", folder).env("XDG_CONFIG_HOME", folder).env("XDG_CACHE_HOME", folder);
    for name in ["http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"] {
        command.env_remove(name);
    }
    command.spawn().expect("chromedriver is installed")
}

fn port_in(line: &str) -> Option<u16> {
    line.split_once("started successfully on port ")?.1.trim_end_matches('.').parse().ok()
}

fn capabilities(profile: &Path) -> serde_json::Map<String, Value> {
    let arguments = [
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--window-size=1280,1600",
        &format!("--user-data-dir={}", profile.display()),
    ];
    let capabilities = json!({
        "browserName": "chrome",
        "goog:chromeOptions": {"args": arguments},
        "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"},
    });
    capabilities.as_object().expect("an object").clone()
}

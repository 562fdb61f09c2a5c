//! The servers that hold shared windows: one, or the nodes of a cluster, and who of them has which windows.
//!
//! A node that is gone takes nobody along: what the others hold is asked of them as before. (The cluster client of the library
//! lets everybody wait while it looks for a node.)

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use redis::{RedisError, Value};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::node::{CONNECT, Node, connected};
use super::place::{Host, Place};
use super::slots::{self, Range, slot_of};

/// How often a cluster is asked who has what, when all its nodes are there, and when one is not.
const CALM: Duration = Duration::from_secs(10);
const TENSE: Duration = Duration::from_secs(1);
/// The shortest time between two such questions.
const BETWEEN: Duration = Duration::from_millis(100);
/// How long to wait when nobody could be asked.
const PAUSE: Duration = Duration::from_millis(250);

/// The servers as they are known.
pub(super) struct Fleet {
    shared: Arc<Known>,
    follower: JoinHandle<()>,
}

struct Known {
    place: Place,
    /// Nothing until one of them was reached.
    map: ArcSwapOption<Map>,
    is_stale: Notify,
}

/// Who has which windows.
struct Map {
    nodes: Vec<Arc<Node>>,
    /// Nothing when there is one server, which has them all.
    ranges: Option<Vec<(Range, Arc<Node>)>>,
}

impl Drop for Fleet {
    fn drop(&mut self) {
        self.follower.abort();
    }
}

impl Fleet {
    /// Begins to look for them.
    pub(super) fn start(place: Place) -> Self {
        let shared = Arc::new(Known { place, map: ArcSwapOption::empty(), is_stale: Notify::new() });
        Self { follower: tokio::spawn(Arc::clone(&shared).follow()), shared }
    }

    /// The longest that a call waits.
    pub(super) fn patience(&self) -> Duration {
        self.shared.place.patience
    }

    /// The node that has the windows with this tag; nothing when nobody is known to.
    pub(super) fn node_of(&self, tag: &str) -> Option<Arc<Node>> {
        let map = self.shared.map.load();
        let map = map.as_ref()?;
        let Some(ranges) = &map.ranges else { return map.nodes.first().cloned() };
        let slot = slot_of(tag);
        ranges.iter().find(|(range, _)| (range.first..=range.last).contains(&slot)).map(|(_, node)| Arc::clone(node))
    }

    /// Somebody was told that windows have moved, perhaps to this node: it, if it is known.
    pub(super) fn moved(&self, to: Option<&Host>) -> Option<Arc<Node>> {
        self.shared.is_stale.notify_one();
        self.shared.map.load().as_ref()?.nodes.iter().find(|node| Some(node.host()) == to).cloned()
    }

    /// How many servers are known, and how many of them are not reached. At first, those of the settings.
    pub(super) fn count(&self) -> (usize, usize) {
        let map = self.shared.map.load();
        let Some(map) = map.as_ref() else { return (self.shared.place.seeds.len(), self.shared.place.seeds.len()) };
        (map.nodes.len(), map.nodes.iter().filter(|node| !node.is_open()).count())
    }
}

impl Known {
    /// Follows who has what, as long as there are callers.
    async fn follow(self: Arc<Self>) {
        let mut said = None;
        loop {
            match self.look().await {
                Ok(map) => {
                    said = None;
                    let has_one = map.ranges.is_none();
                    self.map.store(Some(Arc::new(map)));
                    self.until_stale(has_one).await;
                    sleep(BETWEEN).await;
                }
                Err(why) => {
                    if said.as_ref() != Some(&why) {
                        tracing::warn!(%why, "Redis cannot be reached: this process counts sliding windows in its own");
                        said = Some(why);
                    }
                    sleep(PAUSE).await;
                }
            }
        }
    }

    /// A single server is what it is until somebody is told otherwise.
    async fn until_stale(&self, has_one: bool) {
        if has_one {
            return self.is_stale.notified().await;
        }
        let is_tense = self.map.load().as_ref().is_some_and(|map| map.nodes.iter().any(|node| !node.is_open()));
        // Whether it was told or the time is over, it is looked again.
        timeout(if is_tense { TENSE } else { CALM }, self.is_stale.notified()).await.ok();
    }

    /// Asks one after the other until one knows, those first that are there.
    async fn look(&self) -> Result<Map, String> {
        let map = self.map.load_full();
        let mut nodes: Vec<&Arc<Node>> = map.iter().flat_map(|map| &map.nodes).collect();
        nodes.sort_by_key(|node| !node.is_open());
        let mut hosts: Vec<&Host> = nodes.iter().map(|node| node.host()).collect();
        for seed in &self.place.seeds {
            if !hosts.contains(&seed) {
                hosts.push(seed);
            }
        }
        let mut why = Vec::new();
        for host in hosts {
            match self.ask(host).await {
                Ok(Some(ranges)) => return self.map_of(host, ranges, &nodes).map_err(|error| error.to_string()),
                Ok(None) if self.place.seeds.len() == 1 => {
                    return self.map_of_one(&nodes).map_err(|error| error.to_string());
                }
                Ok(None) => why.push(format!("{host}: it is no node of a cluster, and several are named")),
                Err(error) => why.push(format!("{host}: {error}")),
            }
        }
        Err(why.join("; "))
    }

    /// The slots as this server knows them; nothing when it is in no cluster.
    async fn ask(&self, host: &Host) -> Result<Option<Vec<Range>>, String> {
        let talk = async {
            let mut connection = connected(&self.place.client(host)?).await?;
            redis::cmd("CLUSTER").arg("SLOTS").query_async::<Value>(&mut connection).await
        };
        match timeout(CONNECT, talk).await {
            Ok(Ok(reply)) => slots::ranges(reply).map(Some).ok_or_else(|| "it knows of no slots".to_owned()),
            // It has no clusters, or keeps to itself whether it is in one: then it says later that windows have moved.
            Ok(Err(error)) if is_answer(&error) => Ok(None),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err("it does not answer in time".to_owned()),
        }
    }

    fn map_of_one(&self, known: &[&Arc<Node>]) -> Result<Map, RedisError> {
        let nodes = self.place.seeds.iter().map(|seed| self.node(seed, known)).collect::<Result<_, _>>()?;
        Ok(Map { nodes, ranges: None })
    }

    fn map_of(&self, asked: &Host, ranges: Vec<Range>, known: &[&Arc<Node>]) -> Result<Map, RedisError> {
        let mut nodes: Vec<Arc<Node>> = Vec::new();
        let mut owned = Vec::with_capacity(ranges.len());
        for range in ranges {
            let name = range.host.clone().unwrap_or_else(|| asked.name.clone());
            let host = Host { name, port: range.port };
            let node = match nodes.iter().find(|node| *node.host() == host) {
                Some(node) => Arc::clone(node),
                None => self.node(&host, known)?,
            };
            if !nodes.iter().any(|other| Arc::ptr_eq(other, &node)) {
                nodes.push(Arc::clone(&node));
            }
            owned.push((range, node));
        }
        Ok(Map { nodes, ranges: Some(owned) })
    }

    /// The node that is known, or a new one.
    fn node(&self, host: &Host, known: &[&Arc<Node>]) -> Result<Arc<Node>, RedisError> {
        if let Some(node) = known.iter().find(|node| node.host() == host) {
            return Ok(Arc::clone(node));
        }
        let client = self.place.client(host)?;
        Ok(Arc::new(Node::start(host.clone(), client, self.place.patience)))
    }
}

/// Whether the server itself says no to the question.
fn is_answer(error: &RedisError) -> bool {
    use redis::ErrorKind::Server;
    use redis::ServerErrorKind::{NoPerm, ResponseError};
    matches!(error.kind(), Server(ResponseError | NoPerm))
}

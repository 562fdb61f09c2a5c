//! A Redis Cluster of three nodes, with one of them killed, and with windows that move.

use super::server::{Redis, free_port, words};
use super::{Customer, allowed, degraded, is_degraded, metric, patient, processes, until};
use crate::harness::Setup;

/// What each node has.
const SLOTS: [(u16, u16); 3] = [(0, 5_460), (5_461, 10_922), (10_923, 16_383)];

struct Cluster {
    nodes: Vec<Redis>,
}

impl Cluster {
    async fn start() -> Self {
        let node = || {
            Redis::with(|_, _| {
                let settings = "--cluster-enabled yes --cluster-node-timeout 2000 --cluster-require-full-coverage no";
                words(&format!("{settings} --cluster-port {}", free_port()))
            })
        };
        let nodes: Vec<Redis> = SLOTS.iter().map(|_| node()).collect();
        for (node, (first, last)) in nodes.iter().zip(SLOTS) {
            assert_eq!(node.ask(&["CLUSTER", "ADDSLOTSRANGE", &first.to_string(), &last.to_string()]), "OK");
        }
        for (number, node) in nodes.iter().enumerate() {
            assert_eq!(node.ask(&["CLUSTER", "SET-CONFIG-EPOCH", &(number + 1).to_string()]), "OK");
        }
        for other in &nodes[1..] {
            let bus = other.setting("--cluster-port");
            assert_eq!(nodes[0].ask(&["CLUSTER", "MEET", "127.0.0.1", &other.port.to_string(), &bus]), "OK");
        }
        let cluster = Self { nodes };
        until("a cluster", async || cluster.nodes.iter().all(|node| cluster.is_whole(node))).await;
        cluster
    }

    fn is_whole(&self, node: &Redis) -> bool {
        let info = node.ask(&["CLUSTER", "INFO"]);
        info.contains("cluster_state:ok") && info.contains("cluster_slots_ok:16384") && info.contains("cluster_known_nodes:3")
    }

    fn urls(&self) -> String {
        self.nodes.iter().map(Redis::url).collect::<Vec<_>>().join(",")
    }

    fn slot(&self, customer: &Customer) -> u16 {
        self.nodes[0].ask(&["CLUSTER", "KEYSLOT", &window(customer)]).parse().expect("a slot")
    }

    /// The node that has a customer's windows.
    fn owner(&self, customer: &Customer) -> usize {
        let slot = self.slot(customer);
        SLOTS.iter().position(|(first, last)| (*first..=*last).contains(&slot)).expect("a node")
    }

    /// A customer of each node.
    fn one_of_each<'a>(&self, customers: &'a [Customer]) -> Vec<&'a Customer> {
        let of = |node| customers.iter().find(|customer| self.owner(customer) == node).expect("enough customers");
        (0..SLOTS.len()).map(of).collect()
    }
}

fn window(customer: &Customer) -> String {
    format!("plimsoll:{{acme/{}}}:calls", customer.id)
}

#[tokio::test]
async fn over_three_nodes_the_limit_is_exact_and_a_killed_node_takes_only_its_own_windows_along() {
    let mut cluster = Cluster::start().await;
    let (urls, one) = (cluster.urls(), cluster.nodes[1].url());
    // One process knows all nodes, the other learns of them.
    let processes = processes(2, 40, |number, setup| patient(setup, if number == 0 { &urls } else { &one })).await;
    for server in &processes.all {
        until("three nodes", async || metric(server, "plimsoll_limiter_servers").await == Some(3.0)).await;
    }
    processes.share().await;
    let customers = cluster.one_of_each(&processes.customers);
    for customer in &customers {
        let answers = processes.rush(customer, 3).await;
        assert_eq!((allowed(&answers), degraded(&answers)), (48, 0));
    }
    cluster.nodes[2].kill();
    for server in &processes.all {
        until("a node away", async || metric(server, "plimsoll_limiter_servers_away").await == Some(1.0)).await;
    }
    for customer in &customers[..2] {
        let answers = processes.rush(customer, 10).await;
        assert_eq!((allowed(&answers), degraded(&answers)), (12, 0), "of the 60 that fit, 48 had passed");
    }
    let orphaned = processes.rush(customers[2], 10).await;
    assert_eq!(degraded(&orphaned), orphaned.len());
    // Each process goes on with the 24 that it had let pass itself.
    assert_eq!(allowed(&orphaned), 2 * 60 - 48);
    cluster.nodes[2].again();
    processes.share().await;
    until("a whole cluster", async || cluster.nodes.iter().all(|node| cluster.is_whole(node))).await;
    until("answers of Redis", async || !is_degraded(&processes.seen(0, customers[2]).await)).await;
    until("answers of Redis", async || !is_degraded(&processes.seen(1, customers[2]).await)).await;
    let answers = processes.rush(customers[2], 10).await;
    assert_eq!((allowed(&answers), degraded(&answers)), (60, 0), "it came back with nothing in it");
}

#[tokio::test]
async fn a_node_that_hangs_keeps_nobody_waiting_who_asks_another() {
    let cluster = Cluster::start().await;
    let timeout = |setup: Setup| setup.variable("PLIMSOLL_REDIS_TIMEOUT_MILLIS", "2000");
    let processes = processes(2, 40, |_, setup| timeout(patient(setup, &cluster.urls()))).await;
    processes.share().await;
    let customers = cluster.one_of_each(&processes.customers);
    cluster.nodes[2].signal("STOP");
    // From the first moment on, before anybody knows.
    let (first, second) = tokio::join!(processes.rush(customers[0], 10), processes.rush(customers[2], 10));
    assert_eq!((allowed(&first), degraded(&first)), (60, 0));
    assert_eq!((allowed(&second), degraded(&second)), (120, 160), "60 in each process");
    let answers = processes.rush(customers[1], 10).await;
    assert_eq!((allowed(&answers), degraded(&answers)), (60, 0));
    cluster.nodes[2].signal("CONT");
    for number in 0..2 {
        until("answers of Redis", async || !is_degraded(&processes.seen(number, customers[2]).await)).await;
    }
}

#[tokio::test]
async fn windows_that_move_to_another_node_are_found_there() {
    let cluster = Cluster::start().await;
    let processes = processes(2, 20, |_, setup| patient(setup, &cluster.urls())).await;
    processes.share().await;
    let customer = cluster.one_of_each(&processes.customers)[0];
    assert_eq!(allowed(&processes.rush(customer, 2).await), 32);
    let (from, to, slot) = (&cluster.nodes[0], &cluster.nodes[1], cluster.slot(customer).to_string());
    let id = |node: &Redis| node.ask(&["CLUSTER", "MYID"]);
    let (source, target) = (id(from), id(to));
    assert_eq!(to.ask(&["CLUSTER", "SETSLOT", &slot, "IMPORTING", &source]), "OK");
    assert_eq!(from.ask(&["CLUSTER", "SETSLOT", &slot, "MIGRATING", &target]), "OK");
    assert_eq!(from.ask(&["MIGRATE", "127.0.0.1", &to.port.to_string(), &window(customer), "0", "5000"]), "OK");
    for node in [to, from] {
        assert_eq!(node.ask(&["CLUSTER", "SETSLOT", &slot, "NODE", &target]), "OK");
    }
    let answers = processes.rush(customer, 10).await;
    assert_eq!((allowed(&answers), degraded(&answers)), (28, 0));
    assert_eq!(to.ask(&["LLEN", &window(customer)]), "60");
}

#[tokio::test]
async fn several_servers_that_are_no_cluster_are_not_taken_for_one() {
    let (one, other) = (Redis::start(), Redis::start());
    let urls = format!("{},{}", one.url(), other.url());
    let processes = processes(1, 1, |_, setup| patient(setup, &urls)).await;
    let server = &processes.all[0];
    until("a word in the log", async || server.stderr.text().contains("no node of a cluster")).await;
    assert!(is_degraded(&processes.authorize(0, &processes.customers[0]).await));
}

//! A customer, a proxy, a product, and Plimsoll beside them.

use std::time::Duration;

use reqwest::{Client, Method, RequestBuilder};
use serde_json::{Value, json};

use super::product::Product;
use super::proxy::{Kind, Proxy};
use crate::harness::{Actor, Answer, Plimsoll};

/// The longest that one answer may take.
const PATIENCE: Duration = Duration::from_secs(30);

pub(super) struct Front {
    pub(super) server: Plimsoll,
    pub(super) product: Product,
    pub(super) proxy: Proxy,
    client: Client,
}

impl Front {
    /// A product whose plan is 60 requests a minute for each API key and 1000 a day for each org, which `acme` has.
    pub(super) async fn of(kind: Kind) -> Self {
        let server = Plimsoll::start().await;
        let plan = json!({
            "limitKeys": {
                "calls": {"kind": "rate", "windowSeconds": 60, "bucket": "v1Api", "perRequest": true, "default": {"max": 60}},
                "requests": {"kind": "quota", "window": "day", "label": "API request", "perRequest": true, "default": {"max": 1000}},
            },
            "tiers": {"free": {}},
        });
        server.admin().put_catalog(&plan).await.is(200);
        server.admin().put_org("acme", "free").await.is(201);
        let product = Product::start().await;
        let proxy = Proxy::start(kind, server.address(), product.address);
        Self { server, product, proxy, client: client() }
    }

    /// A customer with a new key of `acme`.
    pub(super) async fn customer(&self, scopes: &[&str]) -> Actor {
        self.server.key(scopes, Some("acme")).await
    }

    /// A request to the product, through the proxy.
    pub(super) fn request(&self, customer: &Actor, method: &str, target: &str) -> RequestBuilder {
        let method = Method::from_bytes(method.as_bytes()).expect("a method");
        let request = self.client.request(method, format!("http://{}{target}", self.proxy.address));
        match customer.secret() {
            "" => request,
            secret => request.bearer_auth(secret),
        }
    }

    pub(super) async fn call(&self, customer: &Actor, method: &str, target: &str) -> Answer {
        answer(self.request(customer, method, target)).await
    }

    /// What Plimsoll itself tells about the same request of the customer. It is asked as a proxy asks, so it counts as well.
    pub(super) async fn told(&self, customer: &Actor, method: &str, target: &str) -> Answer {
        let asked = customer.request("GET", "/v1/forward-auth");
        asked.header("X-Forwarded-Method", method).header("X-Forwarded-Uri", target).send().await
    }
}

/// A customer's client.
pub(super) fn client() -> Client {
    Client::builder().no_proxy().timeout(PATIENCE).build().expect("a client")
}

/// Sends a request and reads the answer.
pub(super) async fn answer(request: RequestBuilder) -> Answer {
    let response = request.send().await.unwrap_or_else(|error| panic!("{error:?}"));
    let (asked, status, headers) = (response.url().to_string(), response.status().as_u16(), response.headers().clone());
    let bytes = response.bytes().await.unwrap_or_else(|error| panic!("{asked}: {error:?}"));
    Answer::new(asked, status, headers, &bytes)
}

/// The values of a header that came through to the product.
pub(super) fn arrived<'a>(answer: &'a Answer, name: &str) -> Vec<&'a str> {
    let headers = answer.is(200).body["headers"].as_array().expect("what the product got");
    headers.iter().filter(|header| header[0] == name).filter_map(|header| header[1].as_str()).collect()
}

/// What came through to the product: method, target and body.
pub(super) fn came_through(answer: &Answer) -> [&Value; 3] {
    ["method", "target", "body"].map(|part| &answer.is(200).body[part])
}

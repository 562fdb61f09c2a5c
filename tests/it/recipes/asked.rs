//! What Plimsoll is asked by a proxy.

use serde_json::json;

use super::BOTH;
use super::front::{answer, client};
use super::product::Product;
use super::proxy::{Kind, Proxy};

#[tokio::test]
async fn nothing_of_a_request_goes_to_plimsoll_but_what_is_judged() {
    for kind in BOTH {
        // What stands where Plimsoll would says yes to everything and shows what it was asked.
        let (plimsoll, product) = (Product::start().await, Product::start().await);
        let proxy = Proxy::start(kind, plimsoll.address, product.address);
        let mut request = client().post(format!("http://{}/api/v1/creators?x=a%2Fb", proxy.address)).bearer_auth("a-key");
        for name in
            ["X-Forwarded-Method", "X-Forwarded-Uri", "X-Original-Method", "X-Original-URI", "X-Forwarded-For", "Cookie"]
        {
            request = request.header(name, "forged");
        }
        request = request.header("Plimsoll-At-Least", "9").header("Idempotency-Key", "forged").body("a body".repeat(10_000));
        answer(request).await.is(200);
        let [asked] = &plimsoll.got()[..] else { panic!("{kind:?}: {:?}", plimsoll.got()) };
        let (method, own): (_, &[&str]) = match kind {
            Kind::Nginx => ("HEAD", &["host"]),
            Kind::HaProxy => ("GET", &["host", "accept", "user-agent"]),
        };
        let target = json!("/v1/forward-auth?denyStatus=403");
        assert_eq!([&asked["method"], &asked["target"], &asked["body"]], [&json!(method), &target, &json!("")], "{kind:?}");
        let headers = asked["headers"].as_array().expect("headers");
        let mut sent: Vec<_> = headers.iter().filter(|header| !own.iter().any(|name| header[0] == *name)).collect();
        sent.sort_by_key(|header| header[0].as_str().map(str::to_owned));
        let expected = [
            json!(["authorization", "Bearer a-key"]),
            json!(["x-forwarded-for", "127.0.0.1"]),
            json!(["x-original-method", "POST"]),
            json!(["x-original-uri", "/api/v1/creators?x=a%2Fb"]),
        ];
        assert_eq!(sent, expected.iter().collect::<Vec<_>>(), "{kind:?}");
    }
}

#[tokio::test]
async fn plimsoll_is_asked_over_connections_that_stay_open() {
    for kind in BOTH {
        let (plimsoll, product) = (Product::start().await, Product::start().await);
        let proxy = Proxy::start(kind, plimsoll.address, product.address);
        for _ in 0..40 {
            answer(client().get(format!("http://{}/", proxy.address))).await.is(200);
        }
        // HAProxy may have one for each of its threads, of which it starts as many as there are cores.
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        assert!((1..=cores).contains(&plimsoll.connections()), "{kind:?}: {}", plimsoll.connections());
    }
}

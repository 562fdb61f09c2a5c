//! A proxy that gets no answer from Plimsoll lets nothing pass.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::BOTH;
use super::front::{Front, answer, client};
use super::product::Product;
use super::proxy::{Kind, Proxy};
use crate::harness::{Actor, Answer};

fn is_closed(answer: &Answer) {
    assert_eq!(answer.fails(503, "unavailable").headers["retry-after"], "1", "{}", answer.asked);
    assert_eq!(answer.headers["content-type"], "application/json", "{}", answer.asked);
}

async fn nothing_passes(front: &Front, customer: &Actor) {
    let passed = front.product.requests();
    is_closed(&front.call(customer, "GET", "/").await);
    is_closed(&front.call(&front.server.anonymous(), "POST", "/").await);
    assert_eq!(front.product.requests(), passed);
}

#[tokio::test]
async fn while_plimsoll_does_not_answer_nothing_passes() {
    for kind in BOTH {
        let front = Front::of(kind).await;
        let customer = front.customer(&["read"]).await;
        front.call(&customer, "GET", "/").await.is(200);
        front.server.signal("STOP");
        nothing_passes(&front, &customer).await;
        front.server.signal("CONT");
        front.call(&customer, "GET", "/").await.is(200);
    }
}

#[tokio::test]
async fn when_plimsoll_has_stopped_nothing_passes() {
    for kind in BOTH {
        let front = Front::of(kind).await;
        let customer = front.customer(&["read"]).await;
        front.call(&customer, "GET", "/").await.is(200);
        front.server.signal("KILL");
        nothing_passes(&front, &customer).await;
    }
}

#[tokio::test]
async fn what_is_no_answer_lets_nothing_pass_and_is_asked_for_once() {
    for kind in BOTH {
        for status in [Some(204), Some(302), Some(404), Some(500), Some(503), None] {
            let (plimsoll, product) = (Product::saying(status).await, Product::start().await);
            let proxy = Proxy::start(kind, plimsoll.address, product.address);
            let told = answer(client().get(format!("http://{}/", proxy.address))).await;
            // nginx takes every 2xx for a yes.
            let is_yes = kind == Kind::Nginx && status == Some(204);
            assert_eq!((told.status, product.requests()), if is_yes { (200, 1) } else { (503, 0) }, "{kind:?} {status:?}");
            assert_eq!(plimsoll.requests(), 1, "{kind:?} {status:?}: each question counts");
        }
    }
}

#[tokio::test]
async fn an_error_in_the_script_of_haproxy_lets_nothing_pass() {
    let product = Product::start().await;
    let broken = |text: String| text.replace("local answer = ask(txn, socket)", "error('broken')");
    let proxy = Proxy::with(Kind::HaProxy, product.address, product.address, broken);
    let told = answer(client().get(format!("http://{}/", proxy.address))).await;
    assert_eq!((told.status, product.requests()), (503, 0), "{}", told.text);
}

#[tokio::test]
async fn what_plimsoll_cannot_judge_is_told_as_what_it_is() {
    for kind in BOTH {
        let front = Front::of(kind).await;
        let customer = front.customer(&["read"]).await;
        // nginx passes on what is not ASCII in a path; HAProxy refuses it by itself.
        let mut stream = TcpStream::connect(front.proxy.address).await.expect("a connection");
        let secret = customer.secret();
        let request =
            format!("GET /caf\u{e9} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {secret}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.expect("a proxy that reads");
        let mut text = String::new();
        stream.read_to_string(&mut text).await.expect("an answer");
        assert!(text.starts_with("HTTP/1.1 400 ") || text.starts_with("HTTP/1.0 400 "), "{kind:?}: {text}");
        assert_eq!(front.product.requests(), 0, "{kind:?}");
    }
}

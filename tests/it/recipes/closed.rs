//! A proxy that gets no answer from Plimsoll lets nothing pass.

use super::BOTH;
use super::front::Front;
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
async fn what_plimsoll_cannot_judge_is_told_as_what_it_is() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    for kind in BOTH {
        let front = Front::of(kind).await;
        let customer = front.customer(&["read"]).await;
        // nginx passes on what is not ASCII in a path; HAProxy refuses it by itself.
        let mut stream = tokio::net::TcpStream::connect(front.proxy.address).await.expect("a connection");
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

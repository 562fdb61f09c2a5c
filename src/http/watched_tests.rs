//! Connections whose peers keep them waiting, with a patience of milliseconds.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::time::timeout;

use super::*;

const LONG: Duration = Duration::from_secs(20);

/// Both ends of a connection, of which ours has this patience in ticks of 20 milliseconds.
async fn connected(idle: u32, request: u32, answer: u32) -> (Watched, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let peer = TcpStream::connect(listener.local_addr().expect("an address")).await.expect("a connection");
    let (stream, _) = listener.accept().await.expect("a connection");
    (Watched::new(stream, Patience { tick: Duration::from_millis(20), idle, request, answer }), peer)
}

/// What ends a wait that must end.
async fn end<T>(waiting: impl Future<Output = io::Result<T>>) -> io::ErrorKind {
    timeout(LONG, waiting).await.expect("an end").err().expect("an error").kind()
}

#[tokio::test]
async fn a_peer_that_sends_nothing_is_taken_for_one_that_is_done() {
    let (mut ours, _peer) = connected(3, 1_000, 1_000).await;
    let begun = Instant::now();
    assert_eq!(end(ours.read_u8()).await, io::ErrorKind::UnexpectedEof);
    assert!(begun.elapsed() >= Duration::from_millis(60), "after {:?}", begun.elapsed());
}

#[tokio::test]
async fn a_request_that_goes_on_and_on_is_cut() {
    let (mut ours, mut peer) = connected(1_000, 3, 1_000).await;
    let dripping = tokio::spawn(async move {
        let mut drop_by_drop = tokio::time::interval(Duration::from_millis(5));
        while peer.write_all(b"x").await.is_ok() {
            drop_by_drop.tick().await;
        }
    });
    let reading = async {
        loop {
            ours.read_u8().await?;
        }
    };
    assert_eq!(end::<()>(reading).await, io::ErrorKind::TimedOut);
    drop(ours);
    timeout(LONG, dripping).await.expect("a peer that notices").expect("no panic");
}

#[tokio::test]
async fn a_request_that_is_answered_has_its_time_again_and_again() {
    let (mut ours, mut peer) = connected(1_000, 10, 1_000).await;
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_millis(600) {
        peer.write_all(b"x").await.expect("a connection");
        assert_eq!(ours.read_u8().await.expect("a request"), b'x');
        ours.write_all(b"y").await.expect("a connection");
        assert_eq!(peer.read_u8().await.expect("an answer"), b'y');
    }
}

#[tokio::test]
async fn a_peer_that_does_not_read_is_cut_and_nothing_more_is_read_of_it() {
    let (ours, mut peer) = connected(1_000, 1_000, 5).await;
    peer.write_all(b"more").await.expect("a connection");
    let answer = vec![0; 1 << 26];
    let (mut reader, mut writer) = tokio::io::split(ours);
    let mut writing = Box::pin(async move { writer.write_all(&answer).await });
    // It waits for its peer.
    assert!(futures_util::poll!(writing.as_mut()).is_pending());
    let mut byte = [0];
    assert!(futures_util::poll!(Box::pin(reader.read(&mut byte))).is_pending(), "what it sends is left with it");
    assert_eq!(end(writing).await, io::ErrorKind::TimedOut);
    drop(reader);
    let mut received = Vec::new();
    let ended = timeout(LONG, peer.read_to_end(&mut received)).await.expect("an end");
    assert_eq!(ended.err().map(|error| error.kind()), Some(io::ErrorKind::ConnectionReset), "what was not read is thrown away");
}

#[tokio::test]
async fn a_peer_that_reads_slowly_gets_its_whole_answer_and_is_read_again() {
    let (mut ours, mut peer) = connected(1_000, 1_000, 5).await;
    let answer = vec![7; 1 << 24];
    let length = answer.len();
    let reading = tokio::spawn(async move {
        let mut piece = vec![0; 1 << 17];
        let (mut received, mut slowly) = (0, tokio::time::interval(Duration::from_millis(5)));
        while received < length {
            slowly.tick().await;
            received += peer.read(&mut piece).await.expect("an answer");
        }
        peer.write_all(b"next").await.expect("a connection");
        peer
    });
    timeout(LONG, ours.write_all(&answer)).await.expect("an end").expect("a reader");
    let mut next = [0; 4];
    timeout(LONG, ours.read_exact(&mut next)).await.expect("an end").expect("the next request");
    assert_eq!(&next, b"next");
    reading.await.expect("a reader");
}

#[tokio::test]
async fn what_is_sent_ahead_waits_until_the_request_before_it_is_answered() {
    let (mut ours, mut peer) = connected(1_000, 1_000, 1_000).await;
    peer.write_all(b"1").await.expect("a connection");
    assert_eq!(ours.read_u8().await.expect("a request"), b'1');
    let serving = ours.serving().begin();
    peer.write_all(b"23").await.expect("a connection");
    let (mut reader, mut writer) = tokio::io::split(ours);
    let mut byte = [0];
    let mut reading = Box::pin(reader.read_exact(&mut byte));
    assert!(timeout(Duration::from_millis(50), reading.as_mut()).await.is_err());
    drop(serving);
    writer.write_all(b"answer").await.expect("a connection");
    timeout(LONG, reading).await.expect("an end").expect("the next request");
    assert_eq!(byte, *b"2");
    timeout(LONG, reader.read_exact(&mut byte)).await.expect("an end").expect("the next request");
    assert_eq!(byte, *b"3");
}

#[tokio::test]
async fn a_body_that_is_wanted_is_read_while_its_request_is_served() {
    let (mut ours, mut peer) = connected(1_000, 1_000, 1_000).await;
    let serving = ours.serving();
    let served = serving.begin();
    let wanting = serving.want_body();
    let body = vec![5; 100_000];
    peer.write_all(&body).await.expect("a connection");
    let mut received = vec![0; body.len()];
    timeout(LONG, ours.read_exact(&mut received)).await.expect("an end").expect("a body");
    assert_eq!(received, body);
    drop(wanting);
    peer.write_all(b"x").await.expect("a connection");
    assert!(timeout(Duration::from_millis(50), ours.read_u8()).await.is_err(), "it is served still");
    drop(served);
    assert_eq!(timeout(LONG, ours.read_u8()).await.expect("an end").expect("the next request"), b'x');
}

#[tokio::test]
async fn requests_are_read_in_slices() {
    let (mut ours, mut peer) = connected(1_000, 1_000, 1_000).await;
    peer.write_all(&[6; 10 * SLICE]).await.expect("a connection");
    let mut received = vec![0; 10 * SLICE];
    ours.stream.readable().await.expect("a connection");
    let first = {
        let mut buffer = ReadBuf::new(&mut received);
        while futures_util::poll!(std::future::poll_fn(|context| Pin::new(&mut ours).poll_read(context, &mut buffer)))
            .is_ready()
        {}
        buffer.filled().len()
    };
    assert_eq!(first, SLICE);
    timeout(LONG, ours.read_exact(&mut received[SLICE..])).await.expect("an end").expect("the rest");
    assert!(received.iter().all(|byte| *byte == 6));
}

#[tokio::test]
async fn an_answer_that_came_before_the_whole_request_is_not_lost() {
    let (mut ours, peer) = connected(1_000, 1_000, 1_000).await;
    let (mut answers, mut requests) = peer.into_split();
    let sending = tokio::spawn(async move { requests.write_all(&vec![0; 10_000_000]).await });
    assert_eq!(ours.read_u8().await.expect("its beginning"), 0);
    let closing = async {
        ours.write_all(b"no").await?;
        ours.shutdown().await
    };
    let mut received = Vec::new();
    let all = async { tokio::join!(closing, sending, answers.read_to_end(&mut received)) };
    let (closed, sent, read) = timeout(LONG, all).await.expect("an end");
    closed.expect("closed");
    sent.expect("no panic").expect("all of it is taken");
    read.expect("no reset");
    assert_eq!(received, b"no");
}

#[tokio::test]
async fn who_sends_for_ever_is_not_waited_for() {
    let (mut ours, mut peer) = connected(1_000, 1_000, 1_000).await;
    let sending = tokio::spawn(async move { while peer.write_all(b"more").await.is_ok() {} });
    assert_eq!(ours.read_u8().await.expect("its beginning"), b'm');
    timeout(LONG, ours.shutdown()).await.expect("an end").expect("closed");
    drop(ours);
    timeout(LONG, sending).await.expect("a peer that notices").expect("no panic");
}

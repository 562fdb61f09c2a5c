//! One connection through the proxy.

use std::sync::atomic::Ordering;
use std::sync::{Mutex, PoisonError};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::sync::watch;
use tokio::time::sleep;

use super::dialogue::{Dialogue, Heard};
use super::{Shared, Way};

/// How it ends.
enum End {
    /// As it does when one of the two closes it.
    Closed,
    Reset,
}

/// Carries what two say to each other, until it ends.
pub(super) async fn carry(mut client: TcpStream, mut server: TcpStream, shared: &Shared, begun: Way) {
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let dialogue = Mutex::default();
    let mut way = shared.way.subscribe();
    let (from_client, to_client) = client.split();
    let (from_server, to_server) = server.split();
    let end = tokio::select! {
        end = forth(from_client, to_server, shared, (begun, &dialogue)) => end,
        end = back(from_server, to_client, shared, (begun, &dialogue)) => end,
        _ = way.wait_for(|way| way.resets != begun.resets) => End::Reset,
    };
    if matches!(end, End::Reset) {
        reset(&client);
        reset(&server);
    }
}

/// Lets the connection end with a reset when it is dropped.
pub(super) fn reset(stream: &TcpStream) {
    // It may have ended already.
    let _ = stream.set_zero_linger();
}

async fn forth(
    mut from: ReadHalf<'_>,
    mut to: WriteHalf<'_>,
    shared: &Shared,
    (begun, dialogue): (Way, &Mutex<Dialogue>),
) -> End {
    let mut way = shared.way.subscribe();
    let mut bytes = vec![0; 65_536];
    loop {
        let read = from.read(&mut bytes).await;
        passable(&mut way, begun).await;
        let Ok(count @ 1..) = read else { return End::Closed };
        let may_pass =
            dialogue.lock().unwrap_or_else(PoisonError::into_inner).asks(&bytes[..count], |text| shared.fate_of(text));
        if !may_pass {
            shared.sprung.fetch_add(1, Ordering::SeqCst);
            return End::Reset;
        }
        if to.write_all(&bytes[..count]).await.is_err() {
            return End::Closed;
        }
    }
}

async fn back(
    mut from: ReadHalf<'_>,
    mut to: WriteHalf<'_>,
    shared: &Shared,
    (begun, dialogue): (Way, &Mutex<Dialogue>),
) -> End {
    let mut way = shared.way.subscribe();
    let mut bytes = vec![0; 65_536];
    loop {
        let read = from.read(&mut bytes).await;
        passable(&mut way, begun).await;
        let Ok(count @ 1..) = read else { return End::Closed };
        let Heard { told, has_swallowed } = dialogue.lock().unwrap_or_else(PoisonError::into_inner).hears(&bytes[..count]);
        let is_told = to.write_all(&told).await.is_ok();
        if has_swallowed {
            shared.sprung.fetch_add(1, Ordering::SeqCst);
            return End::Reset;
        }
        if !is_told {
            return End::Closed;
        }
    }
}

/// Waits as long as everything has to, and then until something may pass.
async fn passable(way: &mut watch::Receiver<Way>, begun: Way) {
    let delay = way.borrow().delay;
    if !delay.is_zero() {
        sleep(delay).await;
    }
    // There is somebody who can change it as long as there are connections.
    let _ = way.wait_for(|way| !way.is_silent && way.abandonments == begun.abandonments).await;
}

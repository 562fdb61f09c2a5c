//! A port that stays the same while the server behind it is away, and that nobody else is given meanwhile.

use std::fs::{self, File};
use std::net::TcpListener;
use std::path::Path;

/// Below those that the system hands out by itself: an outgoing connection must not sit on the port of a server that is to come back.
const PORTS: std::ops::Range<u16> = 12_000..32_000;

/// A port, reserved as long as this is kept.
pub(super) struct Port {
    pub(super) number: u16,
    /// Locked.
    _file: File,
}

impl Port {
    /// One that is free, and that no other test that follows the same rule has.
    pub(super) fn reserve() -> Self {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("ports");
        fs::create_dir_all(&folder).expect("a writable folder");
        let found = candidates().find_map(|number| {
            let file = File::create(folder.join(number.to_string())).ok()?;
            file.try_lock().ok()?;
            TcpListener::bind(("127.0.0.1", number)).ok()?;
            Some(Self { number, _file: file })
        });
        found.expect("a free port")
    }
}

/// All of them, each process beginning elsewhere.
fn candidates() -> impl Iterator<Item = u16> {
    let first = uuid::Uuid::new_v4().as_u128() % u128::from(PORTS.end - PORTS.start);
    let first = u16::try_from(first).expect("less than the number of ports");
    PORTS.map(move |port| PORTS.start + (port - PORTS.start + first) % (PORTS.end - PORTS.start))
}

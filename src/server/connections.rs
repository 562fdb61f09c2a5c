//! How many connections there may be at once, and the open files that they need.

use std::num::NonZero;
use std::thread;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Open files beside the connections: the database and its log, the log's reader, what a request opens for a moment.
const OTHER_FILES: u64 = 256;
/// Open files of a thread that answers requests.
const FILES_OF_A_WORKER: u64 = 8;

/// How connections are spread over the threads that answer requests.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Room {
    /// The threads.
    pub(super) workers: usize,
    /// How many connections each of them may have.
    pub(super) per_worker: usize,
}

impl Room {
    /// Room for so many connections, spread over so many threads or one for each core. If need be, and as far as the system lets
    /// it, the process may open more files from now on; if that is too few, there is room for fewer connections.
    pub(super) fn make(connections: u32, workers: Option<u16>) -> Self {
        let workers = workers.map_or_else(cores, usize::from);
        let others = u64::try_from(workers).unwrap_or(u64::MAX).saturating_mul(FILES_OF_A_WORKER).saturating_add(OTHER_FILES);
        let needed = u64::from(connections).saturating_add(others);
        let files = open_files(needed);
        let possible = possible(connections, files, others);
        if possible < connections {
            tracing::warn!(
                "PLIMSOLL_MAX_CONNECTIONS is {connections}, but with {files} open files there is room for {possible} connections: \
                 raise the limit of open files to {needed}"
            );
        }
        Self::spread(possible, workers)
    }

    /// Never more than `connections` in all, and each thread has at least one.
    fn spread(connections: u32, workers: usize) -> Self {
        let connections = usize::try_from(connections).unwrap_or(usize::MAX).max(1);
        let workers = workers.clamp(1, connections);
        Self { workers, per_worker: connections.checked_div(workers).unwrap_or(1) }
    }
}

fn cores() -> usize {
    thread::available_parallelism().map_or(1, NonZero::get)
}

/// How many connections there is room for when so many files may be open, of which others need some.
fn possible(connections: u32, files: u64, others: u64) -> u32 {
    // Where there are hardly any, half of them are for connections.
    let left = files.saturating_sub(others).max(files.checked_div(2).unwrap_or(0));
    u32::try_from(left).unwrap_or(u32::MAX).clamp(1, connections)
}

/// Lets the process open so many files if the system does. Answers how many it may open.
fn open_files(needed: u64) -> u64 {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let soft = current.unwrap_or(u64::MAX);
    let wanted = needed.min(maximum.unwrap_or(u64::MAX));
    if soft >= wanted {
        return soft;
    }
    match setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum }) {
        Ok(()) => wanted,
        Err(error) => {
            tracing::warn!(%error, "the limit of open files could not be raised");
            soft
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_are_spread_so_that_there_are_never_more_than_allowed() {
        assert_eq!(Room::spread(16_384, 2), Room { workers: 2, per_worker: 8_192 });
        assert_eq!(Room::spread(100, 3), Room { workers: 3, per_worker: 33 });
        assert_eq!(Room::spread(16, 64), Room { workers: 16, per_worker: 1 });
        assert_eq!(Room::spread(1, 8), Room { workers: 1, per_worker: 1 });
    }

    #[test]
    fn where_few_files_may_be_open_there_is_room_for_fewer_connections() {
        assert_eq!(possible(1_000, u64::MAX, 272), 1_000);
        assert_eq!(possible(1_000, 1_272, 272), 1_000);
        assert_eq!(possible(1_000, 1_271, 272), 999);
        assert_eq!(possible(1_000, 300, 272), 150);
        assert_eq!(possible(1_000, 0, 272), 1);
    }
}

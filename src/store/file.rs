//! What a file's first bytes say, read before `SQLite` may touch it.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use migration::{APPLICATION_ID, SCHEMA_VERSION};

/// How every `SQLite` file begins.
const MAGIC: &[u8] = b"SQLite format 3\0";
/// The header of the file and of its first page: all that is looked at.
const LOOKED_AT: u64 = 108;
/// The type of a first page that holds the whole list of tables.
const LEAF_PAGE: u8 = 13;

/// What a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Content {
    /// Nothing yet: an empty file, or a database without a single table, as a crash at the first start leaves it.
    Vacant,
    /// Plimsoll's, with the schema at this version or, when it crashed, a later one.
    Ours(u32),
    /// Plimsoll's, but written by a newer version of it.
    Newer(u32),
    /// A `SQLite` database of another program.
    Foreign,
    /// Not a `SQLite` database.
    Other,
}

/// Reads the first bytes of a file and says what it is.
pub(super) fn inspect(path: &Path) -> io::Result<Content> {
    let file = File::open(path)?;
    let length = file.metadata()?.len();
    let mut head = Vec::new();
    file.take(LOOKED_AT).read_to_end(&mut head)?;
    Ok(judge(&head, length))
}

fn judge(head: &[u8], length: u64) -> Content {
    if length == 0 {
        return Content::Vacant;
    }
    let (Some(application), Some(version), true) = (number(head, 68), number(head, 60), head.starts_with(MAGIC)) else {
        return Content::Other;
    };
    match (application, version) {
        (APPLICATION_ID, version) if version > SCHEMA_VERSION => Content::Newer(version),
        (APPLICATION_ID, version) => Content::Ours(version),
        (0, 0) if has_no_table(head, length) => Content::Vacant,
        _ => Content::Foreign,
    }
}

fn has_no_table(head: &[u8], length: u64) -> bool {
    let page_size = head.get(16..18).and_then(|bytes| <[u8; 2]>::try_from(bytes).ok()).map(u16::from_be_bytes);
    // The one size that does not fit its field, 65536, is written as 1.
    let page_size = page_size.map(|size| if size == 1 { 65_536 } else { u64::from(size) });
    Some(length) == page_size && head.get(100) == Some(&LEAF_PAGE) && head.get(103..105) == Some(&[0, 0])
}

fn number(head: &[u8], at: usize) -> Option<u32> {
    let bytes = head.get(at..at.checked_add(4)?)?;
    bytes.try_into().ok().map(u32::from_be_bytes)
}

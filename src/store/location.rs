//! Where the database is: the URL, taken apart and judged before anything is opened.

use std::path::{Path, PathBuf};

use super::open::OpenError;
use super::postgres::Server;

/// How the URL says that the file is to be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// `ro`
    ReadOnly,
    /// `rw`, also when nothing is said.
    ReadWrite,
    /// `rwc`
    Create,
}

/// Where a database is.
#[derive(Clone)]
pub(super) enum Place {
    /// In a file.
    File(Location),
    /// At a server.
    Server(Box<Server>),
}

impl Place {
    /// From the URL of a file or of a server.
    pub(super) fn parse(url: &str) -> Result<Self, OpenError> {
        match url.split_once(':') {
            Some(("postgres" | "postgresql", _)) => Server::parse(url).map(|server| Self::Server(Box::new(server))),
            _ => Location::parse(url).map(Self::File),
        }
    }
}

/// A file, and how to open it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Location {
    pub(super) path: PathBuf,
    pub(super) mode: Mode,
}

impl Location {
    /// From `sqlite://relative.db?mode=rwc`, `sqlite:///absolute/path.db` or `sqlite:file.db`.
    pub(super) fn parse(url: &str) -> Result<Self, OpenError> {
        let (scheme, rest) = url.split_once(':').ok_or(OpenError::NoScheme)?;
        match scheme {
            "sqlite" => {}
            "postgres" | "postgresql" => return Err(OpenError::Server("it is not a file")),
            _ => return Err(OpenError::Scheme { scheme: scheme.to_owned() }),
        }
        let rest = rest.strip_prefix("//").unwrap_or(rest);
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        // What stands behind the path may be a password that was meant for another database.
        let malformed = |problem: &str| OpenError::Url { url: format!("{scheme}://{path}"), problem: problem.to_owned() };
        if has_password(path) {
            return Err(OpenError::Url {
                url: format!("{scheme}://…"),
                problem: "a file has no user and no password".to_owned(),
            });
        }
        let path = decode(path).ok_or_else(|| malformed("a % in it is not followed by two hexadecimal digits of UTF-8"))?;
        let mode = mode(query).map_err(|problem| malformed(&problem))?;
        match (path.as_str(), mode) {
            (":memory:", _) | (_, None) => Err(OpenError::Memory),
            ("", Some(_)) => Err(malformed("it names no file")),
            (path, Some(_)) if path.contains('\0') => Err(malformed("the file name holds U+0000")),
            (path, Some(mode)) => Ok(Self { path: PathBuf::from(path), mode }),
        }
    }

    /// The directory that the file is in.
    pub(super) fn directory(&self) -> &Path {
        let parent = self.path.parent().filter(|parent| !parent.as_os_str().is_empty());
        parent.unwrap_or_else(|| Path::new("."))
    }
}

/// Whether there is a user with a password before the first slash, as in the URL of a server.
fn has_password(path: &str) -> bool {
    let host = path.split('/').next().unwrap_or_default();
    host.split_once('@').is_some_and(|(user, _)| user.contains(':'))
}

/// The mode that the query names; nothing for a database in memory.
fn mode(query: &str) -> Result<Option<Mode>, String> {
    let mut mode = Mode::ReadWrite;
    for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
        mode = match parameter {
            "mode=ro" => Mode::ReadOnly,
            "mode=rw" => Mode::ReadWrite,
            "mode=rwc" => Mode::Create,
            "mode=memory" => return Ok(None),
            _ => {
                let (name, _) = parameter.split_once('=').unwrap_or((parameter, ""));
                return Err(format!("the only parameter is mode (ro, rw or rwc), not {name}"));
            }
        };
    }
    Ok(Some(mode))
}

/// Undoes percent-encoding.
fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    loop {
        rest = match rest {
            [] => return String::from_utf8(bytes).ok(),
            [b'%', high, low, rest @ ..] => {
                let digits = [*high, *low];
                let digits = std::str::from_utf8(&digits).ok().filter(|digits| !digits.contains('+'))?;
                bytes.push(u8::from_str_radix(digits, 16).ok()?);
                rest
            }
            [b'%', ..] => return None,
            [byte, rest @ ..] => {
                bytes.push(*byte);
                rest
            }
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_name_a_file_and_a_mode() {
        let good = [
            ("sqlite://plimsoll.db?mode=rwc", "plimsoll.db", Mode::Create),
            ("sqlite:///var/lib/p.db", "/var/lib/p.db", Mode::ReadWrite),
            ("sqlite:file.db?mode=ro", "file.db", Mode::ReadOnly),
            ("sqlite://a%20b.db", "a b.db", Mode::ReadWrite),
            ("sqlite://plan@2:1.db", "plan@2:1.db", Mode::ReadWrite),
            ("sqlite:///a:b/c@d.db", "/a:b/c@d.db", Mode::ReadWrite),
        ];
        for (url, path, mode) in good {
            assert_eq!(Location::parse(url).ok(), Some(Location { path: path.into(), mode }), "{url}");
        }
    }

    #[test]
    fn other_urls_are_refused_with_a_sentence_that_shows_no_password() {
        let bad = [
            ("postgres://user:hunter2@db/plimsoll", "PostgreSQL"),
            ("mysql://user:hunter2@db/plimsoll", "mysql"),
            ("plimsoll.db", "scheme"),
            ("sqlite::memory:", "memory"),
            ("sqlite://x.db?mode=memory", "memory"),
            ("sqlite://", "names no file"),
            ("sqlite://x.db?cache=shared", "not cache"),
            ("sqlite://x.db?password=hunter2", "not password"),
            ("sqlite://x.db?hunter=1&password=hunter2", "not hunter"),
            ("sqlite://user:hunter2@db/plimsoll", "no user and no password"),
            ("sqlite:user:hunter2@db", "no user and no password"),
            ("sqlite://x%2.db", "%"),
        ];
        for (url, named) in bad {
            let sentence = Location::parse(url).expect_err(url).to_string();
            assert!(sentence.contains(named) && !sentence.contains("hunter2"), "{url}: {sentence}");
        }
    }
}

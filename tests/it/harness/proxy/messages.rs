//! What goes over a connection to PostgreSQL, as far as one has to see it.

/// Requests in place of a start, by their codes.
const CANCEL: u32 = 80_877_102;
const TLS: u32 = 80_877_103;
const GSS: u32 = 80_877_104;

/// What a client sends before anything else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Start {
    /// It begins.
    Session,
    /// It asks whether it may encrypt: the answer is one byte.
    Encryption,
    /// It cancels another's statement: there is no answer.
    Cancel,
}

/// Bytes of which only whole messages are taken.
#[derive(Default)]
pub(super) struct Received(Vec<u8>);

impl Received {
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    /// The next start of a session, which has no type.
    pub(super) fn start(&mut self) -> Option<Start> {
        let message = self.whole(0)?;
        let code = number(message.get(4..8).unwrap_or_default());
        Some(match code {
            TLS | GSS => Start::Encryption,
            CANCEL => Start::Cancel,
            _ => Start::Session,
        })
    }

    /// The next message, with its type before its length.
    pub(super) fn message(&mut self) -> Option<Vec<u8>> {
        self.whole(1)
    }

    /// One byte that is no message.
    pub(super) fn byte(&mut self) -> Option<u8> {
        (!self.0.is_empty()).then(|| self.0.remove(0))
    }

    /// All the rest.
    pub(super) fn rest(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.0)
    }

    /// A message whose length, which does not count the type, stands behind so many bytes.
    fn whole(&mut self, before: usize) -> Option<Vec<u8>> {
        let length = before + usize::try_from(number(self.0.get(before..before + 4)?)).expect("a length");
        (self.0.len() >= length).then(|| self.0.drain(..length).collect())
    }
}

fn number(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0, |number, byte| number << 8 | u32::from(*byte))
}

/// The zero-terminated texts at the beginning of a message, behind its type and length.
pub(super) fn texts(message: &[u8]) -> impl Iterator<Item = String> {
    message.get(5..).unwrap_or_default().split(|byte| *byte == 0).map(|text| String::from_utf8_lossy(text).into_owned())
}

/// Whether a text ends with a statement that commits.
pub(super) fn is_commit(text: &str) -> bool {
    let last = text.split(';').map(str::trim).rfind(|statement| !statement.is_empty()).unwrap_or_default();
    let mut words = last.split_whitespace().map(str::to_ascii_uppercase);
    let first = words.next().unwrap_or_default();
    matches!(first.as_str(), "COMMIT" | "END") && words.next().is_none_or(|second| second != "PREPARED")
}

//! Which of the server's messages answer which of the client's. The server answers in order, and says after each simple query and after
//! each Sync that it is ready again.

use std::collections::{HashMap, VecDeque};

use super::Fate;
use super::messages::{Received, Start, texts};

/// One connection's.
#[derive(Default)]
pub(super) struct Dialogue {
    from_client: Received,
    from_server: Received,
    phase: Phase,
    /// What has been asked and is not answered yet, the oldest first.
    asked: VecDeque<Asked>,
    /// Prepared statements and portals: their texts by their names.
    statements: HashMap<String, String>,
    portals: HashMap<String, String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Phase {
    #[default]
    Starting,
    /// The next byte of the server says whether it encrypts.
    Encrypting,
    Talking,
    /// Encrypted, or not understood.
    Opaque,
}

#[derive(Default)]
struct Asked {
    is_complete: bool,
    is_swallowed: bool,
}

/// What becomes of what the server has sent.
pub(super) struct Heard {
    /// What the client is told.
    pub(super) told: Vec<u8>,
    /// Whether an answer was kept from it, in place of which its connection is reset.
    pub(super) has_swallowed: bool,
}

impl Dialogue {
    /// Takes note of what the client has sent, before the server gets it. False if the server must not get it.
    pub(super) fn asks(&mut self, bytes: &[u8], fate_of: impl Fn(&str) -> Option<Fate>) -> bool {
        self.from_client.push(bytes);
        while self.phase == Phase::Starting {
            let Some(start) = self.from_client.start() else { return true };
            self.phase = match start {
                Start::Session => Phase::Talking,
                Start::Encryption => Phase::Encrypting,
                Start::Cancel => Phase::Opaque,
            };
            if start == Start::Session {
                // The server says that it is ready when it has let the client in.
                self.asked.push_back(Asked { is_complete: true, is_swallowed: false });
            }
        }
        while self.phase == Phase::Talking
            && let Some(message) = self.from_client.message()
        {
            if self.note(&message, &fate_of) == Some(Fate::Lost) {
                return false;
            }
        }
        true
    }

    fn note(&mut self, message: &[u8], fate_of: impl Fn(&str) -> Option<Fate>) -> Option<Fate> {
        let mut texts = texts(message);
        let mut next = || texts.next().unwrap_or_default();
        let executed = match message[0] {
            b'Q' => Some(next()),
            b'P' => {
                self.statements.insert(next(), next());
                None
            }
            b'B' => {
                let (portal, statement) = (next(), next());
                self.portals.insert(portal, self.statements.get(&statement).cloned().unwrap_or_default());
                None
            }
            b'E' => self.portals.get(&next()).cloned(),
            b'S' | b'D' | b'C' | b'H' => None,
            _ => return None,
        };
        let fate = executed.and_then(|text| fate_of(&text));
        if self.asked.back().is_none_or(|asked| asked.is_complete) {
            self.asked.push_back(Asked::default());
        }
        let asked = self.asked.back_mut()?;
        asked.is_swallowed |= fate == Some(Fate::Answerless);
        asked.is_complete = matches!(message[0], b'Q' | b'S');
        fate
    }

    /// Takes note of what the server has sent, before the client gets it.
    pub(super) fn hears(&mut self, bytes: &[u8]) -> Heard {
        self.from_server.push(bytes);
        let mut heard = Heard { told: Vec::new(), has_swallowed: false };
        if self.phase == Phase::Encrypting
            && let Some(byte) = self.from_server.byte()
        {
            heard.told.push(byte);
            self.phase = if byte == b'N' { Phase::Starting } else { Phase::Opaque };
        }
        if self.phase == Phase::Opaque {
            heard.told.extend(self.from_server.rest());
        }
        while self.phase == Phase::Talking
            && let Some(message) = self.from_server.message()
        {
            let is_swallowed = self.asked.front().is_some_and(|asked| asked.is_swallowed);
            if !is_swallowed {
                heard.told.extend(&message);
            }
            if message[0] == b'Z' {
                self.asked.pop_front();
                heard.has_swallowed |= is_swallowed;
            }
        }
        heard
    }
}

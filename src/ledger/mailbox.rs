//! Answers travel to the threads that wait for them together: one that is told of many at once is woken once.
//!
//! To wake a caller on another thread costs a call to the kernel. The writer therefore hands each thread all of its answers of a
//! batch in one letter, and a task on that thread gives them out.

use std::cell::RefCell;
use std::mem;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{mpsc, oneshot};

use super::writer::Answer;
use crate::store::StoreError;

/// Who waits, and for what.
type Letter = Vec<(Reply, Result<Answer, StoreError>)>;
/// Where an answer is waited for.
pub(super) type Reply = oneshot::Sender<Result<Answer, StoreError>>;
/// Which mailbox.
pub(super) type Address = usize;

/// The mailboxes of one ledger.
pub(super) struct Mailboxes {
    /// Tells it from the other ledgers of the process.
    number: u64,
    boxes: Mutex<Vec<mpsc::UnboundedSender<Letter>>>,
}

/// How many ledgers the process has started.
static STARTED: AtomicU64 = AtomicU64::new(0);

thread_local! {
    /// The mailbox of this thread, and the ledger that it is of.
    static OWN: RefCell<Option<(u64, Address)>> = const { RefCell::new(None) };
}

impl Mailboxes {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self { number: STARTED.fetch_add(1, Ordering::Relaxed), boxes: Mutex::default() })
    }

    /// The mailbox of this thread. It is made when it is needed first.
    pub(super) fn own(&self) -> Address {
        let own = OWN.with_borrow(|own| own.filter(|(number, _)| *number == self.number));
        own.map_or_else(|| self.open(), |(_, address)| address)
    }

    fn open(&self) -> Address {
        let (sender, mut letters) = mpsc::unbounded_channel::<Letter>();
        tokio::spawn(async move {
            while let Some(letter) = letters.recv().await {
                for (reply, answer) in letter {
                    // A caller that hung up needs no answer.
                    reply.send(answer).ok();
                }
            }
        });
        let mut boxes = self.boxes();
        let address = boxes.len();
        boxes.push(sender);
        OWN.set(Some((self.number, address)));
        address
    }

    fn boxes(&self) -> MutexGuard<'_, Vec<mpsc::UnboundedSender<Letter>>> {
        self.boxes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The answers of a batch, by the threads that wait for them.
pub(super) struct Post {
    mailboxes: Arc<Mailboxes>,
    letters: Vec<Letter>,
}

impl Post {
    pub(super) const fn new(mailboxes: Arc<Mailboxes>) -> Self {
        Self { mailboxes, letters: Vec::new() }
    }

    /// Puts an answer to the others that go to the same place.
    pub(super) fn add(&mut self, to: Address, reply: Reply, answer: Result<Answer, StoreError>) {
        if self.letters.len() <= to {
            self.letters.resize_with(to.saturating_add(1), Letter::new);
        }
        match self.letters.get_mut(to) {
            Some(letter) => letter.push((reply, answer)),
            None => drop(reply.send(answer)),
        }
    }

    /// Sends everything off.
    pub(super) fn send(&mut self) {
        let boxes = self.mailboxes.boxes();
        for (letter, mailbox) in self.letters.iter_mut().zip(boxes.iter()).filter(|(letter, _)| !letter.is_empty()) {
            let room = letter.len();
            if let Err(mpsc::error::SendError(undelivered)) = mailbox.send(mem::replace(letter, Vec::with_capacity(room))) {
                // The thread's own runtime has ended: whoever waits elsewhere is told all the same.
                undelivered.into_iter().for_each(|(reply, answer)| drop(reply.send(answer)));
            }
        }
    }
}

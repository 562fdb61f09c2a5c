//! What a batch reads before it judges, and what it writes after.

use std::collections::HashSet;
use std::mem;
use std::time::Instant;

use sea_orm::DatabaseTransaction;

use super::batch::{Batch, Held, HeldChange, key_of};
use super::counters::{CounterKey, Counters, Known};
use super::operation::Operation;
use super::slot::{Sight, Slot};
use super::{rows, shared_rows};
use crate::domain::names::LimitKeyName;
use crate::domain::reservation::ReservationId;
use crate::store::{StoreError, write_events};

impl Batch {
    /// Reads everything that the operations need: from memory, and otherwise all of it in one statement for each table.
    pub(super) async fn load(
        &mut self,
        db: &DatabaseTransaction,
        counters: &Counters,
        operations: impl Iterator<Item = &Operation>,
    ) -> Result<(), StoreError> {
        let mut ids: Vec<&ReservationId> = Vec::new();
        for operation in operations {
            match operation {
                Operation::Nothing => {}
                Operation::Consume { org, takings } | Operation::Weigh { org, takings } => {
                    takings.iter().for_each(|taking| self.involve(org, taking));
                }
                Operation::Reserve { id: ReservationId { org, .. }, taking, .. }
                | Operation::Release { org, taking }
                | Operation::Reconcile { org, taking, .. } => self.involve(org, taking),
                Operation::Confirm { id, .. } | Operation::Cancel { id } => ids.push(id),
            }
        }
        for reservation in rows::reservations(db, &ids).await? {
            self.involve_key(key_of(&reservation).as_ref(), reservation.window.map(|span| span.end.get()));
            self.reservations.insert(reservation.id.clone(), Held { reservation, change: HeldChange::None });
        }
        match self.sight {
            Sight::Alone => self.fill(db, counters).await?,
            Sight::Shared => self.fill_shared(db, counters).await?,
            Sight::Locked => self.fill_locked(db, counters).await?,
        }
        if self.sight != Sight::Alone {
            // Read again, so that none of them is older than its counter.
            for reservation in rows::reservations(db, &ids).await? {
                self.reservations.insert(reservation.id.clone(), Held { reservation, change: HeldChange::None });
            }
        }
        self.expire();
        Ok(())
    }

    async fn fill(&mut self, db: &DatabaseTransaction, counters: &Counters) -> Result<(), StoreError> {
        let mut missing = Vec::new();
        for slot in &mut self.slots {
            match counters.get(&slot.key.as_ref()) {
                Some(known) => (slot.counter, slot.known_end) = (known.counter, known.window_end),
                None => missing.push(&slot.key),
            }
        }
        let mut found = rows::counters(db, &missing).await?;
        for slot in &mut self.slots {
            if let Some(counter) = found.remove(&slot.key) {
                slot.counter = counter;
            }
        }
        Ok(())
    }

    async fn fill_shared(&mut self, db: &DatabaseTransaction, counters: &Counters) -> Result<(), StoreError> {
        let mut missing = Vec::new();
        for slot in &mut self.slots {
            slot.next_version = shared_rows::first_version();
            match counters.get(&slot.key.as_ref()) {
                Some(known) => slot.remember(known),
                None => missing.push(&slot.key),
            }
        }
        let mut found = shared_rows::read(db, &missing).await?;
        for slot in &mut self.slots {
            if let Some(found) = found.remove(&slot.key) {
                slot.find(found);
            }
        }
        Ok(())
    }

    /// With a lock on the row of each counter, so that there has to be one: rows that another process makes meanwhile would be
    /// locked out of order. All locks are taken in the order of the keys.
    async fn fill_locked(&mut self, db: &DatabaseTransaction, counters: &Counters) -> Result<(), StoreError> {
        let mut slots: Vec<&mut Slot> = self.slots.iter_mut().collect();
        slots.sort_unstable_by(|a, b| a.key.cmp(&b.key));
        slots.iter_mut().for_each(|slot| slot.next_version = shared_rows::first_version());
        let has_row = |slot: &&mut Slot| counters.get(&slot.key.as_ref()).is_some_and(|known| known.version.is_some());
        let have_rows = slots.iter().all(has_row);
        let made = if have_rows { HashSet::new() } else { shared_rows::make(db, &slots).await? };
        let keys: Vec<&CounterKey> = slots.iter().map(|slot| &slot.key).collect();
        let mut found = if have_rows { shared_rows::lock(db, &keys).await? } else { shared_rows::read(db, &keys).await? };
        for slot in slots {
            slot.is_made = made.contains(&slot.key);
            if let Some(found) = found.remove(&slot.key) {
                slot.find(found);
            }
        }
        Ok(())
    }

    /// Pins what was shown beside something that is changed: whoever sees the one as it will be must not see the other as it will
    /// have become meanwhile.
    fn pin(&mut self) {
        for places in mem::take(&mut self.shown) {
            if places.iter().any(|place| self.slots.get(*place).is_some_and(|slot| slot.is_changed)) {
                places.into_iter().for_each(|place| {
                    self.slots.get_mut(place).map(Slot::pin);
                });
            }
        }
    }

    /// Writes what has changed, in the order of the keys.
    pub(super) async fn write(&mut self, db: &DatabaseTransaction, noted: &HashSet<LimitKeyName>) -> Result<(), StoreError> {
        self.pin();
        let mut written: Vec<&Slot> = self.slots.iter().filter(|slot| slot.is_written()).collect();
        written.sort_unstable_by(|a, b| a.key.cmp(&b.key));
        match self.sight {
            Sight::Alone => rows::write_counters(db, &written).await?,
            Sight::Shared | Sight::Locked => {
                // What was judged and is not written has to hold as well.
                let judged: Vec<&Slot> = self.slots.iter().filter(|slot| slot.is_remembered && !slot.is_written()).collect();
                shared_rows::still_hold(db, &judged).await?;
                shared_rows::write(db, &written).await?;
                let unused: Vec<&Slot> = self.slots.iter().filter(|slot| slot.is_unused()).collect();
                shared_rows::unmake(db, &unused).await?;
            }
        }
        let of = |change| self.reservations.values().filter(move |held| held.change == change).map(|held| &held.reservation);
        rows::write_reservations(db, of(HeldChange::Made).collect()).await?;
        rows::settle_reservations(db, of(HeldChange::Settled).collect()).await?;
        rows::note_limit_keys(db, self.noted.difference(noted).collect()).await?;
        // After the counters: where others write too, what follows from their changes is inserted after theirs.
        write_events(db, &self.events).await
    }

    /// Shows what was committed to whoever asks.
    /// `at` is a moment before it was read.
    pub(super) fn publish(self, counters: &Counters, at: Instant) {
        for slot in self.slots {
            let (version, window_end) = (slot.version_after(), slot.known_end_after());
            counters.put(slot.key, Known { counter: slot.counter, version, window_end, at });
        }
    }
}

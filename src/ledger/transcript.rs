//! What a batch reads before it judges, and what it writes after.

use std::collections::HashSet;
use std::time::Instant;

use sea_orm::DatabaseTransaction;

use super::batch::{Batch, Held, HeldChange, key_of};
use super::counters::{Counters, Known};
use super::operation::Operation;
use super::slot::{Sight, Slot};
use super::{rows, shared_rows};
use crate::domain::names::LimitKeyName;
use crate::domain::reservation::ReservationId;
use crate::store::StoreError;

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
            Sight::Shared | Sight::Locked => {
                self.fill_shared(db, counters).await?;
                // Read again, so that none of them is older than its counter.
                for reservation in rows::reservations(db, &ids).await? {
                    self.reservations.insert(reservation.id.clone(), Held { reservation, change: HeldChange::None });
                }
            }
        }
        self.expire();
        Ok(())
    }

    async fn fill(&mut self, db: &DatabaseTransaction, counters: &Counters) -> Result<(), StoreError> {
        let mut missing = Vec::new();
        for slot in &mut self.slots {
            match counters.get(&slot.key.as_ref()) {
                Some(known) => slot.counter = known.counter,
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
            match counters.get(&slot.key.as_ref()).filter(|_| self.sight == Sight::Shared) {
                Some(known) => slot.remember(known),
                None => missing.push(&slot.key),
            }
        }
        // A fixed order of reading is a fixed order of locking.
        missing.sort_unstable();
        let mut found = match self.sight {
            Sight::Locked => shared_rows::lock(db, &missing).await?,
            Sight::Shared | Sight::Alone => shared_rows::read(db, &missing).await?,
        };
        for slot in &mut self.slots {
            if let Some((counter, version)) = found.remove(&slot.key) {
                (slot.counter, slot.version) = (counter, version);
            }
            slot.next_version = slot.version.map_or_else(shared_rows::first_version, |version| version.saturating_add(1));
        }
        Ok(())
    }

    /// Writes what has changed, in the order of the keys.
    pub(super) async fn write(&self, db: &DatabaseTransaction, noted: &HashSet<LimitKeyName>) -> Result<(), StoreError> {
        let mut changed: Vec<&Slot> = self.slots.iter().filter(|slot| slot.is_changed).collect();
        changed.sort_unstable_by(|a, b| a.key.cmp(&b.key));
        match self.sight {
            Sight::Alone => rows::write_counters(db, &changed).await?,
            Sight::Shared | Sight::Locked => {
                // What was judged and is not written has to hold as well.
                let judged: Vec<&Slot> = self.slots.iter().filter(|slot| slot.is_remembered && !slot.is_changed).collect();
                shared_rows::still_hold(db, &judged).await?;
                shared_rows::write(db, &changed).await?;
            }
        }
        let of = |change| self.reservations.values().filter(move |held| held.change == change).map(|held| &held.reservation);
        rows::write_reservations(db, of(HeldChange::Made).collect()).await?;
        rows::settle_reservations(db, of(HeldChange::Settled).collect()).await?;
        Ok(rows::note_limit_keys(db, self.noted.difference(noted).collect()).await?)
    }

    /// Shows what was committed to whoever asks.
    /// `at` is a moment before it was read.
    pub(super) fn publish(self, counters: &Counters, at: Instant) {
        for Slot { key, counter, version, next_version, is_changed, .. } in self.slots {
            let version = if is_changed { Some(next_version) } else { version };
            counters.put(key, Known { counter, version, at });
        }
    }
}

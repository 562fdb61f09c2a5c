//! Counters that several processes share. What one has read still holds as long as the version of the row is the same, and the
//! database sees to that: what was judged by another version is not written.
//!
//! Every statement is one, however many counters it names. Every transaction takes all its locks of counters in the order of their
//! keys, also those of rows that it makes: so nobody waits for somebody who waits for him.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, Hasher, RandomState};

use sea_orm::{ConnectionTrait, DbBackend, DbErr, QueryResult, Statement, Value};

use super::counters::CounterKey;
use super::rows::{counter_of, hold_of, key_of, key_values, signed};
use super::slot::Slot;
use super::statements::Column::{Maybe, Number, Text};
use super::statements::{Column, arrays};
use crate::domain::counter::Counter;
use crate::store::StoreError;

/// A counter with the version of its row; without a row it has none.
pub(super) type Versioned = (Counter, Option<i64>);

/// New rows begin anywhere below this, so that a row that was deleted and made again is another. There is room above for as many
/// changes as a row will ever see.
const FIRST_VERSIONS: u64 = 1 << 52;

const KEYS: [Column; 4] = [Text, Text, Text, Number];
/// In one moment: a counter and what is held of it never come from two.
const READ: &str = "SELECT place, u.used, u.reached, u.version, h.id, h.amount, h.expires_at \
    FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[]) WITH ORDINALITY \
    AS wanted (org, limit_key, resource, window_start, place) \
    JOIN usage u ON u.org = wanted.org AND u.limit_key = wanted.limit_key AND u.resource = wanted.resource \
    AND u.window_start = wanted.window_start \
    LEFT JOIN reservation h ON u.holds > 0 AND h.org = wanted.org AND h.limit_key = wanted.limit_key \
    AND h.resource = wanted.resource AND h.window_start = wanted.window_start AND h.status = 'held'";
/// Whoever waited for a lock sees what was committed meanwhile, but only of the row that it waited for: what is held is read after it.
const LOCK: &str = "SELECT place, u.used, u.reached, u.version, u.holds \
    FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[]) WITH ORDINALITY \
    AS wanted (org, limit_key, resource, window_start, place) \
    JOIN usage u ON u.org = wanted.org AND u.limit_key = wanted.limit_key AND u.resource = wanted.resource \
    AND u.window_start = wanted.window_start \
    ORDER BY u.org, u.limit_key, u.resource, u.window_start FOR UPDATE OF u";
/// A row that is there is locked and stays as it is: no version is below 0.
const MAKE: &str = "INSERT INTO usage AS u (org, limit_key, resource, window_start, window_end, used, version, holds) \
    SELECT org, limit_key, resource, window_start, nullif(window_end, 0), 0, version, 0 \
    FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::bigint[], $6::bigint[]) \
    AS given (org, limit_key, resource, window_start, window_end, version) \
    ON CONFLICT (org, limit_key, resource, window_start) DO UPDATE SET version = u.version WHERE u.version < 0 \
    RETURNING org, limit_key, resource, window_start";
const UNMAKE: &str = "DELETE FROM usage u USING unnest($1::text[], $2::text[], $3::text[], $4::bigint[]) \
    AS made (org, limit_key, resource, window_start) WHERE u.org = made.org AND u.limit_key = made.limit_key \
    AND u.resource = made.resource AND u.window_start = made.window_start";
const HOLDS: &str = "SELECT place, NULL::bigint, NULL::bigint, NULL::bigint, h.id, h.amount, h.expires_at \
    FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[]) WITH ORDINALITY \
    AS wanted (org, limit_key, resource, window_start, place) \
    JOIN reservation h ON h.org = wanted.org AND h.limit_key = wanted.limit_key AND h.resource = wanted.resource \
    AND h.window_start = wanted.window_start AND h.status = 'held'";
const CHANGED: &str = "SELECT count(*) FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::bigint[]) \
    AS known (org, limit_key, resource, window_start, version) \
    LEFT JOIN usage u ON u.org = known.org AND u.limit_key = known.limit_key AND u.resource = known.resource \
    AND u.window_start = known.window_start WHERE u.version IS DISTINCT FROM nullif(known.version, 0)";
/// A row that is new has no transaction that ended an earlier form of it. One that should have been there and is new was deleted.
const WRITE: &str = "WITH written AS (INSERT INTO usage AS u (org, limit_key, resource, window_start, window_end, used, version, holds, reached) \
    SELECT org, limit_key, resource, window_start, nullif(window_end, 0), used, version, holds, reached \
    FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[], $8::bigint[], $9::bigint[]) \
    AS given (org, limit_key, resource, window_start, window_end, used, version, holds, reached) \
    ON CONFLICT (org, limit_key, resource, window_start) DO UPDATE SET used = excluded.used, version = excluded.version, \
    holds = excluded.holds, reached = excluded.reached, window_end = greatest(u.window_end, excluded.window_end) \
    WHERE u.version = excluded.version - 1 RETURNING u.xmax = 0 AS is_new) \
    SELECT count(*), count(*) FILTER (WHERE is_new) FROM written";

fn statement(text: &str, columns: &[Column], rows: Vec<Vec<Value>>) -> Statement {
    Statement::from_sql_and_values(DbBackend::Postgres, text, arrays(columns, rows))
}

fn wanted(keys: &[&CounterKey]) -> Vec<Vec<Value>> {
    keys.iter().map(|key| key_values(key).into()).collect()
}

/// The version that a row gets when it is made.
pub(super) fn first_version() -> i64 {
    let number = RandomState::new().build_hasher().finish();
    i64::try_from(number.checked_rem(FIRST_VERSIONS).unwrap_or(0)).unwrap_or(0).saturating_add(1)
}

/// These counters as they are stored; each of them, also those without a row.
pub(super) async fn read(
    db: &impl ConnectionTrait,
    keys: &[&CounterKey],
) -> Result<HashMap<CounterKey, Versioned>, StoreError> {
    let mut found = vec![Versioned::default(); keys.len()];
    if !keys.is_empty() {
        for row in db.query_all_raw(statement(READ, &KEYS, wanted(keys))).await? {
            add(&mut found, &row)?;
        }
    }
    Ok(keys.iter().map(|key| (*key).clone()).zip(found).collect())
}

/// Makes the rows of these counters that have none, and lets nobody else change any of them until the transaction ends. They are in
/// the order of their keys. Those are given whose row was made.
pub(super) async fn make(db: &impl ConnectionTrait, slots: &[&mut Slot]) -> Result<HashSet<CounterKey>, StoreError> {
    let row = |slot: &&mut Slot| {
        let [org, limit_key, resource, window_start] = key_values(&slot.key);
        vec![org, limit_key, resource, window_start, slot.window_end.into(), slot.next_version.into()]
    };
    let columns = [Text, Text, Text, Number, Maybe, Number];
    let made = db.query_all_raw(statement(MAKE, &columns, slots.iter().map(row).collect())).await?;
    made.iter().map(key_of).collect()
}

/// Deletes rows that this transaction has made.
pub(super) async fn unmake(db: &impl ConnectionTrait, slots: &[&Slot]) -> Result<(), StoreError> {
    if !slots.is_empty() {
        let keys: Vec<&CounterKey> = slots.iter().map(|slot| &slot.key).collect();
        db.execute_raw(statement(UNMAKE, &KEYS, wanted(&keys))).await?;
    }
    Ok(())
}

/// These counters, each of which has a row, and nobody else changes them until the transaction ends. The keys are in their order.
///
/// Errors: [`StoreError::Overtaken`] when one of them has no row any more.
pub(super) async fn lock(
    db: &impl ConnectionTrait,
    keys: &[&CounterKey],
) -> Result<HashMap<CounterKey, Versioned>, StoreError> {
    let mut found = vec![Versioned::default(); keys.len()];
    if !keys.is_empty() {
        let mut holds = 0_i64;
        let locked = db.query_all_raw(statement(LOCK, &KEYS, wanted(keys))).await?;
        if locked.len() != keys.len() {
            return Err(StoreError::Overtaken);
        }
        for row in locked {
            if let Some(found) = place(&mut found, &row)? {
                *found = (counter_of(&row, 1)?, Some(row.try_get_by_index(3)?));
            }
            holds = holds.max(row.try_get_by_index(4)?);
        }
        if holds > 0 {
            for row in db.query_all_raw(statement(HOLDS, &KEYS, wanted(keys))).await? {
                add(&mut found, &row)?;
            }
        }
    }
    Ok(keys.iter().map(|key| (*key).clone()).zip(found).collect())
}

/// What a row says of the counter that it is of: what is used, what one reservation holds, or both.
fn add(found: &mut [Versioned], row: &QueryResult) -> Result<(), StoreError> {
    let Some((counter, version)) = place(found, row)? else { return Ok(()) };
    if let Some(read) = row.try_get_by_index::<Option<i64>>(3)?
        && version.is_none()
    {
        (*counter, *version) = (counter_of(row, 1)?, Some(read));
    }
    if row.try_get_by_index::<Option<String>>(4)?.is_some() {
        counter.push(hold_of(row, 4)?);
    }
    Ok(())
}

fn place<'a>(found: &'a mut [Versioned], row: &QueryResult) -> Result<Option<&'a mut Versioned>, DbErr> {
    let place: i64 = row.try_get_by_index(0)?;
    Ok(usize::try_from(place.saturating_sub(1)).ok().and_then(|place| found.get_mut(place)))
}

/// Refuses when one of these counters is no longer what it was judged as.
///
/// Errors: [`StoreError::Overtaken`].
pub(super) async fn still_hold(db: &impl ConnectionTrait, slots: &[&Slot]) -> Result<(), StoreError> {
    if slots.is_empty() {
        return Ok(());
    }
    let row = |slot: &&Slot| {
        let [org, limit_key, resource, window_start] = key_values(&slot.key);
        vec![org, limit_key, resource, window_start, slot.version.into()]
    };
    let [org, limit_key, resource, window_start] = KEYS;
    let columns = [org, limit_key, resource, window_start, Maybe];
    let changed = db.query_one_raw(statement(CHANGED, &columns, slots.iter().map(row).collect())).await?;
    match changed.map_or(Ok(0), |row| row.try_get_by_index::<i64>(0))? {
        0 => Ok(()),
        _ => Err(StoreError::Overtaken),
    }
}

/// Writes counters as they have become, if none of them is another than it was judged as. They are in the order of their keys.
///
/// Errors: [`StoreError::Overtaken`], and then the transaction is to be undone.
pub(super) async fn write(db: &impl ConnectionTrait, slots: &[&Slot]) -> Result<(), StoreError> {
    if slots.is_empty() {
        return Ok(());
    }
    let row = |slot: &&Slot| {
        let [org, limit_key, resource, window_start] = key_values(&slot.key);
        let holds = i64::try_from(slot.counter.holds().len()).unwrap_or(i64::MAX);
        let (used, reached) = (signed(slot.counter.used()), i64::from(slot.counter.is_reached()));
        let (end, version) = (slot.window_end.into(), slot.next_version.into());
        vec![org, limit_key, resource, window_start, end, used.into(), version, holds.into(), reached.into()]
    };
    let columns = [Text, Text, Text, Number, Maybe, Number, Number, Number, Number];
    let written = db.query_one_raw(statement(WRITE, &columns, slots.iter().map(row).collect())).await?;
    let (rows, new): (i64, i64) = match written {
        Some(written) => (written.try_get_by_index(0)?, written.try_get_by_index(1)?),
        None => (0, 0),
    };
    let expected_new = slots.iter().filter(|slot| slot.version.is_none()).count();
    let is_as_expected = usize::try_from(rows) == Ok(slots.len()) && usize::try_from(new) == Ok(expected_new);
    if is_as_expected { Ok(()) } else { Err(StoreError::Overtaken) }
}

//! The rows of counters and reservations: how they are read and written, many at once.
//!
//! Every statement names rows by keys that begin with `org`. The counters of a database that several processes share are elsewhere.

use std::collections::{BTreeSet, HashMap};

use sea_orm::{ConnectionTrait, DbErr, QueryResult, Value};

use super::counters::CounterKey;
use super::slot::Slot;
use super::statements::Column::{Maybe, Number, Text};
use super::statements::Rows;
use crate::domain::bound::Quantity;
use crate::domain::counter::{Counter, Hold};
use crate::domain::issue::Invalid;
use crate::domain::names::{LimitKeyName, OrgId, ResourceId};
use crate::domain::reservation::{Reservation, ReservationId, Settlement, Status};
use crate::domain::time::UtcMillis;
use crate::domain::window::Span;
use crate::store::StoreError;

const READ_USAGE: Rows = Rows {
    before: "WITH wanted (org, limit_key, resource, window_start) AS (",
    columns: &[Text, Text, Text, Number],
    after: ") SELECT u.org, u.limit_key, u.resource, u.window_start, u.used, u.reached FROM wanted CROSS JOIN usage u \
            WHERE u.org = wanted.org AND u.limit_key = wanted.limit_key AND u.resource = wanted.resource \
            AND u.window_start = wanted.window_start",
};

const READ_HOLDS: Rows = Rows {
    before: "WITH wanted (org, limit_key, resource, window_start) AS (",
    columns: &[Text, Text, Text, Number],
    after: ") SELECT r.org, r.limit_key, r.resource, r.window_start, r.id, r.amount, r.expires_at \
            FROM wanted CROSS JOIN reservation r WHERE r.org = wanted.org AND r.limit_key = wanted.limit_key \
            AND r.resource = wanted.resource AND r.window_start = wanted.window_start AND r.status = 'held'",
};

const READ_RESERVATIONS: Rows = Rows {
    before: "WITH wanted (org, id) AS (",
    columns: &[Text, Text],
    after: ") SELECT r.org, r.id, r.limit_key, r.resource, r.window_start, r.window_end, r.amount, r.status, r.confirmed, \
            r.created_at, r.expires_at, r.settled_at FROM wanted CROSS JOIN reservation r \
            WHERE r.org = wanted.org AND r.id = wanted.id",
};

/// How a counter is written: what it is, and with another end of its window. A statement that sets the end writes the index of ends
/// anew, also where the end stays.
const WRITE_USAGE: [Rows; 2] = [
    usage_with(
        " ON CONFLICT (org, limit_key, resource, window_start) DO UPDATE SET used = excluded.used, reached = excluded.reached",
    ),
    usage_with(
        " ON CONFLICT (org, limit_key, resource, window_start) DO UPDATE SET used = excluded.used, reached = excluded.reached, \
         window_end = CASE WHEN excluded.window_end > usage.window_end THEN excluded.window_end ELSE usage.window_end END",
    ),
];

const fn usage_with(after: &'static str) -> Rows {
    Rows {
        before: "INSERT INTO usage (org, limit_key, resource, window_start, window_end, used, reached) ",
        columns: &[Text, Text, Text, Number, Maybe, Number, Number],
        after,
    }
}

const WRITE_RESERVATIONS: Rows = Rows {
    before: "INSERT INTO reservation (org, id, limit_key, resource, window_start, window_end, amount, status, confirmed, \
             created_at, expires_at, settled_at) ",
    columns: &[Text, Text, Text, Text, Number, Maybe, Number, Text, Maybe, Number, Number, Maybe],
    after: "",
};

const SETTLE_RESERVATIONS: Rows = Rows {
    before: "WITH settled (org, id, status, confirmed, settled_at) AS (",
    columns: &[Text, Text, Text, Maybe, Maybe],
    after: ") UPDATE reservation SET status = settled.status, confirmed = settled.confirmed, settled_at = settled.settled_at \
            FROM settled WHERE reservation.org = settled.org AND reservation.id = settled.id",
};

const NOTE_LIMIT_KEYS: Rows =
    Rows { before: "INSERT INTO limit_key_use (limit_key) ", columns: &[Text], after: " ON CONFLICT (limit_key) DO NOTHING" };

/// These counters as they are stored; each of them, also those without a row.
pub(super) async fn counters(
    db: &impl ConnectionTrait,
    keys: &[&CounterKey],
) -> Result<HashMap<CounterKey, Counter>, StoreError> {
    let keys: BTreeSet<&CounterKey> = keys.iter().copied().collect();
    let mut counters: HashMap<CounterKey, Counter> = keys.iter().map(|key| ((*key).clone(), Counter::default())).collect();
    if keys.is_empty() {
        return Ok(counters);
    }
    let wanted = || keys.iter().map(|key| key_values(key).into()).collect();
    for row in READ_USAGE.query(db, wanted()).await? {
        counters.insert(key_of(&row)?, counter_of(&row, 4)?);
    }
    for row in READ_HOLDS.query(db, wanted()).await? {
        counters.entry(key_of(&row)?).or_default().push(hold_of(&row, 4)?);
    }
    Ok(counters)
}

/// A counter without its holds: what is used and whether it is told to be reached stand in a row from this column on.
pub(super) fn counter_of(row: &QueryResult, first: usize) -> Result<Counter, StoreError> {
    let reached: i64 = row.try_get_by_index(first.saturating_add(1))?;
    Ok(Counter::new(quantity(row.try_get_by_index(first)?)?).with_reached(reached != 0))
}

pub(super) fn key_values(key: &CounterKey) -> [Value; 4] {
    [
        key.org.as_str().into(),
        key.limit_key.as_str().into(),
        resource_text(key.resource.as_ref()).into(),
        key.window_start.into(),
    ]
}

/// The org as a whole is the resource without a name.
fn resource_text(resource: Option<&ResourceId>) -> &str {
    resource.map_or("", ResourceId::as_str)
}

/// The resource of a row.
pub(super) fn resource_of(text: String) -> Result<Option<ResourceId>, StoreError> {
    if text.is_empty() { Ok(None) } else { ResourceId::parse(text).map(Some).map_err(|invalid| corrupt(&invalid)) }
}

/// The counter that a row begins with.
pub(super) fn key_of(row: &QueryResult) -> Result<CounterKey, StoreError> {
    Ok(CounterKey {
        org: OrgId::parse(row.try_get_by_index::<String>(0)?).map_err(|invalid| corrupt(&invalid))?,
        limit_key: LimitKeyName::parse(row.try_get_by_index::<String>(1)?).map_err(|invalid| corrupt(&invalid))?,
        resource: resource_of(row.try_get_by_index(2)?)?,
        window_start: row.try_get_by_index(3)?,
    })
}

/// What a reservation holds: its number, its amount and its end stand in a row from this column on.
pub(super) fn hold_of(row: &QueryResult, first: usize) -> Result<Hold, StoreError> {
    Ok(Hold {
        reservation: number_of(&row.try_get_by_index::<String>(first)?)?,
        amount: quantity(row.try_get_by_index(first.saturating_add(1))?)?,
        expires_at: UtcMillis::new(row.try_get_by_index(first.saturating_add(2))?),
    })
}

/// A stored number as a quantity.
pub(super) fn quantity(number: i64) -> Result<Quantity, StoreError> {
    let number = u64::try_from(number).map_err(|_| corrupt(&Invalid::new("is below zero")))?;
    Quantity::new(number).map_err(|invalid| corrupt(&invalid))
}

fn number_of(text: &str) -> Result<u128, StoreError> {
    u128::from_str_radix(text, 16).map_err(|_| corrupt(&Invalid::new("is not a reservation's number")))
}

pub(super) fn signed(quantity: Quantity) -> i64 {
    i64::try_from(quantity.get()).unwrap_or(i64::MAX)
}

fn corrupt(invalid: &Invalid) -> StoreError {
    StoreError::Internal(format!("A stored value is not valid: it {}", invalid.0))
}

/// Those of these reservations that there are.
pub(super) async fn reservations(db: &impl ConnectionTrait, ids: &[&ReservationId]) -> Result<Vec<Reservation>, StoreError> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let wanted: BTreeSet<(String, String)> = ids.iter().map(|id| (id.org.to_string(), number_text(id.number))).collect();
    let wanted = wanted.into_iter().map(|(org, number)| vec![org.into(), number.into()]).collect();
    let rows = READ_RESERVATIONS.query(db, wanted).await?;
    rows.iter().map(reservation_of).collect()
}

fn number_text(number: u128) -> String {
    format!("{number:032x}")
}

fn reservation_of(row: &QueryResult) -> Result<Reservation, StoreError> {
    let org = OrgId::parse(row.try_get_by_index::<String>(0)?).map_err(|invalid| corrupt(&invalid))?;
    let number = number_of(&row.try_get_by_index::<String>(1)?)?;
    let start = UtcMillis::new(row.try_get_by_index(4)?);
    let end: Option<i64> = row.try_get_by_index(5)?;
    Ok(Reservation {
        id: ReservationId { org, number },
        limit_key: LimitKeyName::parse(row.try_get_by_index::<String>(2)?).map_err(|invalid| corrupt(&invalid))?,
        resource: resource_of(row.try_get_by_index(3)?)?,
        window: end.map(|end| Span { start, end: UtcMillis::new(end) }),
        amount: quantity(row.try_get_by_index(6)?)?,
        created_at: UtcMillis::new(row.try_get_by_index(9)?),
        expires_at: UtcMillis::new(row.try_get_by_index(10)?),
        settlement: settlement_of(row)?,
    })
}

fn settlement_of(row: &QueryResult) -> Result<Option<Settlement>, StoreError> {
    let status: String = row.try_get_by_index(7)?;
    let status = Status::ALL.into_iter().find(|known| known.as_str() == status);
    let status = status.ok_or_else(|| corrupt(&Invalid::new("is not the status of a reservation")))?;
    let confirmed = row.try_get_by_index::<Option<i64>>(8)?.map(quantity).transpose()?;
    let at: Option<i64> = row.try_get_by_index(11)?;
    Ok(at.map(|at| Settlement { status, confirmed, at: UtcMillis::new(at) }))
}

/// Writes counters as they have become.
pub(super) async fn write_counters(db: &impl ConnectionTrait, slots: &[&Slot]) -> Result<(), DbErr> {
    let row = |slot: &&Slot| {
        let [org, limit_key, resource, window_start] = key_values(&slot.key);
        let (used, reached) = (signed(slot.counter.used()), i64::from(slot.counter.is_reached()));
        vec![org, limit_key, resource, window_start, slot.window_end.into(), used.into(), reached.into()]
    };
    let [steady, longer] = &WRITE_USAGE;
    let (later, same): (Vec<&Slot>, Vec<&Slot>) = slots.iter().partition(|slot| slot.may_end_later());
    steady.execute(db, same.iter().map(row).collect()).await?;
    longer.execute(db, later.iter().map(row).collect()).await
}

/// Writes new reservations.
pub(super) async fn write_reservations(db: &impl ConnectionTrait, made: Vec<&Reservation>) -> Result<(), DbErr> {
    let row = |reservation: &Reservation| {
        let Reservation { id, limit_key, resource, window, amount, created_at, expires_at, .. } = reservation;
        let [status, confirmed, settled_at] = settlement_values(reservation);
        vec![
            id.org.as_str().into(),
            number_text(id.number).into(),
            limit_key.as_str().into(),
            resource_text(resource.as_ref()).into(),
            window.map_or(0, |span| span.start.get()).into(),
            window.map(|span| span.end.get()).into(),
            signed(*amount).into(),
            status,
            confirmed,
            created_at.get().into(),
            expires_at.get().into(),
            settled_at,
        ]
    };
    WRITE_RESERVATIONS.execute(db, made.into_iter().map(row).collect()).await
}

fn settlement_values(reservation: &Reservation) -> [Value; 3] {
    let settlement = reservation.settlement;
    let status = settlement.map_or(Status::Held, |settlement| settlement.status);
    let confirmed = settlement.and_then(|settlement| settlement.confirmed).map(signed);
    [status.as_str().into(), confirmed.into(), settlement.map(|settlement| settlement.at.get()).into()]
}

/// Writes how reservations ended.
pub(super) async fn settle_reservations(db: &impl ConnectionTrait, settled: Vec<&Reservation>) -> Result<(), DbErr> {
    let row = |reservation: &Reservation| {
        let [status, confirmed, settled_at] = settlement_values(reservation);
        vec![reservation.id.org.as_str().into(), number_text(reservation.id.number).into(), status, confirmed, settled_at]
    };
    SETTLE_RESERVATIONS.execute(db, settled.into_iter().map(row).collect()).await
}

/// Notes that these limit keys were taken from.
pub(super) async fn note_limit_keys(db: &impl ConnectionTrait, mut limit_keys: Vec<&LimitKeyName>) -> Result<(), DbErr> {
    limit_keys.sort_unstable();
    NOTE_LIMIT_KEYS.execute(db, limit_keys.into_iter().map(|name| vec![name.as_str().into()]).collect()).await
}

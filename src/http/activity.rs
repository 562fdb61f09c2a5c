//! Which limit keys are alive: how often each is asked about, which never are, and which are asked for that there are not.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;

use super::document::Doc;
use super::envelope::Data;
use super::error::ApiError;
use super::extract::{Admin, Permit};
use super::routes::LIMIT_KEYS;
use super::service::{App, Service};
use crate::clock;
use crate::domain::limit_key::Kind;
use crate::domain::names::LimitKeyName;
use crate::domain::time::{Day, UtcMillis};
use crate::store::{KeyDay, StoreError, UnknownKey};
use crate::telemetry::Activity;

const DAY_MILLIS: i64 = 86_400_000;
/// Days that are shown one by one.
const SHOWN_DAYS: i64 = 30;
/// Days that are remembered: a limit key that was not asked about for so long counts as never checked.
const KEPT_DAYS: i64 = 90;

/// How alive limit keys are.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Activity)]
pub struct ActivityView {
    /// Every limit key that is not archived, by name.
    limit_keys: Vec<KeyActivityView>,
    /// Those of them that nobody asked about in the last 90 days.
    never_checked: Vec<LimitKeyName>,
    /// Names that were asked for and that no limit key has, the last asked for first; at most 1000.
    unknown: Vec<UnknownView>,
}

/// How often a limit key is asked about, by questions and by takings.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = LimitKeyActivity)]
pub struct KeyActivityView {
    /// The limit key.
    limit_key: LimitKeyName,
    /// Its kind.
    kind: Kind,
    /// When it was last asked about; null when never.
    #[schema(required)]
    last_checked: Option<UtcMillis>,
    /// When it last refused; null when never.
    #[schema(required)]
    last_refused: Option<UtcMillis>,
    /// The last 30 UTC days, the oldest first; without those on which nobody asked.
    days: Vec<DayView>,
}

/// One day of a limit key.
#[derive(Serialize, ToSchema)]
#[schema(as = LimitKeyDay)]
pub struct DayView {
    /// The day.
    day: Day,
    /// Decisions about it.
    checked: u64,
    /// Those of them that were refusals.
    refused: u64,
}

/// A name that no limit key has.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = UnknownLimitKey)]
pub struct UnknownView {
    /// The name.
    limit_key: LimitKeyName,
    /// How often it was asked for.
    asked: u64,
    /// When first.
    first_asked: UtcMillis,
    /// When last.
    last_asked: UtcMillis,
}

/// How it is documented.
pub const GET: Doc = Doc {
    id: "getActivity",
    tag: LIMIT_KEYS,
    summary: "Is it alive? What is asked about, and what never is",
    text: "For each limit key when it was last asked about and when it last refused, and how often day by day: by `check`, by takings and by the gate. A limit key that is never checked is \
           enforced by nobody. Counted in memory and written down once a minute, and before this answer; what another process counted may be a minute behind. A limit key \
           that is itself called `activity` is managed through the catalogue document.",
    examples: &[],
    errors: &[],
};

/// How alive limit keys are.
pub async fn get(_: Permit<Admin>, service: App) -> Result<Data<ActivityView>, ApiError> {
    write(&service).await?;
    let today = today();
    let (days, unknown) = service.store.activity(today.saturating_sub(KEPT_DAYS)).await?;
    let mut by_key: BTreeMap<LimitKeyName, Vec<KeyDay>> = BTreeMap::new();
    for day in days {
        by_key.entry(day.limit_key.clone()).or_default().push(day);
    }
    let catalogue = service.directory.catalogue();
    let of = |limit_key: &std::sync::Arc<crate::domain::limit_key::LimitKey>| {
        let days = by_key.remove(&limit_key.name).unwrap_or_default();
        KeyActivityView::of((limit_key.name.clone(), limit_key.kind()), &days, today)
    };
    let limit_keys: Vec<KeyActivityView> = catalogue.active_limit_keys().into_iter().map(of).collect();
    let never = limit_keys.iter().filter(|view| view.last_checked.is_none());
    let never_checked = never.map(|view| view.limit_key.clone()).collect();
    let unknown = unknown.into_iter().filter(|unknown| catalogue.limit_key(&unknown.limit_key).is_none());
    Ok(Data(ActivityView { limit_keys, never_checked, unknown: unknown.map(Into::into).collect() }))
}

impl KeyActivityView {
    fn of((limit_key, kind): (LimitKeyName, Kind), days: &[KeyDay], today: i64) -> Self {
        let last_checked = days.iter().map(|day| day.last_checked).max();
        let last_refused = days.iter().filter_map(|day| day.last_refused).max();
        let shown = days.iter().filter(|day| day.day > today.saturating_sub(SHOWN_DAYS));
        let view = |day: &KeyDay| DayView { day: date(day.day), checked: day.checked, refused: day.refused };
        Self { limit_key, kind, last_checked, last_refused, days: shown.map(view).collect() }
    }
}

impl From<UnknownKey> for UnknownView {
    fn from(UnknownKey { limit_key, asked, first_asked, last_asked }: UnknownKey) -> Self {
        Self { limit_key, asked, first_asked, last_asked }
    }
}

fn today() -> i64 {
    clock::now().get().div_euclid(DAY_MILLIS)
}

fn date(day: i64) -> Day {
    UtcMillis::new(day.saturating_mul(DAY_MILLIS)).day()
}

/// Writes down what this process has counted. What cannot be written is kept for the next time.
pub async fn write(service: &Service) -> Result<(), StoreError> {
    let activity = Activity::take();
    if activity.is_empty() {
        return Ok(());
    }
    let days = activity.days.iter().map(|(limit_key, tally)| KeyDay {
        limit_key: limit_key.clone(),
        day: tally.day,
        checked: tally.checked(),
        refused: tally.refused(),
        last_checked: tally.last_checked,
        last_refused: tally.last_refused,
    });
    let unknown = activity.unknown.iter().map(|(limit_key, misses)| UnknownKey {
        limit_key: limit_key.clone(),
        asked: misses.asked,
        first_asked: misses.first,
        last_asked: misses.last,
    });
    let oldest = today().saturating_sub(KEPT_DAYS);
    let written = service.store.add_activity(days.collect(), unknown.collect(), oldest).await;
    if written.is_err() {
        activity.put_back();
    }
    written
}

//! What the schema cannot say, as data.

use super::examination::Level;
use super::examination::Level::{Note, Off};

/// Something that is looked for.
pub(super) struct Check {
    pub(super) level: Level,
    pub(super) table: &'static str,
    /// What is said of each row that is found.
    pub(super) says: &'static str,
    /// Of which rows, in SQL. The row is `r`; `{now}` is the moment of looking.
    pub(super) when: &'static str,
    /// Only an embedded database has it.
    pub(super) is_of_files: bool,
}

impl Check {
    const fn of_files(self) -> Self {
        Self { is_of_files: true, ..self }
    }
}

const fn off(table: &'static str, says: &'static str, when: &'static str) -> Check {
    Check { level: Off, table, says, when, is_of_files: false }
}

const fn note(table: &'static str, says: &'static str, when: &'static str) -> Check {
    Check { level: Note, table, says, when, is_of_files: false }
}

/// What belongs to another row, follows from other rows, or comes in an order.
pub(super) const CHECKS: &[Check] = &[
    // The catalogue and its log.
    off(
        "change_log",
        "is the newest line of the log, but not the revision of the catalogue",
        "r.revision = (SELECT max(revision) FROM change_log) AND r.revision IS NOT (SELECT value FROM catalogue_revision)",
    ),
    off(
        "change_log",
        "follows a gap in the log",
        "r.revision > (SELECT min(revision) FROM change_log) \
         AND NOT EXISTS (SELECT 1 FROM change_log p WHERE p.revision = r.revision - 1)",
    ),
    off(
        "change_log",
        "its before or after is not JSON",
        "NOT json_valid(coalesce(r.before, 'null')) OR NOT json_valid(coalesce(r.after, 'null'))",
    )
    .of_files(),
    off("limit_key", "only what is counted can be counted per resource", "r.per <> 'org' AND r.kind NOT IN ('count', 'quota')"),
    off(
        "org",
        "its metadata is not a JSON object",
        "CASE WHEN json_valid(r.metadata) THEN json_type(r.metadata) END IS NOT 'object'",
    )
    .of_files(),
    off(
        "api_key_scope",
        "the scope does not exist",
        "r.scope NOT IN ('read', 'write', 'admin') AND r.scope NOT IN (SELECT name FROM scope)",
    ),
    off(
        "api_key_scope",
        "the key of an org has the scope admin",
        "r.scope = 'admin' AND EXISTS (SELECT 1 FROM api_key k WHERE k.id = r.key_id AND k.org IS NOT NULL)",
    ),
    off(
        "org_schedule",
        "more than 16 tiers are scheduled of its org",
        "r.starts_at = (SELECT min(s.starts_at) FROM org_schedule s WHERE s.org = r.org) \
         AND (SELECT count(*) FROM org_schedule s WHERE s.org = r.org) > 16",
    ),
    off(
        "tier_limit_schedule",
        "more than 16 values are scheduled of its tier and limit key",
        "r.starts_at = (SELECT min(s.starts_at) FROM tier_limit_schedule s WHERE s.tier = r.tier AND s.limit_key = r.limit_key) \
         AND (SELECT count(*) FROM tier_limit_schedule s WHERE s.tier = r.tier AND s.limit_key = r.limit_key) > 16",
    ),
    // What orgs have used.
    off("usage", "its limit key does not exist", "NOT EXISTS (SELECT 1 FROM limit_key k WHERE k.name = r.limit_key)"),
    off(
        "usage",
        "its limit key is not among those that were ever taken from",
        "r.used > 0 AND NOT EXISTS (SELECT 1 FROM limit_key_use u WHERE u.limit_key = r.limit_key)",
    ),
    off(
        "usage",
        "more than 9007199254740991 is used and held",
        "r.used + (SELECT coalesce(sum(h.amount), 0) FROM reservation h WHERE h.org = r.org AND h.limit_key = r.limit_key \
         AND h.resource = r.resource AND h.window_start = r.window_start AND h.status = 'held') > 9007199254740991",
    ),
    off(
        "usage",
        "more than 10000 reservations are held of it",
        "(SELECT count(*) FROM reservation h WHERE h.org = r.org AND h.limit_key = r.limit_key \
         AND h.resource = r.resource AND h.window_start = r.window_start AND h.status = 'held') > 10000",
    ),
    note(
        "usage",
        "was counted before its limit key became what it is, and no longer counts",
        "EXISTS (SELECT 1 FROM limit_key k WHERE k.name = r.limit_key AND (k.kind NOT IN ('count', 'quota') \
         OR (k.kind = 'quota') <> (r.window_end IS NOT NULL) OR (k.per = 'org') <> (r.resource = '') \
         OR r.window_end - r.window_start NOT BETWEEN \
            CASE k.calendar_window WHEN 'minute' THEN 60000 WHEN 'hour' THEN 3600000 WHEN 'day' THEN 86400000 \
            WHEN 'week' THEN 604800000 ELSE 2419200000 END AND \
            CASE k.calendar_window WHEN 'minute' THEN 60000 WHEN 'hour' THEN 3600000 WHEN 'day' THEN 86400000 \
            WHEN 'week' THEN 604800000 ELSE 2678400000 END))",
    ),
    off("limit_key_use", "the limit key does not exist", "NOT EXISTS (SELECT 1 FROM limit_key k WHERE k.name = r.limit_key)"),
    // Reservations.
    off("reservation", "its limit key does not exist", "NOT EXISTS (SELECT 1 FROM limit_key k WHERE k.name = r.limit_key)"),
    off(
        "reservation",
        "it holds, but its counter does not exist",
        "r.status = 'held' AND r.expires_at > {now} AND NOT EXISTS (SELECT 1 FROM usage u WHERE u.org = r.org \
         AND u.limit_key = r.limit_key AND u.resource = r.resource AND u.window_start = r.window_start)",
    ),
    off(
        "reservation",
        "it was settled after it had expired",
        "r.status IN ('confirmed', 'released') AND r.settled_at >= r.expires_at",
    ),
    off("reservation", "it expired before its time was over", "r.status = 'expired' AND r.settled_at < r.expires_at"),
    off("reservation", "it was made for more than a day", "r.expires_at - r.created_at > 86400000"),
    off(
        "reservation",
        "its window has a start without an end, or an end without a start",
        "(r.window_end IS NULL) <> (r.window_start = 0)",
    ),
    // Answers under idempotency keys.
    off(
        "answer_count",
        "it is not the number of the caller's answers",
        "r.caller IN (SELECT c.caller FROM answer_count c LEFT JOIN (SELECT caller, count(*) AS rows FROM answer GROUP BY caller) \
         AS kept ON kept.caller = c.caller WHERE c.records <> coalesce(kept.rows, 0))",
    ),
    off("answer", "its caller's answers are not counted", "r.caller NOT IN (SELECT caller FROM answer_count)"),
    off("answer", "its number is not above 0", "r.seq <= 0").of_files(),
];

/// What only a database has that several processes share.
pub(super) const SHARED: &[Check] = &[off(
    "usage",
    "fewer reservations are to be read of it than are held",
    "r.holds = 0 AND EXISTS (SELECT 1 FROM reservation h WHERE h.org = r.org AND h.limit_key = r.limit_key \
     AND h.resource = r.resource AND h.window_start = r.window_start AND h.status = 'held')",
)];

/// The forms that texts have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Text {
    /// Of tiers, limit keys and scopes.
    Name,
    /// Of orgs, users, resources and records.
    Id,
    /// Of resources; empty for the org as a whole.
    Resource,
    /// The number of a reservation.
    Number,
}

impl Text {
    pub(super) const fn expected(self) -> &'static str {
        match self {
            Self::Name => "does not match ^[a-z][a-z0-9_:.-]{0,63}$",
            Self::Id | Self::Resource => "is not 1 to 128 characters of A-Z a-z 0-9 . _ : @ -",
            Self::Number => "is not 32 digits of 0-9 a-f",
        }
    }

    /// The same for a database server, which has regular expressions.
    pub(super) fn is_violated_on_server(self, column: &str) -> String {
        let form = match self {
            Self::Name => "^[a-z][a-z0-9_:.-]{0,63}$",
            Self::Id => "^[A-Za-z0-9._:@-]{1,128}$",
            Self::Resource => "^[A-Za-z0-9._:@-]{0,128}$",
            Self::Number => "^[0-9a-f]{32}$",
        };
        format!("r.\"{column}\" !~ '{form}'")
    }

    /// When a text of the row `r` does not have this form. The texts of the domain's own types do, and only they.
    pub(super) fn is_violated(self, column: &str) -> String {
        let (lengths, start, other) = match self {
            Self::Name => ("1 AND 64", "[a-z]*", "*[^a-z0-9_:.-]*"),
            Self::Id => ("1 AND 128", "*", "*[^A-Za-z0-9._:@-]*"),
            Self::Resource => ("0 AND 128", "*", "*[^A-Za-z0-9._:@-]*"),
            Self::Number => ("32 AND 32", "*", "*[^0-9a-f]*"),
        };
        // Where there are more bytes than characters, some are behind a U+0000, where a pattern does not look.
        format!(
            "NOT (length(r.\"{column}\") BETWEEN {lengths} AND octet_length(r.\"{column}\") = length(r.\"{column}\") \
             AND r.\"{column}\" GLOB '{start}' AND r.\"{column}\" NOT GLOB '{other}')"
        )
    }
}

/// The columns whose texts have a form. What refers to one of them, and does, has it too.
pub(super) const TEXTS: &[(&str, &str, Text)] = &[
    ("limit_key", "name", Text::Name),
    ("limit_key", "per", Text::Name),
    ("tier", "name", Text::Name),
    ("scope", "name", Text::Name),
    ("org", "id", Text::Id),
    ("org_override", "id", Text::Id),
    ("user_ban", "id", Text::Id),
    ("api_key", "id", Text::Id),
    ("api_key", "user_id", Text::Id),
    ("removed_endpoint", "id", Text::Id),
    ("usage", "org", Text::Id),
    ("usage", "resource", Text::Resource),
    ("reservation", "org", Text::Id),
    ("reservation", "resource", Text::Resource),
    ("reservation", "id", Text::Number),
];

/// What is counted at the end, and what it is called.
pub(super) const COUNTED: &[(&str, &str)] = &[
    ("limit_key", "limit keys"),
    ("tier", "tiers"),
    ("org", "orgs"),
    ("api_key", "API keys"),
    ("usage", "counters"),
    ("reservation", "reservations"),
    ("answer", "answers"),
    ("change_log", "log lines"),
];

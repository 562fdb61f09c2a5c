//! What is asked, of how many orgs.

use clap::ValueEnum;
use serde_json::{Value, json};

/// Digits of an org's number: ids of one length make requests of one length.
pub(crate) const DIGITS: usize = 7;
/// What stands before them.
pub(crate) const ORG: &str = "org-";

/// What is asked, of how many orgs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Scenario {
    /// Two bare servers: shows what the ratio of equals is here.
    #[value(name = "self")]
    Itself,
    /// `POST /v1/check` that is allowed, over 10,000 orgs.
    Check,
    /// The same, refused: the answer carries the denial.
    CheckRefused,
    /// The allowed check over 1,000,000 orgs.
    #[value(name = "check-1m")]
    CheckMillion,
    /// The check of what Plimsoll itself has counted: without `current`.
    #[value(name = "check-tracked")]
    CheckTracked,
    /// The same, while 20,000 takings a second run beside it, which also run beside the bare server.
    #[value(name = "check-beside")]
    CheckBeside,
    /// `POST /v1/consume`, durable, over 10,000 counters.
    Consume,
    /// The same on one counter.
    #[value(name = "consume-hot")]
    ConsumeHot,
    /// Over 10,000 counters, under a fresh `Idempotency-Key` each.
    #[value(name = "consume-keyed")]
    ConsumeKeyed,
    /// Over 10,000 of the ten million counters in the file.
    #[value(name = "consume-10m")]
    ConsumeTenMillion,
    /// `POST /v1/authorize` over 10,000 API keys: key, scope, sliding window and a quota, which is taken durably.
    Authorize,
    /// The same without a quota.
    #[value(name = "authorize-rate")]
    AuthorizeRate,
    /// The bare server and the naive one: what one transaction per request costs.
    Naive,
    /// The allowed check on PostgreSQL, beside the same on the embedded database.
    PgCheck,
    /// `POST /v1/consume` on PostgreSQL over 10,000 counters, beside one conditional UPDATE per request.
    PgConsume,
    /// The same on one counter.
    PgConsumeHot,
    /// Two processes on the same 16 counters of PostgreSQL, beside one.
    PgConsumeTwo,
    /// The bare server and the naive one on PostgreSQL.
    PgNaive,
}

impl Scenario {
    /// What is measured when nothing is named.
    pub(crate) const USUAL: &[Self] = &[
        Self::Check,
        Self::CheckRefused,
        Self::CheckMillion,
        Self::CheckTracked,
        Self::CheckBeside,
        Self::Consume,
        Self::ConsumeHot,
        Self::ConsumeKeyed,
        Self::ConsumeTenMillion,
        Self::Authorize,
        Self::AuthorizeRate,
    ];

    /// How many orgs are asked about in turn.
    pub(crate) const fn orgs(self) -> usize {
        match self {
            Self::Itself
            | Self::Check
            | Self::CheckRefused
            | Self::CheckTracked
            | Self::CheckBeside
            | Self::Consume
            | Self::ConsumeKeyed
            | Self::ConsumeTenMillion
            | Self::Authorize
            | Self::AuthorizeRate
            | Self::Naive
            | Self::PgCheck
            | Self::PgConsume
            | Self::PgNaive => 10_000,
            Self::PgConsumeTwo => 16,
            Self::ConsumeHot | Self::PgConsumeHot => 1,
            Self::CheckMillion => 1_000_000,
        }
    }

    /// How many counters are in the file before anything is asked.
    pub(crate) const fn counters(self) -> usize {
        match self {
            Self::ConsumeTenMillion => 10_000_000,
            Self::Itself
            | Self::Check
            | Self::CheckRefused
            | Self::CheckMillion
            | Self::CheckTracked
            | Self::CheckBeside
            | Self::Consume
            | Self::ConsumeHot
            | Self::ConsumeKeyed
            | Self::Authorize
            | Self::AuthorizeRate
            | Self::Naive
            | Self::PgCheck
            | Self::PgConsume
            | Self::PgConsumeHot
            | Self::PgConsumeTwo
            | Self::PgNaive => 0,
        }
    }

    /// Where the request goes.
    pub(crate) const fn path(self) -> &'static str {
        match (self.is_authorized(), self.takes_usage()) {
            (true, _) => "/v1/authorize",
            (false, true) => "/v1/consume",
            (false, false) => "/v1/check",
        }
    }

    /// Whether Plimsoll keeps its data in PostgreSQL.
    pub(crate) const fn is_on_postgres(self) -> bool {
        matches!(self, Self::PgCheck | Self::PgConsume | Self::PgConsumeHot | Self::PgConsumeTwo | Self::PgNaive)
    }

    /// Whether it is about a whole request of a customer.
    pub(crate) const fn is_authorized(self) -> bool {
        matches!(self, Self::Authorize | Self::AuthorizeRate)
    }

    /// Whether every request of a customer takes a quota.
    pub(crate) const fn takes_quota(self) -> bool {
        matches!(self, Self::Authorize)
    }

    /// The text of the request that tells the first org from the others, by the digits that it ends in.
    pub(crate) fn mark(self) -> String {
        if self.is_authorized() { secret(0) } else { org(0) }
    }

    /// Whether it changes what an org has used.
    pub(crate) const fn takes_usage(self) -> bool {
        match self {
            Self::Itself
            | Self::Check
            | Self::CheckRefused
            | Self::CheckMillion
            | Self::CheckTracked
            | Self::CheckBeside
            | Self::Authorize
            | Self::AuthorizeRate
            | Self::PgCheck => false,
            Self::Consume
            | Self::ConsumeHot
            | Self::ConsumeKeyed
            | Self::ConsumeTenMillion
            | Self::Naive
            | Self::PgConsume
            | Self::PgConsumeHot
            | Self::PgConsumeTwo
            | Self::PgNaive => true,
        }
    }

    /// Whether each request carries an idempotency key that was never used before.
    pub(crate) const fn is_keyed(self) -> bool {
        match self {
            Self::ConsumeKeyed => true,
            Self::Itself
            | Self::Check
            | Self::CheckRefused
            | Self::CheckMillion
            | Self::CheckTracked
            | Self::CheckBeside
            | Self::Consume
            | Self::ConsumeHot
            | Self::ConsumeTenMillion
            | Self::Authorize
            | Self::AuthorizeRate
            | Self::Naive
            | Self::PgCheck
            | Self::PgConsume
            | Self::PgConsumeHot
            | Self::PgConsumeTwo
            | Self::PgNaive => false,
        }
    }

    /// The caller's own count, of at most five; nothing when the server counts.
    const fn current(self) -> Option<u64> {
        match self {
            Self::Itself | Self::Check | Self::CheckMillion | Self::PgCheck => Some(3),
            Self::CheckRefused => Some(5),
            Self::CheckTracked
            | Self::CheckBeside
            | Self::Consume
            | Self::ConsumeHot
            | Self::ConsumeKeyed
            | Self::ConsumeTenMillion
            | Self::Authorize
            | Self::AuthorizeRate
            | Self::Naive
            | Self::PgConsume
            | Self::PgConsumeHot
            | Self::PgConsumeTwo
            | Self::PgNaive => None,
        }
    }

    /// The body of the question about the org of this number.
    pub(crate) fn body(self, number: usize) -> String {
        if self.is_authorized() {
            let request =
                json!({"apiKey": secret(number), "method": "GET", "path": "/api/v1/creators", "requiredScope": "read"});
            return request.to_string();
        }
        let limit_key = if self.takes_usage() { crate::plimsoll::COUNTED_KEY } else { crate::plimsoll::LIMIT_KEY };
        let mut question = json!({"org": org(number), "limitKey": limit_key, "amount": 1});
        if let (Some(current), Some(members)) = (self.current(), question.as_object_mut()) {
            members.insert("current".to_owned(), current.into());
        }
        question.to_string()
    }

    /// Whether this is the right answer about the org of this number.
    pub(crate) fn is_answered_by(self, number: usize, answer: &Value) -> bool {
        let is_allowed = self.current().is_none_or(|current| current < crate::plimsoll::MAX);
        let told = answer.pointer("/data/allowed").and_then(Value::as_bool);
        let about = answer.pointer("/data/org").and_then(Value::as_str);
        told == Some(is_allowed) && about == Some(&org(number))
    }

    /// Its name in the table.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Itself => "self",
            Self::Check => "check",
            Self::CheckRefused => "check-refused",
            Self::CheckMillion => "check-1m",
            Self::CheckTracked => "check-tracked",
            Self::CheckBeside => "check-beside",
            Self::Consume => "consume",
            Self::ConsumeHot => "consume-hot",
            Self::ConsumeKeyed => "consume-keyed",
            Self::ConsumeTenMillion => "consume-10m",
            Self::Authorize => "authorize",
            Self::AuthorizeRate => "authorize-rate",
            Self::Naive => "naive",
            Self::PgCheck => "pg-check",
            Self::PgConsume => "pg-consume",
            Self::PgConsumeHot => "pg-consume-hot",
            Self::PgConsumeTwo => "pg-consume-two",
            Self::PgNaive => "pg-naive",
        }
    }
}

/// The id of the org of this number.
pub(crate) fn org(number: usize) -> String {
    format!("{ORG}{number:0DIGITS$}")
}

/// The secret of the API key of the org of this number.
pub(crate) fn secret(number: usize) -> String {
    format!("plm_{number:064}")
}

/// How many digits of a marked text change.
pub(crate) const CHANGING: usize = DIGITS;

/// Writes the digits of a number over those that are there, the last digit last.
pub(crate) fn write_digits(place: &mut [u8], number: usize) {
    let mut rest = number;
    for digit in place.iter_mut().rev() {
        *digit = b'0' + u8::try_from(rest % 10).unwrap_or(0);
        rest /= 10;
    }
}

//! A limit key as it is written.

use deserr::Deserr;

use super::Issues;
use crate::domain::bound::Quantity;
use crate::domain::limit_key::{Kind, Per, WrittenLimitKey};
use crate::domain::names::LimitKeyName;
use crate::domain::value::WrittenValue;
use crate::domain::window::Window;

/// A limit key: a named thing that is limited. Which fields it takes depends on its kind.
/// Its schema, in `limit_key_schema`, has a form for each kind.
#[derive(Debug, Deserr)]
#[deserr(error = Issues, rename_all = camelCase, deny_unknown_fields)]
pub struct LimitKeyBody {
    /// What is limited, and how.
    pub kind: Kind,
    /// What a count or a quota is counted per: `org` (the default) or the kind of resource inside the org, such as `project`.
    #[deserr(default)]
    pub per: Option<Per>,
    /// The value where a tier says nothing. Grants nothing when left out: 0, or off.
    #[deserr(default)]
    pub default: Option<WrittenValue>,
    /// For people; at most 1024 characters.
    #[deserr(default)]
    pub description: Option<String>,
    /// quota: the calendar window. Required.
    #[deserr(default)]
    pub window: Option<Window>,
    /// quota: what is counted, as it stands in the refusal's sentence (`Daily API request limit exceeded`). The limit key's name when left out.
    #[deserr(default)]
    pub label: Option<String>,
    /// quota and rate: whether every request through the gate takes one. No when left out.
    #[deserr(default)]
    pub per_request: Option<bool>,
    /// rate: the length of the sliding window in seconds, from 1 to 2678400 (31 days). Required.
    #[deserr(default)]
    pub window_seconds: Option<Quantity>,
    /// rate: the name that the refusal carries. The limit key's name when left out.
    #[deserr(default)]
    pub bucket: Option<String>,
    /// interval: the unit of its values. Required.
    #[deserr(default)]
    pub unit: Option<String>,
    /// count and quota: the percents of the cap whose crossing is told as an event, at most 16 of them. 80 and 100 when left out.
    #[deserr(default)]
    pub thresholds: Option<Vec<Quantity>>,
    /// Whether it is archived: asked about no more. No when left out.
    #[deserr(default)]
    pub archived: Option<bool>,
    /// The limit key to ask about instead, when it is archived.
    #[deserr(default)]
    pub replacement: Option<LimitKeyName>,
}

impl From<LimitKeyBody> for WrittenLimitKey {
    fn from(body: LimitKeyBody) -> Self {
        Self {
            kind: body.kind,
            per: body.per,
            default: body.default,
            description: body.description,
            window: body.window,
            label: body.label,
            per_request: body.per_request,
            window_seconds: body.window_seconds.map(Quantity::get),
            bucket: body.bucket,
            unit: body.unit,
            thresholds: body.thresholds.map(|percents| percents.into_iter().map(Quantity::get).collect()),
            archived: body.archived,
            replacement: body.replacement,
        }
    }
}

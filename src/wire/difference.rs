//! What a document changes in the catalogue, as it is answered and printed.

use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};
use utoipa::ToSchema;

use crate::domain::issue::Issue;
use crate::domain::plan::{Change, Gone, Tier};

/// What a document changes.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = CatalogDifference)]
pub struct Difference {
    /// Whether it was only asked what would change.
    pub dry_run: bool,
    /// What changes: limit keys by name, then each tier with its values. Empty when there is no difference.
    pub changes: Vec<ChangeView>,
    /// What is only odd about the catalogue as it is then.
    pub warnings: Vec<Warning>,
}

/// One thing that changes.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
#[schema(as = CatalogChange)]
pub struct ChangeView {
    /// `create`, `update` or `delete`.
    pub action: String,
    /// Where in the document.
    pub path: String,
    /// As it was; null when it was not.
    #[schema(value_type = Option<Object>, required)]
    pub before: Option<Json>,
    /// As it is; null when it is no more.
    #[schema(value_type = Option<Object>, required)]
    pub after: Option<Json>,
}

/// Something that is allowed, and probably not meant.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
#[schema(as = CatalogWarning)]
pub struct Warning {
    /// Where in the document.
    pub path: String,
    /// What is odd there.
    pub message: String,
}

impl Difference {
    /// What these changes look like.
    pub fn of(dry_run: bool, changes: &[Change], warnings: &[Issue]) -> Self {
        let warning = |Issue { path, message }: &Issue| Warning { path: path.clone(), message: message.clone() };
        Self { dry_run, changes: changes.iter().map(Into::into).collect(), warnings: warnings.iter().map(warning).collect() }
    }
}

fn json_of<T: Serialize>(value: &T) -> Json {
    serde_json::to_value(value).unwrap_or_default()
}

/// A tier's own texts: its values are changes of their own.
fn texts_of(tier: &Tier) -> Json {
    json!({"name": tier.name, "description": tier.description})
}

impl From<&Change> for ChangeView {
    fn from(change: &Change) -> Self {
        let (before, after) = match change {
            Change::LimitKey { before, after } => (before.as_ref().map(json_of), Some(json_of(after))),
            Change::Tier { before, after, .. } => (before.as_ref().map(texts_of), Some(texts_of(after))),
            Change::Limit { before, after, .. } => (before.as_ref().map(json_of), Some(json_of(after))),
            Change::Gone(Gone::LimitKey(before)) => (Some(json_of(before)), None),
            Change::Gone(Gone::Tier { before, .. }) => (Some(texts_of(before)), None),
            Change::Gone(Gone::Limit { before, .. }) => (Some(json_of(before)), None),
        };
        let action = match (&before, &after) {
            (None, _) => "create",
            (Some(_), Some(_)) => "update",
            (Some(_), None) => "delete",
        };
        Self { action: action.to_owned(), path: change.path(), before, after }
    }
}

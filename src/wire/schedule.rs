//! What is scheduled, as it is written: `{"startsAt": …, "value": …}` or `{"startsAt": …, "tier": …}`; and a tier's value with it.

use std::borrow::Cow;

use deserr::Deserr;
use serde_json::json;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ArrayBuilder, Schema};
use utoipa::{PartialSchema, ToSchema};

use super::Issues;
use super::value::forms_with;
use crate::domain::bound::Quantity;
use crate::domain::names::TierName;
use crate::domain::schedule::{MAX_STEPS, Step, WrittenLimit};
use crate::domain::time::UtcMillis;
use crate::domain::value::WrittenValue;

/// A value from a moment on.
#[derive(Clone, Debug, Deserr, ToSchema)]
#[deserr(error = Issues, rename_all = camelCase, deny_unknown_fields)]
#[schema(rename_all = "camelCase")]
pub struct ScheduledValue {
    /// The first moment that it applies at.
    starts_at: UtcMillis,
    /// The value that applies from then on, in the form of the limit key's kind.
    value: WrittenValue,
}

impl From<ScheduledValue> for Step<WrittenValue> {
    fn from(ScheduledValue { starts_at, value }: ScheduledValue) -> Self {
        Self { starts_at, to: value }
    }
}

/// A tier from a moment on.
#[derive(Clone, Debug, Deserr, ToSchema)]
#[deserr(error = Issues, rename_all = camelCase, deny_unknown_fields)]
#[schema(rename_all = "camelCase")]
pub struct ScheduledTier {
    /// The first moment that the org has it at.
    starts_at: UtcMillis,
    /// The tier that it has from then on.
    tier: TierName,
}

impl From<ScheduledTier> for Step<TierName> {
    fn from(ScheduledTier { starts_at, tier }: ScheduledTier) -> Self {
        Self { starts_at, to: tier }
    }
}

/// Steps as the domain has them.
pub fn steps<T, S: Into<Step<T>>>(written: Option<Vec<S>>) -> Vec<Step<T>> {
    written.into_iter().flatten().map(Into::into).collect()
}

#[derive(Deserr)]
#[deserr(error = Issues, rename_all = camelCase, deny_unknown_fields)]
struct LimitFields {
    #[deserr(default, from(Quantity) = Some)]
    max: Option<Quantity>,
    #[deserr(default, from(Quantity) = Some)]
    days: Option<Quantity>,
    #[deserr(default, from(Quantity) = Some)]
    min: Option<Quantity>,
    #[deserr(default, from(bool) = Some)]
    enabled: Option<bool>,
    #[deserr(default, from(bool) = Some)]
    unlimited: Option<bool>,
    #[deserr(default)]
    scheduled: Option<Vec<ScheduledValue>>,
}

impl Deserr<Issues> for WrittenLimit {
    fn deserialize_from_value<V: deserr::IntoValue>(
        value: deserr::Value<V>,
        location: deserr::ValuePointerRef<'_>,
    ) -> Result<Self, Issues> {
        let fields = LimitFields::deserialize_from_value(value, location)?;
        let LimitFields { max, days, min, enabled, unlimited, scheduled } = fields;
        Ok(Self { value: WrittenValue { max, days, min, enabled, unlimited }, scheduled: steps(scheduled) })
    }
}

impl PartialSchema for WrittenLimit {
    fn schema() -> RefOr<Schema> {
        let scheduled = ArrayBuilder::new().items(ScheduledValue::schema()).max_items(Some(MAX_STEPS));
        let text = "What it changes to by itself, in order, also what has begun. A value that is written without it has nothing scheduled.";
        let forms = forms_with("scheduled", &scheduled.description(Some(text)).into());
        let example = json!({"max": 5, "scheduled": [{"startsAt": "2099-01-01T00:00:00Z", "value": {"max": 3}}]});
        forms.description(Some("A tier's value for a limit key, and what it changes to by itself.")).examples([example]).into()
    }
}

impl ToSchema for WrittenLimit {
    fn name() -> Cow<'static, str> {
        "Limit".into()
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        ScheduledValue::schemas(schemas);
        schemas.push((UtcMillis::name().into_owned(), UtcMillis::schema()));
        schemas.push((WrittenValue::name().into_owned(), WrittenValue::schema()));
    }
}

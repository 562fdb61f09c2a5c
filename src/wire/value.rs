//! Values as they are written: `{"max": 5}`, `{"days": 30}`, `{"min": 6}`, `{"enabled": true}`, `{"unlimited": true}`.

use deserr::Deserr;
use serde_json::json;
use utoipa::openapi::schema::{AdditionalProperties, ObjectBuilder, Schema, Type};
use utoipa::openapi::{OneOfBuilder, RefOr};
use utoipa::{PartialSchema, ToSchema};

use super::Issues;
use super::schema::text;
use crate::domain::bound::Quantity;
use crate::domain::limit_key::Kind;
use crate::domain::names::NAME_PATTERN;
use crate::domain::value::{Value, WrittenValue};

/// A null is not a value: it must not pass for a field that was left out, or for no limit.
#[derive(Deserr)]
#[deserr(error = Issues, rename_all = camelCase, deny_unknown_fields)]
struct ValueFields {
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
}

impl Deserr<Issues> for WrittenValue {
    fn deserialize_from_value<V: deserr::IntoValue>(
        value: deserr::Value<V>,
        location: deserr::ValuePointerRef<'_>,
    ) -> Result<Self, Issues> {
        let ValueFields { max, days, min, enabled, unlimited } = ValueFields::deserialize_from_value(value, location)?;
        Ok(Self { max, days, min, enabled, unlimited })
    }
}

fn only(field: &str, schema: impl Into<RefOr<Schema>>) -> ObjectBuilder {
    let object = ObjectBuilder::new().title(Some(field)).property(field, schema).required(field);
    object.additional_properties(Some(AdditionalProperties::FreeForm(false)))
}

/// The form with this field.
fn form(field: &str) -> ObjectBuilder {
    let boolean = ObjectBuilder::new().schema_type(Type::Boolean);
    match field {
        "enabled" => only(field, boolean),
        "unlimited" => only(field, boolean.enum_values(Some([true]))),
        _ => only(field, Quantity::schema()),
    }
}

/// The forms that a value of this kind has.
pub(super) fn forms_of(kind: Kind) -> OneOfBuilder {
    let fields: &[&str] = match kind {
        Kind::Count | Kind::Quota | Kind::Rate => &["max", "unlimited"],
        Kind::Retention => &["days", "unlimited"],
        Kind::Interval => &["min"],
        Kind::Feature => &["enabled"],
    };
    fields.iter().fold(OneOfBuilder::new(), |forms, field| forms.item(form(field)))
}

/// The forms of values.
const FORMS: [&str; 5] = ["max", "days", "min", "enabled", "unlimited"];

/// The forms that all values have, each with one more property that may be left out.
pub(super) fn forms_with(name: &str, more: &RefOr<Schema>) -> OneOfBuilder {
    FORMS.into_iter().fold(OneOfBuilder::new(), |forms, field| forms.item(form(field).property(name, more.clone())))
}

fn forms() -> RefOr<Schema> {
    let forms = FORMS.into_iter().fold(OneOfBuilder::new(), |forms, field| forms.item(form(field)));
    let text = "A value says what it is: `max` for count, quota and rate, `days` for retention, `min` for interval, `enabled` for \
                feature; `unlimited` instead for the first four kinds.";
    forms.description(Some(text)).examples([json!({"max": 5})]).into()
}

/// The most rates of its own that an API key has.
pub const MAX_RATES: usize = 64;

/// The rates that an API key has of its own, as the document shows them.
pub struct RateLimits;

impl PartialSchema for RateLimits {
    fn schema() -> RefOr<Schema> {
        let name = text(NAME_PATTERN, "The name of a limit key of kind rate.", "v1_api_requests_per_key").build();
        let rates = ObjectBuilder::new().schema_type(Type::Object).property_names(Some(Schema::Object(name)));
        let rates = rates.additional_properties(Some(RefOr::from(Schema::from(forms_of(Kind::Rate).build()))));
        let text = "Values that an API key has in the place of its org's, by the names of limit keys of kind rate.";
        let example = json!({"v1_api_requests_per_key": {"max": 600}});
        rates.max_properties(Some(MAX_RATES)).description(Some(text)).examples([example]).into()
    }
}

impl ToSchema for RateLimits {}

impl PartialSchema for WrittenValue {
    fn schema() -> RefOr<Schema> {
        forms()
    }
}

impl ToSchema for WrittenValue {
    fn name() -> std::borrow::Cow<'static, str> {
        "Value".into()
    }
}

impl PartialSchema for Value {
    fn schema() -> RefOr<Schema> {
        forms()
    }
}

impl ToSchema for Value {}

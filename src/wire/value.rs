//! Values as they are written: `{"max": 5}`, `{"days": 30}`, `{"min": 6}`, `{"enabled": true}`, `{"unlimited": true}`.

use deserr::Deserr;
use serde_json::json;
use utoipa::openapi::schema::{AdditionalProperties, ObjectBuilder, Schema, Type};
use utoipa::openapi::{OneOfBuilder, RefOr};
use utoipa::{PartialSchema, ToSchema};

use super::Issues;
use crate::domain::bound::Quantity;
use crate::domain::value::{Value, WrittenValue};

#[derive(Deserr)]
#[deserr(error = Issues, rename_all = camelCase, deny_unknown_fields)]
struct ValueFields {
    #[deserr(default)]
    max: Option<Quantity>,
    #[deserr(default)]
    days: Option<Quantity>,
    #[deserr(default)]
    min: Option<Quantity>,
    #[deserr(default)]
    enabled: Option<bool>,
    #[deserr(default)]
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
    let object = ObjectBuilder::new().property(field, schema).required(field);
    object.additional_properties(Some(AdditionalProperties::FreeForm(false)))
}

fn forms() -> RefOr<Schema> {
    let yes = ObjectBuilder::new().schema_type(Type::Boolean).enum_values(Some([true]));
    let forms = OneOfBuilder::new()
        .item(only("max", Quantity::schema()))
        .item(only("days", Quantity::schema()))
        .item(only("min", Quantity::schema()))
        .item(only("enabled", ObjectBuilder::new().schema_type(Type::Boolean)))
        .item(only("unlimited", yes));
    let text = "A value says what it is: `max` for count, quota and rate, `days` for retention, `min` for interval, `enabled` for \
                feature; `unlimited` instead for the first four kinds.";
    forms.description(Some(text)).examples([json!({"max": 5})]).into()
}

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

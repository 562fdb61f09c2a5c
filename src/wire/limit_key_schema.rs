//! The schema of a limit key as it is written: a form for each kind, told apart by `kind`.

use std::borrow::Cow;

use serde_json::json;
use utoipa::openapi::schema::{AdditionalProperties, ArrayBuilder, Discriminator, ObjectBuilder, Schema, SchemaType, Type};
use utoipa::openapi::{OneOfBuilder, Ref, RefOr};
use utoipa::{PartialSchema, ToSchema};

use super::limit_key::LimitKeyBody;
use super::schema::{LABEL_PATTERN, TEXT_PATTERN, number, words};
use super::value::forms_of;
use crate::domain::limit_key::{Kind, MAX_DESCRIPTION, MAX_LABEL, MAX_WINDOW_SECONDS, Per};
use crate::domain::names::LimitKeyName;
use crate::domain::threshold::{MAX_PERCENT, MAX_THRESHOLDS};
use crate::domain::window::Window;

const ABOUT: &str = "A limit key: a named thing that is limited. Which fields it takes depends on its kind.";

const fn name_of(kind: Kind) -> &'static str {
    match kind {
        Kind::Count => "CountLimitKeyBody",
        Kind::Quota => "QuotaLimitKeyBody",
        Kind::Rate => "RateLimitKeyBody",
        Kind::Retention => "RetentionLimitKeyBody",
        Kind::Interval => "IntervalLimitKeyBody",
        Kind::Feature => "FeatureLimitKeyBody",
    }
}

impl PartialSchema for LimitKeyBody {
    fn schema() -> RefOr<Schema> {
        let reference = |kind: Kind| (kind.as_str(), format!("#/components/schemas/{}", name_of(kind)));
        let forms = Kind::ALL.iter().fold(OneOfBuilder::new(), |forms, kind| forms.item(Ref::from_schema_name(name_of(*kind))));
        let forms = forms.discriminator(Some(Discriminator::with_mapping("kind", Kind::ALL.map(reference))));
        forms.description(Some(ABOUT)).into()
    }
}

impl ToSchema for LimitKeyBody {
    fn name() -> Cow<'static, str> {
        "LimitKeyBody".into()
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.extend(Kind::ALL.map(|kind| (name_of(kind).to_owned(), form(kind).into())));
        schemas.push((LimitKeyName::name().into_owned(), LimitKeyName::schema()));
        schemas.push((Window::name().into_owned(), Window::schema()));
        schemas.push((Per::name().into_owned(), Per::schema()));
    }
}

fn form(kind: Kind) -> ObjectBuilder {
    let form = ObjectBuilder::new()
        .title(Some(kind.as_str()))
        .property("kind", words([kind.as_str()], "What is limited, and how."))
        .required("kind");
    let form = match kind {
        Kind::Count => form.property("per", per()).property("thresholds", thresholds()),
        Kind::Quota => form
            .property("per", per())
            .property("window", Window::schema())
            .required("window")
            .property("label", label("What is counted, as it stands in the refusal's sentence (`Daily API request limit exceeded`). The limit key's name when left out.", "API request"))
            .property("perRequest", per_request())
            .property("thresholds", thresholds()),
        Kind::Rate => form
            .property("windowSeconds", number(1, MAX_WINDOW_SECONDS, "The length of the sliding window in seconds, at most 31 days."))
            .required("windowSeconds")
            .property("bucket", label("The name that the refusal carries. The limit key's name when left out.", "v1Api"))
            .property("perRequest", per_request()),
        Kind::Interval => form.property("unit", unit()).required("unit"),
        Kind::Retention | Kind::Feature => form,
    };
    let form = if matches!(kind, Kind::Count | Kind::Quota) { form } else { form.property("per", only_org()) };
    common(form, kind).additional_properties(Some(AdditionalProperties::FreeForm(false)))
}

/// What every kind takes.
fn common(form: ObjectBuilder, kind: Kind) -> ObjectBuilder {
    let default = forms_of(kind)
        .item(null())
        .description(Some("The value where a tier says nothing. Grants nothing when left out: 0, or off."));
    let description = nullable(Type::String).max_length(Some(MAX_DESCRIPTION)).pattern(Some(TEXT_PATTERN));
    let archived = nullable(Type::Boolean).description(Some("Whether it is archived: asked about no more. No when left out."));
    form.property("default", default)
        .property("description", description.description(Some("For people.")))
        .property("archived", archived)
        .property("replacement", replacement())
}

fn replacement() -> OneOfBuilder {
    let text = "The limit key to ask about instead; taken only with `\"archived\": true`.";
    OneOfBuilder::new().item(Ref::from_schema_name(LimitKeyName::name())).item(null()).description(Some(text))
}

fn null() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::Null)
}

fn only_org() -> ObjectBuilder {
    words(["org"], "What it is counted per: always the org.")
}

fn per() -> OneOfBuilder {
    let text = "What it is counted per: `org` when left out, or the kind of resource inside the org, such as `project`.";
    OneOfBuilder::new().item(Ref::from_schema_name(Per::name())).item(null()).description(Some(text))
}

fn per_request() -> ObjectBuilder {
    nullable(Type::Boolean).description(Some("Whether every request through the gate takes one. No when left out."))
}

fn thresholds() -> ArrayBuilder {
    let text =
        "The percents of the cap whose crossing is told as an event, in any order; none when empty. 80 and 100 when left out.";
    let percents = ArrayBuilder::new().schema_type(SchemaType::Array(vec![Type::Array, Type::Null]));
    let percents = percents.items(number(1, MAX_PERCENT, "Percent of the cap.")).unique_items(true);
    percents.max_items(Some(MAX_THRESHOLDS)).description(Some(text)).examples([json!([50, 80, 100])])
}

fn unit() -> ObjectBuilder {
    let unit = ObjectBuilder::new().schema_type(Type::String).max_length(Some(MAX_LABEL)).pattern(Some(LABEL_PATTERN));
    unit.description(Some("The unit of its values.")).examples(["hours"])
}

fn label(text: &str, example: &str) -> ObjectBuilder {
    let label = nullable(Type::String).max_length(Some(MAX_LABEL)).pattern(Some(LABEL_PATTERN));
    label.description(Some(text)).examples([example])
}

fn nullable(kind: Type) -> ObjectBuilder {
    ObjectBuilder::new().schema_type(SchemaType::Array(vec![kind, Type::Null]))
}

//! Why a decision is what it is, as it is answered with `?explain=true`.

use serde_json::json;
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::openapi::{ArrayBuilder, OneOfBuilder, Ref, RefOr};
use utoipa::{PartialSchema, ToSchema};

use super::document::NamedSchema;
use super::envelope::null;
use crate::domain::bound::{MAX_QUANTITY, Quantity};
use crate::domain::effective::{Mode, Source};
use crate::domain::limit_key::Kind;
use crate::domain::names::{LimitKeyName, RecordId, TierName};
use crate::domain::time::{Day, UtcMillis};
use crate::domain::value::WrittenValue;
use crate::domain::window::Window;
use crate::wire::schema;

/// How the document shows an explanation.
pub struct ExplanationSchema;

/// The name that it has there.
const NAME: &str = "Explanation";
const STEPS: [&str; 11] =
    ["ban", "limitKey", "default", "tier", "scheduled", "override", "apiKeyRate", "effective", "window", "usage", "comparison"];

/// The property of a decision that holds it.
pub fn property() -> RefOr<Schema> {
    Ref::from_schema_name(NAME).into()
}

fn nullable(schema: RefOr<Schema>, text: &str) -> RefOr<Schema> {
    OneOfBuilder::new().item(null()).item(schema).description(Some(text)).into()
}

fn flag(text: &str) -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::Boolean).description(Some(text))
}

impl PartialSchema for ExplanationSchema {
    fn schema() -> RefOr<Schema> {
        let steps = ArrayBuilder::new().items(step()).description(Some("What was considered, in order."));
        let object = ObjectBuilder::new()
            .property("at", UtcMillis::schema())
            .property("steps", steps)
            .property("wouldAllow", nullable(remedies(), "What would have allowed it; null when it was allowed."))
            .description(Some("Every step that was considered, by one clock and one revision, and what would have allowed it."))
            .examples([example()]);
        ["at", "steps", "wouldAllow"].into_iter().fold(object, ObjectBuilder::required).into()
    }
}

impl ToSchema for ExplanationSchema {
    fn name() -> std::borrow::Cow<'static, str> {
        NAME.into()
    }

    fn schemas(schemas: &mut Vec<NamedSchema>) {
        WrittenValue::schemas(schemas);
    }
}

/// One step; which fields it has follows from its name.
fn step() -> RefOr<Schema> {
    let text = |text: &str| ObjectBuilder::new().schema_type(Type::String).description(Some(text));
    let moment = |text: &str| nullable(UtcMillis::schema(), text);
    let number = |text: &str| nullable(schema::number(0, MAX_QUANTITY, text).into(), text);
    ObjectBuilder::new()
        .property("step", schema::words(STEPS, "What was considered; the other fields follow from it."))
        .required("step")
        .property("banned", flag("ban: whether the org is banned, which stands above every limit."))
        .property("limitKey", LimitKeyName::schema())
        .property("kind", Kind::schema())
        .property("tier", TierName::schema())
        .property("value", nullable(WrittenValue::schema(), "What it says; null when the tier says nothing."))
        .property("applied", flag("Whether it has a part in the value that applies."))
        .property("id", RecordId::schema())
        .property("mode", Mode::schema())
        .property("startsAt", UtcMillis::schema())
        .property("expiresAt", moment("override: the first moment that it no longer applies at."))
        .property("active", flag("override: whether it was active. scheduled: whether it has begun and nothing later has."))
        .property("source", Source::schema())
        .property("window", nullable(Window::schema(), "window: the calendar window; null for a sliding one."))
        .property("windowSeconds", number("window: the length of a sliding window."))
        .property("from", UtcMillis::schema())
        .property("to", moment("window: the first moment of the next calendar window."))
        .property("current", Quantity::schema())
        .property("held", Quantity::schema())
        .property("figureOf", schema::words(["caller", "ledger", "window"], "usage: whose figure it is."))
        .property("rule", text("comparison: the comparison that decides, with its figures."))
        .property("holds", flag("comparison: whether it holds."))
        .into()
}

fn remedies() -> RefOr<Schema> {
    let tier = ObjectBuilder::new().property("tier", TierName::schema()).required("tier");
    let tier = tier.property("value", WrittenValue::schema()).required("value");
    let wait = ObjectBuilder::new().property("seconds", schema::number(0, MAX_QUANTITY, "Rounded up.")).required("seconds");
    let wait = wait.property("until", UtcMillis::schema()).required("until");
    let object = ObjectBuilder::new()
        .property("unban", flag("Whether the org would have to be unbanned, whatever else there is."))
        .property("tier", nullable(tier.into(), "The lowest tier that would allow it, with the org's overrides."))
        .property("value", nullable(WrittenValue::schema(), "The smallest value that would allow it."))
        .property("release", nullable(Quantity::schema(), "count: how many would have to be deleted or released."))
        .property("amount", nullable(Quantity::schema(), "count and quota: the most that could have been asked for."))
        .property(
            "wait",
            nullable(
                wait.into(),
                "How long to wait for the window, or for an override to begin or end, if nothing else happens.",
            ),
        )
        .property("from", nullable(Day::schema(), "retention: the earliest start that could have been asked for."))
        .description(Some("Of all but `unban`, any single one is enough; when there is none, the end of the ban is."));
    let names = ["unban", "tier", "value", "release", "amount", "wait", "from"];
    names.into_iter().fold(object, ObjectBuilder::required).into()
}

fn example() -> serde_json::Value {
    json!({
        "at": "2026-11-22T09:30:00Z",
        "steps": [
            {"step": "ban", "banned": false},
            {"step": "limitKey", "limitKey": "max_creators_per_org", "kind": "count"},
            {"step": "default", "value": {"max": 0}, "applied": false},
            {"step": "tier", "tier": "free", "value": {"max": 5}, "applied": true},
            {"step": "effective", "value": {"max": 5}, "source": "tier"},
            {"step": "usage", "current": 5, "held": 0, "figureOf": "caller"},
            {"step": "comparison", "rule": "current 5 + amount 1 <= max 5", "holds": false},
        ],
        "wouldAllow": {
            "unban": false, "tier": {"tier": "starter", "value": {"max": 50}}, "value": {"max": 6}, "release": 1, "amount": null,
            "wait": null, "from": null,
        },
    })
}

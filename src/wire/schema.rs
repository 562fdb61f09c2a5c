//! The schemas of the domain's scalars, as the OpenAPI document shows them.

use serde_json::json;
use utoipa::openapi::schema::{KnownFormat, ObjectBuilder, Schema, SchemaFormat, SchemaType, Type};
use utoipa::openapi::{OneOfBuilder, RefOr};
use utoipa::{PartialSchema, ToSchema};

use crate::domain::bound::{MAX_QUANTITY, Quantity};
use crate::domain::effective::{Mode, Source};
use crate::domain::event::EventKind;
use crate::domain::limit_key::{Kind, Per};
use crate::domain::names::{
    ID_PATTERN, LimitKeyName, NAME_PATTERN, OrgId, RecordId, ReservationText, ResourceId, ScopeName, TierName, UserId,
};
use crate::domain::reservation::{RESERVATION_ID_PATTERN, ReservationId, Status};
use crate::domain::scope::Scopes;
use crate::domain::time::{DATE_PATTERN, Day, Moment, TIMESTAMP_PATTERN, UtcMillis};
use crate::domain::webhook::DeliveryState;
use crate::domain::window::Window;

/// Text for people: no control characters but line feeds and tabs.
pub const TEXT_PATTERN: &str = r"^[^\u0000-\u0008\u000b-\u001f\u007f-\u009f]*$";
/// Text that stands in sentences and headers: printable ASCII without surrounding spaces.
pub const LABEL_PATTERN: &str = "^[!-~]([ -~]*[!-~])?$";

/// A string that matches a pattern.
pub fn text(pattern: &str, description: &str, example: &str) -> ObjectBuilder {
    let schema = ObjectBuilder::new().schema_type(Type::String).pattern(Some(pattern));
    schema.description(Some(description)).examples([json!(example)])
}

/// One of a few words.
pub fn words<'a>(words: impl IntoIterator<Item = &'a str>, description: &str) -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String).enum_values(Some(words)).description(Some(description))
}

/// A whole number in a range.
pub fn number(minimum: u64, maximum: u64, description: &str) -> ObjectBuilder {
    let schema = ObjectBuilder::new().schema_type(SchemaType::Type(Type::Integer));
    let schema = schema.format(Some(SchemaFormat::KnownFormat(KnownFormat::Int64)));
    // Without an example, the largest number would be shown.
    let schema = schema.examples([json!(minimum.max(42).min(maximum))]);
    schema.minimum(Some(minimum)).maximum(Some(maximum)).description(Some(description))
}

macro_rules! schemas {
    ($($scalar:ty => $schema:expr),* $(,)?) => {$(
        impl PartialSchema for $scalar {
            fn schema() -> RefOr<Schema> {
                $schema.into()
            }
        }
        impl ToSchema for $scalar {}
    )*};
}

schemas! {
    TierName => text(NAME_PATTERN, "The name of a tier.", "free"),
    LimitKeyName => text(NAME_PATTERN, "The name of a limit key.", "max_creators_per_org"),
    ScopeName => text(NAME_PATTERN, "The name of a scope.", "read"),
    OrgId => text(ID_PATTERN, "The customer's id, chosen by the caller.", "acme"),
    UserId => text(ID_PATTERN, "The user's id, chosen by the caller.", "jane@example.com"),
    ResourceId => text(ID_PATTERN, "The id of a thing inside the org, chosen by the caller.", "project-1"),
    RecordId => text(ID_PATTERN, "An id made by Plimsoll.", "key_0192f0c1b7e07000a0000000000000aa"),
    ReservationId => text(RESERVATION_ID_PATTERN, "The id of a reservation.", "res_0192f0c1b7e07000a0000000000000aa_demo-starter"),
    ReservationText => text("^[A-Za-z0-9._:@-]{1,165}$", "The id of a reservation.", "res_0192f0c1b7e07000a0000000000000aa_demo-starter"),
    Status => words(Status::ALL.map(Status::as_str), "What has become of it. Whether it is still held is computed from the clock."),
    Quantity => number(0, MAX_QUANTITY, "A whole number from 0 to 2^53 - 1.").examples([json!(5)]),
    UtcMillis => text(TIMESTAMP_PATTERN, "RFC 3339 in UTC.", "2026-11-22T09:30:00Z"),
    Day => text(DATE_PATTERN, "A UTC day.", "2026-11-22"),
    Moment => OneOfBuilder::new().item(Day::schema()).item(UtcMillis::schema()).description(Some("A UTC day or an RFC 3339 timestamp in UTC.")),
    Kind => words(Kind::ALL.map(Kind::as_str), "The kind of limit key."),
    Window => words(Window::ALL.map(Window::as_str), "The calendar window, in UTC; weeks start on Mondays."),
    EventKind => words(EventKind::ALL.map(EventKind::as_str), "What happened."),
    DeliveryState => words(DeliveryState::ALL.map(DeliveryState::as_str), "What has become of a delivery."),
    Mode => words(["set", "add"], "Whether the value replaces the tier's or adds to it."),
    Source => words(["override", "tier", "default"], "Where the value came from. An active override that adds counts too."),
    Per => text(NAME_PATTERN, "What the limit is counted per: `org`, or the kind of resource inside the org.", "org"),
    Scopes => utoipa::openapi::ArrayBuilder::new().items(ScopeName::schema()).unique_items(true),
}

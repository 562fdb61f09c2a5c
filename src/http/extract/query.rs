//! Query parameters: strict, and every issue named.

use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::http::Method;
use actix_web::{FromRequest, HttpRequest};
use deserr::{DeserializeError, Deserr, ErrorKind, IntoValue, Value, ValuePointerRef, take_cf_content};
use serde_json::{Map, Value as Json};
use utoipa::openapi::RefOr;
use utoipa::openapi::path::ParameterIn;
use utoipa::openapi::schema::{Schema, Type};
use utoipa::{IntoParams, PartialSchema, ToSchema};

use super::super::document::{Describe, Description};
use super::super::error::ApiError;
use crate::domain::issue::Issue;
use crate::store::PageRequest;
use crate::wire::{self, Issues, schema};

/// How many items a page has when the caller does not say.
const DEFAULT_PAGE: u64 = 50;
/// The most that a page has, so that one request stays small.
const MAX_PAGE: u64 = 100;
/// Digits of the longest sequence: more events than will ever happen.
const MAX_SEQUENCE_DIGITS: usize = 15;
const MAX_SEQUENCE: u64 = 999_999_999_999_999;
/// The longest that a stream is asked to go on, in seconds.
const MAX_SECONDS: u64 = 3_600;
/// The longest cursor: the hexadecimal digits of the longest key.
const MAX_CURSOR: usize = 512;
/// The hexadecimal digits of printable ASCII, which is what all keys are.
const CURSOR_PATTERN: &str = "^([2-6][0-9a-f]|7[0-9a-e])+$";

/// The parameters in the query.
pub struct Query<T>(pub T);

fn document_of(query: &str) -> Result<Json, Vec<Issue>> {
    let pairs: Vec<(String, String)> =
        serde_urlencoded::from_str(query).map_err(|error| vec![Issue::new("", format!("is not a query string: {error}"))])?;
    let mut document = Map::new();
    let mut issues = Vec::new();
    for (name, value) in pairs {
        if document.contains_key(&name) {
            issues.push(Issue::new(name, "is given more than once"));
        } else {
            document.insert(name, Json::String(value));
        }
    }
    if issues.is_empty() { Ok(Json::Object(document)) } else { Err(issues) }
}

impl<T: Deserr<Issues> + 'static> FromRequest for Query<T> {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let parsed = document_of(request.query_string()).and_then(wire::parse);
        ready(parsed.map(Self).map_err(ApiError::InvalidQuery))
    }
}

/// The methods of a path whose operations take no query.
pub struct WithoutQuery(pub Vec<Method>);

/// Of an operation that takes no query: what would be ignored is refused, like every unknown field.
pub(super) fn refuse_unknown(request: &HttpRequest) -> Result<(), ApiError> {
    if request.query_string().is_empty() {
        return Ok(());
    }
    // Whoever may get a thing may ask for its head.
    let method = if request.method() == Method::HEAD { &Method::GET } else { request.method() };
    match request.app_data::<WithoutQuery>() {
        Some(WithoutQuery(methods)) if methods.contains(method) => {
            let parsed = document_of(request.query_string()).and_then(wire::parse::<NoParameters>);
            parsed.map(drop).map_err(ApiError::InvalidQuery)
        }
        Some(_) | None => Ok(()),
    }
}

/// What an operation without a query takes in it.
#[derive(Debug, Deserr)]
#[deserr(error = Issues, deny_unknown_fields)]
struct NoParameters {}

impl<T: IntoParams> Describe for Query<T> {
    fn describe(description: &mut Description<'_>) {
        description.error("invalid_query");
        for parameter in T::into_params(|| Some(ParameterIn::Query)) {
            description.parameter(parameter.into());
        }
    }
}

/// Text in a query, parsed.
trait FromText: Sized {
    fn from_text(text: &str) -> Result<Self, String>;
}

macro_rules! read_from_query {
    ($($scalar:ty),*) => {$(
        impl<E: DeserializeError> Deserr<E> for $scalar {
            fn deserialize_from_value<V: IntoValue>(value: Value<V>, location: ValuePointerRef<'_>) -> Result<Self, E> {
                let parsed = match value {
                    Value::String(text) => Self::from_text(&text),
                    _ => Err("must be text".to_owned()),
                };
                parsed.map_err(|msg| take_cf_content(E::error::<std::convert::Infallible>(None, ErrorKind::Unexpected { msg }, location)))
            }
        }
    )*};
}

read_from_query!(PageLimit, Flag, Cursor, DenyStatus, Sequence, Seconds);

/// How many items a page has.
#[derive(Clone, Copy, Debug)]
pub struct PageLimit(u64);

impl FromText for PageLimit {
    fn from_text(text: &str) -> Result<Self, String> {
        let number =
            text.parse().ok().filter(|number| (1..=MAX_PAGE).contains(number) && text.bytes().all(|b| b.is_ascii_digit()));
        number.map(Self).ok_or_else(|| format!("must be a whole number from 1 to {MAX_PAGE}"))
    }
}

impl PartialSchema for PageLimit {
    fn schema() -> RefOr<Schema> {
        schema::number(1, MAX_PAGE, "How many items a page has; 50 when left out.").into()
    }
}

impl ToSchema for PageLimit {}

/// A place in the feed of events.
#[derive(Clone, Copy, Debug)]
pub struct Sequence(u64);

impl Sequence {
    /// Of digits, at most fifteen of them.
    pub fn parse(text: &str) -> Option<Self> {
        let is_number = (1..=MAX_SEQUENCE_DIGITS).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse().ok().filter(|_| is_number).map(Self)
    }

    /// The number.
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl FromText for Sequence {
    fn from_text(text: &str) -> Result<Self, String> {
        Self::parse(text).ok_or_else(|| "must be the sequence of an event: a whole number".to_owned())
    }
}

impl PartialSchema for Sequence {
    fn schema() -> RefOr<Schema> {
        schema::number(0, MAX_SEQUENCE, "A place in the feed of events.").into()
    }
}

impl ToSchema for Sequence {}

/// How long something goes on, in seconds.
#[derive(Clone, Copy, Debug)]
pub struct Seconds(u64);

impl Seconds {
    /// The number.
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl FromText for Seconds {
    fn from_text(text: &str) -> Result<Self, String> {
        let number =
            text.parse().ok().filter(|number| (1..=MAX_SECONDS).contains(number) && text.bytes().all(|b| b.is_ascii_digit()));
        number.map(Self).ok_or_else(|| format!("must be a whole number from 1 to {MAX_SECONDS}"))
    }
}

impl PartialSchema for Seconds {
    fn schema() -> RefOr<Schema> {
        let number = schema::number(1, MAX_SECONDS, "Seconds.");
        number.examples([serde_json::json!(1)]).into()
    }
}

impl ToSchema for Seconds {}

/// `true` or `false`.
#[derive(Clone, Copy, Debug)]
pub struct Flag(bool);

impl FromText for Flag {
    fn from_text(text: &str) -> Result<Self, String> {
        match text {
            "true" => Ok(Self(true)),
            "false" => Ok(Self(false)),
            _ => Err("must be true or false".to_owned()),
        }
    }
}

impl PartialSchema for Flag {
    fn schema() -> RefOr<Schema> {
        utoipa::openapi::ObjectBuilder::new().schema_type(Type::Boolean).into()
    }
}

impl ToSchema for Flag {}

/// The status that a refusal comes with, for proxies that know few: 403.
#[derive(Clone, Copy, Debug)]
pub struct DenyStatus;

impl DenyStatus {
    /// The status.
    pub const STATUS: u16 = 403;
}

impl FromText for DenyStatus {
    fn from_text(text: &str) -> Result<Self, String> {
        if text == Self::STATUS.to_string() { Ok(Self) } else { Err(format!("must be {}", Self::STATUS)) }
    }
}

impl PartialSchema for DenyStatus {
    fn schema() -> RefOr<Schema> {
        utoipa::openapi::ObjectBuilder::new().schema_type(Type::Integer).enum_values(Some([Self::STATUS])).into()
    }
}

impl ToSchema for DenyStatus {}

/// What a flag says; `false` when it is left out.
pub fn flag(flag: Option<Flag>) -> bool {
    flag.is_some_and(|Flag(is_set)| is_set)
}

impl Flag {
    /// What it says.
    pub const fn get(self) -> bool {
        self.0
    }
}

/// Where the page before ended. Opaque to callers.
#[derive(Clone, Debug)]
pub struct Cursor(String);

impl Cursor {
    /// The cursor that stands for this key.
    pub fn of(key: &str) -> String {
        key.bytes().map(|byte| format!("{byte:02x}")).collect()
    }
}

impl FromText for Cursor {
    fn from_text(text: &str) -> Result<Self, String> {
        let invalid = || "must be the nextCursor of an earlier page".to_owned();
        let pairs = text.as_bytes().chunks(2);
        let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok().filter(|pair| pair.len() == 2)?, 16).ok();
        if text.is_empty() || text.len() > MAX_CURSOR || !text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
            return Err(invalid());
        }
        let bytes: Option<Vec<u8>> = pairs.map(byte).collect();
        let key = bytes.and_then(|bytes| String::from_utf8(bytes).ok()).ok_or_else(invalid)?;
        if key.bytes().all(|byte| (b' '..=b'~').contains(&byte)) { Ok(Self(key)) } else { Err(invalid()) }
    }
}

impl PartialSchema for Cursor {
    fn schema() -> RefOr<Schema> {
        let text = utoipa::openapi::ObjectBuilder::new().schema_type(Type::String).min_length(Some(1));
        let text = text.max_length(Some(MAX_CURSOR)).pattern(Some(CURSOR_PATTERN));
        text.description(Some("`meta.nextCursor` of the page before.")).into()
    }
}

impl ToSchema for Cursor {}

/// The page that a list's parameters ask for.
pub fn page_of(limit: Option<PageLimit>, cursor: Option<Cursor>) -> PageRequest {
    PageRequest { limit: limit.map_or(DEFAULT_PAGE, |PageLimit(limit)| limit), after: cursor.map(|Cursor(key)| key) }
}

/// The parameters of a list without filters.
#[derive(Debug, Deserr, IntoParams)]
#[deserr(error = Issues, rename_all = camelCase, deny_unknown_fields)]
#[into_params(rename_all = "camelCase")]
pub struct Paging {
    /// How many items a page has; 50 when left out.
    #[deserr(default)]
    #[param(inline)]
    limit: Option<PageLimit>,
    /// `meta.nextCursor` of the page before.
    #[deserr(default)]
    #[param(inline)]
    cursor: Option<Cursor>,
}

impl From<Paging> for PageRequest {
    fn from(paging: Paging) -> Self {
        page_of(paging.limit, paging.cursor)
    }
}

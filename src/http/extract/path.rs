//! Parameters in the path, parsed by their types in the order that they stand in.

use std::future::{Ready, ready};
use std::str::FromStr;

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};
use utoipa::PartialSchema;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::Schema;

use super::super::document::{Describe, Description, inline};
use super::super::error::ApiError;
use crate::domain::issue::{Invalid, Issue};
use crate::domain::names::{LimitKeyName, OrgId, RecordId, ReservationText, ScopeName, TierName, UserId};

/// The parameters in the path.
pub struct Path<T>(pub T);

/// Something that path parameters are parsed into.
pub trait Segments: Sized + 'static {
    /// Takes as many segments as it needs.
    fn take<'a>(segments: &mut dyn Iterator<Item = (&'a str, &'a str)>) -> Result<Self, Issue>;
    /// The schema of each.
    fn schemas() -> Vec<RefOr<Schema>>;
}

fn one<'a, T: FromStr<Err = Invalid>>(segments: &mut dyn Iterator<Item = (&'a str, &'a str)>) -> Result<T, Issue> {
    let (name, text) = segments.next().ok_or_else(|| Issue::new("", "is missing"))?;
    text.parse().map_err(|invalid: Invalid| invalid.at(name))
}

macro_rules! segments {
    ($($scalar:ty),* $(,)?) => {$(
        impl Segments for $scalar {
            fn take<'a>(segments: &mut dyn Iterator<Item = (&'a str, &'a str)>) -> Result<Self, Issue> {
                one(segments)
            }

            fn schemas() -> Vec<RefOr<Schema>> {
                vec![inline::<Self>()]
            }
        }
    )*};
}

segments!(TierName, LimitKeyName, ScopeName, OrgId, UserId, RecordId, ReservationText);

impl<A, B> Segments for (A, B)
where
    A: FromStr<Err = Invalid> + PartialSchema + 'static,
    B: FromStr<Err = Invalid> + PartialSchema + 'static,
{
    fn take<'a>(segments: &mut dyn Iterator<Item = (&'a str, &'a str)>) -> Result<Self, Issue> {
        Ok((one(segments)?, one(segments)?))
    }

    fn schemas() -> Vec<RefOr<Schema>> {
        vec![inline::<A>(), inline::<B>()]
    }
}

impl<T: Segments> FromRequest for Path<T> {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let parsed = T::take(&mut request.match_info().iter());
        ready(parsed.map(Self).map_err(|issue| ApiError::InvalidParams(vec![issue])))
    }
}

impl<T: Segments> Describe for Path<T> {
    fn describe(description: &mut Description<'_>) {
        description.path_parameters(T::schemas());
    }
}

//! Permission, as the first parameter of every handler. A handler without one does not compile.

use std::future::{Ready, ready};
use std::marker::PhantomData;

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpMessage, HttpRequest};

use super::super::caller::{Caller, Identity};
use super::super::document::{Describe, Description};
use super::super::edge::Seen;
use super::super::error::ApiError;
use super::super::guard;
use super::super::service::App;
use super::query::refuse_unknown;
use crate::domain::refusal::{Presented, Refusal};

/// Marks what may stand first in a handler's parameters.
pub trait Permission {}

/// A scope that a permit proves.
pub trait Scope: 'static {
    /// Its name.
    const NAME: &'static str;
    /// Whether the requests that it permits are counted per source.
    const IS_COUNTED: bool = false;
}

/// In the place of a scope: whoever is known, whatever the caller may do.
pub struct Anyone;

/// The scope `read`.
pub struct Read;
/// The scope `write`.
pub struct Write;
/// The scope `admin`.
pub struct Admin;

impl Scope for Read {
    const NAME: &'static str = "read";
}

impl Scope for Write {
    const NAME: &'static str = "write";
}

impl Scope for Admin {
    const NAME: &'static str = "admin";
    const IS_COUNTED: bool = true;
}

/// Proof that the caller is known, not banned, and holds the scope.
/// It is made before the body is looked at, from what the edge found out about the caller.
pub struct Permit<S> {
    /// Who calls.
    pub caller: Caller,
    scope: PhantomData<S>,
}

/// Who calls, if that is known.
fn known_caller(request: &HttpRequest) -> Result<Caller, ApiError> {
    // Taken, not copied: a request has one permit.
    let identity = request.extensions_mut().get_mut::<Seen>().and_then(|seen| seen.identity.take());
    match identity {
        Some(Identity::Known(caller)) => Ok(caller),
        Some(Identity::Refused(error)) => Err(refused(error, request)),
        None => Err(Refusal::InvalidApiKey(Presented::Nothing).into()),
    }
}

impl<S: Scope> Permit<S> {
    fn of(request: &HttpRequest) -> Result<Self, ApiError> {
        let caller = known_caller(request)?;
        caller.scopes().require(S::NAME)?;
        if S::IS_COUNTED {
            guard::admit_admin(request)?;
        }
        refuse_unknown(request)?;
        Ok(Self { caller, scope: PhantomData })
    }
}

/// Out of line, so that a good credential pays nothing for it.
#[cold]
fn refused(error: ApiError, request: &HttpRequest) -> ApiError {
    match request.app_data::<App>() {
        Some(service) => guard::instead_of_error(error, service, request),
        None => error,
    }
}

impl<S> Permission for Permit<S> {}

impl<S: Scope> FromRequest for Permit<S> {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Self::of(request))
    }
}

impl<S: Scope> Describe for Permit<S> {
    fn describe(description: &mut Description<'_>) {
        description.secured(S::NAME);
    }
}

impl FromRequest for Permit<Anyone> {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let caller = known_caller(request).and_then(|caller| refuse_unknown(request).map(|()| caller));
        ready(caller.map(|caller| Self { caller, scope: PhantomData }))
    }
}

impl Describe for Permit<Anyone> {
    fn describe(description: &mut Description<'_>) {
        description.secured_without_scope();
    }
}

/// Open to everybody, said on purpose.
pub struct Public;

impl Permission for Public {}

impl FromRequest for Public {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(_: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Ok(Self))
    }
}

impl Describe for Public {
    fn describe(description: &mut Description<'_>) {
        description.open();
    }
}

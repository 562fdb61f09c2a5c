//! Admin writes: the conditions they carry, and the answer with the new revision.

use std::future::{Ready, ready};
use std::marker::PhantomData;

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpMessage, HttpRequest};
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::caller::{self, Caller, Identity};
use super::document::{Describe, Description};
use super::edge::Seen;
use super::envelope::{Change, change_answer};
use super::error::ApiError;
use super::extract::{Admin, IdempotencyKey, Permit, Preconditions, Scope};
use super::guard;
use super::service::{App, Service};
use crate::clock;
use crate::domain::refusal::{Presented, Refusal};
use crate::store::{Command, Created, Executed, Expected, IdempotentCall, StoreError, Stored, WriteContext, Written};

/// A write that is repeated safely by its nature: PUT, PATCH, DELETE. Takes `If-Match`.
pub struct Idempotent;
/// A POST, which is repeated safely under an `Idempotency-Key`. Takes `If-Match` too.
pub struct Once;

/// What a write needs of its request. The permission is asked for separately, and first.
pub struct Writer<Form> {
    request: HttpRequest,
    service: App,
    expected: Expected,
    idempotency_key: Option<String>,
    form: PhantomData<Form>,
}

/// What a command made, as it is answered.
pub struct View<T> {
    /// 200 or 201.
    pub status: u16,
    /// The resource.
    pub data: T,
    /// The revision of its last change, for the `ETag`; nothing when it is gone.
    pub revision: Option<u64>,
}

impl<T> View<T> {
    /// 201 when a `PUT` created, 200 when it replaced.
    pub fn put<R>((stored, Created(is_new)): &(Stored<R>, Created)) -> Self
    where
        T: for<'a> From<&'a Stored<R>>,
    {
        Self { status: if *is_new { 201 } else { 200 }, data: stored.into(), revision: Some(stored.revision) }
    }

    /// 201.
    pub fn created<R>(stored: &Stored<R>) -> Self
    where
        T: for<'a> From<&'a Stored<R>>,
    {
        Self { status: 201, data: stored.into(), revision: Some(stored.revision) }
    }

    /// 200.
    pub fn changed<R>(stored: &Stored<R>) -> Self
    where
        T: for<'a> From<&'a Stored<R>>,
    {
        Self { status: 200, data: stored.into(), revision: Some(stored.revision) }
    }

    /// 200, with what it was.
    pub fn deleted<R>(stored: &Stored<R>) -> Self
    where
        T: for<'a> From<&'a Stored<R>>,
    {
        Self { status: 200, data: stored.into(), revision: None }
    }
}

impl<Form> Writer<Form> {
    fn of(request: &HttpRequest, expected: Expected, idempotency_key: Option<String>) -> Result<Self, ApiError> {
        let service = request.app_data::<App>().copied().ok_or(ApiError::Internal)?;
        Ok(Self { request: request.clone(), service, expected, idempotency_key, form: PhantomData })
    }

    /// The service that the write goes to.
    pub fn service(&self) -> &Service {
        &self.service
    }

    /// Runs the command, and answers when every question asked from now on sees its effect.
    pub async fn run<C, T, F>(
        self,
        permit: &Permit<Admin>,
        body: &[u8],
        command: C,
        view: impl FnOnce(&C::Output) -> View<T> + Send + 'static,
    ) -> Result<Change<T, F>, ApiError>
    where
        C: Command,
        C::Output: Sync,
        T: Serialize,
    {
        still_permitted::<Admin>(&self.service, &self.request).await?;
        let context = WriteContext {
            actor: permit.caller.actor(),
            now: clock::now(),
            request_id: self.request.extensions().get::<Seen>().map(|seen| seen.id.as_str().to_owned()),
            expected: self.expected.clone(),
        };
        let answer = |written: &Written<C::Output>, view: View<T>| {
            change_answer(view.status, &view.data, written.revision, view.revision)
        };
        let Some(key) = &self.idempotency_key else {
            let written = self.service.store.run(context, command).await?;
            self.service.directory.reaches(written.revision).await;
            return Ok(Change::recorded(answer(&written, view(&written.output)), false));
        };
        let seal = Some(Caller::seal(self.request.headers(), key));
        let call = call_of(&self.request, &permit.caller, key, body, seal);
        let render = move |outcome: Result<&Written<C::Output>, &StoreError>| match outcome {
            Ok(written) => Some(answer(written, view(&written.output))),
            Err(error) => ApiError::from(error).to_recorded(),
        };
        match self.service.store.run_once(context, call, command, render).await? {
            Executed::Replayed(recorded) => {
                let committed = *self.service.store.committed().borrow();
                self.service.directory.reaches(committed).await;
                Ok(Change::recorded(recorded, true))
            }
            Executed::Fresh { result, recorded } => {
                if let Ok(written) = &result {
                    self.service.directory.reaches(written.revision).await;
                }
                recorded.map(|recorded| Change::recorded(recorded, false)).ok_or(ApiError::Internal)
            }
        }
    }
}

/// A body takes its time after the permit is given: a key that was revoked meanwhile changes nothing.
pub(super) async fn still_permitted<S: Scope>(service: &Service, request: &HttpRequest) -> Result<(), ApiError> {
    match caller::identify(service, request.headers()).await {
        Some(Identity::Known(caller)) => Ok(caller.scopes().require(S::NAME)?),
        Some(Identity::Refused(error)) => Err(guard::instead_of_error(error, service, request)),
        None => Err(Refusal::InvalidApiKey(Presented::Nothing).into()),
    }
}

/// The call of this request under its idempotency key.
pub(super) fn call_of(
    request: &HttpRequest,
    caller: &Caller,
    key: &str,
    body: &[u8],
    seal: Option<[u8; 32]>,
) -> IdempotentCall {
    let path = request.uri().path_and_query().map_or("", |target| target.as_str());
    let mut fingerprint = Sha256::new();
    for part in [request.method().as_str().as_bytes(), path.as_bytes(), body] {
        fingerprint.update(part);
        fingerprint.update(b"\0");
    }
    IdempotentCall {
        caller: caller.idempotency_scope(),
        key_hash: Sha256::digest(key.as_bytes()).into(),
        fingerprint: fingerprint.finalize().into(),
        seal,
    }
}

impl FromRequest for Writer<Idempotent> {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let expected = Preconditions::from_request(request, payload).into_inner();
        ready(expected.and_then(|Preconditions(expected)| Self::of(request, expected, None)))
    }
}

impl Describe for Writer<Idempotent> {
    fn describe(description: &mut Description<'_>) {
        Preconditions::describe(description);
    }
}

impl FromRequest for Writer<Once> {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let expected = Preconditions::from_request(request, payload).into_inner();
        let key = IdempotencyKey::from_request(request, payload).into_inner();
        ready(expected.and_then(|Preconditions(expected)| Self::of(request, expected, key?.0)))
    }
}

impl Describe for Writer<Once> {
    fn describe(description: &mut Description<'_>) {
        IdempotencyKey::describe(description);
        Preconditions::describe(description);
    }
}

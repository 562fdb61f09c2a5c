//! Reservations: usage held for a short time.

use deserr::Deserr;
use serde::Serialize;
use utoipa::PartialSchema;
use utoipa::ToSchema;
use utoipa::openapi::AllOfBuilder;
use utoipa::openapi::schema::Schema;
use utoipa::openapi::{ObjectBuilder, Ref, RefOr};
use uuid::Uuid;

use super::caller::Caller;
use super::check::Enforce;
use super::consume::{COUNTED, decided, refusals};
use super::decision_view::DecisionView;
use super::document::{Description, Doc, NamedSchema};
use super::envelope::{Data, envelope, null};
use super::error::ApiError;
use super::extract::{Body, Demand, OptionalBody, Path, Permit, Query, Read, Write};
use super::routes::TAKING;
use super::service::App;
use super::taker::{Aim, Taken, TakenForm, Taker, WrittenTaking, answer};
use super::telling::Telling;
use crate::clock;
use crate::domain::bound::Quantity;
use crate::domain::explain::Effect;
use crate::domain::issue::Issue;
use crate::domain::names::{LimitKeyName, OrgId, ReservationText, ResourceId};
use crate::domain::reservation::{DEFAULT_TTL_SECONDS, MAX_TTL_SECONDS, Reservation, ReservationId, Status};
use crate::domain::time::UtcMillis;
use crate::ledger::{Operation, Outcome};
use crate::wire::Issues;

/// What is to be held.
#[derive(Debug, Deserr, ToSchema)]
#[deserr(error = Issues, rename_all = camelCase, deny_unknown_fields)]
#[schema(rename_all = "camelCase")]
pub struct ReserveBody {
    /// The org that it is held for.
    org: OrgId,
    /// Of what: a limit key of kind count or quota.
    limit_key: LimitKeyName,
    /// How much; 1 when left out.
    #[deserr(default)]
    #[schema(value_type = Option<u64>, minimum = 1, maximum = 9_007_199_254_740_991_u64)]
    amount: Option<Quantity>,
    /// The resource, required when the limit key's `per` is not `org`, and refused otherwise.
    #[deserr(default)]
    resource: Option<ResourceId>,
    /// For how long, in seconds; 60 when left out.
    #[deserr(default)]
    #[schema(value_type = Option<u64>, minimum = 1, maximum = 86400)]
    ttl_seconds: Option<Quantity>,
}

/// A reservation that was just made, with the figures of its decision.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ReservedView<'a> {
    id: &'a ReservationId,
    status: Status,
    created_at: UtcMillis,
    expires_at: UtcMillis,
    #[serde(flatten)]
    decision: DecisionView<'a>,
}

/// How it is documented: the decision, and what the reservation adds to it.
struct ReservedSchema;

impl PartialSchema for ReservedSchema {
    fn schema() -> RefOr<Schema> {
        let added = ObjectBuilder::new()
            .property("id", ReservationId::schema())
            .property("status", Status::schema())
            .property("createdAt", UtcMillis::schema())
            .property("expiresAt", UtcMillis::schema());
        let added = ["id", "status", "createdAt", "expiresAt"].into_iter().fold(added, ObjectBuilder::required);
        let both = AllOfBuilder::new().item(added).item(Ref::from_schema_name("Decision"));
        both.description(Some(
            "A reservation, with the figures of the decision after it: `held` and `current` hold it already.",
        ))
        .into()
    }
}

impl ToSchema for ReservedSchema {
    fn name() -> std::borrow::Cow<'static, str> {
        "Reserved".into()
    }

    fn schemas(schemas: &mut Vec<NamedSchema>) {
        schemas.push((DecisionView::name().into_owned(), DecisionView::schema()));
        DecisionView::schemas(schemas);
    }
}

/// 201 with the reservation, or a refusal as `consume` answers it.
pub struct ReservedForm;

impl TakenForm for ReservedForm {
    fn describe(description: &mut Description<'_>) {
        let schema = description.reference::<ReservedSchema>();
        description.success(201, envelope(schema, null()), &[]);
        let refused = description.reference::<DecisionView<'_>>();
        description.success(200, envelope(refused, null()), &[]);
        refusals(description);
    }
}

/// How holding is documented.
pub const RESERVE: Doc = Doc {
    id: "reserve",
    tag: TAKING,
    summary: "Hold usage for a short time",
    text: "For work that may still fail: what is held counts, until it is confirmed, released, or its time is over. 201 when there was room; no room is a refusal as `consume` answers it, with 200. \
           A reservation of a quota counts in the calendar window that it was made in, also when it is confirmed later.",
    examples: &[
        ("for a minute", r#"{"org":"demo-starter","limitKey":"max_creators_per_org","amount":2}"#),
        ("for an hour", r#"{"org":"demo-starter","limitKey":"max_creators_per_org","ttlSeconds":3600}"#),
    ],
    errors: &["not_found", "gone", "state_conflict"],
};

fn ttl_of(written: Option<Quantity>) -> Result<u64, ApiError> {
    let seconds = written.map_or(DEFAULT_TTL_SECONDS, Quantity::get);
    if (1..=MAX_TTL_SECONDS).contains(&seconds) {
        return Ok(seconds);
    }
    let message = format!("must be a whole number from 1 to {MAX_TTL_SECONDS}");
    Err(ApiError::InvalidBody(vec![Issue::new("ttlSeconds", message)]))
}

/// Holds usage for a short time.
pub async fn reserve(
    permit: Permit<Write>,
    demand: Demand,
    query: Query<Enforce>,
    taker: Taker,
    body: Body<ReserveBody>,
) -> Result<Taken<ReservedForm>, ApiError> {
    let ReserveBody { org, limit_key, amount, resource, ttl_seconds } = body.value;
    let ttl_seconds = ttl_of(ttl_seconds)?;
    let service = taker.service();
    let fresh = demand.met(&service).await?;
    let now = clock::now();
    let telling = Telling::of(&query.0, &fresh, now, (service, "reserve"))?;
    let written = WrittenTaking { limit_key, amount, resource };
    let aim = match Aim::find(&service, &fresh, &permit.caller, (&org, written), &COUNTED, now).await {
        Ok(aim) => aim,
        Err(error) => return taker.repeat_or_fail(&permit, &body.bytes, error).await,
    };
    let id = ReservationId { org, number: Uuid::now_v7().as_u128() };
    let operation = Operation::Reserve { id, taking: aim.taking.clone(), ttl_seconds };
    let view = move |outcome: &Outcome, telling: &Telling| {
        let Outcome::Reserved(decision, reservation) = outcome else { return None };
        telling.count(&aim.taking.limit_key, decision);
        let Some(Reservation { id, created_at, expires_at, .. }) = reservation else {
            return decided(&aim, decision, telling);
        };
        let decision = telling.view(0, &aim.considered(decision, Effect::Held));
        let (created_at, expires_at) = (*created_at, *expires_at);
        Some(answer(201, &ReservedView { id, status: Status::Held, created_at, expires_at, decision }))
    };
    taker.tell(&permit, (&body.bytes, body.is_late), operation, telling, view).await
}

/// A reservation.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Reservation)]
pub struct ReservationView {
    /// Its id.
    id: ReservationId,
    /// The org that it is held for.
    org: OrgId,
    /// What it is held of.
    limit_key: LimitKeyName,
    /// The resource that it is held for.
    #[schema(required)]
    resource: Option<ResourceId>,
    /// How much.
    amount: Quantity,
    /// How much of it became usage; null unless it is confirmed.
    #[schema(required)]
    confirmed: Option<Quantity>,
    /// What has become of it.
    status: Status,
    /// When it was made.
    created_at: UtcMillis,
    /// The first moment that it no longer holds at.
    expires_at: UtcMillis,
    /// When it was confirmed or released; null otherwise.
    #[schema(required)]
    settled_at: Option<UtcMillis>,
}

impl ReservationView {
    fn of(reservation: &Reservation, now: UtcMillis) -> Self {
        let status = reservation.status(now);
        let settlement = reservation.settlement.filter(|_| status != Status::Expired);
        Self {
            id: reservation.id.clone(),
            org: reservation.id.org.clone(),
            limit_key: reservation.limit_key.clone(),
            resource: reservation.resource.clone(),
            amount: reservation.amount,
            confirmed: settlement.and_then(|settlement| settlement.confirmed),
            status,
            created_at: reservation.created_at,
            expires_at: reservation.expires_at,
            settled_at: settlement.map(|settlement| settlement.at),
        }
    }
}

/// The reservation that the path names, if the caller may see it. One that is another org's is as good as none.
fn visible(caller: &Caller, text: &ReservationText) -> Result<ReservationId, ApiError> {
    let none = || ApiError::NotFound("reservation");
    let id: ReservationId = text.as_str().parse().map_err(|_| none())?;
    caller.may_see(&id.org).map_err(|_| none())?;
    Ok(id)
}

/// How one is documented.
pub const GET: Doc = Doc {
    id: "getReservation",
    tag: TAKING,
    summary: "One reservation",
    text: "Can be looked up until a day after its time.",
    examples: &[],
    errors: &["not_found"],
};

/// One reservation.
pub async fn get(permit: Permit<Read>, service: App, path: Path<ReservationText>) -> Result<Data<ReservationView>, ApiError> {
    let id = visible(&permit.caller, &path.0)?;
    let found = service.ledger.reservation(&id).await?.ok_or(ApiError::NotFound("reservation"))?;
    Ok(Data(ReservationView::of(&found, clock::now())))
}

/// How much of it to confirm.
#[derive(Debug, Deserr, ToSchema)]
#[deserr(error = Issues, rename_all = camelCase, deny_unknown_fields)]
#[schema(rename_all = "camelCase")]
pub struct ConfirmBody {
    /// How much of it becomes usage, at most what is held; all of it when left out. The rest is given back.
    #[deserr(default)]
    #[schema(value_type = Option<u64>, minimum = 1, maximum = 9_007_199_254_740_991_u64)]
    amount: Option<Quantity>,
}

/// 200 with the reservation.
pub struct SettledForm;

impl TakenForm for SettledForm {
    fn describe(description: &mut Description<'_>) {
        let schema = description.reference::<ReservationView>();
        description.success(200, envelope(schema, null()), &[]);
    }
}

/// How confirming is documented.
pub const CONFIRM: Doc = Doc {
    id: "confirmReservation",
    tag: TAKING,
    summary: "Turn a reservation into usage",
    text: "Safe to repeat with the same amount. One that has expired or was released, or that was confirmed with another amount, is a 409.",
    examples: &[("all of it", "{}"), ("a part of it", r#"{"amount":1}"#)],
    errors: &["not_found", "state_conflict"],
};

/// Turns a reservation, or a part of it, into usage.
pub async fn confirm(
    permit: Permit<Write>,
    path: Path<ReservationText>,
    taker: Taker,
    OptionalBody(body): OptionalBody<ConfirmBody>,
) -> Result<Taken<SettledForm>, ApiError> {
    let id = match visible(&permit.caller, &path.0) {
        Ok(id) => id,
        Err(error) => return taker.repeat_or_fail(&permit, &body.bytes, error).await,
    };
    let operation = Operation::Confirm { id, amount: body.value.amount };
    taker.run(&permit, (&body.bytes, body.is_late), operation, settled).await
}

fn settled(outcome: &Outcome) -> Option<crate::store::Recorded> {
    let Outcome::Settled(reservation) = outcome else { return None };
    Some(answer(200, &ReservationView::of(reservation, clock::now())))
}

/// Nothing: there is nothing to say.
#[derive(Debug, Deserr, ToSchema)]
#[deserr(error = Issues, rename_all = camelCase, deny_unknown_fields)]
#[schema(rename_all = "camelCase")]
pub struct CancelBody {}

/// How giving back is documented.
pub const CANCEL: Doc = Doc {
    id: "releaseReservation",
    tag: TAKING,
    summary: "Give a reservation back",
    text: "Safe to repeat, also when it has expired. One that was confirmed is usage by now: a 409. Give it back with `release`.",
    examples: &[("", "{}")],
    errors: &["not_found", "state_conflict"],
};

/// Gives a reservation back.
pub async fn cancel(
    permit: Permit<Write>,
    path: Path<ReservationText>,
    taker: Taker,
    OptionalBody(body): OptionalBody<CancelBody>,
) -> Result<Taken<SettledForm>, ApiError> {
    let CancelBody {} = body.value;
    let id = match visible(&permit.caller, &path.0) {
        Ok(id) => id,
        Err(error) => return taker.repeat_or_fail(&permit, &body.bytes, error).await,
    };
    taker.run(&permit, (&body.bytes, body.is_late), Operation::Cancel { id }, settled).await
}

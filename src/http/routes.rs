//! The route table: every operation, in the order in which an admin works.

use actix_web::http::Method;
use actix_web::{HttpRequest, HttpResponse, web};

use super::error::ApiError;
use super::router::{Table, readable};
use super::{
    activity, api_keys, audit, authorize, catalog, check, consume, decisions, docs, entitlements, event_stream, events,
    forward_auth, health, limit_keys, ofrep, orgs, overrides, removed_endpoints, reservations, scopes, tier_limits, tiers,
    usage, users, webhook_deliveries, webhooks, what_if, whoami,
};

/// The groups of operations, in order, with what they are for.
pub const TAGS: [(&str, &str); 18] = [
    (LIMIT_KEYS, "1. What is limited: named things, each of one kind."),
    (TIERS, "2. Plan levels, and their value for each limit key."),
    (RETENTION, "3. How far back each tier may look: the retention keys as a table of tiers and days."),
    (CATALOG, "Limit keys, tiers and values as one document, to keep with the code."),
    (WHAT_IF, "Before a change is made: who would be over, by how much, and whom an override saves. Nothing is changed."),
    (ORGS, "4. Customers: their tier, their overrides, their bans."),
    (USERS, "Bans of single users."),
    (API_KEYS, "5. Who may call Plimsoll, and with which scopes."),
    (REMOVED, "Endpoints that the product no longer has."),
    (ASKING, "6. What services call: may this org do this?"),
    (TAKING, "7. What changes usage: atomically and durably, and never above the cap."),
    (
        GATE,
        "8. What a gateway asks once per request of a customer: key, bans, endpoint, scope, windows, quotas and limits in one call.",
    ),
    (
        OPENFEATURE,
        "What OpenFeature's SDKs ask through their OFREP provider: features and limits as flags. These answers have no envelope.",
    ),
    (EVENTS, "What happened, to be followed: thresholds, refusals, tiers, bans, lapses, repairs."),
    (WEBHOOKS, "Endpoints that events are pushed to: signed, in order, again and again until they are taken."),
    (DECISIONS, "Why an org was refused: the receipts of refused takings."),
    (AUDIT, "Who changed what, when, before and after."),
    (OPERATIONS, "Alive, ready, metrics."),
];

/// Limit keys.
pub const LIMIT_KEYS: &str = "Limit keys";
/// Tiers and their values.
pub const TIERS: &str = "Tiers";
/// The retention table.
pub const RETENTION: &str = "Retention windows";
/// The whole plan.
pub const CATALOG: &str = "Catalogue";
/// Previews of changes.
pub const WHAT_IF: &str = "What if";
/// Orgs, overrides, bans.
pub const ORGS: &str = "Orgs";
/// Users.
pub const USERS: &str = "Users";
/// Scopes and API keys.
pub const API_KEYS: &str = "API keys";
/// Removed endpoints.
pub const REMOVED: &str = "Removed endpoints";
/// Questions.
pub const ASKING: &str = "Asking";
/// What changes usage.
pub const TAKING: &str = "Usage";
/// Receipts.
pub const DECISIONS: &str = "Decisions";
/// One request, whole.
pub const GATE: &str = "Gate";
/// Flags.
pub const OPENFEATURE: &str = "OpenFeature";
/// What happened.
pub const EVENTS: &str = "Events";
/// Endpoints that are told of it.
pub const WEBHOOKS: &str = "Webhooks";
/// The audit log.
pub const AUDIT: &str = "Audit";
/// For operators.
pub const OPERATIONS: &str = "Operations";

const GET: Method = Method::GET;
const PUT: Method = Method::PUT;
const POST: Method = Method::POST;
const PATCH: Method = Method::PATCH;
const DELETE: Method = Method::DELETE;

/// Every documented operation.
pub fn table() -> Table {
    looking_back(asking(administering(Table::default())))
}

/// What admins enter.
#[rustfmt::skip]
fn administering(table: Table) -> Table {
    table
        .on(GET,    "/v1/admin/limit-keys",                         &limit_keys::LIST,           limit_keys::list)
        .on(GET,    "/v1/admin/limit-keys/activity",               &activity::GET,              activity::get)
        .on(GET,    "/v1/admin/limit-keys/{limitKey}",              &limit_keys::GET,            limit_keys::get)
        .on(PUT,    "/v1/admin/limit-keys/{limitKey}",              &limit_keys::PUT,            limit_keys::put)
        .on(DELETE, "/v1/admin/limit-keys/{limitKey}",              &limit_keys::DELETE,         limit_keys::delete)
        .on(POST,   "/v1/admin/limit-keys/{limitKey}/archive",      &limit_keys::ARCHIVE,        limit_keys::archive)
        .on(GET,    "/v1/admin/tiers",                              &tiers::LIST,                tiers::list)
        .on(GET,    "/v1/admin/tiers/{tier}",                       &tiers::GET,                 tiers::get)
        .on(PUT,    "/v1/admin/tiers/{tier}",                       &tiers::PUT,                 tiers::put)
        .on(DELETE, "/v1/admin/tiers/{tier}",                       &tiers::DELETE,              tiers::delete)
        .on(GET,    "/v1/admin/tiers/{tier}/limits",                &tier_limits::LIST,          tier_limits::list)
        .on(PUT,    "/v1/admin/tiers/{tier}/limits/{limitKey}",     &tier_limits::PUT,           tier_limits::put)
        .on(DELETE, "/v1/admin/tiers/{tier}/limits/{limitKey}",     &tier_limits::DELETE,        tier_limits::delete)
        .on(GET,    "/v1/admin/tiers/{tier}/limits/{limitKey}/scheduled", &tier_limits::GET_SCHEDULED,    tier_limits::get_scheduled)
        .on(PUT,    "/v1/admin/tiers/{tier}/limits/{limitKey}/scheduled", &tier_limits::PUT_SCHEDULED,    tier_limits::put_scheduled)
        .on(DELETE, "/v1/admin/tiers/{tier}/limits/{limitKey}/scheduled", &tier_limits::DELETE_SCHEDULED, tier_limits::delete_scheduled)
        .on(GET,    "/v1/admin/retention-windows",                  &tier_limits::LIST_WINDOWS,  tier_limits::list_windows)
        .on(PUT,    "/v1/admin/retention-windows/{limitKey}/{tier}", &tier_limits::PUT_WINDOW,   tier_limits::put_window)
        .on(GET,    "/v1/admin/catalog",                            &catalog::GET,               catalog::get)
        .on(PUT,    "/v1/admin/catalog",                            &catalog::PUT,               catalog::put)
        .on(POST,   "/v1/admin/what-if/limit",                      &what_if::LIMIT,             what_if::limit)
        .on(POST,   "/v1/admin/what-if/tier",                       &what_if::TIER,              what_if::tier)
        .on(POST,   "/v1/admin/what-if/catalog",                    &what_if::CATALOG,           what_if::catalog)
        .on(GET,    "/v1/admin/orgs",                               &orgs::LIST,                 orgs::list)
        .on(GET,    "/v1/admin/orgs/{org}",                         &orgs::GET,                  orgs::get)
        .on(PUT,    "/v1/admin/orgs/{org}",                         &orgs::PUT,                  orgs::put)
        .on(DELETE, "/v1/admin/orgs/{org}",                         &orgs::DELETE,               orgs::delete)
        .on(POST,   "/v1/admin/orgs/{org}/ban",                     &orgs::BAN,                  orgs::ban)
        .on(POST,   "/v1/admin/orgs/{org}/unban",                   &orgs::UNBAN,                orgs::unban)
        .on(GET,    "/v1/admin/orgs/{org}/overrides",               &overrides::LIST,            overrides::list)
        .on(POST,   "/v1/admin/orgs/{org}/overrides",               &overrides::CREATE,          overrides::create)
        .on(GET,    "/v1/admin/orgs/{org}/overrides/{id}",          &overrides::GET,             overrides::get)
        .on(DELETE, "/v1/admin/orgs/{org}/overrides/{id}",          &overrides::DELETE,          overrides::delete)
        .on(GET,    "/v1/admin/users/{user}",                       &users::GET,                 users::get)
        .on(POST,   "/v1/admin/users/{user}/ban",                   &users::BAN,                 users::ban)
        .on(POST,   "/v1/admin/users/{user}/unban",                 &users::UNBAN,               users::unban)
        .on(GET,    "/v1/admin/scopes",                             &scopes::LIST,               scopes::list)
        .on(PUT,    "/v1/admin/scopes/{scope}",                     &scopes::PUT,                scopes::put)
        .on(DELETE, "/v1/admin/scopes/{scope}",                     &scopes::DELETE,             scopes::delete)
        .on(GET,    "/v1/admin/api-keys",                           &api_keys::LIST,             api_keys::list)
        .on(POST,   "/v1/admin/api-keys",                           &api_keys::CREATE,           api_keys::create)
        .on(GET,    "/v1/admin/api-keys/{id}",                      &api_keys::GET,              api_keys::get)
        .on(PATCH,  "/v1/admin/api-keys/{id}",                      &api_keys::PATCH,            api_keys::patch)
        .on(DELETE, "/v1/admin/api-keys/{id}",                      &api_keys::DELETE,           api_keys::delete)
        .on(POST,   "/v1/admin/api-keys/{id}/rotate",               &api_keys::ROTATE,           api_keys::rotate)
        .on(GET,    "/v1/whoami",                                   &whoami::GET,                whoami::get)
        .on(GET,    "/v1/admin/removed-endpoints",                  &removed_endpoints::LIST,    removed_endpoints::list)
        .on(POST,   "/v1/admin/removed-endpoints",                  &removed_endpoints::CREATE,  removed_endpoints::create)
        .on(DELETE, "/v1/admin/removed-endpoints/{id}",             &removed_endpoints::DELETE,  removed_endpoints::delete)
}

/// What services ask, and what changes usage.
#[rustfmt::skip]
fn asking(table: Table) -> Table {
    table
        .on(POST,   "/v1/check",                                    &check::CHECK,               check::check)
        .on(POST,   "/v1/check/batch",                              &check::BATCH,               check::batch)
        .on(GET,    "/v1/orgs/{org}/entitlements",                  &entitlements::GET,          entitlements::get)
        .on(POST,   "/v1/consume",                                  &consume::CONSUME,           consume::consume)
        .on(POST,   "/v1/consume/batch",                            &consume::BATCH,             consume::batch)
        .on(POST,   "/v1/release",                                  &consume::RELEASE,           consume::release)
        .on(POST,   "/v1/reservations",                             &reservations::RESERVE,      reservations::reserve)
        .on(GET,    "/v1/reservations/{id}",                        &reservations::GET,          reservations::get)
        .on(POST,   "/v1/reservations/{id}/confirm",                &reservations::CONFIRM,      reservations::confirm)
        .on(POST,   "/v1/reservations/{id}/release",                &reservations::CANCEL,       reservations::cancel)
        .on(GET,    "/v1/orgs/{org}/usage",                         &usage::LIST,                usage::list)
        .on(PUT,    "/v1/orgs/{org}/usage/{limitKey}",              &usage::RECONCILE,           usage::reconcile)
        .on(POST,   "/v1/authorize",                                &authorize::AUTHORIZE,       authorize::authorize)
        .any(       "/v1/forward-auth",                             &forward_auth::FORWARD_AUTH,      forward_auth::forward_auth)
        .any(       "/v1/forward-auth/{path}",                      &forward_auth::FORWARD_AUTH_PATH, forward_auth::forward_auth_path)
        .on(POST,   "/ofrep/v1/evaluate/flags/{key}",               &ofrep::FLAG,                ofrep::flag)
        .on(POST,   "/ofrep/v1/evaluate/flags",                     &ofrep::FLAGS,               ofrep::flags)
}

/// What admins and operators look at afterwards.
#[rustfmt::skip]
fn looking_back(table: Table) -> Table {
    table
        .on(GET,    "/v1/admin/decisions",                          &decisions::LIST,            decisions::list)
        .on(GET,    "/v1/admin/decisions/{id}",                     &decisions::GET,             decisions::get)
        .on(GET,    "/v1/admin/audit",                              &audit::LIST,                audit::list)
        .on(GET,    "/v1/admin/events",                             &events::LIST,               events::list)
        .on(GET,    "/v1/admin/events/stream",                      &event_stream::STREAM,       event_stream::stream)
        .on(GET,    "/v1/admin/webhooks",                           &webhooks::LIST,             webhooks::list)
        .on(POST,   "/v1/admin/webhooks",                           &webhooks::CREATE,           webhooks::create)
        .on(GET,    "/v1/admin/webhooks/{id}",                      &webhooks::GET,              webhooks::get)
        .on(PATCH,  "/v1/admin/webhooks/{id}",                      &webhooks::PATCH,            webhooks::patch)
        .on(DELETE, "/v1/admin/webhooks/{id}",                      &webhooks::DELETE,           webhooks::delete)
        .on(POST,   "/v1/admin/webhooks/{id}/rotate-secret",        &webhooks::ROTATE,           webhooks::rotate)
        .on(POST,   "/v1/admin/webhooks/{id}/enable",               &webhooks::ENABLE,           webhooks::enable)
        .on(POST,   "/v1/admin/webhooks/{id}/disable",              &webhooks::DISABLE,          webhooks::disable)
        .on(POST,   "/v1/admin/webhooks/{id}/test",                 &webhooks::TEST,             webhooks::test)
        .on(GET,    "/v1/admin/webhooks/{id}/deliveries",           &webhook_deliveries::LIST,   webhook_deliveries::list)
        .on(POST,   "/v1/admin/webhooks/{id}/deliveries/{deliveryId}/redeliver", &webhook_deliveries::REDELIVER, webhook_deliveries::redeliver)
        .on(GET,    "/livez",                                       &health::LIVEZ,              health::livez)
        .on(GET,    "/readyz",                                      &health::READYZ,             health::readyz)
        .on(GET,    "/metrics",                                     &health::METRICS,            health::metrics)
}

/// Serves everything: the operations, their document and its page, and the answers to all other requests.
pub fn mount(config: &mut web::ServiceConfig, table: &Table) {
    table.mount(config);
    let only_get = || {
        web::route().to(|_: HttpRequest| async { Err::<HttpResponse, _>(ApiError::MethodNotAllowed("GET, HEAD".to_owned())) })
    };
    let get = |path: &str| web::resource(path.to_owned()).default_service(only_get());
    config.service(get("/openapi.json").route(readable().to(docs::openapi)));
    config.service(get("/docs").route(readable().to(docs::redirect)));
    config.service(get("/docs/{file:.*}").route(readable().to(docs::page)));
    config.default_service(web::route().to(|_: HttpRequest| async { Err::<HttpResponse, _>(ApiError::NotFound("route")) }));
}

//! What operators and their machines ask: alive, ready, how much.

use std::time::Duration;

use actix_web::body::BoxBody;
use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, Responder};
use utoipa::openapi::ObjectBuilder;
use utoipa::openapi::schema::Type;

use super::document::{Describe, Description, Doc};
use super::error::ApiError;
use super::extract::Public;
use super::routes::OPERATIONS;
use super::service::App;

/// A process whose knowledge of a shared database is older than this is not to be asked any more.
const MAX_SNAPSHOT_AGE: Duration = Duration::from_secs(30);

/// A few words of plain text.
pub struct Plain(StatusCode, String);

impl Responder for Plain {
    type Body = BoxBody;

    fn respond_to(self, _: &HttpRequest) -> HttpResponse {
        HttpResponse::build(self.0).content_type("text/plain; charset=utf-8").body(self.1)
    }
}

impl Describe for Plain {
    fn describe(description: &mut Description<'_>) {
        let text = ObjectBuilder::new().schema_type(Type::String);
        description.success_of(200, "text/plain", text.into(), &[]);
    }
}

/// Ready, or why not.
pub struct Readiness(Plain);

impl Responder for Readiness {
    type Body = BoxBody;

    fn respond_to(self, request: &HttpRequest) -> HttpResponse {
        self.0.respond_to(request)
    }
}

impl Describe for Readiness {
    fn describe(description: &mut Description<'_>) {
        Plain::describe(description);
        let text = ObjectBuilder::new().schema_type(Type::String);
        description.success_of(503, "text/plain", text.into(), &[]);
    }
}

/// How liveness is documented.
pub const LIVEZ: Doc = Doc {
    id: "livez",
    tag: OPERATIONS,
    summary: "Is the process alive?",
    text: "Depends on nothing.",
    examples: &[],
    errors: &[],
};

/// Is the process alive?
pub async fn livez(_: Public) -> Result<Plain, ApiError> {
    Ok(Plain(StatusCode::OK, "ok\n".to_owned()))
}

/// How readiness is documented.
pub const READYZ: Doc = Doc {
    id: "readyz",
    tag: OPERATIONS,
    summary: "Should it be sent requests?",
    text: "503 while storage cannot be reached, and from the moment that the process is told to stop. With a database that several \
           processes share it stays ready while that is away, for questions are answered from what is known, until this is older \
           than 30 seconds (`plimsoll_snapshot_age_seconds` in the metrics).",
    examples: &[],
    errors: &[],
};

/// Should it be sent requests?
pub async fn readyz(_: Public, service: App) -> Result<Readiness, ApiError> {
    let unready = |why: &str| Readiness(Plain(StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")));
    if service.is_draining() {
        return Ok(unready("stopping"));
    }
    // A shared database may be away for a while: questions go on from what is known, as long as it is not too old.
    if let Some(age) = service.directory.age() {
        return Ok(if age <= MAX_SNAPSHOT_AGE {
            Readiness(Plain(StatusCode::OK, "ready\n".to_owned()))
        } else {
            unready(&format!("what is known is {} seconds old", age.as_secs()))
        });
    }
    Ok(match service.store.ping().await {
        Ok(()) => Readiness(Plain(StatusCode::OK, "ready\n".to_owned())),
        Err(error) => {
            tracing::warn!(%error, "not ready");
            unready("storage cannot be reached")
        }
    })
}

/// How metrics are documented.
pub const METRICS: Doc =
    Doc { id: "metrics", tag: OPERATIONS, summary: "Metrics for Prometheus", text: "", examples: &[], errors: &[] };

/// Metrics for Prometheus.
pub async fn metrics(_: Public, service: App) -> Result<Plain, ApiError> {
    service.metrics.snapshot(service.directory.revision(), service.directory.age().unwrap_or_default());
    service.metrics.limiter(service.limiter.bytes());
    if let Some((servers, away)) = service.limiter.servers() {
        service.metrics.limiter_servers(servers, away);
    }
    Ok(Plain(StatusCode::OK, service.metrics.render()))
}

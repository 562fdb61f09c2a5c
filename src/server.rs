//! The one place where the parts meet: storage, snapshot, identity and HTTP become a running service.

mod connections;
mod housekeeping;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use actix_http::error::DispatchError;
use actix_http::{HttpService, KeepAlive};
use actix_service::{IntoServiceFactory, ServiceFactoryExt, fn_service, map_config};
use actix_web::dev::{AppConfig, Server};
use actix_web::middleware::from_fn;
use actix_web::rt::net::{TcpSocket, TcpStream};
use actix_web::{App, web};
use secrecy::{ExposeSecret, SecretString};
use tokio::signal::unix::{SignalKind, signal};

use crate::by_hand;
use crate::clock;
use crate::config::{GuardSettings, ServeSettings};
use crate::domain::api_key::{ApiKey, OwnRates};
use crate::domain::names::RecordId;
use crate::domain::scope::Scopes;
use crate::http::event_stream::Streams;
use crate::http::guard::{Guard, Limits};
use crate::http::receipts::{self, Kept as ReceiptsKept, Receipts};
use crate::http::router::Table;
use crate::http::service::{App as Kept, BootstrapKey, Service};
use crate::http::source::TrustedProxies;
use crate::http::unparsed::Connection;
use crate::http::watched::{Patience, Watched};
use crate::http::{activity, edge, routes};
use crate::identity::jwt::JwtVerifier;
use crate::identity::secret::{NewSecret, hash_of};
use crate::ledger::Ledger;
use crate::limiter::{Clock, Limiter, Place, Windows};
use crate::snapshot::{CacheSizes, Directory, KnownOrg};
use crate::store::commands::{CreateApiKey, NewSecret as SecretRecord};
use crate::store::{Access, AnswerSizes, ServerSettings, Store, StoreError, StoreSettings};
use crate::telemetry::Metrics;
use crate::webhooks::{Deliverer, Delivering, Vault};
use connections::Room;
use housekeeping::{Keeping, checkpoint, keep_house, settle_answers, tend_events};

/// The longest that a request's head may take to arrive.
const HEAD_DEADLINE: Duration = Duration::from_secs(5);
/// The longest that a request may take, from its first byte to its answer's.
const REQUEST_DEADLINE: Duration = Duration::from_secs(30);
/// The longest that a peer may read nothing of its answer.
const ANSWER_DEADLINE: Duration = Duration::from_secs(30);
/// The longest that requests in flight may take when the service stops, in seconds.
const STOP_SECONDS: u64 = 30;
/// Connections that wait to be accepted.
const BACKLOG: u32 = 4_096;
const MIB: u64 = 1_048_576;

/// A service that listens.
pub struct Running {
    /// Where it listens.
    pub address: SocketAddr,
    server: Server,
    service: Kept,
    delivering: Delivering,
    drain: Duration,
}

/// What a start may find out, once.
pub struct Started {
    /// The service.
    pub running: Running,
    /// The admin key that was made for an empty database.
    pub new_admin_key: Option<SecretString>,
}

/// Opens everything and listens. Errors are sentences.
pub async fn start(settings: &ServeSettings, database_url: &str) -> Result<Started, String> {
    let admin_key = settings.admin_key()?;
    let jwt = settings.jwt()?;
    let redis = settings.redis.place()?;
    let vault = Arc::new(Vault::new(settings.webhooks.key()?.as_ref()));
    // Counting starts first: opening the database is counted too.
    let metrics = Metrics::start()?;
    let verifier = match jwt {
        Some(jwt) => Some(JwtVerifier::start(jwt, clock::now()).await?),
        None => None,
    };
    let opened = Store::open_with(database_url, Access::ReadWrite, store_settings(settings)).await;
    let store = opened.map_err(|error| format!("PLIMSOLL_DATABASE_URL: {error}"))?;
    let failed = |error: StoreError| format!("The database cannot be read: {error}");
    if let Some(file) = &settings.catalog {
        let applied = by_hand::apply_file(&store, file).await;
        for odd in applied.map_err(|error| format!("PLIMSOLL_CATALOG: {error}"))?.oddities {
            tracing::warn!(path = odd.path, "PLIMSOLL_CATALOG: {} {}", odd.path, odd.message);
        }
    }
    let new_admin_key = if admin_key.is_none() && !store.has_api_keys().await.map_err(failed)? {
        Some(make_admin_key(&store, "first admin key".to_owned()).await?)
    } else {
        None
    };
    let sizes = CacheSizes { orgs: settings.cache_orgs, api_keys: settings.cache_api_keys };
    let directory = Directory::open(store.clone(), sizes).await.map_err(failed)?;
    if let Some(tier) = &settings.default_tier
        && !directory.catalogue().has_tier(tier)
    {
        tracing::warn!(%tier, "PLIMSOLL_DEFAULT_TIER names a tier that does not exist: orgs that were never registered are unknown");
    }
    let ledger = Ledger::start(store.clone(), settings.cache_counters, Arc::new(clock::now));
    let own = Limiter::new(settings.limiter_memory_mib.saturating_mul(MIB), Arc::new(clock::elapsed));
    let guard = guard(&settings.guard);
    let table = Arc::new(routes::table());
    let (receipts, noted) = Receipts::queue();
    let deliverer = Deliverer::new(store.clone(), Arc::clone(&vault), settings.webhooks.delivery(), clock::now);
    let service = Kept::keep(Service {
        store,
        ledger,
        limiter: windows(own, redis),
        guard,
        directory,
        verifier,
        unregistered: settings.default_tier.as_ref().map(KnownOrg::of_tier),
        bootstrap: admin_key.as_ref().map(bootstrap).transpose()?,
        metrics,
        receipts,
        older_rate_headers: settings.x_ratelimit_headers,
        streams: Streams::default(),
        vault,
        webhooks_allowed: settings.webhooks.allowed(),
        draining: AtomicBool::new(false),
    });
    let keeping = keeping(settings);
    tokio::spawn(async move { receipts::write(&service, noted, keeping.decisions, clock::now).await });
    tokio::spawn(keep_house(service, keeping));
    tokio::spawn(settle_answers(service));
    tokio::spawn(tend_events(service));
    tokio::spawn(checkpoint(service));
    let delivering = deliverer.start(service.streams.follow());
    let running = listen(settings, table, service, delivering)?;
    tracing::info!("listening on http://{}", running.address);
    Ok(Started { running, new_admin_key })
}

fn keeping(settings: &ServeSettings) -> Keeping {
    Keeping {
        windows: settings.keep_windows_days,
        audit: settings.keep_audit_days,
        events: settings.keep_events_days,
        decisions: ReceiptsKept { hours: settings.keep_decisions_hours, most: settings.keep_decisions },
    }
}

fn store_settings(settings: &ServeSettings) -> StoreSettings {
    StoreSettings {
        answers: AnswerSizes { per_caller: settings.idempotency_records, ..AnswerSizes::default() },
        server: ServerSettings {
            deadline: Duration::from_millis(settings.server.database_deadline_ms),
            readers: settings.server.database_readers,
        },
    }
}

fn windows(own: Limiter, redis: Option<Place>) -> Windows {
    match redis {
        Some(place) => Windows::shared(own, place),
        None => Windows::Own(own),
    }
}

fn guard(settings: &GuardSettings) -> Guard {
    let limits =
        Limits { failed_authentications: settings.failed_auth_per_minute, admin_requests: settings.admin_requests_per_minute };
    let clock: Clock = Arc::new(clock::elapsed);
    Guard::new(TrustedProxies::new(settings.trusted_proxies.clone()), limits, &clock)
}

fn listen(settings: &ServeSettings, table: Arc<Table>, service: Kept, delivering: Delivering) -> Result<Running, String> {
    let address = settings.listen;
    let failed = |error: std::io::Error| format!("PLIMSOLL_LISTEN: cannot listen on {address}: {error}");
    let Room { workers, per_worker } = Room::make(settings.guard.max_connections, settings.workers);
    let builder = Server::build().shutdown_timeout(STOP_SECONDS).disable_signals();
    let builder = builder.workers(workers).max_concurrent_connections(per_worker);
    let keep_alive = Duration::from_secs(settings.guard.keep_alive_seconds);
    let patience = Patience::new(keep_alive, REQUEST_DEADLINE, ANSWER_DEADLINE);
    let stopping = builder.graceful_shutdown_signal();
    let connections = move || {
        let mount = |config: &mut web::ServiceConfig| routes::mount(config, &table);
        let app = App::new().app_data(service).wrap(from_fn(edge::pass)).configure(mount);
        let stopping = stopping.clone();
        let http = HttpService::build().keep_alive(KeepAlive::Os).client_request_timeout(HEAD_DEADLINE);
        // Requests find here how to tell their connection what they want.
        let http = http.on_connect_ext(|connection: &Connection, data| {
            data.insert(connection.serving());
        });
        let http = http.graceful_shutdown_signal(move || {
            let stopping = stopping.clone();
            async move { stopping.notified().await }
        });
        let app =
            map_config(app.into_factory().map_err(|error: actix_web::Error| error.error_response()), |()| AppConfig::default());
        fn_service(move |stream| accepted(stream, service, patience)).and_then(http.h1(app))
    };
    let listener = bound(address).map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    let server = builder.listen("plimsoll", listener, connections).map_err(failed)?;
    let drain = Duration::from_secs(settings.drain_seconds);
    Ok(Running { address, server: server.run(), service, delivering, drain })
}

fn bound(address: SocketAddr) -> std::io::Result<std::net::TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // A restart may listen again at once.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)?.into_std()
}

/// An accepted connection, on which an answer is sent at once rather than with the next.
async fn accepted(
    stream: TcpStream,
    service: Kept,
    patience: Patience,
) -> Result<(Connection, Option<SocketAddr>), DispatchError> {
    // If it cannot be set, answers only come later.
    stream.set_nodelay(true).ok();
    let peer = stream.peer_addr().ok();
    Ok((Connection::new(Watched::new(stream, patience), service.metrics.connected()), peer))
}

impl Running {
    /// Serves until the process is told to stop; then fails `/readyz`, finishes what is in flight, and closes the database.
    pub async fn until_stopped(self) -> Result<(), String> {
        let Self { server, service, delivering, drain, .. } = self;
        let handle = server.handle();
        let mut server = tokio::spawn(server);
        tokio::select! {
            ended = &mut server => return Err(format!("The server ended: {ended:?}")),
            told = told_to_stop() => told?,
        }
        tracing::info!("stopping");
        service.draining.store(true, Ordering::Relaxed);
        delivering.stop();
        tokio::time::sleep(drain).await;
        handle.stop(true).await;
        let ended = server.await.map_err(|error| format!("The server ended badly: {error}"))?;
        ended.map_err(|error| format!("The server ended badly: {error}"))?;
        if let Err(error) = service.directory.write_uses().await {
            // It is no reason to say that the stop failed: nothing that was promised is lost.
            tracing::warn!(%error, "when API keys were last used could not be written");
        }
        delivering.stopped().await;
        service.ledger.close().await;
        service.receipts.flush().await;
        if let Err(error) = activity::write(&service).await {
            tracing::warn!(%error, "how often limit keys are asked about could not be written");
        }
        service.store.close().await.map_err(|error| format!("The database could not be closed: {error}"))?;
        tracing::info!("stopped");
        Ok(())
    }
}

async fn told_to_stop() -> Result<(), String> {
    let failed = |error| format!("Signals cannot be received: {error}");
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}

/// Makes a platform key that may do everything.
pub async fn make_admin_key(store: &Store, name: String) -> Result<SecretString, String> {
    let NewSecret { secret, hash, shown } = NewSecret::generate().map_err(|error| error.to_string())?;
    let scopes = Scopes::built_in(&["read", "write", "admin"]).iter().cloned().collect();
    let record = SecretRecord { hash, shown };
    let command =
        CreateApiKey { name, org: None, user: None, scopes, expires_at: None, rates: BTreeMap::new(), secret: record };
    store.run(by_hand::context(), command).await.map_err(|error| format!("The admin key could not be stored: {error}"))?;
    Ok(secret)
}

fn bootstrap(secret: &SecretString) -> Result<BootstrapKey, String> {
    let key = ApiKey {
        id: RecordId::parse("key_bootstrap").map_err(|invalid| invalid.0)?,
        org: None,
        user: None,
        scopes: Scopes::built_in(&["read", "write", "admin"]),
        expires_at: None,
        revoked: false,
        org_banned: false,
        user_banned: false,
        rates: OwnRates::new(),
    };
    Ok(BootstrapKey { hash: hash_of(secret.expose_secret()), key: Arc::new(key) })
}

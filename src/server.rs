//! The one place where the parts meet: storage, snapshot, identity and HTTP become a running service.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use actix_web::dev::Server;
use actix_web::middleware::from_fn;
use actix_web::{App, HttpServer, web};
use secrecy::{ExposeSecret, SecretString};
use tokio::signal::unix::{SignalKind, signal};

use crate::by_hand;
use crate::clock;
use crate::config::ServeSettings;
use crate::domain::api_key::ApiKey;
use crate::domain::names::RecordId;
use crate::domain::scope::Scopes;
use crate::http::docs::OpenapiFile;
use crate::http::router::Table;
use crate::http::service::{App as Kept, BootstrapKey, Service};
use crate::http::{edge, openapi, routes};
use crate::identity::jwt::JwtVerifier;
use crate::identity::secret::{NewSecret, hash_of};
use crate::snapshot::{CacheSizes, Directory, KnownOrg};
use crate::store::commands::{CreateApiKey, NewSecret as SecretRecord};
use crate::store::{Access, Store};
use crate::telemetry::Metrics;

/// The longest that a request's head may take to arrive.
const HEAD_DEADLINE: Duration = Duration::from_secs(5);
/// How long an idle connection stays open; longer than the usual proxy keeps it.
const KEEP_ALIVE: Duration = Duration::from_secs(75);
/// The longest that requests in flight may take when the service stops, in seconds.
const STOP_SECONDS: u64 = 30;
/// Connections that wait to be accepted.
const BACKLOG: u32 = 4_096;
/// How often recorded durations are folded into their buckets.
const UPKEEP: Duration = Duration::from_secs(5);
/// How often expired idempotency records are looked for, and how many are deleted at once.
const SWEEP: Duration = Duration::from_secs(60);
const SWEEP_ROWS: u64 = 1_000;

/// A service that listens.
pub struct Running {
    /// Where it listens.
    pub address: SocketAddr,
    server: Server,
    service: Kept,
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
    // Counting starts first: opening the database is counted too.
    let metrics = Metrics::start()?;
    let verifier = match jwt {
        Some(jwt) => Some(JwtVerifier::start(jwt, clock::now()).await?),
        None => None,
    };
    let store = Store::open(database_url, Access::ReadWrite).await.map_err(|error| error.to_string())?;
    let failed = |error: crate::store::StoreError| format!("The database cannot be read: {error}");
    if let Some(file) = &settings.catalog {
        by_hand::apply(&store, file, false).await?;
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
    let table = Arc::new(routes::table());
    let service = Kept::keep(Service {
        store,
        directory,
        verifier,
        unregistered: settings.default_tier.as_ref().map(KnownOrg::of_tier),
        bootstrap: admin_key.as_ref().map(bootstrap).transpose()?,
        metrics,
        openapi_file: OpenapiFile::new(openapi::text(&table)),
        draining: AtomicBool::new(false),
    });
    tokio::spawn(keep_house(service));
    let running = listen(settings, table, service)?;
    tracing::info!("listening on http://{}", running.address);
    Ok(Started { running, new_admin_key })
}

fn listen(settings: &ServeSettings, table: Arc<Table>, service: Kept) -> Result<Running, String> {
    let app = move || {
        let mount = |config: &mut web::ServiceConfig| routes::mount(config, &table);
        App::new().app_data(service).wrap(from_fn(edge::pass)).configure(mount)
    };
    let address = settings.listen;
    let server = HttpServer::new(app)
        .client_request_timeout(HEAD_DEADLINE)
        .keep_alive(KEEP_ALIVE)
        .shutdown_timeout(STOP_SECONDS)
        .backlog(BACKLOG)
        .disable_signals();
    let server = match settings.workers {
        Some(workers) => server.workers(usize::from(workers)),
        None => server,
    };
    let server = server.bind(address).map_err(|error| format!("PLIMSOLL_LISTEN: cannot listen on {address}: {error}"))?;
    let address = server.addrs().first().copied().unwrap_or(address);
    Ok(Running { address, server: server.run(), service, drain: Duration::from_secs(settings.drain_seconds) })
}

impl Running {
    /// Serves until the process is told to stop; then fails `/readyz`, finishes what is in flight, and closes the database.
    pub async fn until_stopped(self) -> Result<(), String> {
        let Self { server, service, drain, .. } = self;
        let handle = server.handle();
        let mut server = tokio::spawn(server);
        tokio::select! {
            ended = &mut server => return Err(format!("The server ended: {ended:?}")),
            told = told_to_stop() => told?,
        }
        tracing::info!("stopping");
        service.draining.store(true, Ordering::Relaxed);
        tokio::time::sleep(drain).await;
        handle.stop(true).await;
        let ended = server.await.map_err(|error| format!("The server ended badly: {error}"))?;
        ended.map_err(|error| format!("The server ended badly: {error}"))?;
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

/// Housekeeping: it decides nothing, and every step is small.
async fn keep_house(service: Kept) {
    let mut upkeep = tokio::time::interval(UPKEEP);
    let mut sweep = tokio::time::interval(SWEEP);
    loop {
        tokio::select! {
            _ = upkeep.tick() => service.metrics.upkeep(),
            _ = sweep.tick() => {
                if let Err(error) = service.store.sweep_idempotency(clock::now(), SWEEP_ROWS).await {
                    tracing::warn!(%error, "expired idempotency records could not be deleted");
                }
            }
        }
    }
}

/// Makes a platform key that may do everything.
pub async fn make_admin_key(store: &Store, name: String) -> Result<SecretString, String> {
    let NewSecret { secret, hash, shown } = NewSecret::generate().map_err(|error| error.to_string())?;
    let scopes = Scopes::built_in(&["read", "write", "admin"]).iter().cloned().collect();
    let record = SecretRecord { hash, shown };
    let command = CreateApiKey { name, org: None, user: None, scopes, expires_at: None, secret: record };
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
    };
    Ok(BootstrapKey { hash: hash_of(secret.expose_secret()), key: Arc::new(key) })
}

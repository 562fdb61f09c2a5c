//! How long it takes to refuse a key must not tell how much of a real one it has.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use secrecy::ExposeSecret;
use tempfile::TempDir;

use super::*;
use crate::domain::api_key::OwnRates;
use crate::domain::names::RecordId;
use crate::http::guard::{Guard, Limits};
use crate::http::service::BootstrapKey;
use crate::http::source::TrustedProxies;
use crate::identity::secret::NewSecret;
use crate::ledger::Ledger;
use crate::limiter::{Clock, Limiter, Windows};
use crate::snapshot::{CacheSizes, Directory};
use crate::store::commands::{CreateApiKey, NewSecret as SecretRecord, WrittenRates};
use crate::store::{Access, Expected, Store, WriteContext};
use crate::telemetry::Metrics;

/// Refusals that are measured of each class.
const SAMPLES: usize = 10_000;
/// Where the hexadecimal digits of a key begin, and where they end.
const FIRST_DIGIT: usize = 4;
const LAST_DIGIT: usize = 67;
/// How often each refusal is tried, the quickest counts: what else the machine does only adds.
const TRIES: usize = 24;
/// What is still slow after that, of a hundred in each class, is left out.
const SLOW_PERCENT: usize = 5;
/// The usual bound of leakage tests: it is passed by chance once in 150,000 times.
const MAX_T: f64 = 4.5;

/// A scheme and a key.
const HEADER_BYTES: usize = 75;

/// The classes of keys that nobody has.
const CLASSES: [&str; 3] = ["unknown", "wrong first digit", "wrong last digit"];

/// A key to present, and the real key that the settings hold meanwhile.
struct Sample {
    class: usize,
    key: String,
    bootstrap: [u8; 32],
}

async fn service(dir: &TempDir) -> Service {
    let url = format!("sqlite://{}?mode=rwc", dir.path().join("p.db").display());
    let store = Store::open(&url, Access::ReadWrite).await.expect("a new database");
    let directory = Directory::open(store.clone(), CacheSizes { orgs: 1_000, api_keys: 100_000 }).await.expect("a directory");
    let elapsed: Clock = Arc::new(clock::elapsed);
    let unlimited = Limits { failed_authentications: 0, admin_requests: 0 };
    Service {
        ledger: Ledger::start(store.clone(), 1_000, Arc::new(clock::now)),
        limiter: Windows::Own(Limiter::new(1_048_576, elapsed.clone())),
        guard: Guard::new(TrustedProxies::new(Vec::new()), unlimited, &elapsed),
        store,
        directory,
        verifier: None,
        unregistered: None,
        bootstrap: None,
        metrics: Metrics::start().expect("metrics"),
        receipts: crate::http::receipts::Receipts::queue().0,
        older_rate_headers: false,
        streams: crate::http::event_stream::Streams::default(),
        vault: Arc::new(crate::webhooks::Vault::new(None)),
        webhooks_allowed: crate::webhooks::Allowed::default(),
        draining: AtomicBool::new(false),
    }
}

fn bootstrap(hash: [u8; 32]) -> BootstrapKey {
    let key = ApiKey {
        id: RecordId::parse("key_bootstrap").expect("an id"),
        org: None,
        user: None,
        scopes: Scopes::default(),
        expires_at: None,
        revoked: false,
        org_banned: false,
        user_banned: false,
        rates: OwnRates::new(),
    };
    BootstrapKey { hash, key: Arc::new(key) }
}

async fn stored_key(service: &Service) -> String {
    let NewSecret { secret, hash, shown } = NewSecret::generate().expect("randomness");
    let command = CreateApiKey {
        name: String::new(),
        org: None,
        user: None,
        scopes: Vec::new(),
        expires_at: None,
        rates: WrittenRates::new(),
        secret: SecretRecord { hash, shown },
    };
    let context =
        WriteContext { actor: Actor::CommandLine, now: clock::now(), request_id: None, expected: Expected::default() };
    let written = service.store.run(context, command).await.expect("stored");
    service.directory.reaches(written.revision).await;
    secret.expose_secret().to_owned()
}

/// The key with another digit at this place.
fn with_other_digit(secret: &str, place: usize, step: u32) -> String {
    let other = |digit: char| char::from_digit((digit.to_digit(16).expect("a digit") + step) % 16, 16).expect("a digit");
    secret.chars().enumerate().map(|(at, digit)| if at == place { other(digit) } else { digit }).collect()
}

/// Each of a real key of its own: how long it takes also depends on what a key looks like, which must not be told of a few keys only.
async fn samples(service: &Service) -> Vec<Sample> {
    let steps = RandomState::new();
    let mut samples = Vec::new();
    for number in 0..SAMPLES {
        let secret = stored_key(service).await;
        let unknown = NewSecret::generate().expect("randomness").secret.expose_secret().to_owned();
        let step = 1 + u32::try_from(steps.hash_one(number) % 15).expect("small");
        let keys = [unknown, with_other_digit(&secret, FIRST_DIGIT, step), with_other_digit(&secret, LAST_DIGIT, step)];
        let bootstrap = hash_of(&secret);
        samples.extend(keys.into_iter().enumerate().map(|(class, key)| Sample { class, key, bootstrap }));
    }
    shuffle(&mut samples);
    samples
}

fn shuffle<T>(items: &mut [T]) {
    let order = RandomState::new();
    for end in (1..items.len()).rev() {
        let below = u64::try_from(end).expect("small") + 1;
        items.swap(end, usize::try_from(order.hash_one(end) % below).expect("small"));
    }
}

/// Puts a key into the header. The last one's memory is free by then and taken again: where a text lies in memory shows in the time
/// that it takes to read it, and keys of one class were made one after the other.
fn present(headers: &mut HeaderMap, key: &str) {
    headers.clear();
    let mut text = String::with_capacity(HEADER_BYTES);
    text.push_str("Bearer ");
    text.push_str(key);
    headers.insert(AUTHORIZATION, HeaderValue::try_from(text).expect("a header"));
}

/// The quickest of some refusals.
fn refused_in(service: &Service, headers: &HeaderMap) -> Duration {
    let tries = (0..TRIES).map(|_| {
        let begun = Instant::now();
        let identity = identify(service, headers).now_or_never();
        let took = begun.elapsed();
        assert!(matches!(identity, Some(Some(Identity::Refused(_)))), "refused, and from memory");
        took
    });
    tries.min().expect("some")
}

/// Welch's t of two samples.
fn welch(a: &[f64], b: &[f64]) -> f64 {
    let moments = |sample: &[f64]| {
        let count = sample.iter().map(|_| 1.0).sum::<f64>();
        let mean = sample.iter().sum::<f64>() / count;
        let variance = sample.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (count - 1.0);
        (mean, variance / count)
    };
    let ((mean_a, error_a), (mean_b, error_b)) = (moments(a), moments(b));
    (mean_a - mean_b) / (error_a + error_b).sqrt()
}

#[test]
fn welch_tells_samples_apart_that_differ_and_only_those() {
    let at = |shift: u32| (0..SAMPLES).map(move |number| f64::from(shift) + (number as f64 * 0.618_034).fract() * 10.0);
    let (one, other): (Vec<f64>, Vec<f64>) = (at(100).collect(), at(101).collect());
    assert!(welch(&one, &one).abs() < f64::EPSILON);
    assert!(welch(&other, &one) > 20.0 && welch(&one, &other) < -20.0);
}

#[tokio::test]
async fn the_time_of_a_refusal_does_not_tell_how_much_of_a_key_is_right() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut service = service(&dir).await;
    let samples = samples(&service).await;
    let mut headers = HeaderMap::new();
    for sample in &samples {
        present(&mut headers, &sample.key);
        assert!(matches!(identify(&service, &headers).await, Some(Identity::Refused(_))));
    }
    let mut times: [Vec<f64>; 3] = [const { Vec::new() }; 3];
    for sample in &samples {
        service.bootstrap = Some(bootstrap(sample.bootstrap));
        present(&mut headers, &sample.key);
        times[sample.class].push(refused_in(&service, &headers).as_secs_f64() * 1e9);
    }
    for class in &mut times {
        assert_eq!(class.len(), SAMPLES);
        class.sort_by(f64::total_cmp);
        class.truncate(class.len() * (100 - SLOW_PERCENT) / 100);
    }
    for (one, other) in [(0, 1), (0, 2), (1, 2)] {
        let t = welch(&times[one], &times[other]);
        eprintln!("{} and {}: t = {t:.2}", CLASSES[one], CLASSES[other]);
        assert!(t.abs() < MAX_T, "a key with {} and one with {} can be told apart: t = {t}", CLASSES[one], CLASSES[other]);
    }
}

//! TLS to Redis, with a certificate of an authority that only the settings know.

use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

use super::server::{Redis, pem, words};
use super::{is_degraded, patient, processes, until};

/// A new authority, and a certificate and a key that it signed for this machine, as files.
fn certify(folder: &Path) -> PathBuf {
    let mut params = CertificateParams::new(Vec::new()).expect("parameters");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("an authority");
    let key = KeyPair::generate().expect("a key");
    let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).expect("parameters");
    let certificate = params.signed_by(&key, &authority).expect("a certificate");
    let write = |name: &str, text: String| std::fs::write(folder.join(name), text).expect("a writable folder");
    write("ca.pem", pem("CERTIFICATE", authority.der()));
    write("redis.pem", pem("CERTIFICATE", certificate.der()));
    write("redis.key", pem("PRIVATE KEY", key.serialized_der()));
    folder.join("ca.pem")
}

fn secret() -> Redis {
    Redis::with(|folder, port| {
        let authority = certify(folder);
        let mut more = words(&format!("--port 0 --tls-port {port} --tls-auth-clients no"));
        more.extend(words("--tls-cert-file redis.pem --tls-key-file redis.key --tls-ca-cert-file ca.pem"));
        assert!(authority.exists());
        more
    })
}

#[tokio::test]
async fn a_redis_is_believed_when_its_authority_is() {
    let redis = secret();
    let url = format!("rediss://127.0.0.1:{}", redis.port);
    let authority = redis.file("ca.pem");
    let processes = processes(2, 1, |_, setup| patient(setup, &url).variable("PLIMSOLL_REDIS_CA", &authority)).await;
    processes.share().await;
    let customer = &processes.customers[0];
    for (number, left) in [(0, 59), (1, 58)] {
        let answer = processes.authorize(number, customer).await;
        assert_eq!((answer.is(200).data()["decisions"][0]["remaining"].as_u64(), is_degraded(&answer)), (Some(left), false));
    }
}

#[tokio::test]
async fn a_redis_of_an_unknown_authority_or_without_tls_is_not_believed() {
    let (redis, plain) = (secret(), Redis::start());
    let other = tempfile::TempDir::new().expect("a temporary folder");
    let stranger = certify(other.path());
    let authority = redis.file("ca.pem");
    for (port, believed) in [(redis.port, Some(&stranger)), (redis.port, None), (plain.port, Some(&authority))] {
        let url = format!("rediss://127.0.0.1:{port}");
        let processes = processes(1, 1, |_, setup| match believed {
            Some(file) => patient(setup, &url).variable("PLIMSOLL_REDIS_CA", file),
            None => patient(setup, &url),
        })
        .await;
        let server = &processes.all[0];
        until("a word in the log", async || server.stderr.text().contains("Redis cannot be reached")).await;
        assert!(is_degraded(&processes.authorize(0, &processes.customers[0]).await));
    }
}

//! Where the shared windows are.

use std::fmt;
use std::time::Duration;

use redis::{Client, ConnectionAddr, ConnectionInfo, IntoConnectionInfo, ProtocolVersion, RedisError, TlsCertificates};

/// How it is written.
const FORM: &str = "must be redis://[user:password@]host[:port][/database], or rediss:// for TLS, or several nodes of one cluster \
    with commas between them";
/// What begins a certificate.
const CERTIFICATE: &[u8] = b"-----BEGIN CERTIFICATE-----";

/// Where the shared windows are, and how long they are waited for.
pub struct Place {
    /// Those to begin with; a cluster tells of the others.
    pub(super) seeds: Vec<Host>,
    /// What is said to every one of them: as whom, and in which database.
    about: ConnectionInfo,
    /// Whom TLS believes, when it is not whom the system does.
    authorities: Option<Authorities>,
    /// The longest that a call waits.
    pub(super) patience: Duration,
}

/// A server, by name or address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Host {
    pub(super) name: String,
    pub(super) port: u16,
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, port } = self;
        if name.contains(':') { write!(f, "[{name}]:{port}") } else { write!(f, "{name}:{port}") }
    }
}

/// The authorities that TLS believes, in PEM.
#[derive(Clone)]
pub struct Authorities(Vec<u8>);

impl Authorities {
    /// Errors are halves of sentences.
    pub fn parse(pem: Vec<u8>) -> Result<Self, String> {
        let holds_one = pem.windows(CERTIFICATE.len()).any(|some| some == CERTIFICATE);
        let authorities = Self(pem);
        match Client::build_with_tls("rediss://localhost", authorities.certificates()) {
            Ok(_) if holds_one => Ok(authorities),
            Ok(_) | Err(_) => Err("must hold certificates in PEM".to_owned()),
        }
    }

    fn certificates(&self) -> TlsCertificates {
        TlsCertificates { client_tls: None, root_cert: Some(self.0.clone()) }
    }
}

impl Place {
    /// Reads one address, or several with commas between them that are of one cluster. What the first says of user, password and
    /// TLS holds for those that say nothing but where they are.
    ///
    /// Errors are halves of sentences, and repeat nothing of what was written.
    pub fn parse(text: &str, authorities: Option<Authorities>, patience: Duration) -> Result<Self, String> {
        let mut parts = text.split(',').map(str::trim);
        let first = parts.next().unwrap_or_default();
        let about = info(first)?;
        let mut seeds = vec![host_of(&about)?];
        for part in parts {
            let other = if part.contains("://") { info(part)? } else { info(&format!("{}{part}", before_host(first)))? };
            if !is_like(&about, &other) {
                return Err("names nodes with different users, passwords or databases, or with TLS for only some".to_owned());
            }
            seeds.push(host_of(&other)?);
        }
        if seeds.len() > 1 && about.redis_settings().db() != 0 {
            return Err("names a database, and a cluster has none but 0".to_owned());
        }
        if authorities.is_some() && !is_secret(&about) {
            return Err("must be rediss:// when there are authorities to believe".to_owned());
        }
        Ok(Self { seeds, about, authorities, patience })
    }

    /// Where it begins to look: names or addresses, and ports.
    pub fn hosts(&self) -> Vec<String> {
        self.seeds.iter().map(Host::to_string).collect()
    }

    /// One who connects to this server.
    pub(super) fn client(&self, host: &Host) -> Result<Client, RedisError> {
        let Host { name, port } = host.clone();
        if !is_secret(&self.about) {
            return Client::open(self.about.clone().set_addr(ConnectionAddr::Tcp(name, port)));
        }
        let address = ConnectionAddr::TcpTls { host: name, port, insecure: false, tls_params: None };
        let info = self.about.clone().set_addr(address);
        match &self.authorities {
            None => Client::open(info),
            Some(authorities) => Client::build_with_tls(info, authorities.certificates()),
        }
    }
}

/// Everything of an address before its host.
fn before_host(text: &str) -> &str {
    let scheme = text.find("://").map_or(0, |at| at.saturating_add(3));
    let host = text.rfind('@').map_or(scheme, |at| at.saturating_add(1));
    text.get(..host).unwrap_or_default()
}

fn info(text: &str) -> Result<ConnectionInfo, String> {
    if !["redis://", "rediss://"].iter().any(|scheme| text.starts_with(scheme)) || text.contains('#') {
        return Err(FORM.to_owned());
    }
    let info = text.into_connection_info().map_err(|_| FORM.to_owned())?;
    // The answers are read as this version writes them.
    let settings = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP2);
    Ok(info.set_redis_settings(settings))
}

fn host_of(info: &ConnectionInfo) -> Result<Host, String> {
    let (ConnectionAddr::Tcp(name, port) | ConnectionAddr::TcpTls { host: name, port, .. }) = info.addr() else {
        return Err(FORM.to_owned());
    };
    Ok(Host { name: name.clone(), port: *port })
}

fn is_like(one: &ConnectionInfo, other: &ConnectionInfo) -> bool {
    let settings = |info: &ConnectionInfo| {
        let settings = info.redis_settings();
        (settings.username().map(str::to_owned), settings.password().map(str::to_owned), settings.db())
    };
    is_secret(one) == is_secret(other) && settings(one) == settings(other)
}

/// Whether it is talked to by TLS.
fn is_secret(info: &ConnectionInfo) -> bool {
    matches!(info.addr(), ConnectionAddr::TcpTls { .. })
}

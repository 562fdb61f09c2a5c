//! How a PostgreSQL of a test runs, and who may connect.

use std::fmt::Write;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};

use super::installed::Installed;

/// Small, since many run at once, and quiet. What is not here is as PostgreSQL has it.
const USUAL: &str = "
listen_addresses = '127.0.0.1'
max_connections = 200
shared_buffers = '16MB'
# Nothing is left in the machine's memory when it is killed.
dynamic_shared_memory_type = mmap
huge_pages = off
log_checkpoints = off
log_line_prefix = '%m %p %q%a '
";

/// What makes it fast, and a crash of the machine fatal to its data; a crash of its own processes is not.
const FAST: &str = "
fsync = off
full_page_writes = off
";

/// What only matters under load: as much memory as PostgreSQL takes by itself. Segments of its log are then of the usual size, too.
const LARGE: &str = "
shared_buffers = '128MB'
min_wal_size = '80MB'
";

/// How it runs.
#[derive(Clone, Default)]
pub(crate) struct Options {
    is_durable: bool,
    pub(super) is_large: bool,
    pub(super) tls: Option<Tls>,
    settings: Vec<(String, String)>,
}

impl Options {
    /// Waits for the disk, as PostgreSQL does.
    pub(crate) fn durable(mut self) -> Self {
        self.is_durable = true;
        self
    }

    /// As durable and as large as PostgreSQL is by itself: to be measured.
    pub(crate) fn usual_size(mut self) -> Self {
        (self.is_durable, self.is_large) = (true, true);
        self
    }

    /// Speaks TLS, and nothing else over the network.
    pub(crate) fn tls(mut self) -> Self {
        self.tls = Some(Tls::new());
        self
    }

    /// Sets a setting of the server otherwise.
    pub(crate) fn setting(mut self, name: &str, value: &str) -> Self {
        self.settings.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The text of `postgresql.conf`. What comes later holds.
    pub(super) fn text(&self, folder: &Path, port: u16) -> String {
        let mut text = USUAL.to_owned();
        if !self.is_durable {
            text.push_str(FAST);
        }
        if self.is_large {
            text.push_str(LARGE);
        }
        if self.tls.is_some() {
            let folder = folder.display();
            let _ = write!(text, "\nssl = on\nssl_cert_file = '{folder}/server.crt'\nssl_key_file = '{folder}/server.key'\n");
        }
        let _ = write!(text, "\nport = {port}\nunix_socket_directories = '{}'\n", folder.display());
        for (name, value) in &self.settings {
            let _ = writeln!(text, "{name} = '{value}'");
        }
        text
    }

    /// The text of `pg_hba.conf`: a password over the network; over the socket in the folder, whoever may enter that.
    pub(super) fn who_may_connect(&self) -> String {
        let over_network = if self.tls.is_some() { "hostssl" } else { "host" };
        format!(
            "local all all trust\nlocal replication all trust\n{over_network} all all 127.0.0.1/32 scram-sha-256\n\
             {over_network} replication all 127.0.0.1/32 scram-sha-256\n"
        )
    }
}

/// A server's certificate, its key, and the certificate that vouches for it.
#[derive(Clone)]
pub(super) struct Tls {
    root: String,
    certificate: String,
    key: String,
}

impl Tls {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        // A name of its own, or the server would be taken for its own issuer, or for one of another test.
        params.distinguished_name.push(DnType::CommonName, format!("the root of {}", uuid::Uuid::new_v4()));
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let root = CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("a certificate");
        let key = KeyPair::generate().expect("a key");
        let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
        let params = CertificateParams::new(names).expect("names");
        let certificate = params.signed_by(&key, &root).expect("a certificate");
        Self {
            root: pem("CERTIFICATE", root.der()),
            certificate: pem("CERTIFICATE", certificate.der()),
            key: pem("PRIVATE KEY", &key.serialize_der()),
        }
    }

    /// Writes them where `postgresql.conf` says that they are.
    pub(super) fn write(&self, installed: &Installed, folder: &Path) {
        fs::write(root_certificate(folder), &self.root).expect("a file");
        fs::write(folder.join("server.crt"), &self.certificate).expect("a file");
        let key = folder.join("server.key");
        fs::write(&key, &self.key).expect("a file");
        // It refuses a key that others may read.
        fs::set_permissions(&key, Permissions::from_mode(0o600)).expect("a file of ours");
        installed.give(&key);
    }
}

/// The text form, whose lines have 64 characters.
fn pem(what: &str, bytes: &[u8]) -> String {
    let text = BASE64_STANDARD.encode(bytes);
    let lines: Vec<String> = text.as_bytes().chunks(64).map(|line| String::from_utf8_lossy(line).into_owned()).collect();
    format!("-----BEGIN {what}-----\n{}\n-----END {what}-----\n", lines.join("\n"))
}

pub(super) fn root_certificate(folder: &Path) -> PathBuf {
    folder.join("root.crt")
}

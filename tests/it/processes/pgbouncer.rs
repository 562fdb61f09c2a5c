//! `PgBouncer` on the way: its pools hand the connections of PostgreSQL round, and drop what a session is set to. Plimsoll says so, and
//! does not start.

use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::harness::postgres::{DATABASE, PASSWORD, USER};
use crate::harness::{Plimsoll, Postgres, Setup};

/// Where Debian has it, which is in root's path only.
const PROGRAM: &str = "/usr/sbin/pgbouncer";
/// The user that PostgreSQL runs as: `PgBouncer` does not run as root either.
const OPERATOR: &str = "postgres";
const PATIENCE: Duration = Duration::from_secs(20);

/// One in transaction mode.
struct PgBouncer {
    child: Child,
    address: SocketAddr,
    _folder: TempDir,
}

impl PgBouncer {
    fn before(postgres: &Postgres, more: &str) -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).expect("a folder of ours");
        let address = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port");
        let users = file(folder.path(), "users.txt", &format!("\"{USER}\" \"{PASSWORD}\"\n"));
        let settings = format!(
            "[databases]\n{DATABASE} = host=127.0.0.1 port={} dbname={DATABASE}\n[pgbouncer]\nlisten_addr = 127.0.0.1\n\
             listen_port = {}\nunix_socket_dir =\nauth_type = scram-sha-256\nauth_file = {users}\npool_mode = transaction\n{more}\n",
            postgres.address().port(),
            address.port()
        );
        let settings = file(folder.path(), "pgbouncer.ini", &settings);
        let mut command = Command::new(PROGRAM);
        if rustix::process::getuid().is_root() {
            command.args(["-u", OPERATOR]);
        }
        let command = command.arg(settings).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().expect("pgbouncer, of Debian's package");
        let pooler = Self { child, address, _folder: folder };
        let begun = Instant::now();
        while TcpStream::connect(address).is_err() {
            assert!(begun.elapsed() < PATIENCE, "PgBouncer does not listen");
            std::thread::yield_now();
        }
        pooler
    }
}

impl Drop for PgBouncer {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn file(folder: &Path, name: &str, text: &str) -> String {
    let path = folder.join(name);
    fs::write(&path, text).expect("a writable folder");
    path.display().to_string()
}

/// What it says when it does not start through a `PgBouncer` with these settings.
fn refused_through(more: &str) -> String {
    let postgres = Postgres::start();
    let pooler = PgBouncer::before(&postgres, more);
    let url = postgres.url_through(pooler.address);
    // Twice: connections to PostgreSQL that are left over from before are another thing.
    let said = [(); 2].map(|()| {
        let stopped = Plimsoll::refused(Setup::on_postgres(&postgres).at_database(&url));
        assert_eq!(stopped.status.code(), Some(1), "{}", stopped.stderr);
        stopped.stderr.lines().last().expect("a sentence").to_owned()
    });
    assert_eq!(said[0], said[1]);
    assert_eq!(postgres.number("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"), 0, "nothing was made");
    said[0].clone()
}

#[test]
fn as_it_is_installed_it_does_not_take_the_settings_of_a_session() {
    let said = refused_through("");
    assert!(said.contains("unsupported startup parameter"), "{said}");
}

#[test]
fn told_to_ignore_them_it_is_found_out_and_nothing_is_begun() {
    let said = refused_through("ignore_startup_parameters = options,extra_float_digits");
    assert!(said.contains("does not keep the settings of a session") && said.contains("PgBouncer"), "{said}");
}

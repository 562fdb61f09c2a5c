//! A real reverse proxy, run by its recipe in a folder of its own: gone, with all that it wrote, when the test lets go of it.

use std::fs::File;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

/// What every nginx needs around the recipe, which Debian has in `/etc/nginx/nginx.conf`. Nothing is written but into the folder, which
/// is its owner's: started by root, its worker stays root; otherwise that line has no effect.
const AROUND_NGINX: &str = "
user root;
error_log stderr notice;
pid FOLDER/nginx.pid;
events { worker_connections 1024; }
http {
    access_log off;
    client_body_temp_path FOLDER/bodies;
    proxy_temp_path FOLDER/proxied;
    fastcgi_temp_path FOLDER/fastcgi;
    uwsgi_temp_path FOLDER/uwsgi;
    scgi_temp_path FOLDER/scgi;
    include FOLDER/recipe.conf;
}
";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Nginx,
    HaProxy,
}

/// A running proxy.
pub(super) struct Proxy {
    child: Child,
    folder: TempDir,
    pub(super) address: SocketAddr,
}

impl Proxy {
    /// Starts it between customers and these two.
    pub(super) fn start(kind: Kind, plimsoll: SocketAddr, product: SocketAddr) -> Self {
        Self::with(kind, plimsoll, product, |text| text)
    }

    /// The same with a change in every file of the recipe.
    pub(super) fn with(kind: Kind, plimsoll: SocketAddr, product: SocketAddr, change: fn(String) -> String) -> Self {
        // The proxy inherits a socket that listens already: nobody can take its port, and whoever connects waits until it is ready.
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        listener.set_nonblocking(true).expect("a socket");
        let address = listener.local_addr().expect("an address");
        let folder = TempDir::new().expect("a temporary folder");
        let log = File::create(folder.path().join("log")).expect("a writable folder");
        let places = Places { folder: folder.path(), address, plimsoll, product, change };
        let mut command = match kind {
            Kind::Nginx => places.nginx(),
            Kind::HaProxy => places.haproxy(),
        };
        command.stdin(Stdio::from(OwnedFd::from(listener))).stdout(log.try_clone().expect("a file")).stderr(log);
        let child = command.current_dir(folder.path()).spawn().unwrap_or_else(|error| panic!("{kind:?}: {error}"));
        Self { child, folder, address }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // nginx ends its worker before itself, at once. It may have ended by itself.
        let _ = Command::new("kill").arg("-TERM").arg(self.child.id().to_string()).stderr(Stdio::null()).status();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("the proxy said:\n{}", std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default());
        }
    }
}

struct Places<'a> {
    folder: &'a Path,
    address: SocketAddr,
    plimsoll: SocketAddr,
    product: SocketAddr,
    change: fn(String) -> String,
}

impl Places<'_> {
    fn nginx(&self) -> Command {
        self.recipe("nginx.conf", "recipe.conf", &[("PUBLIC_ADDRESS", &self.address.to_string())]);
        let around = self.folder.join("nginx.conf");
        std::fs::write(&around, AROUND_NGINX.replace("FOLDER", &self.folder.to_string_lossy())).expect("a writable folder");
        let mut command = Command::new(program("nginx"));
        // It takes the socket for the one that the recipe listens on, by its address.
        command.env("NGINX", "0;").arg("-p").arg(self.folder).arg("-c").arg(around);
        command.args(["-e", "stderr", "-g", "daemon off;"]);
        command
    }

    fn haproxy(&self) -> Command {
        let script = self.recipe("haproxy.lua", "haproxy.lua", &[]);
        let script = script.to_string_lossy();
        // One machine may run several tests at once.
        let inside = format!("abns@plimsoll-{}", self.address.port());
        let changes = [("PUBLIC_ADDRESS", "fd@0"), ("LUA_FILE", &*script), ("abns@plimsoll", &*inside)];
        let recipe = self.recipe("haproxy.cfg", "haproxy.cfg", &changes);
        let mut command = Command::new(program("haproxy"));
        command.arg("-db").arg("-f").arg(recipe);
        command
    }

    /// A file of the recipes with its placeholders replaced.
    fn recipe(&self, from: &str, to: &str, changes: &[(&str, &str)]) -> PathBuf {
        let mut text = (self.change)(recipe(from));
        let (plimsoll, product) = (self.plimsoll.to_string(), self.product.to_string());
        let addresses = [("PLIMSOLL_ADDRESS", &*plimsoll), ("PRODUCT_ADDRESS", &*product)];
        for (placeholder, value) in addresses.iter().filter(|_| !changes.is_empty()).chain(changes) {
            assert!(text.contains(placeholder), "{from} has no {placeholder}");
            text = text.replace(placeholder, value);
        }
        let path = self.folder.join(to);
        std::fs::write(&path, text).expect("a writable folder");
        path
    }
}

/// Where Debian has a program that is not for everybody: such folders need not be in everybody's path.
fn program(name: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(["/usr/sbin", "/usr/local/sbin"].map(PathBuf::from));
    let found = folders.map(|folder| folder.join(name)).find(|file| file.is_file());
    found.unwrap_or_else(|| panic!("{name} is not installed: .ci/test does that"))
}

/// A file of the recipes.
pub(super) fn recipe(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("openapi/recipes").join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

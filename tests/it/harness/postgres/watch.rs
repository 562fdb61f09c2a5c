//! What outlives the test, to end its PostgreSQL: also when the test was killed, and when PostgreSQL was frozen by it.

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

/// Standard input ends with the test. Every process of a cluster works in its data folder. An immediate stop lets PostgreSQL give back
/// the shared memory that outlives processes; what has not ended within three seconds is killed.
const SCRIPT: &str = r#"
cat >/dev/null
signal_all() {
    left=
    for link in /proc/[0-9]*/cwd; do
        if [ "$link" -ef "$folder/data" ]; then
            left=yes pid=${link#/proc/}
            kill "-$1" "${pid%/cwd}" 2>/dev/null
        fi
    done
}
folder=$1
signal_all CONT
read -r postmaster <"$folder/data/postmaster.pid" && [ "/proc/$postmaster/cwd" -ef "$folder/data" ] && kill -QUIT "$postmaster"
turns=0
while signal_all 0 && [ "$left" ] && [ $turns -lt 150 ]; do
    sleep 0.02
    turns=$((turns + 1))
done
signal_all KILL
rm -rf "$folder"
"#;

/// A watch over the processes and the files of one cluster.
pub(super) struct Watch(Child);

impl Watch {
    /// Begins before anything else does. It is out of reach of a signal to the test's process group.
    pub(super) fn over(folder: &Path) -> Self {
        let mut command = Command::new("sh");
        command.args(["-c", SCRIPT, "sh"]).arg(folder).process_group(0);
        let child = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        Self(child.expect("a shell"))
    }

    /// Ends the cluster, removes its files, and returns when that is done.
    pub(super) fn end(&mut self) {
        drop(self.0.stdin.take());
        // It ends by itself, whatever it found.
        let _ = self.0.wait();
    }
}

/// The processes of the cluster with this data folder.
pub(super) fn processes(data: &Path) -> Vec<Pid> {
    let entries = fs::read_dir("/proc").expect("the processes").filter_map(Result::ok);
    let numbered = entries.filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path())));
    let here = numbered.filter(|(_, path)| fs::read_link(path.join("cwd")).is_ok_and(|folder| folder == data));
    here.filter_map(|(pid, _)| Pid::from_raw(pid)).collect()
}

/// Sends a signal to a process that may have ended.
pub(super) fn signal(pid: Pid, signal: Signal) {
    let _ = kill_process(pid, signal);
}

/// Whether the process is stopped, or gone.
pub(super) fn is_stopped(pid: Pid) -> bool {
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).unwrap_or_default();
    // The state follows the name, which stands in parentheses.
    stat.rsplit_once(") ").is_none_or(|(_, rest)| rest.starts_with(['T', 'Z', 'X']))
}

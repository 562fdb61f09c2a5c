//! Processor time: of a process, and of the whole machine.

use std::fs;
use std::time::Duration;

use crate::Outcome;

/// The unit in which Linux tells processor times.
const TICK: Duration = Duration::from_millis(10);

/// Processor time.
#[derive(Clone, Copy)]
pub(crate) struct Cpu {
    /// In programs.
    pub(crate) user: Duration,
    /// In the kernel on their behalf.
    pub(crate) kernel: Duration,
}

impl Cpu {
    /// What a process has used so far.
    pub(crate) fn of_process(id: u32) -> Outcome<Self> {
        let stat = fs::read_to_string(format!("/proc/{id}/stat"))?;
        // The name of the program comes first, in parentheses; what it has used are the 12th and 13th fields after it.
        let (_, fields) = stat.rsplit_once(')').ok_or("no program in stat")?;
        let ticks = ticks(fields.split_whitespace().skip(11).take(2))?;
        let [user, kernel] = ticks.as_slice() else { return Err("no times in stat".into()) };
        Ok(Self { user: *user, kernel: *kernel })
    }

    /// What these processes and those that they have outlived have used so far. One that has ended just now counts with its parent.
    pub(crate) fn of_processes(ids: &[u32]) -> Outcome<Self> {
        let stats = ids.iter().filter_map(|id| fs::read_to_string(format!("/proc/{id}/stat")).ok());
        let mut sum = Self { user: Duration::ZERO, kernel: Duration::ZERO };
        for stat in stats {
            let (_, fields) = stat.rsplit_once(')').ok_or("no program in stat")?;
            let ticks = ticks(fields.split_whitespace().skip(11).take(4))?;
            let [user, kernel, outlived_user, outlived_kernel] = ticks.as_slice() else {
                return Err("no times in stat".into());
            };
            sum = sum.and(Self { user: *user + *outlived_user, kernel: *kernel + *outlived_kernel });
        }
        Ok(sum)
    }

    /// What all processes have used so far. What the machine's host took away counts as the kernel's.
    pub(crate) fn of_machine() -> Outcome<Self> {
        let stat = fs::read_to_string("/proc/stat")?;
        let line = stat.lines().find_map(|line| line.strip_prefix("cpu ")).ok_or("no cpu in stat")?;
        let ticks = ticks(line.split_whitespace().take(8))?;
        let [user, nice, kernel, _idle, _waiting, _interrupts, _soft_interrupts, stolen] = ticks.as_slice() else {
            return Err("no times in stat".into());
        };
        Ok(Self { user: *user + *nice, kernel: *kernel + *stolen })
    }

    /// What was used after `earlier`.
    pub(crate) fn since(self, earlier: Self) -> Self {
        Self { user: self.user.saturating_sub(earlier.user), kernel: self.kernel.saturating_sub(earlier.kernel) }
    }

    /// The sum.
    pub(crate) fn and(self, other: Self) -> Self {
        Self { user: self.user + other.user, kernel: self.kernel + other.kernel }
    }

    /// Both together.
    pub(crate) fn all(self) -> Duration {
        self.user + self.kernel
    }
}

fn ticks<'a>(fields: impl Iterator<Item = &'a str>) -> Outcome<Vec<Duration>> {
    fields.map(|field| Ok(Duration::from_millis(field.parse::<u64>()? * u64::try_from(TICK.as_millis())?))).collect()
}

//! Figures of commands: how long they take over several runs, and how much memory they took at most.

use std::fs;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// How often a running command's memory is looked at.
const LOOK: Duration = Duration::from_millis(2);

/// Runs that are not counted: they fill caches.
const WARM_UP: usize = 2;

/// The durations of several runs.
#[derive(Clone, Debug)]
pub(crate) struct Durations(Vec<Duration>);

impl Durations {
    /// Runs a command a few times unseen and `runs` times counted; what it prints is thrown away.
    pub(crate) fn of(make: impl Fn() -> Command, runs: usize) -> Result<Durations> {
        let mut durations = Vec::new();
        for run in 0..WARM_UP + runs.max(1) {
            let mut command = make();
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            let started = Instant::now();
            let status =
                command.status().with_context(|| format!("can't start {:?}", command.get_program()))?;
            if !status.success() {
                bail!("{:?} ended with {status}", command.get_program());
            }
            if run >= WARM_UP {
                durations.push(started.elapsed());
            }
        }
        durations.sort_unstable();
        Ok(Durations(durations))
    }

    /// The one in the middle.
    pub(crate) fn median(&self) -> Duration {
        self.0.get(self.0.len() / 2).copied().unwrap_or_default()
    }

    /// In one line: median, the quickest and the slowest.
    pub(crate) fn line(&self) -> String {
        let of = |duration: Option<&Duration>| duration.map_or(0.0, Duration::as_secs_f64) * 1_000.0;
        let (first, last) = (of(self.0.first()), of(self.0.last()));
        let median = self.median().as_secs_f64() * 1_000.0;
        format!("median {median:.1} ms of {} (from {first:.1} to {last:.1})", self.0.len())
    }
}

/// What one run took.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Run {
    pub(crate) took: Duration,
    /// The most memory that it held at once, in bytes (`VmHWM` of proc(5)).
    pub(crate) peak: u64,
}

/// Runs a command once, its talk shown, and looks at its memory until it ends.
pub(crate) fn run(command: &mut Command) -> Result<Run> {
    let started = Instant::now();
    let mut child = command.spawn().with_context(|| format!("can't start {:?}", command.get_program()))?;
    let mut peak = 0;
    let status = loop {
        peak = peak.max(high_water(&child));
        if let Some(status) = child.try_wait()? {
            break status;
        }
        std::thread::sleep(LOOK);
    };
    if !status.success() {
        bail!("{:?} ended with {status}", command.get_program());
    }
    Ok(Run { took: started.elapsed(), peak })
}

fn high_water(child: &Child) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
    kilobytes.unwrap_or_default() * 1_024
}

/// One duration as a multiple of another.
pub(crate) fn ratio(of: Duration, to: Duration) -> f64 {
    of.as_secs_f64() / to.as_secs_f64().max(f64::EPSILON)
}

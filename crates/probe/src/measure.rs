//! What a running host measures of itself: samples for the health thresholds.
//!
//! Shares and counts over time need two samples: the first one of a [`Meter`] gives what
//! needs none. A measure that can't be read comes with its reason instead of a value.

use bartizan_core::monitoring::health::{Measure, Quantity};
use bartizan_core::verdict::Reason;

use crate::root::{Limit, Root};

mod counters;
mod filesystem;

use counters::{Disk, Interface, Processor};

/// Tables of the kernel: a few kilobytes, a little more with very many mounts or disks.
const KERNEL_TABLE: Limit = Limit { name: "kernel table", bytes: 4 << 20 };

/// Reads samples, and keeps the counters of the last one.
#[derive(Debug, Default)]
pub struct Meter {
    processor: Option<Processor>,
    disks: Vec<(String, Disk)>,
    interfaces: Vec<(String, Interface)>,
}

/// One measure at one place of the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading {
    pub measure: Measure,
    /// The mount point, device or interface; empty where the host is the place.
    pub object: String,
    pub value: Result<Quantity, Reason>,
}

impl Reading {
    fn new(measure: Measure, object: &str, value: Result<Quantity, Reason>) -> Self {
        Self { measure, object: object.to_owned(), value }
    }
}

impl Meter {
    /// Takes a sample of everything.
    pub fn sample(&mut self, root: &Root) -> Vec<Reading> {
        let mut readings = Vec::new();
        self.processor(root, &mut readings);
        memory(root, &mut readings);
        load(root, &mut readings);
        filesystem::measure(root, &mut readings);
        self.disks(root, &mut readings);
        self.interfaces(root, &mut readings);
        readings
    }

    fn processor(&mut self, root: &Root, readings: &mut Vec<Reading>) {
        match read(root, "/proc/stat").and_then(|text| Processor::parse(&text)) {
            Ok(now) => {
                let before = self.processor.replace(now);
                let used = before.and_then(|before| now.used_since(before));
                readings.extend(used.map(|used| Reading::new(Measure::CpuUsed, "", Ok(used))));
            }
            Err(reason) => readings.push(Reading::new(Measure::CpuUsed, "", Err(reason))),
        }
    }

    fn disks(&mut self, root: &Root, readings: &mut Vec<Reading>) {
        let whole = root.names("/sys/block").unwrap_or_default();
        let now = match read(root, "/proc/diskstats") {
            Ok(text) => Disk::parse_all(&text, &whole),
            Err(reason) => return readings.push(Reading::new(Measure::DiskLatency, "", Err(reason))),
        };
        for (name, disk) in &now {
            let before = self.disks.iter().find(|(other, _)| other == name);
            let latency = before.and_then(|(_, before)| disk.latency_since(*before));
            readings.extend(latency.map(|latency| Reading::new(Measure::DiskLatency, name, Ok(latency))));
        }
        self.disks = now;
    }

    fn interfaces(&mut self, root: &Root, readings: &mut Vec<Reading>) {
        let now = match read(root, "/proc/net/dev") {
            Ok(text) => Interface::parse_all(&text),
            Err(reason) => return readings.push(Reading::new(Measure::NetworkErrors, "", Err(reason))),
        };
        for (name, interface) in &now {
            let before = self.interfaces.iter().find(|(other, _)| other == name);
            let errors = before.and_then(|(_, before)| interface.errors_since(*before));
            readings.extend(errors.map(|errors| Reading::new(Measure::NetworkErrors, name, Ok(errors))));
        }
        self.interfaces = now;
    }
}

fn read(root: &Root, path: &str) -> Result<String, Reason> {
    root.read_text(path, KERNEL_TABLE).map(|text| text.text).map_err(|error| error.reason())
}

fn memory(root: &Root, readings: &mut Vec<Reading>) {
    let used = read(root, "/proc/meminfo").and_then(|text| memory_used(&text).ok_or(Reason::Unparsable));
    readings.push(Reading::new(Measure::MemoryUsed, "", used));
}

/// The share of memory that is not available, from proc_meminfo(5).
fn memory_used(text: &str) -> Option<Quantity> {
    let kilobytes = |name: &str| -> Option<u64> {
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim_start_matches(':').split_ascii_whitespace().next()?.parse().ok()
    };
    let total = kilobytes("MemTotal")?;
    share(total.saturating_sub(kilobytes("MemAvailable")?), total)
}

fn load(root: &Root, readings: &mut Vec<Reading>) {
    let processors = std::thread::available_parallelism().map_or(1, |count| count.get() as u64);
    let load = read(root, "/proc/loadavg")
        .and_then(|text| load_hundredths(&text).ok_or(Reason::Unparsable))
        .and_then(|hundredths| share(hundredths, processors * 100).ok_or(Reason::Unparsable));
    readings.push(Reading::new(Measure::LoadPerCpu, "", load));
}

/// The five-minute load average in hundredths, from proc_loadavg(5).
fn load_hundredths(text: &str) -> Option<u64> {
    let (whole, part) = text.split_ascii_whitespace().nth(1)?.split_once('.')?;
    let part: u64 = part.get(..2)?.parse().ok()?;
    whole.parse::<u64>().ok()?.checked_mul(100)?.checked_add(part)
}

/// `part` of `whole`, in hundredths of a per cent; none of nothing.
fn share(part: u64, whole: u64) -> Option<Quantity> {
    let hundredths = u128::from(part).checked_mul(10_000)?.checked_div(u128::from(whole))?;
    i64::try_from(hundredths).ok().map(Quantity::Share)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_that_can_be_had_back_counts_as_free() {
        let text = "MemTotal:       1000 kB\nMemFree:  10 kB\nMemAvailable:    250 kB\n";
        assert_eq!(memory_used(text), Some(Quantity::Share(7_500)));
        assert_eq!(memory_used("MemTotal: 0 kB\nMemAvailable: 0 kB\n"), None);
        assert_eq!(memory_used("MemTotal: 5 kB\n"), None);
    }

    #[test]
    fn the_five_minute_load_is_read() {
        assert_eq!(load_hundredths("0.10 12.34 0.20 1/149 336\n"), Some(1_234));
        assert_eq!(load_hundredths("0.10"), None);
    }

    #[test]
    fn this_host_measures_itself() {
        let mut meter = Meter::default();
        meter.sample(&Root::host());
        let readings = meter.sample(&Root::host());
        for measure in [Measure::MemoryUsed, Measure::LoadPerCpu, Measure::DiskUsed] {
            let read = readings.iter().any(|reading| reading.measure == measure && reading.value.is_ok());
            assert!(read, "{measure:?} is missing in {readings:?}");
        }
    }

    #[test]
    fn a_root_without_kernel_tables_says_why_for_each_measure() {
        let folder = tempfile::tempdir().unwrap();
        let root = Root::at(folder.path()).unwrap();
        let readings = Meter::default().sample(&root);
        assert!(readings.len() >= 5, "{readings:?}");
        assert!(readings.iter().all(|reading| reading.value.is_err()), "{readings:?}");
    }
}

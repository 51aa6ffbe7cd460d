//! Counters of the kernel that only grow, and what they grew by.

use bartizan_core::monitoring::health::Quantity;
use bartizan_core::verdict::Reason;

use super::share;

/// Processor time since boot, in ticks (proc_stat(5), the `cpu` line).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Processor {
    busy: u64,
    total: u64,
}

/// What a disk has done since boot (the kernel's iostats document: fields 1, 4, 5 and 8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Disk {
    operations: u64,
    time_ms: u64,
}

/// Frames that an interface lost since it came up (proc_net_dev(5)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Interface {
    errors: u64,
}

impl Processor {
    pub(super) fn parse(text: &str) -> Result<Processor, Reason> {
        let line =
            text.lines().next().and_then(|line| line.strip_prefix("cpu ")).ok_or(Reason::Unparsable)?;
        // user nice system idle iowait irq softirq steal; guest time lies within user's.
        let ticks: Vec<u64> =
            line.split_ascii_whitespace().take(8).map_while(|word| word.parse().ok()).collect();
        let idle: u64 = ticks.iter().skip(3).take(2).sum();
        let total: u64 = ticks.iter().sum();
        if ticks.len() < 4 {
            return Err(Reason::Unparsable);
        }
        Ok(Processor { busy: total.saturating_sub(idle), total })
    }

    pub(super) fn used_since(self, before: Processor) -> Option<Quantity> {
        share(self.busy.checked_sub(before.busy)?, self.total.checked_sub(before.total)?)
    }
}

impl Disk {
    /// The disks named in `whole`: partitions and loop devices repeat what their disk tells.
    pub(super) fn parse_all(text: &str, whole: &[String]) -> Vec<(String, Disk)> {
        let one = |line: &str| -> Option<(String, Disk)> {
            let words: Vec<&str> = line.split_ascii_whitespace().collect();
            let name = *words.get(2)?;
            let number = |place: usize| words.get(place).and_then(|word| word.parse::<u64>().ok());
            let shown = whole.iter().any(|disk| disk == name);
            if !shown || name.starts_with("loop") || name.starts_with("ram") {
                return None;
            }
            let operations = number(3)?.checked_add(number(7)?)?;
            let time_ms = number(6)?.checked_add(number(10)?)?;
            Some((name.to_owned(), Disk { operations, time_ms }))
        };
        text.lines().filter_map(one).collect()
    }

    /// The mean time of an operation; none where there was none.
    pub(super) fn latency_since(self, before: Disk) -> Option<Quantity> {
        let operations = self.operations.checked_sub(before.operations)?;
        let time_ms = self.time_ms.checked_sub(before.time_ms)?;
        let mean = time_ms.checked_div(operations).unwrap_or(0);
        i64::try_from(mean).ok().map(Quantity::Span)
    }
}

impl Interface {
    pub(super) fn parse_all(text: &str) -> Vec<(String, Interface)> {
        let one = |line: &str| -> Option<(String, Interface)> {
            let (name, rest) = line.split_once(':')?;
            let numbers: Vec<u64> =
                rest.split_ascii_whitespace().map_while(|word| word.parse().ok()).collect();
            // Receive errors are the third column, transmit errors the eleventh.
            let errors = numbers.get(2)?.checked_add(*numbers.get(10)?)?;
            Some((name.trim().to_owned(), Interface { errors }))
        };
        text.lines().skip(2).filter_map(one).collect()
    }

    pub(super) fn errors_since(self, before: Interface) -> Option<Quantity> {
        let errors = self.errors.checked_sub(before.errors)?;
        i64::try_from(errors).ok().map(Quantity::Count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiting_for_disks_is_not_work() {
        let before = Processor::parse("cpu  100 0 100 800 0 0 0 0 0 0\n").unwrap();
        let after = Processor::parse("cpu  150 0 100 800 50 0 0 0 0 0\n").unwrap();
        assert_eq!(after.used_since(before), Some(Quantity::Share(5_000)));
        assert_eq!(after.used_since(after), None, "no time has passed");
        assert_eq!(before.used_since(after), None, "counters that fell say nothing");
        assert_eq!(Processor::parse("intr 1"), Err(Reason::Unparsable));
    }

    #[test]
    fn a_disk_counts_once_and_its_partitions_do_not() {
        let text = " 254 0 vda 10 0 80 100 30 0 90 300 0 1 2\n 254 1 vda1 1 1 1 1 1 1 1 1 1 1 1\n 7 0 loop0 1 1 1 1 1 1 1 1 1 1 1\n";
        let whole = ["vda".to_owned(), "loop0".to_owned()];
        let disks = Disk::parse_all(text, &whole);
        assert_eq!(disks, [("vda".to_owned(), Disk { operations: 40, time_ms: 400 })]);
        let before = Disk { operations: 30, time_ms: 200 };
        assert_eq!(disks[0].1.latency_since(before), Some(Quantity::Span(20)));
    }

    #[test]
    fn errors_of_both_directions_are_summed() {
        let text = "Inter-| x\n face |x\n  lo: 1 2 0 0 0 0 0 0 1 2 0 0 0 0 0 0\neth0:1 2 3 0 0 0 0 0 1 2 4 0 0 0 0 0\n";
        let interfaces = Interface::parse_all(text);
        assert_eq!(interfaces[1], ("eth0".to_owned(), Interface { errors: 7 }));
    }
}

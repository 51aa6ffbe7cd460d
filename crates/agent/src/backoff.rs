//! How long to wait before the next try: twice as long each time, within bounds, and never in
//! step with others.

use std::time::Duration;

const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(60);

/// Tries that failed in a row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Backoff {
    failures: u32,
}

impl Backoff {
    /// A try failed: how long to wait. The upper half of the wait is random.
    pub fn failed(&mut self, random: u32) -> Duration {
        let factor = 1u32.checked_shl(self.failures).unwrap_or(u32::MAX);
        let longest = FIRST.saturating_mul(factor).min(LONGEST);
        self.failures = self.failures.saturating_add(1).min(u32::BITS);
        let half = longest / 2;
        half + half.mul_f64(f64::from(random) / f64::from(u32::MAX))
    }

    /// A try succeeded.
    pub fn succeeded(&mut self) {
        self.failures = 0;
    }

    /// Whether the last try succeeded.
    pub fn is_clear(self) -> bool {
        self.failures == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_a_minute_and_start_over_after_a_success() {
        let mut backoff = Backoff::default();
        let waits: Vec<u64> = (0..9).map(|_| backoff.failed(u32::MAX).as_secs()).collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
        assert_eq!(backoff.failed(0), LONGEST / 2);
        (0..100).for_each(|_| assert!(backoff.failed(7) <= LONGEST));
        backoff.succeeded();
        assert_eq!(backoff.failed(u32::MAX), FIRST);
    }
}

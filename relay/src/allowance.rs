//! How often something may be done: a token bucket that holds one second's worth. It reads no
//! clock; `now` comes from outside.

use std::time::Duration;

use wire::RelayTime;

/// A rate, and how much of it is left.
#[derive(Debug)]
pub struct Allowance {
    each: Duration,
    capacity: Duration,
    /// Time saved up; one use costs `each`.
    saved: Duration,
    updated: RelayTime,
}

impl Allowance {
    /// Up to `per_second` uses in a second, all of which may come at once. At least one.
    pub fn new(per_second: u32, now: RelayTime) -> Self {
        let capacity = Duration::from_secs(1);
        Self { each: capacity / per_second.max(1), capacity, saved: capacity, updated: now }
    }

    /// Whether one use is left at `now`.
    pub fn is_left(&mut self, now: RelayTime) -> bool {
        self.saved = (self.saved + now.since(self.updated)).min(self.capacity);
        self.updated = self.updated.max(now);
        self.saved >= self.each
    }

    /// Uses one, if one is left.
    pub fn spend(&mut self) {
        self.saved = self.saved.saturating_sub(self.each);
    }

    /// When one use will be left, if none is at `now`.
    pub fn next_at(&self, now: RelayTime) -> RelayTime {
        RelayTime(now.0 + self.each.saturating_sub(self.saved))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> RelayTime {
        RelayTime(Duration::from_millis(millis))
    }

    #[test]
    fn a_second_holds_no_more_than_its_rate() {
        let mut allowance = Allowance::new(100, at(0));
        let mut used = 0;
        for millis in 0..5_000 {
            while allowance.is_left(at(millis)) {
                allowance.spend();
                used += 1;
            }
        }
        assert_eq!(used, 100 + 499);
    }

    #[test]
    fn rest_does_not_save_up_more_than_a_second() {
        let mut allowance = Allowance::new(10, at(0));
        let mut used = 0;
        while allowance.is_left(at(60_000)) {
            allowance.spend();
            used += 1;
        }
        assert_eq!(used, 10);
    }
}

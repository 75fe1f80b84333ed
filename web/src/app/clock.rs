//! The relay's clock and the wall's, as seen from the page's. Reads none of them.

use std::time::Duration;

use wire::RelayTime;

/// Nanoseconds, which may be negative: the difference of two clocks that started at other times.
/// In 64 bits they last for 292 years.
type Nanos = i64;

fn nanos(duration: Duration) -> Nanos {
    let nanos = duration.as_secs().saturating_mul(1_000_000_000);
    Nanos::try_from(nanos.saturating_add(duration.subsec_nanos().into())).unwrap_or(Nanos::MAX)
}

fn duration(nanos: Nanos) -> Duration {
    Duration::from_nanos(nanos.max(0).unsigned_abs())
}

/// What the page knows of the relay's clock within one session.
#[derive(Clone, Copy, Debug)]
pub struct RelayClock {
    /// Page less relay, as the log has it: fixed by the first moment of the relay's that is logged,
    /// so that differences of rows stay exact.
    logged: Option<Nanos>,
    /// Page less relay, the smallest seen: the message that was on its way the shortest.
    smallest: Nanos,
}

impl RelayClock {
    /// The relay's clock showed `relay` in a message that arrived at `now`.
    pub fn new(relay: RelayTime, now: Duration) -> Self {
        let difference = nanos(now).saturating_sub(nanos(relay.0));
        Self { logged: None, smallest: difference }
    }

    /// Another message with the relay's time arrived.
    pub fn saw(&mut self, relay: RelayTime, now: Duration) {
        self.smallest = self.smallest.min(nanos(now).saturating_sub(nanos(relay.0)));
    }

    /// What the relay's clock shows at `now`: never ahead of it, so that nothing is timed out early.
    pub fn at(&self, now: Duration) -> Duration {
        duration(nanos(now).saturating_sub(self.smallest))
    }

    /// When, on the page's clock, the relay's shows `relay`; for deciding when to look.
    pub fn page_time(&self, relay: Duration) -> Duration {
        duration(nanos(relay).saturating_add(self.smallest))
    }

    /// What the page handed over at `handed` the relay did at `relay`: the way there is short, while
    /// the report of it may have waited for the page. The first such pair sets the log's clock.
    pub fn log_sent(&mut self, relay: RelayTime, handed: Duration) -> Duration {
        self.logged.get_or_insert(nanos(handed).saturating_sub(nanos(relay.0)));
        self.log_time(relay)
    }

    /// Where a moment of the relay's stands in the log.
    pub fn log_time(&mut self, relay: RelayTime) -> Duration {
        let difference = *self.logged.get_or_insert(self.smallest);
        duration(nanos(relay.0).saturating_add(difference))
    }
}

/// What the clock on the wall showed when the page's showed zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WallClock {
    /// Milliseconds since local midnight of the page's first day.
    pub midnight_ms: u64,
}

impl WallClock {
    /// `14:03:07.512`.
    pub fn time_of_day(self, at: Duration) -> String {
        let at = at.as_secs().saturating_mul(1_000).saturating_add(u64::from(at.subsec_millis()));
        let ms = self.midnight_ms.saturating_add(at);
        let (hours, minutes, seconds) = (ms / 3_600_000 % 24, ms / 60_000 % 60, ms / 1_000 % 60);
        format!("{hours:02}:{minutes:02}:{seconds:02}.{:03}", ms % 1_000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smallest_difference_counts() {
        let ms = Duration::from_millis;
        let mut clock = RelayClock::new(RelayTime(ms(1_000)), ms(50));
        clock.saw(RelayTime(ms(2_000)), ms(1_040));
        clock.saw(RelayTime(ms(3_000)), ms(2_500));
        assert_eq!(clock.at(ms(1_100)), ms(2_060));
        assert_eq!(clock.page_time(ms(2_060)), ms(1_100));
        assert_eq!(clock.log_time(RelayTime(ms(2_000))), ms(1_040));
        clock.saw(RelayTime(ms(4_000)), ms(3_000));
        assert_eq!(clock.log_time(RelayTime(ms(4_000))), ms(3_040), "rows keep their distance");
        assert_eq!(clock.at(ms(0)), ms(1_000));
    }

    #[test]
    fn the_wall_clock_passes_midnight() {
        let wall = WallClock { midnight_ms: 24 * 3_600_000 - 1 };
        assert_eq!(wall.time_of_day(Duration::ZERO), "23:59:59.999");
        assert_eq!(wall.time_of_day(Duration::from_millis(1)), "00:00:00.000");
    }
}

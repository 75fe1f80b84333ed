//! The relay's one monotonic clock. It never tells wall time.

use tokio::time::Instant;
use wire::RelayTime;

/// Reads the time since the relay started; copies read the same clock.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    started: Instant,
}

impl Clock {
    /// A clock that starts now.
    pub fn start() -> Self {
        Self { started: Instant::now() }
    }

    /// The time since the start.
    pub fn now(&self) -> RelayTime {
        RelayTime(self.started.elapsed())
    }

    /// The runtime's own form of a moment on this clock, for sleeping until it.
    pub fn instant(&self, at: RelayTime) -> Instant {
        self.started + at.0
    }
}

//! The browser's clocks and its chance.

use std::time::Duration;

use js_sys::{Date, Math};

use crate::app::clock::WallClock;

const DAY_MS: u64 = 24 * 60 * 60 * 1_000;

fn performance() -> Option<web_sys::Performance> {
    web_sys::window()?.performance()
}

/// Time since the page began to load; it never goes back.
pub(crate) fn now() -> Duration {
    let ms = performance().map_or(0.0, |performance| performance.now());
    Duration::try_from_secs_f64(ms / 1_000.0).unwrap_or_default()
}

/// What the clock on the wall showed when [`now`] was zero.
pub(crate) fn wall() -> WallClock {
    let date = Date::new_0();
    let whole = |part: u32| u64::from(part);
    let of_day = ((whole(date.get_hours()) * 60 + whole(date.get_minutes())) * 60
        + whole(date.get_seconds()))
        * 1_000
        + whole(date.get_milliseconds());
    let gone = crate::app::text::millis(now()) % DAY_MS;
    WallClock { midnight_ms: (of_day + DAY_MS - gone) % DAY_MS }
}

/// Something random.
pub(crate) fn random() -> u64 {
    Math::random().to_bits()
}

/// Notes the moment for measurements.
pub(crate) fn mark(name: &str) {
    if let Some(performance) = performance() {
        let _ = performance.mark(name);
    }
}

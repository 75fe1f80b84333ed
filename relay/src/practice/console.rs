//! One server's console: the last lines, at most so many a second, the others counted. It reads no
//! clock and wakes no one.

use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

use wire::{ConsoleLine, ConsoleSource, RelayTime};

/// Lines kept so that a slow watcher can catch up.
pub(super) const KEPT_LINES: usize = 1_000;
/// Bytes of text kept, for the same.
pub(super) const KEPT_BYTES: usize = 1 << 20;
/// Lines shown in one window; a flood's others are counted, not formatted.
pub(super) const LINES_PER_WINDOW: u32 = 500;
/// The window that the bound on lines is for.
pub(super) const WINDOW: Duration = Duration::from_secs(1);
/// Characters of one line that are kept: a whole datagram of the hello server, each byte written
/// as `\x00`.
pub(super) const LINE_CHARS: usize = 4 * 1024 + 64;

/// The kept lines, numbered from 1 without a gap.
#[derive(Default)]
pub(super) struct Console {
    lines: VecDeque<ConsoleLine>,
    bytes: usize,
    printed: u64,
    window_started: RelayTime,
    in_window: u32,
    not_shown: u64,
    not_shown_in_all: u64,
}

/// What became of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Printed {
    Shown,
    /// Counted only; the first of its window is marked, for it starts a timeout.
    NotShown {
        first: bool,
    },
}

impl Console {
    /// Prints a line, if its window has room for one more.
    pub(super) fn print(
        &mut self,
        now: RelayTime,
        from: ConsoleSource,
        text: fmt::Arguments<'_>,
    ) -> Printed {
        self.handle_timeout(now);
        if self.in_window >= LINES_PER_WINDOW {
            self.not_shown += 1;
            self.not_shown_in_all += 1;
            return Printed::NotShown { first: self.not_shown == 1 };
        }
        self.in_window += 1;
        self.push(now, from, text.to_string());
        Printed::Shown
    }

    /// Prints what a person must see, however full the window is.
    pub(super) fn say(&mut self, now: RelayTime, text: fmt::Arguments<'_>) {
        self.tell_not_shown(now);
        self.push(now, ConsoleSource::Relay, text.to_string());
    }

    /// When lines that were not shown are to be told.
    pub(super) fn poll_timeout(&self) -> Option<RelayTime> {
        (self.not_shown > 0).then(|| RelayTime(self.window_started.0 + WINDOW))
    }

    /// Begins a new window if the old one is over; says whether that printed a line.
    pub(super) fn handle_timeout(&mut self, now: RelayTime) -> bool {
        if now.since(self.window_started) < WINDOW {
            return false;
        }
        self.window_started = now;
        self.in_window = 0;
        self.tell_not_shown(now)
    }

    /// Lines that were never shown.
    pub(super) fn lines_not_shown(&self) -> u64 {
        self.not_shown_in_all
    }

    /// The number that the next line will have.
    pub(super) fn next_number(&self) -> u64 {
        self.printed + 1
    }

    /// The number of the oldest line that is kept.
    pub(super) fn oldest_number(&self) -> u64 {
        self.next_number() - self.lines.len() as u64
    }

    /// At most `limit` lines from number `next` on, of no more than `bytes` if they are several, and
    /// how many of those asked for are gone.
    pub(super) fn read(&self, next: u64, limit: usize, bytes: usize) -> (Vec<ConsoleLine>, u64) {
        let oldest = self.oldest_number();
        let skipped = oldest.saturating_sub(next);
        let from = usize::try_from(next.saturating_sub(oldest)).unwrap_or(usize::MAX);
        let mut read = 0;
        let fits = |line: &&ConsoleLine| {
            let is_first = read == 0;
            read += line.text.len();
            is_first || read <= bytes
        };
        (self.lines.iter().skip(from).take(limit).take_while(fits).cloned().collect(), skipped)
    }

    fn tell_not_shown(&mut self, now: RelayTime) -> bool {
        let lines = std::mem::take(&mut self.not_shown);
        if lines == 0 {
            return false;
        }
        let noun = if lines == 1 { "line" } else { "lines" };
        self.push(now, ConsoleSource::Relay, format!("{lines} {noun} not shown"));
        true
    }

    fn push(&mut self, now: RelayTime, from: ConsoleSource, mut text: String) {
        if let Some((end, _)) = text.char_indices().nth(LINE_CHARS) {
            let left_out = text[end..].chars().count();
            text = format!("{}… {left_out} more characters", &text[..end]);
        }
        self.printed += 1;
        self.bytes += text.len();
        self.lines.push_back(ConsoleLine { number: self.printed, at_ns: now, from, text });
        while self.lines.len() > KEPT_LINES || self.bytes > KEPT_BYTES {
            let Some(oldest) = self.lines.pop_front() else { break };
            self.bytes -= oldest.text.len();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> RelayTime {
        RelayTime(Duration::from_millis(millis))
    }

    fn texts(console: &Console) -> Vec<String> {
        console.read(1, usize::MAX, usize::MAX).0.into_iter().map(|line| line.text).collect()
    }

    #[test]
    fn a_flood_is_counted_and_told_when_its_window_ends() {
        let mut console = Console::default();
        let mut results = Vec::new();
        for line in 0..LINES_PER_WINDOW + 3 {
            results.push(console.print(at(10), ConsoleSource::Program, format_args!("{line}")));
        }
        let results = &results[LINES_PER_WINDOW as usize - 1..];
        assert_eq!(
            results,
            [
                Printed::Shown,
                Printed::NotShown { first: true },
                Printed::NotShown { first: false },
                Printed::NotShown { first: false }
            ]
        );
        assert_eq!(console.poll_timeout(), Some(at(1000)));
        assert!(!console.handle_timeout(at(999)));
        assert!(console.handle_timeout(at(1000)));
        assert_eq!(console.poll_timeout(), None);
        assert_eq!(texts(&console).last().unwrap(), "3 lines not shown");
        assert_eq!(console.lines_not_shown(), 3);
        let again = console.print(at(1001), ConsoleSource::Program, format_args!("fresh"));
        assert_eq!(again, Printed::Shown);
    }

    #[test]
    fn what_a_person_must_see_is_shown_even_then_and_in_order() {
        let mut console = Console::default();
        for line in 0..=LINES_PER_WINDOW {
            console.print(at(0), ConsoleSource::Program, format_args!("{line}"));
        }
        console.say(at(1), format_args!("paused"));
        let texts = texts(&console);
        assert_eq!(texts[texts.len() - 2..], ["1 line not shown", "paused"]);
    }

    #[test]
    fn the_oldest_lines_go_and_a_reader_learns_how_many() {
        let mut console = Console::default();
        for line in 0..KEPT_LINES + 5 {
            console.say(at(0), format_args!("{line}"));
        }
        let (lines, skipped) = console.read(1, 2, usize::MAX);
        assert_eq!((skipped, lines[0].number, lines.len()), (5, 6, 2));
        let (lines, skipped) = console.read(console.next_number(), 2, usize::MAX);
        assert_eq!((skipped, lines.len()), (0, 0));
    }

    #[test]
    fn a_reader_gets_no_more_bytes_than_it_asks_for_and_one_line_at_least() {
        let mut console = Console::default();
        for _ in 0..3 {
            console.say(at(0), format_args!("12345"));
        }
        for (bytes, lines) in [(0, 1), (5, 1), (9, 1), (10, 2), (15, 3)] {
            assert_eq!(console.read(1, 3, bytes).0.len(), lines, "{bytes}");
        }
    }

    #[test]
    fn long_lines_and_many_bytes_are_bounded() {
        let mut console = Console::default();
        for _ in 0..300 {
            console.say(at(0), format_args!("{}", "é".repeat(LINE_CHARS + 7)));
        }
        assert!(console.bytes <= KEPT_BYTES);
        assert_eq!(console.bytes, texts(&console).iter().map(String::len).sum::<usize>());
        assert!(texts(&console)[0].ends_with("é… 7 more characters"));
    }
}

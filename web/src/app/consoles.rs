//! The consoles of the practice servers, a bounded number of lines each. Lines are text of others.

use std::collections::VecDeque;

use wire::ConsoleLine;

/// Lines kept of each console; the oldest go, and are counted.
pub const LINES: usize = 500;
/// Characters kept of one line.
pub const LINE_CHARS: usize = 2_000;
/// Consoles kept.
const CONSOLES: usize = super::session::SERVERS;

/// One server's console.
#[derive(Debug, Default)]
pub struct Console {
    /// The server's name.
    pub server: String,
    /// The last lines, oldest first.
    pub lines: VecDeque<ConsoleLine>,
    /// Lines appended so far: `lines` are the last of them.
    pub appended: u64,
    /// Lines that are not here: skipped by the relay, or let go here.
    pub skipped: u64,
}

/// All consoles.
#[derive(Debug, Default)]
pub struct Consoles {
    all: Vec<Console>,
    /// How often all was forgotten; a drawn console of another epoch is stale.
    pub epoch: u32,
}

impl Consoles {
    /// A server's console, if it has printed.
    pub fn of(&self, server: &str) -> Option<&Console> {
        self.all.iter().find(|console| console.server == server)
    }

    /// Lines came.
    pub fn append(&mut self, server: &str, lines: Vec<ConsoleLine>, skipped: u64) {
        let place = match self.all.iter().position(|console| console.server == server) {
            Some(place) => place,
            None if self.all.len() < CONSOLES => {
                self.all.push(Console { server: server.to_owned(), ..Console::default() });
                self.all.len() - 1
            }
            None => return,
        };
        let console = &mut self.all[place];
        console.skipped = console.skipped.saturating_add(skipped);
        for mut line in lines {
            if let Some((end, _)) = line.text.char_indices().nth(LINE_CHARS) {
                line.text.truncate(end);
                line.text.push('…');
            }
            if console.lines.len() == LINES {
                console.lines.pop_front();
                console.skipped = console.skipped.saturating_add(1);
            }
            console.lines.push_back(line);
            console.appended += 1;
        }
    }

    /// A new session tells all anew.
    pub fn forget(&mut self) {
        self.all.clear();
        self.epoch += 1;
    }
}

#[cfg(test)]
mod tests {
    use wire::{ConsoleSource, RelayTime};

    use super::*;

    fn line(number: u64, text: &str) -> ConsoleLine {
        ConsoleLine {
            number,
            at_ns: RelayTime::from_nanos(number),
            from: ConsoleSource::Program,
            text: text.to_owned(),
        }
    }

    #[test]
    fn a_console_keeps_its_last_lines_and_counts_the_rest() {
        let mut consoles = Consoles::default();
        for number in 0..1_200 {
            consoles.append("hello", vec![line(number, "x")], 0);
        }
        consoles.append("hello", vec![line(1_200, &"é".repeat(3_000))], 7);
        let hello = consoles.of("hello").expect("it printed");
        assert_eq!(hello.lines.len(), LINES);
        assert_eq!(hello.skipped, 1_201 - LINES as u64 + 7);
        assert_eq!(hello.lines.back().expect("the last").text.chars().count(), LINE_CHARS + 1);
        assert_eq!(hello.appended, 1_201);
        consoles.forget();
        assert!(consoles.of("hello").is_none());
    }
}

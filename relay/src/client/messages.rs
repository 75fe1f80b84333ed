//! What a native client sends: one message some times over, or the lines of its standard input. It
//! never sends, and never keeps more than the line it reads.

use std::io::{self, BufRead, Read as _};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;

use super::{Error, Options};

/// The longest line of standard input, in bytes: the largest payload as hex with spaces, less than
/// twice over.
const LINE_BYTES: usize = 256 * 1024;
/// Lines read ahead.
const LINES_AHEAD: usize = 1;

/// The messages still to be sent, each no sooner than `gap` after the one before.
pub(super) struct Messages {
    source: Source,
    hex: bool,
    /// The message at hand, and how many times it is still to be sent.
    current: Option<(Vec<u8>, u32)>,
    count: u32,
    gap: Duration,
    not_before: Option<Instant>,
}

enum Source {
    Given(Option<String>),
    Lines(mpsc::Receiver<io::Result<Vec<u8>>>),
}

impl Messages {
    pub(super) fn new(options: &Options) -> Self {
        match &options.message {
            Some(message) => Self::of(options, Source::Given(Some(message.clone()))),
            None => Self::of_lines(options, read_lines()),
        }
    }

    pub(super) fn of_lines(options: &Options, lines: mpsc::Receiver<io::Result<Vec<u8>>>) -> Self {
        Self::of(options, Source::Lines(lines))
    }

    fn of(options: &Options, source: Source) -> Self {
        Self {
            source,
            hex: options.hex,
            current: None,
            count: options.count,
            gap: Duration::from_millis(options.gap),
            not_before: None,
        }
    }

    /// The next message; none when there are no more. Nothing is lost when this is not waited for to
    /// its end.
    pub(super) async fn next(&mut self) -> Result<Option<Vec<u8>>, Error> {
        if self.current.is_none() {
            let Some(text) = self.source.next().await? else { return Ok(None) };
            let message = if self.hex { bytes_of_hex(&text)? } else { text };
            self.current = Some((message, self.count));
        }
        if let Some(not_before) = self.not_before {
            tokio::time::sleep_until(not_before).await;
        }
        self.not_before = (!self.gap.is_zero()).then(|| Instant::now() + self.gap);
        let Some((message, left)) = &mut self.current else { return Ok(None) };
        *left = left.saturating_sub(1);
        if *left > 0 {
            return Ok(Some(message.clone()));
        }
        Ok(self.current.take().map(|(message, _)| message))
    }
}

impl Source {
    async fn next(&mut self) -> Result<Option<Vec<u8>>, Error> {
        match self {
            Self::Given(message) => Ok(message.take().map(String::into_bytes)),
            Self::Lines(lines) => lines.recv().await.transpose().map_err(Error::Input),
        }
    }
}

/// Reads standard input on a thread of its own, which ends with the program: a read from a terminal
/// cannot be given up.
fn read_lines() -> mpsc::Receiver<io::Result<Vec<u8>>> {
    let (sender, receiver) = mpsc::channel(LINES_AHEAD);
    std::thread::spawn(move || {
        let mut input = io::stdin().lock();
        while let Some(line) = read_line(&mut input).transpose() {
            let failed = line.is_err();
            if sender.blocking_send(line).is_err() || failed {
                return;
            }
        }
    });
    receiver
}

fn read_line(input: &mut impl BufRead) -> io::Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    let most = u64::try_from(LINE_BYTES + 1).unwrap_or(u64::MAX);
    if input.by_ref().take(most).read_until(b'\n', &mut line)? == 0 {
        return Ok(None);
    }
    if line.last() == Some(&b'\n') {
        line.pop();
        if line.last() == Some(&b'\r') {
            line.pop();
        }
    }
    if line.len() > LINE_BYTES {
        let message = format!("a line is longer than {LINE_BYTES} bytes");
        return Err(io::Error::new(io::ErrorKind::InvalidData, message));
    }
    Ok(Some(line))
}

/// `48 65 6c` or `48656c`; spaces may stand between bytes only.
fn bytes_of_hex(text: &[u8]) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::with_capacity(text.len() / 2);
    let mut high = None;
    for (character, position) in String::from_utf8_lossy(text).chars().zip(1..) {
        let digit = character.to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        match (high, digit) {
            (None, Some(digit)) => high = Some(digit),
            (Some(first), Some(digit)) => {
                bytes.push(first << 4 | digit);
                high = None;
            }
            (None, None) if character.is_ascii_whitespace() => {}
            (_, None) => return Err(Error::HexDigit { character, position }),
        }
    }
    if high.is_some() {
        return Err(Error::HexHalf);
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hex_is_read_byte_by_byte_and_its_errors_name_the_place() {
        assert_eq!(bytes_of_hex(b"48 65 6C6c\t6f ").unwrap(), b"Hello");
        assert_eq!(bytes_of_hex(b"").unwrap(), b"");
        for (text, error) in [
            ("4x", "'x' at position 2 is no hex digit"),
            ("4 8", "' ' at position 2 is no hex digit"),
            ("é", "'é' at position 1 is no hex digit"),
            ("\u{202e}", "'\\u{202e}' at position 1 is no hex digit"),
            ("48 6", "the last byte has one hex digit, each byte has two"),
        ] {
            assert_eq!(bytes_of_hex(text.as_bytes()).unwrap_err().to_string(), error);
        }
    }

    #[test]
    fn lines_end_as_either_system_ends_them_and_are_bounded() {
        let mut input = &b"one\r\n\ntwo\nthree"[..];
        for line in [&b"one"[..], b"", b"two", b"three"] {
            assert_eq!(read_line(&mut input).unwrap().unwrap(), line);
        }
        assert_eq!(read_line(&mut input).unwrap(), None);
        let long = vec![b'x'; LINE_BYTES + 1];
        assert!(read_line(&mut &long[..]).is_err());
    }

    #[tokio::test]
    async fn a_message_comes_as_often_as_asked_and_no_sooner_than_the_gap() {
        let mut messages = Messages {
            source: Source::Given(Some("hi".into())),
            hex: false,
            current: None,
            count: 3,
            gap: Duration::from_millis(40),
            not_before: None,
        };
        let started = Instant::now();
        for gaps in 0..3 {
            assert_eq!(messages.next().await.unwrap().unwrap(), b"hi");
            assert!(started.elapsed() >= messages.gap * gaps);
        }
        assert_eq!(messages.next().await.unwrap(), None);
    }
}

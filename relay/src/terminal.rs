//! What peers sent, and what servers say, as text for a terminal. It never lets a control character,
//! an escape sequence or a change of text direction through.

use std::fmt::Write as _;

use wire::{ConsoleLine, ConsoleSource};

/// A payload as text: what is UTF-8 and printable stands as it is, everything else as an escape
/// (`\n`, `\u{202e}`, `\xff`). A backslash is doubled, so that no text looks like an escape.
pub fn visible(payload: &[u8]) -> String {
    let mut text = String::with_capacity(payload.len());
    for chunk in payload.utf8_chunks() {
        for character in chunk.valid().chars() {
            match character {
                '"' | '\'' => text.push(character),
                '\0' => text.push_str("\\x00"),
                '\u{1b}' => text.push_str("\\x1b"),
                other => text.extend(other.escape_debug()),
            }
        }
        for byte in chunk.invalid() {
            // Writing to a String cannot fail.
            let _ = write!(text, "\\x{byte:02x}");
        }
    }
    text
}

/// A console's line: the program's as it is, what the relay says of it between dashes.
pub fn console_line(line: &ConsoleLine) -> String {
    let text = visible_line(&line.text);
    match line.from {
        ConsoleSource::Program => text,
        ConsoleSource::Relay => format!("-- {text} --"),
    }
}

/// The same care for a line that is already text, in which backslashes are its own.
fn visible_line(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '"' | '\'' | '\\' => shown.push(character),
            other => shown.extend(other.escape_debug()),
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use wire::RelayTime;

    use super::*;

    #[test]
    fn text_stays_text_and_all_else_is_visible() {
        for (payload, text) in [
            (&b"ack:it's \"fine\""[..], "ack:it's \"fine\""),
            ("Grüße, 世界 🦀".as_bytes(), "Grüße, 世界 🦀"),
            (b"\x1b[2J\x07\r\n\0", r"\x1b[2J\u{7}\r\n\x00"),
            (b"\xff\xfe caf\xc3", r"\xff\xfe caf\xc3"),
            ("a\u{202e}b\u{200b}c\u{9b}".as_bytes(), r"a\u{202e}b\u{200b}c\u{9b}"),
            (br"C:\x1b", r"C:\\x1b"),
            (b"", ""),
        ] {
            assert_eq!(visible(payload), text);
        }
    }

    #[test]
    fn the_relays_lines_stand_apart_from_the_programs() {
        let line = |from, text: &str| {
            let at_ns = RelayTime::default();
            console_line(&ConsoleLine { number: 1, at_ns, from, text: text.into() })
        };
        assert_eq!(line(ConsoleSource::Program, r"Message b'\n'"), r"Message b'\n'");
        assert_eq!(line(ConsoleSource::Relay, "paused\u{1b}[0m"), r"-- paused\u{1b}[0m --");
    }
}

//! Bytes and numbers as a person reads them; never lets a byte through that could act on the page
//! or hide on it.

use std::fmt::Write as _;
use std::time::Duration;

/// Bytes as one line of text: what is printable stands for itself; control, bidirectional and
/// invisible characters, the backslash and bytes that are not UTF-8 are escaped. Stops after
/// `limit` bytes of input, with `…`.
pub fn visible(bytes: &[u8], limit: usize) -> String {
    let shown = &bytes[..bytes.len().min(limit)];
    let mut out = String::with_capacity(shown.len() + 8);
    for chunk in shown.utf8_chunks() {
        chunk.valid().chars().for_each(|c| push_visible(&mut out, c));
        if shown.len() < bytes.len() && is_begun(chunk.invalid()) {
            continue;
        }
        for byte in chunk.invalid() {
            let _ = write!(out, "\\x{byte:02x}");
        }
    }
    if bytes.len() > limit {
        out.push('…');
    }
    out
}

/// Whether these bytes begin a character that more bytes would complete.
fn is_begun(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_err_and(|error| error.error_len().is_none())
}

/// One character as it may stand in the page.
pub fn push_visible(out: &mut String, c: char) {
    match c {
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        '\\' => out.push_str("\\\\"),
        c if u32::from(c) < 0x20 || u32::from(c) == 0x7f => {
            let _ = write!(out, "\\x{:02x}", u32::from(c));
        }
        c if is_hidden(c) => {
            let _ = write!(out, "\\u{{{:x}}}", u32::from(c));
        }
        c => out.push(c),
    }
}

/// Characters that are invisible or change the direction or shape of what stands around them.
fn is_hidden(c: char) -> bool {
    matches!(
        u32::from(c),
        0x80..=0x9f
            | 0xad
            | 0x34f
            | 0x61c
            | 0x115f..=0x1160
            | 0x17b4..=0x17b5
            | 0x180b..=0x180f
            | 0x200b..=0x200f
            | 0x2028..=0x202e
            | 0x2060..=0x206f
            | 0x3164
            | 0xfe00..=0xfe0f
            | 0xfeff
            | 0xffa0
            | 0xfff0..=0xfffb
            | 0xe000..=0xf8ff
            | 0xe0000..=0xe0fff
            | 0xf_0000..=0x10_ffff
    )
}

/// Text of others, such as a server's console line or an error, as it may stand in the page.
/// Unlike [`visible`] it keeps a backslash as it is, since this is no notation for bytes.
pub fn harmless(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c == '\\' {
            out.push(c);
        } else {
            push_visible(&mut out, c);
        }
    }
    out
}

/// Bytes as pairs of hexadecimal digits with spaces between; stops after `limit` bytes, with `…`.
pub fn hex(bytes: &[u8], limit: usize) -> String {
    let shown = &bytes[..bytes.len().min(limit)];
    let mut out = String::with_capacity(shown.len() * 3 + 4);
    for (at, byte) in shown.iter().enumerate() {
        if at > 0 {
            out.push(' ');
        }
        push_hex(&mut out, *byte);
    }
    if bytes.len() > limit {
        out.push_str(" …");
    }
    out
}

fn push_hex(out: &mut String, byte: u8) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    out.push(char::from(DIGITS[usize::from(byte >> 4)]));
    out.push(char::from(DIGITS[usize::from(byte & 15)]));
}

/// Offset, sixteen bytes in hexadecimal, and their ASCII; one line each.
pub fn hex_dump(bytes: &[u8]) -> String {
    const WIDTH: usize = 16;
    let mut out = String::with_capacity(bytes.len().div_ceil(WIDTH) * 78);
    for (line, row) in bytes.chunks(WIDTH).enumerate() {
        if line > 0 {
            out.push('\n');
        }
        let _ = write!(out, "{:04x}  ", line * WIDTH);
        for at in 0..WIDTH {
            match row.get(at) {
                Some(byte) => push_hex(&mut out, *byte),
                None => out.push_str("  "),
            }
            out.push_str(if at == 7 { "  " } else { " " });
        }
        out.push(' ');
        for byte in row {
            out.push(if (0x20..0x7f).contains(byte) { char::from(*byte) } else { '.' });
        }
    }
    out
}

/// `text` before and after the first `mark`. The standard library's own search, with its panics and
/// the tables they print by, would add some ten kilobytes to the page.
pub fn cut<'a>(text: &'a str, mark: &str) -> Option<(&'a str, &'a str)> {
    let at = text.as_bytes().windows(mark.len().max(1)).position(|at| at == mark.as_bytes())?;
    Some((text.get(..at)?, text.get(at + mark.len()..)?))
}

/// Whether `part` stands in `text`.
pub fn contains(text: &str, part: &str) -> bool {
    part.is_empty() || cut(text, part).is_some()
}

/// The parts of `text` between marks.
pub fn split<'a>(text: &'a str, mark: &'a str) -> impl Iterator<Item = &'a str> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let here = rest?;
        let Some((before, after)) = cut(here, mark) else { return rest.take() };
        rest = Some(after);
        Some(before)
    })
}

/// The parts one after the other, with `between` between them.
pub fn join<T: AsRef<str>>(parts: impl IntoIterator<Item = T>, between: &str) -> String {
    let mut out = String::new();
    for (at, part) in parts.into_iter().enumerate() {
        if at > 0 {
            out.push_str(between);
        }
        out.push_str(part.as_ref());
    }
    out
}

/// Whole milliseconds.
pub fn millis(time: Duration) -> u64 {
    time.as_secs().saturating_mul(1_000).saturating_add(time.subsec_millis().into())
}

/// Digits in groups of three.
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// `1 byte`, `16 bytes`.
pub fn bytes(number: u64) -> String {
    plural(number, "byte", "bytes")
}

/// A count with its word.
pub fn plural(number: u64, one: &str, many: &str) -> String {
    let mut out = count(number);
    out.push(' ');
    out.push_str(if number == 1 { one } else { many });
    out
}

/// A time as a person says it: `0.31 ms`, `12.4 ms`, `3.21 s`.
pub fn time(duration: Duration) -> String {
    let micros = micros(duration);
    match micros {
        0..10_000 => decimal(micros / 10, 2, " ms"),
        10_000..100_000 => decimal(micros / 100, 1, " ms"),
        100_000..1_000_000 => decimal(micros / 1_000, 0, " ms"),
        1_000_000..100_000_000 => decimal(micros / 10_000, 2, " s"),
        _ => decimal(micros / 1_000_000, 0, " s"),
    }
}

/// Milliseconds with three decimals, for a column of them.
pub fn milliseconds(duration: Duration) -> String {
    decimal(micros(duration), 3, "")
}

/// Seconds with as many decimals as they have, at most three: `2`, `0.5`.
pub fn seconds(duration: Duration) -> String {
    let mut out = decimal(micros(duration) / 1_000, 3, "");
    while out.ends_with('0') {
        out.pop();
    }
    if out.ends_with('.') {
        out.pop();
    }
    out
}

/// Seconds with one decimal, as they count down: `1.4 s`.
pub fn seconds_left(duration: Duration) -> String {
    decimal((micros(duration) / 1_000).div_ceil(100), 1, " s")
}

/// In 64 bits, for the sake of the page's size.
fn micros(duration: Duration) -> u64 {
    duration.as_secs().saturating_mul(1_000_000).saturating_add(duration.subsec_micros().into())
}

/// `digits` with the last `places` of them behind a point; groups of three before it.
fn decimal(digits: u64, places: u32, unit: &str) -> String {
    let scale = 10u64.pow(places);
    let mut out = count(digits / scale);
    if places > 0 {
        let rest = (digits % scale).to_string();
        out.push('.');
        for _ in rest.len()..places as usize {
            out.push('0');
        }
        out.push_str(&rest);
    }
    out.push_str(unit);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_act_or_hide_is_escaped() {
        assert_eq!(visible("Grüße".as_bytes(), 99), "Grüße");
        assert_eq!(visible(b"a\nb\x1b[31m\0\\", 99), "a\\nb\\x1b[31m\\x00\\\\");
        assert_eq!(
            visible("a\u{202e}b\u{200b}\u{feff}".as_bytes(), 99),
            "a\\u{202e}b\\u{200b}\\u{feff}"
        );
        assert_eq!(visible(&[0xff, 0xfe, b'x'], 99), "\\xff\\xfex");
        assert_eq!(visible(b"<img src=x>", 99), "<img src=x>");
        assert_eq!(harmless("C:\\x\u{202e}\n"), "C:\\x\\u{202e}\\n");
    }

    #[test]
    fn a_limit_never_makes_a_whole_character_look_broken() {
        assert_eq!(visible("aé".as_bytes(), 2), "a…");
        assert_eq!(visible("aé".as_bytes(), 3), "aé");
        assert_eq!(visible(&"aé".as_bytes()[..2], 9), "a\\xc3");
        assert_eq!(visible(&[0xff, 0xff], 1), "\\xff…");
    }

    #[test]
    fn a_dump_has_offset_hex_and_ascii() {
        let dump = hex_dump(b"Hello UDP Client\n\xff");
        assert_eq!(
            dump,
            "0000  48 65 6c 6c 6f 20 55 44  50 20 43 6c 69 65 6e 74  Hello UDP Client\n\
             0010  0a ff                                             .."
        );
        assert_eq!(hex_dump(b""), "");
    }

    #[test]
    fn times_have_the_digits_that_matter() {
        let us = Duration::from_micros;
        assert_eq!(time(us(0)), "0.00 ms");
        assert_eq!(time(us(314)), "0.31 ms");
        assert_eq!(time(us(12_450)), "12.4 ms");
        assert_eq!(time(us(312_900)), "312 ms");
        assert_eq!(time(us(3_214_000)), "3.21 s");
        assert_eq!(time(us(250_000_000)), "250 s");
        assert_eq!(milliseconds(us(1_234_567)), "1,234.567");
        assert_eq!(seconds(us(2_000_000)), "2");
        assert_eq!(seconds(us(500_000)), "0.5");
        assert_eq!(seconds(us(0)), "0");
        assert_eq!(seconds_left(us(1_310_000)), "1.4 s");
    }

    #[test]
    fn counts_are_grouped() {
        assert_eq!(count(0), "0");
        assert_eq!(count(999), "999");
        assert_eq!(count(10_000), "10,000");
        assert_eq!(count(1_234_567), "1,234,567");
        assert_eq!(bytes(1), "1 byte");
        assert_eq!(bytes(4096), "4,096 bytes");
    }
}

//! Programs that do what the page does, and single calls, in Python and in Rust: the standard
//! library alone, complete, ready to run. Bytes of others enter them only as escaped literals.

mod calls;
mod python;
mod rust;

pub use calls::{in_python as call_in_python, in_rust as call_in_rust};
pub use python::program as python;
pub use rust::program as rust;

use super::form::Settings;
use super::target::Host;

/// The language of a program.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Language {
    /// Python 3.8 and later.
    #[default]
    Python,
    /// Rust, edition 2021 and later.
    Rust,
}

/// The file that a program is kept in, and the command that runs it.
pub fn file_and_command(language: Language, settings: &Settings) -> (String, String) {
    let stem = match (settings.kind.is_stream(), settings.kind.is_server()) {
        (false, false) => "udp_client",
        (false, true) => "udp_server",
        (true, false) => "tcp_client",
        (true, true) => "tcp_server",
    };
    match language {
        Language::Python => (format!("{stem}.py"), format!("python3 {stem}.py")),
        Language::Rust => (format!("{stem}.rs"), format!("rustc {stem}.rs && ./{stem}")),
    }
}

/// Bytes as both languages write them between the quotes of `b"…"`.
fn escaped(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len() + 8);
    for &byte in bytes {
        match byte {
            b'"' => out.push_str("\\\""),
            b'\\' => out.push_str("\\\\"),
            b'\n' => out.push_str("\\n"),
            b'\r' => out.push_str("\\r"),
            b'\t' => out.push_str("\\t"),
            0x20..0x7f => out.push(char::from(byte)),
            _ => {
                const DIGITS: &[u8; 16] = b"0123456789abcdef";
                out.push_str("\\x");
                out.push(char::from(DIGITS[usize::from(byte >> 4)]));
                out.push(char::from(DIGITS[usize::from(byte & 15)]));
            }
        }
    }
    out
}

fn literal(bytes: &[u8]) -> String {
    format!("b\"{}\"", escaped(bytes))
}

fn is_ipv6(host: &Host) -> bool {
    match host {
        Host::Ip(ip) => ip.is_ipv6(),
        Host::Name(name) => name.contains(':'),
    }
}

/// Lines with indentation.
#[derive(Default)]
struct Lines {
    text: String,
    depth: usize,
}

impl Lines {
    fn line(&mut self, line: &str) {
        if !line.is_empty() {
            for _ in 0..self.depth {
                self.text.push_str("    ");
            }
            self.text.push_str(line);
        }
        self.text.push('\n');
    }

    fn lines(&mut self, lines: &[&str]) {
        for line in lines {
            self.line(line);
        }
    }

    fn block(&mut self, head: &str) {
        self.line(head);
        self.depth += 1;
    }

    fn end(&mut self) {
        self.depth -= 1;
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::super::compose::{Notation, Template};
    use super::super::form::{AnswerMode, Form, SocketKind};
    use super::*;

    fn all() -> Vec<Settings> {
        let mut all = Vec::new();
        for (kind, _) in SocketKind::ALL {
            for times in [1, 5] {
                for answer in [AnswerMode::ByHand, AnswerMode::Ack, AnswerMode::Fixed] {
                    let base = Form { kind, ..Form::default() }.settings(&[]).expect("defaults");
                    all.push(Settings { times, answer, ..base });
                }
            }
        }
        all
    }

    #[test]
    fn bytes_are_literals_of_both_languages() {
        assert_eq!(literal(b"a\"\\\n\x00\xff\x7f'"), "b\"a\\\"\\\\\\n\\x00\\xff\\x7f'\"");
    }

    #[test]
    fn the_lesson_program_is_the_one_of_the_lesson() {
        let settings = Form::default().settings(&[]).expect("defaults");
        assert_eq!(
            python(&settings),
            r#"import socket

server = ("127.0.0.1", 20001)
message = b"Hello UDP Server"

with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
    sock.settimeout(2.0)
    sock.sendto(message, server)
    try:
        data, address = sock.recvfrom(4096)
        print(f"Message from Server: {data}")
    except socket.timeout:
        print("No reply received in time")
"#
        );
        assert!(rust(&settings).contains("fn main() -> std::io::Result<()> {"));
    }

    #[test]
    fn every_program_has_balanced_brackets_and_no_trailing_blanks() {
        for settings in all() {
            for program in [python(&settings), rust(&settings)] {
                for (open, close) in [('(', ')'), ('{', '}'), ('[', ']')] {
                    let count = |c| program.chars().filter(|other| *other == c).count();
                    assert_eq!(count(open), count(close), "{program}");
                }
                assert!(program.lines().all(|line| line.trim_end() == line), "{program}");
                assert!(program.ends_with('\n'));
            }
        }
    }

    #[test]
    fn a_counter_is_an_expression() {
        let base = Form::default().settings(&[]).expect("defaults");
        let message = Template {
            pieces: vec![Bytes::from_static(b"ping "), Bytes::from_static(b"!")],
            notation: Notation::Text,
        };
        let settings = Settings { message, times: 3, ..base };
        assert!(python(&settings).contains("b\"ping \" + str(n).encode() + b\"!\""));
        assert!(rust(&settings).contains("n.to_string().as_bytes()"));
    }
}

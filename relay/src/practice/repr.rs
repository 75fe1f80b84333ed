//! Bytes and addresses as Python's `repr` writes them, so that a console reads as a lesson's does.
//! It never lets a byte through that is not printable ASCII.

use std::fmt::{self, Write as _};
use std::net::SocketAddr;

/// A `bytes` object: `b'caf\xc3\xa9'`.
pub(super) struct PyBytes<'a>(pub(super) &'a [u8]);

/// A socket address: `('127.0.0.1', 50312)`, for IPv6 with flow label and zone index.
pub(super) struct PyAddress(pub(super) SocketAddr);

impl fmt::Display for PyBytes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let quote = if self.0.contains(&b'\'') && !self.0.contains(&b'"') { '"' } else { '\'' };
        f.write_char('b')?;
        f.write_char(quote)?;
        for &byte in self.0 {
            match byte {
                b'\t' => f.write_str("\\t")?,
                b'\n' => f.write_str("\\n")?,
                b'\r' => f.write_str("\\r")?,
                b'\\' => f.write_str("\\\\")?,
                b'\'' if quote == '\'' => f.write_str("\\'")?,
                b' '..=b'~' => f.write_char(char::from(byte))?,
                other => write!(f, "\\x{other:02x}")?,
            }
        }
        f.write_char(quote)
    }
}

impl fmt::Display for PyAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            SocketAddr::V4(v4) => write!(f, "('{}', {})", v4.ip(), v4.port()),
            SocketAddr::V6(v6) => {
                write!(f, "('{}', {}, {}, {})", v6.ip(), v6.port(), v6.flowinfo(), v6.scope_id())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_read_as_python_prints_them() {
        for (bytes, repr) in [
            (&b""[..], "b''"),
            (b"Hello UDP Server", "b'Hello UDP Server'"),
            (b"caf\xc3\xa9\x00\x7f\xff", r"b'caf\xc3\xa9\x00\x7f\xff'"),
            (b"\t\n\r\x0b\x1b[31m\\", r"b'\t\n\r\x0b\x1b[31m\\'"),
            (b"it's", r#"b"it's""#),
            (b"say \"it's\"", r#"b'say "it\'s"'"#),
            (b"say \"hi\"", r#"b'say "hi"'"#),
        ] {
            assert_eq!(PyBytes(bytes).to_string(), repr);
        }
    }

    #[test]
    fn addresses_read_as_pythons_tuples() {
        let shown = |text: &str| PyAddress(text.parse().unwrap()).to_string();
        assert_eq!(shown("127.0.0.1:50312"), "('127.0.0.1', 50312)");
        assert_eq!(shown("[::1]:50312"), "('::1', 50312, 0, 0)");
        assert_eq!(shown("[fe80::1%2]:53"), "('fe80::1', 53, 0, 2)");
    }
}

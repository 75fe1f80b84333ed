//! Why bytes from the other side are not a message. It never quotes more than a little of them.

use std::fmt::Write;

/// Characters of a JSON error's text that are kept: enough for one wrong name and the list of the
/// right ones. What is longer quotes the other side at length.
const JSON_ERROR_CHARS: usize = 400;

/// A message that could not be decoded. The other side is told this text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The JSON is not one of the known calls or events.
    #[error("not a message of this protocol: {0}")]
    Json(String),
    /// A binary message ends before its header does.
    #[error("binary message is {have} bytes, its header needs {need}")]
    Truncated {
        /// Bytes there are.
        have: usize,
        /// Bytes the header needs.
        need: usize,
    },
    /// The first byte names no known kind of binary message.
    #[error("binary message type is 0x{0:02x}, known here are {1}")]
    UnknownType(u8, &'static str),
    /// The address family byte is not one of the known.
    #[error("address family is 0x{0:02x}, known are 0x00 (none), 0x04 and 0x06")]
    UnknownFamily(u8),
    /// There is no address where this type of message has one.
    #[error("address family is 0x00 (none), a source is 0x04 or 0x06")]
    NoSource,
    /// A flag or a byte reserved for later is set.
    #[error("byte {offset} is 0x{value:02x}, bits reserved for later must be zero")]
    Reserved {
        /// Where in the message.
        offset: usize,
        /// What stands there.
        value: u8,
    },
    /// A kind of message that has an exact length has another one.
    #[error("binary message is {have} bytes, this type has exactly {need}")]
    Length {
        /// Bytes there are.
        have: usize,
        /// Bytes there must be.
        need: usize,
    },
}

impl DecodeError {
    /// Control characters are escaped: the text is shown and logged.
    pub(crate) fn json(error: &str) -> Self {
        let mut text = String::new();
        for (count, character) in error.chars().enumerate() {
            if count == JSON_ERROR_CHARS {
                text.push('…');
                break;
            }
            if character.is_control() {
                write!(text, "{}", character.escape_default()).expect("a string takes any text");
            } else {
                text.push(character);
            }
        }
        Self::Json(text)
    }
}

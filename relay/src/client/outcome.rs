//! How a client's run went, or why it could not go on. It never prints.

use std::io;

use wire::SocketError;

/// How it went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Messages tried.
    pub messages: u64,
    /// Those with a reply in time.
    pub answered: u64,
}

/// Why a client could not go on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The host is no name that can be resolved.
    #[error("cannot resolve {host}")]
    Resolve {
        /// The host.
        host: String,
        /// Why.
        source: io::Error,
    },
    /// A name without an address.
    #[error("{0} has no address")]
    NoAddress(String),
    /// A message that no datagram can carry.
    #[error("message is {bytes} bytes, limit {limit}")]
    TooLong {
        /// Its bytes, the request ID included.
        bytes: usize,
        /// The most that a datagram to this target carries.
        limit: usize,
    },
    /// A character that is no hex digit.
    #[error("{character:?} at position {position} is no hex digit")]
    HexDigit {
        /// The character.
        character: char,
        /// Where it stands, from 1.
        position: usize,
    },
    /// A lone hex digit.
    #[error("the last byte has one hex digit, each byte has two")]
    HexHalf,
    /// The socket could not be made ready.
    #[error("cannot {call}: {error}")]
    Socket {
        /// The call that failed.
        call: String,
        /// The system's error.
        error: SocketError,
    },
    /// Standard input failed.
    #[error("cannot read messages from standard input")]
    Input(#[source] io::Error),
    /// Standard output failed.
    #[error("cannot print")]
    Output(#[from] io::Error),
}

impl Outcome {
    /// 0 when each message had a reply in time, otherwise 1.
    pub fn exit_code(&self) -> u8 {
        u8::from(self.answered < self.messages)
    }
}

impl Error {
    /// 2 when the arguments were wrong, otherwise 1.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::TooLong { .. } | Self::HexDigit { .. } | Self::HexHalf => 2,
            Self::Resolve { .. }
            | Self::NoAddress(_)
            | Self::Socket { .. }
            | Self::Input(_)
            | Self::Output(_) => 1,
        }
    }
}

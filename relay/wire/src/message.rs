//! The unit a carrier takes, and the numbers that name things inside it. It never looks inside.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// What a carrier (today a WebSocket) takes as one unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// A call or an event: JSON.
    Text(String),
    /// A payload behind a fixed header.
    Binary(Bytes),
}

impl Message {
    /// The bytes this message carries, without the carrier's own framing.
    pub fn len(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Binary(bytes) => bytes.len(),
        }
    }

    /// Whether it carries nothing.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

macro_rules! number {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(
            Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
        )]
        #[serde(transparent)]
        pub struct $name(pub u32);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

number!(
    /// Names a socket within its session. The client chooses it when it opens one, below
    /// [`SocketId::FIRST_ACCEPTED`]; the relay chooses it for an accepted connection.
    SocketId
);
number!(
    /// Names a call within its session, so that the answer can be told apart. The client chooses it.
    CallId
);
number!(
    /// Names one send on a socket. The client chooses it; it need not rise, and never reaches the
    /// target.
    Number
);

impl SocketId {
    /// The lowest number of a socket that the relay itself made, by accepting a connection.
    pub const FIRST_ACCEPTED: u32 = 1 << 31;
}

/// A moment on the relay's monotonic clock: time since the relay started. As a number it is
/// nanoseconds, which a JavaScript number holds exactly for 104 days (2⁵³ ns).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RelayTime(pub Duration);

impl RelayTime {
    /// Nanoseconds since the relay started, at most `u64::MAX` (584 years).
    #[must_use]
    pub fn as_nanos(self) -> u64 {
        let seconds = self.0.as_secs().saturating_mul(1_000_000_000);
        seconds.saturating_add(self.0.subsec_nanos().into())
    }

    /// The moment that lies `nanos` nanoseconds after the relay's start.
    #[must_use]
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(Duration::from_nanos(nanos))
    }

    /// The time from `earlier` to this moment; zero if `earlier` is later.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

impl Serialize for RelayTime {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(self.as_nanos())
    }
}

impl<'de> Deserialize<'de> for RelayTime {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        u64::deserialize(deserializer).map(Self::from_nanos)
    }
}

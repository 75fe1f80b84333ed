//! One row of the log: a call that was made, what it carried, and what became of it. Never says
//! more than is known.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use link::request::Matched;
use wire::{Family, Kind, RelayTime, SocketError};

use crate::app::text;

/// A row.
#[derive(Clone, Debug)]
pub struct Row {
    /// Its number in the log, from 1.
    pub number: u64,
    /// When, on the page's clock.
    pub at: Duration,
    /// When, on the relay's clock, if the relay said so.
    pub relay_at: Option<RelayTime>,
    /// What happened.
    pub what: What,
    /// Where it came from.
    pub from: Option<SocketAddr>,
    /// Where it went.
    pub to: Option<SocketAddr>,
    /// Payload bytes as sent, or as they arrived.
    pub size: u32,
    /// Payload bytes that the program got: fewer than `size` when its buffer was too small.
    pub kept: u32,
    /// The payload, unless there is none or it was let go.
    pub payload: Option<Bytes>,
    /// What became of it.
    pub fate: Fate,
}

/// What a row tells of.
#[derive(Clone, Debug)]
pub enum What {
    /// `send` or `sendto` was called.
    Sent {
        /// Whether with a destination.
        to: bool,
        /// TCP: bytes of a stream.
        stream: bool,
    },
    /// `recvfrom` or `recv` returned.
    Received {
        /// The buffer it read into, in bytes.
        buffer: u32,
        /// Whether the source address came with it: `recvfrom`.
        from: bool,
        /// TCP: bytes of a stream.
        stream: bool,
    },
    /// Another call succeeded.
    Called(Made, String),
    /// A call failed, or the socket reported an error by itself.
    Failed(Option<Made>, Box<SocketError>),
    /// What the relay or this page has to say.
    Told(String),
}

/// A call that carries no payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Made {
    /// `socket()`.
    Open(Kind, Family),
    /// `bind()`.
    Bind(String, u16, Kind),
    /// `connect()`.
    Connect(String, u16, Kind),
    /// `listen()`.
    Listen(u16),
    /// `accept()`.
    Accept,
    /// `getaddrinfo()`.
    Resolve(String, u16),
    /// The size of the buffer that is read into.
    Receive(u32),
    /// `recv()` or `recvfrom()` that returned no payload.
    Recv(u32),
    /// `send()`.
    Send,
    /// `getsockname()`.
    Name,
    /// `close()`.
    Close,
    /// A call of the page's own that no socket program makes.
    Other(&'static str),
}

impl Made {
    /// The name of the call.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Open(..) => "socket",
            Self::Bind(..) => "bind",
            Self::Connect(..) => "connect",
            Self::Listen(_) => "listen",
            Self::Accept => "accept",
            Self::Resolve(..) => "getaddrinfo",
            Self::Receive(_) => "receive buffer",
            Self::Recv(_) => "recv",
            Self::Send => "send",
            Self::Name => "getsockname",
            Self::Close => "close",
            Self::Other(name) => name,
        }
    }
}

/// What became of what a row tells of.
#[derive(Clone, Debug)]
pub enum Fate {
    /// Nothing more to say.
    Settled,
    /// Sent: a reply may come.
    Waiting,
    /// Sent, and no reply is waited for.
    Answer,
    /// Sent: its reply came in time.
    Reply {
        /// The row of the reply.
        row: u64,
        /// From send to receive on the relay's clock.
        after: Duration,
        /// How it was matched.
        how: How,
    },
    /// Sent: no reply within the timeout.
    NoReply(Duration),
    /// Sent: the reply came after the timeout.
    Late {
        /// The row of the reply.
        row: u64,
        /// From send to receive.
        after: Duration,
        /// From timeout to receive.
        over: Duration,
        /// How it was matched.
        how: How,
    },
    /// Sent: the call failed.
    Failed(Box<SocketError>),
    /// Sent: the socket reported this error where a reply was waited for.
    Instead(Box<SocketError>),
    /// Sent: what became of it cannot be known any more, and why.
    Unknown(&'static str),
    /// Received: taken for the reply to a send.
    ReplyTo {
        /// The row of the send.
        row: u64,
        /// From send to receive.
        after: Duration,
        /// How late, if it was.
        over: Option<Duration>,
        /// How it was matched.
        how: How,
    },
    /// Received: taken for a further reply to a send that has had one.
    Again(u64),
    /// Received: nobody asked for it.
    Unasked,
    /// Received by a server.
    Request,
    /// Received: bytes of a stream.
    Stream,
}

/// How a reply was told to belong to a send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// It ends with the payload sent.
    ByContent,
    /// It came from there, and this send was next.
    ByOrder,
    /// It came on the same stream after the send.
    ByStream,
}

impl From<Matched> for How {
    fn from(matched: Matched) -> Self {
        match matched {
            Matched::ByContent => Self::ByContent,
            Matched::ByOrder => Self::ByOrder,
        }
    }
}

impl How {
    /// In words, for a table.
    pub fn words(self) -> &'static str {
        match self {
            Self::ByContent => "by content",
            Self::ByOrder => "by order",
            Self::ByStream => "on the stream",
        }
    }

    /// What that means.
    pub fn explained(self) -> &'static str {
        match self {
            Self::ByContent => {
                "Matched by content: it ends with the bytes that were sent. UDP itself does not say which datagram answers which."
            }
            Self::ByOrder => {
                "Matched by order: it came from the address asked, and this send was the oldest still waiting. UDP itself does not say which datagram answers which."
            }
            Self::ByStream => {
                "Came on the same connection after the send. A stream keeps the order of bytes but no borders between messages: which bytes answer what, only the program’s own protocol can say."
            }
        }
    }
}

/// The four kinds that the table can be reduced to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowKind {
    /// Bytes left.
    Sent,
    /// Bytes came.
    Received,
    /// A call failed.
    Error,
    /// Anything else.
    Note,
}

impl RowKind {
    /// As the markup names it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Sent => "sent",
            Self::Received => "received",
            Self::Error => "error",
            Self::Note => "note",
        }
    }

    /// Symbol and word.
    pub fn direction(self) -> &'static str {
        match self {
            Self::Sent => "→ sent",
            Self::Received => "← received",
            Self::Error => "! error",
            Self::Note => "· note",
        }
    }
}

impl Row {
    /// A row that carries no payload; the log gives it its number.
    pub fn bare(at: Duration, what: What) -> Self {
        Self {
            number: 0,
            at,
            relay_at: None,
            what,
            from: None,
            to: None,
            size: 0,
            kept: 0,
            payload: None,
            fate: Fate::Settled,
        }
    }

    /// Which kind it counts as.
    pub fn kind(&self) -> RowKind {
        match (&self.what, &self.fate) {
            (What::Failed(..), _) | (_, Fate::Failed(_)) => RowKind::Error,
            (What::Sent { .. }, _) => RowKind::Sent,
            (What::Received { .. }, _) => RowKind::Received,
            (What::Called(..) | What::Told(_), _) => RowKind::Note,
        }
    }

    /// Whether it carries a payload, be it empty or let go.
    pub fn has_payload(&self) -> bool {
        matches!(self.what, What::Sent { .. } | What::Received { .. })
    }

    /// Whether the receive buffer was too small for it.
    pub fn is_cut(&self) -> bool {
        self.kept < self.size
    }

    /// What became of it, for the table. `now` only counts how long a wait has lasted.
    pub fn outcome(&self, now: Duration) -> String {
        match &self.fate {
            Fate::Settled => match &self.what {
                What::Failed(_, error) => text::harmless(&error.name),
                _ => String::new(),
            },
            Fate::Waiting => {
                format!("waiting {}", text::seconds_left(now.saturating_sub(self.at)))
            }
            Fate::Answer => match self.relay_at {
                Some(_) => "taken by the system".to_owned(),
                None => "handed to the relay".to_owned(),
            },
            Fate::Reply { row, after, how: How::ByStream } => {
                format!("bytes in {}: #{row}", text::time(*after))
            }
            Fate::Reply { row, after, how } => {
                format!("reply in {}: #{row} ({})", text::time(*after), how.words())
            }
            Fate::NoReply(_) => "no reply in time".to_owned(),
            Fate::Late { row, after, over, .. } => {
                format!("late, in {}: #{row} ({} over)", text::time(*after), text::time(*over))
            }
            Fate::Failed(error) => text::harmless(&error.name),
            Fate::Instead(error) => format!("{} (instead of a reply)", text::harmless(&error.name)),
            Fate::Unknown(why) => format!("unknown ({why})"),
            Fate::ReplyTo { row, over: Some(over), .. } => {
                format!("late reply to #{row} ({} over)", text::time(*over))
            }
            Fate::ReplyTo { row, after, how: How::ByStream, .. } => {
                format!("{} after #{row}", text::time(*after))
            }
            Fate::ReplyTo { row, after, how, .. } => {
                format!("reply to #{row} in {} ({})", text::time(*after), how.words())
            }
            Fate::Again(row) => format!("again a reply to #{row}"),
            Fate::Unasked => "not asked for".to_owned(),
            Fate::Request => "from a client".to_owned(),
            Fate::Stream => "bytes of the stream".to_owned(),
        }
    }

    /// The outcome's colour and symbol, as the markup names them.
    pub fn outcome_state(&self) -> &'static str {
        match &self.fate {
            Fate::Waiting => "waiting",
            Fate::Reply { .. } | Fate::ReplyTo { over: None, .. } => "reply",
            Fate::NoReply(_) => "timeout",
            Fate::Late { .. } | Fate::ReplyTo { over: Some(_), .. } => "late",
            Fate::Failed(_) | Fate::Instead(_) => "error",
            Fate::Unknown(_) => "unknown",
            Fate::Settled if matches!(self.what, What::Failed(..)) => "error",
            _ => "none",
        }
    }

    /// The payload as one line, or the sentence of a note. At most `limit` bytes of a payload.
    pub fn content(&self, as_hex: bool, limit: usize) -> String {
        match &self.what {
            What::Sent { .. } | What::Received { .. } => match &self.payload {
                None if self.kept > 0 => "(payload let go to save memory)".to_owned(),
                None => "(empty)".to_owned(),
                Some(payload) if payload.is_empty() => "(empty)".to_owned(),
                Some(payload) if as_hex => text::hex(payload, limit),
                Some(payload) => text::visible(payload, limit),
            },
            What::Called(_, sentence) | What::Told(sentence) => sentence.clone(),
            What::Failed(made, error) => {
                let mut out = String::new();
                if let Some(made) = made {
                    out.push_str(made.name());
                    out.push_str(": ");
                }
                out.push_str(&text::harmless(&error.message));
                out
            }
        }
    }

    /// Everything a filter looks through, in lower case.
    pub(super) fn haystack(&self, as_hex: bool, out: &mut String) {
        out.clear();
        out.push_str(&self.content(as_hex, usize::MAX));
        for address in [self.from, self.to].into_iter().flatten() {
            out.push('\n');
            out.push_str(&address.to_string());
        }
        out.push('\n');
        out.push_str(&self.outcome(self.at));
        if let What::Failed(_, error) = &self.what {
            out.push('\n');
            out.push_str(&error.name);
        }
        out.make_ascii_lowercase();
    }
}

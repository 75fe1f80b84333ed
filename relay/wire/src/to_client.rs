//! What the relay says: events as JSON, datagrams and the return values of sends as binary.

use std::net::SocketAddr;

use bytes::{Buf, BufMut, Bytes};
use serde::Serialize;

use crate::{CallId, DecodeError, Message, Number, RelayTime, SocketError, SocketId, address};

/// A message from relay to client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ToClient {
    /// Something happened, or a call has its answer.
    Event(Event),
    /// What one `recvfrom` on a UDP socket, or one `recv` on a TCP socket, returned.
    Datagram(Datagram),
    /// What one `send` or `sendto` returned.
    Sent(Sent),
}

/// Something that happened. A client skips events and fields that it does not know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// The first message of a session.
    Welcome(Box<Welcome>),
    /// A call has succeeded.
    Done {
        /// The call.
        call: CallId,
        /// The socket's own address, where the call gave or showed it.
        #[serde(skip_serializing_if = "Option::is_none")]
        local: Option<SocketAddr>,
        /// The address that the socket is connected to.
        #[serde(skip_serializing_if = "Option::is_none")]
        peer: Option<SocketAddr>,
        /// What a name was resolved to, permitted addresses only.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        addresses: Vec<SocketAddr>,
        /// The value that the system granted.
        #[serde(skip_serializing_if = "Option::is_none")]
        value: Option<u32>,
    },
    /// A call has failed; the session and its sockets live on.
    Failed {
        /// The call; none when the message could not be read far enough to know it.
        #[serde(skip_serializing_if = "Option::is_none")]
        call: Option<CallId>,
        /// Why.
        error: SocketError,
    },
    /// A socket reported an error outside a call.
    Error {
        /// The socket.
        socket: SocketId,
        /// The send that failed, where it was one.
        #[serde(skip_serializing_if = "Option::is_none")]
        number: Option<Number>,
        /// The system call that returned it.
        on: Syscall,
        /// When.
        at_ns: RelayTime,
        /// What.
        error: SocketError,
    },
    /// A listening socket accepted a connection.
    Accepted {
        /// The listening socket.
        listener: SocketId,
        /// The new socket, at or above [`SocketId::FIRST_ACCEPTED`].
        socket: SocketId,
        /// Its own address.
        local: SocketAddr,
        /// Who connected.
        peer: SocketAddr,
        /// When.
        at_ns: RelayTime,
    },
    /// `recv` on a TCP socket returned nothing: the peer sends no more.
    EndOfStream {
        /// The socket.
        socket: SocketId,
        /// When.
        at_ns: RelayTime,
    },
    /// The relay dropped waiting datagrams, the oldest first, because this client reads too slowly.
    Dropped {
        /// How many since the last such event.
        datagrams: u64,
        /// Their payload bytes.
        bytes: u64,
        /// Those of them that had waited too long; the others made room.
        aged: u64,
        /// How many in this session so far.
        total: u64,
    },
    /// Lines that a practice server printed.
    Console {
        /// The server.
        server: String,
        /// The lines, oldest first.
        lines: Vec<ConsoleLine>,
        /// Lines before these that were dropped because this client reads too slowly.
        #[serde(skip_serializing_if = "is_zero")]
        skipped: u64,
    },
    /// A practice server changed its state.
    Server(ServerStatus),
    /// The relay ends this session; its sockets are closed.
    Closing {
        /// Why.
        reason: String,
    },
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "the shape serde calls")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// What a session starts with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Welcome {
    /// The subprotocol, [`SUBPROTOCOL`](crate::SUBPROTOCOL).
    pub protocol: String,
    /// The relay's version.
    pub relay: String,
    /// The relay's operating system, whose socket errors these are: `linux`, `macos`, `windows`, …
    pub os: String,
    /// This session's identity.
    pub session: String,
    /// What this session may do to others.
    pub role: Role,
    /// The relay's clock at this moment.
    pub now_ns: RelayTime,
    /// The bounds this session is held to.
    pub limits: Limits,
    /// What may be sent to, in words.
    pub permitted: Vec<String>,
    /// The practice servers.
    pub servers: Vec<ServerStatus>,
}

/// The part a session plays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Sends and receives.
    Learner,
    /// May also start, stop and pause the practice servers.
    Teacher,
}

/// The bounds of a session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Limits {
    /// Sockets open at once.
    pub sockets: u32,
    /// Calls without an answer at once.
    pub calls: u32,
    /// Largest payload of a datagram over IPv4, in bytes.
    pub payload_bytes_ipv4: u32,
    /// Largest payload of a datagram over IPv6, in bytes.
    pub payload_bytes_ipv6: u32,
    /// Sends in a second; none is no limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sends_per_second: Option<u32>,
    /// Bytes of datagrams that wait for a slow client before the oldest go.
    pub queue_bytes: u32,
    /// Milliseconds that a datagram waits for a slow client before it goes.
    pub queue_age_ms: u32,
    /// Seconds without a message or a datagram, either way, after which the session ends.
    pub idle_seconds: u32,
}

/// A practice server and its state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ServerStatus {
    /// Its name in calls: `hello`, `ack`, `ack-tcp`, `counter`.
    pub server: String,
    /// UDP or TCP.
    pub transport: Transport,
    /// Where it listens.
    pub address: SocketAddr,
    /// Bytes its `recvfrom` or `recv` reads into.
    pub buffer_bytes: u32,
    /// Whether it runs.
    pub state: ServerState,
    /// What to know about the state, such as who has its port.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// The transport of a practice server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Transport {
    /// User datagrams (RFC 768).
    Udp,
    /// A connection (RFC 9293).
    Tcp,
}

/// Whether a practice server runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ServerState {
    /// It reads and answers.
    Running,
    /// Its socket is open, it does not read.
    Paused,
    /// Its socket is closed.
    Stopped,
    /// Another program has its port, and is the target there.
    PortTaken,
}

/// One line of a console.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ConsoleLine {
    /// Its number on this console, from 1.
    pub number: u64,
    /// When it was printed.
    pub at_ns: RelayTime,
    /// Whether the program printed it, or the relay says it of the program.
    pub from: ConsoleSource,
    /// The text.
    pub text: String,
}

/// Who speaks in a console line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ConsoleSource {
    /// The server program.
    Program,
    /// The relay, of the program: started, paused, stopped.
    Relay,
}

/// A system call that can report an error by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Syscall {
    /// `send` or `sendto`.
    Send,
    /// `recv` or `recvfrom`.
    Recv,
    /// `accept`.
    Accept,
}

/// What one receive returned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Datagram {
    /// The socket it arrived on.
    pub socket: SocketId,
    /// UDP: one datagram. TCP: the bytes that one `recv` happened to return.
    pub transport: Transport,
    /// The address it came from.
    pub source: SocketAddr,
    /// When the relay's receive call returned it.
    pub received_at: RelayTime,
    /// Its payload bytes as it arrived; more than `payload` holds when it was cut.
    pub size: u32,
    /// The bytes, cut to the socket's buffer.
    pub payload: Bytes,
}

impl Datagram {
    /// Whether the receive buffer was too small for it.
    pub fn is_cut(&self) -> bool {
        usize::try_from(self.size).is_ok_and(|size| size > self.payload.len())
    }
}

/// What one send returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sent {
    /// The socket.
    pub socket: SocketId,
    /// The send's number, as the client gave it.
    pub number: Number,
    /// When the relay made the call.
    pub sent_at: RelayTime,
    /// The bytes that the system took.
    pub bytes: u32,
}

const TYPE_DATAGRAM: u8 = 0x81;
const TYPE_STREAM: u8 = 0x82;
const TYPE_SENT: u8 = 0x83;
const KNOWN_TYPES: &str = "0x81 (datagram), 0x82 (stream bytes) and 0x83 (sent)";
/// type, family, reserved (2), socket, received at, size.
const DATAGRAM_HEADER_BYTES: usize = 1 + 1 + 2 + 4 + 8 + 4;
/// type, reserved (3), socket, sent at, number, bytes.
const SENT_BYTES: usize = 1 + 3 + 4 + 8 + 4 + 4;

impl ToClient {
    /// The message as its carrier takes it.
    pub fn encode(&self) -> Message {
        match self {
            Self::Event(event) => Message::Text(
                serde_json::to_string(event).expect("an event has only strings and numbers"),
            ),
            Self::Datagram(datagram) => Message::Binary(datagram.encode()),
            Self::Sent(sent) => Message::Binary(sent.encode()),
        }
    }

    /// The message that a carrier brought.
    ///
    /// # Errors
    /// When it is not one; the text says what was wrong with which value.
    pub fn decode(message: Message) -> Result<Self, DecodeError> {
        let mut bytes = match message {
            Message::Text(text) => {
                return Event::read(&text)
                    .map(Self::Event)
                    .map_err(|error| DecodeError::json(&error));
            }
            Message::Binary(bytes) => bytes,
        };
        let have = bytes.len();
        let Some(&kind) = bytes.first() else {
            return Err(DecodeError::Truncated { have, need: DATAGRAM_HEADER_BYTES });
        };
        match kind {
            TYPE_DATAGRAM => Datagram::decode(Transport::Udp, bytes).map(Self::Datagram),
            TYPE_STREAM => Datagram::decode(Transport::Tcp, bytes).map(Self::Datagram),
            TYPE_SENT => Sent::decode(&mut bytes).map(Self::Sent),
            other => Err(DecodeError::UnknownType(other, KNOWN_TYPES)),
        }
    }
}

impl Datagram {
    fn encode(&self) -> Bytes {
        let source = self.source;
        let mut out = Vec::with_capacity(DATAGRAM_HEADER_BYTES + 22 + self.payload.len());
        out.put_u8(match self.transport {
            Transport::Udp => TYPE_DATAGRAM,
            Transport::Tcp => TYPE_STREAM,
        });
        out.put_u8(address::family_of(Some(source)));
        out.put_u16(0);
        out.put_u32(self.socket.0);
        out.put_u64(self.received_at.as_nanos());
        out.put_u32(self.size);
        address::put(&mut out, Some(source));
        out.put_slice(&self.payload);
        out.into()
    }

    fn decode(transport: Transport, mut bytes: Bytes) -> Result<Self, DecodeError> {
        let have = bytes.len();
        if have < DATAGRAM_HEADER_BYTES {
            return Err(DecodeError::Truncated { have, need: DATAGRAM_HEADER_BYTES });
        }
        bytes.advance(1);
        let family = bytes.get_u8();
        let need = DATAGRAM_HEADER_BYTES + address::encoded_len(family)?;
        if have < need {
            return Err(DecodeError::Truncated { have, need });
        }
        reserved(&mut bytes, 2, 2)?;
        let socket = SocketId(bytes.get_u32());
        let received_at = RelayTime::from_nanos(bytes.get_u64());
        let size = bytes.get_u32();
        let source = address::take(family, &mut bytes).ok_or(DecodeError::NoSource)?;
        Ok(Self { socket, transport, source, received_at, size, payload: bytes })
    }
}

impl Sent {
    fn encode(self) -> Bytes {
        let mut out = Vec::with_capacity(SENT_BYTES);
        out.put_u8(TYPE_SENT);
        out.put_slice(&[0; 3]);
        out.put_u32(self.socket.0);
        out.put_u64(self.sent_at.as_nanos());
        out.put_u32(self.number.0);
        out.put_u32(self.bytes);
        out.into()
    }

    fn decode(bytes: &mut Bytes) -> Result<Self, DecodeError> {
        if bytes.len() != SENT_BYTES {
            return Err(DecodeError::Length { have: bytes.len(), need: SENT_BYTES });
        }
        bytes.advance(1);
        reserved(bytes, 1, 3)?;
        Ok(Self {
            socket: SocketId(bytes.get_u32()),
            sent_at: RelayTime::from_nanos(bytes.get_u64()),
            number: Number(bytes.get_u32()),
            bytes: bytes.get_u32(),
        })
    }
}

/// Takes `count` bytes that are reserved for later, standing at `offset`.
fn reserved(bytes: &mut Bytes, offset: usize, count: usize) -> Result<(), DecodeError> {
    for at in offset..offset + count {
        let value = bytes.get_u8();
        if value != 0 {
            return Err(DecodeError::Reserved { offset: at, value });
        }
    }
    Ok(())
}

//! What a client says: socket calls as JSON, and sends as binary. Named after the calls that a
//! program makes, because those are what is being taught.

use std::net::SocketAddr;

use bytes::{Buf, BufMut, Bytes};
use serde::{Deserialize, Serialize};

use crate::{CallId, DecodeError, Message, Number, SocketId, address};

/// A message from client to relay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ToRelay {
    /// A call; answered by exactly one `done` or `failed`.
    Call(Call),
    /// A payload to send.
    Send(Send),
}

/// A socket call. Its answer carries the same `call` number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case", deny_unknown_fields)]
pub enum Call {
    /// `socket(family, kind)`.
    Open {
        /// Names the call.
        call: CallId,
        /// Names the new socket; not in use, below [`SocketId::FIRST_ACCEPTED`].
        socket: SocketId,
        /// UDP or TCP.
        kind: Kind,
        /// IPv4 or IPv6.
        family: Family,
    },
    /// `bind((host, port))`; port 0 lets the system choose.
    Bind {
        /// Names the call.
        call: CallId,
        /// The socket.
        socket: SocketId,
        /// A local address or a name for one.
        host: String,
        /// The local port.
        port: u16,
    },
    /// `connect((host, port))`. For UDP no packet leaves; for TCP the handshake does.
    Connect {
        /// Names the call.
        call: CallId,
        /// The socket.
        socket: SocketId,
        /// An address or a name, which the relay resolves.
        host: String,
        /// The remote port.
        port: u16,
    },
    /// `listen(backlog)` on a bound TCP socket; connections are accepted as they come.
    Listen {
        /// Names the call.
        call: CallId,
        /// The socket.
        socket: SocketId,
        /// How many connections may wait.
        backlog: u16,
    },
    /// `getaddrinfo(host, port)`: the permitted addresses of a name, to be used in sends.
    Resolve {
        /// Names the call.
        call: CallId,
        /// An address or a name.
        host: String,
        /// The remote port.
        port: u16,
    },
    /// `setsockopt`; the answer's `value` is what the system granted.
    Setsockopt {
        /// Names the call.
        call: CallId,
        /// The socket.
        socket: SocketId,
        /// Which option.
        option: SocketOption,
        /// The value asked for.
        value: u32,
    },
    /// `settimeout`: how long a `recvfrom` call waits.
    Settimeout {
        /// Names the call.
        call: CallId,
        /// The socket.
        socket: SocketId,
        /// Milliseconds; none waits without end.
        timeout_ms: Option<u32>,
    },
    /// Sets the buffer that each `recvfrom` reads into, and who calls it.
    Receive {
        /// Names the call.
        call: CallId,
        /// The socket.
        socket: SocketId,
        /// The buffer's size in bytes, 0 to 65,535; a larger datagram is cut to it.
        buffer_bytes: u32,
        /// Whether the relay calls as datagrams arrive, or only when asked.
        mode: ReceiveMode,
    },
    /// `recvfrom(buffer)` once, on a socket whose mode is `asked`.
    Recvfrom {
        /// Names the call.
        call: CallId,
        /// The socket.
        socket: SocketId,
    },
    /// `getsockname()`: the socket's own address, as a first `sendto` may have given it one.
    Getsockname {
        /// Names the call.
        call: CallId,
        /// The socket.
        socket: SocketId,
    },
    /// `shutdown(how)` on a TCP socket.
    Shutdown {
        /// Names the call.
        call: CallId,
        /// The socket.
        socket: SocketId,
        /// Which half of the connection.
        how: Half,
    },
    /// `close()`.
    Close {
        /// Names the call.
        call: CallId,
        /// The socket.
        socket: SocketId,
    },
    /// Asks for the practice servers' consoles, or no longer.
    Watch {
        /// Names the call.
        call: CallId,
        /// Whether console lines are wanted.
        consoles: bool,
    },
    /// Controls a practice server.
    Server {
        /// Names the call.
        call: CallId,
        /// The server's name, as `welcome` gave it.
        server: String,
        /// What it is to do.
        action: ServerAction,
    },
}

impl Call {
    /// The number its answer will carry.
    pub fn id(&self) -> CallId {
        match self {
            Self::Open { call, .. }
            | Self::Bind { call, .. }
            | Self::Connect { call, .. }
            | Self::Listen { call, .. }
            | Self::Resolve { call, .. }
            | Self::Setsockopt { call, .. }
            | Self::Settimeout { call, .. }
            | Self::Receive { call, .. }
            | Self::Recvfrom { call, .. }
            | Self::Getsockname { call, .. }
            | Self::Shutdown { call, .. }
            | Self::Close { call, .. }
            | Self::Watch { call, .. }
            | Self::Server { call, .. } => *call,
        }
    }

    /// The call number in text that [`ToRelay::decode`] refused, so that the refusal answers that
    /// call; none where there is none to be read.
    pub fn id_in(refused: &str) -> Option<CallId> {
        #[derive(Deserialize)]
        struct Numbered {
            call: CallId,
        }
        serde_json::from_str(refused).ok().map(|Numbered { call }| call)
    }
}

/// The kind of a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// `SOCK_DGRAM`: each send is a message of its own.
    Udp,
    /// `SOCK_STREAM`: a stream of bytes.
    Tcp,
}

/// The address family of a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Family {
    /// `AF_INET`.
    Ipv4,
    /// `AF_INET6`.
    Ipv6,
}

/// The socket options that can be set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SocketOption {
    /// Bytes the system keeps for datagrams not yet read. Linux doubles what is asked for.
    #[serde(rename = "SO_RCVBUF")]
    ReceiveBuffer,
    /// Bytes the system keeps for what is not yet sent.
    #[serde(rename = "SO_SNDBUF")]
    SendBuffer,
    /// Whether sends to a broadcast address may be tried: 0 or 1.
    #[serde(rename = "SO_BROADCAST")]
    Broadcast,
    /// The time to live of what is sent: 1 to 255. On IPv6 the hop limit.
    #[serde(rename = "IP_TTL")]
    TimeToLive,
    /// Whether TCP sends small segments at once: 0 or 1.
    #[serde(rename = "TCP_NODELAY")]
    NoDelay,
}

/// Who calls `recvfrom`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReceiveMode {
    /// The relay, each time a datagram has arrived.
    #[default]
    Arriving,
    /// The client, by the call `recvfrom`; until then datagrams wait in the system's buffer.
    Asked,
}

/// The half of a connection to shut down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Half {
    /// `SHUT_RD`.
    Read,
    /// `SHUT_WR`: the peer sees the end of the stream.
    Write,
    /// `SHUT_RDWR`.
    Both,
}

/// What a practice server can be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ServerAction {
    /// Open its socket and answer, with nothing remembered.
    Start,
    /// Close its socket and forget everything, as ending the program would.
    Stop,
    /// Stop reading; its socket stays open, so that datagrams wait in the system's buffer.
    Pause,
    /// Read on.
    Resume,
}

/// One `send` or `sendto`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Send {
    /// The socket.
    pub socket: SocketId,
    /// Names this send in its report or its error.
    pub number: Number,
    /// Where to, for `sendto`; none for `send` on a connected socket.
    pub destination: Option<SocketAddr>,
    /// Whether the call's return value is wanted as a [`Sent`](crate::Sent). Errors always come.
    pub report: bool,
    /// The bytes.
    pub payload: Bytes,
}

const TYPE_SEND: u8 = 0x01;
const FLAG_REPORT: u8 = 0b0000_0001;
/// type, family, flags, reserved, socket, number.
const SEND_HEADER_BYTES: usize = 1 + 1 + 1 + 1 + 4 + 4;

impl ToRelay {
    /// The message as its carrier takes it.
    pub fn encode(&self) -> Message {
        match self {
            Self::Call(call) => Message::Text(call.write()),
            Self::Send(send) => Message::Binary(send.encode()),
        }
    }

    /// The message that a carrier brought.
    ///
    /// # Errors
    /// When it is not one; the text says what was wrong with which value.
    pub fn decode(message: Message) -> Result<Self, DecodeError> {
        match message {
            Message::Text(text) => serde_json::from_str(&text)
                .map(Self::Call)
                .map_err(|error| DecodeError::json(&error.to_string())),
            Message::Binary(bytes) => Send::decode(bytes).map(Self::Send),
        }
    }
}

impl Send {
    fn encode(&self) -> Bytes {
        let family = address::family_of(self.destination);
        let mut out = Vec::with_capacity(SEND_HEADER_BYTES + 22 + self.payload.len());
        out.put_u8(TYPE_SEND);
        out.put_u8(family);
        out.put_u8(if self.report { FLAG_REPORT } else { 0 });
        out.put_u8(0);
        out.put_u32(self.socket.0);
        out.put_u32(self.number.0);
        address::put(&mut out, self.destination);
        out.put_slice(&self.payload);
        out.into()
    }

    fn decode(mut bytes: Bytes) -> Result<Self, DecodeError> {
        let have = bytes.len();
        match bytes.first() {
            None => return Err(DecodeError::Truncated { have, need: SEND_HEADER_BYTES }),
            Some(&TYPE_SEND) => {}
            Some(&other) => return Err(DecodeError::UnknownType(other, "0x01 (send)")),
        }
        if have < SEND_HEADER_BYTES {
            return Err(DecodeError::Truncated { have, need: SEND_HEADER_BYTES });
        }
        bytes.advance(1);
        let family = bytes.get_u8();
        let flags = bytes.get_u8();
        let reserved = bytes.get_u8();
        if flags & !FLAG_REPORT != 0 {
            return Err(DecodeError::Reserved { offset: 2, value: flags });
        }
        if reserved != 0 {
            return Err(DecodeError::Reserved { offset: 3, value: reserved });
        }
        let need = SEND_HEADER_BYTES + address::encoded_len(family)?;
        if have < need {
            return Err(DecodeError::Truncated { have, need });
        }
        let socket = SocketId(bytes.get_u32());
        let number = Number(bytes.get_u32());
        let destination = address::take(family, &mut bytes);
        Ok(Self { socket, number, destination, report: flags & FLAG_REPORT != 0, payload: bytes })
    }
}

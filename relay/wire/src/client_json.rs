//! The client's side of the JSON: events from their text, calls to theirs. It never reads what a
//! client writes, nor writes what it reads: that is the relay's side.

use crate::json::{self, Json, ObjectWriter};
use crate::{
    Call, CallId, ConsoleLine, ConsoleSource, Event, Family, Half, Kind, Limits, Number, Origin,
    ReceiveMode, RelayTime, Role, ServerAction, ServerState, ServerStatus, SocketError, SocketId,
    SocketOption, Syscall, Transport, Welcome,
};

impl Event {
    /// Reads an event, unknown fields skipped.
    pub(crate) fn read(text: &str) -> Result<Self, String> {
        let json = &Json::parse(text)?;
        let name = json.checked(json.text("event"))?;
        let event = match name.as_str() {
            "welcome" => Self::Welcome(Box::new(Welcome {
                protocol: json.text("protocol"),
                relay: json.text("relay"),
                os: json.text("os"),
                session: json.text("session"),
                role: json.word("role", &[("learner", Role::Learner), ("teacher", Role::Teacher)]),
                now_ns: time(json, "now_ns"),
                limits: json.object("limits", limits),
                permitted: json.list("permitted", json::text),
                servers: json.list("servers", |value| json::object(value, server_status)),
            })),
            "done" => Self::Done {
                call: CallId(json.small_number("call")),
                local: json.optional("local", json::address),
                peer: json.optional("peer", json::address),
                addresses: json
                    .optional("addresses", |value| json::elements(value, json::address))
                    .unwrap_or_default(),
                value: json.optional("value", json::small_number),
            },
            "failed" => Self::Failed {
                call: json.optional("call", json::small_number).map(CallId),
                error: json.object("error", socket_error),
            },
            "error" => Self::Error {
                socket: socket(json),
                number: json.optional("number", json::small_number).map(Number),
                on: json.word(
                    "on",
                    &[
                        ("send", Syscall::Send),
                        ("recv", Syscall::Recv),
                        ("accept", Syscall::Accept),
                    ],
                ),
                at_ns: time(json, "at_ns"),
                error: json.object("error", socket_error),
            },
            "accepted" => Self::Accepted {
                listener: SocketId(json.small_number("listener")),
                socket: socket(json),
                local: json.address("local"),
                peer: json.address("peer"),
                at_ns: time(json, "at_ns"),
            },
            "end_of_stream" => {
                Self::EndOfStream { socket: socket(json), at_ns: time(json, "at_ns") }
            }
            "dropped" => Self::Dropped {
                datagrams: json.number("datagrams"),
                bytes: json.number("bytes"),
                aged: json.number("aged"),
                total: json.number("total"),
            },
            "console" => Self::Console {
                server: json.text("server"),
                lines: json.list("lines", |value| json::object(value, console_line)),
                skipped: json.optional("skipped", json::number).unwrap_or_default(),
            },
            "server" => Self::Server(server_status(json)),
            "closing" => Self::Closing { reason: json.text("reason") },
            unknown => return Err(format!("unknown event `{unknown}`")),
        };
        json.checked(event)
    }
}

fn socket(json: &Json) -> SocketId {
    SocketId(json.small_number("socket"))
}

fn time(json: &Json, name: &'static str) -> RelayTime {
    RelayTime::from_nanos(json.number(name))
}

fn limits(json: &Json) -> Limits {
    Limits {
        sockets: json.small_number("sockets"),
        calls: json.small_number("calls"),
        payload_bytes_ipv4: json.small_number("payload_bytes_ipv4"),
        payload_bytes_ipv6: json.small_number("payload_bytes_ipv6"),
        sends_per_second: json.optional("sends_per_second", json::small_number),
        queue_bytes: json.small_number("queue_bytes"),
        queue_age_ms: json.small_number("queue_age_ms"),
        idle_seconds: json.small_number("idle_seconds"),
    }
}

fn server_status(json: &Json) -> ServerStatus {
    ServerStatus {
        server: json.text("server"),
        transport: json.word("transport", &[("udp", Transport::Udp), ("tcp", Transport::Tcp)]),
        address: json.address("address"),
        buffer_bytes: json.small_number("buffer_bytes"),
        state: json.word(
            "state",
            &[
                ("running", ServerState::Running),
                ("paused", ServerState::Paused),
                ("stopped", ServerState::Stopped),
                ("port_taken", ServerState::PortTaken),
            ],
        ),
        note: json.optional("note", json::text),
    }
}

fn console_line(json: &Json) -> ConsoleLine {
    ConsoleLine {
        number: json.number("number"),
        at_ns: time(json, "at_ns"),
        from: json
            .word("from", &[("program", ConsoleSource::Program), ("relay", ConsoleSource::Relay)]),
        text: json.text("text"),
    }
}

fn socket_error(json: &Json) -> SocketError {
    SocketError {
        origin: json.word("origin", &[("system", Origin::System), ("relay", Origin::Relay)]),
        name: json.text("name"),
        code: json.optional("code", json::integer),
        message: json.text("message"),
        advice: json.optional("advice", json::text),
    }
}

impl Call {
    /// Writes the call.
    pub(crate) fn write(&self) -> String {
        let begin =
            |op: &str, call: &CallId| ObjectWriter::new().text("op", op).number("call", call.0);
        let on =
            |op: &str, call: &CallId, socket: &SocketId| begin(op, call).number("socket", socket.0);
        let json = match self {
            Self::Open { call, socket, kind, family } => {
                on("open", call, socket).text("kind", kind.name()).text("family", family.name())
            }
            Self::Bind { call, socket, host, port } => {
                on("bind", call, socket).text("host", host).number("port", (*port).into())
            }
            Self::Connect { call, socket, host, port } => {
                on("connect", call, socket).text("host", host).number("port", (*port).into())
            }
            Self::Listen { call, socket, backlog } => {
                on("listen", call, socket).number("backlog", (*backlog).into())
            }
            Self::Resolve { call, host, port } => {
                begin("resolve", call).text("host", host).number("port", (*port).into())
            }
            Self::Setsockopt { call, socket, option, value } => {
                on("setsockopt", call, socket).text("option", option.name()).number("value", *value)
            }
            Self::Settimeout { call, socket, timeout_ms } => {
                let json = on("settimeout", call, socket);
                match timeout_ms {
                    Some(timeout_ms) => json.number("timeout_ms", *timeout_ms),
                    None => json.word("timeout_ms", "null"),
                }
            }
            Self::Receive { call, socket, buffer_bytes, mode } => on("receive", call, socket)
                .number("buffer_bytes", *buffer_bytes)
                .text("mode", mode.name()),
            Self::Recvfrom { call, socket } => on("recvfrom", call, socket),
            Self::Getsockname { call, socket } => on("getsockname", call, socket),
            Self::Shutdown { call, socket, how } => {
                on("shutdown", call, socket).text("how", how.name())
            }
            Self::Close { call, socket } => on("close", call, socket),
            Self::Watch { call, consoles } => {
                begin("watch", call).word("consoles", if *consoles { "true" } else { "false" })
            }
            Self::Server { call, server, action } => {
                begin("server", call).text("server", server).text("action", action.name())
            }
        };
        json.finish()
    }
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
        }
    }
}

impl Family {
    fn name(self) -> &'static str {
        match self {
            Self::Ipv4 => "ipv4",
            Self::Ipv6 => "ipv6",
        }
    }
}

impl SocketOption {
    fn name(self) -> &'static str {
        match self {
            Self::ReceiveBuffer => "SO_RCVBUF",
            Self::SendBuffer => "SO_SNDBUF",
            Self::Broadcast => "SO_BROADCAST",
            Self::TimeToLive => "IP_TTL",
            Self::NoDelay => "TCP_NODELAY",
        }
    }
}

impl ReceiveMode {
    fn name(self) -> &'static str {
        match self {
            Self::Arriving => "arriving",
            Self::Asked => "asked",
        }
    }
}

impl Half {
    fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Both => "both",
        }
    }
}

impl ServerAction {
    fn name(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Stop => "stop",
            Self::Pause => "pause",
            Self::Resume => "resume",
        }
    }
}

//! The client's side of the JSON: events from their text, calls to theirs. It never reads what a
//! client writes, nor writes what it reads: that is the relay's side.

use crate::json::{Json, ObjectWriter};
use crate::{
    Call, CallId, ConsoleLine, ConsoleSource, Event, Family, Half, Kind, Limits, Number, Origin,
    ReceiveMode, RelayTime, Role, ServerAction, ServerState, ServerStatus, SocketError, SocketId,
    SocketOption, Syscall, Transport, Welcome,
};

impl Event {
    /// Reads an event, unknown fields skipped.
    pub(crate) fn read(text: &str) -> Result<Self, String> {
        let json = &Json::parse(text)?;
        let event = json.required("event", Json::text)?;
        Ok(match event.as_str() {
            "welcome" => Self::Welcome(Box::new(Welcome {
                protocol: json.required("protocol", Json::text)?,
                relay: json.required("relay", Json::text)?,
                os: json.required("os", Json::text)?,
                session: json.required("session", Json::text)?,
                role: json.required("role", role)?,
                now_ns: json.required("now_ns", time)?,
                limits: json.required("limits", |json| limits(json).ok())?,
                permitted: json.required("permitted", |json| json.list(Json::text))?,
                servers: json
                    .required("servers", |json| json.list(|json| server_status(json).ok()))?,
            })),
            "done" => Self::Done {
                call: json.required("call", call_id)?,
                local: json.optional("local", Json::address)?,
                peer: json.optional("peer", Json::address)?,
                addresses: json
                    .optional("addresses", |json| json.list(Json::address))?
                    .unwrap_or_default(),
                value: json.optional("value", Json::small_number)?,
            },
            "failed" => Self::Failed {
                call: json.optional("call", call_id)?,
                error: json.required("error", socket_error)?,
            },
            "error" => Self::Error {
                socket: json.required("socket", socket_id)?,
                number: json.optional("number", |json| json.small_number().map(Number))?,
                on: json.required("on", syscall)?,
                at_ns: json.required("at_ns", time)?,
                error: json.required("error", socket_error)?,
            },
            "accepted" => Self::Accepted {
                listener: json.required("listener", socket_id)?,
                socket: json.required("socket", socket_id)?,
                local: json.required("local", Json::address)?,
                peer: json.required("peer", Json::address)?,
                at_ns: json.required("at_ns", time)?,
            },
            "end_of_stream" => Self::EndOfStream {
                socket: json.required("socket", socket_id)?,
                at_ns: json.required("at_ns", time)?,
            },
            "dropped" => Self::Dropped {
                datagrams: json.required("datagrams", Json::number)?,
                bytes: json.required("bytes", Json::number)?,
                aged: json.required("aged", Json::number)?,
                total: json.required("total", Json::number)?,
            },
            "console" => Self::Console {
                server: json.required("server", Json::text)?,
                lines: json.required("lines", |json| json.list(console_line))?,
                skipped: json.optional("skipped", Json::number)?.unwrap_or_default(),
            },
            "server" => Self::Server(server_status(json)?),
            "closing" => Self::Closing { reason: json.required("reason", Json::text)? },
            unknown => return Err(["unknown event `", unknown, "`"].concat()),
        })
    }
}

fn call_id(json: &Json) -> Option<CallId> {
    json.small_number().map(CallId)
}

fn socket_id(json: &Json) -> Option<SocketId> {
    json.small_number().map(SocketId)
}

fn time(json: &Json) -> Option<RelayTime> {
    json.number().map(RelayTime::from_nanos)
}

fn limits(json: &Json) -> Result<Limits, String> {
    Ok(Limits {
        sockets: json.required("sockets", Json::small_number)?,
        calls: json.required("calls", Json::small_number)?,
        payload_bytes_ipv4: json.required("payload_bytes_ipv4", Json::small_number)?,
        payload_bytes_ipv6: json.required("payload_bytes_ipv6", Json::small_number)?,
        sends_per_second: json.optional("sends_per_second", Json::small_number)?,
        queue_bytes: json.required("queue_bytes", Json::small_number)?,
        queue_age_ms: json.required("queue_age_ms", Json::small_number)?,
        idle_seconds: json.required("idle_seconds", Json::small_number)?,
    })
}

fn server_status(json: &Json) -> Result<ServerStatus, String> {
    Ok(ServerStatus {
        server: json.required("server", Json::text)?,
        transport: json.required("transport", transport)?,
        address: json.required("address", Json::address)?,
        buffer_bytes: json.required("buffer_bytes", Json::small_number)?,
        state: json.required("state", server_state)?,
        note: json.optional("note", Json::text)?,
    })
}

fn console_line(json: &Json) -> Option<ConsoleLine> {
    Some(ConsoleLine {
        number: json.required("number", Json::number).ok()?,
        at_ns: json.required("at_ns", time).ok()?,
        from: json.required("from", console_source).ok()?,
        text: json.required("text", Json::text).ok()?,
    })
}

fn socket_error(json: &Json) -> Option<SocketError> {
    Some(SocketError {
        origin: json.required("origin", origin).ok()?,
        name: json.required("name", Json::text).ok()?,
        code: json.optional("code", Json::integer).ok()?,
        message: json.required("message", Json::text).ok()?,
        advice: json.optional("advice", Json::text).ok()?,
    })
}

fn role(json: &Json) -> Option<Role> {
    match json.text()?.as_str() {
        "learner" => Some(Role::Learner),
        "teacher" => Some(Role::Teacher),
        _ => None,
    }
}

fn origin(json: &Json) -> Option<Origin> {
    match json.text()?.as_str() {
        "system" => Some(Origin::System),
        "relay" => Some(Origin::Relay),
        _ => None,
    }
}

fn transport(json: &Json) -> Option<Transport> {
    match json.text()?.as_str() {
        "udp" => Some(Transport::Udp),
        "tcp" => Some(Transport::Tcp),
        _ => None,
    }
}

fn server_state(json: &Json) -> Option<ServerState> {
    match json.text()?.as_str() {
        "running" => Some(ServerState::Running),
        "paused" => Some(ServerState::Paused),
        "stopped" => Some(ServerState::Stopped),
        "port_taken" => Some(ServerState::PortTaken),
        _ => None,
    }
}

fn console_source(json: &Json) -> Option<ConsoleSource> {
    match json.text()?.as_str() {
        "program" => Some(ConsoleSource::Program),
        "relay" => Some(ConsoleSource::Relay),
        _ => None,
    }
}

fn syscall(json: &Json) -> Option<Syscall> {
    match json.text()?.as_str() {
        "send" => Some(Syscall::Send),
        "recv" => Some(Syscall::Recv),
        "accept" => Some(Syscall::Accept),
        _ => None,
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

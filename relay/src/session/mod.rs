//! A lab session without its sockets: messages and results in, commands and messages out. It
//! decides order, permission and bounds; it does no I/O and reads no clock.

mod calls;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use wire::{
    Call, CallId, Datagram, Event, Family, Half, Kind, Message, Number, PAYLOAD_LIMIT_IPV4,
    PAYLOAD_LIMIT_IPV6, ReceiveMode, RelayTime, Role, Send, Sent, ServerAction, ServerStatus,
    SocketError, SocketId, SocketOption, Syscall, ToClient, ToRelay, Transport, Welcome,
};

use crate::allowance::Allowance;
use crate::config::Limits;
use crate::policy::Targets;

/// Calls and sends that wait on one socket for an earlier call to end.
const DEFERRED_LIMIT: usize = 1_024;
/// Payload bytes of sends that wait on one socket for an earlier call to end.
const DEFERRED_BYTES: usize = 1024 * 1024;
/// Addresses that wrote to a socket and may therefore be answered, though the policy does not list
/// them; the oldest is forgotten first.
const HEARD_LIMIT: usize = 1_024;

/// A lab session.
#[derive(Debug)]
pub struct Session {
    name: String,
    role: Role,
    limits: Limits,
    targets: Arc<Targets>,
    allowance: Option<Allowance>,
    sockets: HashMap<SocketId, Socket>,
    pending: HashMap<CallId, Pending>,
    deferred_calls: HashSet<CallId>,
    commands: VecDeque<(CallId, Command)>,
    output: VecDeque<Output>,
    next_accepted: u32,
}

/// What the shell is to do. Each but `Transmit` is answered by [`Session::handle_result`].
#[allow(missing_docs, reason = "the fields are those of the calls in `wire`")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Make a socket.
    Open { socket: SocketId, kind: Kind, family: Family },
    /// Bind it.
    Bind { socket: SocketId, address: SocketAddr },
    /// Connect it.
    Connect { socket: SocketId, address: SocketAddr },
    /// Listen and accept.
    Listen { socket: SocketId, backlog: u16 },
    /// Find the addresses of a name, perhaps for a socket; then closing it calls the look-up off.
    Lookup { socket: Option<SocketId>, host: String, port: u16 },
    /// Set an option.
    SetOption { socket: SocketId, option: SocketOption, value: u32 },
    /// Set buffer and mode of receiving.
    Receive { socket: SocketId, buffer_bytes: usize, mode: ReceiveMode },
    /// Receive once.
    Recvfrom { socket: SocketId, timeout: Option<Duration> },
    /// Tell its own address.
    LocalAddress { socket: SocketId },
    /// Shut down a half of a connection.
    Shutdown { socket: SocketId, how: Half },
    /// Close the socket.
    Close { socket: SocketId },
    /// Begin or end to stream consoles.
    Watch { consoles: bool },
    /// Control a practice server.
    Control { server: String, action: ServerAction },
    /// Send; answered by [`Session::handle_sent`] or [`Session::handle_socket_error`].
    Transmit(Transmit),
}

/// A payload on its way to a socket.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct Transmit {
    /// The socket.
    pub socket: SocketId,
    /// The send's number.
    pub number: Number,
    /// Where to; none on a connected socket.
    pub destination: Option<SocketAddr>,
    /// Whether its return value is wanted.
    pub report: bool,
    /// The bytes.
    pub payload: Bytes,
}

/// What a call returned.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// The socket's own address.
    pub local: Option<SocketAddr>,
    /// The address it is connected to.
    pub peer: Option<SocketAddr>,
    /// The addresses of a name.
    pub addresses: Vec<SocketAddr>,
    /// The value that was granted.
    pub value: Option<u32>,
}

/// A message for the client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// It must not be lost.
    Keep(ToClient),
    /// It may be dropped when the client is slow.
    Datagram(Datagram),
}

#[derive(Debug)]
struct Socket {
    kind: Kind,
    family: Family,
    mode: ReceiveMode,
    timeout: Option<Duration>,
    /// The call that those behind it wait for.
    busy: Option<CallId>,
    deferred: VecDeque<Deferred>,
    deferred_bytes: usize,
    /// A page that bound the socket is a server; others have no strangers to answer.
    is_bound: bool,
    heard: HashSet<SocketAddr>,
    heard_order: VecDeque<SocketAddr>,
}

#[derive(Debug)]
enum Deferred {
    Call(Call),
    Send(Send),
}

/// A call that has no answer yet.
#[derive(Debug)]
struct Pending {
    socket: Option<SocketId>,
    then: Then,
}

/// What to do with a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Then {
    Answer,
    /// The addresses are those of a name to resolve.
    AnswerPermitted,
    /// The addresses are those of a host to connect to.
    Connect,
    /// The addresses are those of a host to bind to.
    Bind,
    /// The call opened a socket, which is not there if it failed.
    Open,
}

impl Session {
    /// A session without sockets.
    pub fn new(
        name: String,
        role: Role,
        limits: Limits,
        targets: Arc<Targets>,
        now: RelayTime,
    ) -> Self {
        Self {
            name,
            role,
            limits,
            targets,
            allowance: limits.sends_per_second.map(|rate| Allowance::new(rate, now)),
            sockets: HashMap::new(),
            pending: HashMap::new(),
            deferred_calls: HashSet::new(),
            commands: VecDeque::new(),
            output: VecDeque::new(),
            next_accepted: SocketId::FIRST_ACCEPTED,
        }
    }

    /// The session's identity.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Says the first message.
    pub fn welcome(&mut self, servers: Vec<ServerStatus>, now: RelayTime) {
        let count = |value: usize| u32::try_from(value).unwrap_or(u32::MAX);
        let age = self.limits.queue.age.as_millis();
        let welcome = Welcome {
            protocol: wire::SUBPROTOCOL.to_owned(),
            relay: env!("CARGO_PKG_VERSION").to_owned(),
            os: std::env::consts::OS.to_owned(),
            session: self.name.clone(),
            role: self.role,
            now_ns: now,
            limits: wire::Limits {
                sockets: count(self.limits.sockets),
                calls: count(self.limits.calls),
                payload_bytes_ipv4: count(PAYLOAD_LIMIT_IPV4),
                payload_bytes_ipv6: count(PAYLOAD_LIMIT_IPV6),
                sends_per_second: self.limits.sends_per_second,
                queue_bytes: count(self.limits.queue.bytes),
                queue_age_ms: u32::try_from(age).unwrap_or(u32::MAX),
                idle_seconds: u32::try_from(self.limits.idle.as_secs()).unwrap_or(u32::MAX),
            },
            permitted: self.targets.rules().collect(),
            servers,
        };
        self.keep(Event::Welcome(Box::new(welcome)));
    }

    /// Takes a message from the client.
    pub fn handle_message(&mut self, message: Message, now: RelayTime) {
        let text = match &message {
            Message::Text(text) => Some(text.clone()),
            Message::Binary(_) => None,
        };
        match ToRelay::decode(message) {
            Err(error) => {
                let call = text.as_deref().and_then(Call::id_in);
                let error = SocketError::relay("BAD_CALL", error.to_string());
                self.keep(Event::Failed { call, error });
            }
            Ok(ToRelay::Call(call)) => self.handle_call(call, now),
            Ok(ToRelay::Send(send)) => self.handle_send(send, now),
        }
    }

    /// Takes what the shell found when it carried out a command for `call`.
    pub fn handle_result(
        &mut self,
        call: CallId,
        result: Result<Outcome, SocketError>,
        now: RelayTime,
    ) {
        let Some(pending) = self.pending.remove(&call) else { return };
        let next = match (pending.then, result) {
            (Then::Open, Err(error)) => {
                if let Some(socket) = pending.socket {
                    self.sockets.remove(&socket);
                }
                Err(error)
            }
            (Then::AnswerPermitted, Ok(outcome)) => self
                .permitted(&outcome.addresses)
                .map(|found| Some(Outcome { addresses: found, ..Outcome::default() })),
            (Then::Connect | Then::Bind, Ok(outcome)) => {
                self.with_address(call, &pending, &outcome.addresses).map(|()| None)
            }
            (_, Ok(outcome)) => Ok(Some(outcome)),
            (_, Err(error)) => Err(error),
        };
        match next {
            Ok(None) => return,
            Ok(Some(Outcome { local, peer, addresses, value })) => {
                self.keep(Event::Done { call, local, peer, addresses, value });
            }
            Err(error) => self.keep(Event::Failed { call: Some(call), error }),
        }
        if let Some(id) = pending.socket {
            if let Some(socket) = self.sockets.get_mut(&id)
                && socket.busy == Some(call)
            {
                socket.busy = None;
            }
            self.run_deferred(id, now);
        }
    }

    /// Takes a payload that arrived on a socket.
    pub fn handle_datagram(&mut self, datagram: Datagram) {
        match datagram.transport {
            Transport::Tcp => self.output.push_back(Output::Keep(ToClient::Datagram(datagram))),
            Transport::Udp => {
                self.hear(datagram.socket, datagram.source);
                self.output.push_back(Output::Datagram(datagram));
            }
        }
    }

    /// Takes the return value of a send.
    pub fn handle_sent(&mut self, sent: Sent) {
        self.output.push_back(Output::Keep(ToClient::Sent(sent)));
    }

    /// Takes an error that a socket reported outside a call.
    pub fn handle_socket_error(
        &mut self,
        socket: SocketId,
        number: Option<Number>,
        on: Syscall,
        error: SocketError,
        at: RelayTime,
    ) {
        self.keep(Event::Error { socket, number, on, at_ns: at, error });
    }

    /// Whether one more socket may be open.
    pub fn has_room(&self) -> bool {
        self.sockets.len() < self.limits.sockets
    }

    /// Takes an accepted connection and names it.
    pub fn handle_accepted(
        &mut self,
        listener: SocketId,
        local: SocketAddr,
        peer: SocketAddr,
        at: RelayTime,
    ) -> SocketId {
        let socket = SocketId(self.next_accepted);
        self.next_accepted = self.next_accepted.checked_add(1).unwrap_or(SocketId::FIRST_ACCEPTED);
        let family = if local.is_ipv4() { Family::Ipv4 } else { Family::Ipv6 };
        self.sockets.insert(socket, Socket::new(Kind::Tcp, family));
        self.keep(Event::Accepted { listener, socket, local, peer, at_ns: at });
        socket
    }

    /// Takes the end of a stream.
    pub fn handle_end_of_stream(&mut self, socket: SocketId, at: RelayTime) {
        self.keep(Event::EndOfStream { socket, at_ns: at });
    }

    /// Says an event that is not this session's own, such as a console's.
    pub fn tell(&mut self, event: Event) {
        self.keep(event);
    }

    /// The next thing to do, in order.
    pub fn poll_command(&mut self) -> Option<(CallId, Command)> {
        self.commands.pop_front()
    }

    /// The next message for the client, in order.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.output.pop_front()
    }

    fn handle_send(&mut self, send: Send, now: RelayTime) {
        let Some(socket) = self.sockets.get_mut(&send.socket) else {
            let error = no_such_socket(send.socket);
            return self.send_failed(&send, error, now);
        };
        if socket.busy.is_some() {
            let bytes = socket.deferred_bytes + send.payload.len();
            if socket.deferred.len() >= DEFERRED_LIMIT || bytes > DEFERRED_BYTES {
                let error = too_many_deferred();
                return self.send_failed(&send, error, now);
            }
            socket.deferred_bytes = bytes;
            socket.deferred.push_back(Deferred::Send(send));
            return;
        }
        self.transmit(send, now);
    }

    fn transmit(&mut self, mut send: Send, now: RelayTime) {
        if let Some(destination) = send.destination {
            if let Some(Socket { kind: Kind::Tcp, .. }) = self.sockets.get(&send.socket) {
                let error = wrong_kind(send.socket, Kind::Tcp, "a send there has no destination");
                return self.send_failed(&send, error, now);
            }
            match self.judge_destination(send.socket, destination) {
                Ok(judged) => send.destination = Some(judged),
                Err(error) => return self.send_failed(&send, error, now),
            }
        }
        if let Some(allowance) = &mut self.allowance {
            if !allowance.is_left(now) {
                let rate = self.limits.sends_per_second.unwrap_or_default();
                let message = format!("more than {rate} sends in a second, the limit");
                let error = SocketError::relay("RATE_LIMITED", message)
                    .with_advice("--max-rate sets the limit; the relay's owner decides");
                return self.send_failed(&send, error, now);
            }
            allowance.spend();
        }
        let Send { socket, number, destination, report, payload } = send;
        let transmit = Transmit { socket, number, destination, report, payload };
        self.commands.push_back((CallId::default(), Command::Transmit(transmit)));
    }

    /// A destination is permitted by policy, or because it wrote to this very socket first.
    fn judge_destination(
        &self,
        socket: SocketId,
        destination: SocketAddr,
    ) -> Result<SocketAddr, SocketError> {
        let heard = |heard: &Socket| heard.heard.contains(&destination);
        if self.sockets.get(&socket).is_some_and(heard) {
            return Ok(destination);
        }
        self.targets.judge(destination, Transport::Udp).map_err(SocketError::from)
    }

    fn send_failed(&mut self, send: &Send, error: SocketError, now: RelayTime) {
        self.handle_socket_error(send.socket, Some(send.number), Syscall::Send, error, now);
    }

    fn hear(&mut self, socket: SocketId, source: SocketAddr) {
        let Some(socket) = self.sockets.get_mut(&socket) else { return };
        let is_known = !socket.is_bound || socket.heard.contains(&source);
        if is_known || self.targets.judge(source, Transport::Udp).is_ok() {
            return;
        }
        if socket.heard_order.len() >= HEARD_LIMIT
            && let Some(oldest) = socket.heard_order.pop_front()
        {
            socket.heard.remove(&oldest);
        }
        socket.heard.insert(source);
        socket.heard_order.push_back(source);
    }

    fn keep(&mut self, event: Event) {
        self.output.push_back(Output::Keep(ToClient::Event(event)));
    }
}

impl Socket {
    fn new(kind: Kind, family: Family) -> Self {
        Self {
            kind,
            family,
            mode: ReceiveMode::Arriving,
            timeout: None,
            busy: None,
            deferred: VecDeque::new(),
            deferred_bytes: 0,
            is_bound: false,
            heard: HashSet::new(),
            heard_order: VecDeque::new(),
        }
    }
}

fn no_such_socket(socket: SocketId) -> SocketError {
    SocketError::relay("NO_SUCH_SOCKET", format!("socket {socket} is not open in this session"))
}

fn wrong_kind(socket: SocketId, kind: Kind, why: &str) -> SocketError {
    SocketError::relay("WRONG_KIND", format!("socket {socket} is {kind:?}, {why}"))
}

fn too_many_deferred() -> SocketError {
    let message = format!(
        "more than {DEFERRED_LIMIT} calls and sends, or {DEFERRED_BYTES} bytes, wait for an \
         earlier call on this socket"
    );
    SocketError::relay("TOO_MANY_CALLS", message)
}

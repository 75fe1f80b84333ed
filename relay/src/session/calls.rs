//! The calls of a session: each is checked, set in order behind what its socket is busy with, and
//! turned into a command. No answer is given twice and none is left out.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use wire::{
    Call, CallId, Event, Family, Kind, ReceiveMode, RelayTime, Role, SocketError, SocketId,
    SocketOption, Transport,
};

use super::{
    Command, DEFERRED_LIMIT, Deferred, Outcome, Pending, Session, Socket, Then, no_such_socket,
    too_many_deferred, wrong_kind,
};
use crate::resolve::literal;
use crate::socket::LARGEST_DATAGRAM;

/// The longest host that is looked at, in bytes (RFC 1035 §2.3.4 has 253; brackets and a zone more).
const HOST_BYTES: usize = 320;

impl Session {
    pub(super) fn handle_call(&mut self, call: Call, now: RelayTime) {
        let id = call.id();
        if self.pending.contains_key(&id) || self.deferred_calls.contains(&id) {
            let message = format!("call {id} has no answer yet, its number is in use");
            return self.fail(id, SocketError::relay("BAD_CALL", message));
        }
        let is_full = self.pending.len() + self.deferred_calls.len() >= self.limits.calls;
        // Closing is what makes room again.
        if is_full && !matches!(call, Call::Close { .. }) {
            let message = format!("{} calls have no answer yet, the limit", self.limits.calls);
            return self.fail(id, SocketError::relay("TOO_MANY_CALLS", message));
        }
        if let Some(socket) = waits_for(&call)
            && let Some(socket) = self.sockets.get_mut(&socket)
            && socket.busy.is_some()
        {
            if socket.deferred.len() >= DEFERRED_LIMIT {
                return self.fail(id, too_many_deferred());
            }
            socket.deferred.push_back(Deferred::Call(call));
            self.deferred_calls.insert(id);
            return;
        }
        self.begin(call, now);
    }

    /// Lets what waited on a socket go on, until something makes it wait again.
    pub(super) fn run_deferred(&mut self, id: SocketId, now: RelayTime) {
        while let Some(socket) = self.sockets.get_mut(&id)
            && socket.busy.is_none()
            && let Some(deferred) = socket.deferred.pop_front()
        {
            match deferred {
                Deferred::Call(call) => {
                    self.deferred_calls.remove(&call.id());
                    self.begin(call, now);
                }
                Deferred::Send(send) => {
                    socket.deferred_bytes -= send.payload.len();
                    self.transmit(send, now);
                }
            }
        }
    }

    fn begin(&mut self, call: Call, now: RelayTime) {
        let id = call.id();
        if let Err(error) = self.try_begin(call, now) {
            self.fail(id, error);
        }
    }

    fn try_begin(&mut self, call: Call, now: RelayTime) -> Result<(), SocketError> {
        match call {
            Call::Open { call, socket, kind, family } => self.open(call, socket, kind, family),
            Call::Bind { call, socket, host, port } => {
                let family = self.socket(socket)?.family;
                let host = if host.is_empty() { unspecified(family).to_string() } else { host };
                self.with_host(call, socket, Then::Bind, host, port)
            }
            Call::Connect { call, socket, host, port } => {
                self.socket(socket)?;
                self.with_host(call, socket, Then::Connect, host, port)
            }
            Call::Listen { call, socket, backlog } => {
                self.expect_kind(socket, Kind::Tcp, "listen")?;
                self.command(call, Some(socket), Command::Listen { socket, backlog });
                Ok(())
            }
            Call::Resolve { call, host, port } => {
                check_host(&host)?;
                self.pending.insert(call, Pending { socket: None, then: Then::AnswerPermitted });
                self.commands.push_back((call, Command::Lookup { socket: None, host, port }));
                Ok(())
            }
            Call::Setsockopt { call, socket, option, value } => {
                self.check_option(socket, option, value)?;
                self.command(call, Some(socket), Command::SetOption { socket, option, value });
                Ok(())
            }
            Call::Settimeout { call, socket, timeout_ms } => {
                let timeout = timeout_ms.map(|millis| Duration::from_millis(millis.into()));
                self.socket(socket)?.timeout = timeout;
                self.done(call);
                Ok(())
            }
            Call::Receive { call, socket, buffer_bytes, mode } => {
                let buffer = usize::try_from(buffer_bytes).unwrap_or(usize::MAX);
                if buffer > LARGEST_DATAGRAM {
                    return Err(bad_call(format!(
                        "buffer_bytes is {buffer_bytes}, limit {LARGEST_DATAGRAM}"
                    )));
                }
                self.socket(socket)?.mode = mode;
                let command = Command::Receive { socket, buffer_bytes: buffer, mode };
                self.command(call, Some(socket), command);
                Ok(())
            }
            Call::Recvfrom { call, socket } => {
                let found = self.socket(socket)?;
                if found.mode != ReceiveMode::Asked {
                    return Err(bad_call(format!(
                        "socket {socket} receives as datagrams arrive; set its mode to \"asked\" \
                         by the call receive first"
                    )));
                }
                let timeout = found.timeout;
                self.command(call, Some(socket), Command::Recvfrom { socket, timeout });
                Ok(())
            }
            Call::Getsockname { call, socket } => {
                self.socket(socket)?;
                self.command(call, Some(socket), Command::LocalAddress { socket });
                Ok(())
            }
            Call::Shutdown { call, socket, how } => {
                self.expect_kind(socket, Kind::Tcp, "shutdown")?;
                self.command(call, Some(socket), Command::Shutdown { socket, how });
                Ok(())
            }
            Call::Close { call, socket } => self.close(call, socket, now),
            Call::Watch { call, consoles } => {
                self.command(call, None, Command::Watch { consoles });
                Ok(())
            }
            Call::Server { call, server, action } => {
                if self.role != Role::Teacher {
                    return Err(SocketError::relay(
                        "NOT_PERMITTED",
                        "the practice servers are controlled from the relay's own machine",
                    )
                    .with_advice("--share-servers would permit it; the relay's owner decides"));
                }
                self.command(call, None, Command::Control { server, action });
                Ok(())
            }
        }
    }

    fn open(
        &mut self,
        call: CallId,
        socket: SocketId,
        kind: Kind,
        family: Family,
    ) -> Result<(), SocketError> {
        if socket.0 >= SocketId::FIRST_ACCEPTED {
            return Err(bad_call(format!(
                "socket {socket} is a number for accepted connections, a client's are below {}",
                SocketId::FIRST_ACCEPTED
            )));
        }
        if self.sockets.contains_key(&socket) {
            let message = format!("socket {socket} is open already");
            return Err(SocketError::relay("SOCKET_IN_USE", message));
        }
        if !self.has_room() {
            let message = format!("{} sockets are open, the limit", self.sockets.len());
            return Err(SocketError::relay("TOO_MANY_SOCKETS", message)
                .with_advice("--max-sockets sets the limit; close one to open another"));
        }
        self.sockets.insert(socket, Socket::new(kind, family));
        self.pending.insert(call, Pending { socket: Some(socket), then: Then::Open });
        self.commands.push_back((call, Command::Open { socket, kind, family }));
        Ok(())
    }

    /// Closing waits for nothing: what waited on the socket fails.
    fn close(&mut self, call: CallId, id: SocketId, now: RelayTime) -> Result<(), SocketError> {
        let socket = self.sockets.remove(&id).ok_or_else(|| no_such_socket(id))?;
        let closed = || SocketError::relay("NO_SUCH_SOCKET", format!("socket {id} was closed"));
        let waited: Vec<_> = self
            .pending
            .iter()
            .filter(|(_, pending)| pending.socket == Some(id))
            .map(|(call, _)| *call)
            .collect();
        for call in waited {
            self.pending.remove(&call);
            self.fail(call, closed());
        }
        for deferred in socket.deferred {
            match deferred {
                Deferred::Call(call) => {
                    self.deferred_calls.remove(&call.id());
                    self.fail(call.id(), closed());
                }
                Deferred::Send(send) => self.send_failed(&send, closed(), now),
            }
        }
        self.command(call, None, Command::Close { socket: id });
        Ok(())
    }

    /// Binds or connects to a host: at once if it is an address, after a look-up if it is a name.
    /// What follows on the socket waits.
    fn with_host(
        &mut self,
        call: CallId,
        socket: SocketId,
        then: Then,
        host: String,
        port: u16,
    ) -> Result<(), SocketError> {
        check_host(&host)?;
        let pending = Pending { socket: Some(socket), then };
        if let Some(address) = literal(&host) {
            return self.with_address(call, &pending, &[SocketAddr::from((address, port))]);
        }
        self.pending.insert(call, pending);
        self.socket(socket)?.busy = Some(call);
        self.commands.push_back((call, Command::Lookup { socket: Some(socket), host, port }));
        Ok(())
    }

    /// Goes on with the addresses of the host: the first that is permitted and of the socket's
    /// family. An address that was typed is tried whatever its family; the system will say.
    pub(super) fn with_address(
        &mut self,
        call: CallId,
        pending: &Pending,
        addresses: &[SocketAddr],
    ) -> Result<(), SocketError> {
        let Some(id) = pending.socket else { return Ok(()) };
        let socket = self.sockets.get(&id).ok_or_else(|| no_such_socket(id))?;
        let transport = match socket.kind {
            Kind::Udp => Transport::Udp,
            Kind::Tcp => Transport::Tcp,
        };
        let fits = |address: &&SocketAddr| {
            addresses.len() == 1 || address.is_ipv4() == (socket.family == Family::Ipv4)
        };
        let mut refusal = None;
        let mut judged = addresses.iter().filter(fits).filter_map(|address| {
            let judged = match pending.then {
                Then::Bind => self.targets.judge_bind(*address),
                _ => self.targets.judge(*address, transport),
            };
            judged.map_err(|error| refusal.get_or_insert(error).clone()).ok()
        });
        let Some(address) = judged.next() else {
            drop(judged);
            return Err(refusal.map_or_else(
                || {
                    let message = format!("the host has no address of {:?}", socket.family);
                    SocketError::relay("NAME_NOT_RESOLVED", message)
                },
                SocketError::from,
            ));
        };
        drop(judged);
        let command = match pending.then {
            Then::Bind => Command::Bind { socket: id, address },
            _ => Command::Connect { socket: id, address },
        };
        self.command(call, Some(id), command);
        let socket = self.socket(id)?;
        socket.is_bound |= pending.then == Then::Bind;
        socket.busy = Some(call);
        Ok(())
    }

    /// Those addresses of a name that are permitted for UDP.
    pub(super) fn permitted(
        &self,
        addresses: &[SocketAddr],
    ) -> Result<Vec<SocketAddr>, SocketError> {
        let mut refusal = None;
        let found: Vec<_> = addresses
            .iter()
            .filter_map(|address| match self.targets.judge(*address, Transport::Udp) {
                Ok(address) => Some(address),
                Err(error) => {
                    refusal.get_or_insert(error);
                    None
                }
            })
            .collect();
        match refusal {
            Some(refusal) if found.is_empty() => Err(refusal.into()),
            _ => Ok(found),
        }
    }

    fn check_option(
        &mut self,
        socket: SocketId,
        option: SocketOption,
        value: u32,
    ) -> Result<(), SocketError> {
        let kind = self.socket(socket)?.kind;
        let (name, range) = match option {
            SocketOption::ReceiveBuffer => ("SO_RCVBUF", 0..=16 * 1024 * 1024),
            SocketOption::SendBuffer => ("SO_SNDBUF", 0..=16 * 1024 * 1024),
            SocketOption::Broadcast => ("SO_BROADCAST", 0..=1),
            SocketOption::TimeToLive => ("IP_TTL", 1..=255),
            SocketOption::NoDelay => ("TCP_NODELAY", 0..=1),
        };
        let wrong = match option {
            SocketOption::Broadcast => kind == Kind::Tcp,
            SocketOption::NoDelay => kind == Kind::Udp,
            _ => false,
        };
        if wrong {
            return Err(wrong_kind(socket, kind, &format!("it has no {name}")));
        }
        if !range.contains(&value) {
            let (from, to) = range.into_inner();
            return Err(bad_call(format!("{name} is {value}, limits {from} and {to}")));
        }
        Ok(())
    }

    fn socket(&mut self, id: SocketId) -> Result<&mut Socket, SocketError> {
        self.sockets.get_mut(&id).ok_or_else(|| no_such_socket(id))
    }

    fn expect_kind(&mut self, id: SocketId, kind: Kind, what: &str) -> Result<(), SocketError> {
        let found = self.socket(id)?.kind;
        if found == kind {
            return Ok(());
        }
        Err(wrong_kind(id, found, &format!("{what} needs {kind:?}")))
    }

    fn command(&mut self, call: CallId, socket: Option<SocketId>, command: Command) {
        self.pending.insert(call, Pending { socket, then: Then::Answer });
        self.commands.push_back((call, command));
    }

    fn done(&mut self, call: CallId) {
        let Outcome { local, peer, addresses, value } = Outcome::default();
        self.keep(Event::Done { call, local, peer, addresses, value });
    }

    fn fail(&mut self, call: CallId, error: SocketError) {
        self.keep(Event::Failed { call: Some(call), error });
    }
}

/// The socket whose earlier calls this one waits for. Opening and closing wait for none.
fn waits_for(call: &Call) -> Option<SocketId> {
    match call {
        Call::Bind { socket, .. }
        | Call::Connect { socket, .. }
        | Call::Listen { socket, .. }
        | Call::Setsockopt { socket, .. }
        | Call::Settimeout { socket, .. }
        | Call::Receive { socket, .. }
        | Call::Recvfrom { socket, .. }
        | Call::Getsockname { socket, .. }
        | Call::Shutdown { socket, .. } => Some(*socket),
        Call::Open { .. }
        | Call::Close { .. }
        | Call::Resolve { .. }
        | Call::Watch { .. }
        | Call::Server { .. } => None,
    }
}

fn unspecified(family: Family) -> IpAddr {
    match family {
        Family::Ipv4 => Ipv4Addr::UNSPECIFIED.into(),
        Family::Ipv6 => Ipv6Addr::UNSPECIFIED.into(),
    }
}

fn check_host(host: &str) -> Result<(), SocketError> {
    if host.len() <= HOST_BYTES {
        return Ok(());
    }
    Err(bad_call(format!("host is {} bytes, limit {HOST_BYTES}", host.len())))
}

fn bad_call(message: String) -> SocketError {
    SocketError::relay("BAD_CALL", message)
}

//! The page's socket: how it is opened, bound, connected, listened on and closed, and which of these
//! calls a send has to wait for. Calls are pipelined unless one can fail by the world's doing.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use wire::{Call, Family, Kind, ReceiveMode, SocketError, SocketId};

use super::form::{self, Field, Settings, SocketKind};
use super::log::{Made, What};
use super::model::{Model, Pending};
use super::runs::Headline;
use super::target::Host;
use super::{Effect, outcome, text};

/// Connections that may wait to be accepted; the size that the programs shown ask for too.
const BACKLOG: u16 = 16;
/// Callers remembered by a server; the one silent longest goes.
pub(super) const CALLERS: usize = 256;

/// Somebody who called this page's server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Caller {
    /// Their address.
    pub address: SocketAddr,
    /// TCP: the accepted socket.
    pub socket: Option<SocketId>,
    /// TCP: its own address.
    pub local: Option<SocketAddr>,
    /// Datagrams, or pieces of the stream, received.
    pub received: u64,
    /// TCP: whether they will send no more.
    pub has_ended: bool,
    /// When they were last heard.
    pub heard: Duration,
}

/// The socket that is open, or being opened.
#[derive(Debug)]
pub(super) struct Socket {
    /// Its number in the session.
    pub id: SocketId,
    /// What it was opened for.
    pub kind: SocketKind,
    /// Its family.
    pub family: Family,
    /// The port asked for; 0 left it to the system.
    pub local_port: u16,
    /// The receive buffer, in bytes.
    pub buffer: u32,
    /// Its own address, once known.
    pub local: Option<SocketAddr>,
    /// Whom it is connected to.
    pub peer: Option<SocketAddr>,
    /// The call that sends wait for.
    pub waits_for: Option<u32>,
    /// Whether its own address is known, or asked for.
    pub is_named: bool,
    /// Whether it is still of use: a broken connection is opened anew.
    pub is_broken: bool,
    /// A server's callers.
    pub callers: Vec<Caller>,
}

impl Socket {
    /// Who called last.
    pub(super) fn latest(&self) -> Option<&Caller> {
        self.callers.iter().filter(|caller| !caller.has_ended).max_by_key(|caller| caller.heard)
    }
}

/// What a call is about, before it has its answer and after.
pub(super) fn sentence(made: &Made, is_done: bool) -> String {
    let mut out = match made {
        Made::Open(kind, family) => format!(
            "socket: {} over {}",
            if *kind == Kind::Udp { "UDP" } else { "TCP" },
            if *family == Family::Ipv4 { "IPv4" } else { "IPv6" }
        ),
        Made::Bind(host, port, _) => format!("bind to {host} port {port}"),
        Made::Connect(host, port, Kind::Udp) => {
            format!("connect to {host} port {port}: no packet leaves, only the peer is set")
        }
        Made::Connect(host, port, Kind::Tcp) => format!("connect to {host} port {port}: handshake"),
        Made::Listen(backlog) => format!("listen, at most {backlog} waiting"),
        Made::Accept => "accept".to_owned(),
        Made::Resolve(host, port) => format!("getaddrinfo of {host} port {port}"),
        Made::Receive(buffer) => {
            format!("receive buffer of {}", text::bytes(u64::from(*buffer)))
        }
        Made::Recv(_) => "recv".to_owned(),
        Made::Send => "send".to_owned(),
        Made::Name => "getsockname".to_owned(),
        Made::Close => "close".to_owned(),
        Made::Other(what) => (*what).to_owned(),
    };
    out.push_str(if is_done { " ✓" } else { " …" });
    out
}

/// The address of its own that a client binds to when it wants a certain port: on this machine
/// alone if it calls this machine.
fn own_address(to: SocketAddr) -> IpAddr {
    match to.ip() {
        IpAddr::V4(ip) if ip.is_loopback() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(ip) if ip.is_loopback() => Ipv6Addr::LOCALHOST.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    }
}

impl Model {
    /// The client's way to a first send: an address, a socket, then the run.
    pub(super) fn prepare(&mut self, settings: Settings) {
        let to = match &settings.host {
            Host::Ip(ip) => Some(SocketAddr::new(*ip, settings.port)),
            Host::Name(name) => self
                .resolved
                .as_ref()
                .filter(|(known, port, _)| known == name && *port == settings.port)
                .map(|(_, _, to)| *to),
        };
        let Some(to) = to else {
            let (host, port) = (settings.host.as_text(), settings.port);
            self.headline = Headline::Preparing(format!("asking for the address of {host}"));
            let made = Made::Resolve(host.clone(), port);
            self.call(None, made, |call| Call::Resolve { call, host, port });
            self.preparing = Some(settings);
            return;
        };
        self.preparing = None;
        self.ensure_socket(&settings, Some(to));
        self.start_run(settings, to);
    }

    /// A socket that fits these settings: the one there is, or a new one.
    fn ensure_socket(&mut self, settings: &Settings, to: Option<SocketAddr>) {
        let peer = to.filter(|_| settings.kind.is_connected());
        let family = match (to, &settings.host) {
            (Some(to), _) => form::family(to.ip()),
            (None, Host::Ip(ip)) => form::family(*ip),
            (None, Host::Name(_)) => Family::Ipv4,
        };
        let fits = self.socket.as_ref().is_some_and(|socket| {
            !socket.is_broken
                && socket.kind == settings.kind
                && socket.family == family
                && socket.local_port == settings.local_port
                && socket.peer == peer
        });
        if fits {
            self.set_buffer(settings.buffer);
            return;
        }
        self.close_socket("another socket was needed");
        self.open(settings, family, to);
    }

    fn open(&mut self, settings: &Settings, family: Family, to: Option<SocketAddr>) {
        let peer = to.filter(|_| settings.kind.is_connected());
        self.next_socket = (self.next_socket + 1) % SocketId::FIRST_ACCEPTED;
        let socket = SocketId(self.next_socket);
        let kind = settings.kind.wire();
        self.call(Some(socket), Made::Open(kind, family), |call| Call::Open {
            call,
            socket,
            kind,
            family,
        });
        let mut waits_for = None;
        let port = settings.local_port;
        if settings.kind.is_server() || port != 0 {
            let host = match to {
                None => settings.host.as_text(),
                Some(to) => own_address(to).to_string(),
            };
            let made = Made::Bind(host.clone(), port, kind);
            waits_for =
                Some(self.call(Some(socket), made, |call| Call::Bind { call, socket, host, port }));
        }
        let buffer_bytes = settings.buffer;
        let mode = ReceiveMode::Arriving;
        self.call(Some(socket), Made::Receive(buffer_bytes), |call| Call::Receive {
            call,
            socket,
            buffer_bytes,
            mode,
        });
        if let Some(peer) = peer {
            let (host, port) = (peer.ip().to_string(), peer.port());
            let handshake = Made::Connect(host.clone(), port, kind);
            waits_for = Some(self.call(Some(socket), handshake, |call| Call::Connect {
                call,
                socket,
                host,
                port,
            }));
        }
        if settings.kind == SocketKind::TcpServer {
            let backlog = BACKLOG;
            waits_for = Some(self.call(Some(socket), Made::Listen(backlog), |call| Call::Listen {
                call,
                socket,
                backlog,
            }));
        }
        self.socket = Some(Socket {
            id: socket,
            kind: settings.kind,
            family,
            local_port: port,
            buffer: settings.buffer,
            local: None,
            peer,
            waits_for,
            is_named: waits_for.is_some(),
            is_broken: false,
            callers: Vec::new(),
        });
    }

    fn set_buffer(&mut self, buffer_bytes: u32) {
        let Some(socket) = self.socket.as_mut().filter(|it| it.buffer != buffer_bytes) else {
            return;
        };
        socket.buffer = buffer_bytes;
        let mode = ReceiveMode::Arriving;
        let accepted = socket.callers.iter().filter_map(|caller| caller.socket);
        let all: Vec<SocketId> = std::iter::once(socket.id).chain(accepted).collect();
        for socket in all {
            self.call(Some(socket), Made::Receive(buffer_bytes), |call| Call::Receive {
                call,
                socket,
                buffer_bytes,
                mode,
            });
        }
    }

    /// A server's buffer follows the field; a client's follows at the next send.
    pub(super) fn renew_buffer(&mut self) {
        if self.form.kind.is_server()
            && let Ok(settings) = self.form.settings(&self.session.servers)
        {
            self.set_buffer(settings.buffer);
        }
    }

    /// Closes the socket and those it accepted; what still waits is told `why`.
    pub(super) fn close_socket(&mut self, why: &'static str) {
        let Some(socket) = self.socket.take() else { return };
        self.give_up_waiting(why);
        self.answers.clear();
        let accepted = socket.callers.iter().filter_map(|caller| caller.socket);
        let all: Vec<SocketId> = accepted.chain(std::iter::once(socket.id)).collect();
        for socket in all {
            self.call(Some(socket), Made::Close, |call| Call::Close { call, socket });
        }
        if matches!(self.headline, Headline::Listening | Headline::Answered(_)) {
            self.headline = Headline::Idle;
        }
    }

    /// Listen, or stop listening.
    pub(super) fn press_listen(&mut self) {
        if self.socket.as_ref().is_some_and(|socket| socket.kind.is_server()) {
            self.stop_run();
            self.close_socket("this page stopped listening");
            return;
        }
        if !self.session.is_ready() {
            self.headline = Headline::NoRelay;
            return;
        }
        self.refused = None;
        match self.form.settings(&self.session.servers) {
            Ok(settings) if settings.kind.is_server() => {
                self.headline = Headline::Listening;
                self.ensure_socket(&settings, None);
            }
            Ok(_) => {}
            Err(errors) => self.focus_first(&errors),
        }
    }

    pub(super) fn focus_first(&mut self, errors: &[(Field, String)]) {
        if let Some((field, _)) = errors.first() {
            self.effects.push(Effect::Focus(*field));
        }
    }

    /// A call has succeeded.
    pub(super) fn done(&mut self, call: u32, local: Option<SocketAddr>, addresses: &[SocketAddr]) {
        let Some(pending) = self.answered(call) else { return };
        // Port 0 is no address: a socket whose first send was refused has none yet.
        let local = local.filter(|local| local.port() != 0);
        if let Some(row) = pending.row {
            let done = sentence(&pending.made, true);
            self.log.change(row, |row| {
                row.what = What::Called(pending.made.clone(), done);
                row.from = local;
            });
        }
        let mut has_name = None;
        if let Some(socket) = self.socket.as_mut().filter(|it| Some(it.id) == pending.socket) {
            socket.local = local.or(socket.local);
            socket.is_named &= pending.made != Made::Name || local.is_some();
            has_name = local;
            if socket.waits_for == Some(call) {
                socket.waits_for = None;
            }
        }
        if let Some(local) = has_name {
            self.named(local);
        }
        if let Made::Resolve(name, port) = pending.made {
            self.resolved(name, port, addresses);
        }
    }

    fn resolved(&mut self, name: String, port: u16, addresses: &[SocketAddr]) {
        let Some(settings) = self.preparing.take_if(|it| it.host == Host::Name(name.clone()))
        else {
            return;
        };
        let chosen = addresses
            .iter()
            .find(|address| matches!(address.ip(), IpAddr::V4(_)))
            .or(addresses.first());
        if let Some(to) = chosen {
            self.resolved = Some((name, port, *to));
            self.prepare(settings);
        } else {
            let what = format!("{name} has no address that may be sent to");
            let error = SocketError::relay("NOT_RESOLVED", what);
            self.refuse(Field::Host, &Made::Resolve(name, port), error);
        }
    }

    /// A call has failed.
    pub(super) fn failed(&mut self, call: Option<u32>, error: SocketError) {
        let Some(pending) = call.and_then(|call| self.answered(call)) else {
            self.totals.errors += 1;
            self.push_error(None, error);
            return;
        };
        let Pending { socket, made, row } = pending;
        if made != Made::Close {
            self.totals.errors += 1;
        }
        match row {
            Some(row) => {
                let what = What::Failed(Some(made.clone()), Box::new(error.clone()));
                self.log.change(row, |row| row.what = what);
            }
            None => self.push_error(Some(made.clone()), error.clone()),
        }
        let is_current =
            socket.is_some_and(|id| self.socket.as_ref().is_some_and(|it| it.id == id));
        match &made {
            Made::Resolve(..) if self.preparing.take().is_some() => {
                self.refuse(Field::Host, &made, error);
            }
            Made::Open(..) | Made::Bind(..) | Made::Connect(..) | Made::Listen(_) if is_current => {
                let field = match &made {
                    Made::Connect(..) => self.form.target_field(),
                    Made::Bind(..) | Made::Listen(_) if self.form.kind.is_server() => {
                        Field::ListenPort
                    }
                    Made::Bind(..) => Field::LocalPort,
                    _ => Field::SocketKind,
                };
                let never_opened = matches!(made, Made::Open(..));
                self.refuse(field, &made, error);
                self.stop_run();
                if never_opened {
                    self.give_up_waiting("the socket was not opened");
                    self.socket = None;
                } else {
                    self.close_socket("a call before it failed");
                }
            }
            _ => {}
        }
    }

    fn push_error(&mut self, made: Option<Made>, error: SocketError) {
        let row = super::log::Row::bare(self.now, What::Failed(made, Box::new(error)));
        self.push(row);
    }

    /// Says beside a field, and as the outcome, why a call was refused.
    fn refuse(&mut self, field: Field, made: &Made, error: SocketError) {
        self.refused = Some((field, outcome::beside_field(&error)));
        self.announcement = text::harmless(&error.name);
        self.headline = Headline::Failed(made.name(), Box::new(error));
    }
}

//! The shell around a lab session: real sockets, timers and the WebSocket, one task for all of it.
//! It decides nothing; [`Session`] does.

mod receiving;

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::net::SocketAddr;
use std::ops::Bound;
use std::task::{Context, Poll};

use futures::future::{AbortHandle, BoxFuture, abortable};
use futures::stream::FuturesUnordered;
use futures::{FutureExt, StreamExt};
use tokio::net::TcpStream;
use wire::{
    CallId, Event, Kind, Number, ReceiveMode, RelayTime, Sent, SocketError, SocketId, Syscall,
    ToClient,
};

use crate::carrier::{Carrier, Ending};
use crate::clock::Clock;
use crate::errno::socket_error;
use crate::outbox::Dropped;
use crate::practice::{Notice, Practice, Watch};
use crate::resolve::resolve;
use crate::session::{Command, Outcome, Output, Session, Transmit};
use crate::socket::{LARGEST_DATAGRAM, Udp, family_of};
use crate::tcp::{Stream, Tcp};

/// Messages taken from the client before the sockets are looked at again.
const MESSAGE_BATCH: usize = 64;
/// Console notices passed on before the client is written to.
const NOTICE_BATCH: usize = 16;
/// Closed streams that still hand over what was sent; above it nothing more is read from the client.
const FINISHING_LIMIT: usize = 8;

/// A lab session with its sockets.
pub struct Lab {
    carrier: Carrier,
    session: Session,
    practice: Practice,
    watch: Option<Watch>,
    clock: Clock,
    sockets: BTreeMap<SocketId, Endpoint>,
    later: FuturesUnordered<BoxFuture<'static, Later>>,
    /// Closed streams that still hand over what was sent.
    finishing: usize,
    /// A datagram that its socket had no room for; nothing is read from the client meanwhile.
    blocked: Option<Transmit>,
}

struct Endpoint {
    socket: Socket,
    buffer_bytes: usize,
    mode: ReceiveMode,
    /// `recvfrom` calls that wait; bounded by the session's bound on calls.
    asked: VecDeque<Asked>,
    /// A listener whose `accept` failed, mostly for want of files: it is left alone for a while.
    rests: bool,
    /// The look-up or handshake that the socket waits for.
    awaited: Option<Owned>,
}

/// A `recvfrom` that waits, with its timer.
struct Asked {
    call: CallId,
    _timer: Option<Owned>,
}

/// What ends later and belongs to something; called off with it, so that it cannot meet a later call
/// or socket of the same number, and is bounded as its owners are.
struct Owned(AbortHandle);

enum Socket {
    Udp(Udp),
    Tcp(Tcp),
}

/// What ends later than the call that began it.
enum Later {
    Found(CallId, Result<Outcome, SocketError>),
    Connected(CallId, SocketId, SocketAddr, io::Result<TcpStream>),
    /// The time of a `recvfrom` is over.
    TimedOut(CallId, SocketId),
    /// A closed stream has handed over what was sent, or given up.
    Finished,
    /// A listener that failed may be tried again.
    Rested(SocketId),
    /// Its owner ended before.
    CalledOff,
}

impl Lab {
    /// A session of the client behind `carrier`.
    pub fn new(mut carrier: Carrier, session: Session, practice: Practice, clock: Clock) -> Self {
        carrier.tell_dropped(dropped_event);
        Self {
            carrier,
            session,
            practice,
            watch: None,
            clock,
            sockets: BTreeMap::new(),
            later: FuturesUnordered::new(),
            finishing: 0,
            blocked: None,
        }
    }

    /// Carries on until the session ends; then its sockets are closed.
    pub async fn run(mut self, stopping: impl Future<Output = ()>) -> Ending {
        self.session.welcome(self.practice.statuses(), self.clock.now());
        let why = tokio::select! {
            biased;
            () = stopping => Ending::Stopping,
            why = std::future::poll_fn(|cx| self.poll_run(cx)) => why,
        };
        let dropped = self.carrier.outbox.dropped();
        tracing::debug!(session = self.session.name(), ?dropped, %why, "lab session ended");
        self.session.tell(Event::Closing { reason: why.to_string() });
        self.pass_output(self.clock.now());
        self.sockets.clear();
        self.carrier.close(&why).await;
        why
    }

    fn poll_run(&mut self, cx: &mut Context<'_>) -> Poll<Ending> {
        loop {
            let now = self.clock.now();
            let mut more = self.poll_later(cx);
            more |= self.poll_sockets(cx);
            more |= self.poll_consoles(cx);
            self.pass_output(now);
            let was_over = self.carrier.outbox.is_over();
            match self.carrier.poll_write(cx, now) {
                Poll::Ready(Err(why)) => return Poll::Ready(why),
                Poll::Pending if self.carrier.outbox.is_over() => {}
                // There is room again for what was not taken from streams and consoles before.
                Poll::Ready(Ok(())) | Poll::Pending => more |= was_over,
            }
            match self.poll_messages(cx) {
                Ok(took) => more |= took,
                Err(why) => return Poll::Ready(why),
            }
            if !more {
                let is_reading = self.blocked.is_none() && !self.is_over();
                return self.carrier.poll_keepalive(cx, now, is_reading);
            }
        }
    }

    /// Messages from the client, and what an earlier one left to do. Whether any were taken.
    fn poll_messages(&mut self, cx: &mut Context<'_>) -> Result<bool, Ending> {
        let mut took = false;
        for _ in 0..MESSAGE_BATCH {
            if let Some(transmit) = self.blocked.take() {
                self.transmit(cx, transmit);
                self.perform_all(cx);
                took |= self.blocked.is_none();
            }
            if self.blocked.is_some() || self.is_over() {
                break;
            }
            let now = self.clock.now();
            let Poll::Ready(message) = self.carrier.poll_read(cx, now) else { break };
            self.session.handle_message(message?, now);
            self.perform_all(cx);
            took = true;
        }
        Ok(took)
    }

    /// Whether a client that sends on must wait, because its streams or its own answers do.
    fn is_over(&self) -> bool {
        self.carrier.outbox.is_over()
            || self.finishing >= FINISHING_LIMIT
            || self.sockets.values().any(|endpoint| match &endpoint.socket {
                Socket::Tcp(Tcp::Stream(stream)) => stream.is_over(),
                _ => false,
            })
    }

    fn perform_all(&mut self, cx: &mut Context<'_>) {
        while self.blocked.is_none()
            && let Some((call, command)) = self.session.poll_command()
        {
            match self.perform(cx, call, command) {
                None => {}
                Some(result) => {
                    let result = result.map_err(|error| socket_error(&error));
                    self.session.handle_result(call, result, self.clock.now());
                }
            }
        }
        self.pass_output(self.clock.now());
    }

    /// Carries a command out. None when its result comes later, or none is wanted.
    fn perform(
        &mut self,
        cx: &mut Context<'_>,
        call: CallId,
        command: Command,
    ) -> Option<io::Result<Outcome>> {
        Some(match command {
            Command::Open { socket, kind, family } => {
                let opened = match kind {
                    Kind::Udp => Udp::open(family).map(Socket::Udp),
                    Kind::Tcp => Tcp::open(family).map(Socket::Tcp),
                };
                opened.map(|opened| {
                    self.sockets.insert(socket, Endpoint::new(opened));
                    Outcome::default()
                })
            }
            Command::Bind { socket, address } => self.on(socket, |endpoint| {
                let local = match &endpoint.socket {
                    Socket::Udp(udp) => udp.bind(address).and_then(|()| udp.local_address()),
                    Socket::Tcp(tcp) => tcp.bind(address),
                }?;
                Ok(Outcome { local: Some(local), ..Outcome::default() })
            }),
            Command::Connect { socket, address } => return self.connect(call, socket, address),
            Command::Listen { socket, backlog } => self.on(socket, |endpoint| {
                let Socket::Tcp(tcp) = &mut endpoint.socket else { return Err(gone()) };
                let local = tcp.listen(backlog)?;
                Ok(Outcome { local: Some(local), ..Outcome::default() })
            }),
            Command::Lookup { socket, host, port } => {
                let handle = self.begin(async move {
                    let found = resolve(&host, port).await;
                    let outcome =
                        found.map(|addresses| Outcome { addresses, ..Outcome::default() });
                    Later::Found(
                        call,
                        outcome.map_err(|error| {
                            SocketError::relay("NAME_NOT_RESOLVED", error.to_string())
                        }),
                    )
                });
                if let Some(endpoint) = socket.and_then(|socket| self.sockets.get_mut(&socket)) {
                    endpoint.awaited = Some(Owned(handle));
                }
                return None;
            }
            Command::SetOption { socket, option, value } => self.on(socket, |endpoint| {
                let granted = match &endpoint.socket {
                    Socket::Udp(udp) => udp.set_option(option, value),
                    Socket::Tcp(tcp) => tcp.set_option(option, value),
                }?;
                Ok(Outcome { value: Some(granted), ..Outcome::default() })
            }),
            Command::Receive { socket, buffer_bytes, mode } => self.on(socket, |endpoint| {
                endpoint.buffer_bytes = buffer_bytes;
                endpoint.mode = mode;
                Ok(Outcome::default())
            }),
            Command::Recvfrom { socket, timeout } => {
                if let Socket::Tcp(tcp) = &self.sockets.get(&socket)?.socket
                    && !matches!(tcp, Tcp::Stream(_))
                {
                    return Some(tcp.receive_unconnected().map(|_| {
                        self.session.handle_end_of_stream(socket, self.clock.now());
                        Outcome::default()
                    }));
                }
                let timer = timeout.map(|timeout| {
                    Owned(self.begin(async move {
                        tokio::time::sleep(timeout).await;
                        Later::TimedOut(call, socket)
                    }))
                });
                let asked = &mut self.sockets.get_mut(&socket)?.asked;
                asked.push_back(Asked { call, _timer: timer });
                return None;
            }
            Command::LocalAddress { socket } => self.on(socket, |endpoint| {
                let local = match &endpoint.socket {
                    Socket::Udp(udp) => udp.local_address(),
                    Socket::Tcp(tcp) => tcp.local_address(),
                }?;
                Ok(Outcome { local: Some(local), ..Outcome::default() })
            }),
            Command::Shutdown { socket, how } => self.on(socket, |endpoint| {
                let Socket::Tcp(tcp) = &mut endpoint.socket else { return Err(gone()) };
                tcp.shutdown(how)?;
                Ok(Outcome::default())
            }),
            Command::Close { socket } => {
                if let Some(Endpoint { socket: Socket::Tcp(Tcp::Stream(stream)), .. }) =
                    self.sockets.remove(&socket)
                    && stream.has_waiting()
                {
                    let finish = tokio::spawn(stream.finish());
                    self.finishing += 1;
                    self.later.push(Box::pin(finish.map(|_| Later::Finished)));
                }
                Ok(Outcome::default())
            }
            Command::Watch { consoles } => {
                self.watch = consoles.then(|| self.practice.watch());
                Ok(Outcome::default())
            }
            Command::Control { server, action } => {
                let practice = self.practice.clone();
                self.later.push(Box::pin(async move {
                    let controlled = practice.control(&server, action).await;
                    Later::Found(call, controlled.map(|_| Outcome::default()))
                }));
                return None;
            }
            Command::Transmit(transmit) => {
                self.transmit(cx, transmit);
                return None;
            }
        })
    }

    fn on(
        &mut self,
        socket: SocketId,
        what: impl FnOnce(&mut Endpoint) -> io::Result<Outcome>,
    ) -> io::Result<Outcome> {
        self.sockets.get_mut(&socket).map_or_else(|| Err(gone()), what)
    }

    fn connect(
        &mut self,
        call: CallId,
        socket: SocketId,
        address: SocketAddr,
    ) -> Option<io::Result<Outcome>> {
        let Some(endpoint) = self.sockets.get_mut(&socket) else { return Some(Err(gone())) };
        match &mut endpoint.socket {
            Socket::Udp(udp) => Some(udp.connect(address).and_then(|()| {
                let local = udp.local_address()?;
                Ok(Outcome { local: Some(local), peer: Some(address), ..Outcome::default() })
            })),
            Socket::Tcp(tcp) => match tcp.take_to_connect() {
                Err(error) => Some(Err(error)),
                Ok(taken) => {
                    let handle = self.begin(async move {
                        Later::Connected(call, socket, address, taken.connect(address).await)
                    });
                    if let Some(endpoint) = self.sockets.get_mut(&socket) {
                        endpoint.awaited = Some(Owned(handle));
                    }
                    None
                }
            },
        }
    }

    /// Begins what ends later, unless it is called off before.
    fn begin(&self, later: impl Future<Output = Later> + Send + 'static) -> AbortHandle {
        let (later, handle) = abortable(later);
        self.later.push(Box::pin(later.map(|ended| ended.unwrap_or(Later::CalledOff))));
        handle
    }

    fn transmit(&mut self, cx: &mut Context<'_>, transmit: Transmit) {
        let now = self.clock.now();
        let Transmit { socket, number, destination, report, .. } = transmit;
        let Some(endpoint) = self.sockets.get_mut(&socket) else { return };
        let sent = match &mut endpoint.socket {
            Socket::Tcp(Tcp::Stream(stream)) => {
                stream.send(number, report, transmit.payload, now);
                return self.write_stream(cx, socket);
            }
            Socket::Tcp(tcp) => tcp.send_unconnected(&transmit.payload),
            Socket::Udp(udp) => match udp.try_send(&transmit.payload, destination) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if udp.poll_send_ready(cx).is_ready() {
                        cx.waker().wake_by_ref();
                    }
                    self.blocked = Some(transmit);
                    return;
                }
                sent => sent,
            },
        };
        self.carrier.touch(now);
        self.handle_sent(socket, number, report, now, sent);
    }

    fn handle_sent(
        &mut self,
        socket: SocketId,
        number: Number,
        report: bool,
        sent_at: RelayTime,
        result: io::Result<usize>,
    ) {
        match result {
            Ok(bytes) if report => {
                let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
                self.session.handle_sent(Sent { socket, number, sent_at, bytes });
            }
            Ok(_) => {}
            Err(error) => self.session.handle_socket_error(
                socket,
                Some(number),
                Syscall::Send,
                socket_error(&error),
                sent_at,
            ),
        }
    }

    fn poll_later(&mut self, cx: &mut Context<'_>) -> bool {
        let mut any = false;
        while let Poll::Ready(Some(later)) = self.later.poll_next_unpin(cx) {
            any = true;
            let now = self.clock.now();
            match later {
                Later::Found(call, result) => self.session.handle_result(call, result, now),
                Later::Connected(call, socket, address, connected) => {
                    let result = self.connected(socket, address, connected);
                    let result = result.map_err(|error| socket_error(&error));
                    self.session.handle_result(call, result, now);
                }
                Later::Finished => self.finishing -= 1,
                Later::Rested(socket) => {
                    if let Some(endpoint) = self.sockets.get_mut(&socket) {
                        endpoint.rests = false;
                    }
                }
                Later::CalledOff => {}
                Later::TimedOut(call, socket) => {
                    let Some(endpoint) = self.sockets.get_mut(&socket) else { continue };
                    let before = endpoint.asked.len();
                    endpoint.asked.retain(|asked| asked.call != call);
                    if endpoint.asked.len() < before {
                        let error = SocketError::relay("TIMEOUT", "timed out");
                        self.session.handle_result(call, Err(error), now);
                    }
                }
            }
            self.perform_all(cx);
        }
        any
    }

    /// A connect that failed has used its socket up, and a new one takes its place: it can be tried
    /// again, as Linux lets a program do.
    fn connected(
        &mut self,
        socket: SocketId,
        address: SocketAddr,
        connected: io::Result<TcpStream>,
    ) -> io::Result<Outcome> {
        let endpoint = self.sockets.get_mut(&socket).ok_or_else(gone)?;
        let stream = match connected {
            Ok(connected) => Stream::new(connected, address)?,
            Err(error) => {
                endpoint.socket = Socket::Tcp(Tcp::open(family_of(address.ip()))?);
                return Err(error);
            }
        };
        let local = stream.local();
        endpoint.socket = Socket::Tcp(Tcp::Stream(stream));
        Ok(Outcome { local: Some(local), peer: Some(address), ..Outcome::default() })
    }

    /// Every socket has its turn. Whether there may be more.
    fn poll_sockets(&mut self, cx: &mut Context<'_>) -> bool {
        let mut more = false;
        let mut last = None;
        while let Some(id) = self.socket_after(last) {
            last = Some(id);
            more |= match &self.sockets[&id].socket {
                Socket::Udp(_) => self.receive_datagrams(cx, id),
                Socket::Tcp(Tcp::Listening(_)) => self.accept(cx, id),
                Socket::Tcp(Tcp::Stream(_)) => self.carry_stream(cx, id),
                Socket::Tcp(Tcp::Idle(_) | Tcp::Connecting) => false,
            };
        }
        more
    }

    fn socket_after(&self, last: Option<SocketId>) -> Option<SocketId> {
        let from = last.map_or(Bound::Unbounded, Bound::Excluded);
        self.sockets.range((from, Bound::Unbounded)).next().map(|(id, _)| *id)
    }

    /// Console lines wait at their server, within a bound of its own, until the client has read.
    fn poll_consoles(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(watch) = &mut self.watch else { return false };
        for _ in 0..NOTICE_BATCH {
            if self.carrier.outbox.is_over() {
                return false;
            }
            let Poll::Ready(notice) = watch.poll_notice(cx) else { return false };
            self.session.tell(match notice {
                Notice::Lines { server, lines, skipped } => {
                    Event::Console { server, lines, skipped }
                }
                Notice::Status(status) => Event::Server(status),
            });
        }
        true
    }

    fn pass_output(&mut self, now: RelayTime) {
        while let Some(output) = self.session.poll_output() {
            match output {
                Output::Keep(message) => {
                    let message = message.encode();
                    let bytes = message.len();
                    self.carrier.outbox.push(message, bytes);
                }
                Output::Datagram(datagram) => {
                    let payload_bytes = datagram.payload.len();
                    let message = ToClient::Datagram(datagram).encode();
                    self.carrier.outbox.push_datagram(message, payload_bytes, now);
                }
            }
        }
    }
}

impl Endpoint {
    fn new(socket: Socket) -> Self {
        Self {
            socket,
            buffer_bytes: LARGEST_DATAGRAM,
            mode: ReceiveMode::Arriving,
            asked: VecDeque::new(),
            rests: false,
            awaited: None,
        }
    }

    fn wants_more(&self) -> bool {
        self.mode == ReceiveMode::Arriving || !self.asked.is_empty()
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        self.0.abort();
    }
}

fn dropped_event(since_last: Dropped, in_all: Dropped) -> wire::Message {
    let Dropped { datagrams, bytes, aged } = since_last;
    ToClient::Event(Event::Dropped { datagrams, bytes, aged, total: in_all.datagrams }).encode()
}

/// What a call on a socket returns that was closed meanwhile.
fn gone() -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, "the socket was closed")
}

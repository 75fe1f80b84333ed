//! Another shell than the browser's: it keeps what the core wants done, and plays the relay.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use web::app::clock::WallClock;
use web::app::form::Field;
use web::app::log::RowView;
use web::app::{Copied, Effect, Event, Model, Start, View, update, view};
use wire::{
    Call, CallId, Datagram, Limits, Number, RelayTime, Role, Sent, ServerState, ServerStatus,
    SocketError, SocketId, ToClient, ToRelay, Transport, Welcome,
};

/// The relay's clock is so far ahead of the page's.
const AHEAD: Duration = Duration::from_secs(1_000);

pub(crate) fn address(text: &str) -> SocketAddr {
    text.parse().expect("the test gives an address")
}

pub(crate) fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn status(server: &str, transport: Transport, port: u16) -> ServerStatus {
    ServerStatus {
        server: server.to_owned(),
        transport,
        address: SocketAddr::from(([127, 0, 0, 1], port)),
        buffer_bytes: 1_024,
        state: ServerState::Running,
        note: None,
    }
}

pub(crate) struct Shell {
    pub(crate) model: Model,
    pub(crate) now: Duration,
    pub(crate) wake: Option<Duration>,
    pub(crate) connects: u32,
    pub(crate) marks: Vec<&'static str>,
    pub(crate) copies: Vec<(Copied, String)>,
    pub(crate) focused: Vec<Field>,
    said: Vec<ToRelay>,
    /// Bytes that the connection is said to hold back.
    pub(crate) buffered: usize,
}

impl Shell {
    /// A page that has been opened and has connected to no relay yet.
    pub(crate) fn opened() -> Self {
        let mut shell = Self {
            model: Model::default(),
            now: ms(100),
            wake: None,
            connects: 0,
            marks: Vec::new(),
            copies: Vec::new(),
            focused: Vec::new(),
            said: Vec::new(),
            buffered: 0,
        };
        shell.event(Event::Started(Start {
            host: "127.0.0.1".to_owned(),
            address: "127.0.0.1:8080".to_owned(),
            wall: WallClock::default(),
            seed: 42,
        }));
        shell
    }

    /// A page with a session.
    pub(crate) fn ready() -> Self {
        let mut shell = Self::opened();
        shell.welcome();
        let watch = shell.calls();
        assert!(matches!(watch[..], [Call::Watch { consoles: true, .. }]));
        shell
    }

    pub(crate) fn event(&mut self, event: Event) {
        for effect in update(&mut self.model, event, self.now) {
            match effect {
                Effect::Connect => self.connects += 1,
                Effect::Disconnect => {}
                Effect::Transmit(message) => {
                    self.said.push(ToRelay::decode(message).expect("the page speaks the protocol"));
                }
                Effect::WakeAt(at) => self.wake = at,
                Effect::Copy(what, text) => self.copies.push((what, text)),
                Effect::Focus(field) => self.focused.push(field),
                Effect::Mark(name) => self.marks.push(name),
            }
        }
    }

    /// Time goes on, and the core is woken whenever it asked for it.
    pub(crate) fn wait(&mut self, time: Duration) {
        let end = self.now + time;
        for _ in 0..1_000_000 {
            match self.wake.filter(|at| *at <= end) {
                None => {
                    self.now = end;
                    return;
                }
                Some(at) => {
                    // A frame takes its time, so that a wake at once is a later one.
                    self.now = at.max(self.now + ms(1)).min(end.max(self.now));
                    self.wake = None;
                    self.tick();
                    if self.now >= end {
                        return;
                    }
                }
            }
        }
        panic!("the core wants to be woken without end");
    }

    pub(crate) fn tick(&mut self) {
        self.event(Event::Tick { buffered: self.buffered, unread: 0 });
    }

    pub(crate) fn typed(&mut self, field: Field, text: &str) {
        self.event(Event::Typed(field, text.to_owned()));
    }

    pub(crate) fn relay_now(&self) -> RelayTime {
        RelayTime(self.now + AHEAD)
    }

    pub(crate) fn hear(&mut self, message: &ToClient) {
        self.event(Event::Arrived(message.encode()));
    }

    pub(crate) fn hear_event(&mut self, event: wire::Event) {
        self.hear(&ToClient::Event(event));
    }

    pub(crate) fn welcome(&mut self) {
        self.welcome_with(None);
    }

    pub(crate) fn welcome_with(&mut self, sends_per_second: Option<u32>) {
        let welcome = Welcome {
            protocol: wire::SUBPROTOCOL.to_owned(),
            relay: "0.1.0".to_owned(),
            os: "linux".to_owned(),
            session: "s1".to_owned(),
            role: Role::Teacher,
            now_ns: self.relay_now(),
            limits: Limits {
                sockets: 64,
                calls: 1_024,
                payload_bytes_ipv4: 65_507,
                payload_bytes_ipv6: 65_527,
                sends_per_second,
                queue_bytes: 1 << 20,
                queue_age_ms: 250,
                idle_seconds: 600,
            },
            permitted: vec!["loopback".to_owned()],
            servers: vec![
                status("hello", Transport::Udp, 20_001),
                status("ack", Transport::Udp, 9_999),
                status("ack-tcp", Transport::Tcp, 9_999),
                status("counter", Transport::Udp, 9_998),
            ],
        };
        self.hear_event(wire::Event::Welcome(Box::new(welcome)));
    }

    /// What the page said since this was last asked: its calls.
    pub(crate) fn calls(&mut self) -> Vec<Call> {
        let (calls, sends) = std::mem::take(&mut self.said)
            .into_iter()
            .partition::<Vec<_>, _>(|said| matches!(said, ToRelay::Call(_)));
        self.said = sends;
        calls
            .into_iter()
            .filter_map(|said| match said {
                ToRelay::Call(call) => Some(call),
                ToRelay::Send(_) => None,
            })
            .collect()
    }

    /// What the page said since this was last asked: its sends.
    pub(crate) fn sends(&mut self) -> Vec<wire::Send> {
        let (sends, calls) = std::mem::take(&mut self.said)
            .into_iter()
            .partition::<Vec<_>, _>(|said| matches!(said, ToRelay::Send(_)));
        self.said = calls;
        sends
            .into_iter()
            .filter_map(|said| match said {
                ToRelay::Send(send) => Some(send),
                ToRelay::Call(_) => None,
            })
            .collect()
    }

    /// Everything that the page said, in order.
    pub(crate) fn said(&mut self) -> Vec<ToRelay> {
        std::mem::take(&mut self.said)
    }

    pub(crate) fn done_at(&mut self, call: &Call, local: Option<SocketAddr>) {
        self.hear_event(wire::Event::Done {
            call: call.id(),
            local,
            peer: None,
            addresses: Vec::new(),
            value: None,
        });
    }

    pub(crate) fn resolved(&mut self, call: CallId, addresses: &[&str]) {
        self.hear_event(wire::Event::Done {
            call,
            local: None,
            peer: None,
            addresses: addresses.iter().map(|text| address(text)).collect(),
            value: None,
        });
    }

    pub(crate) fn refuse(&mut self, call: &Call, error: SocketError) {
        self.hear_event(wire::Event::Failed { call: Some(call.id()), error });
    }

    pub(crate) fn report(&mut self, send: &wire::Send) {
        self.hear(&ToClient::Sent(Sent {
            socket: send.socket,
            number: send.number,
            sent_at: self.relay_now(),
            bytes: u32::try_from(send.payload.len()).expect("small"),
        }));
    }

    pub(crate) fn receive(&mut self, socket: SocketId, source: &str, payload: &[u8]) {
        let at = self.relay_now();
        self.receive_at(socket, source, payload, at);
    }

    pub(crate) fn receive_at(
        &mut self,
        socket: SocketId,
        source: &str,
        payload: &[u8],
        at: RelayTime,
    ) {
        self.hear(&ToClient::Datagram(Datagram {
            socket,
            transport: Transport::Udp,
            source: address(source),
            received_at: at,
            size: u32::try_from(payload.len()).expect("small"),
            payload: Bytes::copy_from_slice(payload),
        }));
    }

    pub(crate) fn stream(&mut self, socket: SocketId, source: &str, payload: &[u8]) {
        self.hear(&ToClient::Datagram(Datagram {
            socket,
            transport: Transport::Tcp,
            source: address(source),
            received_at: self.relay_now(),
            size: u32::try_from(payload.len()).expect("small"),
            payload: Bytes::copy_from_slice(payload),
        }));
    }

    pub(crate) fn send_error(&mut self, socket: SocketId, number: Option<Number>, name: &str) {
        let on = if number.is_some() { wire::Syscall::Send } else { wire::Syscall::Recv };
        self.hear_event(wire::Event::Error {
            socket,
            number,
            on,
            at_ns: self.relay_now(),
            error: system(name),
        });
    }

    /// Presses Send, lets the relay take the one datagram, and gives it back.
    pub(crate) fn send_once(&mut self) -> wire::Send {
        self.send_once_from("0.0.0.0:53122")
    }

    /// The same, from a socket whose own address is said to be `local`.
    pub(crate) fn send_once_from(&mut self, local: &str) -> wire::Send {
        self.event(Event::Send);
        for call in self.calls() {
            let is_name = matches!(call, Call::Getsockname { .. });
            self.done_at(&call, is_name.then(|| address(local)));
        }
        let mut sends = self.sends();
        assert_eq!(sends.len(), 1, "one press, one datagram");
        let send = sends.remove(0);
        self.report(&send);
        send
    }

    pub(crate) fn view(&self) -> View {
        view(&self.model, self.now)
    }

    pub(crate) fn rows(&self) -> Vec<RowView> {
        self.model.rows(0..usize::MAX).collect()
    }

    /// What stands beside a field.
    pub(crate) fn error(&self, field: Field) -> Option<String> {
        self.view().fields.errors.iter().find(|(of, _)| *of == field)?.1.clone()
    }
}

pub(crate) fn system(name: &str) -> SocketError {
    SocketError {
        origin: wire::Origin::System,
        name: name.to_owned(),
        code: Some(111),
        message: "the system says so".to_owned(),
        advice: None,
    }
}

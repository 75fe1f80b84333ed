//! A client of the lab session, on the messages of the crate `wire`.

use std::collections::VecDeque;
use std::net::SocketAddr;

use bytes::Bytes;
use tokio_tungstenite::tungstenite;
use wire::{
    Call, CallId, Datagram, Event, Family, Kind, Message, Number, ReceiveMode, SUBPROTOCOL, Send,
    Sent, ServerAction, SocketError, SocketId, Syscall, ToClient, ToRelay, Welcome,
};

use crate::web::Client;

/// A lab session.
pub(crate) struct Lab {
    pub(crate) client: Client,
    pub(crate) welcome: Welcome,
    /// What has come and nobody has asked for.
    waiting: VecDeque<ToClient>,
    calls: u32,
}

/// What a call returned.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Done {
    pub(crate) local: Option<SocketAddr>,
    pub(crate) peer: Option<SocketAddr>,
    pub(crate) addresses: Vec<SocketAddr>,
    pub(crate) value: Option<u32>,
}

impl Lab {
    pub(crate) fn open(relay: SocketAddr) -> Self {
        Self::over(Client::open(relay, "/lab", Some(SUBPROTOCOL)))
    }

    pub(crate) fn over(client: Client) -> Self {
        let mut client = client;
        let ToClient::Event(Event::Welcome(welcome)) = read(&mut client) else {
            panic!("a session begins with `welcome`")
        };
        Self { client, welcome: *welcome, waiting: VecDeque::new(), calls: 0 }
    }

    /// Makes a call without waiting for its answer.
    pub(crate) fn call(&mut self, make: impl FnOnce(CallId) -> Call) -> CallId {
        self.calls += 1;
        let call = CallId(self.calls);
        self.say(&ToRelay::Call(make(call)));
        call
    }

    pub(crate) fn say(&mut self, message: &ToRelay) {
        match message.encode() {
            Message::Text(text) => self.client.send_text(&text),
            Message::Binary(bytes) => self.client.send(bytes),
        }
    }

    /// The first message, of those that came already and those to come, of which `pick` makes
    /// something.
    pub(crate) fn until<T>(
        &mut self,
        what: &str,
        mut pick: impl FnMut(&ToClient) -> Option<T>,
    ) -> T {
        for index in 0..self.waiting.len() {
            if let Some(found) = pick(&self.waiting[index]) {
                self.waiting.remove(index);
                return found;
            }
        }
        loop {
            let message = read(&mut self.client);
            if let Some(found) = pick(&message) {
                return found;
            }
            let over = matches!(&message, ToClient::Event(Event::Closing { .. }));
            assert!(!over, "{what} did not come before {message:?}");
            self.waiting.push_back(message);
        }
    }

    /// Everything that has come so far and nobody has asked for.
    pub(crate) fn waiting(&self) -> impl Iterator<Item = &ToClient> {
        self.waiting.iter()
    }

    pub(crate) fn answer(&mut self, wanted: CallId) -> Result<Done, SocketError> {
        self.until(&format!("the answer to call {wanted}"), |message| match message {
            ToClient::Event(Event::Done { call, local, peer, addresses, value })
                if *call == wanted =>
            {
                let (local, peer, value) = (*local, *peer, *value);
                Some(Ok(Done { local, peer, addresses: addresses.clone(), value }))
            }
            ToClient::Event(Event::Failed { call, error }) if *call == Some(wanted) => {
                Some(Err(error.clone()))
            }
            _ => None,
        })
    }

    pub(crate) fn done(&mut self, call: CallId) -> Done {
        self.answer(call).unwrap_or_else(|error| panic!("call {call}: {error}"))
    }

    /// Makes a call and waits for its answer.
    pub(crate) fn ask(&mut self, make: impl FnOnce(CallId) -> Call) -> Result<Done, SocketError> {
        let call = self.call(make);
        self.answer(call)
    }

    pub(crate) fn udp(&mut self, socket: u32) {
        self.socket(socket, Kind::Udp, Family::Ipv4);
    }

    pub(crate) fn tcp(&mut self, socket: u32) {
        self.socket(socket, Kind::Tcp, Family::Ipv4);
    }

    pub(crate) fn socket(&mut self, socket: u32, kind: Kind, family: Family) {
        let socket = SocketId(socket);
        self.ask(|call| Call::Open { call, socket, kind, family }).expect("a new socket");
    }

    pub(crate) fn bind(
        &mut self,
        socket: u32,
        address: SocketAddr,
    ) -> Result<SocketAddr, SocketError> {
        let (socket, host, port) = (SocketId(socket), address.ip().to_string(), address.port());
        let done = self.ask(|call| Call::Bind { call, socket, host, port })?;
        Ok(done.local.expect("bind gives an address"))
    }

    pub(crate) fn connect(
        &mut self,
        socket: u32,
        address: SocketAddr,
    ) -> Result<Done, SocketError> {
        let (socket, host, port) = (SocketId(socket), address.ip().to_string(), address.port());
        self.ask(|call| Call::Connect { call, socket, host, port })
    }

    pub(crate) fn receive(&mut self, socket: u32, buffer_bytes: u32, mode: ReceiveMode) {
        let socket = SocketId(socket);
        let set = self.ask(|call| Call::Receive { call, socket, buffer_bytes, mode });
        set.expect("a buffer");
    }

    /// `recvfrom` in the mode `asked`.
    pub(crate) fn recvfrom(&mut self, socket: u32) -> Result<Datagram, SocketError> {
        let id = SocketId(socket);
        let call = self.call(|call| Call::Recvfrom { call, socket: id });
        self.answer(call)?;
        Ok(self.datagram(socket))
    }

    pub(crate) fn close(&mut self, socket: u32) {
        let socket = SocketId(socket);
        self.ask(|call| Call::Close { call, socket }).expect("an open socket");
    }

    /// `send` or `sendto`, with a report.
    pub(crate) fn send(
        &mut self,
        socket: u32,
        number: u32,
        destination: Option<SocketAddr>,
        payload: impl Into<Bytes>,
    ) {
        let (socket, number, payload) = (SocketId(socket), Number(number), payload.into());
        self.say(&ToRelay::Send(Send { socket, number, destination, report: true, payload }));
    }

    /// What a send returned.
    pub(crate) fn sent(&mut self, wanted: u32) -> Result<Sent, SocketError> {
        let wanted = Number(wanted);
        self.until(&format!("the outcome of send {wanted}"), |message| match message {
            ToClient::Sent(sent) if sent.number == wanted => Some(Ok(*sent)),
            ToClient::Event(Event::Error { number, on: Syscall::Send, error, .. })
                if *number == Some(wanted) =>
            {
                Some(Err(error.clone()))
            }
            _ => None,
        })
    }

    /// The name of a send's error, or the bytes that it took.
    pub(crate) fn outcome(&mut self, number: u32) -> Result<u32, String> {
        self.sent(number).map(|sent| sent.bytes).map_err(|error| error.name)
    }

    /// The next datagram of a socket.
    pub(crate) fn datagram(&mut self, socket: u32) -> Datagram {
        self.until(&format!("a datagram on socket {socket}"), |message| match message {
            ToClient::Datagram(datagram) if datagram.socket == SocketId(socket) => {
                Some(datagram.clone())
            }
            _ => None,
        })
    }

    /// The next error that a receive call on a socket returned.
    pub(crate) fn receive_error(&mut self, wanted: u32) -> SocketError {
        self.until(&format!("an error on socket {wanted}"), |message| match message {
            ToClient::Event(Event::Error { socket, on: Syscall::Recv, error, .. })
                if *socket == SocketId(wanted) =>
            {
                Some(error.clone())
            }
            _ => None,
        })
    }

    pub(crate) fn control(&mut self, server: &str, action: ServerAction) {
        let server = server.to_owned();
        self.ask(|call| Call::Server { call, server, action }).expect("a known server");
    }
}

fn read(client: &mut Client) -> ToClient {
    loop {
        let message = match client.next() {
            Ok(tungstenite::Message::Text(text)) => Message::Text(text.as_str().to_owned()),
            Ok(tungstenite::Message::Binary(bytes)) => Message::Binary(bytes),
            Ok(tungstenite::Message::Ping(_) | tungstenite::Message::Pong(_)) => continue,
            other => panic!("the session has ended: {other:?}"),
        };
        return ToClient::decode(message).expect("the relay keeps to its protocol");
    }
}

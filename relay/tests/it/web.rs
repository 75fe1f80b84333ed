//! HTTP requests to the relay and WebSocket connections, of a client that shares no code with it.

use std::collections::HashMap;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};

use tokio_tungstenite::tungstenite::client::{ClientRequestBuilder, client};
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::{Error, Message, WebSocket};

use crate::program::DEADLINE;

/// The headers of a WebSocket handshake, the key as in RFC 6455 §1.3.
pub(crate) const HANDSHAKE: &str = "Upgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n";

/// An answer to a request.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HashMap<String, String>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

pub(crate) fn connection(relay: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(relay).expect("the relay accepts");
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    stream.set_write_timeout(Some(DEADLINE)).unwrap();
    stream
}

/// A request with the right `Host`.
pub(crate) fn get(relay: SocketAddr, path: &str, headers: &str) -> Answer {
    raw(relay, &format!("GET {path} HTTP/1.1\r\nHost: {relay}\r\n{headers}\r\n"))
}

/// A WebSocket handshake with the right `Host`, that is expected to be refused.
pub(crate) fn refused(relay: SocketAddr, path: &str, headers: &str) -> Answer {
    let answer = get(relay, path, &format!("{HANDSHAKE}{headers}"));
    assert!(answer.status >= 400, "{path} was not refused: {answer:?}");
    answer
}

pub(crate) fn raw(relay: SocketAddr, request: &str) -> Answer {
    let mut stream = connection(relay);
    stream.write_all(request.as_bytes()).expect("the relay reads");
    read_answer(&mut stream)
}

fn read_answer(stream: &mut TcpStream) -> Answer {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).expect("an answer");
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).expect("a head is ASCII");
    let mut lines = head.lines();
    let status = lines.next().and_then(|line| line.split(' ').nth(1)).expect("a status line");
    let headers: HashMap<_, _> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    let length = headers.get("content-length").map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    stream.read_exact(&mut body).expect("the body");
    Answer { status: status.parse().expect("a status"), headers, body }
}

/// A WebSocket to the relay.
pub(crate) struct Client {
    pub(crate) socket: WebSocket<TcpStream>,
    /// Pings since anything else came.
    pings: u32,
}

impl Client {
    /// The raw bridge to `target`.
    pub(crate) fn bridge(relay: SocketAddr, target: SocketAddr) -> Self {
        Self::open(relay, &format!("/udp/{}/{}", target.ip(), target.port()), None)
    }

    pub(crate) fn open(relay: SocketAddr, path: &str, subprotocol: Option<&str>) -> Self {
        Self::over(connection(relay), relay, path, subprotocol)
    }

    /// Over a connection that the test made.
    pub(crate) fn over(
        stream: TcpStream,
        relay: SocketAddr,
        path: &str,
        subprotocol: Option<&str>,
    ) -> Self {
        let uri = format!("ws://{relay}{path}").parse().expect("a URI");
        let mut request = ClientRequestBuilder::new(uri);
        if let Some(name) = subprotocol {
            request = request.with_sub_protocol(name);
        }
        match client(request, stream) {
            Ok((socket, _)) => Self { socket, pings: 0 },
            Err(error) => panic!("{path}: {error}"),
        }
    }

    pub(crate) fn send(&mut self, payload: impl Into<Vec<u8>>) {
        self.socket.send(Message::binary(payload.into())).expect("the relay reads");
    }

    pub(crate) fn send_text(&mut self, text: &str) {
        self.socket.send(Message::text(text)).expect("the relay reads");
    }

    /// One frame as it is, for messages of many frames.
    pub(crate) fn send_frame(&mut self, frame: Frame) {
        self.socket.send(Message::Frame(frame)).expect("the relay reads");
    }

    /// The next message, pings and pongs among them.
    pub(crate) fn next(&mut self) -> Result<Message, Error> {
        let message = self.socket.read();
        // A ping now and then does not make a client wait for ever.
        let is_ping = matches!(message, Ok(Message::Ping(_)));
        self.pings = if is_ping { self.pings + 1 } else { 0 };
        assert!(self.pings < 3, "only pings came from the relay");
        if let Err(Error::Io(error)) = &message
            && matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
        {
            panic!("nothing came from the relay");
        }
        message
    }

    /// The next datagram.
    pub(crate) fn receive(&mut self) -> Vec<u8> {
        loop {
            match self.next() {
                Ok(Message::Binary(payload)) => return payload.to_vec(),
                Ok(Message::Ping(_) | Message::Pong(_)) => {}
                other => panic!("instead of a datagram: {other:?}"),
            }
        }
    }

    /// Reads until the relay closes; its code and reason.
    pub(crate) fn closed(&mut self) -> (u16, String) {
        loop {
            match self.next() {
                Ok(Message::Close(Some(frame))) => {
                    return (frame.code.into(), frame.reason.to_string());
                }
                Ok(Message::Close(None)) => panic!("closed without a code"),
                Ok(_) => {}
                Err(error) => panic!("instead of a close frame: {error}"),
            }
        }
    }
}

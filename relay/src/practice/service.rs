//! What each practice server does with a payload. It has no socket and no clock: a payload and its
//! source in, printed lines and the reply out.

use std::fmt;
use std::net::SocketAddr;

use super::Program;
use super::counter::Counter;
use super::repr::{PyAddress, PyBytes};

/// Where a program's lines go. What they say is only formatted if the sink does so.
pub(super) type Print<'a> = dyn FnMut(fmt::Arguments<'_>) + 'a;

const HELLO_REPLY: &[u8] = b"Hello UDP Client";
const ACK_PREFIX: &[u8] = b"ack:";

/// A practice program's state, from its start to its stop.
pub(super) enum Service {
    Hello,
    Ack,
    AckTcp,
    Counter(Counter),
}

impl Service {
    /// A program that has just been started, with nothing remembered.
    pub(super) fn new(program: Program) -> Self {
        match program {
            Program::Hello => Self::Hello,
            Program::Ack => Self::Ack,
            Program::AckTcp => Self::AckTcp,
            Program::Counter => Self::Counter(Counter::default()),
        }
    }

    /// What the program prints once it listens.
    pub(super) fn greet(&self, address: SocketAddr, print: &mut Print<'_>) {
        match self {
            Self::Hello => print(format_args!("UDP server up and listening")),
            Self::Ack => print(format_args!("ack server listening on udp {address}")),
            Self::AckTcp => print(format_args!("ack server listening on tcp {address}")),
            Self::Counter(_) => {
                print(format_args!("counter server listening on udp {address}, total 0"));
            }
        }
    }

    /// Takes what one `recvfrom` or `recv` returned, and gives the reply.
    pub(super) fn handle(
        &mut self,
        source: SocketAddr,
        payload: &[u8],
        print: &mut Print<'_>,
    ) -> Vec<u8> {
        let (size, from, bytes) = (payload.len(), PyAddress(source), PyBytes(payload));
        match self {
            Self::Hello => {
                print(format_args!("Message from Client:{bytes}"));
                print(format_args!("Client IP Address:{from}"));
                HELLO_REPLY.to_vec()
            }
            Self::Ack => {
                print(format_args!("received {size} bytes from {from}: {bytes}"));
                [ACK_PREFIX, payload].concat()
            }
            Self::AckTcp => {
                print(format_args!("recv returned {size} bytes from {from}: {bytes}"));
                [ACK_PREFIX, payload].concat()
            }
            Self::Counter(counter) => counter.handle(source, payload, print).into_bytes(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn handled(program: Program, payload: &[u8]) -> (Vec<String>, Vec<u8>) {
        let source = "127.0.0.1:50312".parse().unwrap();
        let mut lines = Vec::new();
        let reply =
            Service::new(program).handle(source, payload, &mut |line| lines.push(line.to_string()));
        (lines, reply)
    }

    #[test]
    fn hello_prints_the_lessons_two_lines() {
        let (lines, reply) = handled(Program::Hello, b"Hello UDP Server");
        assert_eq!(
            lines,
            ["Message from Client:b'Hello UDP Server'", "Client IP Address:('127.0.0.1', 50312)"]
        );
        assert_eq!(reply, b"Hello UDP Client");
    }

    #[test]
    fn ack_answers_with_the_bytes_it_got() {
        let (lines, reply) = handled(Program::Ack, b"\xff\xfe");
        assert_eq!(lines, [r"received 2 bytes from ('127.0.0.1', 50312): b'\xff\xfe'"]);
        assert_eq!(reply, b"ack:\xff\xfe");
        assert_eq!(handled(Program::Ack, b"").1, b"ack:");
    }

    #[test]
    fn ack_over_tcp_names_each_recv() {
        let (lines, reply) = handled(Program::AckTcp, b"onetwothree");
        assert_eq!(lines, ["recv returned 11 bytes from ('127.0.0.1', 50312): b'onetwothree'"]);
        assert_eq!(reply, b"ack:onetwothree");
    }

    #[test]
    fn hello_greets_as_the_lesson_does() {
        let mut lines = Vec::new();
        Service::Hello.greet("127.0.0.1:20001".parse().unwrap(), &mut |line| {
            lines.push(line.to_string());
        });
        assert_eq!(lines, ["UDP server up and listening"]);
    }
}

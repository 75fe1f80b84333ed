//! The lab session's TCP sockets, on the kernel's own TCP with native programs at the other end.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use socket2::{Domain, SockAddr, SockRef, Socket, Type};
use wire::{Call, Event, Half, ReceiveMode, SocketId, SocketOption, ToClient, Transport};

use crate::lab_client::Lab;
use crate::native::{closed_port, own_address};
use crate::program::DEADLINE;
use crate::relay_program::Relay;

const SOCKET: SocketId = SocketId(1);

fn timed(stream: TcpStream) -> TcpStream {
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    stream
}

/// A lab socket 1 that is connected to a native program.
fn connected(relay: &Relay) -> (Lab, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut lab = Lab::open(relay.address);
    lab.tcp(1);
    let done = lab.connect(1, listener.local_addr().unwrap()).unwrap();
    let (native, peer) = listener.accept().unwrap();
    assert_eq!(done.local, Some(peer));
    (lab, timed(native))
}

/// All that comes on a socket until it has `length` bytes.
fn stream_bytes(lab: &mut Lab, socket: u32, length: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while bytes.len() < length {
        let received = lab.datagram(socket);
        assert_eq!(received.transport, Transport::Tcp);
        bytes.extend_from_slice(&received.payload);
    }
    bytes
}

fn end_of_stream(lab: &mut Lab, wanted: u32) {
    lab.until("the end of the stream", |message| match message {
        ToClient::Event(Event::EndOfStream { socket, .. }) if *socket == SocketId(wanted) => {
            Some(())
        }
        _ => None,
    });
}

fn accepted(lab: &mut Lab) -> (u32, SocketAddr) {
    lab.until("a connection", |message| match message {
        ToClient::Event(Event::Accepted { listener: SOCKET, socket, peer, .. }) => {
            Some((socket.0, *peer))
        }
        _ => None,
    })
}

#[test]
fn bytes_go_both_ways_and_their_messages_are_not_kept_apart() {
    let relay = Relay::plain();
    let (mut lab, mut native) = connected(&relay);
    for (number, text) in (0..).zip(["one", "two", "three", ""]) {
        lab.send(1, number, None, text);
        assert_eq!(lab.outcome(number), Ok(u32::try_from(text.len()).unwrap()));
    }
    let mut received = [0; 11];
    native.read_exact(&mut received).unwrap();
    assert_eq!(&received, b"onetwothree");
    native.write_all(b"ack:").unwrap();
    native.write_all(b"onetwothree").unwrap();
    assert_eq!(stream_bytes(&mut lab, 1, 15), b"ack:onetwothree");
}

#[test]
fn a_megabyte_arrives_whole_both_ways() {
    let relay = Relay::plain();
    let (mut lab, mut native) = connected(&relay);
    let megabyte: Vec<u8> = (0..1_000_000_u32).map(|n| u8::try_from(n % 253).unwrap()).collect();
    let sending = megabyte.clone();
    let mut sender = native.try_clone().unwrap();
    let native_sends = std::thread::spawn(move || sender.write_all(&sending));
    assert!(stream_bytes(&mut lab, 1, megabyte.len()) == megabyte);
    native_sends.join().unwrap().unwrap();
    for (number, part) in (0..).zip(megabyte.chunks(50_000)) {
        lab.send(1, number, None, part.to_vec());
    }
    let mut received = vec![0; megabyte.len()];
    native.read_exact(&mut received).unwrap();
    assert!(received == megabyte);
}

#[test]
fn shutdown_is_seen_as_the_end_of_the_stream() {
    let relay = Relay::plain();
    let (mut lab, mut native) = connected(&relay);
    lab.send(1, 1, None, "last words");
    lab.ask(|call| Call::Shutdown { call, socket: SOCKET, how: Half::Write }).unwrap();
    let mut heard = String::new();
    native.read_to_string(&mut heard).unwrap();
    assert_eq!(heard, "last words");
    native.write_all(b"still open this way").unwrap();
    native.shutdown(Shutdown::Write).unwrap();
    assert_eq!(stream_bytes(&mut lab, 1, 19), b"still open this way");
    end_of_stream(&mut lab, 1);
    lab.send(1, 2, None, "after all");
    assert_eq!(lab.outcome(2), Err("EPIPE".to_owned()));
}

#[test]
fn each_recvfrom_is_answered_at_the_end_of_a_stream_too() {
    let relay = Relay::plain();
    let (mut lab, native) = connected(&relay);
    lab.receive(1, 100, ReceiveMode::Asked);
    drop(native);
    for _ in 0..3 {
        lab.ask(|call| Call::Recvfrom { call, socket: SOCKET }).unwrap();
        end_of_stream(&mut lab, 1);
    }
}

#[test]
fn a_connection_that_was_closed_while_it_was_made_does_not_meet_a_later_socket() {
    let relay = Relay::plain();
    let mut lab = Lab::open(relay.address);
    let listener = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    listener.bind(&SockAddr::from(SocketAddr::from((own_address(), 0)))).unwrap();
    listener.listen(0).unwrap();
    let listener = TcpListener::from(listener);
    let target = listener.local_addr().unwrap();
    // Its queue is full with one connection: the handshakes of others wait.
    let _first = TcpStream::connect(target).unwrap();
    let connect = |lab: &mut Lab, socket| {
        lab.tcp(socket);
        let (socket, host, port) = (SocketId(socket), target.ip().to_string(), target.port());
        lab.call(|call| Call::Connect { call, socket, host, port })
    };
    let closed = connect(&mut lab, 1);
    let witness = connect(&mut lab, 2);
    lab.close(1);
    assert_eq!(lab.answer(closed).unwrap_err().name, "NO_SUCH_SOCKET");
    lab.udp(1);
    let own = lab.bind(1, SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    std::thread::spawn(move || listener.incoming().for_each(drop));
    lab.done(witness);
    let local = lab.ask(|call| Call::Getsockname { call, socket: SOCKET }).unwrap().local;
    assert_eq!(local, Some(own));
    lab.send(1, 1, Some(own), "to itself");
    assert_eq!(lab.datagram(1).transport, Transport::Udp);
}

#[test]
fn closed_streams_that_still_send_are_bounded() {
    /// More than the two systems' buffers hold, as they are set here.
    const PAYLOAD_BYTES: usize = 200_000;
    let relay = Relay::plain();
    let mut lab = Lab::open(relay.address);
    let listener = TcpListener::bind((own_address(), 0)).unwrap();
    SockRef::from(&listener).set_recv_buffer_size(4_096).unwrap();
    let started = Instant::now();
    for socket in 1..=9 {
        lab.tcp(socket);
        let option = SocketOption::SendBuffer;
        let socket_id = SocketId(socket);
        lab.ask(|call| Call::Setsockopt { call, socket: socket_id, option, value: 4_096 }).unwrap();
        lab.connect(socket, listener.local_addr().unwrap()).unwrap();
        lab.send(socket, socket, None, vec![0; PAYLOAD_BYTES]);
        lab.close(socket);
    }
    let waited = started.elapsed();
    assert!(waited > Duration::from_secs(4), "the ninth waits for another to give up: {waited:?}");
}

#[test]
fn a_reset_is_named() {
    let relay = Relay::plain();
    let (mut lab, native) = connected(&relay);
    lab.send(1, 1, None, "never read");
    lab.sent(1).unwrap();
    SockRef::from(&native).set_linger(Some(std::time::Duration::ZERO)).unwrap();
    drop(native);
    let error = lab.receive_error(1);
    assert_eq!((error.name.as_str(), error.code), ("ECONNRESET", Some(104)));
    lab.send(1, 2, None, "to nobody");
    assert_eq!(lab.outcome(2), Err("EPIPE".to_owned()));
    lab.close(1);
}

#[test]
fn a_listener_accepts_native_programs() {
    let relay = Relay::plain();
    let mut lab = Lab::open(relay.address);
    lab.tcp(1);
    let own = SocketAddr::from((own_address(), 9_999));
    assert_eq!(lab.bind(1, own), Ok(own));
    let listening = lab.ask(|call| Call::Listen { call, socket: SOCKET, backlog: 8 }).unwrap();
    assert_eq!(listening.local, Some(own));
    for round in 0..2 {
        let mut native = timed(TcpStream::connect(own).unwrap());
        let (socket, peer) = accepted(&mut lab);
        assert!(socket >= SocketId::FIRST_ACCEPTED);
        assert_eq!(peer, native.local_addr().unwrap());
        native.write_all(b"hello").unwrap();
        assert_eq!(stream_bytes(&mut lab, socket, 5), b"hello");
        lab.send(socket, round, None, "ack:hello");
        let mut reply = [0; 9];
        native.read_exact(&mut reply).unwrap();
        assert_eq!(&reply, b"ack:hello");
        lab.close(socket);
        assert_eq!(native.read(&mut reply).unwrap(), 0);
    }
    lab.close(1);
    assert!(TcpStream::connect(own).is_err(), "a closed listener accepts no one");
}

#[cfg(target_os = "linux")]
#[test]
fn a_listen_that_fails_can_be_tried_again() {
    let relay = Relay::plain();
    let mut lab = Lab::open(relay.address);
    let own = SocketAddr::from((own_address(), 9_999));
    let listen = |lab: &mut Lab, socket| {
        let socket = SocketId(socket);
        lab.ask(|call| Call::Listen { call, socket, backlog: 8 }).map(|done| done.local)
    };
    for socket in [1, 2] {
        lab.tcp(socket);
        assert_eq!(lab.bind(socket, own), Ok(own));
    }
    assert_eq!(listen(&mut lab, 1), Ok(Some(own)));
    assert_eq!(listen(&mut lab, 2).unwrap_err().name, "EADDRINUSE");
    lab.close(1);
    assert_eq!(listen(&mut lab, 2), Ok(Some(own)));
}

#[test]
fn two_lab_sockets_talk_to_each_other() {
    let relay = Relay::plain();
    let mut lab = Lab::open(relay.address);
    lab.tcp(1);
    lab.tcp(2);
    let own = lab.bind(1, "127.0.0.1:0".parse().unwrap()).unwrap();
    lab.ask(|call| Call::Listen { call, socket: SOCKET, backlog: 1 }).unwrap();
    let option = SocketOption::NoDelay;
    let nodelay = |call| Call::Setsockopt { call, socket: SocketId(2), option, value: 1 };
    assert_eq!(lab.ask(nodelay).unwrap().value, Some(1));
    lab.connect(2, own).unwrap();
    let (socket, _) = accepted(&mut lab);
    lab.send(2, 1, None, "to myself");
    assert_eq!(stream_bytes(&mut lab, socket, 9), b"to myself");
    lab.close(2);
    end_of_stream(&mut lab, socket);
}

#[test]
fn a_connection_that_nobody_takes_is_refused() {
    let relay = Relay::plain();
    let mut lab = Lab::open(relay.address);
    lab.tcp(1);
    let address = closed_port();
    let refused = lab.connect(1, address).unwrap_err();
    assert_eq!((refused.name.as_str(), refused.code), ("ECONNREFUSED", Some(111)));
    lab.send(1, 1, None, "to nobody");
    assert_eq!(lab.outcome(1), Err("EPIPE".to_owned()));
    let _listener = TcpListener::bind(address).unwrap();
    assert_eq!(lab.connect(1, address).unwrap().peer, Some(address));
}

#[test]
fn a_stream_that_is_not_connected_has_the_systems_errors() {
    let relay = Relay::plain();
    let mut lab = Lab::open(relay.address);
    lab.tcp(1);
    lab.send(1, 1, None, "too early");
    assert_eq!(lab.outcome(1), Err("EPIPE".to_owned()));
    lab.receive(1, 100, ReceiveMode::Asked);
    let recvfrom = |call| Call::Recvfrom { call, socket: SOCKET };
    assert_eq!(lab.ask(recvfrom).unwrap_err().name, "ENOTCONN");
    let early = lab.ask(|call| Call::Shutdown { call, socket: SOCKET, how: Half::Both });
    assert_eq!(early.unwrap_err().name, "ENOTCONN");
    lab.ask(recvfrom).unwrap();
    end_of_stream(&mut lab, 1);
}

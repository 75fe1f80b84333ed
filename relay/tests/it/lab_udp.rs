//! The lab session's UDP sockets: connected, unconnected and bound, names, sources, sizes, times.

use std::net::{SocketAddr, ToSocketAddrs};

use bytes::Bytes;
use wire::{
    Call, Family, Kind, Number, ReceiveMode, Role, SUBPROTOCOL, Send, SocketId, SocketOption,
    ToClient, ToRelay,
};

use crate::lab_client::Lab;
use crate::native::{Echo, any_udp, is_silent, own_address, receive, udp};
use crate::program::python;
use crate::relay_program::Relay;

const SOCKET: SocketId = SocketId(1);

#[test]
fn welcome_says_who_and_what() {
    let relay = Relay::plain();
    let welcome = Lab::open(relay.address).welcome;
    assert_eq!(welcome.protocol, SUBPROTOCOL);
    assert_eq!(welcome.os, std::env::consts::OS);
    assert_eq!(welcome.role, Role::Teacher);
    assert_eq!(welcome.permitted, ["loopback"]);
    assert_eq!(welcome.servers, []);
    assert_eq!((welcome.limits.sockets, welcome.limits.queue_bytes), (64, 1_048_576));
}

#[test]
fn sendto_and_its_reply_carry_source_size_and_times() {
    let (relay, (target, address)) = (Relay::plain(), any_udp());
    let mut lab = Lab::open(relay.address);
    lab.udp(1);
    let mut earlier = lab.welcome.now_ns;
    for (number, size) in [(1, 0), (2, 1), (3, 1_472), (4, 65_507)] {
        lab.send(1, number, Some(address), vec![7; size]);
        let (payload, source) = receive(&target);
        assert_eq!(payload, vec![7; size]);
        target.send_to(&payload, source).unwrap();
        let sent = lab.sent(number).unwrap();
        assert_eq!(usize::try_from(sent.bytes).unwrap(), size);
        let reply = lab.datagram(1);
        assert_eq!((reply.source, reply.payload), (address, Bytes::from(payload)));
        assert_eq!(usize::try_from(reply.size).unwrap(), size);
        assert!(earlier < sent.sent_at && sent.sent_at < reply.received_at);
        earlier = reply.received_at;
    }
}

#[test]
fn an_unconnected_socket_hears_everyone_and_a_connected_one_its_peer() {
    let (relay, (target, address), (bystander, other)) = (Relay::plain(), any_udp(), any_udp());
    let mut lab = Lab::open(relay.address);
    lab.udp(1);
    lab.udp(2);
    let connected = lab.connect(2, address).unwrap();
    assert_eq!(connected.peer, Some(address));
    lab.send(1, 1, Some(address), "one");
    lab.send(2, 2, None, "two");
    let (first, second) = (receive(&target), receive(&target));
    let one = if first.0 == b"one" { first.1 } else { second.1 };
    assert_ne!(Some(one), connected.local);
    for to in [one, connected.local.unwrap()] {
        bystander.send_to(b"not asked for", to).unwrap();
        target.send_to(b"reply", to).unwrap();
    }
    assert_eq!(lab.datagram(1).source, other);
    assert_eq!(lab.datagram(1).source, address);
    assert_eq!(lab.datagram(2).payload, "reply");
}

#[test]
fn a_bound_socket_is_a_server_for_a_native_program() {
    let relay = Relay::plain();
    let mut lab = Lab::open(relay.address);
    lab.udp(1);
    let own = SocketAddr::from((own_address(), 9_999));
    assert_eq!(lab.bind(1, own), Ok(own));
    let client = python("lessons/ack_client.py", &["--host", &own.ip().to_string()]);
    let request = lab.datagram(1);
    assert_eq!(request.payload, "Hello from the client");
    lab.send(1, 1, Some(request.source), [b"ack:", &request.payload[..]].concat());
    assert_eq!(client.ended().well(), "Reply: ack:Hello from the client\n");
}

#[test]
fn a_conversation_goes_out_at_once_without_waiting() {
    let (relay, echo) = (Relay::plain(), Echo::on_own_address());
    let mut lab = Lab::open(relay.address);
    let (kind, family) = (Kind::Udp, Family::Ipv4);
    let host = "localhost".to_owned();
    let open = lab.call(|call| Call::Open { call, socket: SOCKET, kind, family });
    let port = echo.address.port();
    let name = lab.call(|call| Call::Connect { call, socket: SOCKET, host, port });
    let host = echo.address.ip().to_string();
    let connect = lab.call(|call| Call::Connect { call, socket: SOCKET, host, port });
    for number in 0..100_u8 {
        lab.send(1, number.into(), None, vec![number]);
    }
    let close = lab.call(|call| Call::Getsockname { call, socket: SOCKET });
    lab.done(open);
    assert_eq!(lab.done(name).peer, Some(SocketAddr::from(([127, 0, 0, 1], port))));
    assert_eq!(lab.done(connect).peer, Some(echo.address));
    for number in 0..100_u8 {
        assert_eq!(lab.outcome(number.into()), Ok(1));
        assert_eq!(lab.datagram(1).payload, [number][..]);
    }
    assert!(lab.done(close).local.is_some());
}

#[test]
fn names_are_resolved() {
    let relay = Relay::plain();
    let mut lab = Lab::open(relay.address);
    let host = "localhost".to_owned();
    let found = lab.ask(|call| Call::Resolve { call, host, port: 53 }).unwrap().addresses;
    let system: Vec<_> = ("localhost", 53).to_socket_addrs().unwrap().collect();
    assert_eq!(found, system);
    let host = "nowhere.invalid".to_owned();
    let error = lab.ask(|call| Call::Resolve { call, host, port: 53 }).unwrap_err();
    assert_eq!(error.name, "NAME_NOT_RESOLVED");
    let host = "not a name".to_owned();
    lab.udp(1);
    let error = lab.ask(|call| Call::Connect { call, socket: SOCKET, host, port: 53 }).unwrap_err();
    assert_eq!(error.name, "NAME_NOT_RESOLVED");
    let host = "[::1]".to_owned();
    let error = lab.ask(|call| Call::Connect { call, socket: SOCKET, host, port: 53 }).unwrap_err();
    assert_eq!(error.name, "EAFNOSUPPORT");
}

#[test]
fn a_first_send_gives_a_socket_its_address() {
    let (relay, (target, address)) = (Relay::plain(), any_udp());
    let mut lab = Lab::open(relay.address);
    lab.udp(1);
    let unnamed = lab.ask(|call| Call::Getsockname { call, socket: SOCKET }).unwrap();
    assert_eq!(unnamed.local, Some("0.0.0.0:0".parse().unwrap()));
    lab.send(1, 1, Some(address), "x");
    let (_, source) = receive(&target);
    let named = lab.ask(|call| Call::Getsockname { call, socket: SOCKET }).unwrap();
    assert_eq!(named.local.map(|local| local.port()), Some(source.port()));
}

#[test]
fn ipv6_datagrams_come_and_go() {
    let (relay, echo) = (Relay::plain(), Echo::start("[::1]:0"));
    let mut lab = Lab::open(relay.address);
    lab.socket(1, Kind::Udp, Family::Ipv6);
    lab.send(1, 1, Some(echo.address), "over six");
    let reply = lab.datagram(1);
    assert_eq!((reply.source, &reply.payload[..]), (echo.address, &b"over six"[..]));
}

#[test]
fn a_send_without_a_report_is_answered_by_its_reply_only() {
    let (relay, echo) = (Relay::plain(), Echo::on_own_address());
    let mut lab = Lab::open(relay.address);
    lab.udp(1);
    lab.say(&ToRelay::Send(Send {
        socket: SOCKET,
        number: Number(7),
        destination: Some(echo.address),
        report: false,
        payload: "quiet".into(),
    }));
    assert_eq!(lab.datagram(1).payload, "quiet");
    assert!(!lab.waiting().any(|message| matches!(message, ToClient::Sent(_))));
}

#[test]
fn a_datagram_larger_than_the_buffer_is_cut_and_the_next_one_is_whole() {
    let (relay, (target, _)) = (Relay::plain(), any_udp());
    let mut lab = Lab::open(relay.address);
    lab.udp(1);
    let own = lab.bind(1, "127.0.0.1:0".parse().unwrap()).unwrap();
    lab.receive(1, 1_024, ReceiveMode::Arriving);
    target.send_to(&[1; 1_500], own).unwrap();
    target.send_to(&[2; 1_024], own).unwrap();
    let (cut, next) = (lab.datagram(1), lab.datagram(1));
    assert_eq!((cut.size, cut.payload.len(), cut.is_cut()), (1_500, 1_024, true));
    assert_eq!((next.size, &next.payload[..], next.is_cut()), (1_024, &[2; 1_024][..], false));
    lab.receive(1, 0, ReceiveMode::Asked);
    target.send_to(b"seven b", own).unwrap();
    let nothing = lab.recvfrom(1).unwrap();
    assert_eq!((nothing.size, nothing.payload.len()), (7, 0));
}

#[test]
fn an_empty_datagram_arrives_with_a_sender() {
    let (relay, (target, address)) = (Relay::plain(), any_udp());
    let mut lab = Lab::open(relay.address);
    lab.udp(1);
    lab.send(1, 1, Some(address), "");
    let (payload, source) = receive(&target);
    assert_eq!(payload, b"");
    assert_eq!(lab.outcome(1), Ok(0));
    target.send_to(b"", source).unwrap();
    let reply = lab.datagram(1);
    assert_eq!((reply.source, reply.size, reply.payload.len()), (address, 0, 0));
}

#[test]
fn what_waits_for_recvfrom_waits_in_the_system() {
    let (relay, (target, address)) = (Relay::plain(), any_udp());
    let mut lab = Lab::open(relay.address);
    lab.udp(1);
    let own = lab.bind(1, "127.0.0.1:0".parse().unwrap()).unwrap();
    lab.receive(1, 4_096, ReceiveMode::Asked);
    for number in 0..3_u8 {
        target.send_to(&[number], own).unwrap();
    }
    for number in 0..3_u8 {
        let received = lab.recvfrom(1).unwrap();
        assert_eq!((received.source, &received.payload[..]), (address, &[number][..]));
    }
    let timeout_ms = Some(20);
    lab.ask(|call| Call::Settimeout { call, socket: SOCKET, timeout_ms }).unwrap();
    assert_eq!(lab.recvfrom(1).unwrap_err().name, "TIMEOUT");
    let asked = lab.call(|call| Call::Recvfrom { call, socket: SOCKET });
    lab.close(1);
    assert!(["NO_SUCH_SOCKET", "TIMEOUT"].contains(&lab.answer(asked).unwrap_err().name.as_str()));
}

#[test]
fn a_timeout_is_its_own_calls_even_when_the_number_is_used_again() {
    let (relay, (target, _)) = (Relay::plain(), any_udp());
    let mut lab = Lab::open(relay.address);
    for socket in [1, 2] {
        lab.udp(socket);
        lab.receive(socket, 4_096, ReceiveMode::Asked);
    }
    let own = lab.bind(1, "127.0.0.1:0".parse().unwrap()).unwrap();
    lab.bind(2, "127.0.0.1:0".parse().unwrap()).unwrap();
    let wait = |lab: &mut Lab, socket: u32, timeout_ms: Option<u32>| {
        let socket = SocketId(socket);
        lab.ask(|call| Call::Settimeout { call, socket, timeout_ms }).unwrap();
    };
    let again = wire::CallId(1_000_000);
    let recvfrom = ToRelay::Call(Call::Recvfrom { call: again, socket: SOCKET });
    wait(&mut lab, 1, Some(100));
    target.send_to(b"first", own).unwrap();
    lab.say(&recvfrom);
    lab.done(again);
    wait(&mut lab, 1, None);
    lab.say(&recvfrom);
    // By the time of this timeout, the one of the call that was answered long since is over too.
    wait(&mut lab, 2, Some(200));
    assert_eq!(lab.recvfrom(2).unwrap_err().name, "TIMEOUT");
    target.send_to(b"second", own).unwrap();
    lab.done(again);
    assert_eq!(
        (lab.datagram(1).payload, lab.datagram(1).payload),
        ("first".into(), "second".into())
    );
}

#[test]
fn the_granted_buffer_is_told_and_a_full_one_loses() {
    let (relay, (target, _)) = (Relay::plain(), any_udp());
    let mut lab = Lab::open(relay.address);
    lab.udp(1);
    let own = lab.bind(1, "127.0.0.1:0".parse().unwrap()).unwrap();
    lab.receive(1, 4_096, ReceiveMode::Asked);
    let option = SocketOption::ReceiveBuffer;
    let granted =
        lab.ask(|call| Call::Setsockopt { call, socket: SOCKET, option, value: 8_192 }).unwrap();
    assert_eq!(granted.value, Some(16_384), "Linux doubles what is asked for");
    for number in 0..100_u8 {
        target.send_to(&[number; 256], own).unwrap();
    }
    let timeout_ms = Some(50);
    lab.ask(|call| Call::Settimeout { call, socket: SOCKET, timeout_ms }).unwrap();
    let mut kept = Vec::new();
    while let Ok(datagram) = lab.recvfrom(1) {
        kept.push(datagram.payload[0]);
    }
    assert!(!kept.is_empty() && kept.len() < 100, "{} were kept", kept.len());
    assert_eq!(kept, (0..).take(kept.len()).collect::<Vec<_>>(), "the newest are lost");
}

#[test]
fn two_sessions_have_sockets_of_their_own() {
    let (relay, echo) = (Relay::plain(), Echo::on_own_address());
    let mut labs = [0, 1].map(|_| Lab::open(relay.address));
    assert_ne!(labs[0].welcome.session, labs[1].welcome.session);
    for lab in &mut labs {
        lab.udp(1);
    }
    for round in 0..20_u8 {
        for (number, lab) in (0..).zip(&mut labs) {
            lab.send(1, round.into(), Some(echo.address), vec![number, round]);
        }
    }
    for round in 0..20 {
        for (number, lab) in (0..).zip(&mut labs) {
            assert_eq!(lab.datagram(1).payload, [number, round][..]);
        }
    }
}

#[test]
fn closing_frees_the_number_and_the_port() {
    let relay = Relay::plain();
    let mut lab = Lab::open(relay.address);
    let own = SocketAddr::from((own_address(), 7_002));
    for _ in 0..3 {
        lab.udp(1);
        assert_eq!(lab.bind(1, own), Ok(own));
        lab.close(1);
    }
    let native = udp(own);
    assert!(is_silent(&native));
}

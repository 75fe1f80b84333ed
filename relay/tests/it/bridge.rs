//! The raw bridge carries datagrams as they are: sizes, bytes, boundaries, order and sources.

use std::net::{SocketAddr, ToSocketAddrs};

use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};

use crate::native::{Echo, any_udp, is_silent, own_address, receive, udp};
use crate::program::python;
use crate::relay_program::Relay;
use crate::web::Client;

/// Datagrams on their way at once, where many are sent back to back: each socket on the path has
/// room for them, so that none is lost to a full receive buffer.
const WINDOW: usize = 32;

fn pattern(size: usize) -> Vec<u8> {
    (0..size).map(|offset| u8::try_from((offset * 31 + size) % 251).unwrap()).collect()
}

fn checked_by_python(relay: &Relay, target: SocketAddr, check: &[&str]) -> String {
    let url = format!("ws://{}/udp/{}/{}", relay.address, target.ip(), target.port());
    python("peers/bridge_checks.py", &[&[url.as_str()], check].concat()).ended().well()
}

#[test]
fn every_size_passes_both_ways_byte_for_byte() {
    let (relay, (target, address)) = (Relay::plain(), any_udp());
    let mut client = Client::bridge(relay.address, address);
    for size in [0, 1, 1_024, 1_472, 9_000, 65_507] {
        client.send(pattern(size));
        let (payload, source) = receive(&target);
        assert!(payload == pattern(size), "{size} bytes to the target");
        let reply: Vec<u8> = payload.into_iter().rev().collect();
        target.send_to(&reply, source).unwrap();
        assert!(client.receive() == reply, "{size} bytes from the target");
    }
}

#[test]
fn every_size_passes_for_another_websocket_library() {
    let (relay, echo) = (Relay::plain(), Echo::on_own_address());
    for check in ["sizes", "text", "fragments", "thousand"] {
        assert_eq!(checked_by_python(&relay, echo.address, &[check]), format!("{check} done\n"));
    }
}

#[test]
fn what_no_datagram_can_carry_closes_with_1009_and_is_not_sent() {
    let (relay, (target, address)) = (Relay::plain(), any_udp());
    for size in [65_508, 70_000, 262_144, 262_145, 4_000_000] {
        let mut client = Client::bridge(relay.address, address);
        client.send(pattern(size));
        let reason = format!("payload is {size} bytes, limit 65507");
        assert_eq!(client.closed(), (1009, reason.clone()));
        let said = checked_by_python(&relay, address, &["too_large", &size.to_string()]);
        assert_eq!(said, format!("1009 {reason}\ntoo_large done\n"));
    }
    let mut client = Client::bridge(relay.address, address);
    client.send(*b"after all");
    assert_eq!(receive(&target).0, b"after all");
    assert!(is_silent(&target));
}

#[test]
fn over_ipv6_a_datagram_can_be_a_little_larger() {
    let (relay, target) = (Relay::plain(), udp("[::1]:0"));
    let address = target.local_addr().unwrap();
    let path = format!("/udp/[::1]/{}", address.port());
    let mut client = Client::open(relay.address, &path, None);
    client.send(pattern(65_527));
    assert!(receive(&target).0 == pattern(65_527));
    client.send(pattern(65_528));
    assert_eq!(client.closed(), (1009, "payload is 65528 bytes, limit 65527".to_owned()));
    let mut client = Client::open(relay.address, &path, None);
    client.send(pattern(300_000));
    assert_eq!(client.closed(), (1009, "payload is 300000 bytes, limit 65527".to_owned()));
}

#[test]
fn text_is_sent_as_its_bytes() {
    let (relay, (target, address)) = (Relay::plain(), any_udp());
    let mut client = Client::bridge(relay.address, address);
    for text in ["Hello UDP Server", "Grüße, 世界 🦀", ""] {
        client.send_text(text);
        assert_eq!(receive(&target).0, text.as_bytes());
    }
}

#[test]
fn a_message_of_many_frames_is_one_datagram() {
    let (relay, (target, address)) = (Relay::plain(), any_udp());
    let mut client = Client::bridge(relay.address, address);
    let parts: Vec<Vec<u8>> = (0..100).map(|number| pattern(number % 7)).collect();
    for (index, part) in parts.iter().enumerate() {
        let code = if index == 0 { Data::Binary } else { Data::Continue };
        let last = index + 1 == parts.len();
        client.send_frame(Frame::message(part.clone(), OpCode::Data(code), last));
        if index % 10 == 3 {
            client.send_frame(Frame::ping("between"));
        }
    }
    assert_eq!(receive(&target).0, parts.concat());
    client.send(*b"next");
    assert_eq!(receive(&target).0, b"next");
    // Of several pings only the last need be answered (RFC 6455 §5.5.3).
    client.send_frame(Frame::ping("after"));
    loop {
        match client.next() {
            Ok(Message::Pong(payload)) if payload == "after" => break,
            Ok(Message::Pong(payload)) => assert_eq!(payload, "between"),
            other => panic!("instead of a pong: {other:?}"),
        }
    }
}

#[test]
fn a_ping_is_answered() {
    let (relay, (_target, address)) = (Relay::plain(), any_udp());
    let mut client = Client::bridge(relay.address, address);
    client.socket.send(Message::Ping("still there?".into())).unwrap();
    assert_eq!(client.next().unwrap(), Message::Pong("still there?".into()));
}

#[test]
fn a_thousand_back_to_back_keep_boundaries_and_order() {
    let (relay, (target, address)) = (Relay::plain(), any_udp());
    let mut client = Client::bridge(relay.address, address);
    let payload = |number: usize| [format!("{number}:").into_bytes(), pattern(number)].concat();
    let mut bridge = None;
    for number in 0..1_000 + WINDOW {
        if number < 1_000 {
            client.send(payload(number));
        }
        if let Some(due) = number.checked_sub(WINDOW) {
            let (received, source) = receive(&target);
            assert!(received == payload(due), "datagram {due} to the target");
            bridge = Some(source);
        }
    }
    let bridge = bridge.unwrap();
    for number in 0..1_000 + WINDOW {
        if number < 1_000 {
            target.send_to(&payload(number), bridge).unwrap();
        }
        if let Some(due) = number.checked_sub(WINDOW) {
            assert!(client.receive() == payload(due), "datagram {due} from the target");
        }
    }
}

#[test]
fn a_target_that_goes_and_comes_back_does_not_end_the_bridge() {
    let relay = Relay::plain();
    let address = SocketAddr::from((own_address(), 7_001));
    let mut client = Client::bridge(relay.address, address);
    for round in 0..3 {
        let target = udp(address);
        // What was sent while nobody listened may have left an error that meets the next send.
        client.send(*b"are you there?");
        let (payload, source) = receive(&target);
        assert_eq!(payload, b"are you there?", "round {round}");
        target.send_to(b"yes", source).unwrap();
        assert_eq!(client.receive(), b"yes");
        drop(target);
        for _ in 0..5 {
            client.send(*b"to nobody");
            client.socket.send(Message::Ping("".into())).unwrap();
            assert!(matches!(client.next(), Ok(Message::Pong(_))));
        }
    }
}

#[test]
fn two_bridges_never_see_each_others_replies() {
    let (relay, (target, address)) = (Relay::plain(), any_udp());
    let mut clients = [0, 1].map(|_| Client::bridge(relay.address, address));
    let sources: Vec<_> = clients
        .iter_mut()
        .enumerate()
        .map(|(number, client)| {
            client.send(vec![u8::try_from(number).unwrap()]);
            receive(&target).1
        })
        .collect();
    assert_ne!(sources[0], sources[1]);
    for round in 0..50_u8 {
        target.send_to(&[1, round], sources[1]).unwrap();
        target.send_to(&[0, round], sources[0]).unwrap();
    }
    for round in 0..50 {
        for (number, client) in (0..).zip(&mut clients) {
            assert_eq!(client.receive(), [number, round]);
        }
    }
}

#[test]
fn only_the_target_is_heard() {
    let (relay, (target, address)) = (Relay::plain(), any_udp());
    let mut client = Client::bridge(relay.address, address);
    client.send(*b"hello");
    let (_, bridge) = receive(&target);
    let (bystander, _) = any_udp();
    bystander.send_to(b"from a bystander", bridge).unwrap();
    target.send_to(b"from the target", bridge).unwrap();
    assert_eq!(client.receive(), b"from the target");
}

#[test]
fn ipv6_has_brackets_or_percent_signs() {
    let (relay, echo) = (Relay::plain(), Echo::start("[::1]:0"));
    for host in ["[::1]", "%5B%3A%3A1%5D", "%3A%3A1", "%5b::1%5d"] {
        let path = format!("/udp/{host}/{}", echo.address.port());
        let mut client = Client::open(relay.address, &path, None);
        client.send(host);
        assert_eq!(client.receive(), host.as_bytes());
    }
}

#[test]
fn a_name_is_resolved() {
    let relay = Relay::plain();
    let first = ("localhost", 0).to_socket_addrs().unwrap().next().unwrap();
    let echo = Echo::start(first);
    let path = format!("/udp/localhost/{}/", echo.address.port());
    let mut client = Client::open(relay.address, &path, None);
    client.send(*b"by name");
    assert_eq!(client.receive(), b"by name");
}

#[test]
fn empty_datagrams_arrive_with_a_sender() {
    let (relay, (target, address)) = (Relay::plain(), any_udp());
    let mut client = Client::bridge(relay.address, address);
    client.send(Vec::new());
    client.send(*b"x");
    let (payload, source) = receive(&target);
    assert_eq!(payload, b"");
    assert_eq!(receive(&target), (b"x".to_vec(), source));
    target.send_to(b"", source).unwrap();
    target.send_to(b"y", source).unwrap();
    assert_eq!((client.receive(), client.receive()), (Vec::new(), b"y".to_vec()));
}

#[test]
fn a_client_that_closes_is_answered() {
    let (relay, (_target, address)) = (Relay::plain(), any_udp());
    let mut client = Client::bridge(relay.address, address);
    client.socket.close(None).unwrap();
    let answer = client.next();
    assert!(matches!(answer, Ok(Message::Close(_))), "{answer:?}");
}

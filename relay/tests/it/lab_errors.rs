//! What goes wrong in a lab session is named as a program would see it, and the session lives on.

use wire::{
    Call, CallId, Event, Family, Kind, Origin, ReceiveMode, SocketId, SocketOption, ToClient,
};

use crate::lab_client::Lab;
use crate::native::{Echo, any_udp, closed_port, is_silent, receive};
use crate::relay_program::Relay;

const SOCKET: SocketId = SocketId(1);

/// Shows that a session still works.
fn lives_on(lab: &mut Lab) {
    let echo = Echo::on_own_address();
    lab.udp(999);
    lab.send(999, 999, Some(echo.address), "alive");
    assert_eq!(lab.datagram(999).payload, "alive");
    lab.close(999);
}

/// The answer to a text message that is not what the relay expects.
fn refusal(lab: &mut Lab, text: &str) -> (Option<CallId>, String, String) {
    lab.client.send_text(text);
    lab.until(text, |message| match message {
        ToClient::Event(Event::Failed { call, error }) => {
            assert_eq!(error.origin, Origin::Relay, "{text}");
            Some((*call, error.name.clone(), error.message.clone()))
        }
        _ => None,
    })
}

#[test]
fn one_byte_too_many_is_the_systems_own_error() {
    let (relay, (target, address)) = (Relay::plain(), any_udp());
    let mut lab = Lab::open(relay.address);
    lab.udp(1);
    for (number, size) in [(1, 65_508), (2, 100_000)] {
        lab.send(1, number, Some(address), vec![0; size]);
        let error = lab.sent(number).unwrap_err();
        assert_eq!((error.origin, error.name.as_str()), (Origin::System, "EMSGSIZE"));
    }
    lab.send(1, 3, Some(address), vec![3; 65_507]);
    assert_eq!(lab.outcome(3), Ok(65_507));
    assert_eq!(receive(&target).0, vec![3; 65_507]);
    assert!(is_silent(&target));
}

#[test]
fn a_connected_socket_that_does_not_ask_hears_of_it_with_its_next_send() {
    let relay = Relay::plain();
    let mut lab = Lab::open(relay.address);
    lab.udp(1);
    lab.connect(1, closed_port()).unwrap();
    lab.receive(1, 4_096, ReceiveMode::Asked);
    let outcomes = [1, 2, 3, 4].map(|number| {
        lab.send(1, number, None, "anyone?");
        lab.outcome(number)
    });
    let refused = || Err("ECONNREFUSED".to_owned());
    assert_eq!(outcomes, [Ok(7), refused(), Ok(7), refused()]);
    lab.send(1, 5, None, "anyone?");
    assert_eq!(lab.outcome(5), Ok(7));
    assert_eq!(lab.recvfrom(1).unwrap_err().name, "ECONNREFUSED");
}

#[test]
fn a_connected_socket_that_receives_is_told_at_once() {
    let relay = Relay::plain();
    let mut lab = Lab::open(relay.address);
    lab.udp(1);
    lab.connect(1, closed_port()).unwrap();
    for number in 1..=3 {
        lab.send(1, number, None, "anyone?");
        assert_eq!(lab.outcome(number), Ok(7));
        let error = lab.receive_error(1);
        assert_eq!((error.origin, error.name.as_str()), (Origin::System, "ECONNREFUSED"));
        assert_eq!(error.code, Some(111));
    }
}

#[test]
fn an_unconnected_socket_hears_of_nothing() {
    let relay = Relay::plain();
    let mut lab = Lab::open(relay.address);
    lab.udp(1);
    lab.receive(1, 4_096, ReceiveMode::Asked);
    for number in 1..=3 {
        lab.send(1, number, Some(closed_port()), "anyone?");
        assert_eq!(lab.outcome(number), Ok(7));
    }
    let timeout_ms = Some(50);
    lab.ask(|call| Call::Settimeout { call, socket: SOCKET, timeout_ms }).unwrap();
    assert_eq!(lab.recvfrom(1).unwrap_err().name, "TIMEOUT");
    assert_eq!(lab.waiting().count(), 0);
}

#[test]
fn a_port_that_another_program_has_cannot_be_bound() {
    let (relay, (_native, address)) = (Relay::plain(), any_udp());
    let mut lab = Lab::open(relay.address);
    lab.udp(1);
    let error = lab.bind(1, address).unwrap_err();
    assert_eq!((error.name.as_str(), error.code), ("EADDRINUSE", Some(98)));
    let elsewhere = lab.bind(1, "192.0.2.7:0".parse().unwrap()).unwrap_err();
    assert_eq!(elsewhere.name, "NOT_PERMITTED");
    assert!(elsewhere.advice.unwrap().contains("--allow-bind 192.0.2.7"));
    lives_on(&mut lab);
}

#[test]
fn broadcast_needs_the_owner_and_the_option() {
    let all = "255.255.255.255:7003".parse().unwrap();
    let relay = Relay::start(&["--no-practice", "--allow", "broadcast"]);
    let mut lab = Lab::open(relay.address);
    assert_eq!(lab.welcome.permitted, ["loopback", "broadcast"]);
    lab.udp(1);
    lab.send(1, 1, Some(all), "x");
    let error = lab.sent(1).unwrap_err();
    assert_eq!((error.origin, error.name.as_str()), (Origin::System, "EACCES"));
    lives_on(&mut lab);
}

#[test]
fn a_send_without_a_destination_needs_a_connected_socket() {
    let relay = Relay::plain();
    let mut lab = Lab::open(relay.address);
    lab.udp(1);
    lab.send(1, 1, None, "where to?");
    assert_eq!(lab.outcome(1), Err("EDESTADDRREQ".to_owned()));
    lives_on(&mut lab);
}

#[test]
fn what_is_not_permitted_is_refused_and_never_sent() {
    let relay = Relay::plain();
    let mut lab = Lab::open(relay.address);
    lab.udp(1);
    for (number, target, advice) in [
        (1, "192.0.2.1:9", "--allow 192.0.2.1:9 "),
        (2, "224.0.0.1:9", "--allow multicast "),
        (3, "[::ffff:192.0.2.1]:9", "--allow 192.0.2.1:9 "),
        (4, "0.0.0.0:9", "--allow unspecified "),
        (5, "255.255.255.255:9", "--allow broadcast "),
        (6, "169.254.169.254:80", "--allow link-local "),
    ] {
        lab.send(1, number, Some(target.parse().unwrap()), "x");
        let error = lab.sent(number).unwrap_err();
        assert_eq!((error.origin, error.name.as_str()), (Origin::Relay, "NOT_PERMITTED"));
        assert!(error.advice.unwrap().contains(advice), "{target}");
        let error = lab.connect(1, target.parse().unwrap()).unwrap_err();
        assert_eq!(error.name, "NOT_PERMITTED", "{target}");
    }
    let unnamed = lab.ask(|call| Call::Getsockname { call, socket: SOCKET }).unwrap();
    assert_eq!(unnamed.local.unwrap().port(), 0, "the socket has never sent");
    lives_on(&mut lab);
}

#[test]
fn the_relays_own_port_is_refused() {
    let relay = Relay::plain();
    let mut lab = Lab::open(relay.address);
    lab.tcp(1);
    let error = lab.connect(1, relay.address).unwrap_err();
    assert_eq!(error.name, "NOT_PERMITTED");
    assert!(error.message.ends_with("is the relay's own port"), "{}", error.message);
}

#[test]
fn sockets_are_bounded_and_given_back() {
    let relay = Relay::start(&["--no-practice", "--max-sockets", "2"]);
    let mut lab = Lab::open(relay.address);
    lab.udp(1);
    lab.tcp(2);
    let (socket, kind, family) = (SocketId(3), Kind::Udp, Family::Ipv4);
    let error = lab.ask(|call| Call::Open { call, socket, kind, family }).unwrap_err();
    assert_eq!(error.name, "TOO_MANY_SOCKETS");
    assert!(error.advice.unwrap().contains("--max-sockets"));
    lab.close(1);
    lab.udp(3);
    let error = lab.ask(|call| Call::Open { call, socket, kind, family }).unwrap_err();
    assert_eq!(error.name, "SOCKET_IN_USE");
}

#[test]
fn a_socket_that_is_not_there_is_named() {
    let relay = Relay::plain();
    let mut lab = Lab::open(relay.address);
    let socket = SocketId(41);
    let error = lab.ask(|call| Call::Getsockname { call, socket }).unwrap_err();
    assert_eq!(error.name, "NO_SUCH_SOCKET");
    assert!(error.message.contains("41"));
    lab.send(41, 1, None, "x");
    assert_eq!(lab.outcome(1), Err("NO_SUCH_SOCKET".to_owned()));
    let error = lab.ask(|call| Call::Close { call, socket }).unwrap_err();
    assert_eq!(error.name, "NO_SUCH_SOCKET");
    lives_on(&mut lab);
}

#[test]
fn a_call_that_does_not_fit_its_socket_is_named() {
    let relay = Relay::plain();
    let mut lab = Lab::open(relay.address);
    lab.udp(1);
    let error = lab.ask(|call| Call::Listen { call, socket: SOCKET, backlog: 1 }).unwrap_err();
    assert_eq!(error.name, "WRONG_KIND");
    let option = SocketOption::NoDelay;
    let set = |call| Call::Setsockopt { call, socket: SOCKET, option, value: 1 };
    assert_eq!(lab.ask(set).unwrap_err().name, "WRONG_KIND");
    let option = SocketOption::TimeToLive;
    let set = |call| Call::Setsockopt { call, socket: SOCKET, option, value: 256 };
    assert_eq!(lab.ask(set).unwrap_err().name, "BAD_CALL");
    let not_asked = lab.ask(|call| Call::Recvfrom { call, socket: SOCKET }).unwrap_err();
    assert_eq!(not_asked.name, "BAD_CALL");
    lives_on(&mut lab);
}

#[test]
fn what_is_no_message_is_refused_with_the_reason() {
    let relay = Relay::plain();
    let mut lab = Lab::open(relay.address);
    for (text, call, said) in [
        ("", None, "EOF"),
        ("hello", None, "expected value"),
        ("[]", None, "not a message of this protocol"),
        (r#"{"op":"fly","call":7}"#, Some(CallId(7)), "fly"),
        (r#"{"op":"close","call":8}"#, Some(CallId(8)), "socket"),
        (r#"{"op":"close","call":9,"socket":1,"how":"now"}"#, Some(CallId(9)), "how"),
        (
            r#"{"op":"open","call":10,"socket":1,"kind":"sctp","family":"ipv4"}"#,
            Some(CallId(10)),
            "sctp",
        ),
        (r#"{"op":"close","call":-1,"socket":1}"#, None, "-1"),
    ] {
        let (answered, name, message) = refusal(&mut lab, text);
        assert_eq!((answered, name.as_str()), (call, "BAD_CALL"), "{text}: {message}");
        assert!(message.contains(said), "{text}: {message}");
    }
    for bytes in [&[][..], &[1], &[9, 9, 9], &[1, 5, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1]] {
        lab.client.send(bytes);
        lab.until("a refusal", |message| match message {
            ToClient::Event(Event::Failed { call: None, error }) => {
                assert_eq!(error.name, "BAD_CALL");
                Some(())
            }
            _ => None,
        });
    }
    lives_on(&mut lab);
}

#[test]
fn calls_without_an_answer_are_bounded() {
    let relay = Relay::plain();
    let mut lab = Lab::open(relay.address);
    let limit = lab.welcome.limits.calls;
    lab.udp(1);
    let own = lab.bind(1, "127.0.0.1:0".parse().unwrap()).unwrap();
    lab.receive(1, 4_096, ReceiveMode::Asked);
    let waiting: Vec<_> =
        (0..limit).map(|_| lab.call(|call| Call::Recvfrom { call, socket: SOCKET })).collect();
    let error = lab.ask(|call| Call::Recvfrom { call, socket: SOCKET }).unwrap_err();
    assert_eq!(error.name, "TOO_MANY_CALLS");
    let (target, _) = any_udp();
    for call in waiting {
        target.send_to(b"x", own).unwrap();
        lab.done(call);
    }
}

#[test]
fn sends_above_the_rate_fail_by_name() {
    let relay = Relay::start(&["--no-practice", "--max-rate", "10"]);
    let (target, address) = any_udp();
    let mut lab = Lab::open(relay.address);
    assert_eq!(lab.welcome.limits.sends_per_second, Some(10));
    lab.udp(1);
    for number in 0..500 {
        lab.send(1, number, Some(address), "x");
    }
    let outcomes: Vec<_> = (0..500).map(|number| lab.outcome(number)).collect();
    let sent = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
    assert!((10..500).contains(&sent), "{sent} were sent");
    assert!(outcomes.iter().flat_map(Result::as_ref).all(|bytes| *bytes == 1));
    assert!(
        outcomes.iter().all(|outcome| outcome.as_ref().err().is_none_or(|e| e == "RATE_LIMITED"))
    );
    for _ in 0..sent {
        receive(&target);
    }
    assert!(is_silent(&target));
}

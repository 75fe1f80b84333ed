//! The session core on a hand-moved clock: the tests are its shell.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use proptest::prelude::*;
use wire::*;

use super::{Command, DEFERRED_LIMIT, HEARD_LIMIT, Outcome, Output, Session};
use crate::config::Limits as Bounds;
use crate::policy::{Rule, Targets};

const UDP: SocketId = SocketId(1);
const PEER: &str = "127.0.0.1:9999";

fn session_with(role: Role, limits: Bounds) -> Session {
    let targets = Targets::new(vec![Rule::loopback()], Vec::new(), vec![address("127.0.0.1:8080")]);
    Session::new("test".to_owned(), role, limits, Arc::new(targets), at(0))
}

fn session() -> Session {
    session_with(Role::Teacher, Bounds::default())
}

fn at(millis: u64) -> RelayTime {
    RelayTime(Duration::from_millis(millis))
}

fn address(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

fn call(session: &mut Session, call: &Call) {
    session.handle_message(ToRelay::Call(call.clone()).encode(), at(0));
}

fn send(session: &mut Session, socket: SocketId, number: u32, destination: Option<&str>) {
    let send = Send {
        socket,
        number: Number(number),
        destination: destination.map(address),
        report: true,
        payload: Bytes::from_static(b"hello"),
    };
    session.handle_message(ToRelay::Send(send).encode(), at(0));
}

fn open(id: u32, socket: SocketId, kind: Kind) -> Call {
    Call::Open { call: CallId(id), socket, kind, family: Family::Ipv4 }
}

fn connect(id: u32, socket: SocketId, host: &str) -> Call {
    Call::Connect { call: CallId(id), socket, host: host.to_owned(), port: 9999 }
}

fn commands(session: &mut Session) -> Vec<(u32, Command)> {
    std::iter::from_fn(|| session.poll_command()).map(|(call, what)| (call.0, what)).collect()
}

fn events(session: &mut Session) -> Vec<Event> {
    std::iter::from_fn(|| session.poll_output())
        .filter_map(|output| match output {
            Output::Keep(ToClient::Event(event)) => Some(event),
            _ => None,
        })
        .collect()
}

/// Lets the one waiting command succeed.
fn succeed(session: &mut Session, id: u32) {
    session.handle_result(CallId(id), Ok(Outcome::default()), at(0));
}

fn opened(kind: Kind) -> Session {
    let mut session = session();
    call(&mut session, &open(1, UDP, kind));
    assert_eq!(commands(&mut session).len(), 1);
    succeed(&mut session, 1);
    assert!(matches!(events(&mut session)[..], [Event::Done { call: CallId(1), .. }]));
    session
}

fn bind(session: &mut Session, id: u32) {
    let bind = Call::Bind { call: CallId(id), socket: UDP, host: "127.0.0.1".into(), port: 20_010 };
    call(session, &bind);
    assert!(matches!(commands(session)[..], [(_, Command::Bind { .. })]));
    succeed(session, id);
    events(session);
}

fn hear(session: &mut Session, source: &str) {
    session.handle_datagram(Datagram {
        socket: UDP,
        transport: Transport::Udp,
        source: address(source),
        received_at: at(1),
        size: 2,
        payload: Bytes::from_static(b"hi"),
    });
}

/// The name of the one error that was told.
fn failure(session: &mut Session) -> String {
    let names: Vec<_> = events(session)
        .into_iter()
        .filter_map(|event| match event {
            Event::Failed { error, .. } | Event::Error { error, .. } => Some(error.name),
            _ => None,
        })
        .collect();
    assert_eq!(names.len(), 1, "{names:?}");
    names.into_iter().next().expect("one")
}

#[test]
fn calls_and_sends_behind_a_look_up_wait_and_then_go_in_order() {
    let mut session = opened(Kind::Udp);
    call(&mut session, &connect(2, UDP, "localhost"));
    send(&mut session, UDP, 7, None);
    call(&mut session, &Call::Getsockname { call: CallId(3), socket: UDP });
    assert!(matches!(commands(&mut session)[..], [(2, Command::Lookup { .. })]));

    let addresses = vec![address("[::1]:9999"), address(PEER)];
    let found = Outcome { addresses, ..Outcome::default() };
    session.handle_result(CallId(2), Ok(found), at(1));
    assert_eq!(
        commands(&mut session),
        [(2, Command::Connect { socket: UDP, address: address(PEER) })]
    );
    succeed(&mut session, 2);
    let after = commands(&mut session);
    assert!(
        matches!(after[..], [(_, Command::Transmit(_)), (3, Command::LocalAddress { .. })]),
        "{after:?}"
    );
}

#[test]
fn a_failed_look_up_fails_its_call_and_lets_the_rest_go_on() {
    let mut session = opened(Kind::Udp);
    call(&mut session, &connect(2, UDP, "nowhere.invalid"));
    send(&mut session, UDP, 7, None);
    commands(&mut session);
    let error = SocketError::relay("NAME_NOT_RESOLVED", "no");
    session.handle_result(CallId(2), Err(error), at(1));
    assert_eq!(failure(&mut session), "NAME_NOT_RESOLVED");
    assert!(matches!(commands(&mut session)[..], [(_, Command::Transmit(_))]));
}

#[test]
fn a_name_that_resolves_to_a_forbidden_address_is_not_connected_to() {
    let mut session = opened(Kind::Udp);
    call(&mut session, &connect(2, UDP, "rebound.example"));
    commands(&mut session);
    let addresses = vec![address("192.0.2.1:9999"), address("10.0.0.1:9999")];
    session.handle_result(CallId(2), Ok(Outcome { addresses, ..Outcome::default() }), at(1));
    assert_eq!(failure(&mut session), "NOT_PERMITTED");
    assert_eq!(commands(&mut session), []);
}

#[test]
fn only_permitted_addresses_of_a_name_are_told() {
    let mut session = session();
    let resolve = Call::Resolve { call: CallId(1), host: "mixed.example".into(), port: 9999 };
    call(&mut session, &resolve);
    commands(&mut session);
    let addresses = vec![address("192.0.2.1:9999"), address(PEER)];
    session.handle_result(CallId(1), Ok(Outcome { addresses, ..Outcome::default() }), at(1));
    let told = events(&mut session);
    assert!(
        matches!(&told[..], [Event::Done { addresses, .. }] if *addresses == [address(PEER)]),
        "{told:?}"
    );
}

#[test]
fn a_forbidden_destination_is_never_transmitted_unless_it_wrote_to_a_server_first() {
    let mut session = opened(Kind::Udp);
    hear(&mut session, "192.0.2.1:4999");
    send(&mut session, UDP, 0, Some("192.0.2.1:4999"));
    assert_eq!(failure(&mut session), "NOT_PERMITTED");

    bind(&mut session, 2);
    let stranger = "192.0.2.1:5000";
    send(&mut session, UDP, 1, Some(stranger));
    assert_eq!(failure(&mut session), "NOT_PERMITTED");
    assert_eq!(commands(&mut session), []);

    hear(&mut session, stranger);
    send(&mut session, UDP, 2, Some(stranger));
    assert_eq!(commands(&mut session).len(), 1);
    send(&mut session, UDP, 3, Some("192.0.2.1:5001"));
    assert_eq!(commands(&mut session), []);
}

#[test]
fn the_memory_of_who_wrote_is_bounded() {
    let mut session = opened(Kind::Udp);
    bind(&mut session, 2);
    for peer in 0..=HEARD_LIMIT {
        hear(&mut session, &format!("192.0.2.1:{}", 1_000 + peer));
    }
    events(&mut session);
    send(&mut session, UDP, 1, Some("192.0.2.1:1000"));
    assert_eq!(failure(&mut session), "NOT_PERMITTED");
    send(&mut session, UDP, 2, Some("192.0.2.1:1001"));
    assert_eq!(commands(&mut session).len(), 1);
}

#[test]
fn closing_fails_what_waited_on_the_socket() {
    let mut session = opened(Kind::Udp);
    call(&mut session, &connect(2, UDP, "localhost"));
    call(&mut session, &Call::Getsockname { call: CallId(3), socket: UDP });
    send(&mut session, UDP, 7, None);
    call(&mut session, &Call::Close { call: CallId(4), socket: UDP });
    succeed(&mut session, 4);
    let told = events(&mut session);
    assert!(
        matches!(
            told[..],
            [
                Event::Failed { call: Some(CallId(2)), .. },
                Event::Failed { call: Some(CallId(3)), .. },
                Event::Error { number: Some(Number(7)), .. },
                Event::Done { call: CallId(4), .. },
            ]
        ),
        "{told:?}"
    );
    succeed(&mut session, 2);
    assert_eq!(events(&mut session), [], "an answer was given twice");
}

#[test]
fn numbers_in_use_are_refused() {
    let mut session = opened(Kind::Udp);
    call(&mut session, &open(2, UDP, Kind::Udp));
    assert_eq!(failure(&mut session), "SOCKET_IN_USE");
    call(&mut session, &open(3, SocketId(SocketId::FIRST_ACCEPTED), Kind::Udp));
    assert_eq!(failure(&mut session), "BAD_CALL");
    call(&mut session, &connect(4, UDP, "localhost"));
    call(&mut session, &Call::Getsockname { call: CallId(5), socket: UDP });
    for id in [4, 5] {
        call(&mut session, &Call::Watch { call: CallId(id), consoles: true });
        assert_eq!(failure(&mut session), "BAD_CALL");
    }
}

#[test]
fn sockets_calls_and_what_waits_are_bounded() {
    let limits = Bounds { sockets: 2, calls: 3, ..Bounds::default() };
    let mut session = session_with(Role::Teacher, limits);
    for id in 1..=2 {
        call(&mut session, &open(id, SocketId(id), Kind::Udp));
        succeed(&mut session, id);
    }
    events(&mut session);
    call(&mut session, &open(3, SocketId(3), Kind::Udp));
    assert_eq!(failure(&mut session), "TOO_MANY_SOCKETS");

    for id in 4..=6 {
        let resolve = Call::Resolve { call: CallId(id), host: "a.example".into(), port: 1 };
        call(&mut session, &resolve);
    }
    call(&mut session, &Call::Watch { call: CallId(7), consoles: true });
    assert_eq!(failure(&mut session), "TOO_MANY_CALLS");
    commands(&mut session);
    call(&mut session, &Call::Close { call: CallId(8), socket: SocketId(1) });
    assert!(matches!(commands(&mut session)[..], [(8, Command::Close { .. })]));
}

#[test]
fn sends_that_wait_are_bounded_and_none_is_lost_silently() {
    let mut session = opened(Kind::Udp);
    call(&mut session, &connect(2, UDP, "localhost"));
    for number in 0..=DEFERRED_LIMIT {
        send(&mut session, UDP, u32::try_from(number).expect("small"), None);
    }
    assert_eq!(failure(&mut session), "TOO_MANY_CALLS");
}

#[test]
fn the_rate_is_limited_and_told_with_the_limit() {
    let limits = Bounds { sends_per_second: Some(2), ..Bounds::default() };
    let mut session = session_with(Role::Learner, limits);
    call(&mut session, &open(1, UDP, Kind::Udp));
    succeed(&mut session, 1);
    events(&mut session);
    commands(&mut session);
    for number in 0..3 {
        send(&mut session, UDP, number, Some(PEER));
    }
    assert_eq!(commands(&mut session).len(), 2);
    assert_eq!(failure(&mut session), "RATE_LIMITED");
}

#[test]
fn a_learner_does_not_control_the_servers() {
    let stop =
        |id| Call::Server { call: CallId(id), server: "hello".into(), action: ServerAction::Stop };
    let mut learner = session_with(Role::Learner, Bounds::default());
    call(&mut learner, &stop(1));
    assert_eq!(failure(&mut learner), "NOT_PERMITTED");
    let mut teacher = session();
    call(&mut teacher, &stop(1));
    assert_eq!(commands(&mut teacher).len(), 1);
}

#[test]
fn what_a_socket_cannot_do_is_refused_by_kind() {
    let mut session = opened(Kind::Tcp);
    send(&mut session, UDP, 1, Some(PEER));
    assert_eq!(failure(&mut session), "WRONG_KIND");
    let mut session = opened(Kind::Udp);
    call(&mut session, &Call::Listen { call: CallId(2), socket: UDP, backlog: 1 });
    assert_eq!(failure(&mut session), "WRONG_KIND");
    let option = SocketOption::NoDelay;
    let set = Call::Setsockopt { call: CallId(3), socket: UDP, option, value: 1 };
    call(&mut session, &set);
    assert_eq!(failure(&mut session), "WRONG_KIND");
    call(&mut session, &Call::Recvfrom { call: CallId(4), socket: UDP });
    assert_eq!(failure(&mut session), "BAD_CALL");
}

#[test]
fn a_message_that_cannot_be_read_is_answered_and_nothing_else_changes() {
    let mut session = opened(Kind::Udp);
    session.handle_message(Message::Text(r#"{"op":"dance","call":9}"#.into()), at(0));
    let told = events(&mut session);
    assert!(matches!(told[..], [Event::Failed { call: Some(CallId(9)), .. }]), "{told:?}");
    session.handle_message(Message::Binary(Bytes::from_static(b"\x07")), at(0));
    assert_eq!(failure(&mut session), "BAD_CALL");
    send(&mut session, UDP, 1, Some(PEER));
    assert_eq!(commands(&mut session).len(), 1);
}

#[test]
fn the_relays_own_port_is_no_target_for_a_connection() {
    let mut session = opened(Kind::Tcp);
    let own = Call::Connect { call: CallId(2), socket: UDP, host: "127.0.0.1".into(), port: 8080 };
    call(&mut session, &own);
    assert_eq!(failure(&mut session), "NOT_PERMITTED");
}

#[test]
fn the_bounds_are_those_that_the_specification_states() {
    let specification = include_str!("../../wire/PROTOCOL.md").replace(',', "");
    let limits = Bounds::default();
    let stated = [
        limits.sockets as u64,
        limits.calls as u64,
        limits.queue.bytes as u64,
        limits.queue.age.as_secs() * 1_000 + u64::from(limits.queue.age.subsec_millis()),
        limits.idle.as_secs(),
        wire::MESSAGE_LIMIT as u64,
    ];
    for bound in stated {
        let is_stated = specification
            .split(|character: char| !character.is_ascii_digit())
            .any(|number| number == bound.to_string());
        assert!(is_stated, "{bound} does not stand in PROTOCOL.md");
    }
}

proptest! {
    #[test]
    fn every_call_is_answered_at_most_once_whatever_comes(
        steps in proptest::collection::vec((0_u8..9, 1_u32..6, 1_u32..4, any::<bool>()), 1..120),
    ) {
        let mut session = session();
        let mut asked = std::collections::HashMap::<u32, u32>::new();
        let mut answered = std::collections::HashMap::<u32, u32>::new();
        for (what, id, socket, fine) in steps {
            let (id_of_call, socket) = (CallId(id), SocketId(socket));
            let made = match what {
                0 => Some(open(id, socket, if fine { Kind::Udp } else { Kind::Tcp })),
                1 => Some(connect(id, socket, if fine { "127.0.0.1" } else { "a.example" })),
                2 => Some(Call::Close { call: id_of_call, socket }),
                3 => Some(Call::Getsockname { call: id_of_call, socket }),
                4 => Some(Call::Resolve { call: id_of_call, host: "a".into(), port: 1 }),
                5 => { send(&mut session, socket, id, None); None }
                _ => {
                    let result = if fine {
                        let addresses = vec![address(PEER)];
                        Ok(Outcome { addresses, ..Outcome::default() })
                    } else {
                        Err(SocketError::relay("ECONNREFUSED", "refused"))
                    };
                    session.handle_result(id_of_call, result, at(1));
                    None
                }
            };
            if let Some(made) = made {
                *asked.entry(id).or_default() += 1;
                call(&mut session, &made);
            }
            while session.poll_command().is_some() {}
            for event in events(&mut session) {
                if let Event::Done { call, .. } | Event::Failed { call: Some(call), .. } = event {
                    *answered.entry(call.0).or_default() += 1;
                }
            }
            for (id, answers) in &answered {
                prop_assert!(answers <= asked.get(id).unwrap_or(&0), "call {id}");
            }
        }
    }

    #[test]
    fn no_message_panics(text in any::<String>(), bytes in any::<Vec<u8>>()) {
        let mut session = opened(Kind::Udp);
        session.handle_message(Message::Text(text), at(0));
        session.handle_message(Message::Binary(bytes.into()), at(0));
    }
}

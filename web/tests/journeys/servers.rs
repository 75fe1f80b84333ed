//! A page that others call.

use web::app::Event;
use web::app::code::Language;
use web::app::form::{AnswerMode, Field, SocketKind};
use wire::{Call, SocketId};

use super::shell::{Shell, address, ms, system};

const CLIENT: &str = "127.0.0.1:50312";

fn listening(kind: SocketKind) -> (Shell, SocketId) {
    let mut page = Shell::ready();
    page.event(Event::Kind(kind));
    page.event(Event::Listen);
    let calls = page.calls();
    let Some(Call::Open { socket, .. }) = calls.first() else { panic!("{calls:?}") };
    assert!(
        calls.iter().any(
            |call| matches!(call, Call::Bind { host, port: 20_010, .. } if host == "127.0.0.1")
        )
    );
    for call in &calls {
        page.done_at(call, Some(address("127.0.0.1:20010")));
    }
    (page, *socket)
}

#[test]
fn a_udp_server_shows_its_caller_and_answers_by_hand() {
    let (mut page, socket) = listening(SocketKind::UdpServer);
    let view = page.view();
    assert_eq!(view.fields.listen_state, "listening on 127.0.0.1:20010");
    assert_eq!(view.path.address, "call 127.0.0.1:20010");
    let call = view.console.call.expect("a server is called");
    assert_eq!(call.relay, "relay client 127.0.0.1 20010 hello");
    page.event(Event::CopyCommand(Language::Python));
    assert!(page.copies[0].1.starts_with("python3 -c"));

    page.event(Event::Send);
    assert!(page.sends().is_empty(), "nobody has called yet");
    page.receive(socket, CLIENT, b"hello");
    let view = page.view();
    assert_eq!(view.outcome.state, "answered");
    assert_eq!(view.outcome.payload.as_deref(), Some("hello"));
    assert_eq!(view.fields.answer_to, "Answers 127.0.0.1:50312");
    page.event(Event::Send);
    let answer = page.sends().remove(0);
    assert_eq!(answer.destination, Some(address(CLIENT)));
    assert_eq!(answer.payload, "Hello UDP Client");
    page.report(&answer);
    assert_eq!(page.rows().pop().expect("a row").outcome, "taken by the system");
    page.wait(ms(5_000));
    assert_eq!(page.view().log.counts.no_reply, 0, "a server waits for no reply");
}

#[test]
fn the_selected_row_decides_whom_is_answered() {
    let (mut page, socket) = listening(SocketKind::UdpServer);
    page.receive(socket, CLIENT, b"one");
    let first = page.rows().pop().expect("a row").number;
    page.wait(ms(10));
    page.receive(socket, "127.0.0.1:50999", b"two");
    assert_eq!(page.view().fields.answer_to, "Answers 127.0.0.1:50999");
    page.event(Event::Select(Some(first)));
    assert_eq!(page.view().fields.answer_to, "Answers 127.0.0.1:50312");
    page.event(Event::Send);
    assert_eq!(page.sends().remove(0).destination, Some(address(CLIENT)));
}

#[test]
fn answers_are_made_by_the_page_itself() {
    let (mut page, socket) = listening(SocketKind::UdpServer);
    page.event(Event::Answer(AnswerMode::Ack));
    page.receive(socket, CLIENT, b"\xff\x00");
    assert_eq!(page.sends().remove(0).payload, b"ack:\xff\x00".as_slice());
    page.event(Event::Answer(AnswerMode::Fixed));
    page.typed(Field::Message, "no. {n}");
    page.receive(socket, CLIENT, b"x");
    page.receive(socket, CLIENT, b"y");
    let answers: Vec<_> = page.sends().into_iter().map(|send| send.payload).collect();
    assert_eq!(answers, ["no. 1", "no. 2"]);
    let callers = page.view().console.call.expect("a server").callers;
    assert_eq!(callers, ["127.0.0.1:50312 · 3 datagrams"]);
}

#[test]
fn answers_without_room_wait_within_a_bound() {
    let (mut page, socket) = listening(SocketKind::UdpServer);
    page.event(Event::Answer(AnswerMode::Ack));
    page.buffered = 4 << 20;
    page.tick();
    for _ in 0..1_500 {
        page.receive(socket, CLIENT, b"x");
    }
    assert!(page.sends().is_empty());
    assert!(page.view().fields.answer_to.contains("476 answers found no room"));
    page.buffered = 0;
    page.wait(ms(50));
    assert_eq!(page.sends().len(), 1_024);
}

#[test]
fn a_port_that_is_taken_is_said_beside_it() {
    let mut page = Shell::ready();
    page.event(Event::Kind(SocketKind::UdpServer));
    page.event(Event::Listen);
    let calls = page.calls();
    let bind = calls.iter().find(|call| matches!(call, Call::Bind { .. })).expect("bound");
    page.refuse(bind, system("EADDRINUSE"));
    assert!(page.error(Field::ListenPort).expect("said").contains("EADDRINUSE"));
    assert!(!page.view().fields.is_listening);
}

#[test]
fn a_tcp_server_accepts_several_and_answers_each_on_its_own_connection() {
    let (mut page, listener) = listening(SocketKind::TcpServer);
    page.event(Event::Answer(AnswerMode::Ack));
    let accepted = [SocketId(SocketId::FIRST_ACCEPTED), SocketId(SocketId::FIRST_ACCEPTED + 1)];
    for (socket, peer) in accepted.iter().zip([CLIENT, "127.0.0.1:50313"]) {
        page.hear_event(wire::Event::Accepted {
            listener,
            socket: *socket,
            local: address("127.0.0.1:20010"),
            peer: address(peer),
            at_ns: page.relay_now(),
        });
    }
    page.calls();
    page.stream(accepted[1], "127.0.0.1:50313", b"two");
    page.stream(accepted[0], CLIENT, b"one");
    let sends = page.sends();
    let answers: Vec<_> = sends.iter().map(|it| (it.socket, it.payload.clone())).collect();
    assert_eq!(answers, [(accepted[1], "ack:two".into()), (accepted[0], "ack:one".into())]);
    assert!(sends.iter().all(|send| send.destination.is_none()));

    page.hear_event(wire::Event::EndOfStream { socket: accepted[0], at_ns: page.relay_now() });
    assert!(matches!(page.calls()[..], [Call::Close { socket, .. }] if socket == accepted[0]));
    page.event(Event::Send);
    assert_eq!(page.sends().remove(0).socket, accepted[1], "the other has ended");

    page.event(Event::Listen);
    let closed = page.calls();
    assert_eq!(closed.len(), 2, "the connection and the listener: {closed:?}");
}

#[test]
fn another_kind_of_socket_closes_the_server() {
    let (mut page, _) = listening(SocketKind::UdpServer);
    page.event(Event::Kind(SocketKind::Udp));
    assert!(matches!(page.calls()[..], [Call::Close { .. }]));
    assert_eq!(page.view().fields.values[3].1, "Hello UDP Server", "what was typed stays");
}

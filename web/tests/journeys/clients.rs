//! A page that calls a server.

use bytes::Bytes;
use web::app::Event;
use web::app::code::Language;
use web::app::compose::Notation;
use web::app::form::{Choice, Field, SocketKind};
use web::app::log::RowKind;
use wire::{Call, SocketError, SocketId, ToClient, ToRelay, Transport};

use super::shell::{Shell, address, ms, system};

const HELLO: &str = "127.0.0.1:20001";

#[test]
fn the_first_datagram_goes_out_with_its_socket_and_its_reply_is_shown() {
    let mut page = Shell::ready();
    page.event(Event::Send);
    let said = page.said();
    let [
        ToRelay::Call(Call::Open { socket, .. }),
        ToRelay::Call(Call::Receive { buffer_bytes: 4_096, .. }),
        ToRelay::Send(send),
        ToRelay::Call(Call::Getsockname { .. }),
    ] = &said[..]
    else {
        panic!("{said:?}")
    };
    assert_eq!(send.destination, Some(address(HELLO)));
    assert_eq!(send.payload, "Hello UDP Server");
    assert!(send.report);
    assert_eq!(page.view().outcome.state, "waiting");

    page.report(send);
    page.wait(ms(3));
    page.receive(*socket, HELLO, b"Hello UDP Client");

    let outcome = page.view().outcome;
    assert_eq!((outcome.state, outcome.title.as_str()), ("reply", "Reply"));
    assert_eq!(outcome.payload.as_deref(), Some("Hello UDP Client"));
    assert_eq!(outcome.round_trip, "3.00 ms");
    assert_eq!(outcome.source, HELLO);
    assert!(outcome.detail.contains("by order"));
    assert_eq!(page.marks, ["relay-welcome", "first-sent", "first-reply"]);

    let ToRelay::Call(name) = &said[3] else { unreachable!() };
    page.done_at(name, Some(address("0.0.0.0:53122")));
    let rows = page.rows();
    let kinds: Vec<_> = rows.iter().map(|row| row.kind).collect();
    assert_eq!(kinds, ["note", "sent", "received"]);
    assert_eq!(rows[1].from, Some(("0.0.0.0".to_owned(), ":53122".to_owned())));
    assert!(rows[1].outcome.contains("reply in 3.00 ms"), "{}", rows[1].outcome);
    assert_eq!(rows[2].delta, "3.000");
    let counts = page.view().log.counts;
    assert_eq!((counts.sent, counts.replies, counts.received, counts.waiting), (1, 1, 1, 0));
}

#[test]
fn a_send_before_the_welcome_waits_for_it() {
    let mut page = Shell::opened();
    page.event(Event::Send);
    assert_eq!(page.view().outcome.state, "waiting");
    assert!(page.sends().is_empty());
    page.welcome();
    assert_eq!(page.sends().len(), 1);
}

#[test]
fn no_reply_is_said_in_exactly_these_words_and_no_earlier() {
    let mut page = Shell::ready();
    let send = page.send_once();
    page.wait(ms(1_990));
    assert_eq!(page.view().outcome.state, "waiting");
    page.wait(ms(20));
    let outcome = page.view().outcome;
    assert_eq!((outcome.state, outcome.title.as_str()), ("timeout", "No reply received in time"));
    assert!(outcome.detail.contains("nothing came within 2 s"));
    assert_eq!(page.view().header.announcement, "No reply received in time");
    assert_eq!(page.view().log.counts.no_reply, 1);

    page.wait(ms(1_200));
    page.receive(send.socket, HELLO, b"Hello UDP Client");
    let outcome = page.view().outcome;
    assert_eq!((outcome.state, outcome.title.as_str()), ("late", "Late: came after 3.21 s"));
    assert!(outcome.detail.starts_with("1.21 s after the timeout"), "{}", outcome.detail);
    let counts = page.view().log.counts;
    assert_eq!((counts.no_reply, counts.late), (0, 1));
    assert!(page.rows().iter().any(|row| row.outcome.starts_with("late reply to #2")));
}

#[test]
fn a_reply_in_time_that_the_page_was_slow_to_read_is_no_late_one() {
    let mut page = Shell::ready();
    let send = page.send_once();
    page.wait(ms(1_000));
    let at = page.relay_now();
    page.wait(ms(1_500));
    assert_eq!(page.view().outcome.state, "timeout");
    page.receive_at(send.socket, HELLO, b"Hello UDP Client", at);
    let outcome = page.view().outcome;
    assert_eq!((outcome.state, outcome.round_trip.as_str()), ("reply", "1.00 s"));
    let counts = page.view().log.counts;
    assert_eq!((counts.no_reply, counts.late, counts.replies), (0, 0, 1));
}

#[test]
fn messages_yet_unread_hold_back_the_verdict() {
    let mut page = Shell::ready();
    page.send_once();
    page.now += ms(2_100);
    page.event(Event::Tick { buffered: 0, unread: 3 });
    assert_eq!(page.view().outcome.state, "waiting");
    page.now += ms(1_000);
    page.event(Event::Tick { buffered: 0, unread: 3 });
    assert_eq!(page.view().outcome.state, "timeout");
}

#[test]
fn a_server_that_comes_back_answers_the_next_send_on_the_same_socket() {
    let mut page = Shell::ready();
    let first = page.send_once();
    page.wait(ms(2_100));
    assert_eq!(page.view().outcome.state, "timeout");
    page.event(Event::Send);
    assert!(page.calls().is_empty(), "the socket is still good");
    let second = page.sends().remove(0);
    assert_eq!(second.socket, first.socket);
    page.report(&second);
    page.wait(ms(1));
    page.receive(second.socket, HELLO, b"Hello UDP Client");
    assert_eq!(page.view().outcome.state, "reply");
}

#[test]
fn several_sends_keep_their_gap_and_count() {
    let mut page = Shell::ready();
    page.typed(Field::Times, "5");
    page.typed(Field::Gap, "100");
    page.typed(Field::Message, "ping {n}");
    page.event(Event::Send);
    let mut sends = page.sends();
    assert_eq!(sends.len(), 1);
    page.wait(ms(250));
    sends.extend(page.sends());
    assert_eq!(sends.len(), 3);
    assert_eq!(page.view().fields.send, "Stop");
    assert_eq!(page.view().fields.progress.expect("it goes on").2, "3 of 5 sent");
    page.wait(ms(250));
    sends.extend(page.sends());
    let payloads: Vec<_> = sends.iter().map(|send| send.payload.clone()).collect();
    assert_eq!(payloads, ["ping 1", "ping 2", "ping 3", "ping 4", "ping 5"]);
    for send in &sends {
        page.report(send);
    }
    page.receive(sends[0].socket, HELLO, b"ack:ping 3");
    let rows = page.rows();
    let sent: Vec<_> = rows.iter().filter(|row| row.kind == "sent").collect();
    assert!(sent[2].outcome.contains("by content"), "{}", sent[2].outcome);
    let counts = page.view().outcome.counts.expect("several");
    assert_eq!((counts.sent, counts.replies, counts.waiting), (5, 1, 4));
    page.wait(ms(3_000));
    let outcome = page.view().outcome;
    assert_eq!(outcome.counts.expect("several").no_reply, 4);
    assert_eq!(outcome.title, "1 of 5 replied in time");
}

#[test]
fn stop_ends_a_run() {
    let mut page = Shell::ready();
    page.typed(Field::Times, "10");
    page.typed(Field::Gap, "1000");
    page.event(Event::Send);
    page.event(Event::Send);
    page.wait(ms(5_000));
    assert_eq!(page.sends().len(), 1);
    assert_eq!(page.view().fields.send, "Send");
}

#[test]
fn ten_thousand_sends_go_in_slices_and_wait_for_room() {
    let mut page = Shell::ready();
    page.event(Event::Target(Choice::Practice("ack".to_owned())));
    page.typed(Field::Times, "10000");
    page.typed(Field::Message, "ping {n}");
    page.event(Event::Send);
    let first = page.sends();
    assert!(first.len() <= 128, "{} sends in one go", first.len());
    page.buffered = 2 << 20;
    page.wait(ms(500));
    let more = page.sends().len();
    assert!(more <= 128, "the connection is full, yet {more} went out");
    page.buffered = 0;
    page.wait(ms(100));
    let mut all = first.len() + more;
    for _ in 0..200 {
        for send in page.sends() {
            all += 1;
            page.report(&send);
            let reply = [b"ack:".as_slice(), &send.payload].concat();
            page.receive(send.socket, "127.0.0.1:9999", &reply);
        }
        page.wait(ms(16));
    }
    assert_eq!(all, 10_000);
    let counts = page.view().log.counts;
    let unanswered = (first.len() + more) as u64;
    assert_eq!(
        (counts.sent, counts.replies, counts.no_reply),
        (10_000, 10_000 - unanswered, unanswered)
    );
}

#[test]
fn a_relay_that_bounds_the_rate_is_not_asked_for_more() {
    let mut page = Shell::opened();
    page.welcome_with(Some(50));
    page.typed(Field::Times, "100");
    page.event(Event::Send);
    page.wait(ms(990));
    assert_eq!(page.sends().len(), 50);
    let progress = page.view().fields.progress.expect("it goes on").2;
    assert_eq!(progress, "50 of 100 sent, as fast as the relay permits");
}

#[test]
fn what_is_wrong_stands_beside_its_field_and_nothing_is_sent() {
    let mut page = Shell::ready();
    page.event(Event::Notation(Notation::Hex));
    page.typed(Field::Message, "48 6x");
    page.event(Event::Target(Choice::Other));
    page.typed(Field::Host, "http://x");
    page.typed(Field::Port, "70000");
    page.event(Event::Send);
    assert!(page.said().is_empty());
    assert_eq!(page.focused, [Field::Host]);
    assert!(page.error(Field::Host).expect("wrong").contains("no URL"));
    assert!(page.error(Field::Port).expect("wrong").contains("65535"));
    assert!(page.error(Field::Message).expect("wrong").contains("“x”"));
    let typed = page.view().fields.values;
    assert!(typed.contains(&(Field::Message, "48 6x".to_owned())));
    assert!(typed.contains(&(Field::Host, "http://x".to_owned())));
}

#[test]
fn a_refused_target_is_told_beside_the_field_with_what_would_permit_it() {
    let mut page = Shell::ready();
    page.event(Event::Target(Choice::Other));
    page.typed(Field::Host, "192.0.2.7");
    page.typed(Field::Port, "53");
    let send = page.send_once_from("0.0.0.0:0");
    let error = SocketError::relay("NOT_PERMITTED", "192.0.2.7:53 is not permitted")
        .with_advice("--allow 192.0.2.7:53 would permit it");
    page.hear_event(wire::Event::Error {
        socket: send.socket,
        number: Some(send.number),
        on: wire::Syscall::Send,
        at_ns: page.relay_now(),
        error,
    });
    assert!(page.error(Field::Host).expect("refused").contains("--allow 192.0.2.7:53"));
    assert_eq!(page.view().outcome.title, "NOT_PERMITTED");
    assert_eq!(page.view().log.counts.errors, 1);
    page.typed(Field::Port, "54");
    assert_eq!(page.error(Field::Host), None);
    page.event(Event::Send);
    let calls = page.calls();
    let [name] = &calls[..] else { panic!("the socket's name is asked for again: {calls:?}") };
    page.done_at(name, Some(address("0.0.0.0:53122")));
    assert_eq!(page.view().fields.socket, "socket 0.0.0.0:53122");
}

#[test]
fn a_name_is_resolved_first_and_ipv4_is_taken_first() {
    let mut page = Shell::ready();
    page.event(Event::Target(Choice::Other));
    page.typed(Field::Host, "localhost");
    page.typed(Field::Port, "20001");
    page.event(Event::Send);
    let calls = page.calls();
    let [Call::Resolve { call, host, port: 20_001 }] = &calls[..] else { panic!("{calls:?}") };
    assert_eq!(host, "localhost");
    page.resolved(*call, &["[::1]:20001", HELLO]);
    assert_eq!(page.sends().remove(0).destination, Some(address(HELLO)));
    page.calls();
    page.event(Event::Send);
    assert!(page.calls().is_empty(), "the address is known now");
}

#[test]
fn a_name_without_an_address_is_said_beside_the_host() {
    let mut page = Shell::ready();
    page.event(Event::Target(Choice::Other));
    page.typed(Field::Host, "nowhere.example");
    page.event(Event::Send);
    let call = page.calls().remove(0);
    page.refuse(&call, SocketError::relay("NOT_RESOLVED", "nowhere.example has no address"));
    assert!(page.error(Field::Host).expect("said").contains("NOT_RESOLVED"));
    assert_eq!(page.view().outcome.state, "error");
    assert!(page.sends().is_empty());
}

#[test]
fn a_connected_socket_hears_that_nobody_listens() {
    let mut page = Shell::ready();
    page.event(Event::Kind(SocketKind::UdpConnected));
    page.event(Event::Send);
    assert!(page.sends().is_empty(), "connect can fail, so it is waited for");
    let calls = page.calls();
    for call in &calls {
        page.done_at(call, Some(address("127.0.0.1:50000")));
    }
    let send = page.sends().remove(0);
    assert_eq!(send.destination, None);
    page.report(&send);
    page.send_error(send.socket, None, "ECONNREFUSED");
    let outcome = page.view().outcome;
    assert_eq!((outcome.state, outcome.title.as_str()), ("error", "ECONNREFUSED"));
    assert!(outcome.detail.contains("recv raised it"));
    let counts = page.view().log.counts;
    assert_eq!((counts.errors, counts.waiting), (1, 0));
    page.event(Event::Send);
    let second = page.sends().remove(0);
    page.send_error(second.socket, Some(second.number), "ECONNREFUSED");
    assert_eq!(page.view().outcome.title, "ECONNREFUSED");
    assert_eq!(page.rows().last().expect("a row").kind, "error");
}

#[test]
fn a_connect_that_fails_sends_nothing() {
    let mut page = Shell::ready();
    page.event(Event::Kind(SocketKind::Tcp));
    page.event(Event::Send);
    let calls = page.calls();
    let connect = calls.last().expect("open, receive, connect");
    assert!(matches!(connect, Call::Connect { port: 9_999, .. }));
    page.refuse(connect, system("ECONNREFUSED"));
    assert!(page.sends().is_empty());
    assert!(page.error(Field::Target).expect("said").contains("ECONNREFUSED"));
    assert_eq!(page.view().outcome.title, "ECONNREFUSED");
    assert!(matches!(page.calls()[..], [Call::Close { .. }]));
    assert_eq!(page.view().fields.send, "Send");
}

#[test]
fn a_stream_answers_all_that_was_sent_before() {
    let mut page = Shell::ready();
    page.event(Event::Kind(SocketKind::Tcp));
    page.typed(Field::Times, "3");
    page.typed(Field::Message, "m{n}");
    page.event(Event::Send);
    let calls = page.calls();
    for call in &calls {
        page.done_at(call, Some(address("127.0.0.1:50000")));
    }
    let sends = page.sends();
    assert_eq!(sends.len(), 3);
    for send in &sends {
        page.report(send);
    }
    page.wait(ms(2));
    page.stream(sends[0].socket, "127.0.0.1:9999", b"ack:m1ack:m2ack:m3");
    let counts = page.view().outcome.counts.expect("several");
    assert_eq!((counts.replies, counts.waiting), (3, 0));

    page.hear_event(wire::Event::EndOfStream { socket: sends[0].socket, at_ns: page.relay_now() });
    page.event(Event::Send);
    let calls = page.calls();
    assert!(matches!(calls[..], [Call::Close { .. }, Call::Open { .. }, ..]), "{calls:?}");
}

#[test]
fn a_stream_that_stays_silent_is_no_reply_and_then_late() {
    let mut page = Shell::ready();
    page.event(Event::Kind(SocketKind::Tcp));
    page.event(Event::Send);
    for call in page.calls() {
        page.done_at(&call, Some(address("127.0.0.1:50000")));
    }
    let send = page.sends().remove(0);
    page.report(&send);
    page.wait(ms(2_500));
    assert_eq!(page.view().outcome.title, "No reply received in time");
    page.stream(send.socket, "127.0.0.1:9999", b"ack:x");
    assert_eq!(page.view().outcome.state, "late");
}

#[test]
fn a_cut_datagram_says_its_true_size() {
    let mut page = Shell::ready();
    let send = page.send_once();
    page.hear(&ToClient::Datagram(wire::Datagram {
        socket: send.socket,
        transport: Transport::Udp,
        source: address(HELLO),
        received_at: page.relay_now(),
        size: 1_500,
        payload: Bytes::from(vec![b'a'; 1_024]),
    }));
    let row = page.rows().pop().expect("a row");
    assert_eq!((row.size.as_str(), row.cut.as_str()), ("1,024", "of 1,500, cut"));
    assert_eq!(page.view().outcome.size, "1,024 of 1,500 bytes, cut");
}

#[test]
fn a_reply_twice_and_a_stranger_are_told_apart() {
    let mut page = Shell::ready();
    page.typed(Field::Message, "a long enough message");
    let send = page.send_once();
    page.receive(send.socket, HELLO, b"ack:a long enough message");
    page.receive(send.socket, HELLO, b"ack:a long enough message");
    page.receive(send.socket, "127.0.0.1:4444", b"me first");
    let outcomes: Vec<_> = page.rows().into_iter().map(|row| row.outcome).collect();
    assert!(outcomes[3].starts_with("again a reply to #2"), "{outcomes:?}");
    assert_eq!(outcomes[4], "not asked for");
    assert_eq!(page.view().log.counts.replies, 1);
}

#[test]
fn a_local_port_is_bound_before_anything_is_sent() {
    let mut page = Shell::ready();
    page.typed(Field::LocalPort, "5005");
    page.event(Event::Send);
    let calls = page.calls();
    let bind = calls.iter().find(|call| matches!(call, Call::Bind { port: 5_005, .. }));
    assert!(page.sends().is_empty());
    page.refuse(bind.expect("it is bound"), system("EADDRINUSE"));
    assert!(page.error(Field::LocalPort).expect("said").contains("EADDRINUSE"));
    assert!(page.sends().is_empty());
}

#[test]
fn closing_the_socket_makes_what_waits_unknown() {
    let mut page = Shell::ready();
    page.send_once();
    page.event(Event::Close);
    assert!(matches!(page.calls()[..], [Call::Close { .. }]));
    assert_eq!(page.view().outcome.state, "unknown");
    assert!(!page.view().fields.has_socket);
    page.wait(ms(3_000));
    assert_eq!(page.view().log.counts.no_reply, 0);
}

#[test]
fn the_log_filters_pauses_clears_and_copies() {
    let mut page = Shell::ready();
    let send = page.send_once();
    page.receive(send.socket, HELLO, b"first\treply\n<b>");
    page.event(Event::Filter("REPLY\\N".to_owned()));
    assert_eq!(page.view().log.len, 1);
    page.event(Event::CopyLog);
    let (_, text) = page.copies.pop().expect("copied");
    assert!(text.lines().count() == 2 && text.contains("first\\treply\\n<b>"), "{text}");
    page.event(Event::Filter(String::new()));
    page.event(Event::FilterKind(Some(RowKind::Sent)));
    assert_eq!(page.view().log.len, 1);
    page.event(Event::FilterKind(None));
    page.event(Event::Pause);
    page.receive(send.socket, HELLO, b"more");
    let log = page.view().log;
    assert_eq!((log.len, log.unseen.as_str()), (3, "1 new"));
    page.event(Event::Pause);
    page.event(Event::Step(1));
    assert_eq!(page.view().log.detail.expect("selected").title, "Row 1: note");
    page.event(Event::ClearLog);
    let log = page.view().log;
    assert_eq!((log.len, log.counts.sent, log.counts.replies), (0, 0, 0));
    assert!(log.detail.is_none());
}

#[test]
fn the_program_follows_the_settings_and_keeps_the_last_that_was_right() {
    let mut page = Shell::ready();
    page.typed(Field::Message, "Grüße");
    let program = page.view().program;
    assert!(program.code.contains("b\"Gr\\xc3\\xbc\\xc3\\x9fe\""), "{}", program.code);
    page.event(Event::Language(Language::Rust));
    page.typed(Field::Timeout, "oops");
    let program = page.view().program;
    assert!(program.code.contains("from_millis(2000)"));
    assert_eq!(program.run, "rustc udp_client.rs && ./udp_client");
    page.event(Event::CopyProgram);
    assert_eq!(page.copies[0].1, program.code);
}

#[test]
fn a_datagram_for_a_socket_that_is_gone_is_shown_and_harms_nothing() {
    let mut page = Shell::ready();
    page.receive(SocketId(77), "127.0.0.1:1", b"x");
    assert_eq!(page.rows()[0].outcome, "not asked for");
}

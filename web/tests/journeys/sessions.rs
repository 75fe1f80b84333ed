//! The relay comes, goes, and says strange things.

use bytes::Bytes;
use proptest::prelude::*;
use web::app::Event;
use web::app::form::{Field, SocketKind};
use wire::{Call, ConsoleLine, ConsoleSource, Message, RelayTime, ServerAction, ServerState};

use super::shell::{Shell, ms};

#[test]
fn a_relay_lost_in_the_middle_of_a_wait_leaves_the_outcome_unknown() {
    let mut page = Shell::ready();
    page.typed(Field::Message, "kept");
    let send = page.send_once();
    page.wait(ms(500));
    page.event(Event::Disconnected);
    let view = page.view();
    assert_eq!((view.header.state, view.path.state), ("lost", "broken"));
    assert!(view.header.banner.expect("said").1.contains("cannot arrive any more"));
    assert_eq!(view.outcome.title, "Unknown: the relay was lost");
    assert!(!view.fields.has_socket);
    assert_eq!(page.connects, 1);

    page.event(Event::Send);
    assert_eq!(page.view().outcome.title, "No relay, nothing sent");

    page.wait(ms(1_000));
    assert_eq!(page.connects, 2, "the first new try comes within a second");
    page.welcome();
    let view = page.view();
    assert_eq!(view.header.banner.expect("said").0, "restored");
    assert_eq!(view.fields.values[3].1, "kept");
    page.calls();
    let again = page.send_once();
    assert_ne!(again.number, send.number);
    page.event(Event::DismissBanner);
    assert_eq!(page.view().header.banner, None);
    page.wait(ms(3_000));
    let counts = page.view().log.counts;
    assert_eq!((counts.sent, counts.no_reply), (2, 1), "the first stays unknown");
}

#[test]
fn tries_get_rarer_and_a_person_need_not_wait() {
    let mut page = Shell::ready();
    for _ in 0..6 {
        page.event(Event::Disconnected);
        page.event(Event::TryNow);
    }
    assert_eq!(page.connects, 7);
    page.event(Event::TryNow);
    assert_eq!(page.connects, 7, "one is under way");
    page.event(Event::Disconnected);
    page.wait(ms(5_000));
    assert_eq!(page.connects, 7);
    page.wait(ms(5_100));
    assert_eq!(page.connects, 8);
}

#[test]
fn a_connection_without_a_welcome_is_given_up() {
    let mut page = Shell::opened();
    page.wait(ms(10_100));
    assert_eq!(page.view().header.state, "lost");
}

#[test]
fn the_relay_says_in_its_own_words_why_it_ends_a_session() {
    let mut page = Shell::ready();
    page.hear_event(wire::Event::Closing { reason: "idle for 600 s".to_owned() });
    page.event(Event::Disconnected);
    let (kind, words) = page.view().header.banner.expect("said");
    assert_eq!(kind, "closing");
    assert!(words.contains("idle for 600 s"));
}

#[test]
fn drops_are_counted_and_shown() {
    let mut page = Shell::ready();
    page.hear_event(wire::Event::Dropped { datagrams: 340, bytes: 87_040, aged: 12, total: 340 });
    page.event(Event::Overrun(5));
    assert_eq!(page.view().log.counts.dropped, 345);
    assert!(page.rows()[0].content.contains("340 datagrams (87,040 bytes)"));
}

#[test]
fn servers_and_their_consoles_are_followed() {
    let mut page = Shell::ready();
    let line = |number: u64, text: &str| ConsoleLine {
        number,
        at_ns: RelayTime::from_nanos(number),
        from: ConsoleSource::Program,
        text: text.to_owned(),
    };
    let lines = (1..=700).map(|number| line(number, "Message from Client:b'x'")).collect();
    page.hear_event(wire::Event::Console { server: "hello".to_owned(), lines, skipped: 3 });
    let console = page.model.consoles().of("hello").expect("it printed");
    assert_eq!((console.lines.len(), console.skipped, console.appended), (500, 203, 700));

    page.event(Event::PauseServer);
    let calls = page.calls();
    assert!(
        matches!(&calls[..], [Call::Server { server, action: ServerAction::Pause, .. }] if server == "hello")
    );
    let mut status = page.view();
    assert_eq!(status.console.state, "running");
    page.hear_event(wire::Event::Server(wire::ServerStatus {
        server: "hello".to_owned(),
        transport: wire::Transport::Udp,
        address: super::shell::address("127.0.0.1:20001"),
        buffer_bytes: 1_024,
        state: ServerState::Paused,
        note: None,
    }));
    status = page.view();
    assert_eq!(status.console.pause, Some(ServerAction::Resume));
    assert_eq!(status.path.note, "paused: it does not read");
    assert_eq!(status.fields.options[0].1, "hello · udp 20001, paused");
    page.event(Event::Console("ack".to_owned()));
    assert_eq!(page.view().console.server, "ack");
    page.event(Event::Kind(SocketKind::Tcp));
    assert_eq!(page.view().console.server, "ack-tcp", "the target's console is looked at");
}

#[test]
fn new_events_are_skipped_and_broken_messages_counted() {
    let mut page = Shell::ready();
    page.event(Event::Arrived(Message::Text("{\"event\":\"from_the_future\"}".to_owned())));
    assert!(page.rows().is_empty());
    page.event(Event::Arrived(Message::Binary(Bytes::from_static(&[0x99]))));
    assert_eq!(page.model.undecoded(), 2);
}

fn strange_message() -> impl Strategy<Value = Message> {
    let event = proptest::sample::select(vec![
        "{\"event\":\"done\",\"call\":N,\"local\":\"127.0.0.1:1\"}",
        "{\"event\":\"done\",\"call\":N,\"addresses\":[\"[::1]:7\"]}",
        "{\"event\":\"failed\",\"call\":N,\"error\":{\"origin\":\"system\",\"name\":\"E\",\"message\":\"\"}}",
        "{\"event\":\"failed\",\"error\":{\"origin\":\"relay\",\"name\":\"\u{202e}\",\"message\":\"m\"}}",
        "{\"event\":\"error\",\"socket\":N,\"number\":N,\"on\":\"send\",\"at_ns\":N,\"error\":{\"origin\":\"system\",\"name\":\"ECONNREFUSED\",\"message\":\"m\"}}",
        "{\"event\":\"error\",\"socket\":N,\"on\":\"recv\",\"at_ns\":N,\"error\":{\"origin\":\"system\",\"name\":\"ECONNRESET\",\"message\":\"m\"}}",
        "{\"event\":\"accepted\",\"listener\":N,\"socket\":2147483648,\"local\":\"127.0.0.1:1\",\"peer\":\"127.0.0.1:2\",\"at_ns\":N}",
        "{\"event\":\"end_of_stream\",\"socket\":N,\"at_ns\":N}",
        "{\"event\":\"dropped\",\"datagrams\":18446744073709551615,\"bytes\":1,\"aged\":0,\"total\":1}",
        "{\"event\":\"console\",\"server\":\"hello\",\"lines\":[{\"number\":1,\"at_ns\":1,\"from\":\"relay\",\"text\":\"\"}],\"skipped\":18446744073709551615}",
        "{\"event\":\"closing\",\"reason\":\"\"}",
    ]);
    prop_oneof![
        (event, 0u32..12).prop_map(|(text, n)| Message::Text(text.replace('N', &n.to_string()))),
        proptest::collection::vec(any::<u8>(), 0..60).prop_map(|it| Message::Binary(it.into())),
        (0x81u8..=0x83, 0u8..4, proptest::collection::vec(any::<u8>(), 16..40)).prop_map(
            |(kind, socket, rest)| {
                let mut bytes = vec![kind, 4, 0, 0, 0, 0, 0, socket];
                if kind == 0x83 {
                    bytes[1] = 0;
                }
                bytes.extend(rest);
                if kind == 0x83 {
                    bytes.resize(24, 0);
                }
                Message::Binary(bytes.into())
            }
        ),
    ]
}

fn any_event() -> impl Strategy<Value = Event> {
    prop_oneof![
        6 => strange_message().prop_map(Event::Arrived),
        1 => Just(Event::Disconnected),
        1 => Just(Event::TryNow),
        2 => Just(Event::Send),
        1 => Just(Event::Listen),
        1 => Just(Event::Close),
        1 => Just(Event::ClearLog),
        1 => Just(Event::Pause),
        1 => any::<String>().prop_map(Event::Filter),
        1 => any::<isize>().prop_map(Event::Step),
        1 => any::<u64>().prop_map(|n| Event::Select(Some(n))),
        1 => (0usize..5).prop_map(|n| Event::Kind(SocketKind::ALL[n].0)),
        1 => (0usize..11, any::<String>()).prop_map(|(n, text)| Event::Typed(Field::ALL[n], text)),
        1 => Just(Event::Typed(Field::Times, "700".to_owned())),
    ]
}

proptest! {
    #[test]
    fn nothing_that_happens_makes_the_core_panic(
        events in proptest::collection::vec((any_event(), 0u64..3_000), 0..60),
    ) {
        let mut page = Shell::ready();
        for (event, pause) in events {
            page.event(event);
            if page.view().header.state == "connecting" {
                page.welcome();
            }
            page.now += ms(pause);
            page.tick();
            let _ = page.rows();
            let view = page.view();
            let counts = view.log.counts;
            prop_assert!(counts.replies + counts.no_reply + counts.late + counts.waiting <= counts.sent);
        }
    }
}

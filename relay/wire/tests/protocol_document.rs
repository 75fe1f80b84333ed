//! Reads PROTOCOL.md and holds it to the code: every example decodes and encodes to itself, and
//! everything there is has an example or a name in it.

use std::collections::BTreeSet;

use bytes::Bytes;
use serde_json::Value;
use wire::{
    Call, CallId, ConsoleLine, ConsoleSource, Event, Family, Half, Kind, Limits, Message, Number,
    Origin, ReceiveMode, RelayTime, Role, ServerAction, ServerState, ServerStatus, SocketError,
    SocketId, SocketOption, Syscall, ToClient, ToRelay, Transport, Welcome,
};

const DOCUMENT: &str = include_str!("../PROTOCOL.md");

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Direction {
    ToRelay,
    ToClient,
}

#[derive(Debug)]
struct Example {
    /// The line of its opening fence, from 1.
    line: usize,
    section: String,
    direction: Direction,
    message: Message,
}

#[derive(Debug, PartialEq)]
enum Decoded {
    ToRelay(ToRelay),
    ToClient(ToClient),
}

impl Example {
    #[track_caller]
    fn decode(&self) -> Decoded {
        let message = self.message.clone();
        let decoded = match self.direction {
            Direction::ToRelay => ToRelay::decode(message).map(Decoded::ToRelay),
            Direction::ToClient => ToClient::decode(message).map(Decoded::ToClient),
        };
        decoded.unwrap_or_else(|error| panic!("PROTOCOL.md:{}: {error}", self.line))
    }
}

impl Decoded {
    fn encode(&self) -> Message {
        match self {
            Self::ToRelay(message) => message.encode(),
            Self::ToClient(message) => message.encode(),
        }
    }
}

fn examples() -> Vec<Example> {
    let mut examples = Vec::new();
    let mut section = String::new();
    let mut lines = DOCUMENT.lines().zip(1..);
    while let Some((text, line)) = lines.next() {
        if let Some(heading) = text.strip_prefix("## ") {
            heading.clone_into(&mut section);
        }
        let Some(info) = text.strip_prefix("```") else { continue };
        let body: Vec<&str> =
            lines.by_ref().map(|(text, _)| text).take_while(|text| *text != "```").collect();
        let (format, direction) = match info.split_once(' ') {
            Some((format, "to-relay")) => (format, Direction::ToRelay),
            Some((format, "to-client")) => (format, Direction::ToClient),
            None if matches!(info, "python" | "js") => continue,
            _ => panic!("PROTOCOL.md:{line}: {info:?} is no kind of example"),
        };
        let message = match format {
            "json" => Message::Text(body.join("\n")),
            "hex" => Message::Binary(body.iter().flat_map(|text| field(text, line)).collect()),
            _ => panic!("PROTOCOL.md:{line}: {info:?} is no kind of example"),
        };
        examples.push(Example { line, section: section.clone(), direction, message });
    }
    examples
}

/// The bytes of one field: hex, then at least two spaces and what it means.
#[track_caller]
fn field(text: &str, line: usize) -> Vec<u8> {
    let (hex, meaning) = text
        .split_once("  ")
        .unwrap_or_else(|| panic!("PROTOCOL.md:{line}: {text:?} says nothing of its meaning"));
    assert!(!meaning.trim().is_empty(), "PROTOCOL.md:{line}: {text:?}");
    hex.split(' ')
        .map(|byte| {
            assert_eq!(byte.len(), 2, "PROTOCOL.md:{line}: {text:?}");
            u8::from_str_radix(byte, 16).expect("two hex digits")
        })
        .collect()
}

/// The variants with their tags; a new variant breaks the match, and then lacks an example.
macro_rules! tags {
    ($all:ident, $tag_of:ident, $type:ident { $($variant:ident => $tag:literal),* $(,)? }) => {
        const $all: &[&str] = &[$($tag),*];

        fn $tag_of(value: &$type) -> &'static str {
            match value {
                $($type::$variant { .. } => $tag),*
            }
        }
    };
}

tags!(OPS, op_of, Call {
    Open => "open",
    Bind => "bind",
    Connect => "connect",
    Listen => "listen",
    Resolve => "resolve",
    Setsockopt => "setsockopt",
    Settimeout => "settimeout",
    Receive => "receive",
    Recvfrom => "recvfrom",
    Getsockname => "getsockname",
    Shutdown => "shutdown",
    Close => "close",
    Watch => "watch",
    Server => "server",
});

tags!(EVENTS, event_of, Event {
    Welcome => "welcome",
    Done => "done",
    Failed => "failed",
    Error => "error",
    Accepted => "accepted",
    EndOfStream => "end_of_stream",
    Dropped => "dropped",
    Console => "console",
    Server => "server",
    Closing => "closing",
});

#[test]
fn every_example_decodes_and_encodes_to_itself() {
    let examples = examples();
    assert!(examples.len() > 40, "only {} examples were found", examples.len());
    for example in examples {
        let line = example.line;
        match (&example.message, example.decode().encode()) {
            (Message::Text(written), Message::Text(encoded)) => {
                let value = |text: &str| serde_json::from_str::<Value>(text).expect("it decoded");
                assert_eq!(value(&encoded), value(written), "PROTOCOL.md:{line}");
            }
            (written, encoded) => assert_eq!(encoded, *written, "PROTOCOL.md:{line}"),
        }
    }
}

#[test]
fn every_message_has_an_example() {
    let mut ops = BTreeSet::new();
    let mut events = BTreeSet::new();
    let mut binary = BTreeSet::new();
    for example in examples() {
        if let Message::Binary(bytes) = &example.message {
            binary.insert(bytes[0]);
        }
        let stated = match &example.message {
            Message::Text(text) => serde_json::from_str(text).expect("it decodes"),
            Message::Binary(_) => Value::Null,
        };
        match example.decode() {
            Decoded::ToRelay(ToRelay::Call(call)) => {
                assert_eq!(stated["op"], op_of(&call));
                ops.insert(op_of(&call));
            }
            Decoded::ToClient(ToClient::Event(event)) => {
                assert_eq!(stated["event"], event_of(&event));
                events.insert(event_of(&event));
            }
            Decoded::ToRelay(ToRelay::Send(_))
            | Decoded::ToClient(ToClient::Datagram(_) | ToClient::Sent(_)) => {}
        }
    }
    assert_eq!(ops, OPS.iter().copied().collect());
    assert_eq!(events, EVENTS.iter().copied().collect());
    assert_eq!(binary, BTreeSet::from([0x01, 0x81, 0x82, 0x83]));
}

#[test]
fn every_call_and_event_has_a_section() {
    for tag in OPS.iter().chain(EVENTS) {
        assert!(DOCUMENT.contains(&format!("\n### {tag}\n")), "no section on {tag}");
    }
}

/// The values of an enum without fields; a new one breaks the match.
macro_rules! values {
    ($type:ident { $($variant:ident),* }) => {{
        #[allow(dead_code, reason = "exists to be complete")]
        fn is_complete(value: $type) {
            match value {
                $($type::$variant => {}),*
            }
        }
        [$(serde_json::to_string(&$type::$variant).expect("a word")),*].to_vec()
    }};
}

#[test]
fn every_word_is_named() {
    let words = [
        values!(Kind { Udp, Tcp }),
        values!(Family { Ipv4, Ipv6 }),
        values!(SocketOption { ReceiveBuffer, SendBuffer, Broadcast, TimeToLive, NoDelay }),
        values!(ReceiveMode { Arriving, Asked }),
        values!(Half { Read, Write, Both }),
        values!(ServerAction { Start, Stop, Pause, Resume }),
        values!(ServerState { Running, Paused, Stopped, PortTaken }),
        values!(Role { Learner, Teacher }),
        values!(Transport { Udp, Tcp }),
        values!(ConsoleSource { Program, Relay }),
        values!(Syscall { Send, Recv, Accept }),
        values!(Origin { System, Relay }),
    ];
    for word in words.concat() {
        assert!(DOCUMENT.contains(&format!("`{word}`")), "{word} is not named");
    }
}

#[test]
fn every_field_of_every_event_has_an_example() {
    let mut shown = BTreeSet::new();
    for example in examples() {
        if let (Direction::ToClient, Message::Text(text)) = (example.direction, &example.message) {
            let event: Value = serde_json::from_str(text).expect("it decodes");
            keys(event["event"].as_str().expect("a tag"), &event, &mut shown);
        }
    }
    let mut there_are = BTreeSet::new();
    for event in events_with_every_field() {
        let value = serde_json::to_value(&event).expect("an event is JSON");
        keys(event_of(&event), &value, &mut there_are);
    }
    let missing: Vec<_> = there_are.difference(&shown).collect();
    assert!(missing.is_empty(), "no example shows {missing:?}");
}

fn keys(path: &str, value: &Value, into: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                let path = format!("{path}.{name}");
                keys(&path, value, into);
                into.insert(path);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| keys(path, item, into)),
        _ => {}
    }
}

fn events_with_every_field() -> Vec<Event> {
    let address = "127.0.0.1:1".parse().expect("an address");
    let (call, socket, number) = (CallId(1), SocketId(1), Number(1));
    let (at_ns, text) = (RelayTime::default(), String::new());
    let error = || SocketError {
        origin: Origin::System,
        name: String::new(),
        code: Some(1),
        message: String::new(),
        advice: Some(String::new()),
    };
    let status = || ServerStatus {
        server: String::new(),
        transport: Transport::Udp,
        address,
        buffer_bytes: 1,
        state: ServerState::Running,
        note: None,
    };
    let limits = Limits {
        sockets: 1,
        calls: 1,
        payload_bytes_ipv4: 1,
        payload_bytes_ipv6: 1,
        sends_per_second: Some(1),
        queue_bytes: 1,
        queue_age_ms: 1,
        idle_seconds: 1,
    };
    let welcome = Welcome {
        protocol: text.clone(),
        relay: text.clone(),
        os: text.clone(),
        session: text.clone(),
        role: Role::Learner,
        now_ns: at_ns,
        limits,
        permitted: vec![text.clone()],
        servers: vec![ServerStatus { note: Some(text.clone()), ..status() }],
    };
    let line = ConsoleLine { number: 1, at_ns, from: ConsoleSource::Program, text: text.clone() };
    vec![
        Event::Welcome(Box::new(welcome)),
        Event::Done {
            call,
            local: Some(address),
            peer: Some(address),
            addresses: vec![address],
            value: Some(1),
        },
        Event::Failed { call: Some(call), error: error() },
        Event::Error {
            socket,
            number: Some(number),
            on: Syscall::Send,
            at_ns,
            error: SocketError { advice: None, ..error() },
        },
        Event::Accepted { listener: socket, socket, local: address, peer: address, at_ns },
        Event::EndOfStream { socket, at_ns },
        Event::Dropped { datagrams: 1, bytes: 1, aged: 1, total: 1 },
        Event::Console { server: text.clone(), lines: vec![line], skipped: 1 },
        Event::Server(status()),
        Event::Closing { reason: text },
    ]
}

#[test]
fn the_document_states_the_constants() {
    assert!(DOCUMENT.contains(&format!("`{}`, which the client must offer", wire::SUBPROTOCOL)));
    for (name, limit) in [
        ("payload_bytes_ipv4", wire::PAYLOAD_LIMIT_IPV4),
        ("payload_bytes_ipv6", wire::PAYLOAD_LIMIT_IPV6),
    ] {
        assert_eq!(usual(name), u64::try_from(limit).expect("fits"), "{name}");
    }
    let raw = format!(
        "({} bytes over IPv4, {} over IPv6)",
        grouped(wire::PAYLOAD_LIMIT_IPV4),
        grouped(wire::PAYLOAD_LIMIT_IPV6)
    );
    assert!(DOCUMENT.contains(&raw), "the raw bridge's limits are not stated as {raw}");
    let largest =
        format!("| 1009 | one message was larger than {} bytes |", grouped(wire::MESSAGE_LIMIT));
    assert!(DOCUMENT.contains(&largest), "the largest message is not stated as {largest}");
    let first = usize::try_from(SocketId::FIRST_ACCEPTED).expect("fits");
    for number in [first, first - 1] {
        assert!(DOCUMENT.contains(&grouped(number)), "{number} is not stated");
    }
}

/// What a welcome in an example says is what the table of bounds says.
#[test]
fn the_examples_keep_to_the_table_of_bounds() {
    for example in examples() {
        let Decoded::ToClient(ToClient::Event(Event::Welcome(welcome))) = example.decode() else {
            continue;
        };
        let limits = serde_json::to_value(&welcome.limits).expect("limits are JSON");
        for (name, limit) in limits.as_object().expect("an object") {
            if name != "sends_per_second" {
                assert_eq!(limit.as_u64(), Some(usual(name)), "PROTOCOL.md:{}", example.line);
            }
        }
    }
}

/// The second cell of a row in the table of bounds.
#[track_caller]
fn usual(name: &str) -> u64 {
    let start = format!("| `{name}` | ");
    let row = DOCUMENT.lines().find_map(|line| line.strip_prefix(&start));
    let cell = row.and_then(|row| row.split_once(" |")).map(|(cell, _)| cell.replace(',', ""));
    let number = cell.and_then(|cell| cell.parse().ok());
    number.unwrap_or_else(|| panic!("the table of bounds has no number for {name}"))
}

fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let groups: Vec<&str> =
        digits.as_bytes().rchunks(3).rev().filter_map(|group| str::from_utf8(group).ok()).collect();
    groups.join(",")
}

#[test]
fn in_the_conversation_every_call_is_answered_once_and_the_reply_is_the_targets() {
    let mut asked = Vec::new();
    let mut answered = Vec::new();
    let mut request = None;
    let mut is_first = true;
    for example in examples().iter().filter(|example| example.section == "A whole conversation") {
        match example.decode() {
            Decoded::ToClient(ToClient::Event(Event::Welcome(_))) => assert!(is_first),
            Decoded::ToRelay(ToRelay::Call(call)) => asked.push(call.id()),
            Decoded::ToRelay(ToRelay::Send(send)) => request = Some(send),
            Decoded::ToClient(ToClient::Event(Event::Done { call, .. })) => answered.push(call),
            Decoded::ToClient(ToClient::Event(other)) => panic!("{other:?}"),
            Decoded::ToClient(ToClient::Sent(report)) => {
                let send = request.as_ref().expect("sent before the report");
                assert!(send.report);
                assert_eq!((report.socket, report.number), (send.socket, send.number));
                assert_eq!(usize::try_from(report.bytes), Ok(send.payload.len()));
            }
            Decoded::ToClient(ToClient::Datagram(datagram)) => {
                let send = request.as_ref().expect("sent before the reply");
                assert_eq!(Some(datagram.source), send.destination);
                let reply = Bytes::from([b"ack:", &send.payload[..]].concat());
                assert_eq!((datagram.is_cut(), &datagram.payload), (false, &reply));
            }
        }
        is_first = false;
    }
    assert_eq!(asked, answered);
    assert_eq!(asked.len(), 3);
}

/// A link inside the document leads to a heading that is there.
#[test]
fn links_inside_the_document_lead_somewhere() {
    let mut anchors: Vec<String> = Vec::new();
    for heading in DOCUMENT.lines().filter(|line| line.starts_with('#')) {
        let words = heading.trim_start_matches('#').trim().to_lowercase();
        let kept = words.chars().filter(|c| c.is_alphanumeric() || "-_ ".contains(*c));
        let anchor: String = kept.map(|c| if c == ' ' { '-' } else { c }).collect();
        let same = anchors.iter().filter(|known| **known == anchor).count();
        let another = format!("{anchor}-{same}");
        anchors.push(anchor);
        if same > 0 {
            anchors.push(another);
        }
    }
    for link in DOCUMENT.split("](#").skip(1) {
        let target = link.split_once(')').map(|(target, _)| target.to_owned());
        assert!(target.as_ref().is_some_and(|t| anchors.contains(t)), "no heading for {target:?}");
    }
}

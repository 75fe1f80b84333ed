//! The practice servers under a session's control, their consoles, and the end of the relay.

use std::net::SocketAddr;

use tokio_tungstenite::tungstenite::Message;
use wire::{
    Call, ConsoleLine, ConsoleSource, Event, ReceiveMode, ServerAction, ServerState, SocketId,
    ToClient, Transport,
};

use crate::lab_client::Lab;
use crate::native::{any_udp, own_address, receive, udp};
use crate::program::{eventually, python};
use crate::relay_program::Relay;
use crate::web::Client;

/// A relay with its practice servers at the lessons' ports of an address of its own.
fn with_practice() -> (Relay, impl Fn(u16) -> SocketAddr) {
    let host = own_address();
    let relay = Relay::with_practice(&host.to_string());
    (relay, move |port| SocketAddr::from((host, port)))
}

/// Console lines as they have come.
#[derive(Default)]
struct Consoles(Vec<(String, ConsoleLine)>);

impl Consoles {
    fn watched(lab: &mut Lab) -> Self {
        lab.ask(|call| Call::Watch { call, consoles: true }).unwrap();
        Self::default()
    }

    fn wait_for(&mut self, lab: &mut Lab, wanted: &str, from: ConsoleSource, text: &str) {
        let is_it = |(server, line): &(String, ConsoleLine)| {
            server == wanted && line.from == from && line.text.contains(text)
        };
        while !self.0.iter().any(is_it) {
            let what = format!("{text:?} on the console of {wanted}");
            let new = lab.until(&what, |message| match message {
                ToClient::Event(Event::Console { server, lines, .. }) => {
                    Some(lines.iter().map(|line| (server.clone(), line.clone())).collect())
                }
                _ => None::<Vec<_>>,
            });
            self.0.extend(new);
        }
    }
}

fn state(lab: &mut Lab, wanted: &str, state: ServerState) {
    lab.until(&format!("{wanted} {state:?}"), |message| match message {
        ToClient::Event(Event::Server(status)) => {
            (status.server == wanted && status.state == state).then_some(())
        }
        _ => None,
    });
}

#[test]
fn welcome_names_the_servers() {
    let (relay, at) = with_practice();
    let servers = Lab::open(relay.address).welcome.servers;
    let named: Vec<_> = servers
        .iter()
        .map(|status| (status.server.as_str(), status.transport, status.address))
        .collect();
    assert_eq!(
        named,
        [
            ("hello", Transport::Udp, at(20_001)),
            ("ack", Transport::Udp, at(9_999)),
            ("ack-tcp", Transport::Tcp, at(9_999)),
            ("counter", Transport::Udp, at(9_998)),
        ]
    );
    assert!(servers.iter().all(|status| status.state == ServerState::Running));
    assert_eq!((servers[0].buffer_bytes, servers[1].buffer_bytes), (1_024, 4_096));
}

#[test]
fn consoles_are_streamed_with_what_was_printed_before() {
    let (relay, at) = with_practice();
    let host = at(0).ip().to_string();
    python("lessons/hello_client.py", &["--host", &host]).ended().well();
    let program = ConsoleSource::Program;
    let mut labs = [0, 1].map(|_| {
        let mut lab = Lab::open(relay.address);
        let mut consoles = Consoles::watched(&mut lab);
        let printed = "Message from Client:b'Hello UDP Server'";
        consoles.wait_for(&mut lab, "hello", program, printed);
        (lab, consoles)
    });
    let (first, _) = &mut labs[0];
    first.udp(1);
    first.send(1, 1, Some(at(9_999)), &b"caf\xc3\xa9 \x1b[2J"[..]);
    assert_eq!(first.datagram(1).payload, &b"ack:caf\xc3\xa9 \x1b[2J"[..]);
    for (lab, consoles) in &mut labs {
        consoles.wait_for(lab, "ack", program, r"b'caf\xc3\xa9 \x1b[2J'");
    }
}

#[test]
fn a_console_of_long_lines_does_not_end_the_sessions_that_watch_it() {
    let (relay, at) = with_practice();
    let (native, _) = any_udp();
    for payload in std::iter::repeat_n(&[0; 1_024][..], 120).chain([&b"the last"[..]]) {
        native.send_to(payload, at(9_999)).unwrap();
        assert_eq!(receive(&native).0, [b"ack:", payload].concat());
    }
    let mut lab = Lab::open(relay.address);
    let mut consoles = Consoles::watched(&mut lab);
    consoles.wait_for(&mut lab, "ack", ConsoleSource::Program, "b'the last'");
}

#[test]
fn a_datagram_too_large_for_hello_is_cut_there() {
    let (relay, at) = with_practice();
    let mut lab = Lab::open(relay.address);
    let mut consoles = Consoles::watched(&mut lab);
    lab.udp(1);
    lab.send(1, 1, Some(at(20_001)), vec![b'a'; 1_500]);
    assert_eq!(lab.datagram(1).payload, "Hello UDP Client");
    let kept = format!("b'{}'", "a".repeat(1_024));
    consoles.wait_for(&mut lab, "hello", ConsoleSource::Program, &kept);
    consoles.wait_for(&mut lab, "hello", ConsoleSource::Relay, "1500");
}

#[test]
fn a_stopped_server_refuses_and_a_started_one_answers_again() {
    let (relay, at) = with_practice();
    let mut lab = Lab::open(relay.address);
    lab.ask(|call| Call::Watch { call, consoles: true }).unwrap();
    lab.udp(1);
    lab.connect(1, at(9_998)).unwrap();
    lab.send(1, 1, None, "ADD 5");
    assert_eq!(lab.datagram(1).payload, "TOTAL 5");
    lab.control("counter", ServerAction::Stop);
    state(&mut lab, "counter", ServerState::Stopped);
    lab.send(1, 2, None, "ADD 5");
    assert_eq!(lab.receive_error(1).name, "ECONNREFUSED");
    lab.control("counter", ServerAction::Start);
    lab.send(1, 3, None, "GET");
    assert_eq!(lab.datagram(1).payload, "TOTAL 0", "its memory is gone");
}

#[test]
fn a_paused_server_answers_when_it_goes_on() {
    let (relay, at) = with_practice();
    let mut lab = Lab::open(relay.address);
    lab.udp(1);
    lab.connect(1, at(9_999)).unwrap();
    lab.receive(1, 4_096, ReceiveMode::Asked);
    lab.control("ack", ServerAction::Pause);
    lab.send(1, 1, None, "waits");
    let socket = SocketId(1);
    let timeout = |lab: &mut Lab, timeout_ms| {
        lab.ask(|call| Call::Settimeout { call, socket, timeout_ms }).unwrap();
    };
    timeout(&mut lab, Some(100));
    assert_eq!(lab.recvfrom(1).unwrap_err().name, "TIMEOUT");
    timeout(&mut lab, None);
    lab.control("ack", ServerAction::Resume);
    assert_eq!(lab.recvfrom(1).unwrap().payload, "ack:waits");
}

#[test]
fn a_tcp_server_that_stops_ends_its_connections() {
    let (relay, at) = with_practice();
    let mut lab = Lab::open(relay.address);
    lab.tcp(1);
    lab.connect(1, at(9_999)).unwrap();
    lab.send(1, 1, None, "over a connection");
    assert_eq!(lab.datagram(1).payload, "ack:over a connection");
    lab.control("ack-tcp", ServerAction::Stop);
    lab.until("the end of the connection", |message| match message {
        ToClient::Event(Event::EndOfStream { .. }) => Some(()),
        ToClient::Event(Event::Error { error, .. }) => {
            assert_eq!(error.name, "ECONNRESET");
            Some(())
        }
        _ => None,
    });
    lab.tcp(2);
    assert_eq!(lab.connect(2, at(9_999)).unwrap_err().name, "ECONNREFUSED");
    lab.control("ack-tcp", ServerAction::Start);
    lab.tcp(3);
    assert_eq!(lab.connect(3, at(9_999)).unwrap().peer, Some(at(9_999)));
}

#[test]
fn a_wrong_name_and_a_wrong_moment_are_told() {
    let (relay, _) = with_practice();
    let mut lab = Lab::open(relay.address);
    let mut control = |server: &str, action| {
        let server = server.to_owned();
        lab.ask(|call| Call::Server { call, server, action }).unwrap_err().name
    };
    assert_eq!(control("echo", ServerAction::Stop), "NO_SUCH_SERVER");
    lab.control("hello", ServerAction::Stop);
    let server = "hello".to_owned();
    let pause = |call| Call::Server { call, server, action: ServerAction::Pause };
    assert_eq!(lab.ask(pause).unwrap_err().name, "SERVER_NOT_RUNNING");
}

#[test]
fn a_program_of_ones_own_can_take_a_servers_place() {
    let host = own_address();
    let address = SocketAddr::from((host, 9_999));
    let own = udp(address);
    let relay = Relay::with_practice(&host.to_string());
    relay.program.line("which port is taken", |line| {
        let words: Vec<_> = line.split_whitespace().collect();
        let taken = ["ack", "udp", &address.to_string(), "port", "taken:"];
        words.starts_with(&taken).then_some(())
    });
    let mut lab = Lab::open(relay.address);
    let ack = lab.welcome.servers.iter().find(|status| status.server == "ack").unwrap();
    assert_eq!(ack.state, ServerState::PortTaken);
    lab.udp(1);
    lab.send(1, 1, Some(address), "to the learner's own");
    let (payload, source) = receive(&own);
    own.send_to(&payload, source).unwrap();
    assert_eq!(lab.datagram(1).payload, "to the learner's own");
    drop(own);
    lab.control("ack", ServerAction::Start);
    lab.send(1, 2, Some(address), "to ours");
    assert_eq!(lab.datagram(1).payload, "ack:to ours");
}

#[test]
fn a_relay_that_stops_says_so_to_everyone_and_ends_well() {
    for signal in ["TERM", "INT"] {
        let (relay, (_target, address)) = (Relay::plain(), any_udp());
        let mut lab = Lab::open(relay.address);
        let mut bridge = Client::bridge(relay.address, address);
        lab.udp(1);
        let own = lab.bind(1, SocketAddr::from((own_address(), 7_004))).unwrap();
        let page = std::net::TcpStream::connect(relay.address).unwrap();
        relay.program.signal(signal);
        let Ok(Message::Text(said)) = lab.client.next() else { panic!("no `closing`") };
        assert!(said.contains(r#""event":"closing""#), "{said}");
        assert_eq!(lab.client.closed(), (1001, "the relay is stopping".to_owned()));
        assert_eq!(bridge.closed(), (1001, "the relay is stopping".to_owned()));
        drop((lab, bridge));
        let ended = relay.ended();
        assert!(ended.status.success(), "{signal}: {} {}", ended.status, ended.errors);
        assert!(ended.output.ends_with("stopped\n"), "{}", ended.output);
        drop((udp(own), page));
    }
}

#[test]
fn a_session_that_goes_takes_its_sockets_with_it() {
    let relay = Relay::plain();
    let own = SocketAddr::from((own_address(), 7_005));
    let mut lab = Lab::open(relay.address);
    lab.udp(1);
    lab.bind(1, own).unwrap();
    drop(lab);
    eventually("a free port", || std::net::UdpSocket::bind(own).is_ok());
}

//! The practice servers on real sockets of ports that the system chose. It waits for conditions,
//! never for a time.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::time::timeout;
use wire::{ConsoleLine, ConsoleSource, ServerAction, ServerState};

use super::*;

/// How long a condition may take before the test has failed.
const PATIENCE: Duration = Duration::from_secs(20);

async fn started() -> Practice {
    let settings = Settings { ports: Ports::ANY, ..Settings::default() };
    Practice::start(settings, Clock::start(), std::future::pending()).await
}

fn address(practice: &Practice, server: &str) -> SocketAddr {
    practice.statuses().into_iter().find(|status| status.server == server).unwrap().address
}

fn state(practice: &Practice, server: &str) -> ServerState {
    practice.statuses().into_iter().find(|status| status.server == server).unwrap().state
}

async fn client() -> UdpSocket {
    UdpSocket::bind("127.0.0.1:0").await.unwrap()
}

async fn receive(socket: &UdpSocket) -> Vec<u8> {
    let mut buffer = vec![0; 65_535];
    let (size, _) = timeout(PATIENCE, socket.recv_from(&mut buffer)).await.unwrap().unwrap();
    buffer.truncate(size);
    buffer
}

async fn ask(socket: &UdpSocket, server: SocketAddr, payload: &[u8]) -> Vec<u8> {
    socket.send_to(payload, server).await.unwrap();
    receive(socket).await
}

/// The next line of this server that contains `part`.
async fn line(watch: &mut Watch, server: &str, part: &str) -> ConsoleLine {
    let found = async {
        loop {
            if let Notice::Lines { server: from, lines, .. } = watch.next().await
                && from == server
                && let Some(line) = lines.into_iter().find(|line| line.text.contains(part))
            {
                return line;
            }
        }
    };
    timeout(PATIENCE, found).await.unwrap_or_else(|_| panic!("no line with {part:?}"))
}

#[tokio::test]
async fn hello_reads_as_the_lesson_does_and_cuts_as_its_buffer_does() {
    let practice = started().await;
    let mut watch = practice.watch();
    let (client, server) = (client().await, address(&practice, "hello"));
    assert_eq!(ask(&client, server, b"Hello UDP Server").await, b"Hello UDP Client");
    line(&mut watch, "hello", "UDP server up and listening").await;
    ask(&client, server, &[b'x'; 1500]).await;
    let port = client.local_addr().unwrap().port();
    let cut = line(&mut watch, "hello", "the rest of 1500 bytes is gone, the buffer is 1024").await;
    assert_eq!(cut.from, ConsoleSource::Relay);
    let mut again = practice.watch();
    let said = line(&mut again, "hello", "UDP server up").await;
    assert_eq!(said.number, 1);
    let notice = watch_all(&practice, "hello").await;
    assert_eq!(notice[1], "Message from Client:b'Hello UDP Server'");
    assert_eq!(notice[2], format!("Client IP Address:('127.0.0.1', {port})"));
    assert_eq!(notice[3], format!("Message from Client:b'{}'", "x".repeat(1024)));
}

/// The console of one server, as a new watcher is given it.
async fn watch_all(practice: &Practice, server: &str) -> Vec<String> {
    let mut watch = practice.watch();
    let found = async {
        loop {
            if let Notice::Lines { server: from, lines, .. } = watch.next().await
                && from == server
            {
                return lines.into_iter().map(|line| line.text).collect();
            }
        }
    };
    timeout(PATIENCE, found).await.unwrap()
}

#[tokio::test]
async fn a_paused_server_leaves_datagrams_to_the_system_and_reads_them_later() {
    let practice = started().await;
    let (client, server) = (client().await, address(&practice, "ack"));
    let status = practice.control("ack", ServerAction::Pause).await.unwrap();
    assert_eq!(status.state, ServerState::Paused);
    for payload in [b"one", b"two"] {
        client.send_to(payload, server).await.unwrap();
    }
    let status = practice.control("ack", ServerAction::Pause).await.unwrap();
    assert_eq!(status.state, ServerState::Paused);
    assert!(client.try_recv_from(&mut [0; 16]).is_err());
    assert_eq!(watch_all(&practice, "ack").await.len(), 2);
    practice.control("ack", ServerAction::Resume).await.unwrap();
    assert_eq!(receive(&client).await, b"ack:one");
    assert_eq!(receive(&client).await, b"ack:two");
}

#[tokio::test]
async fn a_stopped_counter_forgets_and_comes_back_where_it_was() {
    let practice = started().await;
    let (client, server) = (client().await, address(&practice, "counter"));
    assert_eq!(ask(&client, server, b"REQ 1 ADD 5").await, b"REP 1 TOTAL 5");
    assert_eq!(ask(&client, server, b"REQ 1 ADD 5").await, b"REP 1 TOTAL 5");
    for _ in 0..2 {
        let status = practice.control("counter", ServerAction::Stop).await.unwrap();
        assert_eq!((status.state, status.address), (ServerState::Stopped, server));
    }
    let refused = practice.control("counter", ServerAction::Pause).await.unwrap_err();
    assert_eq!(refused.name, "SERVER_NOT_RUNNING");
    for _ in 0..2 {
        let status = practice.control("counter", ServerAction::Start).await.unwrap();
        assert_eq!((status.state, status.address), (ServerState::Running, server));
    }
    assert_eq!(ask(&client, server, b"REQ 1 ADD 5").await, b"REP 1 TOTAL 5");
    assert_eq!(ask(&client, server, b"GET").await, b"TOTAL 5");
}

#[tokio::test]
async fn a_taken_port_is_left_to_its_program_and_can_be_tried_again() {
    let other = client().await;
    let taken = other.local_addr().unwrap();
    let ports = Ports { ack: taken.port(), ..Ports::ANY };
    let settings = Settings { ports, ..Settings::default() };
    let practice = Practice::start(settings, Clock::start(), std::future::pending()).await;
    let status = practice.control("ack", ServerAction::Start).await.unwrap();
    assert_eq!(status.state, ServerState::PortTaken);
    let note = format!("another program listens on udp {taken}; it is the target there");
    assert_eq!(status.note, Some(note));
    assert_eq!(state(&practice, "hello"), ServerState::Running);
    drop(other);
    let status = practice.control("ack", ServerAction::Start).await.unwrap();
    assert_eq!((status.state, status.note), (ServerState::Running, None));
    assert_eq!(ask(&client().await, taken, b"hi").await, b"ack:hi");
}

#[tokio::test]
async fn an_address_that_is_not_here_leaves_the_servers_stopped_with_the_systems_reason() {
    let settings = Settings { host: "192.0.2.1".parse().unwrap(), ports: Ports::ANY };
    let practice = Practice::start(settings, Clock::start(), std::future::pending()).await;
    for status in practice.statuses() {
        assert_eq!(status.state, ServerState::Stopped);
        assert!(status.note.unwrap().starts_with("could not listen on 192.0.2.1:0: "));
    }
}

#[tokio::test]
async fn tcp_answers_on_the_stream_logs_each_recv_and_names_a_reset() {
    let practice = started().await;
    let mut watch = practice.watch();
    let server = address(&practice, "ack-tcp");
    let mut stream = TcpStream::connect(server).await.unwrap();
    let peer = stream.local_addr().unwrap().port();
    line(&mut watch, "ack-tcp", &format!("connection from ('127.0.0.1', {peer})")).await;
    stream.write_all(b"one").await.unwrap();
    let mut reply = [0; 7];
    timeout(PATIENCE, stream.read_exact(&mut reply)).await.unwrap().unwrap();
    assert_eq!(&reply, b"ack:one");
    line(&mut watch, "ack-tcp", "recv returned 3 bytes from").await;
    stream.shutdown().await.unwrap();
    line(&mut watch, "ack-tcp", "recv returned 0 bytes from").await;

    let stream = TcpStream::connect(server).await.unwrap();
    line(&mut watch, "ack-tcp", "connection from").await;
    socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
    drop(stream);
    let reset = line(&mut watch, "ack-tcp", "was reset").await;
    assert_eq!(reset.from, ConsoleSource::Program);
}

#[tokio::test]
async fn a_paused_tcp_server_neither_accepts_nor_reads_and_a_stopped_one_closes() {
    let practice = started().await;
    let server = address(&practice, "ack-tcp");
    practice.control("ack-tcp", ServerAction::Pause).await.unwrap();
    let mut stream = timeout(PATIENCE, TcpStream::connect(server)).await.unwrap().unwrap();
    stream.write_all(b"one").await.unwrap();
    stream.write_all(b"two").await.unwrap();
    practice.control("ack-tcp", ServerAction::Pause).await.unwrap();
    assert_eq!(watch_all(&practice, "ack-tcp").await.len(), 2);
    practice.control("ack-tcp", ServerAction::Resume).await.unwrap();
    let mut reply = [0; 10];
    timeout(PATIENCE, stream.read_exact(&mut reply)).await.unwrap().unwrap();
    assert_eq!(&reply, b"ack:onetwo");
    practice.control("ack-tcp", ServerAction::Stop).await.unwrap();
    assert_eq!(timeout(PATIENCE, stream.read(&mut reply)).await.unwrap().unwrap_or(0), 0);
    assert!(TcpStream::connect(server).await.is_err());
    practice.control("ack-tcp", ServerAction::Start).await.unwrap();
    TcpStream::connect(server).await.unwrap();
}

#[tokio::test]
async fn connections_over_the_limit_wait_until_one_ends() {
    let practice = started().await;
    let mut watch = practice.watch();
    let server = address(&practice, "ack-tcp");
    let mut streams = Vec::new();
    for _ in 0..tcp::CONNECTIONS {
        streams.push(TcpStream::connect(server).await.unwrap());
    }
    line(&mut watch, "ack-tcp", "64 connections are open, the limit").await;
    let mut waiting = TcpStream::connect(server).await.unwrap();
    waiting.write_all(b"me").await.unwrap();
    streams.pop();
    let mut reply = [0; 6];
    timeout(PATIENCE, waiting.read_exact(&mut reply)).await.unwrap().unwrap();
    assert_eq!(&reply, b"ack:me");
}

#[tokio::test]
async fn under_a_flood_every_datagram_is_answered_and_the_console_counts() {
    let practice = started().await;
    let mut watch = practice.watch();
    let (client, server) = (client().await, address(&practice, "counter"));
    for _ in 0..2_000 {
        ask(&client, server, b"ADD 1").await;
    }
    assert_eq!(ask(&client, server, b"GET").await, b"TOTAL 2000");
    let told = line(&mut watch, "counter", "lines not shown").await;
    assert_eq!(told.from, ConsoleSource::Relay);
    assert!(practice.lines_not_shown() > 0);
}

#[tokio::test]
async fn a_watcher_that_reads_late_learns_what_it_missed() {
    let practice = started().await;
    let mut watch = practice.watch();
    line(&mut watch, "ack", "ack server listening").await;
    let changes = console::KEPT_LINES as u64 + 100;
    for _ in 0..changes / 2 {
        practice.control("ack", ServerAction::Pause).await.unwrap();
        practice.control("ack", ServerAction::Resume).await.unwrap();
    }
    let notice = loop {
        match watch.next().await {
            Notice::Lines { server, lines, skipped } if server == "ack" => break (lines, skipped),
            _ => {}
        }
    };
    assert_eq!(notice.1, 100);
    assert_eq!(notice.0[0].number, 102);
}

#[tokio::test]
async fn a_new_watcher_has_the_states_and_only_the_last_lines() {
    let practice = started().await;
    for _ in 0..HISTORY_LINES {
        practice.control("ack", ServerAction::Pause).await.unwrap();
        practice.control("ack", ServerAction::Resume).await.unwrap();
    }
    let mut watch = practice.watch();
    for _ in Program::ALL {
        assert!(matches!(watch.next().await, Notice::Status(_)));
    }
    let mut lines = 0;
    while lines < HISTORY_LINES {
        if let Notice::Lines { server, lines: some, skipped } = watch.next().await
            && server == "ack"
        {
            assert_eq!(skipped, 0);
            lines += some.len();
        }
    }
    assert_eq!(lines, HISTORY_LINES);
}

#[tokio::test]
async fn two_practice_servers_never_answer_each_other_without_end() {
    let practice = started().await;
    let mut watch = practice.watch();
    let hub = Arc::clone(&practice.shared.hub);
    let hello = address(&practice, "hello");
    assert!(!hub.is_practice(client().await.local_addr().unwrap()));
    assert!(!hub.is_practice(SocketAddr::new("192.0.2.1".parse().unwrap(), hello.port())));

    let any = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 0);
    let mut ack = udp::UdpServer::open(Program::Ack, any, Printer::new(hub, 1)).unwrap();
    let arrival = crate::socket::Arrival { kept: 5, size: 5, source: hello };
    ack.handle(Ok(arrival)).await.unwrap();
    line(&mut watch, "ack", "not given to the program: 5 bytes from").await;
    practice.control("hello", ServerAction::Pause).await.unwrap();
    assert_eq!(watch_all(&practice, "hello").await.len(), 2);
}

#[tokio::test]
async fn an_icmp_error_from_an_earlier_reply_never_ends_a_server() {
    let practice = started().await;
    let printer = Printer::new(Arc::clone(&practice.shared.hub), 1);
    let any = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 0);
    let mut ack = udp::UdpServer::open(Program::Ack, any, printer).unwrap();
    let failure = |kind: std::io::ErrorKind| Err(std::io::Error::from(kind));
    for _ in 0..1_000 {
        ack.handle(failure(std::io::ErrorKind::ConnectionReset)).await.unwrap();
    }
    let mut borne = 0;
    while ack.handle(failure(std::io::ErrorKind::OutOfMemory)).await.is_ok() {
        borne += 1;
    }
    assert_eq!(borne, 99);
}

#[tokio::test]
async fn unknown_servers_and_ended_ones_are_told_so() {
    let practice = started().await;
    let error = practice.control("echo", ServerAction::Start).await.unwrap_err();
    assert_eq!(error.name, "NO_SUCH_SERVER");
    assert!(error.message.contains("hello, ack, ack-tcp, counter"));
    let none = Practice::none();
    assert!(none.statuses().is_empty());
    assert!(none.control("hello", ServerAction::Stop).await.is_err());
    none.stop().await;

    let (hello, tcp) = (address(&practice, "hello"), address(&practice, "ack-tcp"));
    practice.stop().await;
    practice.stop().await;
    assert_eq!(state(&practice, "hello"), ServerState::Stopped);
    UdpSocket::bind(hello).await.unwrap();
    TcpListener::bind(tcp).await.unwrap();
    let error = practice.control("hello", ServerAction::Start).await.unwrap_err();
    assert_eq!(error.name, "SERVER_ENDED");
}

#[tokio::test]
async fn they_end_with_the_relay_and_with_the_last_handle() {
    let (end, ended) = oneshot::channel::<()>();
    let settings = Settings { ports: Ports::ANY, ..Settings::default() };
    let over = async { drop(ended.await) };
    let practice = Practice::start(settings, Clock::start(), over).await;
    let mut watch = practice.watch();
    end.send(()).unwrap();
    let stopped = async {
        loop {
            if let Notice::Status(status) = watch.next().await
                && status.state == ServerState::Stopped
                && practice.statuses().iter().all(|status| status.state == ServerState::Stopped)
            {
                return;
            }
        }
    };
    timeout(PATIENCE, stopped).await.unwrap();

    let practice = started().await;
    let hello = address(&practice, "hello");
    drop(practice);
    let freed = async {
        while UdpSocket::bind(hello).await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, freed).await.unwrap();
}

#[tokio::test]
async fn one_alone_prints_its_console_and_a_taken_port_is_an_error() {
    let options =
        ServerOptions { server: Program::Hello, port: Some(0), host: Ipv4Addr::LOCALHOST.into() };
    let mut out = Vec::new();
    run_alone(options, Clock::start(), tokio::time::sleep(Duration::ZERO), &mut out).await.unwrap();

    let other = client().await;
    let port = other.local_addr().unwrap().port();
    let options = ServerOptions { server: Program::Ack, port: Some(port), ..options };
    let error =
        run_alone(options, Clock::start(), std::future::pending(), &mut out).await.unwrap_err();
    let text = error.to_string();
    assert!(text.contains(&format!("udp 127.0.0.1:{port}: another program")), "{text}");
    assert!(text.contains("--port"), "{text}");
}

#[tokio::test]
async fn servers_that_listen_on_every_address_are_named_by_one_that_reaches_them() {
    let host = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
    let settings = Settings { host, ports: Ports::ANY };
    let practice = Practice::start(settings, Clock::start(), std::future::pending()).await;
    let hello = address(&practice, "hello");
    assert!(hello.ip().is_loopback(), "{hello}");
    assert_eq!(ask(&client().await, hello, b"hi").await, b"Hello UDP Client");
    practice.stop().await;
}

//! The client against real sockets: the practice servers, and peers that answer late, twice or never.

use std::net::Ipv4Addr;

use clap::Parser;
use tokio::net::UdpSocket;

use super::*;
use crate::practice::{Ports, Practice, Settings};

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    options: Options,
}

fn options(port: u16, rest: &[&str]) -> Options {
    let port = port.to_string();
    let arguments = ["client", "127.0.0.1", &port].into_iter().chain(rest.iter().copied());
    Cli::try_parse_from(arguments).unwrap().options
}

async fn ran(port: u16, rest: &[&str]) -> (Result<Outcome, Error>, String) {
    let mut out = Vec::new();
    let result = run(&options(port, rest), &mut out).await;
    (result, String::from_utf8(out).unwrap())
}

async fn peer() -> (UdpSocket, u16) {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let port = socket.local_addr().unwrap().port();
    (socket, port)
}

async fn taken(peer: &UdpSocket) -> (Vec<u8>, SocketAddr) {
    let mut buffer = vec![0; 65_535];
    let (size, from) = peer.recv_from(&mut buffer).await.unwrap();
    buffer.truncate(size);
    (buffer, from)
}

async fn practice(server: &str) -> (Practice, u16) {
    let settings = Settings { ports: Ports::ANY, ..Settings::default() };
    let practice = Practice::start(settings, Clock::start(), std::future::pending()).await;
    let statuses = practice.statuses();
    let port = statuses.iter().find(|status| status.server == server).unwrap().address.port();
    (practice, port)
}

#[tokio::test]
async fn what_went_and_what_came_is_printed_with_its_time() {
    let (_practice, port) = practice("ack").await;
    let (result, text) = ran(port, &["hello", "--count", "2"]).await;
    let outcome = result.unwrap();
    assert_eq!(outcome, Outcome { messages: 2, answered: 2 });
    assert_eq!(outcome.exit_code(), 0);
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines.len(), 5, "{text}");
    assert!(lines[0].starts_with("UDP socket, not connected, from port "), "{text}");
    assert!(lines[1].contains(&format!(" ms  ->  127.0.0.1:{port}  5 bytes  hello")), "{text}");
    let reply = format!(
        " ms  <-  127.0.0.1:{port}  9 bytes  ack:hello  (reply to message 1 by content, round trip "
    );
    assert!(lines[2].contains(&reply), "{text}");
    assert!(lines[4].contains("reply to message 2"), "{text}");
}

#[tokio::test]
async fn silence_is_retried_and_then_named_in_the_lessons_words() {
    let (_silent, port) = peer().await;
    let arguments = ["hi", "--timeout", "0.02", "--retries", "2", "--backoff", "1"];
    let (result, text) = ran(port, &arguments).await;
    let outcome = result.unwrap();
    assert_eq!((outcome, outcome.exit_code()), (Outcome { messages: 1, answered: 0 }, 1));
    assert!(
        text.contains("hi  (attempt 2 of 3)") && text.contains("hi  (attempt 3 of 3)"),
        "{text}"
    );
    assert!(text.contains("message 1 given up: 3 attempts, "), "{text}");
    assert_eq!(text.lines().last(), Some("No reply received in time"));
}

#[tokio::test]
async fn a_connected_socket_names_a_refusal() {
    let (closed, port) = peer().await;
    drop(closed);
    let (result, text) = ran(port, &["hi", "--connect", "--timeout", "10"]).await;
    assert_eq!(result.unwrap().exit_code(), 1);
    assert!(text.contains("!   recv reported "), "{text}");
    #[cfg(unix)]
    assert!(text.contains("ECONNREFUSED: Connection refused (an ICMP message came back"), "{text}");
    assert!(!text.contains("No reply received in time"), "{text}");
}

#[tokio::test]
async fn a_late_reply_and_a_duplicate_are_said_to_be_so() {
    let (peer, port) = peer().await;
    let serving = async {
        let (_, from) = taken(&peer).await;
        let _second = taken(&peer).await;
        for reply in [&b"ack:message-one"[..], b"ack:message-one", b"ack:message-two"] {
            peer.send_to(reply, from).await.unwrap();
        }
        std::future::pending::<()>().await;
    };
    let options = options(port, &["unused", "--timeout", "0.05"]);
    let mut out = Vec::new();
    let (sender, receiver) = tokio::sync::mpsc::channel(2);
    for line in [b"message-one", b"message-two"] {
        sender.send(Ok(line.to_vec())).await.unwrap();
    }
    drop(sender);
    let messages = Messages::of_lines(&options, receiver);
    let result = tokio::select! {
        result = run_with(&options, messages, &mut out) => result,
        () = serving => unreachable!("it serves without end"),
    };
    let text = String::from_utf8(out).unwrap();
    assert_eq!(result.unwrap(), Outcome { messages: 2, answered: 1 }, "{text}");
    assert!(text.contains(" after message 1 was given up)"), "{text}");
    assert!(text.contains("(again: message 1 has had its reply)"), "{text}");
    assert!(text.contains("reply to message 2 by content"), "{text}");
}

#[tokio::test]
async fn request_ids_tell_replies_apart() {
    let (peer, port) = peer().await;
    let serving = async {
        let (request, from) = taken(&peer).await;
        let text = String::from_utf8(request).unwrap();
        let mut words = text.split(' ');
        assert_eq!(words.next(), Some("REQ"));
        let id: u32 = words.next().unwrap().parse().unwrap();
        assert_eq!(words.collect::<Vec<_>>(), ["ADD", "1"]);
        let replies =
            [format!("REP {} TOTAL 9", id ^ 1), "TOTAL 8".into(), format!("REP {id} TOTAL 7")];
        for reply in replies {
            peer.send_to(reply.as_bytes(), from).await.unwrap();
        }
        std::future::pending::<()>().await;
    };
    let (result, text) = tokio::select! {
        ran = ran(port, &["ADD 1", "--request-ids"]) => ran,
        () = serving => unreachable!("it serves without end"),
    };
    assert_eq!(result.unwrap().exit_code(), 0, "{text}");
    assert!(text.contains("is not one of this client's; ignored, waiting for "), "{text}");
    assert!(text.contains("TOTAL 8  (carries no REP <id>, ignored)"), "{text}");
    assert!(text.contains("TOTAL 7  (reply to message 1 by its request id"), "{text}");
}

#[tokio::test]
async fn a_lost_reply_is_not_counted_twice_with_request_ids() {
    let (_practice, port) = practice("counter").await;
    let (result, text) = ran(port, &["ADD 1", "--request-ids", "--count", "3"]).await;
    assert_eq!(result.unwrap().answered, 3);
    assert!(text.contains(" TOTAL 3  ("), "{text}");
}

#[tokio::test]
async fn a_stranger_is_shown_and_ignored_and_a_cut_is_told() {
    let (peer, port) = peer().await;
    let (stranger, _) = self::peer().await;
    let serving = async {
        let (_, from) = taken(&peer).await;
        stranger.send_to(b"\x1b[31mme first", from).await.unwrap();
        peer.send_to(b"a reply too long", from).await.unwrap();
        std::future::pending::<()>().await;
    };
    let (result, text) = tokio::select! {
        ran = ran(port, &["hi", "--buffer", "7"]) => ran,
        () = serving => unreachable!("it serves without end"),
    };
    assert_eq!(result.unwrap().exit_code(), 0);
    assert!(text.contains(r"\x1b[31"), "{text}");
    assert!(text.contains("(not from the target, ignored; cut: "), "{text}");
    assert!(text.contains("7 bytes  a reply  (reply to message 1 by order"), "{text}");
    assert!(text.contains("cut: the buffer is 7, the rest of 16 is gone)"), "{text}");
}

#[tokio::test]
async fn wrong_messages_and_hosts_are_refused_with_what_is_wrong() {
    let (_silent, port) = peer().await;
    let (result, _) = ran(port, &[&"x".repeat(65_508)]).await;
    let error = result.unwrap_err();
    assert_eq!(
        (error.to_string().as_str(), error.exit_code()),
        ("message is 65508 bytes, limit 65507", 2)
    );
    let (result, _) = ran(port, &["4", "--hex"]).await;
    assert_eq!(result.unwrap_err().exit_code(), 2);
    let (result, text) = ran(port, &["", "--timeout", "0.01"]).await;
    assert_eq!(result.unwrap().exit_code(), 1);
    assert!(text.contains("  0 bytes  "), "{text}");
    for wrong in [["--timeout", "-1"], ["--timeout", "x"], ["--count", "0"], ["--buffer", "70000"]]
    {
        let arguments = ["client", "127.0.0.1", "9", "hi"].into_iter().chain(wrong);
        assert!(Cli::try_parse_from(arguments).is_err(), "{wrong:?}");
    }
}

#[tokio::test]
async fn hosts_are_names_or_addresses_with_or_without_brackets() {
    for (host, address) in [
        ("127.0.0.1", "127.0.0.1:7"),
        ("::1", "[::1]:7"),
        ("[::1]", "[::1]:7"),
        ("localhost", "127.0.0.1:7"),
    ] {
        assert_eq!(resolve(host, 7).await.unwrap(), address.parse().unwrap());
    }
    let error = resolve("no host", 7).await.unwrap_err();
    assert_eq!(error.to_string(), "cannot resolve no host");
}

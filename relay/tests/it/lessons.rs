//! The two lessons as people type them: Python and the relay's own programs in every pairing, and
//! the page's way through the relay.

use std::net::SocketAddr;

use crate::native::{any_udp, closed_port, own_address, receive};
use crate::program::{Program, python, relay};
use crate::relay_program::Relay;

const REPLY_HEX: &str = "48656c6c6f2055445020436c69656e74";

/// A practice server alone in a terminal, and its address.
fn our_server(name: &str) -> (Program, SocketAddr) {
    let server = relay(&["server", name, "--port", "0"]);
    let address = server.line("its address", |line| {
        line.strip_prefix("-- listening on udp ")?.split(',').next()?.parse().ok()
    });
    (server, address)
}

/// A lesson's server in Python, and its address.
fn python_server(script: &str) -> (Program, SocketAddr) {
    let server = python(script, &["0"]);
    let address = server.line("its address", |line| {
        let (host, port) = line.split_once(" at ")?.1.split_once(' ')?;
        Some(SocketAddr::new(host.parse().ok()?, port.parse().ok()?))
    });
    (server, address)
}

/// What one WebSocket message from Python brings back through the raw bridge, as hex.
fn through_the_bridge(relay: &Relay, target: SocketAddr, hex: &str) -> String {
    let url = format!("ws://{}/udp/{}/{}", relay.address, target.ip(), target.port());
    python("peers/bridge_client.py", &[&url, hex]).ended().well()
}

/// A conversation of a Python client with the lab session.
fn through_the_lab(relay: &Relay, target: SocketAddr, message: &str) -> String {
    let (host, port) = (target.ip().to_string(), target.port().to_string());
    let address = relay.address.to_string();
    python("peers/lab_client.py", &[&address, &host, &port, message]).ended().well()
}

#[test]
fn hello_in_python_to_our_server() {
    let (server, address) = our_server("hello");
    let client = python("lessons/hello_client.py", &[&address.port().to_string()]);
    assert_eq!(client.ended().well(), "Message from Server b'Hello UDP Client'\n");
    server.line_with("Message from Client:b'Hello UDP Server'");
    server.line_with("Client IP Address:('127.0.0.1', ");
}

#[test]
fn hello_from_our_client_to_python() {
    let (server, address) = python_server("lessons/hello_server.py");
    let port = address.port().to_string();
    let said = relay(&["client", "127.0.0.1", &port, "Hello UDP Server"]).ended().well();
    assert!(said.contains(&format!("<-  {address}  16 bytes  Hello UDP Client")), "{said}");
    server.line_with("Message from Client:b'Hello UDP Server'");
}

#[test]
fn hello_between_our_own() {
    let (server, address) = our_server("hello");
    let port = address.port().to_string();
    let said = relay(&["client", "localhost", &port, "Grüße"]).ended().well();
    assert!(said.contains("Hello UDP Client"), "{said}");
    server.line_with(r"Message from Client:b'Gr\xc3\xbc\xc3\x9fe'");
}

#[test]
fn hello_to_python_through_the_relay() {
    let (server, address) = python_server("lessons/hello_server.py");
    let relay = Relay::plain();
    assert_eq!(through_the_bridge(&relay, address, "4869").trim(), REPLY_HEX);
    server.line_with("Message from Client:b'Hi'");
    let said = through_the_lab(&relay, address, "Hello UDP Server");
    let expected = format!(
        "protocol udp-lab.v1\n\
         call 1 done\n\
         sent 5 77 16\n\
         source 127.0.0.1 {}\n\
         received 5 16 b'Hello UDP Client'\n\
         later True\n\
         call 2 done\n",
        address.port()
    );
    assert_eq!(said, expected);
    server.line_with("Message from Client:b'Hello UDP Server'");
}

#[test]
fn ack_in_python_to_our_server() {
    let (server, address) = our_server("ack");
    let client = python("lessons/ack_client.py", &[&address.port().to_string()]);
    assert_eq!(client.ended().well(), "Reply: ack:Hello from the client\n");
    server.line_with("received 21 bytes from ('127.0.0.1', ");
}

#[test]
fn ack_from_our_client_to_python() {
    let (server, address) = python_server("lessons/ack_server.py");
    let port = address.port().to_string();
    let said = relay(&["client", "127.0.0.1", &port, "--hex", "ff 00"]).ended().well();
    assert!(said.contains(&format!(r"<-  {address}  6 bytes  ack:\xff\x00")), "{said}");
    server.line_with(r"received b'\xff\x00' from ('127.0.0.1', ");
}

#[test]
fn ack_between_our_own() {
    let (_server, address) = our_server("ack");
    let port = address.port().to_string();
    let said = relay(&["client", "127.0.0.1", &port, "hi", "--count", "3"]).ended().well();
    assert_eq!(said.matches("6 bytes  ack:hi").count(), 3, "{said}");
}

#[test]
fn ack_to_python_through_the_relay() {
    let (server, address) = python_server("lessons/ack_server.py");
    let relay = Relay::plain();
    assert_eq!(through_the_bridge(&relay, address, "00ff").trim(), "61636b3a00ff");
    server.line_with(r"received b'\x00\xff'");
    let said = through_the_lab(&relay, address, "from the lab");
    assert!(said.contains("received 5 16 b'ack:from the lab'\n"), "{said}");
}

#[test]
fn the_relay_serves_both_lessons_at_their_own_ports() {
    let host = own_address().to_string();
    let relay = Relay::with_practice(&host);
    let hello = python("lessons/hello_client.py", &["--host", &host]);
    let ack = python("lessons/ack_client.py", &["--host", &host, "--message", "x"]);
    assert_eq!(hello.ended().well(), "Message from Server b'Hello UDP Client'\n");
    assert_eq!(ack.ended().well(), "Reply: ack:x\n");
    let hello = SocketAddr::new(host.parse().unwrap(), 20_001);
    assert_eq!(through_the_bridge(&relay, hello, "48").trim(), REPLY_HEX);
    let ack = SocketAddr::new(host.parse().unwrap(), 9_999);
    assert!(through_the_lab(&relay, ack, "y").contains("received 5 5 b'ack:y'\n"));
}

#[test]
fn a_server_that_says_nothing_ends_the_wait_of_both_clients() {
    let (silent, address) = any_udp();
    let port = address.port().to_string();
    let theirs = python("lessons/ack_client.py", &[&port]);
    let ours = relay(&["client", "127.0.0.1", &port, "anyone?"]);
    assert_eq!(theirs.ended().well(), "No reply received in time\n");
    let ours = ours.ended();
    assert_eq!(ours.status.code(), Some(1));
    assert!(ours.output.lines().any(|line| line == "No reply received in time"), "{}", ours.output);
    let mut heard = [receive(&silent).0, receive(&silent).0];
    heard.sort();
    assert_eq!(heard, [b"Hello from the client".to_vec(), b"anyone?".to_vec()]);
}

#[test]
fn retries_are_sent_and_then_given_up() {
    let (silent, address) = any_udp();
    let port = address.port().to_string();
    let arguments = ["client", "127.0.0.1", &port, "again", "--timeout", "0.05", "--retries", "2"];
    let ended = relay(&arguments).ended();
    assert_eq!(ended.status.code(), Some(1), "{}", ended.output);
    assert!(ended.output.contains("attempt 3 of 3"), "{}", ended.output);
    let given_up = ended.output.lines().filter(|line| *line == "No reply received in time");
    assert_eq!(given_up.count(), 1);
    for _ in 0..3 {
        assert_eq!(receive(&silent).0, b"again");
    }
    assert!(crate::native::is_silent(&silent));
}

#[test]
fn a_lost_reply_is_made_up_for_by_a_retry() {
    let (server, address) = any_udp();
    let port = address.port().to_string();
    let client = relay(&[
        "client",
        "127.0.0.1",
        &port,
        "ADD 1",
        "--timeout",
        "0.1",
        "--retries",
        "20",
        "--backoff",
        "1",
        "--request-ids",
    ]);
    let (lost, _) = receive(&server);
    let (again, source) = receive(&server);
    assert_eq!(lost, again, "a retry carries the same request id");
    let id = std::str::from_utf8(&again).unwrap().split(' ').nth(1).unwrap();
    server.send_to(format!("REP {id} TOTAL 1").as_bytes(), source).unwrap();
    assert!(client.ended().well().contains("TOTAL 1"));
}

#[test]
fn a_connected_client_is_told_that_nothing_listens() {
    let closed = closed_port();
    let (host, port) = (closed.ip().to_string(), closed.port().to_string());
    let ended = relay(&["client", &host, &port, "anyone?", "--connect"]).ended();
    assert_eq!(ended.status.code(), Some(1));
    assert!(ended.output.contains("ECONNREFUSED"), "{}", ended.output);
}

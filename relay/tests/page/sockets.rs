//! Every row of the practice-server table and every kind of socket, from the page.

use super::peers::{Python, free_port};
use crate::browser::{Browser, Relay};

const ANY_PORTS: [&str; 2] = ["--practice-ports", "any"];

const TCP_ACK_SERVER: &str = "
import socket, sys
listener = socket.create_server(('127.0.0.1', int(sys.argv[1])))
print('listening')
while True:
    connection, client = listener.accept()
    with connection:
        while data := connection.recv(4096):
            print('recv', data)
            connection.sendall(b'ack:' + data)
        print('end of stream')
";

const TCP_CLIENT: &str = "
import socket, sys
with socket.create_connection(('127.0.0.1', int(sys.argv[1]))) as connection:
    print('connected')
    connection.sendall(b'hello over tcp')
    print('reply', connection.recv(4096))
    sys.stdin.readline()
";

const UDP_CLIENT: &str = "
import socket, sys
client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
client.sendto(b'ask', ('127.0.0.1', int(sys.argv[1])))
print('asked from', client.getsockname()[1])
client.settimeout(25)
print('reply', *client.recvfrom(4096))
";

#[tokio::test]
async fn each_practice_server_answers_and_its_console_shows_it() {
    let relay = Relay::start(&ANY_PORTS);
    let browser = Browser::start().await;
    browser.open(&relay).await;

    for (server, message, reply, printed) in [
        ("hello", "good day", "Hello UDP Client", "Message from Client:b'good day'"),
        ("ack", "one", "ack:one", "b'one'"),
        ("counter", "ADD 2", "TOTAL 2", "ADD 2"),
        ("counter", "REQ 7 ADD 3", "REP 7 TOTAL 5", "REQ 7 ADD 3"),
        ("counter", "REQ 7 ADD 3", "REP 7 TOTAL 5", "REQ 7 ADD 3"),
        ("counter", "GET", "TOTAL 5", "GET"),
    ] {
        browser.choose("target-select", server).await;
        browser.fill("message", message).await;
        browser.click("send").await;
        browser.until_outcome("reply").await;
        browser.until_text("outcome-payload", reply).await;
        browser.until_text("console-lines", printed).await;
    }
    browser.choose("socket-kind", "tcp").await;
    browser.choose("target-select", "ack-tcp").await;
    browser.fill("message", "over a stream").await;
    browser.click("send").await;
    browser.until_text("outcome-payload", "ack:over a stream").await;
    browser.until_text("console-lines", "recv returned 13 bytes").await;
}

#[tokio::test]
async fn a_server_can_be_stopped_and_started_and_forgets() {
    let relay = Relay::start(&ANY_PORTS);
    let browser = Browser::start().await;
    browser.open(&relay).await;
    browser.choose("socket-kind", "udp-connected").await;
    browser.choose("target-select", "counter").await;
    browser.fill("message", "ADD 4").await;
    browser.click("send").await;
    browser.until_text("outcome-payload", "TOTAL 4").await;

    browser.click("console-stop").await;
    browser.until_text("console-state", "stopped").await;
    browser.click("send").await;
    browser.until_outcome("error").await;
    browser.until_text("outcome-title", "ECONNREFUSED").await;

    browser.click("console-stop").await;
    browser.until_text("console-state", "running").await;
    browser.click("send").await;
    browser.until_outcome("reply").await;
    browser.until_text("outcome-payload", "TOTAL 4").await;
}

#[tokio::test]
async fn a_connected_socket_talks_to_a_python_server() {
    let relay = Relay::start(&ANY_PORTS);
    let browser = Browser::start().await;
    browser.open(&relay).await;
    let port = free_port().to_string();
    let server = Python::lesson("hello_server", &[&port]);
    server.until_printed("listening");

    browser.choose("socket-kind", "udp-connected").await;
    browser.choose("target-select", "other").await;
    browser.fill("host", "localhost").await;
    browser.fill("port", &port).await;
    browser.click("send").await;
    browser.until_outcome("reply").await;
    browser.until_text("outcome-payload", "Hello UDP Client").await;
    server.until_printed("Message from Client:b'Hello UDP Server'");
}

#[tokio::test]
async fn a_tcp_socket_talks_to_a_python_server_and_a_refusal_has_its_name() {
    let relay = Relay::start(&ANY_PORTS);
    let browser = Browser::start().await;
    browser.open(&relay).await;
    let port = free_port().to_string();
    browser.choose("socket-kind", "tcp").await;
    browser.choose("target-select", "other").await;
    browser.fill("host", "127.0.0.1").await;
    browser.fill("port", &port).await;
    browser.click("send").await;
    browser.until_outcome("error").await;
    browser.until_text("outcome-title", "ECONNREFUSED").await;

    let server = Python::run(TCP_ACK_SERVER, &[&port]);
    server.until_printed("listening");
    browser.click("send").await;
    browser.until_text("outcome-payload", "ack:Hello UDP Server").await;
    browser.click("more").await;
    browser.click("socket-close").await;
    server.until_printed("end of stream");
}

#[tokio::test]
async fn the_page_is_a_udp_server_that_answers_by_hand_whom_it_heard() {
    let relay = Relay::start(&ANY_PORTS);
    let browser = Browser::start().await;
    browser.open(&relay).await;
    browser.choose("socket-kind", "udp-server").await;
    browser.fill("listen-port", "0").await;
    browser.click("listen").await;
    let port = browser.listening_port().await;

    let client = Python::run(UDP_CLIENT, &[&port]);
    client.until_printed("asked from");
    browser.until_text("outcome-payload", "ask").await;
    browser.fill("message", "by hand").await;
    browser.click("send").await;
    client.until_printed(&format!("reply b'by hand' ('127.0.0.1', {port})"));

    // The port is taken: the name of the error, and the way back.
    browser.click("listen").await;
    let holder = std::net::UdpSocket::bind(("127.0.0.1", 0)).expect("a free port");
    let taken = holder.local_addr().expect("it is bound").port();
    browser.fill("listen-port", &taken.to_string()).await;
    browser.click("listen").await;
    browser.until_text("listen-port-error", "EADDRINUSE").await;
    drop(holder);
    browser.click("listen").await;
    assert_eq!(browser.listening_port().await, taken.to_string());
}

#[tokio::test]
async fn the_page_is_a_tcp_server_for_a_python_client() {
    let relay = Relay::start(&ANY_PORTS);
    let browser = Browser::start().await;
    browser.open(&relay).await;
    browser.choose("socket-kind", "tcp-server").await;
    browser.fill("listen-port", "0").await;
    browser.choose("answer-mode", "ack").await;
    browser.click("listen").await;
    let port = browser.listening_port().await;

    let mut first = Python::run(TCP_CLIENT, &[&port]);
    first.until_printed("reply b'ack:hello over tcp'");
    let second = Python::run(TCP_CLIENT, &[&port]);
    second.until_printed("reply b'ack:hello over tcp'");
    browser.until_text("outcome-payload", "hello over tcp").await;
    first.say("enough");
}

#[tokio::test]
async fn a_datagram_larger_than_the_buffer_is_cut_and_the_page_says_so() {
    let relay = Relay::start(&ANY_PORTS);
    let browser = Browser::start().await;
    browser.open(&relay).await;
    browser.choose("target-select", "ack").await;
    browser.fill("message", "0123456789").await;
    browser.click("more").await;
    browser.fill("buffer", "8").await;
    browser.click("send").await;
    browser.until_outcome("reply").await;
    browser.until_text("outcome-payload", "ack:0123").await;
    browser.until_text("outcome-size", "14").await;
    browser.until_text("log-spacer", "of 14, cut").await;
}

#[tokio::test]
async fn an_empty_datagram_and_bytes_that_are_no_text_go_there_and_back() {
    let relay = Relay::start(&ANY_PORTS);
    let browser = Browser::start().await;
    browser.open(&relay).await;
    browser.choose("target-select", "ack").await;
    browser.clear("message").await;
    browser.until_text("message-bytes", "0 bytes").await;
    browser.click("send").await;
    browser.until_outcome("reply").await;
    browser.until_text("outcome-payload", "ack:").await;

    browser.click_label("message-encoding-hex").await;
    browser.fill("message", "ff fe 00").await;
    browser.until_text("message-bytes", "3 bytes").await;
    browser.click("send").await;
    browser.until_text("console-lines", "b'\\xff\\xfe\\x00'").await;
    browser.until_count("count-replies", 2).await;
}

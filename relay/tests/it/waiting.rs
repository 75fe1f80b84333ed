//! What happens after a while, over real sockets and on the runtime's clock, which leaps to the next
//! deadline whenever nothing else is left to do.

use std::net::SocketAddr;
use std::time::Duration;

use futures::{SinkExt, StreamExt};
use relay::clock::Clock;
use relay::config::{Config, Limits};
use relay::http;
use relay::policy::{Access, Rule, Targets};
use relay::practice::Practice;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream, UdpSocket};
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async};

use crate::web::HANDSHAKE;

/// Starts a relay on this test's runtime, and a target.
async fn started(limits: Limits) -> (SocketAddr, UdpSocket) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let targets = Targets::new(vec![Rule::loopback()], Vec::new(), vec![address]);
    let config = Config { access: Access::default(), targets, limits, share_servers: false };
    let practice = Practice::none();
    tokio::spawn(http::serve(listener, config, Clock::start(), practice, std::future::pending()));
    (address, UdpSocket::bind("127.0.0.1:0").await.unwrap())
}

async fn bridge(
    relay: SocketAddr,
    target: &UdpSocket,
    stream: TcpStream,
) -> Result<WebSocketStream<TcpStream>, Error> {
    let url = format!("ws://{relay}/udp/127.0.0.1/{}", target.local_addr().unwrap().port());
    client_async(url, stream).await.map(|(client, _)| client)
}

async fn connection(relay: SocketAddr) -> TcpStream {
    TcpStream::connect(relay).await.unwrap()
}

/// All that the relay sends until it closes the connection.
async fn everything(mut stream: TcpStream) -> Vec<u8> {
    let mut all = Vec::new();
    // A reset is an end too.
    let _ = stream.read_to_end(&mut all).await;
    all
}

#[tokio::test(start_paused = true)]
async fn a_client_that_answers_pings_stays() {
    let (relay, target) = started(Limits::default()).await;
    let start = Instant::now();
    let mut client = bridge(relay, &target, connection(relay).await).await.unwrap();
    for _ in 0..5 {
        let message = client.next().await.unwrap().unwrap();
        assert!(matches!(message, Message::Ping(_)), "{message:?}");
    }
    assert_eq!(start.elapsed().as_secs(), 5 * 20);
    client.send(Message::binary("still here")).await.unwrap();
    let mut received = [0; 16];
    let (size, _) = target.recv_from(&mut received).await.unwrap();
    assert_eq!(&received[..size], b"still here");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_answers_no_ping_is_let_go() {
    let (relay, target) = started(Limits::default()).await;
    let mut stream = connection(relay).await;
    let port = target.local_addr().unwrap().port();
    let request = format!("GET /udp/127.0.0.1/{port} HTTP/1.1\r\nHost: {relay}\r\n{HANDSHAKE}\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let start = Instant::now();
    let all = everything(stream).await;
    let end_of_head = all.windows(4).position(|bytes| bytes == b"\r\n\r\n").unwrap() + 4;
    assert_eq!(all[end_of_head..], [0x89, 0, 0x89, 0, 0x88, 0], "two pings and a close");
    assert_eq!(start.elapsed().as_secs(), 60);
}

#[tokio::test(start_paused = true)]
async fn an_idle_session_ends_with_1000_though_pings_are_answered() {
    let (relay, target) = started(Limits::default()).await;
    let start = Instant::now();
    let mut client = bridge(relay, &target, connection(relay).await).await.unwrap();
    let closed = loop {
        match client.next().await.unwrap().unwrap() {
            Message::Ping(_) => {}
            Message::Close(frame) => break frame.unwrap(),
            other => panic!("instead of a close frame: {other:?}"),
        }
    };
    assert_eq!(u16::from(closed.code), 1000);
    assert_eq!(closed.reason, "idle for 600 s, the limit; --idle-timeout sets it");
    assert!(client.next().await.is_none(), "and the connection ends without further waiting");
    assert_eq!(start.elapsed().as_secs(), 600);
}

#[tokio::test(start_paused = true)]
async fn datagrams_keep_a_session_from_being_idle() {
    let idle = Duration::from_secs(30);
    let (relay, target) = started(Limits { idle, ..Limits::default() }).await;
    let mut client = bridge(relay, &target, connection(relay).await).await.unwrap();
    client.send(Message::binary("begin")).await.unwrap();
    let (_, source) = target.recv_from(&mut [0; 16]).await.unwrap();
    for number in 0..10_u8 {
        tokio::time::sleep(Duration::from_secs(25)).await;
        target.send_to(&[number], source).await.unwrap();
        loop {
            match client.next().await.unwrap().unwrap() {
                Message::Ping(_) => {}
                message => break assert_eq!(message, Message::binary(vec![number])),
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_never_reads_is_given_up_and_its_place_is_free() {
    let (relay, target) = started(Limits { sessions: 1, ..Limits::default() }).await;
    let narrow = TcpSocket::new_v4().unwrap();
    narrow.set_recv_buffer_size(16 * 1024).unwrap();
    let narrow = narrow.connect(relay).await.unwrap();
    let mut stuck = bridge(relay, &target, narrow).await.unwrap();
    stuck.send(Message::binary("begin")).await.unwrap();
    let (_, source) = target.recv_from(&mut [0; 16]).await.unwrap();
    for _ in 0..10_000 {
        target.send_to(&[0; 1_000], source).await.unwrap();
        tokio::task::yield_now().await;
    }
    let start = Instant::now();
    while let Err(error) = bridge(relay, &target, connection(relay).await).await {
        assert!(matches!(error, Error::Http(answer) if answer.status() == 503));
        assert!(start.elapsed() < Duration::from_secs(100), "the place is not given back");
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    assert!(start.elapsed() > Duration::from_secs(55), "after {:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn half_a_request_is_not_waited_for() {
    let (relay, _) = started(Limits::default()).await;
    for half in ["", "GET / HTTP/1.1\r\nHo"] {
        let mut stream = connection(relay).await;
        stream.write_all(half.as_bytes()).await.unwrap();
        let start = Instant::now();
        everything(stream).await;
        assert_eq!(start.elapsed().as_secs(), 10, "{half:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_becomes_no_session_ends_after_a_minute() {
    let (relay, _) = started(Limits::default()).await;
    let mut stream = connection(relay).await;
    let start = Instant::now();
    let mut response = [0; 1024];
    let mut answers = 0;
    while stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: any\r\n\r\n").await.is_ok()
        && matches!(stream.read(&mut response).await, Ok(size) if size > 0)
    {
        assert!(response.starts_with(b"HTTP/1.1 200"));
        answers += 1;
        tokio::time::sleep(Duration::from_secs(7)).await;
    }
    assert_eq!(answers, 9);
    assert_eq!(start.elapsed().as_secs(), 63);
}

//! A client that reads too slowly, and a client above the rate: what waits is bounded, and what
//! arrives after a stall is fresh.

use std::net::{SocketAddr, TcpStream};

use socket2::{Domain, Socket, Type};

use crate::native::{any_udp, receive, wait_until_read};
use crate::program::DEADLINE;
use crate::relay_program::Relay;
use crate::web::Client;

/// A connection whose receive buffer is small, so that its relay soon has to wait for it.
pub(crate) fn narrow_connection(relay: SocketAddr) -> TcpStream {
    let socket = Socket::new(Domain::for_address(relay), Type::STREAM, None).unwrap();
    socket.set_recv_buffer_size(16 * 1024).unwrap();
    socket.connect(&relay.into()).unwrap();
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    stream.set_write_timeout(Some(DEADLINE)).unwrap();
    stream
}

/// Datagrams of 1,000 bytes, numbered; they are sent in batches, each when the one before has been
/// read from the socket buffer, so that every loss is the relay's own.
pub(crate) struct Source<'a> {
    pub(crate) socket: &'a std::net::UdpSocket,
    pub(crate) to: SocketAddr,
    pub(crate) sent: u64,
}

pub(crate) const PAYLOAD_BYTES: usize = 1_000;
const BATCH: u64 = 50;

impl Source<'_> {
    pub(crate) fn flood(&mut self, batches: u64) {
        for _ in 0..batches {
            for _ in 0..BATCH {
                let mut payload = [0; PAYLOAD_BYTES];
                payload[..8].copy_from_slice(&self.sent.to_be_bytes());
                self.socket.send_to(&payload, self.to).unwrap();
                self.sent += 1;
            }
            wait_until_read(self.to.port());
        }
    }
}

pub(crate) fn number_of(payload: &[u8]) -> u64 {
    u64::from_be_bytes(payload[..8].try_into().expect("a numbered datagram"))
}

#[test]
fn a_stalled_client_costs_no_memory_and_then_gets_what_is_fresh() {
    let (relay, (target, address)) = (Relay::plain(), any_udp());
    let path = format!("/udp/127.0.0.1/{}", address.port());
    let narrow = narrow_connection(relay.address);
    let mut client = Client::over(narrow, relay.address, &path, None);
    client.send(*b"begin");
    let to = receive(&target).1;
    let mut source = Source { socket: &target, to, sent: 0 };

    source.flood(40);
    let before = relay.resident_bytes();
    source.flood(600);
    let grown = relay.resident_bytes().saturating_sub(before);
    assert!(grown < 4 * 1024 * 1024, "{grown} bytes for {} datagrams", source.sent);

    let stalled_until = source.sent;
    let (mut received, mut stale, mut last) = (0, 0, None);
    while last.is_none_or(|last| last < stalled_until) {
        source.flood(1);
        let number = number_of(&client.receive());
        assert!(last.is_none_or(|last| last < number), "{number} after {last:?}");
        last = Some(number);
        received += 1;
        stale += usize::from(number < stalled_until);
    }
    // What a queue of 1 MiB holds, what had left it for the connection's own buffers, and no more.
    assert!(stale * PAYLOAD_BYTES < 2 * 1024 * 1024, "{stale} datagrams from before the stall");
    assert!(received < stalled_until / 4, "nothing was dropped: {received} of {}", source.sent);
}

#[test]
fn the_relay_reads_no_faster_than_the_rate_and_loses_nothing() {
    let relay = Relay::start(&["--no-practice", "--max-rate", "50"]);
    let (target, address) = any_udp();
    let mut client = Client::bridge(relay.address, address);
    let start = std::time::Instant::now();
    for number in 0..100_u8 {
        client.send([number]);
    }
    for number in 0..100 {
        assert_eq!(receive(&target).0, [number]);
    }
    // Fifty at once, the others one by one: a bound from below, however slow this machine is.
    let took = start.elapsed();
    assert!(took.as_millis() > 900, "a hundred took {took:?} at fifty in a second");
}

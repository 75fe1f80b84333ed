//! Native sockets at the other end, on addresses of their own.

use std::net::{Ipv4Addr, SocketAddr, ToSocketAddrs, UdpSocket};
use std::sync::atomic::{AtomicU8, Ordering};
use std::thread;

use crate::program::{DEADLINE, eventually};

/// A loopback address that no other test uses, so that any port of it is free.
pub(crate) fn own_address() -> Ipv4Addr {
    static USED: AtomicU8 = AtomicU8::new(0);
    let number = USED.fetch_add(1, Ordering::Relaxed) + 1;
    assert!(number < 255, "as many addresses as one process has");
    let [.., high, low] = std::process::id().to_be_bytes();
    Ipv4Addr::new(127, 16 | (high & 0x7f), low, number)
}

/// A socket whose receive calls end the test rather than wait without end.
pub(crate) fn udp(address: impl ToSocketAddrs) -> UdpSocket {
    let socket = UdpSocket::bind(address).expect("a free port");
    socket.set_read_timeout(Some(DEADLINE)).unwrap();
    socket
}

/// A socket at a free port of 127.0.0.1.
pub(crate) fn any_udp() -> (UdpSocket, SocketAddr) {
    let socket = udp("127.0.0.1:0");
    let address = socket.local_addr().unwrap();
    (socket, address)
}

/// An address at which nothing listens: its port is below those that a system gives to sockets
/// which do not ask for one.
pub(crate) fn closed_port() -> SocketAddr {
    SocketAddr::from((own_address(), 7_007))
}

pub(crate) fn receive(socket: &UdpSocket) -> (Vec<u8>, SocketAddr) {
    let mut buffer = vec![0; 65_536];
    let (size, source) = socket.recv_from(&mut buffer).expect("a datagram comes");
    buffer.truncate(size);
    (buffer, source)
}

/// Whether nothing waits at a socket. Loopback delivers before `send` returns, so what was sent
/// before something that has arrived by the same way would be here.
pub(crate) fn is_silent(socket: &UdpSocket) -> bool {
    socket.set_nonblocking(true).unwrap();
    let received = socket.recv_from(&mut [0; 16]);
    socket.set_nonblocking(false).unwrap();
    received.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock)
}

/// A server that sends each datagram back, until an empty one comes from the same socket.
pub(crate) struct Echo {
    pub(crate) address: SocketAddr,
    socket: UdpSocket,
    thread: Option<thread::JoinHandle<()>>,
}

impl Echo {
    pub(crate) fn start(address: impl ToSocketAddrs) -> Self {
        let socket = UdpSocket::bind(address).expect("a free port");
        let own = socket.local_addr().unwrap();
        let echo = socket.try_clone().unwrap();
        let thread = thread::spawn(move || {
            let mut buffer = vec![0; 65_536];
            loop {
                // An ICMP error of an earlier reply says nothing about this socket.
                let Ok((size, source)) = echo.recv_from(&mut buffer) else { continue };
                if source == own {
                    return;
                }
                let _ = echo.send_to(&buffer[..size], source);
            }
        });
        Self { address: own, socket, thread: Some(thread) }
    }

    pub(crate) fn on_own_address() -> Self {
        Self::start((own_address(), 7_000))
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        let told = self.socket.send_to(b"", self.address).is_ok();
        if let Some(thread) = self.thread.take().filter(|_| told) {
            let _ = thread.join();
        }
    }
}

/// Waits until everything that has arrived at the socket bound to `port` has been read, by
/// whatever program: a sender that waits for it never overruns the receive buffer.
pub(crate) fn wait_until_read(port: u16) {
    eventually(&format!("an empty receive buffer at port {port}"), || queued_bytes(port) == 0);
}

fn queued_bytes(port: u16) -> u64 {
    let table = std::fs::read_to_string("/proc/net/udp").expect("Linux tells its sockets");
    let wanted = format!(":{port:04X}");
    let of_port =
        |line: &&str| line.split_whitespace().nth(1).is_some_and(|local| local.ends_with(&wanted));
    let queue = |line: &str| {
        let (_, received) = line.split_whitespace().nth(4)?.split_once(':')?;
        u64::from_str_radix(received, 16).ok()
    };
    table.lines().filter(of_port).filter_map(queue).sum()
}

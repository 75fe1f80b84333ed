//! The one place that touches UDP sockets. It never decides what is permitted and keeps nothing.

use std::cell::RefCell;
use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket as StdUdpSocket};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use socket2::{Domain, Protocol, SockAddr, SockRef, Socket, Type};
use tokio::io::Interest;
use tokio::net::UdpSocket;
use wire::{Family, SocketOption};

/// The largest datagram that a receive call can return, in bytes: a UDP length field has 16 bits
/// (RFC 768).
pub const LARGEST_DATAGRAM: usize = 65_535;

/// What a receive call can return: a datagram, or an error that waits on the socket, such as an
/// ICMP message that an earlier datagram brought back.
const RECEIVABLE: Interest = Interest::READABLE.add(Interest::ERROR);

/// A UDP socket, as a program has it: open, then perhaps bound, perhaps connected.
pub struct Udp {
    io: Arc<UdpSocket>,
    /// Ready when an error waits: the runtime does not take it for something to receive.
    failing: Option<Failing>,
}

type Failing = Pin<Box<dyn Future<Output = io::Result<()>> + Send + Sync>>;

impl std::fmt::Debug for Udp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.io.fmt(f)
    }
}

/// What one receive call returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// Bytes that stand in the buffer.
    pub kept: usize,
    /// Payload bytes of the datagram as it arrived.
    pub size: usize,
    /// Where it came from.
    pub source: SocketAddr,
}

thread_local! {
    static ARRIVING: RefCell<Box<[u8]>> = RefCell::new(vec![0; LARGEST_DATAGRAM].into());
}

/// Lends this thread's buffer of [`LARGEST_DATAGRAM`] bytes to receive into and copy out of at the
/// true size, so that an idle session holds no buffer of its own. Not to be asked for while lent.
pub(crate) fn with_receive_buffer<T>(receive: impl FnOnce(&mut [u8]) -> T) -> T {
    ARRIVING.with_borrow_mut(|buffer| receive(buffer))
}

/// The family that `address` belongs to.
pub fn family_of(address: IpAddr) -> Family {
    if address.is_ipv4() { Family::Ipv4 } else { Family::Ipv6 }
}

impl Udp {
    /// `socket(family, SOCK_DGRAM)`. An IPv6 socket speaks IPv6 only (RFC 3493 §5.3), so that no
    /// address has two spellings.
    ///
    /// # Errors
    /// The system's, such as EMFILE when too many files are open.
    pub fn open(family: Family) -> io::Result<Self> {
        let domain = match family {
            Family::Ipv4 => Domain::IPV4,
            Family::Ipv6 => Domain::IPV6,
        };
        let socket = Socket::new(domain, Type::DGRAM, Some(Protocol::UDP))?;
        if family == Family::Ipv6 {
            socket.set_only_v6(true)?;
        }
        socket.set_nonblocking(true)?;
        let io = UdpSocket::from_std(StdUdpSocket::from(socket))?;
        Ok(Self { io: Arc::new(io), failing: None })
    }

    /// A socket connected to `target`, with a local address that the system chose.
    ///
    /// # Errors
    /// The system's.
    pub fn connected(target: SocketAddr) -> io::Result<Self> {
        let socket = Self::open(family_of(target.ip()))?;
        socket.connect(target)?;
        Ok(socket)
    }

    /// A socket bound to `local`.
    ///
    /// # Errors
    /// The system's, such as EADDRINUSE.
    pub fn bound(local: SocketAddr) -> io::Result<Self> {
        let socket = Self::open(family_of(local.ip()))?;
        socket.bind(local)?;
        Ok(socket)
    }

    /// `bind(address)`.
    ///
    /// # Errors
    /// The system's, such as EADDRINUSE or EACCES.
    pub fn bind(&self, address: SocketAddr) -> io::Result<()> {
        SockRef::from(&*self.io).bind(&SockAddr::from(address))
    }

    /// `connect(target)`: sets the default destination and hears that peer only. Nothing is sent.
    ///
    /// # Errors
    /// The system's, such as ENETUNREACH.
    pub fn connect(&self, target: SocketAddr) -> io::Result<()> {
        SockRef::from(&*self.io).connect(&SockAddr::from(target))
    }

    /// `getsockname()`; the unspecified address with port 0 before anything gave it one.
    ///
    /// # Errors
    /// The system's.
    pub fn local_address(&self) -> io::Result<SocketAddr> {
        self.io.local_addr()
    }

    /// `send`, or `sendto` with a destination, without waiting.
    ///
    /// # Errors
    /// `WouldBlock` when the send buffer is full; the system's otherwise, among them an ICMP error
    /// that an earlier datagram brought back.
    pub fn try_send(&self, payload: &[u8], destination: Option<SocketAddr>) -> io::Result<usize> {
        match destination {
            None => self.io.try_send(payload),
            Some(destination) => self.io.try_send_to(payload, destination),
        }
    }

    /// Whether a send may be tried again after it would have blocked.
    pub fn poll_send_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.io.poll_send_ready(cx)
    }

    /// `send` or `sendto`, waiting for room.
    ///
    /// # Errors
    /// The system's.
    pub async fn send(&self, payload: &[u8], destination: Option<SocketAddr>) -> io::Result<usize> {
        loop {
            match self.try_send(payload, destination) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.io.writable().await?;
                }
                done => return done,
            }
        }
    }

    /// `recvfrom(buffer)`: a datagram larger than the buffer is cut, its size told.
    ///
    /// # Errors
    /// The system's, among them an ICMP error that an earlier datagram brought back.
    pub fn poll_receive(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<Arrival>> {
        loop {
            match self.io.poll_recv_ready(cx) {
                Poll::Ready(ready) => ready?,
                Poll::Pending => ready!(self.poll_failing(cx))?,
            }
            match self.try_receive(buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                done => return Poll::Ready(done),
            }
        }
    }

    fn poll_failing(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let failing = self.failing.get_or_insert_with(|| {
            let io = self.io.clone();
            Box::pin(async move { io.ready(Interest::ERROR).await.map(drop) })
        });
        let failed = ready!(failing.as_mut().poll(cx));
        self.failing = None;
        Poll::Ready(failed)
    }

    /// The same, as a future.
    ///
    /// # Errors
    /// As [`Udp::poll_receive`].
    pub async fn receive(&self, buffer: &mut [u8]) -> io::Result<Arrival> {
        loop {
            self.io.ready(RECEIVABLE).await?;
            match self.try_receive(buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                done => return done,
            }
        }
    }

    /// The same, without waiting.
    ///
    /// # Errors
    /// `WouldBlock` when nothing is there; otherwise as [`Udp::poll_receive`].
    #[cfg(any(target_os = "linux", target_os = "android"))]
    pub fn try_receive(&self, buffer: &mut [u8]) -> io::Result<Arrival> {
        use rustix::net::{RecvFlags, recvfrom};

        let mut receive = || {
            let (kept, size, source) = recvfrom(&*self.io, &mut *buffer, RecvFlags::TRUNC)?;
            let source = source.ok_or_else(|| io::Error::other("a datagram without a source"))?;
            Ok(Arrival { kept, size, source: SocketAddr::try_from(source)? })
        };
        match self.io.try_io(Interest::READABLE, &mut receive) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.io.try_io(Interest::ERROR, receive)
            }
            done => done,
        }
    }

    /// The same, without waiting. This system does not tell the true size of a cut datagram, so it
    /// is read whole and cut here.
    ///
    /// # Errors
    /// `WouldBlock` when nothing is there; otherwise as [`Udp::poll_receive`].
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    pub fn try_receive(&self, buffer: &mut [u8]) -> io::Result<Arrival> {
        let mut whole = [0; LARGEST_DATAGRAM];
        let (size, source) = match self.io.try_recv_from(&mut whole) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                let failed = || self.io.take_error()?.map_or(Err(error), Err);
                self.io.try_io(Interest::ERROR, failed)
            }
            done => done,
        }?;
        let kept = size.min(buffer.len());
        buffer[..kept].copy_from_slice(&whole[..kept]);
        Ok(Arrival { kept, size, source })
    }

    /// `setsockopt`, returning the value that the system granted.
    ///
    /// # Errors
    /// The system's; `InvalidInput` for an option that a UDP socket does not have.
    pub fn set_option(&self, option: SocketOption, value: u32) -> io::Result<u32> {
        let ipv6 = self.local_address()?.is_ipv6();
        set_option(&SockRef::from(&*self.io), ipv6, option, value)
    }
}

/// `setsockopt` and then `getsockopt`, for UDP and TCP alike.
///
/// # Errors
/// The system's.
pub(crate) fn set_option(
    socket: &SockRef<'_>,
    ipv6: bool,
    option: SocketOption,
    value: u32,
) -> io::Result<u32> {
    let size = |bytes: usize| u32::try_from(bytes).unwrap_or(u32::MAX);
    let wanted = usize::try_from(value).unwrap_or(usize::MAX);
    match option {
        SocketOption::ReceiveBuffer => {
            socket.set_recv_buffer_size(wanted)?;
            socket.recv_buffer_size().map(size)
        }
        SocketOption::SendBuffer => {
            socket.set_send_buffer_size(wanted)?;
            socket.send_buffer_size().map(size)
        }
        SocketOption::Broadcast => {
            socket.set_broadcast(value != 0)?;
            socket.broadcast().map(u32::from)
        }
        SocketOption::TimeToLive if ipv6 => {
            socket.set_unicast_hops_v6(value)?;
            socket.unicast_hops_v6()
        }
        SocketOption::TimeToLive => {
            socket.set_ttl_v4(value)?;
            socket.ttl_v4()
        }
        SocketOption::NoDelay => {
            socket.set_tcp_nodelay(value != 0)?;
            socket.tcp_nodelay().map(u32::from)
        }
    }
}

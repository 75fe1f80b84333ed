//! TCP sockets of a lab session: connect, listen, and a stream with a bounded queue of what is yet
//! to be written. It never decides what is permitted.

use std::collections::VecDeque;
use std::io;
use std::net::{Shutdown, SocketAddr};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes};
use socket2::SockRef;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use wire::{Family, Half, Number, RelayTime, SocketOption};

/// Bytes that may wait to be written to one stream; above it nothing more is read from the client.
pub const QUEUE_BYTES: usize = 1024 * 1024;

/// How long a closed stream may take to hand over what was sent before.
const FINISH_TIMEOUT: Duration = Duration::from_secs(5);

/// A TCP socket in one of its states.
#[derive(Debug)]
pub enum Tcp {
    /// Made, perhaps bound.
    Idle(TcpSocket),
    /// A handshake is under way.
    Connecting,
    /// Accepting.
    Listening(TcpListener),
    /// Connected.
    Stream(Stream),
}

/// A connection.
#[derive(Debug)]
pub struct Stream {
    io: TcpStream,
    /// Known from the start: the system forgets the peer when both ends have closed, while there
    /// may still be bytes to receive.
    local: SocketAddr,
    peer: SocketAddr,
    queue: VecDeque<Queued>,
    queued_bytes: usize,
    shut_write: bool,
    ended: bool,
}

/// One `send` that the system has not wholly taken yet.
#[derive(Debug)]
struct Queued {
    number: Number,
    report: bool,
    sent_at: RelayTime,
    rest: Bytes,
    size: usize,
}

/// One `send` that the system has taken, or that failed.
#[derive(Debug)]
pub struct Written {
    /// The send.
    pub number: Number,
    /// Whether its return value is wanted.
    pub report: bool,
    /// When it was called.
    pub sent_at: RelayTime,
    /// The bytes taken, or the error.
    pub result: io::Result<usize>,
}

impl Tcp {
    /// `socket(family, SOCK_STREAM)`.
    ///
    /// # Errors
    /// The system's.
    pub fn open(family: Family) -> io::Result<Self> {
        let socket = match family {
            Family::Ipv4 => TcpSocket::new_v4(),
            Family::Ipv6 => {
                let socket = TcpSocket::new_v6()?;
                SockRef::from(&socket).set_only_v6(true)?;
                Ok(socket)
            }
        }?;
        Ok(Self::Idle(socket))
    }

    /// `bind(address)`.
    ///
    /// # Errors
    /// The system's; EINVAL when it is connected or listening already.
    pub fn bind(&self, address: SocketAddr) -> io::Result<SocketAddr> {
        let Self::Idle(socket) = self else { return Err(invalid()) };
        // A server that is started again binds its port though old connections linger there.
        #[cfg(unix)]
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        socket.local_addr()
    }

    /// `listen(backlog)`.
    ///
    /// # Errors
    /// The system's; EINVAL when it is connected or listening already.
    pub fn listen(&mut self, backlog: u16) -> io::Result<SocketAddr> {
        match std::mem::replace(self, Self::Connecting) {
            Self::Idle(socket) => {
                // The runtime's own call would use the socket up when it fails.
                if let Err(error) = SockRef::from(&socket).listen(backlog.into()) {
                    *self = Self::Idle(socket);
                    return Err(error);
                }
                let listener = socket.listen(backlog.into())?;
                let local = listener.local_addr()?;
                *self = Self::Listening(listener);
                Ok(local)
            }
            other => {
                *self = other;
                Err(invalid())
            }
        }
    }

    /// Takes the socket out to connect it; [`Tcp::Connecting`] stays in its place meanwhile.
    ///
    /// # Errors
    /// EISCONN when it is connected, EINVAL in the other states, as a program would see it.
    pub fn take_to_connect(&mut self) -> io::Result<TcpSocket> {
        match std::mem::replace(self, Self::Connecting) {
            Self::Idle(socket) => Ok(socket),
            other => {
                let is_connected = matches!(other, Self::Stream(_));
                *self = other;
                Err(if is_connected { is_connected_error() } else { invalid() })
            }
        }
    }

    /// `getsockname()`.
    ///
    /// # Errors
    /// The system's; EINVAL while connecting.
    pub fn local_address(&self) -> io::Result<SocketAddr> {
        match self {
            Self::Idle(socket) => socket.local_addr(),
            Self::Listening(listener) => listener.local_addr(),
            Self::Stream(stream) => Ok(stream.local),
            Self::Connecting => Err(invalid()),
        }
    }

    /// `setsockopt`, returning the value that the system granted.
    ///
    /// # Errors
    /// The system's; EINVAL while connecting.
    pub fn set_option(&self, option: SocketOption, value: u32) -> io::Result<u32> {
        let ipv6 = self.local_address()?.is_ipv6();
        let socket = match self {
            Self::Idle(socket) => SockRef::from(socket),
            Self::Listening(listener) => SockRef::from(listener),
            Self::Stream(stream) => SockRef::from(&stream.io),
            Self::Connecting => return Err(invalid()),
        };
        crate::socket::set_option(&socket, ipv6, option, value)
    }

    /// `send(payload)` on a socket that is not connected: the call is made, so that the error is
    /// the system's own.
    ///
    /// # Errors
    /// The system's, such as EPIPE.
    pub fn send_unconnected(&self, payload: &[u8]) -> io::Result<usize> {
        match self {
            Self::Idle(socket) => SockRef::from(socket).send(payload),
            Self::Listening(listener) => SockRef::from(listener).send(payload),
            Self::Connecting | Self::Stream(_) => Err(invalid()),
        }
    }

    /// `recv` on a socket that is not connected: the call is made, so that the error is the system's
    /// own. Once such a socket was shut down it is no error, but the end of a stream.
    ///
    /// # Errors
    /// The system's, such as ENOTCONN.
    pub fn receive_unconnected(&self) -> io::Result<usize> {
        match self {
            Self::Idle(socket) => SockRef::from(socket).recv(&mut []),
            Self::Listening(listener) => SockRef::from(listener).recv(&mut []),
            Self::Connecting | Self::Stream(_) => Err(invalid()),
        }
    }

    /// `shutdown(how)`; what was sent before goes out first.
    ///
    /// # Errors
    /// The system's, such as ENOTCONN.
    pub fn shutdown(&mut self, how: Half) -> io::Result<()> {
        let half = match how {
            Half::Read => Shutdown::Read,
            Half::Write => Shutdown::Write,
            Half::Both => Shutdown::Both,
        };
        match self {
            Self::Idle(socket) => SockRef::from(&*socket).shutdown(half),
            Self::Listening(listener) => SockRef::from(&*listener).shutdown(half),
            Self::Stream(stream) => stream.shutdown(how),
            Self::Connecting => Err(invalid()),
        }
    }
}

impl Stream {
    /// A stream over a connection to `peer`.
    ///
    /// # Errors
    /// The system's.
    pub fn new(io: TcpStream, peer: SocketAddr) -> io::Result<Self> {
        let local = io.local_addr()?;
        let queue = VecDeque::new();
        Ok(Self { io, local, peer, queue, queued_bytes: 0, shut_write: false, ended: false })
    }

    /// Its own address.
    pub fn local(&self) -> SocketAddr {
        self.local
    }

    /// The address it is connected to.
    pub fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// `send(payload)`, called at `now`.
    pub fn send(&mut self, number: Number, report: bool, payload: Bytes, now: RelayTime) {
        self.queued_bytes += payload.len();
        let size = payload.len();
        self.queue.push_back(Queued { number, report, sent_at: now, rest: payload, size });
    }

    /// Whether more waits than may.
    pub fn is_over(&self) -> bool {
        self.queued_bytes > QUEUE_BYTES
    }

    /// The next send that the system has wholly taken. Pending when none is.
    pub fn poll_written(&mut self, cx: &mut Context<'_>) -> Poll<Written> {
        loop {
            let Some(front) = self.queue.front_mut() else {
                if self.shut_write {
                    self.shut_write = false;
                    // The peer may be gone already; then there is nothing left to tell it.
                    let _ = SockRef::from(&self.io).shutdown(Shutdown::Write);
                }
                return Poll::Pending;
            };
            let taken = if front.rest.is_empty() {
                Ok(0)
            } else {
                match ready!(self.io.poll_write_ready(cx))
                    .and_then(|()| self.io.try_write(&front.rest))
                {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
                    taken => taken,
                }
            };
            let result = match taken {
                Ok(taken) => {
                    front.rest.advance(taken);
                    self.queued_bytes -= taken;
                    if !front.rest.is_empty() {
                        continue;
                    }
                    Ok(front.size)
                }
                Err(error) => Err(error),
            };
            let Queued { number, report, sent_at, rest, .. } =
                self.queue.pop_front().expect("the front was looked at");
            self.queued_bytes -= rest.len();
            return Poll::Ready(Written { number, report, sent_at, result });
        }
    }

    /// Whether something waits to be written.
    pub fn has_waiting(&self) -> bool {
        !self.queue.is_empty()
    }

    /// Writes what waits and closes. A program's `close` comes after its `send` has returned, so what
    /// was sent goes out; for at most [`FINISH_TIMEOUT`].
    pub async fn finish(mut self) {
        let writing = std::future::poll_fn(|cx| {
            while let Poll::Ready(written) = self.poll_written(cx) {
                if written.result.is_err() {
                    return Poll::Ready(());
                }
            }
            if self.queue.is_empty() { Poll::Ready(()) } else { Poll::Pending }
        });
        if tokio::time::timeout(FINISH_TIMEOUT, writing).await.is_err() {
            tracing::debug!(bytes = self.queued_bytes, "closed with unsent bytes");
        }
    }

    /// `recv(buffer)`; after it has returned 0 or an error, only when it is `asked` for.
    pub fn poll_receive(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
        asked: bool,
    ) -> Poll<io::Result<usize>> {
        if self.ended && !asked {
            return Poll::Pending;
        }
        loop {
            let received = match ready!(self.io.poll_read_ready(cx)) {
                Ok(()) => self.io.try_read(buffer),
                Err(error) => Err(error),
            };
            match received {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                done => {
                    self.ended = !matches!(done, Ok(bytes) if bytes > 0);
                    return Poll::Ready(done);
                }
            }
        }
    }

    fn shutdown(&mut self, how: Half) -> io::Result<()> {
        if how != Half::Write {
            SockRef::from(&self.io).shutdown(Shutdown::Read)?;
        }
        if how != Half::Read {
            if self.queue.is_empty() {
                SockRef::from(&self.io).shutdown(Shutdown::Write)?;
            } else {
                self.shut_write = true;
            }
        }
        Ok(())
    }
}

#[cfg(unix)]
fn invalid() -> io::Error {
    nix::errno::Errno::EINVAL.into()
}

#[cfg(unix)]
fn is_connected_error() -> io::Error {
    nix::errno::Errno::EISCONN.into()
}

#[cfg(windows)]
fn invalid() -> io::Error {
    io::Error::from_raw_os_error(10022)
}

#[cfg(windows)]
fn is_connected_error() -> io::Error {
    io::Error::from_raw_os_error(10056)
}

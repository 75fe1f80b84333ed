//! A practice server on a TCP socket: accept, then receive and answer on each connection. One
//! connection's error ends that connection only.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use futures::StreamExt as _;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use super::Program;
use super::hub::Printer;
use super::repr::PyAddress;
use super::service::Service;
use crate::errno::socket_error;

/// Connections open at once; further ones wait in the system's backlog.
pub(super) const CONNECTIONS: usize = 64;
/// Connections that wait to be accepted.
const BACKLOG: i32 = 64;
/// How long a connection may bring nothing before it is closed for others.
const IDLE_TIMEOUT: Duration = Duration::from_secs(15 * 60);
/// How long a client may not read its reply.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);
/// The pause after an `accept` that failed for want of something that may come back.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A listening socket and its connections. They make progress only while [`TcpServer::serve`] is
/// waited for, so a paused server reads nothing.
pub(super) struct TcpServer {
    listener: TcpListener,
    connections: FuturesUnordered<BoxFuture<'static, ()>>,
    program: Program,
    printer: Printer,
}

impl TcpServer {
    pub(super) fn open(
        program: Program,
        address: SocketAddr,
        printer: Printer,
    ) -> io::Result<Self> {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
        if address.is_ipv6() {
            socket.set_only_v6(true)?;
        }
        // Without it, a server that closed its connections cannot come back for a minute. On Windows
        // the same option takes ports from others.
        #[cfg(unix)]
        socket.set_reuse_address(true)?;
        socket.set_nonblocking(true)?;
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        let listener = TcpListener::from_std(socket.into())?;
        Ok(Self { listener, connections: FuturesUnordered::new(), program, printer })
    }

    pub(super) fn local_address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    pub(super) fn greet(&self, address: SocketAddr) {
        let service = Service::new(self.program);
        service.greet(address, &mut |line| self.printer.program(line));
    }

    pub(super) fn connections(&self) -> usize {
        self.connections.len()
    }

    /// Accepts and answers without end. Nothing is lost when this is not waited for and called
    /// again later.
    pub(super) async fn serve(&mut self) {
        loop {
            let room = self.connections.len() < CONNECTIONS;
            let accepted = tokio::select! {
                accepted = self.listener.accept(), if room => accepted,
                Some(()) = self.connections.next() => continue,
            };
            match accepted {
                Ok((stream, peer)) => self.handle_connection(stream, peer),
                Err(error) => {
                    self.printer.remark(format_args!("accept failed: {}", socket_error(&error)));
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    fn handle_connection(&mut self, stream: TcpStream, peer: SocketAddr) {
        self.printer.program(format_args!("connection from {}", PyAddress(peer)));
        let service = Service::new(self.program);
        let buffer = vec![0; self.program.buffer_bytes()];
        let printer = self.printer.clone();
        self.connections.push(Box::pin(converse(stream, peer, service, buffer, printer)));
        if self.connections.len() == CONNECTIONS {
            self.printer.remark(format_args!(
                "{CONNECTIONS} connections are open, the limit; further ones wait to be accepted"
            ));
        }
    }
}

async fn converse(
    mut stream: TcpStream,
    peer: SocketAddr,
    mut service: Service,
    mut buffer: Vec<u8>,
    printer: Printer,
) {
    let from = PyAddress(peer);
    loop {
        let received = match timeout(IDLE_TIMEOUT, stream.read(&mut buffer)).await {
            Ok(Ok(0)) => {
                return printer.program(format_args!(
                    "recv returned 0 bytes from {from}: it sends no more, connection closed"
                ));
            }
            Ok(Ok(received)) => received,
            Ok(Err(error)) => return tell_lost(&printer, "recv", peer, &error),
            Err(_) => {
                return printer.remark(format_args!(
                    "connection from {from} closed: nothing came for {} minutes",
                    IDLE_TIMEOUT.as_secs() / 60
                ));
            }
        };
        let reply = service.handle(peer, &buffer[..received], &mut |line| printer.program(line));
        match timeout(WRITE_TIMEOUT, stream.write_all(&reply)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return tell_lost(&printer, "send", peer, &error),
            Err(_) => {
                return printer.remark(format_args!(
                    "connection from {from} closed: it has not read its reply for {} seconds",
                    WRITE_TIMEOUT.as_secs()
                ));
            }
        }
    }
}

fn tell_lost(printer: &Printer, call: &str, peer: SocketAddr, error: &io::Error) {
    let (from, name) = (PyAddress(peer), socket_error(error));
    let what = match error.kind() {
        io::ErrorKind::ConnectionReset => "was reset",
        _ => "is lost",
    };
    printer.program(format_args!("connection from {from} {what}: {call} reported {name}"));
}

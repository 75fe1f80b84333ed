//! A practice server on a UDP socket: receive, handle, answer. It never reads ahead of its service,
//! so what it has not read waits in the system's buffer, or is dropped there.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use super::Program;
use super::hub::Printer;
use super::repr::PyAddress;
use super::service::Service;
use crate::errno::socket_error;
use crate::socket::{Arrival, Udp};

/// How long one reply may wait for room in the system's send buffer.
const SEND_TIMEOUT: Duration = Duration::from_secs(1);
/// Receive errors in a row after which the socket is given up.
const FAILURES_IN_A_ROW: u32 = 100;

pub(super) struct UdpServer {
    socket: Udp,
    service: Service,
    buffer: Vec<u8>,
    printer: Printer,
    failures: u32,
}

impl UdpServer {
    pub(super) fn open(
        program: Program,
        address: SocketAddr,
        printer: Printer,
    ) -> io::Result<Self> {
        let socket = Udp::bound(address)?;
        let service = Service::new(program);
        Ok(Self { socket, service, buffer: vec![0; program.buffer_bytes()], printer, failures: 0 })
    }

    pub(super) fn local_address(&self) -> io::Result<SocketAddr> {
        self.socket.local_address()
    }

    pub(super) fn greet(&self, address: SocketAddr) {
        self.service.greet(address, &mut |line| self.printer.program(line));
    }

    /// The next `recvfrom`. Nothing is lost when this is not waited for to its end.
    pub(super) async fn receive(&mut self) -> io::Result<Arrival> {
        self.socket.receive(&mut self.buffer).await
    }

    /// Answers a datagram.
    ///
    /// # Errors
    /// When the socket no longer works.
    pub(super) async fn handle(&mut self, received: io::Result<Arrival>) -> io::Result<()> {
        let Arrival { kept, size, source } = match received {
            Ok(arrival) => arrival,
            Err(error) => return self.handle_failure(error),
        };
        self.failures = 0;
        let printer = &self.printer;
        if printer.hub().is_practice(source) {
            printer.remark(format_args!(
                "not given to the program: {size} bytes from {}, where a practice server listens; \
                 the two would answer each other without end",
                PyAddress(source)
            ));
            return Ok(());
        }
        let payload = &self.buffer[..kept];
        let reply = self.service.handle(source, payload, &mut |line| printer.program(line));
        if size > kept {
            printer.remark(format_args!(
                "the datagram was cut: the rest of {size} bytes is gone, the buffer is {kept}"
            ));
        }
        let sending = self.socket.send(&reply, Some(source));
        let failed = match tokio::time::timeout(SEND_TIMEOUT, sending).await {
            Ok(Ok(_)) => return Ok(()),
            Ok(Err(error)) => socket_error(&error).to_string(),
            Err(_) => format!("no room in the send buffer for {SEND_TIMEOUT:?}"),
        };
        printer.remark(format_args!(
            "the reply of {} bytes to {} was not sent: {failed}",
            reply.len(),
            PyAddress(source)
        ));
        Ok(())
    }

    /// An error that an earlier reply brought back (RFC 1122 §4.1.3.3) says nothing about this
    /// socket; other errors are borne for a while.
    fn handle_failure(&mut self, error: io::Error) -> io::Result<()> {
        use io::ErrorKind::{
            ConnectionRefused, ConnectionReset, HostUnreachable, NetworkUnreachable,
        };

        let brought_back =
            [ConnectionReset, ConnectionRefused, HostUnreachable, NetworkUnreachable];
        if !brought_back.contains(&error.kind()) {
            self.failures += 1;
            if self.failures >= FAILURES_IN_A_ROW {
                return Err(error);
            }
        }
        self.printer
            .remark(format_args!("recvfrom reported {}, and goes on", socket_error(&error)));
        Ok(())
    }
}

//! What a lab session's sockets bring: datagrams, bytes of streams, connections. It passes them to
//! the session and decides nothing.

use std::io;
use std::net::SocketAddr;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use wire::{Datagram, SocketId, Syscall, Transport};

use super::{Endpoint, Lab, Later, Socket};
use crate::errno::socket_error;
use crate::session::Outcome;
use crate::socket::with_receive_buffer;
use crate::tcp::{Stream, Tcp, Written};

/// Datagrams taken from one socket before the others have their turn.
const RECEIVE_BATCH: usize = 64;

/// How long a listener is left alone after its `accept` failed.
const ACCEPT_REST: Duration = Duration::from_secs(1);

impl Lab {
    pub(super) fn receive_datagrams(&mut self, cx: &mut Context<'_>, id: SocketId) -> bool {
        with_receive_buffer(|buffer| {
            for _ in 0..RECEIVE_BATCH {
                let Some(endpoint) = self.sockets.get_mut(&id) else { return false };
                if !endpoint.wants_more() {
                    return false;
                }
                let Socket::Udp(udp) = &mut endpoint.socket else { return false };
                let buffer = &mut buffer[..endpoint.buffer_bytes];
                let Poll::Ready(received) = udp.poll_receive(cx, buffer) else { return false };
                let received = received.map(|arrival| {
                    let payload = Bytes::copy_from_slice(&buffer[..arrival.kept]);
                    (arrival.source, arrival.size, payload)
                });
                self.handle_received(id, Transport::Udp, received);
            }
            true
        })
    }

    /// Writes what waits for a stream and reads what has come. Bytes of a stream are never dropped,
    /// so none are read while the client has too much to read already.
    pub(super) fn carry_stream(&mut self, cx: &mut Context<'_>, id: SocketId) -> bool {
        self.write_stream(cx, id);
        with_receive_buffer(|buffer| {
            for _ in 0..RECEIVE_BATCH {
                if self.carrier.outbox.is_over() {
                    return false;
                }
                let Some(endpoint) = self.sockets.get_mut(&id) else { return false };
                if !endpoint.wants_more() {
                    return false;
                }
                let buffer = &mut buffer[..endpoint.buffer_bytes.max(1)];
                let asked = !endpoint.asked.is_empty();
                let Socket::Tcp(Tcp::Stream(stream)) = &mut endpoint.socket else { return false };
                let Poll::Ready(received) = stream.poll_receive(cx, buffer, asked) else {
                    return false;
                };
                let peer = stream.peer();
                let received =
                    received.map(|kept| (peer, kept, Bytes::copy_from_slice(&buffer[..kept])));
                self.handle_received(id, Transport::Tcp, received);
                self.pass_output(self.clock.now());
            }
            true
        })
    }

    pub(super) fn write_stream(&mut self, cx: &mut Context<'_>, id: SocketId) {
        while let Some(stream) = self.stream(id)
            && let Poll::Ready(written) = stream.poll_written(cx)
        {
            let Written { number, report, sent_at, result } = written;
            self.handle_sent(id, number, report, sent_at, result);
        }
    }

    fn stream(&mut self, id: SocketId) -> Option<&mut Stream> {
        match &mut self.sockets.get_mut(&id)?.socket {
            Socket::Tcp(Tcp::Stream(stream)) => Some(stream),
            _ => None,
        }
    }

    /// Passes on what a receive call returned: to the `recvfrom` that asked for it, or as it comes.
    fn handle_received(
        &mut self,
        socket: SocketId,
        transport: Transport,
        received: io::Result<(SocketAddr, usize, Bytes)>,
    ) {
        let now = self.clock.now();
        self.carrier.touch(now);
        let asked = self.sockets.get_mut(&socket).and_then(|endpoint| endpoint.asked.pop_front());
        let error = match received {
            Ok((_, 0, _)) if transport == Transport::Tcp => {
                self.session.handle_end_of_stream(socket, now);
                None
            }
            Ok((source, size, payload)) => {
                let size = u32::try_from(size).unwrap_or(u32::MAX);
                let received_at = now;
                self.session.handle_datagram(Datagram {
                    socket,
                    transport,
                    source,
                    received_at,
                    size,
                    payload,
                });
                None
            }
            Err(error) => Some(socket_error(&error)),
        };
        match (asked, error) {
            (Some(asked), None) => {
                self.session.handle_result(asked.call, Ok(Outcome::default()), now);
            }
            (Some(asked), Some(error)) => self.session.handle_result(asked.call, Err(error), now),
            (None, Some(error)) => {
                self.session.handle_socket_error(socket, None, Syscall::Recv, error, now);
            }
            (None, None) => {}
        }
    }

    pub(super) fn accept(&mut self, cx: &mut Context<'_>, id: SocketId) -> bool {
        for _ in 0..RECEIVE_BATCH {
            let rests = self.sockets.get(&id).is_some_and(|endpoint| endpoint.rests);
            if rests || !self.session.has_room() || self.carrier.outbox.is_over() {
                return false;
            }
            let Some(Endpoint { socket: Socket::Tcp(Tcp::Listening(listener)), .. }) =
                self.sockets.get(&id)
            else {
                return false;
            };
            let Poll::Ready(accepted) = listener.poll_accept(cx) else { return false };
            let now = self.clock.now();
            match accepted.and_then(|(io, peer)| Stream::new(io, peer)) {
                Ok(stream) => {
                    let (local, peer) = (stream.local(), stream.peer());
                    let new = self.session.handle_accepted(id, local, peer, now);
                    self.sockets.insert(new, Endpoint::new(Socket::Tcp(Tcp::Stream(stream))));
                }
                Err(error) => {
                    let error = socket_error(&error);
                    self.session.handle_socket_error(id, None, Syscall::Accept, error, now);
                    if let Some(endpoint) = self.sockets.get_mut(&id) {
                        endpoint.rests = true;
                    }
                    self.later.push(Box::pin(async move {
                        tokio::time::sleep(ACCEPT_REST).await;
                        Later::Rested(id)
                    }));
                    // Looking again lets the pause begin.
                    return true;
                }
            }
        }
        true
    }
}

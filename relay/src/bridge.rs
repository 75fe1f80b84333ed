//! The raw bridge: one WebSocket, one connected UDP socket, one message for one datagram both ways.
//! It adds no framing and never ends because of an ICMP error.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use tokio::time::Sleep;
use wire::{Message, payload_limit};

use crate::allowance::Allowance;
use crate::carrier::{Carrier, Ending};
use crate::clock::Clock;
use crate::socket::{Udp, with_receive_buffer};

/// Datagrams taken from the socket before the client is written to.
const RECEIVE_BATCH: usize = 64;
/// Messages taken from the client before the socket is looked at again.
const SEND_BATCH: usize = 64;

/// One bridge.
#[derive(Debug)]
pub struct Bridge {
    carrier: Carrier,
    udp: Udp,
    target: SocketAddr,
    allowance: Option<Allowance>,
    /// Until the rate allows the next message.
    pause: Option<Pin<Box<Sleep>>>,
    clock: Clock,
    /// A payload that the socket had no room for; nothing is read from the client meanwhile.
    blocked: Option<Bytes>,
    counts: Counts,
}

/// What a bridge has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Datagrams sent.
    pub sent: u64,
    /// Datagrams received.
    pub received: u64,
    /// Errors that the socket returned, ICMP's among them.
    pub socket_errors: u64,
    /// Times the rate limit made the client wait.
    pub slowed: u64,
}

impl Bridge {
    /// A bridge between `carrier` and a socket connected to `target`.
    pub fn new(
        carrier: Carrier,
        udp: Udp,
        target: SocketAddr,
        sends_per_second: Option<u32>,
        clock: Clock,
    ) -> Self {
        let allowance = sends_per_second.map(|rate| Allowance::new(rate, clock.now()));
        let counts = Counts::default();
        Self { carrier, udp, target, allowance, pause: None, clock, blocked: None, counts }
    }

    /// Carries messages and datagrams until the session ends.
    pub async fn run(mut self, stopping: impl Future<Output = ()>) -> (Counts, Ending) {
        let why = tokio::select! {
            biased;
            () = stopping => Ending::Stopping,
            why = std::future::poll_fn(|cx| self.poll_run(cx)) => why,
        };
        let (counts, dropped) = (self.counts, self.carrier.outbox.dropped());
        tracing::debug!(target = %self.target, ?counts, ?dropped, %why, "bridge ended");
        self.carrier.close(&why).await;
        (counts, why)
    }

    fn poll_run(&mut self, cx: &mut Context<'_>) -> Poll<Ending> {
        loop {
            let now = self.clock.now();
            let received = self.receive(cx);
            if let Poll::Ready(Err(why)) = self.carrier.poll_write(cx, now) {
                return Poll::Ready(why);
            }
            let took = match self.take_messages(cx) {
                Ok(took) => took,
                Err(why) => return Poll::Ready(why),
            };
            if !received && !took {
                return self.carrier.poll_keepalive(cx, now, self.blocked.is_none());
            }
        }
    }

    /// UDP to outbox. Whether there may be more.
    fn receive(&mut self, cx: &mut Context<'_>) -> bool {
        let now = self.clock.now();
        with_receive_buffer(|buffer| {
            for _ in 0..RECEIVE_BATCH {
                match self.udp.poll_receive(cx, buffer) {
                    Poll::Pending => return false,
                    Poll::Ready(Err(_)) => self.counts.socket_errors += 1,
                    Poll::Ready(Ok(arrival)) => {
                        self.counts.received += 1;
                        self.carrier.touch(now);
                        let payload = Bytes::copy_from_slice(&buffer[..arrival.kept]);
                        self.carrier.outbox.push_datagram(
                            Message::Binary(payload),
                            arrival.kept,
                            now,
                        );
                    }
                }
            }
            true
        })
    }

    /// Client to UDP. Whether there may be more.
    fn take_messages(&mut self, cx: &mut Context<'_>) -> Result<bool, Ending> {
        for _ in 0..SEND_BATCH {
            let payload = match self.blocked.take() {
                Some(payload) => payload,
                None => match self.poll_payload(cx) {
                    Poll::Pending => return Ok(false),
                    Poll::Ready(payload) => payload?,
                },
            };
            match self.udp.try_send(&payload, None) {
                Ok(_) => self.counts.sent += 1,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.blocked = Some(payload);
                    if self.udp.poll_send_ready(cx).is_pending() {
                        return Ok(false);
                    }
                }
                Err(error) => self.send_failed(&error, &payload),
            }
        }
        Ok(true)
    }

    fn poll_payload(&mut self, cx: &mut Context<'_>) -> Poll<Result<Bytes, Ending>> {
        let now = self.clock.now();
        if let Some(allowance) = &mut self.allowance
            && !allowance.is_left(now)
        {
            self.counts.slowed += 1;
            let at = self.clock.instant(allowance.next_at(now));
            let pause = self.pause.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(at)));
            pause.as_mut().reset(at);
            ready!(pause.as_mut().poll(cx));
        }
        let limit = payload_limit(self.target.ip());
        let payload = match ready!(self.carrier.poll_read(cx, now)) {
            Ok(Message::Text(text)) => Bytes::from(text),
            Ok(Message::Binary(bytes)) => bytes,
            // Larger than the carrier takes, so larger than a datagram, whose limit is the one to
            // name.
            Err(Ending::TooLarge { size, .. }) => {
                return Poll::Ready(Err(Ending::TooLarge { size, limit }));
            }
            Err(why) => return Poll::Ready(Err(why)),
        };
        if payload.len() > limit {
            return Poll::Ready(Err(Ending::TooLarge { size: payload.len(), limit }));
        }
        if let Some(allowance) = &mut self.allowance {
            allowance.spend();
        }
        Poll::Ready(Ok(payload))
    }

    /// An ICMP error that an earlier datagram brought back is returned by the next send, which then
    /// has not sent; this payload has not met that error itself, so it goes once more.
    fn send_failed(&mut self, error: &io::Error, payload: &Bytes) {
        self.counts.socket_errors += 1;
        tracing::trace!(target = %self.target, %error, "send");
        if error.kind() == io::ErrorKind::ConnectionRefused {
            match self.udp.try_send(payload, None) {
                Ok(_) => self.counts.sent += 1,
                Err(_) => self.counts.socket_errors += 1,
            }
        }
    }
}

//! One client's WebSocket: reads messages, writes what waits in the outbox, keeps the connection
//! alive and notices when it is not. It never looks inside a message.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use futures::{Sink, Stream};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::Sleep;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::error::CapacityError;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{self, Error};
use wire::{MESSAGE_LIMIT, Message, RelayTime};

use crate::clock::Clock;
use crate::outbox::{Bounds, Dropped, Next, Outbox};

/// Bytes read from the connection at once; each session holds a buffer of this size.
const READ_BUFFER_BYTES: usize = 4 * 1024;
/// Bytes gathered before a write, so that a batch of datagrams leaves in few system calls. What
/// has gone in here can no longer be dropped for being old.
const WRITE_BUFFER_BYTES: usize = 16 * 1024;
/// Bytes that the write buffer may hold: one gathering, one largest message, and control frames.
const WRITE_BUFFER_LIMIT_BYTES: usize = WRITE_BUFFER_BYTES + MESSAGE_LIMIT + 4 * 1024;
/// After so long without hearing from the client it is pinged (RFC 6455 §5.5.2).
const PING_AFTER: Duration = Duration::from_secs(20);
/// After so long without hearing anything, pongs included, the client is gone.
const GONE_AFTER: Duration = Duration::from_secs(60);
/// A write that makes no progress for so long ends the session.
const WRITE_TIMEOUT: Duration = Duration::from_secs(60);
/// How long the end of a session may take: the close frame out, the client's answer in.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);
/// Bytes read and thrown away after a close frame, so that unread data does not reset the
/// connection before the client has seen why it ends.
const LINGER_BYTES: usize = 64 * 1024 * 1024;

/// A client's WebSocket with what waits for it.
#[derive(Debug)]
pub struct Carrier {
    socket: WebSocketStream<TcpStream>,
    /// What waits to be written.
    pub outbox: Outbox<Message>,
    tell_dropped: Option<fn(Dropped, Dropped) -> Message>,
    clock: Clock,
    idle_limit: Duration,
    unflushed: bool,
    blocked_since: Option<RelayTime>,
    heard_at: RelayTime,
    pinged_at: RelayTime,
    active_at: RelayTime,
    timer: Pin<Box<Sleep>>,
}

/// Why a session ended.
#[derive(Debug, thiserror::Error)]
pub enum Ending {
    /// The client closed it.
    #[error("closed by the client")]
    Client,
    /// The connection broke.
    #[error("connection lost: {0}")]
    Lost(String),
    /// The client answered no ping.
    #[error("nothing heard for {} s", GONE_AFTER.as_secs())]
    Silent,
    /// The client read nothing.
    #[error("nothing could be written for {} s", WRITE_TIMEOUT.as_secs())]
    Stuck,
    /// No message and no datagram, either way.
    #[error("idle for {0} s, the limit; --idle-timeout sets it")]
    Idle(u64),
    /// A message larger than a datagram can be.
    #[error("payload is {size} bytes, limit {limit}")]
    TooLarge {
        /// Its bytes.
        size: usize,
        /// The most there can be.
        limit: usize,
    },
    /// The client broke the WebSocket protocol.
    #[error("protocol error: {0}")]
    Protocol(String),
    /// The relay stops.
    #[error("the relay is stopping")]
    Stopping,
}

impl Ending {
    /// The close status code (RFC 6455 §7.4.1), if a close frame is to be sent.
    fn code(&self) -> Option<CloseCode> {
        match self {
            Self::Client | Self::Lost(_) | Self::Silent | Self::Stuck => None,
            Self::Idle(_) => Some(CloseCode::Normal),
            Self::TooLarge { .. } => Some(CloseCode::Size),
            Self::Protocol(_) => Some(CloseCode::Protocol),
            Self::Stopping => Some(CloseCode::Away),
        }
    }
}

impl Carrier {
    /// Takes over an upgraded connection; `read` is what has been read of it already.
    pub async fn new(
        stream: TcpStream,
        read: Bytes,
        clock: Clock,
        bounds: Bounds,
        idle_limit: Duration,
    ) -> Self {
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BUFFER_BYTES)
            .write_buffer_size(WRITE_BUFFER_BYTES)
            .max_write_buffer_size(WRITE_BUFFER_LIMIT_BYTES)
            .max_message_size(Some(MESSAGE_LIMIT))
            .max_frame_size(Some(MESSAGE_LIMIT));
        let socket =
            WebSocketStream::from_partially_read(stream, read.to_vec(), Role::Server, Some(config))
                .await;
        let now = clock.now();
        Self {
            socket,
            outbox: Outbox::new(bounds),
            tell_dropped: None,
            clock,
            idle_limit,
            unflushed: false,
            blocked_since: None,
            heard_at: now,
            pinged_at: now,
            active_at: now,
            timer: Box::pin(tokio::time::sleep(PING_AFTER.min(idle_limit))),
        }
    }

    /// Has the client told of dropped datagrams, by a message made of what was dropped since the last
    /// one and what was dropped in all.
    pub fn tell_dropped(&mut self, tell: fn(Dropped, Dropped) -> Message) {
        self.tell_dropped = Some(tell);
    }

    /// Notes that a message or a datagram went one way or the other.
    pub fn touch(&mut self, now: RelayTime) {
        self.active_at = now;
    }

    /// Writes what waits, as far as the connection takes it. Pending when something is left.
    pub fn poll_write(&mut self, cx: &mut Context<'_>, now: RelayTime) -> Poll<Result<(), Ending>> {
        let written = self.poll_write_all(cx, now);
        match written {
            Poll::Ready(_) => self.blocked_since = None,
            Poll::Pending => {
                self.blocked_since.get_or_insert(now);
            }
        }
        written
    }

    fn poll_write_all(&mut self, cx: &mut Context<'_>, now: RelayTime) -> Poll<Result<(), Ending>> {
        loop {
            ready!(Pin::new(&mut self.socket).poll_ready(cx)).map_err(ending)?;
            let message = match self.outbox.pop(now) {
                None => break,
                Some(Next::Message(message)) => message,
                Some(Next::Dropped(dropped)) => match self.tell_dropped {
                    Some(tell) => tell(dropped, self.outbox.dropped()),
                    None => continue,
                },
            };
            let message = match message {
                Message::Text(text) => tungstenite::Message::Text(text.into()),
                Message::Binary(bytes) => tungstenite::Message::Binary(bytes),
            };
            Pin::new(&mut self.socket).start_send(message).map_err(ending)?;
            self.unflushed = true;
        }
        if self.unflushed {
            ready!(Pin::new(&mut self.socket).poll_flush(cx)).map_err(ending)?;
            self.unflushed = false;
        }
        Poll::Ready(Ok(()))
    }

    /// The next message from the client.
    pub fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        now: RelayTime,
    ) -> Poll<Result<Message, Ending>> {
        loop {
            let message = match ready!(Pin::new(&mut self.socket).poll_next(cx)) {
                None => return Poll::Ready(Err(Ending::Client)),
                Some(Err(error)) => return Poll::Ready(Err(ending(error))),
                Some(Ok(message)) => message,
            };
            self.heard_at = now;
            match message {
                tungstenite::Message::Text(text) => {
                    self.touch(now);
                    return Poll::Ready(Ok(Message::Text(text.as_str().to_owned())));
                }
                tungstenite::Message::Binary(bytes) => {
                    self.touch(now);
                    return Poll::Ready(Ok(Message::Binary(bytes)));
                }
                tungstenite::Message::Close(_) => return Poll::Ready(Err(Ending::Client)),
                _ => {}
            }
        }
    }

    /// Pings, and ends the session that is idle, silent or stuck. Pending otherwise. Who does not
    /// read the client at present, as `is_reading` says, cannot hear it either.
    pub fn poll_keepalive(
        &mut self,
        cx: &mut Context<'_>,
        now: RelayTime,
        is_reading: bool,
    ) -> Poll<Ending> {
        while self.timer.as_mut().poll(cx).is_ready() {
            if now.since(self.active_at) >= self.idle_limit {
                return Poll::Ready(Ending::Idle(self.idle_limit.as_secs()));
            }
            if let Some(since) = self.blocked_since {
                if now.since(since) >= WRITE_TIMEOUT {
                    return Poll::Ready(Ending::Stuck);
                }
            } else if now.since(self.heard_at) >= GONE_AFTER && is_reading {
                return Poll::Ready(Ending::Silent);
            } else if now.since(self.heard_at.max(self.pinged_at)) >= PING_AFTER {
                self.pinged_at = now;
                let ping = tungstenite::Message::Ping(Bytes::new());
                if let Err(error) = Pin::new(&mut self.socket).start_send(ping) {
                    return Poll::Ready(ending(error));
                }
                self.unflushed = true;
                cx.waker().wake_by_ref();
            }
            self.outbox.shrink();
            let next = self.next_deadline(now);
            self.timer.as_mut().reset(self.clock.instant(next));
        }
        Poll::Pending
    }

    fn next_deadline(&self, now: RelayTime) -> RelayTime {
        let idle = self.active_at.0 + self.idle_limit;
        let other = match self.blocked_since {
            Some(since) => since.0 + WRITE_TIMEOUT,
            None => {
                (self.heard_at.max(self.pinged_at).0 + PING_AFTER).min(self.heard_at.0 + GONE_AFTER)
            }
        };
        // A deadline that has passed without effect (nothing is read while too much is kept) is
        // looked at again, not at once but after a while.
        RelayTime(idle.min(other).max(now.0 + Duration::from_secs(1)))
    }

    /// Ends the session: what must not be lost and the close frame are written, and the client is
    /// given time to see them. Takes at most [`CLOSE_TIMEOUT`].
    pub async fn close(mut self, why: &Ending) {
        let Some(code) = why.code() else {
            // To a client that has closed this is the answer (RFC 6455 §5.5.1).
            let closing = std::future::poll_fn(|cx| Pin::new(&mut self.socket).poll_close(cx));
            let _ = tokio::time::timeout(CLOSE_TIMEOUT, closing).await;
            return;
        };
        let close = async {
            let clock = self.clock;
            let _ = std::future::poll_fn(|cx| self.poll_write(cx, clock.now())).await;
            let frame = CloseFrame { code, reason: close_reason(&why.to_string()).into() };
            let _ = self.socket.close(Some(frame)).await;
            // The server closes first (RFC 6455 §7.1.1); a browser waits for it.
            let _ = self.socket.get_mut().shutdown().await;
            let mut rest = self.socket.get_mut().take(LINGER_BYTES as u64);
            let mut thrown_away = vec![0; READ_BUFFER_BYTES];
            while matches!(rest.read(&mut thrown_away).await, Ok(bytes) if bytes > 0) {}
        };
        let _ = tokio::time::timeout(CLOSE_TIMEOUT, close).await;
    }
}

/// A close reason is at most 123 bytes of UTF-8 (RFC 6455 §5.5: 125 less the status code).
fn close_reason(text: &str) -> String {
    let mut end = text.len().min(123);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].to_owned()
}

fn ending(error: Error) -> Ending {
    match error {
        Error::ConnectionClosed | Error::AlreadyClosed => Ending::Client,
        Error::Capacity(CapacityError::MessageTooLong { size, .. }) => {
            Ending::TooLarge { size, limit: MESSAGE_LIMIT }
        }
        Error::Protocol(error) => Ending::Protocol(error.to_string()),
        Error::Utf8(error) => Ending::Protocol(error),
        other => Ending::Lost(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;
    use crate::config::Limits;

    #[tokio::test(start_paused = true)]
    async fn a_client_that_is_not_read_is_not_taken_for_gone() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (_client, accepted) = tokio::join!(TcpStream::connect(address), listener.accept());
        let (stream, _) = accepted.unwrap();
        let clock = Clock::start();
        let Limits { queue, idle, .. } = Limits::default();
        let mut carrier = Carrier::new(stream, Bytes::new(), clock, queue, idle).await;
        for (is_reading, is_gone) in [(false, false), (true, true)] {
            tokio::time::advance(GONE_AFTER).await;
            let keepalive = std::future::poll_fn(|cx| {
                Poll::Ready(carrier.poll_keepalive(cx, clock.now(), is_reading))
            });
            assert_eq!(matches!(keepalive.await, Poll::Ready(Ending::Silent)), is_gone);
        }
    }
}

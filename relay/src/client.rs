//! A native UDP client: sends messages, waits for their replies, and prints what it saw. It never
//! claims to know what became of a message that had no reply.

mod messages;
mod outcome;

use std::collections::VecDeque;
use std::hash::{BuildHasher as _, RandomState};
use std::io::{self, Write};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;
use link::request::{Answer, Expiry, Match, Matched, Policy, Requests};
use wire::payload_limit;

use crate::clock::Clock;
use crate::errno::socket_error;
use crate::socket::{Arrival, Udp};
use crate::terminal::visible;
use messages::Messages;

pub use outcome::{Error, Outcome};

/// Settled requests whose late replies and duplicates are still known by their ID; beyond it the
/// oldest is forgotten, and its reply is one that nobody asked for.
const SETTLED: usize = 1_024;

/// What to send, where to, and how to wait.
#[derive(Clone, Debug, PartialEq, clap::Args)]
pub struct Options {
    /// A name, an IPv4 or an IPv6 address (with or without brackets).
    pub host: String,
    /// The port of the target.
    #[arg(value_parser = clap::value_parser!(u16).range(1..))]
    pub port: u16,
    /// What to send; without it, each line of standard input is a message.
    pub message: Option<String>,
    /// How long to wait for a reply, in seconds; 0 waits without end.
    #[arg(long, value_name = "SECONDS", default_value = "2", value_parser = seconds)]
    pub timeout: Duration,
    /// How often to send a message again when no reply came in time.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub retries: u32,
    /// By how much each wait is longer than the one before it.
    #[arg(long, value_name = "FACTOR", default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub backoff: u32,
    /// How often to send each message, one after the other.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    pub count: u32,
    /// Milliseconds between one message and the next, at least.
    #[arg(long, value_name = "MS", default_value_t = 0, value_parser = clap::value_parser!(u64).range(..=86_400_000))]
    pub gap: u64,
    /// Put `REQ <id> ` before each message, and accept only `REP <id>` as its reply.
    #[arg(long)]
    pub request_ids: bool,
    /// The message is hex: `48 65 6c 6c 6f`.
    #[arg(long)]
    pub hex: bool,
    /// Connect the socket: it hears the target only, and reports ICMP errors.
    #[arg(long)]
    pub connect: bool,
    /// Bytes to receive into; a larger reply is cut to it.
    #[arg(long, value_name = "BYTES", default_value_t = 4_096)]
    pub buffer: u16,
    /// The port to send from; 0 lets the system choose.
    #[arg(long, value_name = "PORT", default_value_t = 0)]
    pub local_port: u16,
}

/// Sends the messages one after the other, each once the one before has its reply or is given up.
///
/// # Errors
/// When a message cannot be a datagram, when the target has no address, when the socket cannot be
/// made ready, and when input or output fails.
pub async fn run(options: &Options, out: &mut impl Write) -> Result<Outcome, Error> {
    run_with(options, Messages::new(options), out).await
}

async fn run_with(
    options: &Options,
    messages: Messages,
    out: &mut impl Write,
) -> Result<Outcome, Error> {
    let target = resolve(&options.host, options.port).await?;
    let socket = open(options, target)?;
    let local = socket.local_address().map_err(|error| failed("getsockname", &error))?;
    let how = if options.connect { "connected" } else { "not connected" };
    writeln!(out, "UDP socket, {how}, from port {} to {target}", local.port())?;
    let policy = Policy {
        timeout: (!options.timeout.is_zero()).then_some(options.timeout),
        retries: options.retries,
        backoff: options.backoff,
    };
    let mut client = Client {
        socket,
        target,
        options,
        clock: Clock::start(),
        requests: Requests::new(policy),
        out,
        next_number: 0,
        first_id: first_id(),
        waiting_for: None,
        settled: VecDeque::new(),
        outcome: Outcome::default(),
    };
    client.converse(messages).await?;
    Ok(client.outcome)
}

struct Client<'a, W> {
    socket: Udp,
    target: SocketAddr,
    options: &'a Options,
    clock: Clock,
    requests: Requests,
    out: &'a mut W,
    next_number: u32,
    first_id: u32,
    waiting_for: Option<Waiting>,
    settled: VecDeque<Settled>,
    outcome: Outcome,
}

struct Waiting {
    number: u32,
    payload: Bytes,
    attempts: u32,
}

struct Settled {
    number: u32,
    answered: bool,
}

enum Step {
    Message(Option<Vec<u8>>),
    Received(io::Result<Arrival>),
    Due,
}

impl<W: Write> Client<'_, W> {
    async fn converse(&mut self, mut messages: Messages) -> Result<(), Error> {
        let mut buffer = vec![0; usize::from(self.options.buffer)];
        loop {
            let due = self.requests.poll_timeout();
            let step = tokio::select! {
                message = messages.next(), if self.waiting_for.is_none() => Step::Message(message?),
                received = self.socket.receive(&mut buffer) => Step::Received(received),
                () = self.until(due), if due.is_some() => Step::Due,
            };
            match step {
                Step::Message(Some(message)) => self.begin(message).await?,
                Step::Message(None) => return Ok(()),
                Step::Received(Ok(Arrival { kept, size, source })) => {
                    let now = self.clock.now().0;
                    self.handle_timeout(now).await?;
                    self.handle_datagram(source, &buffer[..kept], size, now)?;
                }
                Step::Received(Err(error)) => self.handle_failure(self.receive_call(), &error)?,
                Step::Due => self.handle_timeout(self.clock.now().0).await?,
            }
            self.out.flush()?;
        }
    }

    async fn until(&self, due: Option<Duration>) {
        if let Some(due) = due {
            tokio::time::sleep_until(self.clock.instant(wire::RelayTime(due))).await;
        }
    }

    async fn begin(&mut self, message: Vec<u8>) -> Result<(), Error> {
        let number = self.next_number;
        let payload = if self.options.request_ids {
            [format!("REQ {} ", self.id_of(number)).as_bytes(), &message].concat()
        } else {
            message
        };
        let limit = payload_limit(self.target.ip());
        if payload.len() > limit {
            return Err(Error::TooLong { bytes: payload.len(), limit });
        }
        if self.outcome.messages == 0 {
            self.clock = Clock::start();
        }
        self.next_number = number.wrapping_add(1);
        self.outcome.messages += 1;
        self.waiting_for = Some(Waiting { number, payload: payload.into(), attempts: 0 });
        self.transmit().await
    }

    async fn transmit(&mut self) -> Result<(), Error> {
        let Some(waiting) = &mut self.waiting_for else { return Ok(()) };
        waiting.attempts += 1;
        let (payload, attempt) = (waiting.payload.clone(), waiting.attempts);
        let now = self.clock.now().0;
        self.requests.sent(waiting.number, self.target, payload.clone(), now);
        let destination = (!self.options.connect).then_some(self.target);
        let sent = self.socket.send(&payload, destination).await;
        let note = match attempt {
            1 => String::new(),
            _ => format!("attempt {attempt} of {}", u64::from(self.options.retries) + 1),
        };
        self.datagram(now, "->", self.target, &payload, &note)?;
        match sent {
            Ok(_) => Ok(()),
            Err(error) => self.handle_failure(self.send_call(), &error),
        }
    }

    fn handle_datagram(
        &mut self,
        source: SocketAddr,
        payload: &[u8],
        size: usize,
        now: Duration,
    ) -> Result<(), Error> {
        let mut note = if source == self.target {
            self.handle_reply(payload, now)
        } else {
            "not from the target, ignored".to_owned()
        };
        let kept = payload.len();
        if size > kept {
            note = format!("{note}; cut: the buffer is {kept}, the rest of {size} is gone");
        }
        self.datagram(now, "<-", source, payload, &note)
    }

    fn handle_reply(&mut self, payload: &[u8], now: Duration) -> String {
        if self.options.request_ids
            && let Err(ignored) = self.identify(payload)
        {
            return ignored;
        }
        match self.requests.handle_reply(self.target, payload, now) {
            Answer::Reply(reply) => {
                if reply.late.is_none() {
                    self.settle(reply.number, true);
                }
                self.describe(&reply)
            }
            Answer::Again(reply) => {
                format!("again: message {} has had its reply", reply.number + 1)
            }
            Answer::Unasked => "nobody asked for it".to_owned(),
        }
    }

    /// Whether a reply carries the ID that is waited for; if not, what it is.
    fn identify(&self, payload: &[u8]) -> Result<(), String> {
        let Some(id) = reply_id(payload) else {
            return Err("carries no REP <id>, ignored".to_owned());
        };
        let waiting = self.waiting_for.as_ref().map(|waiting| self.id_of(waiting.number));
        if waiting == Some(id) {
            return Ok(());
        }
        let settled = self.settled.iter().find(|settled| self.id_of(settled.number) == id);
        let what = match settled {
            Some(Settled { answered: true, .. }) => {
                format!("again: request {id} has had its reply")
            }
            Some(Settled { answered: false, .. }) => format!("late: request {id} is given up"),
            None => format!("request {id} is not one of this client's"),
        };
        Err(match waiting {
            Some(waiting) => format!("{what}; ignored, waiting for {waiting}"),
            None => format!("{what}; ignored"),
        })
    }

    fn describe(&self, reply: &Match) -> String {
        let message = reply.number + 1;
        if let Some(late) = reply.late {
            return format!("late: {} after message {message} was given up", Millis(late));
        }
        let how = match reply.how {
            _ if self.options.request_ids => "by its request id",
            Matched::ByContent => "by content",
            Matched::ByOrder => "by order",
        };
        let round_trip = Millis(reply.round_trip);
        match reply.attempts {
            1 => format!("reply to message {message} {how}, round trip {round_trip}"),
            attempts => format!(
                "reply to message {message} {how}, {round_trip} after attempt {attempts}, which \
                 need not be the one it answers"
            ),
        }
    }

    async fn handle_timeout(&mut self, now: Duration) -> Result<(), Error> {
        while let Some(expiry) = self.requests.handle_timeout(now) {
            match expiry {
                Expiry::Retry { .. } => self.transmit().await?,
                Expiry::GaveUp { number, waited } => {
                    let attempts = self.waiting_for.as_ref().map_or(1, |waiting| waiting.attempts);
                    let noun = if attempts == 1 { "attempt" } else { "attempts" };
                    let text = format!(
                        "message {} given up: {attempts} {noun}, {} waited",
                        number + 1,
                        Millis(waited)
                    );
                    self.line(now, "!", &text)?;
                    writeln!(self.out, "No reply received in time")?;
                    self.settle(number, false);
                }
            }
        }
        Ok(())
    }

    /// The system's error on a call. An ICMP error tells that one datagram did not get through: the
    /// attempts that are left may still.
    fn handle_failure(&mut self, call: &str, error: &io::Error) -> Result<(), Error> {
        use io::ErrorKind::{
            ConnectionRefused, ConnectionReset, HostUnreachable, NetworkUnreachable,
        };

        let now = self.clock.now().0;
        let name = socket_error(error);
        let brought_back =
            [ConnectionRefused, ConnectionReset, HostUnreachable, NetworkUnreachable]
                .contains(&error.kind());
        let meaning = match error.kind() {
            ConnectionRefused | ConnectionReset => {
                format!(" (an ICMP message came back: nothing listens on {})", self.target)
            }
            _ => String::new(),
        };
        self.line(now, "!", &format!("{call} reported {name}{meaning}"))?;
        let Some(waiting) = &self.waiting_for else { return Ok(()) };
        if !brought_back || waiting.attempts > self.options.retries {
            let number = waiting.number;
            self.requests.failed(number);
            self.settle(number, false);
        }
        Ok(())
    }

    fn settle(&mut self, number: u32, answered: bool) {
        if self.waiting_for.as_ref().is_none_or(|waiting| waiting.number != number) {
            return;
        }
        self.waiting_for = None;
        self.outcome.answered += u64::from(answered);
        if self.settled.len() == SETTLED {
            self.settled.pop_front();
        }
        self.settled.push_back(Settled { number, answered });
    }

    fn send_call(&self) -> &'static str {
        if self.options.connect { "send" } else { "sendto" }
    }

    fn receive_call(&self) -> &'static str {
        if self.options.connect { "recv" } else { "recvfrom" }
    }

    fn id_of(&self, number: u32) -> u32 {
        self.first_id.wrapping_add(number)
    }

    fn datagram(
        &mut self,
        at: Duration,
        direction: &str,
        peer: SocketAddr,
        payload: &[u8],
        note: &str,
    ) -> Result<(), Error> {
        let noun = if payload.len() == 1 { "byte" } else { "bytes" };
        let note = if note.is_empty() { String::new() } else { format!("  ({note})") };
        let text = format!("{peer}  {} {noun}  {}{note}", payload.len(), visible(payload));
        self.line(at, direction, &text)
    }

    fn line(&mut self, at: Duration, mark: &str, text: &str) -> Result<(), Error> {
        writeln!(self.out, "{:>12}  {mark:<2}  {text}", Millis(at).to_string())?;
        Ok(())
    }
}

/// A time as this program prints all times.
struct Millis(Duration);

impl std::fmt::Display for Millis {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:.3} ms", self.0.as_secs_f64() * 1_000.0)
    }
}

async fn resolve(host: &str, port: u16) -> Result<SocketAddr, Error> {
    let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    if let Ok(address) = bare.parse::<IpAddr>() {
        return Ok((address, port).into());
    }
    let found = tokio::net::lookup_host((bare, port)).await;
    let found = found.map_err(|source| Error::Resolve { host: bare.to_owned(), source })?;
    // `localhost` often comes as ::1 first, where a lesson's server does not listen.
    found.min_by_key(SocketAddr::is_ipv6).ok_or_else(|| Error::NoAddress(bare.to_owned()))
}

fn open(options: &Options, target: SocketAddr) -> Result<Udp, Error> {
    let any: IpAddr =
        if target.is_ipv4() { [0; 4].into() } else { std::net::Ipv6Addr::UNSPECIFIED.into() };
    let local = SocketAddr::new(any, options.local_port);
    let socket = Udp::bound(local)
        .map_err(|error| failed(&format!("bind to port {}", local.port()), &error))?;
    if options.connect {
        socket.connect(target).map_err(|error| failed(&format!("connect to {target}"), &error))?;
    }
    Ok(socket)
}

fn failed(call: &str, error: &io::Error) -> Error {
    Error::Socket { call: call.to_owned(), error: socket_error(error) }
}

/// A start that a server will hardly have seen from this address before.
fn first_id() -> u32 {
    let random = RandomState::new().hash_one(std::process::id());
    u32::try_from(random >> 33).unwrap_or_default()
}

/// The ID of `REP <id> …`.
fn reply_id(payload: &[u8]) -> Option<u32> {
    let text = str::from_utf8(payload).ok()?;
    text.strip_prefix("REP ")?.split_ascii_whitespace().next()?.parse().ok()
}

fn seconds(text: &str) -> Result<Duration, String> {
    /// A day; no one waits for longer.
    const MOST: f64 = 86_400.0;
    let seconds: f64 = text.parse().map_err(|_| format!("{text} is no number of seconds"))?;
    if !(0.0..=MOST).contains(&seconds) {
        return Err(format!("{text} seconds, limit {MOST}"));
    }
    Ok(Duration::from_secs_f64(seconds))
}

#[cfg(test)]
mod tests;

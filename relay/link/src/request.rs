//! Which requests still wait, which waited too long, and which reply answers which. It never sends,
//! never reads a clock, and never claims more than UDP tells.
//!
//! UDP says nothing of which datagram a datagram answers; only the program's own protocol can. This
//! module guesses as well as can be done without one, and says [how](Matched). For a reply from the
//! address that requests were sent to (any other address never matches):
//!
//! 1. By content: the reply ends with the whole payload of a request (`ack:` and the payload, say).
//!    The longest such payload counts; among requests with that same payload the oldest still
//!    waiting, else the one given up last, else the one answered last ([`Answer::Again`]). While
//!    another request waits, a payload shorter than [`DISTINCT_BYTES`] that is no longer waited for
//!    counts only if this address has put the same bytes before other payloads too, for else one
//!    letter would pass as an echo by chance.
//! 2. By order: the oldest request still waiting.
//! 3. By order: the request given up last, late.
//! 4. Otherwise nobody asked for it.
//!
//! "Waiting" is judged at the moment the reply arrived, not at the moment it was handed in: a
//! program that was slow to look gets the same answer as one that was quick.

mod due;
mod ending;
mod peer;

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;

use due::{Age, Ages, Due};
use ending::{Ending, hash};
use peer::{Echo, Peer, Shelf};

/// Most requests kept at once: waiting, given up and answered. Beyond it the oldest answered one goes,
/// and if there is none the oldest of all; see [`Requests::forgotten`].
pub const REMEMBERED: usize = 131_072;

/// Most payload bytes kept at once for retries and for matching by content; beyond it as above.
pub const REMEMBERED_BYTES: usize = 64 * 1024 * 1024;

/// Times of attempts kept for one request; of more, the latest.
pub const ATTEMPTS_REMEMBERED: usize = 16;

/// Shortest wait of an attempt; a shorter timeout counts as this.
pub const MIN_TIMEOUT: Duration = Duration::from_millis(1);

/// Longest wait of an attempt; a longer timeout, or one grown by back-off, counts as this.
pub const MAX_TIMEOUT: Duration = Duration::from_secs(24 * 60 * 60);

/// Payload bytes from which a reply that ends with them does so hardly by chance.
pub const DISTINCT_BYTES: usize = 8;

/// How long a request waits, and what it does then. A request keeps the policy it was sent under.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// How long the first attempt waits, from [`MIN_TIMEOUT`] to [`MAX_TIMEOUT`]; none waits
    /// without end.
    pub timeout: Option<Duration>,
    /// How many more attempts follow the first.
    pub retries: u32,
    /// Attempt k (from 0) waits `timeout` · `backoff`ᵏ, at most [`MAX_TIMEOUT`]. 0 counts as 1.
    pub backoff: u32,
}

impl Policy {
    /// One attempt that waits so long.
    pub const fn once(timeout: Option<Duration>) -> Self {
        Self { timeout, retries: 0, backoff: 1 }
    }

    /// How long attempt `attempt` (from 0) waits.
    pub fn wait(&self, attempt: u32) -> Option<Duration> {
        let factor = self.backoff.max(1).saturating_pow(attempt);
        let wait = self.timeout?.saturating_mul(factor);
        Some(wait.clamp(MIN_TIMEOUT, MAX_TIMEOUT))
    }
}

/// The requests of one socket. All times are since one fixed origin of the caller's choice.
///
/// A number, given by the caller, names one request for as long as it is remembered.
#[derive(Debug)]
pub struct Requests {
    policy: Policy,
    by_age: HashMap<Age, Request>,
    next: Age,
    by_number: HashMap<u32, Age>,
    peers: HashMap<SocketAddr, Peer>,
    /// Waiting, by the end of the current attempt; another attempt follows.
    retries: Due,
    /// Waiting, by the end of the last attempt.
    ends: Due,
    /// Given up, not yet told.
    untold: Due,
    open: Ages,
    answered: Ages,
    waiting: usize,
    payload_bytes: usize,
    forgotten: u64,
}

/// What is due.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum Expiry {
    /// To be sent again now; [`Requests::sent`] or [`Requests::failed`] says how that went.
    Retry {
        /// The request.
        number: u32,
        /// Which attempt this will be; the first send was 0.
        attempt: u32,
        /// Where to.
        to: SocketAddr,
        /// The same bytes as before.
        payload: Bytes,
    },
    /// No reply within the time of the last attempt. A late one may still come.
    GaveUp {
        /// The request.
        number: u32,
        /// From its first attempt until `now`.
        waited: Duration,
    },
}

/// What a received datagram is taken for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Answer {
    /// The reply to a request; given once for each number.
    Reply(Match),
    /// A further reply to a request that has had one.
    Again(Match),
    /// Nobody asked this address, or every request to it has had its reply.
    Unasked,
}

/// A request and its reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Match {
    /// The request.
    pub number: u32,
    /// Attempts made. With more than one the round trip is ambiguous: the reply may be to any of
    /// them, which is why TCP takes no such sample (Karn's algorithm, RFC 6298 §3).
    pub attempts: u32,
    /// From the latest attempt made before the reply arrived.
    pub round_trip: Duration,
    /// How the reply was matched.
    pub how: Matched,
    /// How long after the end of the last attempt it arrived; none when in time, which it is as
    /// well if the request was given up before this reply, arrived in time, was handed in.
    pub late: Option<Duration>,
}

/// How a reply was matched. Neither is certain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Matched {
    /// It ends with the request's payload.
    ByContent,
    /// It came from the address asked, and this request's turn it was.
    ByOrder,
}

impl Requests {
    /// No requests yet.
    #[must_use]
    pub fn new(policy: Policy) -> Self {
        Self {
            policy,
            by_age: HashMap::new(),
            next: 0,
            by_number: HashMap::new(),
            peers: HashMap::new(),
            retries: Due::default(),
            ends: Due::default(),
            untold: Due::default(),
            open: Ages::default(),
            answered: Ages::default(),
            waiting: 0,
            payload_bytes: 0,
            forgotten: 0,
        }
    }

    /// The policy of requests not yet sent.
    pub fn policy(&self) -> Policy {
        self.policy
    }

    /// Sets the policy of requests not yet sent.
    pub fn set_policy(&mut self, policy: Policy) {
        self.policy = policy;
    }

    /// One attempt was made at `now`. The first with a number begins a request; a further one, after
    /// [`Expiry::Retry`] or of the caller's own accord, starts its wait anew unless it is over, and
    /// its `to` and `payload` are those of the first.
    pub fn sent(&mut self, number: u32, to: SocketAddr, payload: Bytes, now: Duration) {
        if let Some(&age) = self.by_number.get(&number) {
            self.change(age, |request| request.attempt(now));
            return;
        }
        self.payload_bytes += payload.len();
        while self.by_age.len() >= REMEMBERED || self.payload_bytes > REMEMBERED_BYTES {
            let Some(oldest) = self.answered.first().or_else(|| self.open.first()) else {
                break;
            };
            if self.remove(oldest).is_some_and(|request| request.state != State::Answered) {
                self.forgotten += 1;
            }
        }
        let age = self.next;
        self.next += 1;
        let mut request = Request {
            number,
            to,
            hash: hash(&payload),
            payload,
            policy: self.policy,
            expired: 0,
            first: now,
            latest: now,
            earlier: VecDeque::new(),
            attempts: 1,
            deadline: None,
            state: State::Waiting,
        };
        request.deadline = request.end(now);
        self.by_number.insert(number, age);
        self.insert(age, request);
    }

    /// The latest attempt with this number was in truth made at `at`: the relay's report, say, came
    /// after the caller's own estimate. Its wait moves along, unless it is over.
    pub fn stamp(&mut self, number: u32, at: Duration) {
        if let Some(&age) = self.by_number.get(&number) {
            self.change(age, |request| request.stamp(at));
        }
    }

    /// A datagram arrived from `from` at `at`.
    ///
    /// Work: one pass over the reply, no further than the longest payload sent to `from`, and one
    /// look-up for each distinct length of such payloads.
    pub fn handle_reply(&mut self, from: SocketAddr, payload: &[u8], at: Duration) -> Answer {
        self.give_up(at);
        let Some((age, how)) = self.choose(from, payload, at) else {
            return Answer::Unasked;
        };
        let request = &self.by_age[&age];
        let found = Match {
            number: request.number,
            attempts: request.attempts,
            round_trip: request.round_trip(at),
            how,
            late: request.late(at),
        };
        if how == Matched::ByContent {
            let echo = Echo::of(payload, request);
            if let Some(peer) = self.peers.get_mut(&from) {
                peer.echo = Some(peer.echo.map_or(echo, |known| known.with(echo)));
            }
        }
        if request.state == State::Answered {
            return Answer::Again(found);
        }
        self.change(age, |request| request.state = State::Answered);
        Answer::Reply(found)
    }

    /// When [`handle_timeout`](Self::handle_timeout) is next due; none while nothing waits with an
    /// end.
    pub fn poll_timeout(&self) -> Option<Duration> {
        let due = [&self.untold, &self.ends, &self.retries];
        due.iter().filter_map(|set| set.first()).map(|&(at, _)| at).min()
    }

    /// What is due at `now`, one at a time, the longest overdue first; to be called until none.
    pub fn handle_timeout(&mut self, now: Duration) -> Option<Expiry> {
        self.give_up(now);
        let retry = self.retries.first().copied().filter(|&(at, _)| at <= now);
        let end = self.untold.first().copied().filter(|&(at, _)| at <= now);
        match (retry, end) {
            (None, None) => None,
            (Some(retry), end) if end.is_none_or(|end| retry < end) => {
                let (_, age) = retry;
                self.change(age, |request| {
                    request.expired += 1;
                    request.deadline = request.end(now);
                });
                let request = &self.by_age[&age];
                Some(Expiry::Retry {
                    number: request.number,
                    attempt: request.expired,
                    to: request.to,
                    payload: request.payload.clone(),
                })
            }
            (_, end) => {
                let (_, age) = end?;
                self.change(age, |request| request.state = State::GivenUp { told: true });
                let request = &self.by_age[&age];
                Some(Expiry::GaveUp {
                    number: request.number,
                    waited: now.saturating_sub(request.first),
                })
            }
        }
    }

    /// The send itself failed: nothing is awaited, and the request is removed unless answered.
    pub fn failed(&mut self, number: u32) {
        let Some(&age) = self.by_number.get(&number) else { return };
        if self.by_age[&age].state != State::Answered {
            self.remove(age);
        }
    }

    /// The socket is gone, and with it every reply: all is forgotten. The numbers that were still
    /// waiting, the oldest first.
    pub fn abandon(&mut self) -> Vec<u32> {
        let open = self.open.iter().filter_map(|age| self.by_age.get(&age));
        let waiting = open.filter(|request| request.state.is_waited_for());
        let numbers = waiting.map(|request| request.number).collect();
        let next = self.next;
        let forgotten = self.forgotten;
        *self = Self { next, forgotten, ..Self::new(self.policy) };
        numbers
    }

    /// Requests neither answered nor reported as given up.
    pub fn waiting(&self) -> usize {
        self.waiting
    }

    /// Whether this request is neither answered nor reported as given up.
    pub fn is_waiting(&self, number: u32) -> bool {
        self.request(number).is_some_and(|request| request.state.is_waited_for())
    }

    /// When the current attempt of a waiting request ends; none if it has no end or does not wait.
    pub fn deadline(&self, number: u32) -> Option<Duration> {
        self.request(number).filter(|request| request.state.is_waited_for())?.deadline
    }

    /// Requests forgotten, waiting or given up, to stay within [`REMEMBERED`] and
    /// [`REMEMBERED_BYTES`]. Their replies are matched to others or to none.
    pub fn forgotten(&self) -> u64 {
        self.forgotten
    }

    fn request(&self, number: u32) -> Option<&Request> {
        self.by_age.get(self.by_number.get(&number)?)
    }

    fn choose(&self, from: SocketAddr, reply: &[u8], at: Duration) -> Option<(Age, Matched)> {
        let peer = self.peers.get(&from)?;
        let in_turn = peer.all.waiting_at(at);
        if let Some((shelf, sample)) = self.same_content(peer, reply) {
            if let Some(age) = shelf.waiting_at(at) {
                return Some((age, Matched::ByContent));
            }
            let request = &self.by_age[&sample];
            let echo = Echo::of(reply, request);
            let is_sure = request.payload.len() >= DISTINCT_BYTES
                || peer.echo.is_some_and(|known| known.with(echo).confirmed);
            if in_turn.is_none() || is_sure {
                let over = shelf.given_up_last().or(shelf.answered_last());
                return over.map(|age| (age, Matched::ByContent));
            }
        }
        in_turn.or(peer.all.given_up_last()).map(|age| (age, Matched::ByOrder))
    }

    /// The requests whose payload is the longest that `reply` ends with, and one of them.
    fn same_content<'a>(&self, peer: &'a Peer, reply: &[u8]) -> Option<(&'a Shelf, Age)> {
        let mut ending = Ending::default();
        let mut longest = None;
        for &(length, _) in &peer.lengths {
            if length > reply.len() {
                break;
            }
            let known = ending.length;
            ending.extend(&reply[reply.len() - length..reply.len() - known]);
            longest = peer.by_content.get(&(length, ending.hash)).or(longest);
        }
        let longest = longest?;
        let sample = longest.any()?;
        // Otherwise two payloads share a hash, and the guess falls back to the order.
        reply.ends_with(&self.by_age[&sample].payload).then_some((longest, sample))
    }

    /// Those whose last attempt is over at `now` wait no longer, told or not.
    fn give_up(&mut self, now: Duration) {
        while let Some(&(at, age)) = self.ends.first() {
            if at > now {
                break;
            }
            self.change(age, |request| request.state = State::GivenUp { told: false });
        }
    }

    fn change(&mut self, age: Age, change: impl FnOnce(&mut Request)) {
        let Some(mut request) = self.take(age) else { return };
        change(&mut request);
        self.insert(age, request);
    }

    fn remove(&mut self, age: Age) -> Option<Request> {
        let request = self.take(age)?;
        self.by_number.remove(&request.number);
        self.payload_bytes -= request.payload.len();
        if self.peers.get(&request.to).is_some_and(|peer| peer.all.is_empty()) {
            self.peers.remove(&request.to);
        }
        Some(request)
    }

    fn insert(&mut self, age: Age, request: Request) {
        let peer = self.peers.entry(request.to).or_default();
        peer.all.insert(age, &request);
        if let Some(key) = request.content() {
            peer.count_length(key.0);
            peer.by_content.entry(key).or_default().insert(age, &request);
        }
        if let Some(timer) = self.timer(&request) {
            timer.insert((request.deadline.unwrap_or_default(), age));
        }
        self.waiting += usize::from(request.state.is_waited_for());
        if request.state == State::Answered {
            self.answered.insert(age);
        } else {
            self.open.insert(age);
        }
        self.by_age.insert(age, request);
    }

    fn take(&mut self, age: Age) -> Option<Request> {
        let request = self.by_age.remove(&age)?;
        if let Some(peer) = self.peers.get_mut(&request.to) {
            peer.take(age, &request);
        }
        if let Some(timer) = self.timer(&request) {
            timer.remove(&(request.deadline.unwrap_or_default(), age));
        }
        self.waiting -= usize::from(request.state.is_waited_for());
        if request.state == State::Answered {
            self.answered.remove(age);
        } else {
            self.open.remove(age);
        }
        Some(request)
    }

    fn timer(&mut self, request: &Request) -> Option<&mut Due> {
        request.deadline?;
        match request.state {
            State::Waiting if request.has_retries() => Some(&mut self.retries),
            State::Waiting => Some(&mut self.ends),
            State::GivenUp { told: false } => Some(&mut self.untold),
            State::GivenUp { told: true } | State::Answered => None,
        }
    }
}

#[derive(Debug)]
struct Request {
    number: u32,
    to: SocketAddr,
    payload: Bytes,
    hash: u64,
    policy: Policy,
    /// Attempts whose time is over and that another one followed.
    expired: u32,
    first: Duration,
    latest: Duration,
    earlier: VecDeque<Duration>,
    attempts: u32,
    /// The end of the current attempt; once over, of the last.
    deadline: Option<Duration>,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Waiting,
    GivenUp { told: bool },
    Answered,
}

impl State {
    /// As the caller has been told.
    fn is_waited_for(self) -> bool {
        matches!(self, Self::Waiting | Self::GivenUp { told: false })
    }
}

impl Request {
    fn attempt(&mut self, now: Duration) {
        if self.earlier.len() + 1 == ATTEMPTS_REMEMBERED {
            self.earlier.pop_front();
        }
        self.earlier.push_back(self.latest);
        self.attempts = self.attempts.saturating_add(1);
        self.begin(now);
    }

    fn stamp(&mut self, at: Duration) {
        if self.attempts == 1 {
            self.first = at;
        }
        self.begin(at);
    }

    fn begin(&mut self, at: Duration) {
        self.latest = at;
        self.deadline = self.end(at);
        if self.state.is_waited_for() {
            self.state = State::Waiting;
        }
    }

    fn end(&self, begin: Duration) -> Option<Duration> {
        Some(begin.saturating_add(self.policy.wait(self.expired)?))
    }

    fn has_retries(&self) -> bool {
        self.expired < self.policy.retries
    }

    fn round_trip(&self, at: Duration) -> Duration {
        let attempts = self.earlier.iter().chain([&self.latest]).rev();
        attempts.copied().find_map(|sent| at.checked_sub(sent)).unwrap_or_default()
    }

    fn late(&self, at: Duration) -> Option<Duration> {
        if self.has_retries() { None } else { at.checked_sub(self.deadline?) }
    }

    fn content(&self) -> Option<(usize, u64)> {
        (!self.payload.is_empty()).then_some((self.payload.len(), self.hash))
    }
}

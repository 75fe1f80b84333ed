//! What became of each send: reports, replies, timeouts and late replies. Matching is `link`'s; here
//! its verdicts become rows, counts and the outcome.

use std::collections::VecDeque;
use std::time::Duration;

use link::request::{Expiry, Match, Policy, Requests};
use wire::{RelayTime, SocketError};

use super::log::{Fate, How, ROWS, RowKind};
use super::model::Model;
use super::runs::Reply;
use super::{outcome, text};

/// How long an unread message may hold back the verdict that no reply came.
const UNREAD_PATIENCE: Duration = Duration::from_secs(1);
/// Verdicts in one go before the page is given back.
const VERDICTS: u32 = 250;

/// What a send counts as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Counted {
    /// A reply may come.
    Waiting,
    /// A reply came in time.
    Reply,
    /// None came in time.
    NoReply,
    /// One came too late.
    Late,
    /// The call failed.
    Error,
    /// It cannot be known.
    Unknown,
    /// No reply is waited for.
    Answer,
}

/// How many sends count as what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    /// Sends made.
    pub sent: u64,
    /// In time.
    pub replies: u64,
    /// None in time.
    pub no_reply: u64,
    /// Too late.
    pub late: u64,
    /// Failed calls.
    pub errors: u64,
    /// Cannot be known.
    pub unknown: u64,
    /// Still waiting.
    pub waiting: u64,
}

impl Tally {
    fn place(&mut self, counted: Counted) -> Option<&mut u64> {
        match counted {
            Counted::Waiting => Some(&mut self.waiting),
            Counted::Reply => Some(&mut self.replies),
            Counted::NoReply => Some(&mut self.no_reply),
            Counted::Late => Some(&mut self.late),
            Counted::Error => Some(&mut self.errors),
            Counted::Unknown => Some(&mut self.unknown),
            Counted::Answer => None,
        }
    }

    fn add(&mut self, counted: Counted) {
        self.sent += 1;
        if let Some(place) = self.place(counted) {
            *place += 1;
        }
    }

    fn change(&mut self, from: Counted, to: Counted) {
        if let Some(place) = self.place(from) {
            *place = place.saturating_sub(1);
        }
        if let Some(place) = self.place(to) {
            *place += 1;
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Send {
    number: u32,
    row: u64,
    run: Option<u32>,
    counted: Counted,
    timeout: Option<Duration>,
}

/// The sends of this page, as long as the log remembers them.
#[derive(Debug)]
pub(super) struct Sends {
    /// The last number given.
    pub next: u32,
    /// Timeouts and matching.
    pub requests: Requests,
    /// In the order of their numbers and rows.
    ledger: VecDeque<Send>,
    /// Over all rows since the log was cleared.
    pub tally: Tally,
    /// TCP: sends that nothing has come after on the stream.
    on_stream: VecDeque<u32>,
    /// TCP: the send that was given up last.
    given_up: Option<u32>,
    /// No send before this number waits.
    waiting_from: u32,
}

impl Default for Sends {
    fn default() -> Self {
        Self {
            next: 0,
            requests: Requests::new(Policy::once(None)),
            ledger: VecDeque::new(),
            tally: Tally::default(),
            on_stream: VecDeque::new(),
            given_up: None,
            waiting_from: 0,
        }
    }
}

impl Sends {
    /// Counts anew.
    pub(super) fn reset_counts(&mut self) {
        self.tally = Tally::default();
    }

    fn find(&mut self, number: u32) -> Option<&mut Send> {
        let place = self.ledger.binary_search_by_key(&number, |send| send.number).ok()?;
        self.ledger.get_mut(place)
    }

    fn oldest_waiting(&mut self) -> Option<u32> {
        let from = self.ledger.partition_point(|send| send.number < self.waiting_from);
        let waiting = self.ledger.range(from..).find(|send| send.counted == Counted::Waiting)?;
        self.waiting_from = waiting.number;
        Some(waiting.number)
    }
}

fn counted(fate: &Fate) -> Counted {
    match fate {
        Fate::Waiting => Counted::Waiting,
        Fate::Reply { .. } => Counted::Reply,
        Fate::NoReply(_) => Counted::NoReply,
        Fate::Late { .. } => Counted::Late,
        Fate::Failed(_) | Fate::Instead(_) => Counted::Error,
        Fate::Unknown(_) => Counted::Unknown,
        _ => Counted::Answer,
    }
}

impl Model {
    pub(super) fn note_sent(&mut self, number: u32, row: u64, run: Option<u32>, counted: Counted) {
        if self.sends.ledger.len() == ROWS {
            self.sends.ledger.pop_front();
        }
        let timeout = self.sends.requests.policy().wait(0);
        self.sends.ledger.push_back(Send { number, row, run, counted, timeout });
        self.sends.tally.add(counted);
        if let Some(run) = self.run.as_mut().filter(|it| Some(it.id) == run) {
            run.tally.add(counted);
            if run.expects_reply() && run.settings.kind.is_stream() {
                self.sends.on_stream.push_back(number);
            }
            run.fate = if counted == Counted::Waiting { Fate::Waiting } else { Fate::Answer };
            run.reply = None;
        }
    }

    /// The relay reports what a send returned.
    pub(super) fn reported(&mut self, number: u32, at: RelayTime, is_own: bool) {
        self.sends.requests.stamp(number, at.0);
        let local = self.socket.as_ref().and_then(|it| it.local).filter(|_| is_own);
        let Some(row) = self.sends.find(number).map(|send| send.row) else { return };
        let clock = self.session.clock.as_mut();
        self.log.change(row, |row| {
            row.relay_at = Some(at);
            row.at = clock.map_or(row.at, |clock| clock.log_sent(at, row.at));
            row.from = row.from.or(local);
        });
        if let Some(at) = self.log.row(row).map(|row| row.at) {
            self.log.happened(row, at);
        }
    }

    /// The socket's own address has become known: the rows of what it sent and received say it. Those
    /// of an earlier socket have theirs.
    pub(super) fn named(&mut self, local: std::net::SocketAddr) {
        for number in (self.log.first()..=self.log.last()).rev() {
            let Some(row) = self.log.row(number) else { return };
            let own = match row.kind() {
                RowKind::Sent => row.from,
                RowKind::Received => row.to,
                RowKind::Error | RowKind::Note => continue,
            };
            if own.is_some() {
                return;
            }
            self.log.change(number, |row| match row.kind() {
                RowKind::Sent => row.from = Some(local),
                _ => row.to = Some(local),
            });
        }
    }

    /// Something became of a send.
    pub(super) fn settle(&mut self, number: u32, fate: Fate, reply: Option<Reply>) {
        let now_counts = counted(&fate);
        let Some(send) = self.sends.find(number) else { return };
        let (row, run, before) = (send.row, send.run, send.counted);
        send.counted = now_counts;
        if row >= self.counted_from {
            self.sends.tally.change(before, now_counts);
        }
        if let Some(run) = self.run.as_mut().filter(|it| Some(it.id) == run) {
            run.tally.change(before, now_counts);
            run.fate = fate.clone();
            run.reply = reply;
            let is_over = !run.is_active && run.tally.waiting == 0;
            if run.settings.times == 1 || is_over {
                self.announcement = announcement(run);
            }
        }
        self.log.change(row, |row| row.fate = fate);
    }

    /// A send failed.
    pub(super) fn send_failed(&mut self, number: u32, at: RelayTime, error: SocketError) {
        self.sends.requests.failed(number);
        self.sends.on_stream.retain(|waiting| *waiting != number);
        self.reported(number, at, true);
        let is_refusal = error.origin == wire::Origin::Relay && error.name == "NOT_PERMITTED";
        if is_refusal && !self.form.kind.is_server() {
            self.refused = Some((self.form.target_field(), outcome::beside_field(&error)));
        }
        self.settle(number, Fate::Failed(Box::new(error)), None);
    }

    /// A connected socket reported an error where a reply was waited for: the program's `recv`
    /// raises it. Tells whether a send was waiting.
    pub(super) fn answered_by_error(&mut self, error: &SocketError) -> bool {
        let Some(number) = self.sends.oldest_waiting() else { return false };
        self.sends.requests.failed(number);
        self.settle(number, Fate::Instead(Box::new(error.clone())), None);
        true
    }

    /// A reply was matched by its content or by its turn; the fate of its own row comes back.
    pub(super) fn replied(&mut self, found: Match, row: u64, reply: Reply) -> Fate {
        let how = How::from(found.how);
        let after = found.round_trip;
        let fate = match found.late {
            None => Fate::Reply { row, after, how },
            Some(over) => Fate::Late { row, after, over, how },
        };
        let sent_row = self.sends.find(found.number).map_or(0, |send| send.row);
        self.settle(found.number, fate, Some(reply));
        Fate::ReplyTo { row: sent_row, after, over: found.late, how }
    }

    /// The row of a send.
    pub(super) fn row_of(&mut self, number: u32) -> u64 {
        self.sends.find(number).map_or(0, |send| send.row)
    }

    /// Bytes came on the stream at `at`: every send before it has been followed by some.
    pub(super) fn streamed(&mut self, at: RelayTime, row: u64, reply: &Reply) -> Fate {
        let how = How::ByStream;
        let mut fate = Fate::Stream;
        let mut waiting = std::mem::take(&mut self.sends.on_stream);
        if waiting.is_empty()
            && let Some(number) = self.sends.given_up.take()
        {
            waiting.push_back(number);
        }
        for number in waiting {
            let timeout = self.sends.find(number).and_then(|send| send.timeout);
            let sent_row = self.row_of(number);
            let sent_at = self.log.row(sent_row).and_then(|row| row.relay_at);
            let after = at.since(sent_at.unwrap_or(at));
            let over = timeout.and_then(|timeout| after.checked_sub(timeout));
            let settled = match over {
                None => Fate::Reply { row, after, how },
                Some(over) => Fate::Late { row, after, over, how },
            };
            self.sends.requests.failed(number);
            self.settle(number, settled, Some(reply.clone()));
            fate = Fate::ReplyTo { row: sent_row, after, over, how };
        }
        fate
    }

    /// Whether something is waited for, and so counted down.
    pub(super) fn is_waiting(&self) -> bool {
        self.sends.requests.waiting() > 0
    }

    /// When to look for timeouts.
    pub(super) fn next_timeout(&self) -> Option<Duration> {
        let at = self.session.clock?.page_time(self.sends.requests.poll_timeout()?);
        Some(if self.unread > 0 { at.max(self.now) } else { at })
    }

    pub(super) fn look_for_timeouts(&mut self) {
        let Some(clock) = self.session.clock else { return };
        let Some(due) = self.sends.requests.poll_timeout() else { return };
        let relay_now = clock.at(self.now);
        if due > relay_now || (self.unread > 0 && due + UNREAD_PATIENCE > relay_now) {
            return;
        }
        for _ in 0..VERDICTS {
            match self.sends.requests.handle_timeout(relay_now) {
                Some(Expiry::GaveUp { number, waited }) => {
                    let timeout = self.sends.find(number).and_then(|send| send.timeout);
                    let timeout = timeout.unwrap_or(waited);
                    if self.sends.on_stream.front() == Some(&number) {
                        self.sends.on_stream.pop_front();
                        self.sends.given_up = Some(number);
                    }
                    self.settle(number, Fate::NoReply(timeout), None);
                }
                Some(Expiry::Retry { .. }) => {}
                None => return,
            }
        }
    }

    /// The socket is gone: nothing that still waits can be answered.
    pub(super) fn give_up_waiting(&mut self, why: &'static str) {
        self.sends.on_stream.clear();
        self.sends.given_up = None;
        for number in self.sends.requests.abandon() {
            self.settle(number, Fate::Unknown(why), None);
        }
    }
}

fn announcement(run: &super::runs::Run) -> String {
    if run.settings.times > 1 {
        let tally = &run.tally;
        return format!(
            "{} sent, {}, {} without reply in time, {} late, {}",
            text::count(tally.sent),
            text::plural(tally.replies, "reply", "replies"),
            text::count(tally.no_reply),
            text::count(tally.late),
            text::plural(tally.errors, "error", "errors")
        );
    }
    match &run.fate {
        Fate::Reply { after, .. } => format!("Reply after {} from {}", text::time(*after), run.to),
        Fate::NoReply(_) => "No reply received in time".to_owned(),
        Fate::Late { after, .. } => format!("Late reply after {}", text::time(*after)),
        Fate::Failed(error) | Fate::Instead(error) => text::harmless(&error.name),
        Fate::Unknown(why) => format!("Unknown: {why}"),
        _ => String::new(),
    }
}

//! Presses of Send: one datagram or many with a gap, paced so that neither the page nor the
//! connection is flooded. Sends that find no room wait; none is lost here.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use link::request::Policy;
use wire::{Call, SocketError, SocketId, ToRelay};

use super::exchange::{Counted, Tally};
use super::form::Settings;
use super::log::{Fate, Made, Row, What};
use super::model::{Answering, Model};
use super::session::Carrier;
use super::{Effect, text};

/// Sends between two frames: some milliseconds of work, and few enough that a server's receive
/// buffer of the usual 208 KiB holds several such bursts.
pub(super) const SLICE: u32 = 64;
/// Bytes on their way to the relay above which sends wait.
pub(super) const BUFFERED_LIMIT: usize = 1024 * 1024;
/// How long to wait before looking again whether the connection has room.
const ROOM_WAIT: Duration = Duration::from_millis(10);
/// How far the pace of a run may fall behind before it is set anew: a hidden page wakes once a
/// second.
const BEHIND_LIMIT: Duration = Duration::from_secs(2);
/// Answers of a server that may wait for room; the oldest go, and are counted.
pub(super) const ANSWERS: usize = 1_024;

/// What the outcome is about.
#[derive(Debug, Default)]
pub(super) enum Headline {
    /// Nothing yet.
    #[default]
    Idle,
    /// There is no relay to ask.
    NoRelay,
    /// Something has to be known before the send.
    Preparing(String),
    /// The last press of Send.
    Run,
    /// A call failed before anything could be sent.
    Failed(&'static str, Box<SocketError>),
    /// A server waits for its first caller.
    Listening,
    /// A server heard somebody.
    Answered(Heard),
}

/// The last that a server heard.
#[derive(Clone, Debug)]
pub(super) struct Heard {
    /// Who.
    pub from: SocketAddr,
    /// What.
    pub payload: Bytes,
    /// Its size as it arrived.
    pub size: u32,
    /// Bytes answered, if it was.
    pub answered: Option<usize>,
}

/// A reply, as the outcome shows it.
#[derive(Clone, Debug)]
pub(super) struct Reply {
    /// Who.
    pub from: SocketAddr,
    /// What the program got.
    pub payload: Bytes,
    /// Its size as it arrived.
    pub size: u32,
}

/// One press of Send.
#[derive(Debug)]
pub(super) struct Run {
    /// Tells it from others.
    pub id: u32,
    /// What was asked for.
    pub settings: Settings,
    /// The socket.
    pub socket: SocketId,
    /// Whom to.
    pub to: SocketAddr,
    /// Sends made.
    pub made: u32,
    /// When the next is due.
    pub next_at: Duration,
    /// Whether there are more to come.
    pub is_active: bool,
    /// The time between sends: the gap asked for, or more if the relay bounds the rate.
    pub pace: Duration,
    /// What became of them.
    pub tally: Tally,
    /// What became of the last that something became of.
    pub fate: Fate,
    /// The reply to it.
    pub reply: Option<Reply>,
    /// When the last was sent, on the page's clock.
    pub sent_at: Duration,
}

impl Run {
    /// Whether a reply is waited for.
    pub(super) fn expects_reply(&self) -> bool {
        !self.settings.kind.is_server()
    }
}

impl Model {
    /// The big button.
    pub(super) fn press_send(&mut self) {
        if self.run.as_ref().is_some_and(|run| run.is_active) {
            self.stop_run();
            return;
        }
        self.refused = None;
        let settings = match self.form.settings(&self.session.servers) {
            Ok(settings) => settings,
            Err(errors) => {
                self.errors.clone_from(&errors);
                self.focus_first(&errors);
                return;
            }
        };
        match self.session.carrier {
            Carrier::Ready => {}
            Carrier::Idle | Carrier::Connecting(_) if !settings.kind.is_server() => {
                self.headline = Headline::Preparing("connecting to the relay first".to_owned());
                self.preparing = Some(settings);
                return;
            }
            _ => {
                self.headline = Headline::NoRelay;
                "There is no relay; nothing was sent.".clone_into(&mut self.announcement);
                return;
            }
        }
        if settings.kind.is_server() {
            if let Some((socket, to)) = self.answers_to() {
                self.run_on(settings, socket, to);
            }
            return;
        }
        self.prepare(settings);
    }

    /// Whom a hand-written answer goes to: the sender of the selected row, else the latest caller.
    pub(super) fn answers_to(&self) -> Option<(SocketId, SocketAddr)> {
        let socket = self.socket.as_ref().filter(|socket| socket.kind.is_server())?;
        let selected = self
            .log
            .selected()
            .and_then(|number| self.log.row(number))
            .filter(|row| matches!(row.fate, Fate::Request))
            .and_then(|row| row.from)
            .and_then(|from| {
                let of = |caller: &&super::sockets::Caller| caller.address == from;
                socket.callers.iter().filter(|caller| !caller.has_ended).find(of)
            });
        let caller = selected.or_else(|| socket.latest())?;
        Some((caller.socket.unwrap_or(socket.id), caller.address))
    }

    pub(super) fn start_run(&mut self, settings: Settings, to: SocketAddr) {
        let Some(socket) = self.socket.as_ref().map(|socket| socket.id) else { return };
        self.sends.requests.set_policy(Policy::once(settings.timeout));
        self.run_on(settings, socket, to);
    }

    fn run_on(&mut self, settings: Settings, socket: SocketId, to: SocketAddr) {
        let id = self.run.as_ref().map_or(1, |run| run.id.wrapping_add(1));
        let permitted = self.session.welcome.as_ref().and_then(|it| it.limits.sends_per_second);
        let pace = permitted
            .map_or(Duration::ZERO, |rate| Duration::from_secs(1) / rate.max(1))
            .max(settings.gap);
        self.run = Some(Run {
            id,
            settings,
            socket,
            to,
            made: 0,
            next_at: self.now,
            is_active: true,
            pace,
            tally: Tally::default(),
            fate: Fate::Settled,
            reply: None,
            sent_at: self.now,
        });
        self.slice = SLICE;
        self.headline = Headline::Run;
        self.announcement.clear();
    }

    /// No more sends of this press.
    pub(super) fn stop_run(&mut self) {
        self.preparing = None;
        if let Some(run) = &mut self.run {
            run.is_active = false;
        }
    }

    fn has_room(&self) -> bool {
        self.session.is_ready() && self.buffered < BUFFERED_LIMIT
    }

    fn is_held_by_a_call(&self) -> bool {
        self.socket.as_ref().is_none_or(|socket| socket.waits_for.is_some())
    }

    /// Makes the sends that are due, as far as there is room.
    pub(super) fn pump(&mut self) {
        while self.has_room()
            && let Some(answer) = self.answers.pop_front()
        {
            let run = None;
            let to = answer.to;
            self.send_one(answer.socket, to, answer.payload, run);
        }
        while self.slice > 0 && self.has_room() && !self.is_held_by_a_call() {
            let Some(run) = self.run.as_mut().filter(|run| run.is_active) else { return };
            if run.next_at > self.now {
                return;
            }
            self.slice -= 1;
            run.made += 1;
            run.is_active = run.made < run.settings.times;
            run.next_at = (run.next_at + run.pace).max(self.now.saturating_sub(BEHIND_LIMIT));
            run.sent_at = self.now;
            let payload = run.settings.message.payload(run.made);
            let (id, socket, to) = (run.id, run.socket, run.to);
            self.send_one(socket, to, payload, Some(id));
        }
    }

    /// When the next send is due, or room is to be looked for.
    pub(super) fn next_pump(&self) -> Option<Duration> {
        if !self.session.is_ready() {
            return None;
        }
        let run = self.run.as_ref().filter(|run| run.is_active && !self.is_held_by_a_call());
        let wants = if self.answers.is_empty() { run?.next_at } else { self.now };
        Some(if self.has_room() { wants } else { wants.max(self.now + ROOM_WAIT) })
    }

    fn send_one(&mut self, socket: SocketId, to: SocketAddr, payload: Bytes, run: Option<u32>) {
        let Some(current) = &self.socket else { return };
        let kind = current.kind;
        let destination = (!kind.is_stream() && !kind.is_connected()).then_some(to);
        let accepted = current.callers.iter().find(|caller| caller.socket == Some(socket));
        let expects = !kind.is_server();
        let from = accepted.map_or(current.local, |caller| caller.local);
        let size = u32::try_from(payload.len()).unwrap_or(u32::MAX);
        let number = self.number();
        let row = self.push(Row {
            from,
            to: Some(to),
            size,
            kept: size,
            payload: Some(payload.clone()),
            fate: if expects { Fate::Waiting } else { Fate::Answer },
            ..Row::bare(
                self.now,
                What::Sent { to: destination.is_some(), stream: kind.is_stream() },
            )
        });
        if expects && let Some(clock) = &self.session.clock {
            self.sends.requests.sent(number.0, to, payload.clone(), clock.at(self.now));
        }
        let counted = if expects { Counted::Waiting } else { Counted::Answer };
        self.note_sent(number.0, row, run, counted);
        self.pulses.out = self.pulses.out.wrapping_add(1);
        if !self.marked_sent {
            self.marked_sent = true;
            self.effects.push(Effect::Mark("first-sent"));
        }
        self.transmit(&ToRelay::Send(wire::Send {
            socket,
            number,
            destination,
            report: true,
            payload,
        }));
        if let Some(socket) = self.socket.as_mut().filter(|socket| !socket.is_named) {
            socket.is_named = true;
            let socket = socket.id;
            self.call(Some(socket), Made::Name, |call| Call::Getsockname { call, socket });
        }
    }

    /// A server's answer, made by the page itself.
    pub(super) fn answer(&mut self, socket: SocketId, to: SocketAddr, payload: Bytes) {
        if self.answers.len() == ANSWERS {
            self.answers.pop_front();
            self.answers_dropped += 1;
        }
        self.answers.push_back(Answering { socket, to, payload });
    }

    /// The words for a progress bar, while several sends are made.
    pub(super) fn progress(&self) -> Option<(u32, u32, String)> {
        let run = self.run.as_ref().filter(|run| run.is_active && run.settings.times > 1)?;
        let mut words = text::count(run.made.into());
        words.push_str(" of ");
        words.push_str(&text::count(run.settings.times.into()));
        words.push_str(" sent");
        if run.pace > run.settings.gap {
            words.push_str(", as fast as the relay permits");
        }
        Some((run.made, run.settings.times, words))
    }
}

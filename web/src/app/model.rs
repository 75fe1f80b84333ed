//! Everything the page knows, and the events that change it. The work is done in the modules that
//! the parts belong to.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use wire::{Call, CallId, Number, ServerAction, SocketId, ToRelay};

use super::code::{self, Language};
use super::consoles::Consoles;
use super::exchange::Sends;
use super::form::{Choice, Errors, Field, Form, Settings, SocketKind};
use super::log::{Log, Made, Row, What};
use super::runs::{Headline, Run, SLICE};
use super::session::{Banner, Carrier, Session};
use super::sockets::Socket;
use super::target::{self, Host};
use super::{Copied, Effect, Event, Start, view};

/// How long a word such as “copied” stands.
const SAID: Duration = Duration::from_secs(3);
/// How often a time that is counted down is shown anew.
const COUNTDOWN: Duration = Duration::from_millis(100);
/// Calls without an answer that are remembered; a relay permits fewer.
const CALLS: usize = 1_024;

/// Counts over all rows since the log was cleared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Totals {
    /// Datagrams, or pieces of a stream, received.
    pub received: u64,
    /// Errors that belong to no send.
    pub errors: u64,
    /// Datagrams that the relay dropped because this page was slow.
    pub dropped: u64,
}

/// What happened on the two legs, to be drawn as pulses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pulses {
    /// Sends.
    pub out: u32,
    /// Receipts.
    pub back: u32,
}

/// A call that waits for its answer.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) socket: Option<SocketId>,
    pub(super) made: Made,
    /// The row that tells of it.
    pub(super) row: Option<u64>,
}

/// An answer of a server that waits for room on the connection.
#[derive(Debug)]
pub(super) struct Answering {
    pub(super) socket: SocketId,
    pub(super) to: std::net::SocketAddr,
    pub(super) payload: Bytes,
}

/// The page.
#[derive(Debug, Default)]
pub struct Model {
    pub(super) now: Duration,
    pub(super) effects: Vec<Effect>,
    pub(super) start: Start,
    pub(super) session: Session,
    pub(super) form: Form,
    /// What is wrong with the fields as they stand.
    pub(super) errors: Errors,
    /// What a target, a port or a socket was refused for.
    pub(super) refused: Option<(Field, String)>,
    pub(super) socket: Option<Socket>,
    pub(super) next_socket: u32,
    next_call: u32,
    /// In the order of their numbers.
    pub(super) calls: VecDeque<(u32, Pending)>,
    pub(super) sends: Sends,
    pub(super) run: Option<Run>,
    pub(super) headline: Headline,
    pub(super) announcement: String,
    /// A send that waits for an address or for the first welcome.
    pub(super) preparing: Option<Settings>,
    pub(super) resolved: Option<(String, u16, std::net::SocketAddr)>,
    pub(super) answers: VecDeque<Answering>,
    pub(super) answers_dropped: u64,
    pub(super) answers_made: u32,
    pub(super) log: Log,
    /// Rows before this one count no more.
    pub(super) counted_from: u64,
    pub(super) totals: Totals,
    pub(super) consoles: Consoles,
    pub(super) tab: String,
    pub(super) language: Language,
    /// The settings that the programs were made of, and the programs.
    pub(super) program: Option<(Settings, String, String)>,
    pub(super) said: Option<(Copied, bool, Duration)>,
    pub(super) pulses: Pulses,
    /// Bytes that wait on the connection, as far as known.
    pub(super) buffered: usize,
    pub(super) unread: usize,
    pub(super) undecoded: u64,
    pub(super) marked_sent: bool,
    pub(super) marked_reply: bool,
    /// Sends that may still be made before the next frame.
    pub(super) slice: u32,
    wake: Option<Duration>,
}

impl Model {
    /// The log, of which only what is in sight need be drawn.
    pub fn log(&self) -> &Log {
        &self.log
    }

    /// The rows of the log in this range of the view.
    pub fn rows(&self, range: std::ops::Range<usize>) -> impl Iterator<Item = super::log::RowView> {
        self.log.rows(range, self.now, self.start.wall)
    }

    /// The consoles, of which only new lines need be drawn.
    pub fn consoles(&self) -> &Consoles {
        &self.consoles
    }

    /// Messages of the relay that could not be read.
    pub fn undecoded(&self) -> u64 {
        self.undecoded
    }

    pub(super) fn handle(&mut self, event: Event) {
        match event {
            Event::Started(start) => self.start(start),
            Event::Disconnected => self.lose(),
            Event::Arrived(message) => self.arrived(message),
            Event::Tick { buffered, unread } => {
                self.buffered = buffered;
                self.unread = unread;
                self.wake = None;
                self.slice = SLICE;
            }
            Event::Overrun(messages) => {
                self.totals.dropped = self.totals.dropped.saturating_add(messages);
                self.tell(format!(
                    "this page was too slow: it let {} of the relay go unread",
                    super::text::plural(messages, "message", "messages")
                ));
            }
            Event::TryNow => self.try_now(),
            Event::DismissBanner => self.session.banner = None,
            Event::Kind(kind) => self.choose_kind(kind),
            Event::Target(choice) => {
                self.form.choose(choice);
                self.refused = None;
                self.follow_target();
            }
            Event::Typed(field, typed) => self.typed(field, typed),
            Event::Committed => self.renew_buffer(),
            Event::Notation(notation) => self.form.compose_mut().switch(notation),
            Event::InsertCounter(at) => self.form.compose_mut().insert_counter(at),
            Event::Answer(mode) => self.form.answer = mode,
            Event::Send => self.press_send(),
            Event::Listen => self.press_listen(),
            Event::Close => {
                self.stop_run();
                self.close_socket("the socket was closed");
            }
            Event::Filter(typed) => self.log.filter_text(&typed),
            Event::FilterKind(kind) => self.log.filter_kind(kind),
            Event::Times(times) => self.log.times = times,
            Event::LogHex(as_hex) => self.log.show_hex(as_hex),
            Event::Pause => self.log.toggle_pause(),
            Event::ClearLog => self.clear_log(),
            Event::CopyLog => {
                let (rows, count) = self.log.tab_separated(self.now, self.start.wall);
                self.effects.push(Effect::Copy(Copied::Rows(count), rows));
            }
            Event::Select(number) => self.log.select(number),
            Event::Step(by) => self.log.step(by),
            Event::Console(server) => self.tab = server,
            Event::PauseServer => self.control(view::pause_action(self)),
            Event::StopServer => self.control(view::stop_action(self)),
            Event::CopyCommand(language) => {
                let (relay, python) = view::commands(self);
                let command = if language == Language::Python { python } else { relay };
                self.effects.push(Effect::Copy(Copied::Command(language), command));
            }
            Event::Language(language) => self.language = language,
            Event::CopyProgram => {
                if let Some((_, python, rust)) = &self.program {
                    let program = match self.language {
                        Language::Python => python.clone(),
                        Language::Rust => rust.clone(),
                    };
                    self.effects.push(Effect::Copy(Copied::Program, program));
                }
            }
            Event::Copied(what, worked) => self.said = Some((what, worked, self.now + SAID)),
        }
    }

    fn start(&mut self, start: Start) {
        self.session = Session::new(start.seed);
        self.form.here = match target::parse_host(&start.host) {
            Ok(host @ Host::Ip(_)) => host,
            Ok(Host::Name(name)) if name == "localhost" => {
                Host::Ip(std::net::Ipv4Addr::LOCALHOST.into())
            }
            _ => Host::Ip(std::net::Ipv4Addr::UNSPECIFIED.into()),
        };
        self.start = start;
        "hello".clone_into(&mut self.tab);
        self.connect();
    }

    fn connect(&mut self) {
        self.session.connecting(self.now);
        self.buffered = 0;
        self.effects.push(Effect::Connect);
    }

    fn try_now(&mut self) {
        if matches!(self.session.carrier, Carrier::Lost(_)) {
            self.connect();
        }
    }

    fn choose_kind(&mut self, kind: SocketKind) {
        if self.form.kind == kind {
            return;
        }
        self.form.kind = kind;
        self.refused = None;
        self.stop_run();
        self.close_socket("another kind of socket was chosen");
        self.headline = Headline::Idle;
        self.follow_target();
    }

    /// Looks at the console of what is sent to.
    fn follow_target(&mut self) {
        if let Choice::Practice(name) = self.form.choice() {
            self.tab.clone_from(name);
        }
    }

    fn typed(&mut self, field: Field, typed: String) {
        let form = &mut self.form;
        let into = match field {
            Field::SocketKind | Field::Target => return,
            Field::Host => &mut form.host,
            Field::Port => &mut form.port,
            Field::ListenPort => &mut form.listen_port,
            Field::Message => {
                let compose = form.compose_mut();
                compose.refused = None;
                &mut compose.typed
            }
            Field::Times => &mut form.times,
            Field::Gap => &mut form.gap,
            Field::Timeout => &mut form.timeout,
            Field::Buffer => &mut form.buffer,
            Field::LocalPort => &mut form.local_port,
        };
        *into = typed;
        let is_of_refused = match field {
            Field::Host | Field::Port => true,
            other => self.refused.as_ref().is_some_and(|(refused, _)| *refused == other),
        };
        if is_of_refused {
            self.refused = None;
        }
    }

    fn clear_log(&mut self) {
        self.log.clear();
        self.totals = Totals::default();
        self.sends.reset_counts();
        self.counted_from = self.log.first();
    }

    fn control(&mut self, action: Option<ServerAction>) {
        let Some(action) = action else { return };
        if self.session.is_ready() && self.session.is_teacher() {
            let server = self.tab.clone();
            let word = match action {
                ServerAction::Start => "start of a practice server",
                ServerAction::Stop => "stop of a practice server",
                ServerAction::Pause => "pause of a practice server",
                ServerAction::Resume => "resume of a practice server",
            };
            self.call(None, Made::Other(word), |call| Call::Server { call, server, action });
        }
    }

    /// Makes a call; its answer will find what `made` it.
    pub(super) fn call(
        &mut self,
        socket: Option<SocketId>,
        made: Made,
        build: impl FnOnce(CallId) -> Call,
    ) -> u32 {
        self.next_call = self.next_call.wrapping_add(1);
        let id = self.next_call;
        if self.calls.len() == CALLS {
            self.calls.pop_front();
        }
        let row = match made {
            Made::Receive(_) | Made::Name | Made::Other(_) => None,
            _ => {
                let sentence = super::sockets::sentence(&made, false);
                Some(self.push(Row::bare(self.now, What::Called(made.clone(), sentence))))
            }
        };
        self.calls.push_back((id, Pending { socket, made, row }));
        self.transmit(&ToRelay::Call(build(CallId(id))));
        id
    }

    /// The call that an answer belongs to.
    pub(super) fn answered(&mut self, call: u32) -> Option<Pending> {
        let place = self.calls.iter().position(|(id, _)| *id == call)?;
        self.calls.remove(place).map(|(_, pending)| pending)
    }

    pub(super) fn transmit(&mut self, message: &ToRelay) {
        let message = message.encode();
        self.buffered += message.len();
        self.effects.push(Effect::Transmit(message));
    }

    pub(super) fn push(&mut self, row: Row) -> u64 {
        self.log.push(row)
    }

    pub(super) fn tell(&mut self, sentence: impl Into<String>) {
        let row = Row::bare(self.now, What::Told(sentence.into()));
        self.push(row);
    }

    /// The connection is gone, and with it all sockets.
    fn lose(&mut self) {
        let had_session = self.session.is_ready();
        self.session.lost(self.now);
        if !had_session {
            if self.session.sessions == 0 && self.session.banner.is_none() {
                self.session.banner = Some(Banner::Lost(
                    "The relay does not answer. Is it running on this address?".to_owned(),
                ));
            }
            self.preparing = None;
            if matches!(self.headline, Headline::Preparing(_)) {
                self.headline = Headline::NoRelay;
            }
            return;
        }
        let reason = self.session.closing.take();
        let sentence = "The relay is gone, and with it this page’s sockets; the system has closed \
                        them. Replies to what was sent cannot arrive any more.";
        self.session.banner = Some(match &reason {
            Some(reason) => Banner::Closing(format!(
                "The relay has ended this session: {}. Its sockets are closed.",
                super::text::harmless(reason).trim_end_matches('.')
            )),
            None => Banner::Lost(sentence.to_owned()),
        });
        self.calls.clear();
        self.answers.clear();
        self.preparing = None;
        self.resolved = None;
        self.stop_run();
        self.give_up_waiting("the relay was lost");
        self.socket = None;
        if matches!(self.headline, Headline::Preparing(_) | Headline::Listening) {
            self.headline = Headline::NoRelay;
        }
        self.tell(match reason {
            Some(reason) => {
                format!("session ended by the relay: {}", super::text::harmless(&reason))
            }
            None => "the relay was lost; all sockets are closed".to_owned(),
        });
    }

    /// What follows from any event: what is due is done, and the next moment of waking is asked for.
    pub(super) fn finish(&mut self) {
        if self.session.due().is_some_and(|at| at <= self.now) {
            if matches!(self.session.carrier, Carrier::Lost(_)) {
                self.connect();
            } else {
                self.effects.push(Effect::Disconnect);
                self.lose();
            }
        }
        if self.said.is_some_and(|(_, _, until)| until <= self.now) {
            self.said = None;
        }
        self.look_for_timeouts();
        self.pump();
        if self.log.is_scanning() {
            self.log.scan();
        }
        self.renew_settings();
        let wake = self.next_wake();
        if wake != self.wake || wake.is_some_and(|at| at <= self.now) {
            self.wake = wake;
            self.effects.push(Effect::WakeAt(wake));
        }
    }

    fn renew_settings(&mut self) {
        match self.form.settings(&self.session.servers) {
            Ok(settings) => {
                self.errors.clear();
                if self.program.as_ref().is_none_or(|(known, _, _)| *known != settings) {
                    let (python, rust) = (code::python(&settings), code::rust(&settings));
                    self.program = Some((settings, python, rust));
                }
            }
            Err(errors) => self.errors = errors,
        }
    }

    fn next_wake(&self) -> Option<Duration> {
        let countdown = matches!(self.session.carrier, Carrier::Lost(_)) || self.is_waiting();
        [
            self.session.due(),
            self.said.map(|(_, _, until)| until),
            self.next_timeout(),
            self.next_pump(),
            countdown.then(|| self.now + COUNTDOWN),
            self.log.is_scanning().then_some(self.now),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    pub(super) fn number(&mut self) -> Number {
        self.sends.next = self.sends.next.wrapping_add(1);
        Number(self.sends.next)
    }
}

//! What the page is to show, as words and states; the shell compares it with what it drew last.

mod console;
mod outcome;
mod path;

use std::net::SocketAddr;
use std::time::Duration;

use wire::{ServerAction, ServerState, ServerStatus, Transport};

use super::code::{self, Language};
use super::compose::Notation;
use super::form::{AnswerMode, Choice, Field, SocketKind};
use super::log::{Detail, Times};
use super::model::{Model, Pulses};
use super::session::{Banner, Carrier};
use super::{Copied, text};
pub(super) use console::{commands, pause_action, stop_action};
use outcome::counts_of;

/// Everything the page shows but rows of the log and lines of a console.
#[derive(Clone, Debug)]
pub struct View {
    /// Connection and banner.
    pub header: Header,
    /// The picture of the path.
    pub path: PathView,
    /// Fields, buttons, errors.
    pub fields: FieldsView,
    /// What became of the last send.
    pub outcome: OutcomeView,
    /// All of the log but its rows.
    pub log: LogView,
    /// All of the console but its lines.
    pub console: ConsoleView,
    /// The settings as a program.
    pub program: ProgramView,
}

/// Connection and banner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// `connecting`, `connected` or `lost`.
    pub state: &'static str,
    /// The same in words.
    pub words: String,
    /// Kind and sentence.
    pub banner: Option<(&'static str, String)>,
    /// When the next try is.
    pub countdown: String,
    /// Whether a try can be made now.
    pub can_retry: bool,
    /// What the relay said of itself.
    pub facts: String,
    /// What a screen reader is told.
    pub announcement: String,
}

/// The picture of the path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathView {
    /// Whether others call this page.
    pub is_server: bool,
    /// Where the relay is.
    pub relay: String,
    /// The open socket in words.
    pub socket: String,
    /// The words on the first leg.
    pub relay_caption: String,
    /// `udp`, `udp-connected` or `tcp`.
    pub transport: &'static str,
    /// `idle`, `open` or `broken`.
    pub state: &'static str,
    /// Above the second leg.
    pub title: &'static str,
    /// Under it.
    pub caption: &'static str,
    /// `running`, `paused`, `stopped`, `port-taken` or `unknown`.
    pub target_state: &'static str,
    /// The name of the other side.
    pub target: String,
    /// Its address.
    pub address: String,
    /// Its state in words, if it is not running.
    pub note: String,
    /// `timeout`, `error`, `late`, `reply` or `waiting`.
    pub mark: Option<&'static str>,
    /// What moved.
    pub pulses: Pulses,
}

/// Fields, buttons, errors.
#[derive(Clone, Debug)]
pub struct FieldsView {
    /// Which socket.
    pub kind: SocketKind,
    /// The word of the target chosen.
    pub target: String,
    /// Practice servers that fit: word and text.
    pub options: Vec<(String, String)>,
    /// Each field that can be typed in, with what it says.
    pub values: [(Field, String); 9],
    /// What stands beside each field.
    pub errors: [(Field, Option<String>); 11],
    /// The notation of the message.
    pub notation: Notation,
    /// The line under the message.
    pub summary: String,
    /// “Message” or “Answer”.
    pub message_label: &'static str,
    /// The settings under “More” in a few words.
    pub more: String,
    /// Whether one of them is wrong.
    pub more_is_wrong: bool,
    /// The socket in words.
    pub socket: String,
    /// Whether there is a socket.
    pub has_socket: bool,
    /// Whether a server's socket is open.
    pub is_listening: bool,
    /// Where it listens.
    pub listen_state: String,
    /// What a server answers with.
    pub answer: AnswerMode,
    /// Whom it answers.
    pub answer_to: String,
    /// The word on the big button.
    pub send: &'static str,
    /// Sends made, to be made, and both in words.
    pub progress: Option<(u32, u32, String)>,
}

/// What became of the last send.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OutcomeView {
    /// As the markup names it.
    pub state: &'static str,
    /// The big words.
    pub title: String,
    /// What is left of the wait, in thousandths.
    pub left: Option<u32>,
    /// The payload, made harmless.
    pub payload: Option<String>,
    /// Whether it has no bytes.
    pub payload_is_empty: bool,
    /// From send to receive.
    pub round_trip: String,
    /// Who answered.
    pub source: String,
    /// How many bytes.
    pub size: String,
    /// For several sends.
    pub counts: Option<Counts>,
    /// The sentence of what is known.
    pub detail: String,
}

/// How many sends came to what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Sends made.
    pub sent: u64,
    /// Datagrams, or pieces of a stream, received.
    pub received: u64,
    /// Replies in time.
    pub replies: u64,
    /// None in time.
    pub no_reply: u64,
    /// Too late.
    pub late: u64,
    /// Errors.
    pub errors: u64,
    /// Still waiting.
    pub waiting: u64,
    /// Dropped by the relay.
    pub dropped: u64,
}

/// All of the log but its rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogView {
    /// Over all rows since it was cleared.
    pub counts: Counts,
    /// Rows to be scrolled through.
    pub len: usize,
    /// Whether there are rows, shown or not.
    pub has_rows: bool,
    /// Whether a filter still looks.
    pub is_scanning: bool,
    /// Payloads as hex.
    pub as_hex: bool,
    /// How times are shown.
    pub times: Times,
    /// Whether the view is held.
    pub is_paused: bool,
    /// What came meanwhile.
    pub unseen: String,
    /// What is no more.
    pub let_go: String,
    /// What was copied.
    pub said: String,
    /// The selected row's place in the view.
    pub selected: Option<usize>,
    /// Everything known of it.
    pub detail: Option<Detail>,
}

/// All of the console but its lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsoleView {
    /// The server looked at.
    pub server: String,
    /// Each server: its name, its words, its state.
    pub tabs: Vec<(String, String, &'static str)>,
    /// Its state as the markup names it.
    pub state: &'static str,
    /// The same in words.
    pub words: String,
    /// What to know about it.
    pub note: String,
    /// Whether this page may control it.
    pub is_teacher: bool,
    /// What the first button does.
    pub pause: Option<ServerAction>,
    /// What the second does.
    pub stop: Option<ServerAction>,
    /// How this page's own server is called, while one is chosen.
    pub call: Option<CallView>,
}

/// How this page's own server is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallView {
    /// What to do.
    pub words: String,
    /// The relay's own client.
    pub relay: String,
    /// Python.
    pub python: String,
    /// Whether one of them was just copied.
    pub copied: Option<Language>,
    /// Who has called.
    pub callers: Vec<String>,
}

/// The settings as a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProgramView {
    /// Its language.
    pub language: Language,
    /// Its lines.
    pub code: String,
    /// The file to keep it in.
    pub file: String,
    /// The command that runs it.
    pub run: String,
    /// Whether it was just copied.
    pub is_copied: bool,
}

/// What the page is to show now.
pub fn view(model: &Model, now: Duration) -> View {
    let now = now.max(model.now);
    let outcome = outcome::outcome_view(model, now);
    View {
        header: header(model, now),
        path: path::path(model, &outcome),
        fields: fields(model),
        log: log(model, now),
        console: console::console(model),
        program: program(model),
        outcome,
    }
}

fn header(model: &Model, now: Duration) -> Header {
    let session = &model.session;
    let (state, words, countdown) = match session.carrier {
        Carrier::Idle | Carrier::Connecting(_) => {
            let words = if session.sessions > 0 { "connecting again…" } else { "connecting…" };
            ("connecting", words.to_owned(), "Trying now…".to_owned())
        }
        Carrier::Ready => ("connected", "connected".to_owned(), String::new()),
        Carrier::Lost(again) => {
            let seconds = text::millis(again.saturating_sub(now)).div_ceil(1_000);
            ("lost", format!("lost, again in {seconds} s"), format!("Next try in {seconds} s."))
        }
    };
    let banner = session.banner.as_ref().map(|banner| match banner {
        Banner::Lost(sentence) => ("lost", sentence.clone()),
        Banner::Restored(sentence) => ("restored", sentence.clone()),
        Banner::Closing(sentence) => ("closing", sentence.clone()),
    });
    let facts = session.welcome.as_ref().map(|welcome| {
        let role = if session.is_teacher() { "teacher" } else { "learner" };
        let permitted: Vec<String> =
            welcome.permitted.iter().map(|words| text::harmless(words)).collect();
        format!(
            "Relay {} on {} · session {} · {role} · may send to: {}",
            text::harmless(&welcome.relay),
            text::harmless(&welcome.os),
            text::harmless(&welcome.session),
            text::join(permitted, ", ")
        )
    });
    Header {
        state,
        words,
        countdown: if session.is_ready() { String::new() } else { countdown },
        can_retry: !session.is_ready(),
        banner,
        facts: facts.unwrap_or_default(),
        announcement: model.announcement.clone(),
    }
}

fn socket_words(model: &Model) -> String {
    match &model.socket {
        None if model.session.sessions > 0 && !model.session.is_ready() => {
            "sockets closed".to_owned()
        }
        None => "no socket open".to_owned(),
        Some(socket) => match socket.local {
            Some(local) => format!("socket {local}"),
            None if socket.waits_for.is_some() => "opening a socket…".to_owned(),
            None => "socket open, port chosen by the system".to_owned(),
        },
    }
}

fn listening_at(model: &Model) -> Option<SocketAddr> {
    let socket = model.socket.as_ref().filter(|socket| socket.kind.is_server())?;
    socket.local.filter(|_| socket.waits_for.is_none()).map(super::form::reachable)
}

fn server_name(status: &ServerStatus) -> &str {
    status.server.strip_suffix("-tcp").unwrap_or(&status.server)
}

fn transport_word(transport: Transport) -> &'static str {
    match transport {
        Transport::Udp => "udp",
        Transport::Tcp => "tcp",
    }
}

fn option_text(status: &ServerStatus) -> String {
    let state = match status.state {
        ServerState::Running => "",
        ServerState::Paused => ", paused",
        ServerState::Stopped => ", stopped",
        ServerState::PortTaken => ", another program’s",
    };
    format!(
        "{} · {} {}{state}",
        text::harmless(server_name(status)),
        transport_word(status.transport),
        status.address.port()
    )
}

fn fields(model: &Model) -> FieldsView {
    let form = &model.form;
    let transport = form.kind.transport();
    let options = model.session.servers.iter().filter(|it| it.transport == transport);
    let error = |field: Field| {
        let refused = model.refused.as_ref().filter(|(of, _)| *of == field);
        let compose = form.compose();
        let refused_switch = compose.refused.clone().filter(|_| field == Field::Message);
        let typed = model.errors.iter().find(|(of, _)| *of == field);
        refused_switch.or_else(|| refused.or(typed).map(|(_, why)| why.clone()))
    };
    let errors = Field::ALL.map(|field| (field, error(field)));
    let listening = listening_at(model);
    let is_listening = model.socket.as_ref().is_some_and(|socket| socket.kind.is_server());
    let is_sending = model.run.as_ref().is_some_and(|run| run.is_active);
    FieldsView {
        kind: form.kind,
        target: match form.choice() {
            Choice::Practice(name) => name.clone(),
            Choice::Other => "other".to_owned(),
        },
        options: options.map(|it| (it.server.clone(), option_text(it))).collect(),
        values: [
            (Field::Host, form.host.clone()),
            (Field::Port, form.port.clone()),
            (Field::ListenPort, form.listen_port.clone()),
            (Field::Message, form.compose().typed.clone()),
            (Field::Times, form.times.clone()),
            (Field::Gap, form.gap.clone()),
            (Field::Timeout, form.timeout.clone()),
            (Field::Buffer, form.buffer.clone()),
            (Field::LocalPort, form.local_port.clone()),
        ],
        more_is_wrong: errors.iter().any(|(field, why)| field.is_under_more() && why.is_some()),
        errors,
        notation: form.compose().notation,
        summary: form.compose().summary(form.kind.is_stream()),
        message_label: if form.kind.is_server() { "Answer" } else { "Message" },
        more: form.more_summary(),
        socket: socket_words(model),
        has_socket: model.socket.is_some(),
        is_listening,
        listen_state: match (is_listening, listening) {
            (_, Some(at)) => format!("listening on {at}"),
            (true, None) => "opening…".to_owned(),
            (false, _) => "0 lets the system choose".to_owned(),
        },
        answer: form.answer,
        answer_to: answer_to(model),
        send: match (is_sending, form.kind.is_server()) {
            (true, _) => "Stop",
            (false, true) => "Answer",
            (false, false) => "Send",
        },
        progress: model.progress(),
    }
}

fn answer_to(model: &Model) -> String {
    let dropped = match model.answers_dropped {
        0 => String::new(),
        dropped => format!(" {} found no room.", text::plural(dropped, "answer", "answers")),
    };
    let whom = match (model.answers_to(), model.form.answer) {
        (None, _) => "Nobody has called yet.".to_owned(),
        (Some((_, to)), AnswerMode::ByHand) => format!("Answers {to}"),
        (Some((_, to)), _) => format!("By hand to {to}"),
    };
    whom + &dropped
}

fn log(model: &Model, now: Duration) -> LogView {
    let log = &model.log;
    let rows_gone = log.rows_let_go();
    let payloads_gone = log.payloads_let_go();
    let mut let_go = String::new();
    if rows_gone > 0 {
        let_go = format!("{} let go", text::plural(rows_gone, "older row", "older rows"));
    }
    if payloads_gone > 0 {
        let words = text::plural(payloads_gone, "older payload", "older payloads");
        let_go = if let_go.is_empty() {
            format!("{words} let go")
        } else {
            format!("{let_go}, {words} let go")
        };
    }
    let counts = Counts {
        received: model.totals.received,
        dropped: model.totals.dropped,
        ..counts_of(&model.sends.tally)
    };
    LogView {
        counts: Counts { errors: counts.errors + model.totals.errors, ..counts },
        len: log.len(),
        has_rows: log.has_rows(),
        is_scanning: log.is_scanning(),
        as_hex: log.as_hex,
        times: log.times,
        is_paused: log.is_paused(),
        unseen: if log.is_paused() {
            format!("{} new", text::count(log.unseen()))
        } else {
            String::new()
        },
        let_go,
        said: match model.said {
            Some((Copied::Rows(rows), true, _)) => {
                format!("{} copied", text::plural(rows as u64, "row", "rows"))
            }
            Some((_, false, _)) => "The browser did not let this page copy.".to_owned(),
            _ => String::new(),
        },
        selected: log
            .selected()
            .map(|number| (number, log.place(number)))
            .filter(|(number, place)| log.at(*place) == Some(*number))
            .map(|(_, place)| place),
        detail: log.detail(now),
    }
}

fn program(model: &Model) -> ProgramView {
    let Some((settings, python, rust)) = &model.program else {
        return ProgramView {
            language: model.language,
            code: String::new(),
            file: String::new(),
            run: String::new(),
            is_copied: false,
        };
    };
    let (file, run) = code::file_and_command(model.language, settings);
    ProgramView {
        language: model.language,
        code: match model.language {
            Language::Python => python.clone(),
            Language::Rust => rust.clone(),
        },
        file,
        run,
        is_copied: matches!(model.said, Some((Copied::Program, true, _))),
    }
}

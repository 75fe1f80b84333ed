//! The page without a browser: events and `now` in, effects and a view out. Does no I/O, touches no
//! element, reads no clock.

pub mod clock;
pub mod code;
pub mod compose;
pub mod consoles;
mod exchange;
pub mod form;
pub mod inbox;
mod incoming;
pub mod log;
mod model;
pub mod outcome;
mod runs;
pub mod session;
mod sockets;
pub mod target;
pub mod text;
mod view;

use std::time::Duration;

use wire::Message;

use clock::WallClock;
use code::Language;
use compose::Notation;
use form::{AnswerMode, Choice, Field, SocketKind};
use log::{RowKind, Times};

pub use model::{Model, Pulses};
pub use view::{
    CallView, ConsoleView, Counts, FieldsView, Header, LogView, OutcomeView, PathView, ProgramView,
    View, view,
};

/// Something that happened.
#[derive(Clone, Debug)]
pub enum Event {
    /// The page stands.
    Started(Start),
    /// The connection to the relay is gone, or was not to be had.
    Disconnected,
    /// The relay sent a message.
    Arrived(Message),
    /// The moment asked for by [`Effect::WakeAt`] has come, or a frame is drawn.
    Tick {
        /// Bytes that the connection has yet to send.
        buffered: usize,
        /// Messages of the relay that are yet to be read.
        unread: usize,
    },
    /// So many messages of the relay went unread, because this page was too slow.
    Overrun(u64),
    /// Connect now instead of later.
    TryNow,
    /// The banner was understood.
    DismissBanner,

    /// Another socket was chosen.
    Kind(SocketKind),
    /// Another target was chosen.
    Target(Choice),
    /// A field was typed in.
    Typed(Field, String),
    /// A field was left: what it says holds.
    Committed,
    /// Text or hex.
    Notation(Notation),
    /// A counter is wanted in the message, after so many UTF-16 units.
    InsertCounter(Option<usize>),
    /// What a server answers with.
    Answer(AnswerMode),
    /// Send, answer or stop: the big button.
    Send,
    /// Listen, or stop listening.
    Listen,
    /// Close the socket.
    Close,

    /// What rows must contain.
    Filter(String),
    /// What kind rows must be.
    FilterKind(Option<RowKind>),
    /// How times are shown.
    Times(Times),
    /// Payloads as hex, or as text.
    LogHex(bool),
    /// Hold the view of the log, or let it go on.
    Pause,
    /// Forget the log.
    ClearLog,
    /// Copy the rows shown.
    CopyLog,
    /// Select a row by its number, or none.
    Select(Option<u64>),
    /// Move the selection.
    Step(isize),

    /// Look at another console.
    Console(String),
    /// Pause or resume the practice server looked at.
    PauseServer,
    /// Stop or start it.
    StopServer,
    /// Copy a command that calls this page.
    CopyCommand(Language),

    /// Another language for the program.
    Language(Language),
    /// Copy the program.
    CopyProgram,
    /// Something was copied, or could not be.
    Copied(Copied, bool),
}

/// What the page knows at its start.
#[derive(Clone, Debug, Default)]
pub struct Start {
    /// The host that the page came from.
    pub host: String,
    /// Host and port that the page came from.
    pub address: String,
    /// What the clock on the wall shows.
    pub wall: WallClock,
    /// Something random.
    pub seed: u64,
}

/// What the shell is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Connect to the relay; an earlier connection is forgotten.
    Connect,
    /// Give up the connection.
    Disconnect,
    /// Send a message to the relay.
    Transmit(Message),
    /// Wake the core at this moment and at no earlier one asked for; none: no need.
    WakeAt(Option<Duration>),
    /// Put text on the clipboard.
    Copy(Copied, String),
    /// Bring a field into sight.
    Focus(Field),
    /// Note the moment, for measurements.
    Mark(&'static str),
}

/// What was copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Copied {
    /// So many rows.
    Rows(usize),
    /// The program.
    Program,
    /// A command that calls this page.
    Command(Language),
}

/// Takes an event; what is to be done comes back.
pub fn update(model: &mut Model, event: Event, now: Duration) -> Vec<Effect> {
    model.now = model.now.max(now);
    model.handle(event);
    model.finish();
    std::mem::take(&mut model.effects)
}

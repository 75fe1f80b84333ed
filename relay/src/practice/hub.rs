//! The consoles and states of all practice servers, and those who watch them. It never waits for a
//! watcher: what a slow one has not read in time is gone for it, and counted.

use std::collections::HashMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use tokio::sync::Notify;
use wire::{ConsoleLine, ConsoleSource, RelayTime, ServerState, ServerStatus, Transport};

use super::console::{Console, Printed};
use crate::clock::Clock;

/// Lines of the past that a new watcher is given of each console.
pub const HISTORY_LINES: usize = 200;
/// Lines in one notice.
const NOTICE_LINES: usize = 100;
/// Bytes of text in one notice: as JSON, at most six times as long, it fits the largest message.
const NOTICE_BYTES: usize = 32 * 1024;

/// What a watcher is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// Lines of a console.
    Lines {
        /// The server.
        server: String,
        /// The lines, oldest first.
        lines: Vec<ConsoleLine>,
        /// Lines before these that this watcher was too slow for.
        skipped: u64,
    },
    /// A server's state.
    Status(ServerStatus),
}

pub(super) struct Hub {
    clock: Clock,
    board: Mutex<Board>,
    /// Told when a flood begins; someone then calls [`Hub::handle_timeout`] in time.
    flooded: Notify,
    own_addresses: Vec<IpAddr>,
}

struct Board {
    servers: Vec<Entry>,
    watchers: HashMap<u64, Option<Waker>>,
    next_watcher: u64,
}

struct Entry {
    console: Console,
    status: ServerStatus,
    /// Rises with each change of the status.
    revision: u64,
}

impl Hub {
    /// `own_addresses` are those that a datagram from a practice server can come from.
    pub(super) fn new(
        clock: Clock,
        statuses: Vec<ServerStatus>,
        own_addresses: Vec<IpAddr>,
    ) -> Self {
        let entry = |status| Entry { console: Console::default(), status, revision: 1 };
        let servers = statuses.into_iter().map(entry).collect();
        let board = Mutex::new(Board { servers, watchers: HashMap::new(), next_watcher: 0 });
        Self { clock, board, flooded: Notify::new(), own_addresses }
    }

    pub(super) fn statuses(&self) -> Vec<ServerStatus> {
        self.board().servers.iter().map(|entry| entry.status.clone()).collect()
    }

    /// Console lines that floods kept from being shown.
    pub(super) fn lines_not_shown(&self) -> u64 {
        self.board().servers.iter().map(|entry| entry.console.lines_not_shown()).sum()
    }

    /// Whether a practice server sends from this address. Two such servers that answered each other
    /// would never end.
    pub(super) fn is_practice(&self, source: SocketAddr) -> bool {
        let port = |entry: &Entry| {
            entry.status.transport == Transport::Udp
                && entry.status.address.port() == source.port()
                && matches!(entry.status.state, ServerState::Running | ServerState::Paused)
        };
        self.own_addresses.contains(&source.ip()) && self.board().servers.iter().any(port)
    }

    /// When [`Hub::handle_timeout`] is due; waits while no console is flooded.
    pub(super) async fn flood_deadline(&self) -> RelayTime {
        loop {
            let due = self.board().servers.iter().filter_map(|e| e.console.poll_timeout()).min();
            match due {
                Some(due) => return due,
                None => self.flooded.notified().await,
            }
        }
    }

    /// Tells of lines that were not shown, where their window is over.
    pub(super) fn handle_timeout(&self) {
        let now = self.clock.now();
        let mut board = self.board();
        let mut told = false;
        for entry in &mut board.servers {
            told |= entry.console.poll_timeout().is_some() && entry.console.handle_timeout(now);
        }
        if told {
            board.wake();
        }
    }

    fn board(&self) -> MutexGuard<'_, Board> {
        self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Board {
    fn wake(&mut self) {
        for waker in self.watchers.values_mut() {
            if let Some(waker) = waker.take() {
                waker.wake();
            }
        }
    }
}

/// One server's way to its console and status.
#[derive(Clone)]
pub(super) struct Printer {
    hub: Arc<Hub>,
    server: usize,
}

impl Printer {
    pub(super) fn new(hub: Arc<Hub>, server: usize) -> Self {
        Self { hub, server }
    }

    pub(super) fn hub(&self) -> &Hub {
        &self.hub
    }

    /// A line of the program's own.
    pub(super) fn program(&self, text: fmt::Arguments<'_>) {
        self.print(ConsoleSource::Program, text);
    }

    /// What the relay says of one datagram or connection; bounded as the program's lines are.
    pub(super) fn remark(&self, text: fmt::Arguments<'_>) {
        self.print(ConsoleSource::Relay, text);
    }

    /// What the relay says of the server; always shown.
    pub(super) fn say(&self, text: fmt::Arguments<'_>) {
        let now = self.hub.clock.now();
        let mut board = self.hub.board();
        board.servers[self.server].console.say(now, text);
        board.wake();
    }

    pub(super) fn status(&self) -> ServerStatus {
        self.hub.board().servers[self.server].status.clone()
    }

    pub(super) fn set_status(&self, change: impl FnOnce(&mut ServerStatus)) {
        let mut board = self.hub.board();
        let entry = &mut board.servers[self.server];
        change(&mut entry.status);
        entry.revision += 1;
        board.wake();
    }

    fn print(&self, from: ConsoleSource, text: fmt::Arguments<'_>) {
        let now = self.hub.clock.now();
        let mut board = self.hub.board();
        match board.servers[self.server].console.print(now, from, text) {
            Printed::Shown => board.wake(),
            Printed::NotShown { first: true } => self.hub.flooded.notify_one(),
            Printed::NotShown { first: false } => {}
        }
    }
}

/// A subscription to all consoles: the states as they are, the last [`HISTORY_LINES`] of each
/// console, then what is new.
pub struct Watch {
    hub: Arc<Hub>,
    id: u64,
    cursors: Vec<Cursor>,
    /// The server that is looked at first, so that none hides another.
    turn: usize,
}

#[derive(Clone, Copy)]
struct Cursor {
    revision: u64,
    next_line: u64,
}

impl Watch {
    pub(super) fn new(hub: Arc<Hub>) -> Self {
        let mut board = hub.board();
        let id = board.next_watcher;
        board.next_watcher += 1;
        board.watchers.insert(id, None);
        let history = HISTORY_LINES as u64;
        let cursors = board
            .servers
            .iter()
            .map(|entry| {
                let next = entry.console.next_number();
                let oldest = entry.console.oldest_number();
                Cursor { revision: 0, next_line: next.saturating_sub(history).max(oldest) }
            })
            .collect();
        drop(board);
        Self { hub, id, cursors, turn: 0 }
    }

    /// The next notice, if there is one.
    pub fn poll_notice(&mut self, cx: &mut Context<'_>) -> Poll<Notice> {
        let mut board = self.hub.board();
        for (entry, cursor) in board.servers.iter().zip(&mut self.cursors) {
            if cursor.revision < entry.revision {
                cursor.revision = entry.revision;
                return Poll::Ready(Notice::Status(entry.status.clone()));
            }
        }
        let count = self.cursors.len();
        for server in (0..count).map(|step| (self.turn + step) % count) {
            let (entry, cursor) = (&board.servers[server], &mut self.cursors[server]);
            if cursor.next_line < entry.console.next_number() {
                let (lines, skipped) =
                    entry.console.read(cursor.next_line, NOTICE_LINES, NOTICE_BYTES);
                cursor.next_line += skipped + lines.len() as u64;
                self.turn = server + 1;
                let server = entry.status.server.clone();
                return Poll::Ready(Notice::Lines { server, lines, skipped });
            }
        }
        board.watchers.insert(self.id, Some(cx.waker().clone()));
        Poll::Pending
    }

    /// Waits for the next notice.
    pub async fn next(&mut self) -> Notice {
        std::future::poll_fn(|cx| self.poll_notice(cx)).await
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.hub.board().watchers.remove(&self.id);
    }
}

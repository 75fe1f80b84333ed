//! The session with the relay: whether it stands, when it is tried again, and what the relay has
//! said of itself. Opens no connection itself.

use std::time::Duration;

use wire::{RelayTime, Role, ServerState, ServerStatus, Welcome};

use super::clock::RelayClock;
use super::text;

/// The wait before the first new try; each further one doubles it.
pub const BACK_OFF: Duration = Duration::from_millis(500);
/// The longest wait between two tries, before jitter.
pub const BACK_OFF_LIMIT: Duration = Duration::from_secs(8);
/// How long a connection may take to bring its welcome before it is given up.
pub const WELCOME_TIMEOUT: Duration = Duration::from_secs(10);

/// The state of the connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Carrier {
    /// Nothing tried yet.
    #[default]
    Idle,
    /// Under way since then; no welcome yet.
    Connecting(Duration),
    /// The welcome has come.
    Ready,
    /// Gone; the next try is due then.
    Lost(Duration),
}

/// What stands across the top of the page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Banner {
    /// The relay is gone.
    Lost(String),
    /// It is back.
    Restored(String),
    /// It says that it ends this session.
    Closing(String),
}

/// The session.
#[derive(Debug, Default)]
pub struct Session {
    /// The state of the connection.
    pub carrier: Carrier,
    /// The relay's clock, while there is a session.
    pub clock: Option<RelayClock>,
    /// What the relay said of itself, last.
    pub welcome: Option<Box<Welcome>>,
    /// The practice servers.
    pub servers: Vec<ServerStatus>,
    /// What stands across the top of the page.
    pub banner: Option<Banner>,
    /// Sessions so far.
    pub sessions: u32,
    /// Why the relay ends this one, in its own words.
    pub closing: Option<String>,
    /// Tries since a welcome last came.
    attempts: u32,
    random: u64,
}

impl Session {
    /// No session; `seed` decides the jitter.
    pub fn new(seed: u64) -> Self {
        Self { random: seed | 1, ..Self::default() }
    }

    /// Whether calls can be made.
    pub fn is_ready(&self) -> bool {
        self.carrier == Carrier::Ready
    }

    /// Whether the practice servers can be controlled.
    pub fn is_teacher(&self) -> bool {
        self.welcome.as_ref().is_some_and(|welcome| welcome.role == Role::Teacher)
    }

    /// A connection is being made.
    pub fn connecting(&mut self, now: Duration) {
        self.carrier = Carrier::Connecting(now);
    }

    /// The welcome came.
    pub fn welcome(&mut self, welcome: Box<Welcome>, now: Duration) {
        self.carrier = Carrier::Ready;
        self.attempts = 0;
        self.sessions += 1;
        self.closing = None;
        self.clock = Some(RelayClock::new(welcome.now_ns, now));
        self.servers.clone_from(&welcome.servers);
        self.welcome = Some(welcome);
        self.banner = (self.sessions > 1).then(|| {
            Banner::Restored("New session. Sockets are opened again when you send.".to_owned())
        });
    }

    /// The connection is gone, or was not to be had.
    pub fn lost(&mut self, now: Duration) {
        let wait = BACK_OFF.saturating_mul(1 << self.attempts.min(16)).min(BACK_OFF_LIMIT);
        self.attempts = self.attempts.saturating_add(1);
        let quarter = (text::millis(wait) / 4).max(1);
        let jitter = Duration::from_millis(self.draw() % quarter);
        self.carrier = Carrier::Lost(now + wait + jitter);
        for server in &mut self.servers {
            server.note = None;
        }
    }

    /// The relay said what its clock shows.
    pub fn saw(&mut self, relay: RelayTime, now: Duration) {
        if let Some(clock) = &mut self.clock {
            clock.saw(relay, now);
        }
    }

    /// When something is due of itself.
    pub fn due(&self) -> Option<Duration> {
        match self.carrier {
            Carrier::Connecting(since) => Some(since + WELCOME_TIMEOUT),
            Carrier::Lost(again) => Some(again),
            Carrier::Idle | Carrier::Ready => None,
        }
    }

    /// A practice server, by its name.
    pub fn server(&self, name: &str) -> Option<&ServerStatus> {
        self.servers.iter().find(|status| status.server == name)
    }

    /// A practice server said what state it is in.
    pub fn status(&mut self, status: ServerStatus) {
        if let Some(known) = self.servers.iter_mut().find(|it| it.server == status.server) {
            *known = status;
        } else if self.servers.len() < SERVERS {
            self.servers.push(status);
        }
    }

    /// xorshift64: enough to keep thirty pages from coming back in the same instant.
    fn draw(&mut self) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random
    }
}

/// Most practice servers kept; a relay has four.
pub const SERVERS: usize = 32;

/// A state as the markup names it.
pub fn state_word(state: ServerState) -> &'static str {
    match state {
        ServerState::Running => "running",
        ServerState::Paused => "paused",
        ServerState::Stopped => "stopped",
        ServerState::PortTaken => "port-taken",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tries_double_their_wait_up_to_a_limit_with_jitter() {
        let mut session = Session::new(7);
        let mut waits = Vec::new();
        for _ in 0..7 {
            session.lost(Duration::ZERO);
            let Carrier::Lost(again) = session.carrier else { unreachable!() };
            waits.push(u64::try_from(again.as_millis()).expect("short"));
        }
        for (wait, base) in waits.iter().zip([500, 1_000, 2_000, 4_000, 8_000, 8_000, 8_000]) {
            assert!((base..base + base / 4).contains(wait), "{waits:?}");
        }
    }
}

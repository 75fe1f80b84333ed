//! What a relay is told when it starts, with the bounds it keeps. Reading a command line is not
//! its business.

use std::time::Duration;

use crate::outbox::Bounds;
use crate::policy::{Access, Targets};

/// The settings of one relay.
#[derive(Clone, Debug)]
pub struct Config {
    /// Who may come in.
    pub access: Access,
    /// Where datagrams and connections may go.
    pub targets: Targets,
    /// How much each may do.
    pub limits: Limits,
    /// Whether pages from other machines may start, stop and pause the practice servers.
    pub share_servers: bool,
}

/// The bounds of a relay, for each client and in all.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Sessions at once, raw and lab together.
    pub sessions: usize,
    /// Sessions at once from one address.
    pub sessions_per_client: usize,
    /// Sockets open at once in one lab session.
    pub sockets: usize,
    /// Calls without an answer at once in one lab session.
    pub calls: usize,
    /// Sends in a second for one session; none is no limit.
    pub sends_per_second: Option<u32>,
    /// What may wait for a slow client.
    pub queue: Bounds,
    /// Time without a message or a datagram after which a session ends. A NAT keeps a UDP mapping
    /// for at least two minutes (RFC 4787 REQ-5), and so does this.
    pub idle: Duration,
}

/// Connections at once that have not become sessions: pages being loaded, requests being read.
pub const CONNECTION_LIMIT: usize = 1_024;
/// Name look-ups at once, for the whole relay.
pub const LOOKUP_LIMIT: usize = 64;
/// How long a name look-up may take.
pub const LOOKUP_TIMEOUT: Duration = Duration::from_secs(5);
/// How long the relay waits for its sessions to end when it stops.
pub const STOP_TIMEOUT: Duration = Duration::from_secs(5);

impl Default for Limits {
    fn default() -> Self {
        Self {
            sessions: 16_384,
            sessions_per_client: 16_384,
            sockets: 64,
            calls: 1_024,
            sends_per_second: None,
            queue: Bounds { bytes: 1024 * 1024, age: Duration::from_millis(250) },
            idle: Duration::from_secs(10 * 60),
        }
    }
}

impl Limits {
    /// The bounds for a relay that other machines can reach.
    pub fn shared() -> Self {
        Self {
            sessions: 1_024,
            sessions_per_client: 64,
            sends_per_second: Some(2_000),
            ..Self::default()
        }
    }
}

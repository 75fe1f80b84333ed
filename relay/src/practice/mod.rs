//! The practice servers: real programs on real ports, whose consoles can be watched. A port that
//! another program has is left to it, and never keeps the relay from starting.

mod alone;
mod console;
mod counter;
mod hub;
mod repr;
mod server;
mod service;
mod tcp;
#[cfg(test)]
mod tests;
mod udp;

use std::future::Future;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use tokio::sync::{Mutex, mpsc, oneshot, watch};
use tokio::task::JoinSet;
use wire::{ServerAction, ServerState, ServerStatus, SocketError, Transport};

pub use alone::{AloneError, ServerOptions, run_alone};
pub use hub::{HISTORY_LINES, Notice, Watch};

use crate::clock::Clock;
use hub::{Hub, Printer};
use server::{Command, Server};

/// Commands that wait for one server; whoever has one more waits.
const WAITING_COMMANDS: usize = 8;

/// Where the practice servers listen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The local address of all of them.
    pub host: IpAddr,
    /// Their ports.
    pub ports: Ports,
}

/// The ports of the practice servers; 0 lets the system choose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ports {
    /// UDP port of the hello server.
    pub hello: u16,
    /// UDP port of the ack server.
    pub ack: u16,
    /// TCP port of the ack server.
    pub ack_tcp: u16,
    /// UDP port of the counter.
    pub counter: u16,
}

/// A practice program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Program {
    /// Prints who said what, answers `Hello UDP Client` (UDP, 1,024-byte buffer).
    Hello,
    /// Answers `ack:` and the bytes it got (UDP, 4,096-byte buffer).
    Ack,
    /// The same over a TCP connection.
    AckTcp,
    /// Keeps a total: `ADD n`, `GET`, `REQ id ADD n`, `REQ id GET` (UDP).
    Counter,
}

/// The running practice servers; copies are the same servers. When the last copy goes, they end.
#[derive(Clone)]
pub struct Practice {
    shared: Arc<Shared>,
}

struct Shared {
    hub: Arc<Hub>,
    /// In the order of the hub's statuses.
    commands: Vec<mpsc::Sender<Command>>,
    ending: watch::Sender<bool>,
    tasks: Mutex<JoinSet<()>>,
}

impl Default for Settings {
    fn default() -> Self {
        Self { host: Ipv4Addr::LOCALHOST.into(), ports: Ports::default() }
    }
}

impl Default for Ports {
    fn default() -> Self {
        Self { hello: 20001, ack: 9999, ack_tcp: 9999, counter: 9998 }
    }
}

impl Ports {
    /// Ports that the system chooses.
    pub const ANY: Self = Self { hello: 0, ack: 0, ack_tcp: 0, counter: 0 };

    /// The port of one program.
    pub fn of(&self, program: Program) -> u16 {
        match program {
            Program::Hello => self.hello,
            Program::Ack => self.ack,
            Program::AckTcp => self.ack_tcp,
            Program::Counter => self.counter,
        }
    }
}

impl Program {
    /// All of them, in the order in which a page shows them.
    pub const ALL: [Self; 4] = [Self::Hello, Self::Ack, Self::AckTcp, Self::Counter];

    /// Its name in calls.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Hello => "hello",
            Self::Ack => "ack",
            Self::AckTcp => "ack-tcp",
            Self::Counter => "counter",
        }
    }

    /// UDP or TCP.
    pub const fn transport(self) -> Transport {
        match self {
            Self::AckTcp => Transport::Tcp,
            Self::Hello | Self::Ack | Self::Counter => Transport::Udp,
        }
    }

    /// Bytes its receive call reads into, as in the lessons.
    pub const fn buffer_bytes(self) -> usize {
        match self {
            Self::Hello => 1_024,
            Self::Ack | Self::AckTcp | Self::Counter => 4_096,
        }
    }
}

/// Where a server that listens at `address` is reached from this machine: one that listens on every
/// address is reached on loopback.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(v4) if v4.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(v6) if v6.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        named => named,
    };
    SocketAddr::new(ip, address.port())
}

impl Practice {
    /// Starts all of them, until `shutdown` is over or [`Practice::stop`] is called. A server that
    /// cannot listen says so in its status.
    #[allow(clippy::unused_async, reason = "it must be called on a runtime")]
    pub async fn start(
        settings: Settings,
        clock: Clock,
        shutdown: impl Future<Output = ()> + Send + 'static,
    ) -> Self {
        let address = |program| SocketAddr::new(settings.host, settings.ports.of(program));
        let programs = Program::ALL.map(|program| (program, address(program)));
        let practice = Self::start_programs(&programs, clock);
        let ending = practice.shared.ending.clone();
        tokio::spawn(async move {
            tokio::select! {
                () = shutdown => { ending.send_replace(true); }
                () = ending.closed() => {}
            }
        });
        practice
    }

    /// No servers at all.
    pub fn none() -> Self {
        let hub = Arc::new(Hub::new(Clock::start(), Vec::new(), Vec::new()));
        let (ending, _) = watch::channel(false);
        let tasks = Mutex::new(JoinSet::new());
        Self { shared: Arc::new(Shared { hub, commands: Vec::new(), ending, tasks }) }
    }

    fn start_programs(programs: &[(Program, SocketAddr)], clock: Clock) -> Self {
        let statuses = programs.iter().map(|&(program, address)| ServerStatus {
            server: program.name().to_owned(),
            transport: program.transport(),
            address: reachable(address),
            buffer_bytes: program.buffer_bytes().try_into().unwrap_or(u32::MAX),
            state: ServerState::Stopped,
            note: None,
        });
        let hosts = programs.iter().map(|(_, address)| address.ip());
        let hub = Arc::new(Hub::new(clock, statuses.collect(), own_addresses(hosts)));
        let (ending, _) = watch::channel(false);
        let mut tasks = JoinSet::new();
        let mut commands = Vec::new();
        for (index, &(program, address)) in programs.iter().enumerate() {
            let (sender, receiver) = mpsc::channel(WAITING_COMMANDS);
            let printer = Printer::new(Arc::clone(&hub), index);
            let server = Server::start(program, address, printer);
            tasks.spawn(server.run(receiver, ending.subscribe()));
            commands.push(sender);
        }
        tasks.spawn(tell_floods(Arc::clone(&hub), clock, ending.subscribe()));
        Self { shared: Arc::new(Shared { hub, commands, ending, tasks: Mutex::new(tasks) }) }
    }

    /// The servers and their states.
    pub fn statuses(&self) -> Vec<ServerStatus> {
        self.shared.hub.statuses()
    }

    /// Console lines that floods kept from being shown, since the start.
    pub fn lines_not_shown(&self) -> u64 {
        self.shared.hub.lines_not_shown()
    }

    /// Does `action` to a server, and gives the state it is in then. To do it again changes nothing.
    ///
    /// # Errors
    /// When there is no such server, when one that does not run is to pause or resume, and when the
    /// servers have ended.
    pub async fn control(
        &self,
        server: &str,
        action: ServerAction,
    ) -> Result<ServerStatus, SocketError> {
        let statuses = self.statuses();
        let Some(index) = statuses.iter().position(|status| status.server == server) else {
            let known: Vec<_> = statuses.iter().map(|status| status.server.as_str()).collect();
            let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            let server: String = server.chars().take(40).collect();
            let message = format!("no practice server has the name {server:?}, there are: {known}");
            return Err(SocketError::relay("NO_SUCH_SERVER", message));
        };
        let ended = || SocketError::relay("SERVER_ENDED", "the relay has ended its servers");
        let (answer, answered) = oneshot::channel();
        let command = Command { action, answer };
        if self.shared.commands[index].send(command).await.is_err() {
            return Err(ended());
        }
        answered.await.unwrap_or_else(|_| Err(ended()))
    }

    /// The consoles and states from now on, after the last lines of each console.
    pub fn watch(&self) -> Watch {
        Watch::new(Arc::clone(&self.shared.hub))
    }

    /// Ends all servers; afterwards their sockets are closed.
    pub async fn stop(&self) {
        self.shared.ending.send_replace(true);
        let mut tasks = self.shared.tasks.lock().await;
        while tasks.join_next().await.is_some() {}
    }
}

/// The addresses that a datagram from a server on one of `hosts` can come from.
fn own_addresses(hosts: impl Iterator<Item = IpAddr>) -> Vec<IpAddr> {
    let mut addresses: Vec<_> = hosts.collect();
    if addresses.iter().any(IpAddr::is_unspecified) {
        let interfaces = if_addrs::get_if_addrs().unwrap_or_default();
        addresses.extend(interfaces.iter().map(if_addrs::Interface::ip));
    }
    addresses.sort_unstable();
    addresses.dedup();
    addresses
}

async fn tell_floods(hub: Arc<Hub>, clock: Clock, mut ending: watch::Receiver<bool>) {
    let telling = async {
        loop {
            let due = hub.flood_deadline().await;
            tokio::time::sleep_until(clock.instant(due)).await;
            hub.handle_timeout();
        }
    };
    tokio::select! {
        _ = ending.wait_for(|ending| *ending) => {}
        () = telling => {}
    }
}

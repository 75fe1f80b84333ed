//! The command line: what can be typed, and what it means. It starts nothing.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::{Context, bail};
use clap::{Args, Parser, Subcommand};
use relay::config::{Config, Limits};
use relay::outbox::Bounds;
use relay::policy::{Access, PublicOrigin, Rule, RuleError, Targets};
use relay::practice::{self, ServerOptions};
use relay::{client, resolve};
use wire::ServerStatus;

/// A browser speaks UDP through this relay: it serves a page to learn UDP on, and bridges
/// WebSocket messages to real datagrams.
#[derive(Debug, Parser)]
#[command(name = "relay", version, args_conflicts_with_subcommands = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    #[command(flatten)]
    pub(crate) serve: ServeOptions,
    /// What to log to standard error: error, warn, info, debug, trace, or filters such as
    /// relay=debug.
    #[arg(long, global = true, value_name = "FILTER", default_value = "warn")]
    pub(crate) log: String,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Serve the page, the bridge and the practice servers (the default).
    Serve(ServeOptions),
    /// Run one practice server in this terminal.
    Server(ServerOptions),
    /// Send a message to a UDP server and wait for its reply.
    Client(client::Options),
}

#[derive(Args, Clone, Debug)]
pub(crate) struct ServeOptions {
    /// Where to serve. An address other than loopback lets other machines in.
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8080")]
    pub(crate) listen: SocketAddr,
    /// Permit targets: an address, a network, a name with a port, or one of any, loopback, private,
    /// multicast, broadcast, link-local, unspecified; each with :PORT or :FROM-TO if wanted. Adds to
    /// the default, which is loopback when listening on loopback and the practice servers otherwise.
    #[arg(long, value_name = "TARGET")]
    allow: Vec<String>,
    /// Permit pages to bind sockets to this local address besides loopback.
    #[arg(long, value_name = "ADDRESS")]
    allow_bind: Vec<IpAddr>,
    /// Serve pages under this origin too, such as <https://udp.example> behind a proxy.
    #[arg(long, value_name = "ORIGIN")]
    origin: Vec<PublicOrigin>,
    /// Sessions at once, in all [default: 16384 on loopback, 1024 otherwise].
    #[arg(long, value_name = "N")]
    max_sessions: Option<usize>,
    /// Sessions at once from one address [default: 16384 on loopback, 64 otherwise].
    #[arg(long, value_name = "N")]
    max_sessions_per_client: Option<usize>,
    /// Sockets open at once in one lab session.
    #[arg(long, value_name = "N", default_value_t = Limits::default().sockets)]
    max_sockets: usize,
    /// Datagrams a session may send in a second; 0 is no limit [default: 0 on loopback, 2000
    /// otherwise].
    #[arg(long, value_name = "N")]
    max_rate: Option<u32>,
    /// Bytes of datagrams that wait for a slow page before the oldest go.
    #[arg(long, value_name = "BYTES", default_value_t = Limits::default().queue.bytes)]
    queue_bytes: usize,
    /// Milliseconds that a datagram waits for a slow page before it goes.
    #[arg(long, value_name = "MS", default_value_t = 250)]
    queue_age: u32,
    /// Seconds without a message or a datagram, either way, after which a session ends.
    #[arg(long, value_name = "SECONDS", default_value_t = 600)]
    idle_timeout: u32,
    /// Where the practice servers listen.
    #[arg(long, value_name = "ADDRESS", default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    practice_host: IpAddr,
    /// Whether the practice servers take the lesson's ports, or any that are free.
    #[arg(long, value_enum, value_name = "WHICH", default_value = "lesson")]
    practice_ports: PracticePorts,
    /// Start no practice servers.
    #[arg(long)]
    no_practice: bool,
    /// Let pages on other machines start, stop and pause the practice servers.
    #[arg(long)]
    share_servers: bool,
}

/// The ports of the practice servers.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum PracticePorts {
    Lesson,
    Any,
}

impl ServeOptions {
    /// Whether only this machine can reach the relay.
    pub(crate) fn is_private(&self) -> bool {
        self.listen.ip().to_canonical().is_loopback()
    }

    /// Where the practice servers are to listen; none for none of them.
    pub(crate) fn practice(&self) -> Option<practice::Settings> {
        let ports = match self.practice_ports {
            PracticePorts::Lesson => practice::Ports::default(),
            PracticePorts::Any => practice::Ports::ANY,
        };
        (!self.no_practice).then_some(practice::Settings { host: self.practice_host, ports })
    }

    /// The settings of a relay that serves at `own`, with practice servers as in `servers`.
    pub(crate) async fn config(
        &self,
        own: SocketAddr,
        servers: &[ServerStatus],
    ) -> anyhow::Result<Config> {
        let mut allowed = if self.is_private() {
            vec![Rule::loopback()]
        } else {
            // The ack servers share a port number, on UDP and on TCP.
            let mut rules: Vec<_> =
                servers.iter().map(|server| Rule::exactly(server.address)).collect();
            rules.dedup();
            rules
        };
        for text in &self.allow {
            allowed.extend(rules(text).await.with_context(|| format!("--allow {text}"))?);
        }
        Ok(Config {
            access: Access::new(self.origin.clone()),
            targets: Targets::new(allowed, self.allow_bind.clone(), vec![own]),
            limits: self.limits()?,
            share_servers: self.share_servers,
        })
    }

    fn limits(&self) -> anyhow::Result<Limits> {
        let default = if self.is_private() { Limits::default() } else { Limits::shared() };
        if self.idle_timeout == 0 {
            bail!("--idle-timeout is 0 seconds, the least is 1");
        }
        Ok(Limits {
            sessions: self.max_sessions.unwrap_or(default.sessions),
            sessions_per_client: self
                .max_sessions_per_client
                .unwrap_or(default.sessions_per_client),
            sockets: self.max_sockets,
            sends_per_second: match self.max_rate {
                None => default.sends_per_second,
                Some(0) => None,
                rate => rate,
            },
            queue: Bounds {
                bytes: self.queue_bytes,
                age: Duration::from_millis(self.queue_age.into()),
            },
            idle: Duration::from_secs(self.idle_timeout.into()),
            ..default
        })
    }
}

/// The rules that one `--allow` means: itself, or those of a name's addresses, looked up now.
async fn rules(text: &str) -> anyhow::Result<Vec<Rule>> {
    let error = match text.parse::<Rule>() {
        Ok(rule) => return Ok(vec![rule]),
        Err(error @ RuleError::Ports(_)) => return Err(error.into()),
        Err(error @ RuleError::Addresses(_)) => error,
    };
    let Some((host, port)) = text.rsplit_once(':') else { return Err(error.into()) };
    let port = port.parse().map_err(|_| RuleError::Ports(port.to_owned()))?;
    let found = resolve::resolve(host, port).await?;
    Ok(found.into_iter().map(Rule::exactly).collect())
}

//! The program `relay`: reads the command line, starts what was asked for, and says how it ended.

mod cli;

use std::io::{IsTerminal, Write};
use std::net::SocketAddr;
use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;
use relay::clock::Clock;
use relay::practice::Practice;
use relay::{client, http, lan, page, practice};
use tokio::net::{TcpListener, TcpSocket};
use tracing_subscriber::EnvFilter;
use wire::ServerState;

use crate::cli::{Cli, Command, ServeOptions};

/// Connections that may wait to be accepted.
const BACKLOG: u32 = 1_024;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("relay: cannot start: {error}");
            return ExitCode::FAILURE;
        }
    };
    let code = runtime.block_on(start(cli));
    // A name look-up that the system has not answered yet cannot be called off, only left.
    runtime.shutdown_background();
    code
}

async fn start(cli: Cli) -> ExitCode {
    let done = match EnvFilter::try_new(&cli.log) {
        Err(error) => Err(anyhow::Error::from(error).context(format!("--log {}", cli.log))),
        Ok(filter) => {
            tracing_subscriber::fmt()
                .with_env_filter(filter)
                .with_ansi(std::io::stderr().is_terminal())
                .with_writer(std::io::stderr)
                .init();
            run(cli).await
        }
    };
    done.unwrap_or_else(|error| {
        eprintln!("relay: {error:#}");
        ExitCode::FAILURE
    })
}

async fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    match cli.command {
        None => serve(cli.serve).await,
        Some(Command::Serve(options)) => serve(options).await,
        Some(Command::Server(options)) => server(options).await,
        Some(Command::Client(options)) => Ok(client(options).await),
    }
}

async fn serve(options: ServeOptions) -> anyhow::Result<ExitCode> {
    raise_open_files();
    let stop = stop_signal()?;
    let listener = bind(options.listen)?;
    let own = listener.local_addr().context("the listener's address")?;
    let clock = Clock::start();
    let practice = match options.practice() {
        Some(settings) => Practice::start(settings, clock, std::future::pending()).await,
        None => Practice::none(),
    };
    let servers = practice.statuses();
    let config = options.config(own, &servers).await?;
    let permitted: Vec<_> = config.targets.rules().collect();
    announce(&options, own, &servers, &permitted)?;
    http::serve(listener, config, clock, practice, stop).await;
    say("stopped")?;
    Ok(ExitCode::SUCCESS)
}

async fn server(options: practice::ServerOptions) -> anyhow::Result<ExitCode> {
    let stop = stop_signal()?;
    practice::run_alone(options, Clock::start(), stop, &mut std::io::stdout()).await?;
    Ok(ExitCode::SUCCESS)
}

async fn client(options: client::Options) -> ExitCode {
    match client::run(&options, &mut std::io::stdout()).await {
        Ok(outcome) => ExitCode::from(outcome.exit_code()),
        Err(error) => {
            let code = ExitCode::from(error.exit_code());
            eprintln!("relay: {:#}", anyhow::Error::from(error));
            code
        }
    }
}

fn bind(address: SocketAddr) -> anyhow::Result<TcpListener> {
    let attempt = || {
        let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
        // A relay that is started again takes its port though old connections linger there. On
        // Windows the option means something else.
        #[cfg(unix)]
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        socket.listen(BACKLOG)
    };
    attempt().map_err(|error| {
        let error = relay::errno::socket_error(&error);
        let help = match error.name.as_str() {
            "EADDRINUSE" | "WSAEADDRINUSE" => {
                "; another program, perhaps another relay, listens there; \
                 --listen 127.0.0.1:8081 takes another port"
            }
            _ => "",
        };
        anyhow::anyhow!("cannot listen on {address}: {error}{help}")
    })
}

fn announce(
    options: &ServeOptions,
    own: SocketAddr,
    servers: &[wire::ServerStatus],
    permitted: &[String],
) -> anyhow::Result<()> {
    let mut text = format!("relay {}\n\n", env!("CARGO_PKG_VERSION"));
    if options.is_private() {
        text += &format!("  Open  http://{own}\n\n");
    } else {
        text += &lan::announcement(own, permitted, std::io::stdout().is_terminal());
        text += "\n";
    }
    if !servers.is_empty() {
        text += "  Practice servers\n";
    }
    for server in servers {
        let transport = match server.transport {
            wire::Transport::Udp => "udp",
            wire::Transport::Tcp => "tcp",
        };
        let state = match server.state {
            ServerState::Running => "running",
            ServerState::Paused => "paused",
            ServerState::Stopped => "stopped",
            ServerState::PortTaken => "port taken",
        };
        text += &format!("    {:<8} {transport} {:<18} {state}", server.server, server.address);
        if let Some(note) = &server.note {
            text += &format!(": {note}");
        }
        text.push('\n');
    }
    if !page::is_built() {
        text += &format!("\n{}", page::NOT_BUILT);
    }
    text += "\n  Ctrl-C stops it.";
    say(&text)
}

/// Prints a line; a reader that has gone is no reason to stop serving.
fn say(text: &str) -> anyhow::Result<()> {
    match writeln!(std::io::stdout(), "{text}") {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(error).context("standard output")
        }
        _ => Ok(()),
    }
}

/// Done at Ctrl-C, and on Unix at SIGTERM and SIGHUP.
fn stop_signal() -> anyhow::Result<impl Future<Output = ()>> {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let mut interrupt = signal(SignalKind::interrupt()).context("SIGINT")?;
        let mut terminate = signal(SignalKind::terminate()).context("SIGTERM")?;
        let mut hang_up = signal(SignalKind::hangup()).context("SIGHUP")?;
        Ok(async move {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
                _ = hang_up.recv() => {}
            }
        })
    }
    #[cfg(not(unix))]
    Ok(async {
        // Without the signal the relay can still be ended by its window.
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    })
}

/// Each session has a connection and at least one socket; the usual soft limit of 1,024 open files
/// would end the relay's hospitality at 500 sessions.
fn raise_open_files() {
    #[cfg(unix)]
    {
        use nix::sys::resource::{Resource, getrlimit, setrlimit};
        let raised = getrlimit(Resource::RLIMIT_NOFILE)
            .and_then(|(_, hard)| setrlimit(Resource::RLIMIT_NOFILE, hard, hard));
        if let Err(error) = raised {
            tracing::warn!(%error, "the limit of open files stays as it is");
        }
    }
}

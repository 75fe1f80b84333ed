//! One practice server alone in a terminal, until it is told to end. It never takes a port that
//! another program has.

use std::future::Future;
use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use wire::ServerState;

use super::server::transport_name;
use super::{Notice, Ports, Practice, Program};
use crate::clock::Clock;
use crate::terminal::console_line;

/// Which practice server to run, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::Args)]
pub struct ServerOptions {
    /// The server.
    #[arg(value_enum)]
    pub server: Program,
    /// The port to listen on, 0 for one that the system chooses [default: the lesson's: hello
    /// 20001, ack and ack-tcp 9999, counter 9998].
    #[arg(long, value_name = "PORT")]
    pub port: Option<u16>,
    /// The local address to listen on; 0.0.0.0 lets others on the network reach it.
    #[arg(long, value_name = "ADDRESS", default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    pub host: IpAddr,
}

/// Why a practice server alone could not run.
#[derive(Debug, thiserror::Error)]
pub enum AloneError {
    /// Another program has the port.
    #[error(
        "the {server} server cannot listen on {transport} {address}: another program has that port \
         (a relay or a server of your own, perhaps); end it, or choose another port with --port"
    )]
    PortTaken {
        /// The server.
        server: &'static str,
        /// Its transport.
        transport: &'static str,
        /// The address.
        address: SocketAddr,
    },
    /// The system did not let it listen, or its socket failed.
    #[error("the {server} server has stopped: {reason}")]
    Stopped {
        /// The server.
        server: &'static str,
        /// What the system said.
        reason: String,
    },
    /// The terminal is gone.
    #[error("cannot print the console")]
    Output(#[from] io::Error),
}

/// Runs one practice server and prints its console to `out`, until `shutdown` is over.
///
/// # Errors
/// When its port is taken, when its socket fails, and when `out` does.
pub async fn run_alone(
    options: ServerOptions,
    clock: Clock,
    shutdown: impl Future<Output = ()>,
    out: &mut impl Write,
) -> Result<(), AloneError> {
    let program = options.server;
    let server = program.name();
    let port = options.port.unwrap_or_else(|| Ports::default().of(program));
    let practice = Practice::start_programs(&[(program, (options.host, port).into())], clock);
    let mut watch = practice.watch();
    let mut shutdown = std::pin::pin!(shutdown);
    loop {
        let notice = tokio::select! {
            notice = watch.next() => notice,
            () = &mut shutdown => break,
        };
        match notice {
            Notice::Lines { lines, skipped, .. } => {
                if skipped > 0 {
                    writeln!(out, "-- {skipped} lines lost: this terminal is too slow --")?;
                }
                for line in &lines {
                    writeln!(out, "{}", console_line(line))?;
                }
                out.flush()?;
            }
            Notice::Status(status) => match status.state {
                ServerState::Running => {
                    let transport = transport_name(status.transport);
                    let address = status.address;
                    writeln!(out, "-- listening on {transport} {address}, Ctrl-C ends it --")?;
                    out.flush()?;
                }
                ServerState::Paused => {}
                ServerState::PortTaken => {
                    let transport = transport_name(status.transport);
                    return Err(AloneError::PortTaken {
                        server,
                        transport,
                        address: status.address,
                    });
                }
                ServerState::Stopped => {
                    let reason = status.note.unwrap_or_else(|| "its socket is closed".to_owned());
                    return Err(AloneError::Stopped { server, reason });
                }
            },
        }
    }
    practice.stop().await;
    Ok(())
}

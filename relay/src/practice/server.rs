//! One practice server as a task: starts, stops and pauses its program when told to. A pause takes
//! effect before its answer goes out, so a datagram sent after it is not read.

use std::io;
use std::net::SocketAddr;

use tokio::sync::{mpsc, oneshot, watch};
use wire::{ServerAction, ServerState, ServerStatus, SocketError, Transport};

use super::Program;
use super::hub::Printer;
use super::reachable;
use super::tcp::TcpServer;
use super::udp::UdpServer;
use crate::errno::socket_error;
use crate::socket::Arrival;

/// What the server is told, and where its answer goes.
pub(super) struct Command {
    pub(super) action: ServerAction,
    pub(super) answer: oneshot::Sender<Result<ServerStatus, SocketError>>,
}

pub(super) struct Server {
    program: Program,
    /// Where it listens; a port that the system chose stays the same from then on.
    address: SocketAddr,
    printer: Printer,
    open: Option<Open>,
    paused: bool,
}

enum Open {
    Udp(UdpServer),
    Tcp(TcpServer),
}

enum Step {
    Told(Command),
    Received(io::Result<Arrival>),
    Ended,
}

impl Server {
    /// A server whose program has been started, if its port is free.
    pub(super) fn start(program: Program, address: SocketAddr, printer: Printer) -> Self {
        let mut server = Self { program, address, printer, open: None, paused: false };
        server.listen();
        server
    }

    /// Serves until `ending` says so or no one can tell it anything more.
    pub(super) async fn run(
        mut self,
        mut commands: mpsc::Receiver<Command>,
        mut ending: watch::Receiver<bool>,
    ) {
        loop {
            let step = tokio::select! {
                biased;
                _ = ending.wait_for(|ending| *ending) => Step::Ended,
                command = commands.recv() => command.map_or(Step::Ended, Step::Told),
                received = next(self.open.as_mut(), self.paused) => Step::Received(received),
            };
            match step {
                Step::Told(Command { action, answer }) => {
                    // Whoever asked may have gone; it is done all the same.
                    let _ = answer.send(self.perform(action));
                }
                Step::Received(received) => self.handle_received(received).await,
                Step::Ended => break,
            }
        }
        if self.open.is_some() {
            self.close(None);
        }
    }

    fn perform(&mut self, action: ServerAction) -> Result<ServerStatus, SocketError> {
        match (action, self.open.is_some()) {
            (ServerAction::Start, false) => self.listen(),
            (ServerAction::Start | ServerAction::Resume, true) => self.resume(),
            (ServerAction::Stop, true) => {
                self.printer.say(format_args!("{}", self.farewell()));
                self.close(None);
            }
            (ServerAction::Stop, false) => {}
            (ServerAction::Pause, true) => self.pause(),
            (ServerAction::Pause | ServerAction::Resume, false) => {
                let message = format!("the {} server does not run", self.program.name());
                return Err(
                    SocketError::relay("SERVER_NOT_RUNNING", message).with_advice("start it first")
                );
            }
        }
        Ok(self.printer.status())
    }

    fn listen(&mut self) {
        match Open::bind(self.program, self.address, self.printer.clone()) {
            Ok((open, address)) => {
                self.address = address;
                self.paused = false;
                self.printer.set_status(|status| {
                    status.address = reachable(address);
                    status.state = ServerState::Running;
                    status.note = None;
                });
                open.greet(address);
                self.open = Some(open);
            }
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
                let transport = transport_name(self.program.transport());
                let note = format!(
                    "another program listens on {transport} {}; it is the target there",
                    self.address
                );
                self.printer.say(format_args!("{note}"));
                self.printer.set_status(|status| {
                    status.state = ServerState::PortTaken;
                    status.note = Some(note);
                });
            }
            Err(error) => self.close(Some(format!(
                "could not listen on {}: {}",
                self.address,
                socket_error(&error)
            ))),
        }
    }

    fn pause(&mut self) {
        if !self.paused {
            self.paused = true;
            self.printer.say(format_args!(
                "{}",
                match self.program.transport() {
                    Transport::Udp =>
                        "paused: its socket stays open, datagrams wait in the system's buffer \
                         while there is room",
                    Transport::Tcp =>
                        "paused: it accepts and receives nothing, connections and bytes wait in \
                         the system's buffers",
                }
            ));
        }
        self.printer.set_status(|status| status.state = ServerState::Paused);
    }

    fn resume(&mut self) {
        if self.paused {
            self.paused = false;
            self.printer.say(format_args!("resumed: it now reads what waited"));
        }
        self.printer.set_status(|status| status.state = ServerState::Running);
    }

    /// Closes the sockets; all that the program had in memory goes with it.
    fn close(&mut self, note: Option<String>) {
        self.open = None;
        self.paused = false;
        if let Some(note) = &note {
            self.printer.say(format_args!("{note}"));
        }
        self.printer.set_status(|status| {
            status.state = ServerState::Stopped;
            status.note = note;
        });
    }

    fn farewell(&self) -> String {
        match &self.open {
            Some(Open::Tcp(tcp)) => format!(
                "stopped: its socket is closed, and its {} open connections with it",
                tcp.connections()
            ),
            _ => "stopped: its socket is closed, what it had in memory is gone".to_owned(),
        }
    }

    async fn handle_received(&mut self, received: io::Result<Arrival>) {
        let Some(Open::Udp(udp)) = &mut self.open else { return };
        if let Err(error) = udp.handle(received).await {
            let note = format!("stopped: recvfrom goes on failing: {}", socket_error(&error));
            self.close(Some(note));
        }
    }
}

impl Open {
    fn bind(
        program: Program,
        address: SocketAddr,
        printer: Printer,
    ) -> io::Result<(Self, SocketAddr)> {
        match program.transport() {
            Transport::Udp => {
                let udp = UdpServer::open(program, address, printer)?;
                let local = udp.local_address()?;
                Ok((Self::Udp(udp), local))
            }
            Transport::Tcp => {
                let tcp = TcpServer::open(program, address, printer)?;
                let local = tcp.local_address()?;
                Ok((Self::Tcp(tcp), local))
            }
        }
    }

    fn greet(&self, address: SocketAddr) {
        match self {
            Self::Udp(udp) => udp.greet(address),
            Self::Tcp(tcp) => tcp.greet(address),
        }
    }
}

/// The next datagram of a program that reads; TCP is served meanwhile.
async fn next(open: Option<&mut Open>, paused: bool) -> io::Result<Arrival> {
    match open {
        Some(Open::Udp(udp)) if !paused => return udp.receive().await,
        Some(Open::Tcp(tcp)) if !paused => tcp.serve().await,
        _ => {}
    }
    std::future::pending().await
}

pub(super) fn transport_name(transport: Transport) -> &'static str {
    match transport {
        Transport::Udp => "udp",
        Transport::Tcp => "tcp",
    }
}

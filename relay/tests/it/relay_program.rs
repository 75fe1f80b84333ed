//! A relay to test: the program as people start it, or the library with settings of the test's own.

use std::net::SocketAddr;
use std::thread;

use relay::clock::Clock;
use relay::config::{Config, Limits};
use relay::http;
use relay::policy::{Access, Rule, Targets};
use relay::practice::{Ports, Practice, Settings};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use crate::program::{self, Ended, Program};

/// The program `relay`, serving.
pub(crate) struct Relay {
    pub(crate) program: Program,
    pub(crate) address: SocketAddr,
}

impl Relay {
    /// Without practice servers.
    pub(crate) fn plain() -> Self {
        Self::start(&["--no-practice"])
    }

    /// With its practice servers on the lessons' ports of `host`.
    pub(crate) fn with_practice(host: &str) -> Self {
        Self::start(&["--practice-host", host])
    }

    pub(crate) fn start(arguments: &[&str]) -> Self {
        let arguments = [&["--listen", "127.0.0.1:0"], arguments].concat();
        let program = program::relay(&arguments);
        program.line_with("Ctrl-C stops it");
        let address = program.line("its address", |line| {
            line.trim().strip_prefix("Open  http://").map(|address| address.parse().unwrap())
        });
        Self { program, address }
    }

    /// Bytes of memory that it holds.
    pub(crate) fn resident_bytes(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.program.id()));
        let status = status.expect("Linux tells what a process holds");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("it runs");
        line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number of kB") * 1024
    }

    pub(crate) fn ended(self) -> Ended {
        self.program.ended()
    }
}

/// A relay in this process, that stops when dropped.
pub(crate) struct Served {
    pub(crate) address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Served {
    /// A relay that permits what other machines on a network are permitted: its practice servers on
    /// ports that the system chose, and the rules of `also`. Gives their addresses too, in the order
    /// of [`relay::practice::Program::ALL`].
    pub(crate) fn as_on_a_network(also: &[&str], limits: Limits) -> (Self, Vec<SocketAddr>) {
        let also: Vec<Rule> = also.iter().map(|rule| rule.parse().unwrap()).collect();
        let (started, ready) = std::sync::mpsc::channel();
        let (stop, stopped) = oneshot::channel();
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime").block_on(async move {
                let clock = Clock::start();
                let settings = Settings { ports: Ports::ANY, ..Settings::default() };
                let practice = Practice::start(settings, clock, std::future::pending()).await;
                let servers: Vec<_> = practice.statuses().iter().map(|s| s.address).collect();
                let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
                let own = listener.local_addr().unwrap();
                started.send((own, servers.clone())).unwrap();
                let rules = servers.into_iter().map(Rule::exactly).chain(also).collect();
                let config = Config {
                    access: Access::default(),
                    targets: Targets::new(rules, Vec::new(), vec![own]),
                    limits,
                    share_servers: false,
                };
                let stopped = async { drop(stopped.await) };
                http::serve(listener, config, clock, practice, stopped).await;
            });
        });
        let (address, servers) = ready.recv().expect("the relay starts");
        (Self { address, stop: Some(stop), thread: Some(thread) }, servers)
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        drop(self.stop.take());
        let ended = self.thread.take().is_none_or(|thread| thread.join().is_ok());
        assert!(ended || thread::panicking(), "the relay panicked");
    }
}

//! Programs on the other side that others wrote: Python's own sockets. Ended when dropped.

use std::io::Write;
use std::net::UdpSocket;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use crate::browser::{follow, wait_for};

/// A Python program that runs beside the page.
pub(crate) struct Python {
    child: Child,
    output: Arc<Mutex<String>>,
}

impl Python {
    /// Runs a program text with arguments.
    pub(crate) fn run(program: &str, arguments: &[&str]) -> Self {
        let python = std::env::var("TEST_PYTHON").unwrap_or("python3".into());
        let mut child = Command::new(&python)
            .args(["-u", "-c", program])
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| {
                panic!("{python}: {error}; `cargo xtask test` installs what the tests need")
            });
        let output = Arc::new(Mutex::new(String::new()));
        follow(child.stdout.take().expect("it is piped"), output.clone());
        Self { child, output }
    }

    /// One of the lesson's programs.
    pub(crate) fn lesson(name: &str, arguments: &[&str]) -> Self {
        let path = format!("{}/tests/lessons/{name}.py", env!("CARGO_MANIFEST_DIR"));
        let program =
            std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
        Self::run(&program, arguments)
    }

    /// Waits until it has printed a text.
    pub(crate) fn until_printed(&self, part: &str) {
        wait_for(&format!("the program prints {part:?}"), || {
            self.printed().contains(part).then_some(())
        });
    }

    /// What it has printed.
    pub(crate) fn printed(&self) -> String {
        self.output.lock().expect("no reader panicked").clone()
    }

    /// Gives it a line to read.
    pub(crate) fn say(&mut self, line: &str) {
        let stdin = self.child.stdin.as_mut().expect("it is piped");
        writeln!(stdin, "{line}").expect("the program reads");
    }
}

impl Drop for Python {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A UDP port of 127.0.0.1 that nobody has at this moment.
pub(crate) fn free_port() -> u16 {
    let socket = UdpSocket::bind(("127.0.0.1", 0)).expect("a free port");
    socket.local_addr().expect("it is bound").port()
}

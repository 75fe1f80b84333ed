//! Programs that the tests start. They end when their test does, also when it fails.

use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// How long a condition may take to come about: far longer than it ever does.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);

/// A running program and all that it has printed.
pub(crate) struct Program {
    child: Child,
    shown: String,
    printed: Arc<(Mutex<Printed>, Condvar)>,
}

#[derive(Default)]
struct Printed {
    lines: Vec<(Stream, String)>,
    ended_streams: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stream {
    Output,
    Error,
}

/// How a program ended.
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    pub(crate) output: String,
    pub(crate) errors: String,
}

impl Program {
    pub(crate) fn start(command: &mut Command) -> Self {
        let shown = format!("{command:?}");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| {
            panic!("{shown} does not start ({error}); `cargo xtask test` provides what tests need")
        });
        let printed = Arc::<(Mutex<Printed>, Condvar)>::default();
        let output = child.stdout.take().expect("stdout is piped above");
        let errors = child.stderr.take().expect("stderr is piped above");
        gather(output, Stream::Output, printed.clone());
        gather(errors, Stream::Error, printed.clone());
        Self { child, shown, printed }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits for a line, on either stream, of which `pick` makes something.
    pub(crate) fn line<T>(&self, what: &str, mut pick: impl FnMut(&str) -> Option<T>) -> T {
        let (printed, changed) = &*self.printed;
        let mut printed = printed.lock().unwrap_or_else(PoisonError::into_inner);
        let (start, mut seen) = (Instant::now(), 0);
        loop {
            let found = printed.lines[seen..].iter().find_map(|(_, line)| pick(line));
            if let Some(found) = found {
                return found;
            }
            seen = printed.lines.len();
            let left = DEADLINE.saturating_sub(start.elapsed());
            assert!(
                printed.ended_streams < 2 && !left.is_zero(),
                "{} did not print {what}, but:\n{}",
                self.shown,
                printed.lines.iter().map(|(_, line)| line.as_str()).collect::<Vec<_>>().join("\n")
            );
            let waited = changed.wait_timeout(printed, left);
            printed = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Waits for a line that contains `text`.
    pub(crate) fn line_with(&self, text: &str) -> String {
        self.line(&format!("{text:?}"), |line| line.contains(text).then(|| line.to_owned()))
    }

    /// Sends the signal of this name (`TERM`, `INT`), as a person's `kill` does.
    pub(crate) fn signal(&self, name: &str) {
        let kill = format!("kill -{name} {}", self.id());
        let status = Command::new("sh").args(["-c", &kill]).status().expect("a shell is there");
        assert!(status.success(), "{kill}: {status}");
    }

    /// Waits until the program has ended by itself.
    pub(crate) fn ended(mut self) -> Ended {
        let shown = self.shown.clone();
        let mut status = None;
        eventually(&format!("the end of {shown}"), || {
            status = self.child.try_wait().expect("a child can be waited for");
            status.is_some()
        });
        let (printed, changed) = &*self.printed;
        let mut printed = printed.lock().unwrap_or_else(PoisonError::into_inner);
        while printed.ended_streams < 2 {
            printed = changed.wait(printed).unwrap_or_else(PoisonError::into_inner);
        }
        let of = |wanted| {
            let lines = printed.lines.iter().filter(|(stream, _)| *stream == wanted);
            lines.flat_map(|(_, line)| [line, "\n"]).collect()
        };
        let status = status.expect("the condition above");
        Ended { status, output: of(Stream::Output), errors: of(Stream::Error) }
    }
}

impl Ended {
    /// What it printed, if it ended well.
    pub(crate) fn well(self) -> String {
        assert!(self.status.success(), "{}\n{}{}", self.status, self.output, self.errors);
        self.output
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended already, which is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn gather(from: impl Read + Send + 'static, stream: Stream, into: Arc<(Mutex<Printed>, Condvar)>) {
    thread::spawn(move || {
        let (printed, changed) = &*into;
        let mut from = BufReader::new(from);
        loop {
            let mut line = Vec::new();
            let read = from.read_until(b'\n', &mut line);
            let mut printed = printed.lock().unwrap_or_else(PoisonError::into_inner);
            if matches!(read, Ok(bytes) if bytes > 0) {
                let text = String::from_utf8_lossy(&line);
                printed.lines.push((stream, text.trim_end().to_owned()));
            } else {
                printed.ended_streams += 1;
                changed.notify_all();
                return;
            }
            changed.notify_all();
        }
    });
}

/// Waits for a condition that nothing announces.
pub(crate) fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < DEADLINE, "{what} did not come about");
        thread::sleep(Duration::from_millis(2));
    }
}

/// The relay's own program.
pub(crate) fn relay(arguments: &[&str]) -> Program {
    Program::start(Command::new(env!("CARGO_BIN_EXE_relay")).args(arguments))
}

/// A program from `tests/`, in Python.
pub(crate) fn python(script: &str, arguments: &[&str]) -> Program {
    let tests = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests");
    let mut command = tool("TEST_PYTHON", "python3");
    Program::start(command.arg("-u").arg(tests.join(script)).args(arguments))
}

/// A tool that `cargo xtask test` found, or the one on the path.
pub(crate) fn tool(variable: &str, name: &str) -> Command {
    Command::new(std::env::var_os(variable).unwrap_or_else(|| name.into()))
}

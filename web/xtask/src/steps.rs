//! `cargo xtask test`: one step after the other, the first failure ends it; never hides what a step prints.

use std::ffi::OsString;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::process::{Command, ExitCode, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context as _;

use crate::cargo::{Workspace, cargo, check, line};
use crate::{needs, page};

pub(crate) fn test(filter: &[OsString]) -> anyhow::Result<ExitCode> {
    let mut table = Table::default();
    let tests = prepare_and_test(&mut table, filter);
    println!("\n{}", table.text());
    let Tests { mut tally, status } = tests?;

    if !status.success() && tally.failed == 0 {
        println!("a test program was not built or ended early ({status}): counted as one failure");
        tally.failed = 1;
    }
    if tally.passed + tally.failed == 0 {
        println!("no test ran: no name contains one of {filter:?}");
    }
    println!("{} passed, {} failed", tally.passed, tally.failed);
    let good = tally.failed == 0 && tally.passed > 0;
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn prepare_and_test(table: &mut Table, filter: &[OsString]) -> anyhow::Result<Tests> {
    let workspace = Workspace::locate()?;
    let tools = table.step("needs", "cargo xtask test", || needs::for_tests(&workspace))?;
    table.command("format", &mut cargo(["fmt", "--all", "--check"]))?;
    table.step("page", "cargo xtask page", || page::build(&workspace)?.report())?;
    let strict = ["--", "-D", "warnings"];
    let everywhere = ["clippy", "--workspace", "--all-targets"];
    table.command("clippy", &mut cargo(everywhere.into_iter().chain(strict)))?;
    let wasm = ["clippy", "--package", "web", "--lib", "--target", needs::WASM_TARGET];
    table.command("clippy, wasm", &mut cargo(wasm.into_iter().chain(strict)))?;
    table.command(
        "documentation",
        cargo(["doc", "--workspace", "--no-deps"]).env("RUSTDOCFLAGS", "-D warnings"),
    )?;

    let mut tests = cargo(["test", "--workspace", "--no-fail-fast"]);
    tests.envs(tools);
    if !filter.is_empty() {
        tests.arg("--").args(filter);
    }
    table.tests(tests)
}

struct Tests {
    tally: Tally,
    status: ExitStatus,
}

#[derive(Default)]
struct Table {
    rows: Vec<(&'static str, &'static str, Duration)>,
}

impl Table {
    fn command(&mut self, name: &'static str, command: &mut Command) -> anyhow::Result<()> {
        let repeat = line(command);
        self.step(name, &repeat, || check(command))
    }

    fn step<T>(
        &mut self,
        name: &'static str,
        repeat: &str,
        work: impl FnOnce() -> anyhow::Result<T>,
    ) -> anyhow::Result<T> {
        eprintln!("\n==> {name}");
        let started = Instant::now();
        let result = work();
        self.rows.push((name, if result.is_ok() { "ok" } else { "FAILED" }, started.elapsed()));
        result.with_context(|| format!("step `{name}` failed; to repeat it: {repeat}"))
    }

    /// A failed test is an outcome to count, not an error that ends the run.
    fn tests(&mut self, command: Command) -> anyhow::Result<Tests> {
        const NAME: &str = "tests";
        let repeat = line(&command);
        let tests = self.step(NAME, &repeat, || count_while_shown(command))?;
        if let Some(row) = self.rows.last_mut().filter(|_| !tests.status.success()) {
            row.1 = "FAILED";
        }
        Ok(tests)
    }

    fn text(&self) -> String {
        let row = |&(name, outcome, took): &(&str, &str, Duration)| {
            format!("{name:<14}  {outcome:<7}  {:>7.1}", took.as_secs_f64())
        };
        let heading = format!("{:<14}  {:<7}  {:>7}", "step", "outcome", "seconds");
        [heading].into_iter().chain(self.rows.iter().map(row)).collect::<Vec<_>>().join("\n")
    }
}

fn count_while_shown(mut command: Command) -> anyhow::Result<Tests> {
    eprintln!("$ {}", line(&command));
    let mut child = command.stdout(Stdio::piped()).spawn().context("cargo does not start")?;
    let mut from_child = BufReader::new(child.stdout.take().expect("stdout is piped above"));
    let mut tally = Tally::default();
    let mut printed = Vec::new();
    while from_child.read_until(b'\n', &mut printed)? > 0 {
        let mut stdout = io::stdout().lock();
        stdout.write_all(&printed)?;
        stdout.flush()?;
        tally.count(&String::from_utf8_lossy(&printed));
        printed.clear();
    }
    Ok(Tests { tally, status: child.wait()? })
}

#[derive(Debug, Default, PartialEq)]
struct Tally {
    passed: u64,
    failed: u64,
}

impl Tally {
    /// Takes the summary each test program ends with, and no other line.
    fn count(&mut self, printed: &str) {
        let Some(summary) = printed.strip_prefix("test result: ") else { return };
        for part in summary.split(['.', ';']) {
            match part.trim().split_once(' ') {
                Some((number, "passed")) => self.passed += number.parse().unwrap_or(0),
                Some((number, "failed")) => self.failed += number.parse().unwrap_or(0),
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn summaries_are_added_up() {
        let mut tally = Tally::default();
        for printed in [
            "running 3 tests\n",
            "test tests::summaries ... ok\n",
            "test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 2 filtered out; finished in 0.12s\n",
            "\n",
            "test result: FAILED. 40 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.00s\n",
        ] {
            tally.count(printed);
        }
        assert_eq!(tally, Tally { passed: 43, failed: 2 });
    }

    #[test]
    fn a_line_that_only_talks_of_results_is_not_one() {
        let mut tally = Tally::default();
        tally.count("it printed: test result: ok. 3 passed; 0 failed");
        tally.count("test result: ok. many passed; none failed");
        assert_eq!(tally, Tally::default());
    }

    #[test]
    fn the_table_has_a_row_a_step() {
        let table = Table {
            rows: vec![
                ("needs", "ok", Duration::from_millis(1_260)),
                ("clippy", "FAILED", Duration::from_secs(75)),
            ],
        };
        assert_eq!(
            table.text(),
            "step            outcome  seconds\n\
             needs           ok           1.3\n\
             clippy          FAILED      75.0"
        );
    }

    #[test]
    fn a_failed_step_says_how_to_repeat_it() {
        let mut table = Table::default();
        let failed = table.step("format", "cargo fmt --all --check", || -> anyhow::Result<()> {
            anyhow::bail!("it ended with 1")
        });
        assert_eq!(
            format!("{:#}", failed.expect_err("the step fails")),
            "step `format` failed; to repeat it: cargo fmt --all --check: it ended with 1"
        );
        assert_eq!(table.rows[0].1, "FAILED");
    }
}

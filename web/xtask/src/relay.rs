//! The relay with the page inside: builds it, and runs it in xtask's place; never changes what the relay is told or answers.

use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

use anyhow::Context as _;
use serde_json::Value;

use crate::cargo::{self, Workspace};
use crate::page;

const RELAY: &str = "relay";

pub(crate) fn run(arguments: &[OsString]) -> anyhow::Result<ExitCode> {
    page::build(&Workspace::locate()?)?;
    let relay = cargo::build(["--package", RELAY], executable)?;
    let mut command = Command::new(&relay);
    command.args(arguments);
    become_it(command).with_context(|| format!("cannot run {}", relay.display()))
}

pub(crate) fn build() -> anyhow::Result<ExitCode> {
    let page = page::build(&Workspace::locate()?)?;
    let relay = cargo::build(["--release", "--package", RELAY], executable)?;
    let size =
        fs::metadata(&relay).with_context(|| format!("cannot read {}", relay.display()))?.len();
    println!("{}  {}", relay.display(), page::kilobytes(size));
    page.report()?;
    Ok(ExitCode::SUCCESS)
}

fn executable(artifact: &Value) -> Option<PathBuf> {
    if artifact["target"]["name"] != RELAY {
        return None;
    }
    artifact["executable"].as_str().map(PathBuf::from)
}

/// One process is left, so every signal and the exit status are the relay's own.
#[cfg(unix)]
fn become_it(mut command: Command) -> std::io::Result<ExitCode> {
    use std::os::unix::process::CommandExt as _;
    Err(command.exec())
}

#[cfg(not(unix))]
fn become_it(mut command: Command) -> std::io::Result<ExitCode> {
    let code = command.status()?.code();
    Ok(code.and_then(|code| u8::try_from(code).ok()).map_or(ExitCode::FAILURE, ExitCode::from))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_relay_is_its_executable_and_not_its_library() {
        let library = serde_json::json!({ "target": { "name": "relay" }, "executable": null });
        let other = serde_json::json!({ "target": { "name": "web" }, "executable": "/t/web" });
        let program =
            serde_json::json!({ "target": { "name": "relay" }, "executable": "/t/relay" });
        assert_eq!(executable(&library), None);
        assert_eq!(executable(&other), None);
        assert_eq!(executable(&program), Some(PathBuf::from("/t/relay")));
    }
}

//! Child processes, cargo first among them: runs what it is given and says so; never decides what to build.

use std::env;
use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail};
use serde_json::Value;

/// Where cargo says that things are, `CARGO_TARGET_DIR` and configuration files included.
pub(crate) struct Workspace {
    pub(crate) root: PathBuf,
    pub(crate) target: PathBuf,
}

impl Workspace {
    pub(crate) fn locate() -> anyhow::Result<Self> {
        let output = cargo(["metadata", "--no-deps", "--format-version", "1"])
            .stderr(Stdio::inherit())
            .output()
            .context("cargo metadata does not start")?;
        if !output.status.success() {
            bail!("cargo metadata ended with {}", output.status);
        }
        let metadata: Value = serde_json::from_slice(&output.stdout)
            .context("cargo metadata answered something other than JSON")?;
        let path = |key: &str| {
            metadata[key].as_str().map(PathBuf::from).with_context(|| format!("no {key} in it"))
        };
        Ok(Self { root: path("workspace_root")?, target: path("target_directory")? })
    }
}

/// Children keep the working directory: a relative `CARGO_TARGET_DIR` means the same to all.
pub(crate) fn cargo<'a>(arguments: impl IntoIterator<Item = &'a str>) -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    // `cargo run` describes xtask in these; a build script that watches one would run again for it.
    for (name, _) in env::vars_os() {
        if name.to_str().is_some_and(|name| {
            name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_")
        }) {
            command.env_remove(name);
        }
    }
    command.args(arguments);
    command
}

/// Builds, and returns the file that `pick` finds in the artifacts cargo reports.
pub(crate) fn build<'a>(
    arguments: impl IntoIterator<Item = &'a str>,
    pick: impl Fn(&Value) -> Option<PathBuf>,
) -> anyhow::Result<PathBuf> {
    let mut command = cargo(["build"]);
    command.args(arguments);
    let shown = line(&command);
    eprintln!("$ {shown}");

    let mut child = command
        .arg("--message-format=json-render-diagnostics")
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("`{shown}` does not start"))?;
    let stdout = child.stdout.take().expect("stdout is piped above");
    let mut built = None;
    for message in BufReader::new(stdout).lines() {
        let message = message.with_context(|| format!("`{shown}` cannot be read"))?;
        let Ok(message) = serde_json::from_str::<Value>(&message) else { continue };
        if message["reason"] == "compiler-artifact" {
            built = pick(&message).or(built);
        }
    }
    let status = child.wait().with_context(|| format!("`{shown}` cannot be waited for"))?;
    if !status.success() {
        bail!("`{shown}` ended with {status}");
    }
    built.with_context(|| format!("`{shown}` built no such file"))
}

/// Shows the command, runs it and fails unless it succeeds.
pub(crate) fn check(command: &mut Command) -> anyhow::Result<()> {
    let shown = line(command);
    eprintln!("$ {shown}");
    let status = command.status().with_context(|| format!("`{shown}` does not start"))?;
    if !status.success() {
        bail!("`{shown}` ended with {status}");
    }
    Ok(())
}

/// The command as a person types it.
pub(crate) fn line(command: &Command) -> String {
    let is_cargo = env::var_os("CARGO").is_some_and(|cargo| cargo == command.get_program());
    let program = if is_cargo { "cargo".into() } else { command.get_program().to_string_lossy() };
    let environment = command.get_envs().filter_map(|(name, value)| {
        Some(format!("{}={}", name.to_string_lossy(), quoted(&value?.to_string_lossy())))
    });
    let arguments = command.get_args().map(|argument| quoted(&argument.to_string_lossy()));
    environment.chain([quoted(&program)]).chain(arguments).collect::<Vec<_>>().join(" ")
}

fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "-_./:=+,@".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_shown_so_that_a_shell_takes_it_back() {
        let mut command = Command::new("tool");
        command.args(["--all", "-D warnings", "it's", ""]).env("FLAGS", "-D warnings");
        command.env_remove("OTHER");
        assert_eq!(line(&command), r"FLAGS='-D warnings' tool --all '-D warnings' 'it'\''s' ''");
    }
}

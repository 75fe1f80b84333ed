//! What a machine must have for the page and the tests: looks by running it, installs or names one command; never guesses.

use std::env;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail};

use crate::cargo::{self, Workspace, cargo, check};

pub(crate) const WASM_TARGET: &str = "wasm32-unknown-unknown";

const WEBSOCKETS: &str = "17.4";

/// Where Debian keeps dnsmasq, outside the `PATH` of anyone but root.
const SYSTEM_DIRECTORIES: [&str; 3] = ["/usr/local/sbin", "/usr/sbin", "/sbin"];

struct Need {
    what: &'static str,
    /// Any of these will do, the first that runs.
    names: &'static [&'static str],
    probe: &'static [&'static str],
    /// Hands the path to the tests, and names a program that is somewhere else.
    variable: Option<&'static str>,
    apt: &'static str,
    brew: &'static str,
}

static PROGRAMS: [Need; 4] = [
    Need {
        what: "chromium",
        names: &[
            "chromium",
            "google-chrome",
            "chromium-browser",
            "/Applications/Chromium.app/Contents/MacOS/Chromium",
            "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
        ],
        probe: &["--version"],
        variable: Some("TEST_CHROMIUM"),
        apt: "chromium",
        brew: "chromium",
    },
    Need {
        what: "chromedriver",
        names: &["chromedriver"],
        probe: &["--version"],
        variable: Some("TEST_CHROMEDRIVER"),
        apt: "chromium-driver",
        brew: "chromedriver",
    },
    Need {
        what: "dnsmasq",
        names: &["dnsmasq"],
        probe: &["--version"],
        variable: Some("TEST_DNSMASQ"),
        apt: "dnsmasq-base",
        brew: "dnsmasq",
    },
    Need {
        what: "dig",
        names: &["dig"],
        probe: &["-v"],
        variable: Some("TEST_DIG"),
        apt: "bind9-dnsutils",
        brew: "bind",
    },
];

static PYTHON: Need = Need {
    what: "python3",
    names: &["python3"],
    probe: &["--version"],
    variable: None,
    apt: "python3",
    brew: "python",
};

/// Debian packs Python and what makes virtual environments apart.
static PYTHON_VENV: Need = Need {
    what: "python3 with venv and pip",
    names: &["python3"],
    probe: &["-c", "import sys, venv, ensurepip; print('Python', sys.version.split()[0])"],
    variable: None,
    apt: "python3-venv",
    brew: "python",
};

/// The environment in which `cargo test` finds its tools.
pub(crate) type Tools = Vec<(&'static str, PathBuf)>;

pub(crate) fn for_tests(workspace: &Workspace) -> anyhow::Result<Tools> {
    wasm_target()?;
    component("fmt", "rustfmt")?;
    component("clippy", "clippy")?;

    let needs: Vec<&Need> = PROGRAMS.iter().chain([&PYTHON, &PYTHON_VENV]).collect();
    for variable in needs.iter().filter_map(|need| need.variable.filter(|_| find(need).is_none())) {
        if let Some(given) = env::var_os(variable) {
            bail!("{variable} is {}, which does not run", given.display());
        }
    }
    let missing = missing(&needs);
    if !missing.is_empty() {
        install(&missing)?;
    }
    let mut tools = Tools::new();
    for need in &PROGRAMS {
        let path = shown(need)?;
        tools.extend(need.variable.map(|variable| (variable, path)));
    }
    let python3 = shown(&PYTHON_VENV)?;
    tools.push(("TEST_PYTHON", python_with_websockets(&workspace.target, &python3)?));
    Ok(tools)
}

fn shown(need: &Need) -> anyhow::Result<PathBuf> {
    let Some(Found { path, answer }) = find(need) else {
        bail!("{} ran a moment ago and does not run now", need.what);
    };
    eprintln!("{:<26} {}  ({answer})", need.what, path.display());
    Ok(path)
}

pub(crate) fn wasm_target() -> anyhow::Result<()> {
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let library = answer(Path::new(&rustc), ["--print", "target-libdir", "--target", WASM_TARGET])
        .context("rustc does not run")?;
    if Path::new(&library).is_dir() {
        return Ok(());
    }
    rustup(["target", "add", WASM_TARGET])
}

fn component(subcommand: &str, name: &str) -> anyhow::Result<()> {
    let probe =
        cargo([subcommand, "--version"]).stdout(Stdio::null()).stderr(Stdio::null()).status();
    if probe.is_ok_and(|status| status.success()) {
        return Ok(());
    }
    rustup(["component", "add", name])
}

fn rustup<const N: usize>(arguments: [&str; N]) -> anyhow::Result<()> {
    let mut command = Command::new("rustup");
    command.args(arguments);
    let shown = cargo::line(&command);
    if answer(Path::new("rustup"), ["--version"]).is_none() {
        let wanted = arguments.last().copied().unwrap_or_default();
        bail!(
            "{wanted} is missing and so is rustup, which adds it: \
             install rustup from https://rustup.rs, then type `{shown}`"
        );
    }
    check(&mut command).with_context(|| format!("with a network, type `{shown}`"))
}

struct Found {
    path: PathBuf,
    answer: String,
}

fn missing<'a>(needs: &[&'a Need]) -> Vec<&'a Need> {
    needs.iter().copied().filter(|need| find(need).is_none()).collect()
}

fn find(need: &Need) -> Option<Found> {
    let given = need.variable.and_then(env::var_os).map(PathBuf::from);
    let candidates = match given {
        Some(path) => vec![path],
        None => candidates(need.names, env::var_os("PATH").as_deref()),
    };
    candidates.into_iter().filter(|path| path.is_file()).find_map(|path| {
        let answer = answer(&path, need.probe.iter().copied())?;
        Some(Found { path, answer })
    })
}

fn candidates(names: &[&str], path: Option<&OsStr>) -> Vec<PathBuf> {
    let directories: Vec<PathBuf> = path
        .into_iter()
        .flat_map(env::split_paths)
        .filter(|directory| directory.is_absolute())
        .chain(SYSTEM_DIRECTORIES.map(PathBuf::from))
        .collect();
    let file = |name: &str| format!("{name}{}", env::consts::EXE_SUFFIX);
    names
        .iter()
        .flat_map(|name| directories.iter().map(move |directory| directory.join(file(name))))
        .collect()
}

/// The first line a program prints when it runs well, or nothing.
fn answer<'a>(program: &Path, arguments: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let output = Command::new(program).args(arguments).stdin(Stdio::null()).output().ok()?;
    if !output.status.success() {
        return None;
    }
    let printed = if output.stdout.is_empty() { output.stderr } else { output.stdout };
    Some(String::from_utf8_lossy(&printed).lines().next().unwrap_or_default().trim().to_owned())
}

#[derive(Clone, Copy)]
enum Machine {
    DebianAsRoot,
    Debian,
    MacOs,
    Other,
}

impl Machine {
    fn this() -> Self {
        if cfg!(target_os = "macos") {
            return Self::MacOs;
        }
        if answer(Path::new("apt-get"), ["--version"]).is_none() {
            return Self::Other;
        }
        match answer(Path::new("id"), ["-u"]).as_deref() {
            Some("0") => Self::DebianAsRoot,
            _ => Self::Debian,
        }
    }
}

#[derive(Debug, PartialEq)]
enum Remedy {
    AptGet(Vec<&'static str>),
    Tell(String),
}

fn install(missing: &[&Need]) -> anyhow::Result<()> {
    let packages = match remedy(Machine::this(), missing) {
        Remedy::Tell(what_to_do) => bail!(what_to_do),
        Remedy::AptGet(packages) => packages,
    };
    let apt_get = |arguments: &[&str]| {
        check(Command::new("apt-get").args(arguments).env("DEBIAN_FRONTEND", "noninteractive"))
    };
    apt_get(&["update"])?;
    apt_get(&[&["install", "-y", "--no-install-recommends"], packages.as_slice()].concat())?;
    let still: Vec<&Need> = self::missing(missing);
    if !still.is_empty() {
        bail!("installed, but this does not run: {}", list(&still));
    }
    Ok(())
}

fn remedy(machine: Machine, missing: &[&Need]) -> Remedy {
    let apt: Vec<&str> = missing.iter().map(|need| need.apt).collect();
    let named = list(missing);
    match machine {
        Machine::DebianAsRoot => Remedy::AptGet(apt),
        Machine::Debian => Remedy::Tell(format!(
            "missing: {named}; type `sudo apt-get install -y --no-install-recommends {}`",
            apt.join(" ")
        )),
        Machine::MacOs => {
            let mut brew: Vec<&str> = missing.iter().map(|need| need.brew).collect();
            brew.dedup();
            Remedy::Tell(format!("missing: {named}; type `brew install {}`", brew.join(" ")))
        }
        Machine::Other => {
            let variables: Vec<&str> = missing.iter().filter_map(|need| need.variable).collect();
            let elsewhere = if variables.is_empty() {
                String::new()
            } else {
                format!(", or give its path in {}", variables.join(", "))
            };
            Remedy::Tell(format!("missing: {named}; install it{elsewhere}"))
        }
    }
}

fn list(needs: &[&Need]) -> String {
    needs.iter().map(|need| need.what).collect::<Vec<_>>().join(", ")
}

fn python_with_websockets(target: &Path, python3: &Path) -> anyhow::Result<PathBuf> {
    let home = target.join("test-python");
    let python = home.join(if cfg!(windows) { "Scripts/python.exe" } else { "bin/python3" });
    let import = format!(
        "import websockets as w; print('websockets', w.__version__); \
         assert w.__version__ == '{WEBSOCKETS}'"
    );
    let probe = || answer(&python, ["-c", import.as_str()]);
    if probe().is_none() {
        // `--clear`: what stands there may be half made, or of a Python that has gone.
        check(Command::new(python3).args(["-m", "venv", "--clear"]).arg(&home))
            .context("the tests need a virtual environment")?;
        let package = format!("websockets=={WEBSOCKETS}");
        let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", &package];
        check(Command::new(&python).args(pip))
            .context("the tests need a Python WebSocket client, from the network once")?;
    }
    let Some(version) = probe() else {
        bail!("{} has websockets {WEBSOCKETS} and cannot import it", python.display());
    };
    eprintln!("{:<26} {}  ({version})", "python3 for the tests", python.display());
    Ok(python)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn need(what: &str) -> &'static Need {
        let mut all = PROGRAMS.iter().chain([&PYTHON, &PYTHON_VENV]);
        all.find(|need| need.what == what).expect("the test names a need that is listed")
    }

    #[test]
    fn root_on_debian_installs_exactly_what_is_missing() {
        let missing = [need("chromedriver"), need("python3 with venv and pip")];
        assert_eq!(
            remedy(Machine::DebianAsRoot, &missing),
            Remedy::AptGet(vec!["chromium-driver", "python3-venv"])
        );
    }

    #[test]
    fn others_on_debian_are_given_one_command() {
        assert_eq!(
            remedy(Machine::Debian, &[need("dnsmasq"), need("dig")]),
            Remedy::Tell(
                "missing: dnsmasq, dig; type \
                 `sudo apt-get install -y --no-install-recommends dnsmasq-base bind9-dnsutils`"
                    .to_owned()
            )
        );
    }

    #[test]
    fn macos_names_a_formula_once() {
        let missing = [need("dig"), need("python3"), need("python3 with venv and pip")];
        assert_eq!(
            remedy(Machine::MacOs, &missing),
            Remedy::Tell(
                "missing: dig, python3, python3 with venv and pip; type `brew install bind python`"
                    .to_owned()
            )
        );
    }

    #[test]
    fn elsewhere_the_variables_are_named() {
        assert_eq!(
            remedy(Machine::Other, &[need("chromium")]),
            Remedy::Tell(
                "missing: chromium; install it, or give its path in TEST_CHROMIUM".to_owned()
            )
        );
        assert_eq!(
            remedy(Machine::Other, &[need("python3")]),
            Remedy::Tell("missing: python3; install it".to_owned())
        );
    }

    #[cfg(unix)]
    #[test]
    fn a_name_is_looked_for_in_path_then_in_the_system_directories() {
        let found = candidates(&["a", "/b"], Some(OsStr::new("/one::relative:/two")));
        let found: Vec<&str> = found.iter().filter_map(|path| path.to_str()).collect();
        assert_eq!(found[..5], ["/one/a", "/two/a", "/usr/local/sbin/a", "/usr/sbin/a", "/sbin/a"]);
        assert_eq!(found[5], "/b");
    }
}

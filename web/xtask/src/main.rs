//! `cargo xtask …`: parses the command, then one `match`; never does what a plain cargo command does alone.

mod cargo;
mod measure;
mod needs;
mod page;
mod relay;
mod shorten;
mod steps;

use std::env;
use std::ffi::OsString;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

const USAGE: &str = "\
usage: cargo xtask COMMAND

  run [-- ARGUMENTS]  build the page and the relay, then run the relay with ARGUMENTS
  build               build the page and the release relay, and print their sizes
  page                build the page alone, into www/pkg
  test [FILTER…]      install what the tests need, then check and test everything
  measure [--into DIR]
                      measure the figures of the README and write them into it, or
                      into a copy of it in DIR
  help                print this";

const KNOWN: &str = "run, build, page, test, measure, help";

#[derive(Debug, PartialEq)]
enum Command {
    Run(Vec<OsString>),
    Build,
    Page,
    Test(Vec<OsString>),
    Measure(Option<PathBuf>),
    Help,
}

fn main() -> ExitCode {
    let command = match parse(env::args_os().skip(1)) {
        Ok(command) => command,
        Err(wrong_usage) => {
            eprintln!("error: {wrong_usage}");
            return ExitCode::from(2);
        }
    };
    let outcome = match command {
        Command::Run(arguments) => relay::run(&arguments),
        Command::Build => relay::build(),
        Command::Page => page::build_and_report(),
        Command::Test(filter) => steps::test(&filter),
        Command::Measure(into) => measure::measure(into),
        Command::Help => {
            // A reader such as `head` may close the pipe early.
            let _ = writeln!(io::stdout(), "{USAGE}");
            Ok(ExitCode::SUCCESS)
        }
    };
    outcome.unwrap_or_else(|error| {
        eprintln!("error: {error}");
        for cause in error.chain().skip(1) {
            eprintln!("  because {cause}");
        }
        ExitCode::FAILURE
    })
}

fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Command, String> {
    let mut arguments = arguments.into_iter();
    let Some(name) = arguments.next() else { return Ok(Command::Help) };
    let mut rest: Vec<OsString> = arguments.collect();
    if rest.first().is_some_and(|first| first == "--") {
        rest.remove(0);
    }
    let name = name.to_string_lossy();
    let command = match name.as_ref() {
        "run" => return Ok(Command::Run(rest)),
        "test" => return Ok(Command::Test(rest)),
        "measure" => return measure_into(&rest).map(Command::Measure),
        "build" => Command::Build,
        "page" => Command::Page,
        "help" | "--help" | "-h" => return Ok(Command::Help),
        _ => return Err(format!("unknown command `{name}`, known are: {KNOWN}")),
    };
    match rest.first() {
        None => Ok(command),
        Some(extra) => Err(format!("`{name}` takes no arguments, got `{}`", extra.display())),
    }
}

fn measure_into(rest: &[OsString]) -> Result<Option<PathBuf>, String> {
    match rest {
        [] => Ok(None),
        [into, folder] if into == "--into" => Ok(Some(folder.into())),
        _ => Err("`measure` takes nothing, or --into and a folder".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Command, String> {
        parse(line.split_whitespace().map(OsString::from))
    }

    #[test]
    fn nothing_asks_for_help() {
        assert_eq!(parsed(""), Ok(Command::Help));
        assert_eq!(parsed("help"), Ok(Command::Help));
    }

    #[test]
    fn relay_arguments_come_with_or_without_the_dashes() {
        let wanted = Command::Run(vec!["serve".into(), "--port".into(), "0".into()]);
        assert_eq!(parsed("run -- serve --port 0").as_ref(), Ok(&wanted));
        assert_eq!(parsed("run serve --port 0").as_ref(), Ok(&wanted));
    }

    #[test]
    fn only_the_first_dashes_are_ours() {
        let wanted = Command::Run(vec!["client".into(), "--".into(), "-x".into()]);
        assert_eq!(parsed("run -- client -- -x"), Ok(wanted));
    }

    #[test]
    fn a_wrong_word_is_named_with_the_known_ones() {
        let message = parsed("tset").expect_err("no such command");
        assert_eq!(message, format!("unknown command `tset`, known are: {KNOWN}"));
        assert_eq!(parsed("page now"), Err("`page` takes no arguments, got `now`".to_owned()));
    }

    #[test]
    fn a_copy_of_the_readme_goes_into_a_folder() {
        assert_eq!(parsed("measure"), Ok(Command::Measure(None)));
        assert_eq!(parsed("measure --into x"), Ok(Command::Measure(Some("x".into()))));
        assert!(parsed("measure x").is_err());
    }

    #[test]
    fn usage_names_each_known_command() {
        for name in KNOWN.split(", ") {
            assert!(USAGE.contains(&format!("\n  {name} ")), "usage leaves out {name}");
        }
    }
}

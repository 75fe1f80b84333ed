//! `cargo xtask measure`: runs the benchmark of figures and puts its table, and fresh screenshots,
//! into the README, or into a copy of it elsewhere; never judges what was measured.

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, bail};

use crate::cargo::{Workspace, cargo, line};
use crate::{needs, page};

const BEGIN: &str = "<!-- figures: written by `cargo xtask measure` -->\n";
const END: &str = "<!-- end of figures -->";

/// Where the copy goes; none for the project's own README.
pub(crate) fn measure(into: Option<PathBuf>) -> anyhow::Result<ExitCode> {
    let workspace = Workspace::locate()?;
    let readme = workspace.root.join("README.md");
    let folder = into.unwrap_or_else(|| workspace.root.clone());
    let tools = needs::for_tests(&workspace)?;
    page::build(&workspace)?.report()?;
    let mut figures = cargo(["bench", "--package", "relay", "--bench", "figures"]);
    figures.env("SCREENSHOTS", folder.join("web/screenshots"));
    figures.envs(tools).stderr(std::process::Stdio::inherit());
    eprintln!("$ {}", line(&figures));
    let output = figures.output().context("cargo bench does not start")?;
    if !output.status.success() {
        bail!("`{}` ended with {}", line(&figures), output.status);
    }
    let table = String::from_utf8(output.stdout).context("the figures are not UTF-8")?;
    println!("{table}");
    let text = fs::read_to_string(&readme).context("README.md cannot be read")?;
    fs::write(folder.join("README.md"), replaced(&text, table.trim())?)
        .context("README.md cannot be written")?;
    Ok(ExitCode::SUCCESS)
}

fn replaced(readme: &str, table: &str) -> anyhow::Result<String> {
    let parts =
        readme.split_once(BEGIN).and_then(|(before, rest)| Some((before, rest.split_once(END)?.1)));
    let Some((before, after)) = parts else {
        bail!("README.md lacks the lines {BEGIN:?} and {END:?}, between which the table goes");
    };
    Ok(format!("{before}{BEGIN}{table}\n{END}{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_takes_the_place_of_the_old_one() {
        let readme = format!("before\n{BEGIN}old\n{END}\nafter\n");
        let new = replaced(&readme, "| new |").expect("both marks are there");
        assert_eq!(new, format!("before\n{BEGIN}| new |\n{END}\nafter\n"));
        assert!(replaced("no marks", "| new |").is_err());
    }

    #[test]
    fn the_readme_has_the_marks() {
        let readme = include_str!("../../../README.md");
        assert!(replaced(readme, "").is_ok());
    }
}

//! The page's wasm and its glue, from the crate `web` into `www/pkg`; never touches a file there whose bytes are right.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::Value;
use wasm_bindgen_cli_support::Bindgen;

use crate::cargo::{self, Workspace};
use crate::needs;
use crate::shorten::shorten;

/// The package and library in `web/`, and so the stem of the generated files.
const WEB: &str = "web";

const BUILD: [&str; 7] =
    ["--package", WEB, "--lib", "--target", needs::WASM_TARGET, "--profile", "page"];

pub(crate) struct Page {
    glue: PathBuf,
    wasm: PathBuf,
}

pub(crate) fn build_and_report() -> anyhow::Result<ExitCode> {
    let workspace = Workspace::locate()?;
    build(&workspace)?.report()?;
    Ok(ExitCode::SUCCESS)
}

pub(crate) fn build(workspace: &Workspace) -> anyhow::Result<Page> {
    needs::wasm_target()?;
    let input = cargo::build(BUILD, wasm_file)?;

    let staging = workspace.target.join("page-pkg");
    if staging.exists() {
        fs::remove_dir_all(&staging)
            .with_context(|| format!("cannot empty {}", staging.display()))?;
    }
    Bindgen::new()
        .input_path(&input)
        .out_name(WEB)
        .web(true)?
        .omit_default_module_path(false)
        .typescript(false)
        .remove_name_section(true)
        .remove_producers_section(true)
        .generate(&staging)
        .with_context(|| format!("wasm-bindgen refuses {}", input.display()))?;
    shorten_in(&staging).context("the names that glue and wasm share could not be shortened")?;

    let pkg = workspace.root.join("www").join("pkg");
    mirror(&staging, &pkg).with_context(|| format!("cannot renew {}", pkg.display()))?;
    Ok(Page { glue: pkg.join("web.js"), wasm: pkg.join("web_bg.wasm") })
}

fn shorten_in(staging: &Path) -> anyhow::Result<()> {
    let (wasm, glue) = (staging.join("web_bg.wasm"), staging.join("web.js"));
    let (short_wasm, short_glue) = shorten(&fs::read(&wasm)?, &fs::read_to_string(&glue)?)?;
    fs::write(&wasm, short_wasm)?;
    fs::write(&glue, short_glue)?;
    Ok(())
}

impl Page {
    pub(crate) fn report(&self) -> anyhow::Result<()> {
        for path in [&self.wasm, &self.glue] {
            let bytes =
                fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
            let gzipped = gzipped_bytes(&bytes)?;
            println!(
                "{}  {}, gzipped {}",
                path.display(),
                kilobytes(bytes.len() as u64),
                kilobytes(gzipped)
            );
        }
        Ok(())
    }
}

pub(crate) fn kilobytes(bytes: u64) -> String {
    let tenths = bytes.div_ceil(100);
    format!("{}.{} kB", tenths / 10, tenths % 10)
}

fn gzipped_bytes(bytes: &[u8]) -> std::io::Result<u64> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes)?;
    Ok(encoder.finish()?.len() as u64)
}

fn wasm_file(artifact: &Value) -> Option<PathBuf> {
    if artifact["target"]["name"] != WEB {
        return None;
    }
    let files = artifact["filenames"].as_array()?.iter().filter_map(Value::as_str).map(Path::new);
    files.filter(|file| file.extension().is_some_and(|end| end == "wasm")).map(PathBuf::from).next()
}

/// Makes `to` hold what `from` holds. A file with the right bytes keeps its time of change, which
/// the relay's build watches.
fn mirror(from: &Path, to: &Path) -> std::io::Result<()> {
    fs::create_dir_all(to)?;
    let mut kept = BTreeSet::new();
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (source, copy) = (entry.path(), to.join(entry.file_name()));
        if entry.file_type()?.is_dir() {
            mirror(&source, &copy)?;
        } else {
            let bytes = fs::read(&source)?;
            if fs::read(&copy).ok().as_deref() != Some(&bytes) {
                fs::write(&copy, bytes)?;
            }
        }
        kept.insert(entry.file_name());
    }
    for entry in fs::read_dir(to)? {
        let entry = entry?;
        if kept.contains(&entry.file_name()) {
            continue;
        }
        if entry.file_type()?.is_dir() {
            fs::remove_dir_all(entry.path())?;
        } else {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_rounded_up_to_a_tenth() {
        assert_eq!(kilobytes(0), "0.0 kB");
        assert_eq!(kilobytes(1), "0.1 kB");
        assert_eq!(kilobytes(25_000), "25.0 kB");
        assert_eq!(kilobytes(1_234_567), "1234.6 kB");
    }

    #[test]
    fn a_mirror_writes_changes_only_and_drops_what_is_gone() {
        let home = std::env::temp_dir().join(format!("xtask-mirror-{}", std::process::id()));
        let (from, to) = (home.join("from"), home.join("to"));
        fs::create_dir_all(from.join("snippets")).expect("a temporary directory is writable");
        fs::create_dir_all(to.join("old")).expect("a temporary directory is writable");
        for (path, text) in [
            (from.join("same.js"), "same"),
            (from.join("new.js"), "new"),
            (from.join("snippets/part.js"), "part"),
            (to.join("same.js"), "same"),
            (to.join("new.js"), "stale"),
            (to.join("old/gone.js"), "gone"),
        ] {
            fs::write(path, text).expect("a temporary directory is writable");
        }
        let changed = |name: &str| {
            fs::metadata(to.join(name)).and_then(|it| it.modified()).expect("the file is there")
        };
        let long_ago = std::time::SystemTime::UNIX_EPOCH;
        for name in ["same.js", "new.js"] {
            let file = fs::File::options().write(true).open(to.join(name)).expect("it is there");
            file.set_modified(long_ago).expect("times can be set");
        }

        mirror(&from, &to).expect("both are readable and writable");

        assert_eq!(changed("same.js"), long_ago);
        assert_ne!(changed("new.js"), long_ago);
        assert_eq!(fs::read(to.join("new.js")).expect("it is there"), b"new");
        assert_eq!(fs::read(to.join("snippets/part.js")).expect("it is there"), b"part");
        assert!(!to.join("old").exists());
        fs::remove_dir_all(home).expect("it is ours");
    }

    #[test]
    fn the_wasm_file_is_found_beside_the_rust_library() {
        let artifact = serde_json::json!({
            "reason": "compiler-artifact",
            "target": { "name": "web" },
            "filenames": ["/t/page/web.wasm", "/t/page/libweb.rlib"],
        });
        assert_eq!(wasm_file(&artifact), Some(PathBuf::from("/t/page/web.wasm")));
    }
}

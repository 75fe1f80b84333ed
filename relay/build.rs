//! Embeds the page: every file of `www/` and the built `www/pkg/`, plain and gzipped, with a tag
//! of its content. Without the built page it says which command builds it and embeds none.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs};

fn main() {
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    let www = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it"))
        .join("../www")
        .canonicalize()
        .expect("www/ stands beside relay/");
    println!("cargo::rerun-if-changed={}", www.display());

    let mut files = Vec::new();
    if www.join("pkg/web_bg.wasm").is_file() && www.join("pkg/web.js").is_file() {
        collect(&www, &mut files);
        files.sort();
    } else {
        println!(
            "cargo::warning=the page is not built, so this relay has none inside; \
             `cargo xtask build` builds both"
        );
    }

    let mut table = String::from("&[\n");
    for (number, file) in files.iter().enumerate() {
        let content = fs::read(file).expect("a listed file is readable");
        let packed = out.join(format!("{number}.gz"));
        fs::write(&packed, gzip(&content)).expect("OUT_DIR is writable");
        let path = file.strip_prefix(&www).expect("it was found under www/");
        let path = path.to_str().expect("names in www/ are UTF-8").replace('\\', "/");
        writeln!(
            table,
            "Asset {{ path: {path:?}, tag: \"\\\"{:016x}\\\"\", plain: include_bytes!({}), \
             gzip: include_bytes!({}) }},",
            fnv1a(&content),
            literal(file),
            literal(&packed),
        )
        .expect("writing to a string");
    }
    table.push(']');
    fs::write(out.join("assets.rs"), table).expect("OUT_DIR is writable");
}

/// A path as a string literal of Rust.
fn literal(path: &Path) -> String {
    format!("{:?}", path.to_str().expect("the build's paths are UTF-8"))
}

/// Files of the page; names that begin with a dot are tool settings.
fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("www/ is readable") {
        let path = entry.expect("www/ is readable").path();
        let hidden = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
        if hidden {
        } else if path.is_dir() {
            collect(&path, files);
        } else {
            files.push(path);
        }
    }
}

/// Packs as small as the format allows: done once, and carried to every page.
fn gzip(content: &[u8]) -> Vec<u8> {
    let mut packed = Vec::new();
    zopfli::compress(zopfli::Options::default(), zopfli::Format::Gzip, content, &mut packed)
        .expect("writing to memory");
    packed
}

/// FNV-1a with 64 bits: tells one version of a file from another, for caches; not for trust.
fn fnv1a(content: &[u8]) -> u64 {
    content.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

//! Gives the functions that the wasm imports from its glue short names, in both. The generated ones
//! carry hashes, which no compression shrinks. It changes nothing but those names.

use std::collections::HashMap;

use anyhow::{Context as _, bail, ensure};

/// The eight bytes that begin a wasm file: magic and version (WebAssembly core §5.5.16).
const PREAMBLE: &[u8] = b"\0asm\x01\0\0\0";
/// The number of the import section (§5.5.5).
const IMPORT_SECTION: u8 = 2;
/// What generated names of imported functions begin with.
const GENERATED: [&str; 2] = ["__wbg_", "__wbindgen_"];

/// Renames in the wasm file and in its glue.
pub(crate) fn shorten(wasm: &[u8], glue: &str) -> anyhow::Result<(Vec<u8>, String)> {
    ensure!(wasm.starts_with(PREAMBLE), "no wasm file: its first bytes are {:?}", wasm.get(..8));
    let mut names = HashMap::new();
    let mut out = PREAMBLE.to_vec();
    let mut rest = &wasm[PREAMBLE.len()..];
    while let Some((&section, after)) = rest.split_first() {
        let (size, body) = number(after)?;
        let (body, after) = body.split_at_checked(size).context("a section is cut off")?;
        out.push(section);
        if section == IMPORT_SECTION {
            let body = renamed_imports(body, &mut names)?;
            put_number(&mut out, body.len());
            out.extend(body);
        } else {
            put_number(&mut out, size);
            out.extend(body);
        }
        rest = after;
    }
    let glue = renamed_words(glue, &names)?;
    Ok((out, glue))
}

fn renamed_imports(body: &[u8], names: &mut HashMap<String, String>) -> anyhow::Result<Vec<u8>> {
    let (count, mut rest) = number(body)?;
    let mut out = Vec::with_capacity(body.len());
    put_number(&mut out, count);
    for _ in 0..count {
        let (module, after) = text(rest)?;
        let (name, after) = text(after)?;
        put_text(&mut out, module);
        if GENERATED.iter().any(|start| name.starts_with(start)) {
            let next = format!("_{}", names.len());
            put_text(&mut out, names.entry(name.to_owned()).or_insert(next));
        } else {
            put_text(&mut out, name);
        }
        let size = description_size(after)?;
        let (description, after) = after.split_at_checked(size).context("an import is cut off")?;
        out.extend(description);
        rest = after;
    }
    ensure!(rest.is_empty(), "{} bytes are left after the imports", rest.len());
    Ok(out)
}

/// The bytes that say what is imported (§5.5.5).
fn description_size(bytes: &[u8]) -> anyhow::Result<usize> {
    let limits = |bytes: &[u8]| {
        let (&flags, mut rest) = bytes.split_first().context("limits are cut off")?;
        for _ in 0..=usize::from(flags & 1) {
            rest = number(rest)?.1;
        }
        Ok::<_, anyhow::Error>(bytes.len() - rest.len())
    };
    let (&kind, rest) = bytes.split_first().context("an import is cut off")?;
    Ok(1 + match kind {
        0 => rest.len() - number(rest)?.1.len(),
        1 => 1 + limits(rest.get(1..).context("a table is cut off")?)?,
        2 => limits(rest)?,
        3 => 2,
        4 => rest.len() - number(rest.get(1..).context("a tag is cut off")?)?.1.len(),
        other => bail!("an import is of unknown kind {other}"),
    })
}

/// Replaces whole words. Each must stand in the glue, or the two would no longer fit.
fn renamed_words(glue: &str, names: &HashMap<String, String>) -> anyhow::Result<String> {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '$';
    let mut found = 0;
    let mut out = String::with_capacity(glue.len());
    let mut rest = glue;
    while let Some(start) = rest.find(is_word) {
        let (before, after) = rest.split_at(start);
        let (word, after) = after.split_at(after.find(|c| !is_word(c)).unwrap_or(after.len()));
        out += before;
        if let Some(short) = names.get(word) {
            found += 1;
            out += short;
        } else {
            out += word;
        }
        rest = after;
    }
    out += rest;
    ensure!(found >= names.len(), "{found} of {} imported names stand in the glue", names.len());
    Ok(out)
}

/// An unsigned number in LEB128 (§5.2.2) and what follows it.
fn number(bytes: &[u8]) -> anyhow::Result<(usize, &[u8])> {
    let mut value = 0;
    for (at, byte) in bytes.iter().enumerate().take(5) {
        value |= usize::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            return Ok((value, &bytes[at + 1..]));
        }
    }
    bail!("a number is longer than five bytes or cut off")
}

fn put_number(out: &mut Vec<u8>, mut value: usize) {
    loop {
        let low = u8::try_from(value & 0x7f).expect("seven bits fit");
        value >>= 7;
        if value == 0 {
            return out.push(low);
        }
        out.push(low | 0x80);
    }
}

fn text(bytes: &[u8]) -> anyhow::Result<(&str, &[u8])> {
    let (size, rest) = number(bytes)?;
    let (text, rest) = rest.split_at_checked(size).context("a name is cut off")?;
    Ok((std::str::from_utf8(text).context("a name is not UTF-8")?, rest))
}

fn put_text(out: &mut Vec<u8>, text: &str) {
    put_number(out, text.len());
    out.extend(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A module with one type, two imported functions and an imported memory.
    fn module() -> Vec<u8> {
        let mut imports = vec![3];
        for name in ["__wbg_alert_0123456789abcdef", "plain"] {
            put_text(&mut imports, "./web_bg.js");
            put_text(&mut imports, name);
            imports.extend([0, 0]);
        }
        put_text(&mut imports, "./web_bg.js");
        put_text(&mut imports, "memory");
        imports.extend([2, 1, 1, 0x80, 0x02]);
        let mut wasm = PREAMBLE.to_vec();
        wasm.extend([1, 4, 1, 0x60, 0, 0]);
        wasm.push(IMPORT_SECTION);
        put_number(&mut wasm, imports.len());
        wasm.extend(imports);
        wasm
    }

    #[test]
    fn generated_names_get_short_in_both() {
        let glue = "{ __wbg_alert_0123456789abcdef: function() {}, plain() {}, \
                    __wbg_alert_0123456789abcdef0: 1 }";
        let (wasm, glue) = shorten(&module(), glue).expect("a module");
        assert_eq!(glue, "{ _0: function() {}, plain() {}, __wbg_alert_0123456789abcdef0: 1 }");
        let holds = |part: &[u8]| wasm.windows(part.len()).any(|window| window == part);
        assert!(holds(b"\x02_0") && holds(b"\x05plain") && !holds(b"alert"));
        assert!(wasm.ends_with(&[2, 1, 1, 0x80, 0x02]));
    }

    #[test]
    fn a_name_that_the_glue_lacks_is_an_error() {
        let error = shorten(&module(), "{}").expect_err("the glue lacks it");
        assert!(error.to_string().contains("0 of 1"), "{error}");
    }

    #[test]
    fn damaged_files_are_errors() {
        let whole = module();
        for end in 0..whole.len() - 1 {
            let cut = &whole[..end];
            let is_refused = shorten(cut, "__wbg_alert_0123456789abcdef").is_err();
            // After a whole section the rest may be missing.
            assert!(is_refused || end == PREAMBLE.len() || end == PREAMBLE.len() + 6, "{end}");
        }
    }
}

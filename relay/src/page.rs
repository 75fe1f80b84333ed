//! The page and its assets, embedded when the relay was built. It never reads a file.

/// One file of the page.
pub struct Asset {
    /// Its path under the page's root, without a leading slash.
    pub path: &'static str,
    /// An entity tag of its content (RFC 9110 §8.8.3).
    pub tag: &'static str,
    /// The content.
    pub plain: &'static [u8],
    /// The same, gzipped.
    pub gzip: &'static [u8],
}

static ASSETS: &[Asset] = include!(concat!(env!("OUT_DIR"), "/assets.rs"));

/// What a relay says that was built without the page.
pub const NOT_BUILT: &str = "This relay was built without the page.\n\
    `cargo xtask run` builds and starts both; `cargo xtask build` makes one program of them.\n\
    The bridge at /udp/HOST/PORT and the lab session at /lab work all the same.\n";

/// Whether the page is inside.
pub fn is_built() -> bool {
    !ASSETS.is_empty()
}

/// The asset that a request path names; `/` is the page itself.
pub fn asset(path: &str) -> Option<&'static Asset> {
    let path = path.strip_prefix('/')?;
    let path = if path.is_empty() { "index.html" } else { path };
    ASSETS.iter().find(|asset| asset.path == path)
}

impl Asset {
    /// Its media type, by its name's ending.
    pub fn media_type(&self) -> &'static str {
        match self.path.rsplit_once('.').map(|(_, ending)| ending) {
            Some("html") => "text/html; charset=utf-8",
            Some("css") => "text/css; charset=utf-8",
            Some("js") => "text/javascript; charset=utf-8",
            Some("wasm") => "application/wasm",
            Some("svg") => "image/svg+xml",
            Some("png") => "image/png",
            Some("ico") => "image/x-icon",
            _ => "application/octet-stream",
        }
    }
}

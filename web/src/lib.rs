//! The page: [`app`] is its pure core; for wasm alone, `shell` is the browser around it. Natively
//! there is only the core, and that is what the tests run.

pub mod app;
pub mod ids;
#[cfg(target_arch = "wasm32")]
mod shell;

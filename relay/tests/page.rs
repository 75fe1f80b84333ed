//! The page in a real browser, on a real relay, with real servers and clients beside it: what a
//! person does and sees. It never looks into the page's own code.

#[allow(dead_code, reason = "the figures use the rest")]
mod browser;
mod page {
    pub(crate) mod journeys;
    pub(crate) mod looks;
    pub(crate) mod peers;
    pub(crate) mod programs;
    pub(crate) mod sockets;
    pub(crate) mod trouble;
}

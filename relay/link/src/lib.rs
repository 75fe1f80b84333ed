//! What happens between a request and its reply: timeouts, attempts, and which reply belongs to
//! which request. It never does I/O and never reads a clock: bytes and `now` in, values out.

pub mod request;

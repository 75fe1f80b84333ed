//! The messages between a page and the relay, both ways, as types with `encode` and `decode`.
//! It never does I/O, never reads a clock, and no bytes given to it panic.
//!
//! `PROTOCOL.md` beside this crate is the specification; the tests run its examples.
//! Calls and events are JSON text, so that they can be read in a browser's developer tools;
//! payloads travel as binary messages behind a short fixed header.

mod address;
mod client_json;
mod error;
mod json;
mod message;
mod socket_error;
mod to_client;
mod to_relay;

pub use error::DecodeError;
pub use message::{CallId, Message, Number, RelayTime, SocketId};
pub use socket_error::{Origin, SocketError};
pub use to_client::{
    ConsoleLine, ConsoleSource, Datagram, Event, Limits, Role, Sent, ServerState, ServerStatus,
    Syscall, ToClient, Transport, Welcome,
};
pub use to_relay::{
    Call, Family, Half, Kind, ReceiveMode, Send, ServerAction, SocketOption, ToRelay,
};

/// The WebSocket subprotocol of a lab session (RFC 6455 §1.9).
pub const SUBPROTOCOL: &str = "udp-lab.v1";

/// The largest UDP payload over IPv4, in bytes: 65,535 (total length, RFC 791 §3.1)
/// less 20 (IPv4 header without options) less 8 (UDP header, RFC 768).
pub const PAYLOAD_LIMIT_IPV4: usize = 65_535 - 20 - 8;

/// The largest UDP payload over IPv6, in bytes: 65,535 (payload length, RFC 8200 §3) less
/// 8 (UDP header).
pub const PAYLOAD_LIMIT_IPV6: usize = 65_535 - 8;

/// The largest message that a relay reads, in bytes. Larger than any datagram, so that a payload
/// which is a little too large meets the system's own EMSGSIZE.
pub const MESSAGE_LIMIT: usize = 256 * 1024;

/// The largest number of payload bytes that one UDP datagram to `address` can carry.
#[must_use]
pub fn payload_limit(address: std::net::IpAddr) -> usize {
    if address.is_ipv4() { PAYLOAD_LIMIT_IPV4 } else { PAYLOAD_LIMIT_IPV6 }
}

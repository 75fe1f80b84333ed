//! The relay: a native program that owns real sockets and talks to pages over WebSocket.
//! The library is everything but the command line, so that tests run it on ports of their own.

pub mod allowance;
pub mod bridge;
pub mod carrier;
pub mod client;
pub mod clock;
pub mod config;
pub mod errno;
pub mod http;
pub mod lab;
pub mod lan;
pub mod outbox;
pub mod page;
pub mod policy;
pub mod practice;
pub mod resolve;
pub mod session;
pub mod sessions;
pub mod socket;
pub mod tcp;
pub mod terminal;

//! The relay over real sockets, with real programs at the other end. Traffic stays on loopback, and
//! a test waits for a condition, never for a time.

mod bridge;
mod bridge_flow;
mod dns;
mod lab_client;
mod lab_errors;
mod lab_servers;
mod lab_slow;
mod lab_tcp;
mod lab_udp;
mod lessons;
mod native;
mod program;
mod refusals;
mod relay_program;
mod safety;
mod terminal;
mod waiting;
mod web;

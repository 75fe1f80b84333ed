//! What a person does on the page and what a relay answers, against the core alone: no browser, no
//! network, and a clock that is moved by hand.

mod clients;
mod servers;
mod sessions;
mod shell;

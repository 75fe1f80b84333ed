//! The one place that decides what is permitted: who may come in, and where datagrams may go.
//! It never resolves a name and never opens a socket; it judges what others have found.

mod access;
mod rule;
mod target;

pub use access::{Access, Denied, PublicOrigin};
pub use rule::{Rule, RuleError};
pub use target::{Refusal, Targets};

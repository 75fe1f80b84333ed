//! A socket call that failed, as its program would see it. It never guesses a name.

use serde::Serialize;

/// An error of a socket call: the operating system's own, by its name, or the relay's refusal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SocketError {
    /// Who says so.
    pub origin: Origin,
    /// The system's name (`ECONNREFUSED`, `EMSGSIZE`, …), or the relay's (`NOT_PERMITTED`, …).
    pub name: String,
    /// The system's number for it, which differs from system to system.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<i32>,
    /// What was wrong, with the value and the limit.
    pub message: String,
    /// What to do about it, such as the option that would allow it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub advice: Option<String>,
}

/// Who an error comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// The relay's operating system answered a real call with it.
    System,
    /// The relay refused the call, or a bound of its own was met; no call was made.
    Relay,
}

impl SocketError {
    /// A refusal of the relay's own.
    pub fn relay(name: &str, message: impl Into<String>) -> Self {
        Self {
            origin: Origin::Relay,
            name: name.to_owned(),
            code: None,
            message: message.into(),
            advice: None,
        }
    }

    /// The same, with what would help.
    #[must_use]
    pub fn with_advice(mut self, advice: impl Into<String>) -> Self {
        self.advice = Some(advice.into());
        self
    }
}

impl std::fmt::Display for SocketError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.name, self.message)?;
        match &self.advice {
            Some(advice) => write!(f, " ({advice})"),
            None => Ok(()),
        }
    }
}

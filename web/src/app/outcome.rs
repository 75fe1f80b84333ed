//! What a person is told of a send, in words: what happened, and what that does and does not mean.

use wire::{Origin, SocketError};

use super::text;

/// What an error means to somebody who has not met it.
pub fn meaning(name: &str) -> &'static str {
    match name.strip_prefix("WSA").unwrap_or(name) {
        "ECONNREFUSED" => {
            "A machine answered that nobody listens on that port. For UDP this is news of an earlier datagram, told by an ICMP message."
        }
        "ECONNRESET" => "The other side broke the connection off.",
        "ECONNABORTED" => "The connection was given up.",
        "EPIPE" => "The connection is closed; nothing more can be sent on it.",
        "ENOTCONN" => "The socket is not connected.",
        "EDESTADDRREQ" => "The socket is not connected and the call named no destination.",
        "EMSGSIZE" => "The payload is larger than one datagram can be.",
        "EADDRINUSE" => "Another socket has this address and port.",
        "EADDRNOTAVAIL" => "This address is none of the relay’s machine.",
        "EACCES" | "EPERM" => "The operating system does not permit it.",
        "ENETUNREACH" => "The relay’s machine has no route to that network.",
        "EHOSTUNREACH" => "No way to that host was found.",
        "ETIMEDOUT" | "ETIMEOUT" => "The other side did not answer the connection in time.",
        "EAFNOSUPPORT" => "The socket and the address are of different families (IPv4, IPv6).",
        "ENOBUFS" | "ENOMEM" => "The system has no buffer space for it just now.",
        "EINVAL" => "The system takes this argument for invalid.",
        "NOT_PERMITTED" => {
            "The relay does not send there, so that no page can use it against others."
        }
        "NOT_RESOLVED" => "No address was found for this name.",
        _ => "",
    }
}

/// An error told whole: what was wrong, what it means, what would help, and who says so.
pub fn about(error: &SocketError) -> String {
    let mut out = sentence(&error.message);
    for more in [meaning(&error.name), error.advice.as_deref().unwrap_or_default()] {
        if !more.is_empty() {
            out.push(' ');
            out.push_str(&sentence(more));
        }
    }
    out.push(' ');
    out.push_str(match error.origin {
        Origin::System => "The relay’s operating system returned it for a real call.",
        Origin::Relay => "The relay says so itself; no call was made.",
    });
    out
}

/// What was wrong and what would help: what stands beside a field.
pub fn beside_field(error: &SocketError) -> String {
    let mut out = text::harmless(&error.name);
    out.push_str(": ");
    out.push_str(text::harmless(&error.message).trim_end_matches('.'));
    out.push('.');
    if let Some(advice) = &error.advice {
        out.push(' ');
        out.push_str(&sentence(advice));
    }
    out
}

fn sentence(words: &str) -> String {
    let words = text::harmless(words);
    let words = words.trim();
    let mut out = String::with_capacity(words.len() + 1);
    let mut characters = words.chars();
    if let Some(first) = characters.next() {
        out.push(first.to_ascii_uppercase());
        out.push_str(characters.as_str());
        if !words.ends_with(['.', '!', '?']) {
            out.push('.');
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_told_with_its_meaning_its_help_and_its_origin() {
        let error = SocketError::relay("NOT_PERMITTED", "10.0.0.1:53 is not on the list")
            .with_advice("start the relay with --allow 10.0.0.1:53");
        assert_eq!(
            beside_field(&error),
            "NOT_PERMITTED: 10.0.0.1:53 is not on the list. Start the relay with --allow 10.0.0.1:53."
        );
        let about = about(&error);
        assert!(about.starts_with("10.0.0.1:53 is not on the list. The relay does not send there"));
        assert!(about.ends_with("no call was made."));
        assert_eq!(meaning("WSAECONNREFUSED"), meaning("ECONNREFUSED"));
    }
}

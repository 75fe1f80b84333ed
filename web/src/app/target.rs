//! Where to send: host and port as typed, read without asking anybody. Names are left to the relay.

use std::net::{IpAddr, Ipv6Addr};

/// The longest name that DNS carries, in characters (RFC 1035 §2.3.4).
const NAME_LIMIT: usize = 253;

/// A host, as far as it can be told without asking anybody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Host {
    /// An address.
    Ip(IpAddr),
    /// A name, or an address with a zone, for the relay to resolve.
    Name(String),
}

impl Host {
    /// As it stands in a call.
    pub fn as_text(&self) -> String {
        match self {
            Self::Ip(ip) => ip.to_string(),
            Self::Name(name) => name.clone(),
        }
    }
}

/// Reads a host.
///
/// # Errors
/// What is wrong with it, and what to write instead.
pub fn parse_host(typed: &str) -> Result<Host, String> {
    let host = typed.trim();
    if host.is_empty() {
        return Err("Type a host: an address such as 127.0.0.1, or a name.".to_owned());
    }
    let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    if let Ok(ip) = bare.parse::<IpAddr>() {
        return Ok(Host::Ip(ip));
    }
    if let Some((address, zone)) = bare.split_once('%') {
        let is_zone = !zone.is_empty()
            && zone.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'));
        if address.parse::<Ipv6Addr>().is_ok() && is_zone {
            return Ok(Host::Name(bare.to_owned()));
        }
    }
    if let Some((scheme, _)) = super::text::cut(host, "://") {
        return Err(format!("Leave out “{scheme}://”: a socket takes a host and a port, no URL."));
    }
    if let Some((name, port)) = host.rsplit_once(':')
        && port.parse::<u16>().is_ok()
        && !name.contains(':')
    {
        return Err(format!("Write {port} into the port field; the host is “{name}”."));
    }
    let looks_numeric = host.chars().all(|c| c.is_ascii_digit() || c == '.');
    if looks_numeric {
        return Err(format!(
            "“{host}” is no IPv4 address: that is four numbers from 0 to 255 with dots between."
        ));
    }
    if host.len() > NAME_LIMIT {
        return Err(format!("The name has {} characters, a name has at most 253.", host.len()));
    }
    let wrong = |c: &char| {
        !(c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_') || !c.is_ascii())
            || c.is_control()
    };
    if let Some((at, c)) = host.chars().enumerate().find(|(_, c)| wrong(c)) {
        let mut shown = String::new();
        super::text::push_visible(&mut shown, c);
        return Err(format!("“{shown}” at position {} cannot stand in a host name.", at + 1));
    }
    if host.starts_with('.') || super::text::contains(host, "..") {
        return Err(format!("“{host}” has an empty part between dots."));
    }
    Ok(Host::Name(host.to_owned()))
}

/// Reads the port of a target, 1 to 65,535.
///
/// # Errors
/// What is wrong with it.
pub fn parse_port(typed: &str) -> Result<u16, String> {
    match parse_local_port(typed)? {
        0 => Err("Port 0 is nobody's: a target's port is 1 to 65535.".to_owned()),
        port => Ok(port),
    }
}

/// Reads a port of the socket's own, where 0 lets the system choose.
///
/// # Errors
/// What is wrong with it.
pub fn parse_local_port(typed: &str) -> Result<u16, String> {
    let port = typed.trim();
    if port.is_empty() {
        return Err("Type a port number, up to 65535.".to_owned());
    }
    if !port.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(format!("“{}” is no port number.", super::text::harmless(port)));
    }
    port.parse().map_err(|_| format!("Port {port} is above the highest, 65535."))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn addresses_and_names_are_told_apart() {
        let ip = |text: &str| Host::Ip(text.parse().expect("the test gives an address"));
        assert_eq!(parse_host(" 127.0.0.1 "), Ok(ip("127.0.0.1")));
        assert_eq!(parse_host("[::1]"), Ok(ip("::1")));
        assert_eq!(parse_host("::1"), Ok(ip("::1")));
        assert_eq!(parse_host("localhost"), Ok(Host::Name("localhost".to_owned())));
        assert_eq!(parse_host("fe80::1%eth0"), Ok(Host::Name("fe80::1%eth0".to_owned())));
    }

    #[test]
    fn a_wrong_host_is_told_what_to_write_instead() {
        for (typed, part) in [
            ("", "Type a host"),
            ("http://x", "no URL"),
            ("127.0.0.1:9999", "Write 9999 into the port field"),
            ("127.0.0.256", "no IPv4 address"),
            ("a b", "position 2"),
            ("a..b", "empty part"),
        ] {
            let error = parse_host(typed).expect_err(typed);
            assert!(error.contains(part), "{typed}: {error}");
        }
    }

    #[test]
    fn ports_have_their_bounds() {
        assert_eq!(parse_port("20001"), Ok(20001));
        assert_eq!(parse_local_port("0"), Ok(0));
        assert!(parse_port("0").is_err());
        assert!(parse_port("65536").expect_err("too high").contains("65535"));
        assert!(parse_port("-1").expect_err("no number").contains("-1"));
        assert!(parse_port("").is_err());
    }

    proptest! {
        #[test]
        fn no_typing_panics(typed in any::<String>()) {
            let _ = (parse_host(&typed), parse_port(&typed), parse_local_port(&typed));
        }
    }
}

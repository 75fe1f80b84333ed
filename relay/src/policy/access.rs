//! Who may come in: `Host` and `Origin` against what the relay itself serves. A page of another
//! site can open a WebSocket to this machine (cross-site WebSocket hijacking), or make a name of
//! its own point here (DNS rebinding); neither can write these two headers at will.

use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

/// The names and origins under which this relay is served.
#[derive(Clone, Debug, Default)]
pub struct Access {
    public: Vec<PublicOrigin>,
}

/// An origin that the relay is served under besides its own addresses, such as
/// `https://udp.example`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicOrigin {
    scheme: &'static str,
    authority: Authority,
}

/// Why a request may not come in.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// No `Host`, or more than one, or one that cannot be read.
    #[error("the Host header is missing, repeated or unreadable")]
    NoHost,
    /// The relay is not served under this name.
    #[error("Host is {0:?}, and the relay is not served under that name")]
    Host(String),
    /// The page that asks was not served by this relay.
    #[error("Origin is {0:?}, and pages of that origin may not use this relay")]
    Origin(String),
}

impl Denied {
    /// What the relay's owner can do.
    pub fn advice(&self) -> Option<String> {
        match self {
            Self::NoHost => None,
            Self::Host(host) => Some(format!("--origin http://{host} would permit it")),
            Self::Origin(origin) if origin.contains("://") => {
                Some(format!("--origin {origin} would permit it"))
            }
            Self::Origin(_) => None,
        }
    }
}

/// Host and port of a `Host` header or an origin.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Authority {
    host: Host,
    port: u16,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Host {
    Address(IpAddr),
    Name(String),
}

impl Access {
    /// Access under the address of each connection, and under the origins in `public`.
    pub fn new(public: Vec<PublicOrigin>) -> Self {
        Self { public }
    }

    /// Judges the `Host` headers of a request on a connection whose own address is `local`.
    ///
    /// # Errors
    /// The reason it may not come in.
    pub fn judge_host(&self, hosts: &[&str], local: SocketAddr) -> Result<(), Denied> {
        let [host] = hosts else { return Err(Denied::NoHost) };
        let authority = Authority::parse(host, 80).ok_or(Denied::NoHost)?;
        if serves(&authority, local) || self.public.iter().any(|origin| origin.has_authority(host))
        {
            return Ok(());
        }
        Err(Denied::Host((*host).to_owned()))
    }

    /// Judges the `Origin` headers of a WebSocket handshake; a program that is no browser sends
    /// none. The page must come from the very host that the request names.
    ///
    /// # Errors
    /// The reason it may not come in.
    pub fn judge_origin(
        &self,
        origins: &[&str],
        hosts: &[&str],
        local: SocketAddr,
    ) -> Result<(), Denied> {
        let origin = match origins {
            [] => return Ok(()),
            [origin] => *origin,
            _ => return Err(Denied::Origin(origins.join(", "))),
        };
        let denied = || Denied::Origin(origin.to_owned());
        let named = PublicOrigin::from_str(origin).map_err(|_| denied())?;
        let host = hosts.first().and_then(|host| Authority::parse(host, 80));
        let is_own = named.scheme == "http"
            && host.as_ref() == Some(&named.authority)
            && serves(&named.authority, local);
        if is_own || self.public.contains(&named) { Ok(()) } else { Err(denied()) }
    }
}

/// Whether a connection that arrived at `local` is rightly called `authority`: by its own address,
/// or as localhost on loopback. No other name resolves here without someone else's doing.
fn serves(authority: &Authority, local: SocketAddr) -> bool {
    let ip = local.ip().to_canonical();
    authority.port == local.port()
        && match &authority.host {
            Host::Address(address) => *address == ip,
            Host::Name(name) => name == "localhost" && ip.is_loopback(),
        }
}

impl Authority {
    fn parse(text: &str, default_port: u16) -> Option<Self> {
        let (host, port) = if let Some(rest) = text.strip_prefix('[') {
            let (inside, after) = rest.split_once(']')?;
            let port = if after.is_empty() { None } else { Some(after.strip_prefix(':')?) };
            (Host::Address(IpAddr::V6(inside.parse().ok()?)), port)
        } else {
            let (host, port) = match text.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (text, None),
            };
            (Host::parse(host)?, port)
        };
        let port = match port {
            None => default_port,
            Some(port) if port.bytes().all(|byte| byte.is_ascii_digit()) => port.parse().ok()?,
            Some(_) => return None,
        };
        Some(Self { host: host.canonical(), port })
    }
}

impl Host {
    fn parse(text: &str) -> Option<Self> {
        if let Ok(address) = text.parse::<IpAddr>() {
            return address.is_ipv4().then_some(Self::Address(address));
        }
        let is_name = !text.is_empty()
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte));
        is_name.then(|| Self::Name(text.to_ascii_lowercase()))
    }

    fn canonical(self) -> Self {
        match self {
            Self::Address(address) => Self::Address(address.to_canonical()),
            name @ Self::Name(_) => name,
        }
    }
}

impl PublicOrigin {
    fn has_authority(&self, host: &str) -> bool {
        Authority::parse(host, self.default_port()).as_ref() == Some(&self.authority)
    }

    fn default_port(&self) -> u16 {
        if self.scheme == "https" { 443 } else { 80 }
    }
}

impl FromStr for PublicOrigin {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (scheme, rest, port) = if let Some(rest) = text.strip_prefix("http://") {
            ("http", rest, 80)
        } else if let Some(rest) = text.strip_prefix("https://") {
            ("https", rest, 443)
        } else {
            return Err(format!("{text:?} is not an origin such as https://udp.example"));
        };
        let authority = Authority::parse(rest, port)
            .ok_or_else(|| format!("{rest:?} is not a host with an optional port"))?;
        Ok(Self { scheme, authority })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn local() -> SocketAddr {
        "127.0.0.1:8080".parse().expect("an address")
    }

    #[test]
    fn a_request_names_the_address_it_came_to() {
        let access = Access::default();
        for host in ["127.0.0.1:8080", "localhost:8080", "LOCALHOST:8080"] {
            assert_eq!(access.judge_host(&[host], local()), Ok(()), "{host}");
        }
        for host in [
            "127.0.0.1",
            "127.0.0.1:8081",
            "127.0.0.2:8080",
            "evil.example:8080",
            "localhost",
            "localhost.evil.example:8080",
            "[::1]:8080",
            "127.0.0.1:+8080",
            "",
            "127.0.0.1:8080:1",
        ] {
            assert!(access.judge_host(&[host], local()).is_err(), "{host}");
        }
        assert_eq!(access.judge_host(&[], local()), Err(Denied::NoHost));
        let twice = ["127.0.0.1:8080", "127.0.0.1:8080"];
        assert_eq!(access.judge_host(&twice, local()), Err(Denied::NoHost));
        let v6 = "[::1]:8080".parse().expect("an address");
        assert_eq!(access.judge_host(&["[::1]:8080"], v6), Ok(()));
        assert_eq!(access.judge_host(&["localhost:8080"], v6), Ok(()));
    }

    #[test]
    fn a_page_of_another_site_may_not_come_in() {
        let access = Access::default();
        let host = ["127.0.0.1:8080"];
        let judge = |origin: &str| access.judge_origin(&[origin], &host, local());
        assert_eq!(access.judge_origin(&[], &host, local()), Ok(()));
        assert_eq!(judge("http://127.0.0.1:8080"), Ok(()));
        for origin in [
            "https://evil.example",
            "http://127.0.0.1:8081",
            "https://127.0.0.1:8080",
            "null",
            "",
            "http://localhost:8080",
            "http://127.0.0.1:8080.evil.example",
            "file://",
            "http://127.0.0.1:8080/",
            "http://user@127.0.0.1:8080",
        ] {
            assert!(judge(origin).is_err(), "{origin}");
        }
    }

    #[test]
    fn a_public_origin_lets_its_own_pages_in() {
        let access = Access::new(vec!["https://udp.example".parse().expect("an origin")]);
        assert_eq!(access.judge_host(&["udp.example"], local()), Ok(()));
        assert_eq!(access.judge_host(&["udp.example:443"], local()), Ok(()));
        let origin = |text: &str| access.judge_origin(&[text], &["udp.example"], local());
        assert_eq!(origin("https://udp.example"), Ok(()));
        assert!(origin("http://udp.example").is_err());
        assert!(origin("https://other.example").is_err());
    }
}

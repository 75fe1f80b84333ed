//! Where datagrams and connections may go, and which local addresses may be bound. It judges
//! resolved addresses only, in their canonical form.

use std::net::{IpAddr, SocketAddr};

use wire::{SocketError, Transport};

use super::rule::{Rule, Special};

/// The allow-lists of one relay.
#[derive(Clone, Debug, Default)]
pub struct Targets {
    allowed: Vec<Rule>,
    bindable: Vec<IpAddr>,
    own: Vec<SocketAddr>,
}

/// Why a target or a local address is not permitted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Port 0 names no service.
    #[error("port is 0, a target's port is 1 to 65535")]
    PortZero,
    /// The address is special and no rule names it.
    #[error("{address} is a {class} address, and no rule permits it by name")]
    Special {
        /// The address.
        address: SocketAddr,
        /// Its class, which is also the keyword that permits it.
        class: &'static str,
    },
    /// No rule covers the address.
    #[error("{0} is not among the permitted targets")]
    NotListed(SocketAddr),
    /// The relay would talk to itself.
    #[error("{0} is the relay's own port")]
    Own(SocketAddr),
    /// The local address may not be bound.
    #[error("{0} is not among the local addresses that a page may bind")]
    NotBindable(IpAddr),
}

impl Targets {
    /// Lists that permit what `allowed` covers, and binding to loopback and to `bindable`.
    /// `own` are the addresses that the relay itself serves on.
    pub fn new(allowed: Vec<Rule>, bindable: Vec<IpAddr>, own: Vec<SocketAddr>) -> Self {
        Self { allowed, bindable, own }
    }

    /// The rules, as they can be typed.
    pub fn rules(&self) -> impl Iterator<Item = String> + '_ {
        self.allowed.iter().map(ToString::to_string)
    }

    /// Judges a target and gives its canonical form, which is the one to be used.
    ///
    /// # Errors
    /// The reason it is not permitted.
    pub fn judge(&self, target: SocketAddr, transport: Transport) -> Result<SocketAddr, Refusal> {
        let target = canonical(target);
        if target.port() == 0 {
            return Err(Refusal::PortZero);
        }
        if transport == Transport::Tcp && self.is_own(target) {
            return Err(Refusal::Own(target));
        }
        if self.allowed.iter().any(|rule| rule.covers(target)) {
            return Ok(target);
        }
        match Special::of(target.ip()) {
            Some(special) => Err(Refusal::Special { address: target, class: special.name() }),
            None => Err(Refusal::NotListed(target)),
        }
    }

    /// Judges a local address to bind.
    ///
    /// # Errors
    /// The reason it is not permitted.
    pub fn judge_bind(&self, local: SocketAddr) -> Result<SocketAddr, Refusal> {
        let local = canonical(local);
        if local.ip().is_loopback() || self.bindable.contains(&local.ip()) {
            return Ok(local);
        }
        Err(Refusal::NotBindable(local.ip()))
    }

    /// Whether a connection to `target` would reach the relay's own port: a relay that listens on
    /// every address is reached by every address of this machine, and a connection to the
    /// unspecified address goes to loopback.
    fn is_own(&self, target: SocketAddr) -> bool {
        self.own.iter().any(|own| {
            own.port() == target.port()
                && (own.ip() == target.ip()
                    || own.ip().is_unspecified()
                    || target.ip().is_unspecified()
                    || (own.ip().is_loopback() && target.ip().is_loopback()))
        })
    }
}

impl Refusal {
    /// The option that would permit it, if there is one.
    pub fn advice(&self) -> Option<String> {
        match self {
            Self::PortZero | Self::Own(_) => None,
            Self::Special { class, .. } => {
                Some(format!("--allow {class} would permit it; the relay's owner decides"))
            }
            Self::NotListed(address) => {
                Some(format!("--allow {address} would permit it; the relay's owner decides"))
            }
            Self::NotBindable(address) => {
                Some(format!("--allow-bind {address} would permit it; the relay's owner decides"))
            }
        }
    }
}

impl From<Refusal> for SocketError {
    fn from(refusal: Refusal) -> Self {
        let error = Self::relay("NOT_PERMITTED", refusal.to_string());
        match refusal.advice() {
            Some(advice) => error.with_advice(advice),
            None => error,
        }
    }
}

/// An IPv4-mapped IPv6 address is the IPv4 address (RFC 4291 §2.5.5.2); flow label and such play
/// no part.
fn canonical(address: SocketAddr) -> SocketAddr {
    match address.ip().to_canonical() {
        IpAddr::V4(v4) => SocketAddr::from((v4, address.port())),
        IpAddr::V6(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn loopback() -> Targets {
        let own = "127.0.0.1:8080".parse().expect("an address");
        Targets::new(vec![Rule::loopback()], Vec::new(), vec![own])
    }

    fn judge(target: &str) -> Result<SocketAddr, Refusal> {
        loopback().judge(target.parse().expect("an address"), Transport::Udp)
    }

    #[test]
    fn loopback_is_permitted_in_each_of_its_spellings_and_used_in_one() {
        let plain = "127.0.0.1:9".parse().expect("an address");
        assert_eq!(judge("127.0.0.1:9"), Ok(plain));
        assert_eq!(judge("[::ffff:127.0.0.1]:9"), Ok(plain));
        assert!(judge("127.255.0.1:9").is_ok());
        assert!(judge("[::1]:9").is_ok());
    }

    #[test]
    fn everything_else_is_refused_with_the_option_that_would_permit_it() {
        for (target, advice) in [
            ("192.0.2.1:9", "--allow 192.0.2.1:9"),
            ("[::ffff:192.0.2.1]:9", "--allow 192.0.2.1:9"),
            ("[2001:db8::1]:9", "--allow [2001:db8::1]:9"),
            ("224.0.0.1:9", "--allow multicast"),
            ("255.255.255.255:9", "--allow broadcast"),
            ("169.254.169.254:80", "--allow link-local"),
            ("[fe80::1]:9", "--allow link-local"),
            ("0.0.0.0:9", "--allow unspecified"),
            ("[::]:9", "--allow unspecified"),
        ] {
            let refusal = judge(target).expect_err(target);
            let said = refusal.advice().expect("an option would permit it");
            assert!(said.starts_with(&format!("{advice} ")), "{target}: {said}");
        }
        assert_eq!(judge("127.0.0.1:0"), Err(Refusal::PortZero));
    }

    #[test]
    fn a_connection_to_the_relay_itself_is_refused() {
        let own = "127.0.0.2:8080".parse().expect("an address");
        assert_eq!(loopback().judge(own, Transport::Tcp), Err(Refusal::Own(own)));
        assert_eq!(loopback().judge(own, Transport::Udp), Ok(own));
        for spelling in ["0.0.0.0:8080", "[::]:8080", "[::1]:8080", "[::ffff:127.0.0.1]:8080"] {
            let refusal = loopback().judge(spelling.parse().expect("an address"), Transport::Tcp);
            assert!(matches!(refusal, Err(Refusal::Own(_))), "{spelling}: {refusal:?}");
        }
    }

    #[test]
    fn only_loopback_and_named_addresses_can_be_bound() {
        let targets =
            Targets::new(Vec::new(), vec!["192.0.2.7".parse().expect("an address")], Vec::new());
        let bind = |text: &str| targets.judge_bind(text.parse().expect("an address"));
        assert!(bind("127.0.0.1:0").is_ok());
        assert!(bind("[::1]:5").is_ok());
        assert!(bind("192.0.2.7:0").is_ok());
        assert!(bind("0.0.0.0:0").is_err());
    }
}

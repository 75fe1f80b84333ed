//! One rule of the allow-list, as it is typed: `127.0.0.0/8`, `192.168.1.7:9999`, `[::1]:53`,
//! `private:9000-9100`, `multicast`. It never holds a name; names are resolved before.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::str::FromStr;

use ipnet::IpNet;

/// Addresses and ports that may be sent to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    addresses: Addresses,
    ports: RangeInclusive<u16>,
}

/// The addresses that a rule covers.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Addresses {
    Any,
    Loopback,
    Private,
    Special(Special),
    Net(IpNet),
}

/// Addresses that stand for more than one host, or for none. A rule permits them only by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Special {
    /// 224.0.0.0/4 (RFC 5771), `ff00::/8` (RFC 4291 §2.7).
    Multicast,
    /// 255.255.255.255 (RFC 919 §7).
    Broadcast,
    /// 169.254.0.0/16 (RFC 3927), `fe80::/10` (RFC 4291 §2.5.6); cloud metadata lives there.
    LinkLocal,
    /// 0.0.0.0/8 (RFC 1122 §3.2.1.3), `::` (RFC 4291 §2.5.2).
    Unspecified,
}

impl Special {
    pub(crate) fn of(address: IpAddr) -> Option<Self> {
        match address {
            IpAddr::V4(v4) if v4.octets()[0] == 0 => Some(Self::Unspecified),
            IpAddr::V4(v4) if v4.is_broadcast() => Some(Self::Broadcast),
            IpAddr::V4(v4) if v4.is_link_local() => Some(Self::LinkLocal),
            IpAddr::V6(v6) if v6.is_unspecified() => Some(Self::Unspecified),
            IpAddr::V6(v6) if v6.is_unicast_link_local() => Some(Self::LinkLocal),
            _ if address.is_multicast() => Some(Self::Multicast),
            _ => None,
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Multicast => "multicast",
            Self::Broadcast => "broadcast",
            Self::LinkLocal => "link-local",
            Self::Unspecified => "unspecified",
        }
    }
}

/// A rule that could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RuleError {
    /// What stands before the port is no address, network or keyword.
    #[error(
        "{0:?} is not an address, a network, or one of any, loopback, private, multicast, \
         broadcast, link-local, unspecified"
    )]
    Addresses(String),
    /// What stands after the colon is no port or range of ports.
    #[error("{0:?} is not a port from 1 to 65535, a range such as 9000-9100, or *")]
    Ports(String),
}

impl Rule {
    /// A rule for one address and port.
    pub fn exactly(address: SocketAddr) -> Self {
        Self {
            addresses: Addresses::Net(IpNet::from(address.ip().to_canonical())),
            ports: address.port()..=address.port(),
        }
    }

    /// Every port of this machine.
    pub fn loopback() -> Self {
        Self { addresses: Addresses::Loopback, ports: 1..=u16::MAX }
    }

    /// Whether the rule covers a canonical address. A special address is covered only by its
    /// keyword or by a rule for that very address.
    pub(crate) fn covers(&self, address: SocketAddr) -> bool {
        let ip = address.ip();
        self.ports.contains(&address.port())
            && match (&self.addresses, Special::of(ip)) {
                (Addresses::Special(named), special) => special == Some(*named),
                (Addresses::Net(net), Some(_)) => {
                    net.prefix_len() == net.max_prefix_len() && net.addr() == ip
                }
                (_, Some(_)) => false,
                (Addresses::Any, None) => true,
                (Addresses::Loopback, None) => ip.is_loopback(),
                (Addresses::Private, None) => is_private(ip),
                (Addresses::Net(net), None) => net.contains(&ip),
            }
    }
}

/// Private use: RFC 1918 §3, RFC 4193 §3.
fn is_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.is_private(),
        IpAddr::V6(v6) => v6.is_unique_local(),
    }
}

impl FromStr for Rule {
    type Err = RuleError;

    fn from_str(text: &str) -> Result<Self, RuleError> {
        let (addresses, ports) = split(text);
        Ok(Self { addresses: parse_addresses(addresses)?, ports: parse_ports(ports)? })
    }
}

/// Separates the port, if one is given: an IPv6 address with a port stands in brackets.
fn split(text: &str) -> (&str, Option<&str>) {
    if let Some((inside, after)) = text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        match (after, after.strip_prefix(':')) {
            ("", _) => return (inside, None),
            (_, Some(port)) => return (inside, Some(port)),
            // Something else follows the bracket: no address begins like that.
            _ => return (text, None),
        }
    }
    match text.rsplit_once(':') {
        Some((before, port)) if !before.contains(':') => (before, Some(port)),
        _ => (text, None),
    }
}

fn parse_addresses(text: &str) -> Result<Addresses, RuleError> {
    Ok(match text {
        "any" => Addresses::Any,
        "loopback" => Addresses::Loopback,
        "private" => Addresses::Private,
        "multicast" => Addresses::Special(Special::Multicast),
        "broadcast" => Addresses::Special(Special::Broadcast),
        "link-local" => Addresses::Special(Special::LinkLocal),
        "unspecified" => Addresses::Special(Special::Unspecified),
        _ => {
            let net = match text.parse::<IpAddr>() {
                Ok(address) => IpNet::from(address.to_canonical()),
                Err(_) => text.parse().map_err(|_| RuleError::Addresses(text.to_owned()))?,
            };
            Addresses::Net(net)
        }
    })
}

fn parse_ports(text: Option<&str>) -> Result<RangeInclusive<u16>, RuleError> {
    let Some(text) = text.filter(|text| *text != "*") else { return Ok(1..=u16::MAX) };
    let port = |text: &str| text.parse::<u16>().ok().filter(|port| *port != 0);
    let range = match text.split_once('-') {
        Some((from, to)) => port(from).zip(port(to)).map(|(from, to)| from..=to),
        None => port(text).map(|port| port..=port),
    };
    range.filter(|range| !range.is_empty()).ok_or_else(|| RuleError::Ports(text.to_owned()))
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bracket = |text: String| if text.contains(':') { format!("[{text}]") } else { text };
        match &self.addresses {
            Addresses::Any => f.write_str("any")?,
            Addresses::Loopback => f.write_str("loopback")?,
            Addresses::Private => f.write_str("private")?,
            Addresses::Special(special) => f.write_str(special.name())?,
            Addresses::Net(net) if net.prefix_len() == net.max_prefix_len() => {
                f.write_str(&bracket(net.addr().to_string()))?;
            }
            Addresses::Net(net) => f.write_str(&bracket(net.to_string()))?,
        }
        match (*self.ports.start(), *self.ports.end()) {
            (1, u16::MAX) => Ok(()),
            (from, to) if from == to => write!(f, ":{from}"),
            (from, to) => write!(f, ":{from}-{to}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn covers(rule: &str, address: &str) -> bool {
        rule.parse::<Rule>().expect("a rule").covers(address.parse().expect("an address"))
    }

    #[test]
    fn a_rule_covers_its_network_and_ports_only() {
        assert!(covers("192.168.1.0/24:9999", "192.168.1.7:9999"));
        assert!(!covers("192.168.1.0/24:9999", "192.168.1.7:9998"));
        assert!(!covers("192.168.1.0/24:9999", "192.168.2.7:9999"));
        assert!(covers("127.0.0.1:9000-9100", "127.0.0.1:9100"));
        assert!(!covers("127.0.0.1:9000-9100", "127.0.0.1:9101"));
        assert!(covers("[::1]:53", "[::1]:53"));
        assert!(covers("::1", "[::1]:53"));
        assert!(covers("[fd00::/8]:5000", "[fd00::7]:5000"));
        assert!(covers("private", "10.1.2.3:1"));
        assert!(!covers("private", "8.8.8.8:1"));
        assert!(covers("any:53", "8.8.8.8:53"));
    }

    #[test]
    fn special_addresses_need_to_be_named() {
        for special in ["224.0.0.251:5353", "255.255.255.255:9", "169.254.169.254:80", "0.0.0.0:9"]
        {
            assert!(!covers("any", special), "{special}");
            assert!(!covers("0.0.0.0/0", special), "{special}");
        }
        assert!(covers("multicast:5353", "224.0.0.251:5353"));
        assert!(covers("224.0.0.251:5353", "224.0.0.251:5353"));
        assert!(!covers("224.0.0.0/4", "224.0.0.251:5353"));
        assert!(covers("link-local", "[fe80::1]:9"));
        assert!(covers("broadcast", "255.255.255.255:9"));
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        assert_eq!("localhost:9".parse::<Rule>(), Err(RuleError::Addresses("localhost".into())));
        assert_eq!("::1:".parse::<Rule>(), Err(RuleError::Addresses("::1:".into())));
        assert_eq!("[::1]9".parse::<Rule>(), Err(RuleError::Addresses("[::1]9".into())));
        for ports in ["0", "65536", "9-1", "x", ""] {
            let rule = format!("127.0.0.1:{ports}");
            assert_eq!(rule.parse::<Rule>(), Err(RuleError::Ports(ports.into())), "{rule}");
        }
    }

    #[test]
    fn a_rule_reads_back_as_it_prints() {
        for text in ["any:53", "loopback", "127.0.0.1:9", "[::1]:9-10", "10.0.0.0/8", "[fd00::/8]"]
        {
            assert_eq!(text.parse::<Rule>().expect(text).to_string(), text);
        }
    }
}

//! Socket addresses inside binary messages. Network byte order throughout.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

use bytes::{Buf, BufMut, Bytes};

use crate::DecodeError;

/// No address follows.
pub(crate) const FAMILY_NONE: u8 = 0x00;
/// Four bytes of IPv4 address and two of port follow.
pub(crate) const FAMILY_IPV4: u8 = 0x04;
/// Sixteen bytes of IPv6 address, four of zone index (RFC 4007 §11) and two of port follow.
pub(crate) const FAMILY_IPV6: u8 = 0x06;

pub(crate) fn family_of(address: Option<SocketAddr>) -> u8 {
    match address {
        None => FAMILY_NONE,
        Some(SocketAddr::V4(_)) => FAMILY_IPV4,
        Some(SocketAddr::V6(_)) => FAMILY_IPV6,
    }
}

pub(crate) fn encoded_len(family: u8) -> Result<usize, DecodeError> {
    match family {
        FAMILY_NONE => Ok(0),
        FAMILY_IPV4 => Ok(4 + 2),
        FAMILY_IPV6 => Ok(16 + 4 + 2),
        other => Err(DecodeError::UnknownFamily(other)),
    }
}

pub(crate) fn put(out: &mut impl BufMut, address: Option<SocketAddr>) {
    match address {
        None => {}
        Some(SocketAddr::V4(v4)) => {
            out.put_slice(&v4.ip().octets());
            out.put_u16(v4.port());
        }
        Some(SocketAddr::V6(v6)) => {
            out.put_slice(&v6.ip().octets());
            out.put_u32(v6.scope_id());
            out.put_u16(v6.port());
        }
    }
}

/// Takes the address of a family whose length has been checked.
pub(crate) fn take(family: u8, from: &mut Bytes) -> Option<SocketAddr> {
    match family {
        FAMILY_IPV4 => {
            let ip = Ipv4Addr::from(from.get_u32());
            Some(SocketAddr::V4(SocketAddrV4::new(ip, from.get_u16())))
        }
        FAMILY_IPV6 => {
            let ip = Ipv6Addr::from(from.get_u128());
            let zone = from.get_u32();
            Some(SocketAddr::V6(SocketAddrV6::new(ip, from.get_u16(), 0, zone)))
        }
        _ => None,
    }
}

//! Turns a host as it was typed into addresses. It never judges them.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, LazyLock};

use tokio::sync::Semaphore;

use crate::config::{LOOKUP_LIMIT, LOOKUP_TIMEOUT};

static LOOKUPS: LazyLock<Arc<Semaphore>> = LazyLock::new(|| Arc::new(Semaphore::new(LOOKUP_LIMIT)));

/// Why a host has no address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ResolveError {
    /// It cannot be the name of a host.
    #[error("host {0:?} is neither an address nor a name of at most 253 letters, digits, - . _")]
    Malformed(String),
    /// The system found no address.
    #[error("host {host:?} was not resolved: {reason}")]
    NotResolved {
        /// The name.
        host: String,
        /// The system's words, or that it took too long.
        reason: String,
    },
}

/// The address that `host` spells, if it is one; IPv6 with or without brackets.
pub fn literal(host: &str) -> Option<IpAddr> {
    let inside = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    match inside {
        Some(inside) => inside.parse().map(IpAddr::V6).ok(),
        None => host.parse().ok(),
    }
}

/// Every address of `host`, in the system's order.
///
/// # Errors
/// When it cannot be a name (RFC 1035 §2.3.4), or has no address.
pub async fn resolve(host: &str, port: u16) -> Result<Vec<SocketAddr>, ResolveError> {
    if let Some(address) = literal(host) {
        return Ok(vec![SocketAddr::from((address, port))]);
    }
    let is_name = !host.is_empty()
        && host.len() <= 253
        && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte));
    if !is_name {
        let shown: String = host.chars().take(80).collect();
        return Err(ResolveError::Malformed(shown));
    }
    let failed = |reason: String| ResolveError::NotResolved { host: host.to_owned(), reason };
    let name = host.to_owned();
    let looking = async {
        let permit = LOOKUPS.clone().acquire_owned().await;
        // The system's look-up cannot be called off; its permit stays with it when nobody waits.
        let found = tokio::spawn(async move {
            let _permit = permit;
            tokio::net::lookup_host((name, port)).await.map(Vec::from_iter)
        });
        found.await.unwrap_or_else(|error| Err(error.into()))
    };
    let addresses = tokio::time::timeout(LOOKUP_TIMEOUT, looking)
        .await
        .map_err(|_| failed(format!("no answer within {} s", LOOKUP_TIMEOUT.as_secs())))?
        .map_err(|error| failed(error.to_string()))?;
    if addresses.is_empty() { Err(failed("it has no address".to_owned())) } else { Ok(addresses) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn addresses_are_taken_as_they_are() {
        for (host, address) in
            [("127.0.0.1", "127.0.0.1:9"), ("::1", "[::1]:9"), ("[::1]", "[::1]:9")]
        {
            let expected = vec![address.parse().expect("an address")];
            assert_eq!(resolve(host, 9).await, Ok(expected), "{host}");
        }
    }

    #[tokio::test]
    async fn what_cannot_be_a_host_is_refused_without_a_look_up() {
        for host in ["", "a b", "[127.0.0.1]", "[::1", "a/b", "ü", &"a".repeat(254)] {
            let error = resolve(host, 9).await.expect_err(host);
            assert!(matches!(error, ResolveError::Malformed(_)), "{host}: {error}");
        }
    }

    #[tokio::test]
    async fn localhost_resolves_to_loopback() {
        let found = resolve("localhost", 9).await.expect("every system knows localhost");
        assert!(found.iter().all(|address| address.ip().is_loopback()));
    }
}

//! The operating system's names for errors. It never invents one.

use std::io;

use wire::{Origin, SocketError};

/// An error of a system call, by its name on this system and with the system's own words.
pub fn socket_error(error: &io::Error) -> SocketError {
    let code = error.raw_os_error();
    let (name, message) = match code {
        Some(code) => system_name(code, error),
        None => (format!("{:?}", error.kind()), error.to_string()),
    };
    SocketError { origin: Origin::System, name, code, message, advice: None }
}

#[cfg(unix)]
fn system_name(code: i32, _: &io::Error) -> (String, String) {
    let errno = nix::errno::Errno::from_raw(code);
    (format!("{errno:?}"), errno.desc().to_owned())
}

/// Windows Sockets error codes, as Microsoft's reference lists them; the standard library knows
/// them by number only.
#[cfg(windows)]
fn system_name(code: i32, error: &io::Error) -> (String, String) {
    let name = match code {
        10004 => "WSAEINTR",
        10013 => "WSAEACCES",
        10014 => "WSAEFAULT",
        10022 => "WSAEINVAL",
        10024 => "WSAEMFILE",
        10035 => "WSAEWOULDBLOCK",
        10040 => "WSAEMSGSIZE",
        10047 => "WSAEAFNOSUPPORT",
        10048 => "WSAEADDRINUSE",
        10049 => "WSAEADDRNOTAVAIL",
        10050 => "WSAENETDOWN",
        10051 => "WSAENETUNREACH",
        10052 => "WSAENETRESET",
        10053 => "WSAECONNABORTED",
        10054 => "WSAECONNRESET",
        10055 => "WSAENOBUFS",
        10056 => "WSAEISCONN",
        10057 => "WSAENOTCONN",
        10058 => "WSAESHUTDOWN",
        10060 => "WSAETIMEDOUT",
        10061 => "WSAECONNREFUSED",
        10065 => "WSAEHOSTUNREACH",
        _ => return (format!("OS_ERROR_{code}"), error.to_string()),
    };
    (name.to_owned(), error.to_string())
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn a_refused_connection_has_the_systems_name_and_number() {
        let refused = nix::errno::Errno::ECONNREFUSED as i32;
        let error = socket_error(&io::Error::from_raw_os_error(refused));
        assert_eq!(
            error,
            SocketError {
                origin: Origin::System,
                name: "ECONNREFUSED".into(),
                code: Some(refused),
                message: "Connection refused".into(),
                advice: None,
            }
        );
    }

    #[test]
    fn an_error_without_a_number_keeps_its_kind() {
        let error = socket_error(&io::Error::new(io::ErrorKind::InvalidInput, "no address"));
        assert_eq!((error.name.as_str(), error.code), ("InvalidInput", None));
    }
}

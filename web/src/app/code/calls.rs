//! One row of the log as the line of a program that it stands for.

use std::net::SocketAddr;

use wire::{Family, Kind};

use super::literal;
use crate::app::log::{Made, Row, What};

/// Payload bytes that a call shows at most.
const SHOWN: usize = 400;

fn payload(row: &Row) -> String {
    match row.payload.as_deref() {
        None if row.kept > 0 => "b\"…\"".to_owned(),
        None => literal(b""),
        Some(bytes) if bytes.len() > SHOWN => {
            let shown = literal(&bytes[..SHOWN]);
            format!("{}…\"", shown.trim_end_matches('"'))
        }
        Some(bytes) => literal(bytes),
    }
}

fn python_address(address: SocketAddr) -> String {
    format!("(\"{}\", {})", address.ip(), address.port())
}

/// The call in Python; empty when no program makes it.
pub fn in_python(row: &Row) -> String {
    match &row.what {
        What::Sent { stream: true, .. } => format!("sock.sendall({})", payload(row)),
        What::Sent { to: true, .. } => match row.to {
            Some(to) => format!("sock.sendto({}, {})", payload(row), python_address(to)),
            None => String::new(),
        },
        What::Sent { .. } => format!("sock.send({})", payload(row)),
        What::Received { buffer, from: true, .. } => {
            let from = row.from.map(python_address).unwrap_or_default();
            format!(
                "data, address = sock.recvfrom({buffer})\n# data == {}\n# address == {from}",
                payload(row)
            )
        }
        What::Received { buffer, .. } => {
            format!("data = sock.recv({buffer})\n# data == {}", payload(row))
        }
        What::Called(made, _) => made_in_python(made),
        What::Failed(made, error) => {
            let call = made.as_ref().map(made_in_python).unwrap_or_default();
            let raised = format!("# raises OSError: {}", crate::app::text::harmless(&error.name));
            if call.is_empty() { String::new() } else { format!("{call}\n{raised}") }
        }
        What::Told(_) => String::new(),
    }
}

fn made_in_python(made: &Made) -> String {
    match made {
        Made::Open(kind, family) => format!(
            "sock = socket.socket(socket.{}, socket.{})",
            if *family == Family::Ipv4 { "AF_INET" } else { "AF_INET6" },
            if *kind == Kind::Udp { "SOCK_DGRAM" } else { "SOCK_STREAM" }
        ),
        Made::Bind(host, port, _) => format!("sock.bind((\"{host}\", {port}))"),
        Made::Connect(host, port, _) => format!("sock.connect((\"{host}\", {port}))"),
        Made::Listen(backlog) => format!("sock.listen({backlog})"),
        Made::Accept => "connection, client = sock.accept()".to_owned(),
        Made::Resolve(host, port) => format!("socket.getaddrinfo(\"{host}\", {port})"),
        Made::Receive(buffer) => format!("# each recvfrom({buffer}) reads at most so many bytes"),
        Made::Recv(buffer) => format!("data = sock.recv({buffer})"),
        Made::Send => "sock.send(message)".to_owned(),
        Made::Name => "sock.getsockname()".to_owned(),
        Made::Close => "sock.close()".to_owned(),
        Made::Other(_) => String::new(),
    }
}

/// The call in Rust; empty when no program makes it.
pub fn in_rust(row: &Row) -> String {
    match &row.what {
        What::Sent { stream: true, .. } => format!("stream.write_all({})?;", payload(row)),
        What::Sent { to: true, .. } => match row.to {
            Some(to) => format!("socket.send_to({}, \"{to}\")?;", payload(row)),
            None => String::new(),
        },
        What::Sent { .. } => format!("socket.send({})?;", payload(row)),
        What::Received { buffer, from: true, .. } => format!(
            "let mut buffer = [0; {buffer}];\nlet (size, address) = socket.recv_from(&mut buffer)?;\n// &buffer[..size] == {}",
            payload(row)
        ),
        What::Received { buffer, stream, .. } => format!(
            "let mut buffer = [0; {buffer}];\nlet size = {}(&mut buffer)?;\n// &buffer[..size] == {}",
            if *stream { "stream.read" } else { "socket.recv" },
            payload(row)
        ),
        What::Called(made, _) => made_in_rust(made),
        What::Failed(made, error) => {
            let call = made.as_ref().map(made_in_rust).unwrap_or_default();
            let raised = format!("// returns Err: {}", crate::app::text::harmless(&error.name));
            if call.is_empty() { String::new() } else { format!("{call}\n{raised}") }
        }
        What::Told(_) => String::new(),
    }
}

fn made_in_rust(made: &Made) -> String {
    match made {
        Made::Open(Kind::Udp, family) => format!(
            "let socket = UdpSocket::bind((\"{}\", 0))?;  // the standard library opens and binds in one call",
            if *family == Family::Ipv4 { "0.0.0.0" } else { "::" }
        ),
        Made::Open(Kind::Tcp, _) => {
            "// std opens a TCP socket in TcpStream::connect or TcpListener::bind".to_owned()
        }
        Made::Bind(host, port, Kind::Udp) => {
            format!("let socket = UdpSocket::bind((\"{host}\", {port}))?;")
        }
        Made::Bind(host, port, Kind::Tcp) => {
            format!(
                "let listener = TcpListener::bind((\"{host}\", {port}))?;  // binds and listens"
            )
        }
        Made::Connect(host, port, Kind::Udp) => format!("socket.connect((\"{host}\", {port}))?;"),
        Made::Connect(host, port, Kind::Tcp) => {
            format!("let mut stream = TcpStream::connect((\"{host}\", {port}))?;")
        }
        Made::Listen(_) => "// TcpListener::bind has called listen already".to_owned(),
        Made::Accept => "let (connection, client) = listener.accept()?;".to_owned(),
        Made::Resolve(host, port) => format!("(\"{host}\", {port}).to_socket_addrs()?"),
        Made::Receive(buffer) => format!("let mut buffer = [0; {buffer}];"),
        Made::Recv(_) => "let size = socket.recv(&mut buffer)?;".to_owned(),
        Made::Send => "socket.send(message)?;".to_owned(),
        Made::Name => "socket.local_addr()?".to_owned(),
        Made::Close => "drop(socket);".to_owned(),
        Made::Other(_) => String::new(),
    }
}

//! The settings as a Rust program on the standard library alone.

use super::{Lines, is_ipv6, literal};
use crate::app::compose::{Notation, Template};
use crate::app::form::{AnswerMode, Settings, SocketKind};
use crate::app::text;

/// A complete Rust program that does what the page does with these settings.
pub fn program(settings: &Settings) -> String {
    let mut out = Lines::default();
    match settings.kind {
        SocketKind::Udp => udp(&mut out, settings, true),
        SocketKind::UdpConnected => udp(&mut out, settings, false),
        SocketKind::Tcp => tcp(&mut out, settings),
        SocketKind::UdpServer => udp_server(&mut out, settings),
        SocketKind::TcpServer => tcp_server(&mut out, settings),
    }
    out.text
}

const RECEIVED: &str =
    "println!(\"Message from Server: b\\\"{}\\\"\", buffer[..size].escape_ascii());";
const FROM_CLIENT: &str =
    "println!(\"Message from Client: b\\\"{}\\\"\", buffer[..size].escape_ascii());";
const TIMED_OUT: &str =
    "Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {";

fn wildcard(settings: &Settings) -> &'static str {
    if is_ipv6(&settings.host) { "::" } else { "0.0.0.0" }
}

fn target(settings: &Settings) -> String {
    format!("let server = (\"{}\", {});", settings.host.as_text(), settings.port)
}

fn timeout(settings: &Settings) -> String {
    match settings.timeout {
        None => "None".to_owned(),
        Some(timeout) => format!("Some(Duration::from_millis({}))", text::millis(timeout)),
    }
}

/// The payload as an expression that borrows; in it `n`, a `u32`, is the counter.
fn expression(message: &Template) -> String {
    if !message.has_counter() {
        return literal(&message.payload(1));
    }
    let counter = match message.notation {
        Notation::Text => "n.to_string().as_bytes()",
        Notation::Hex => "&n.to_be_bytes()",
    };
    let mut terms = Vec::new();
    for (at, piece) in message.pieces.iter().enumerate() {
        if at > 0 {
            terms.push(counter.to_owned());
        }
        if !piece.is_empty() {
            terms.push(literal(piece));
        }
    }
    // Slices of one type, since arrays of different lengths do not stand in one array.
    if let Some(first) = terms.first_mut()
        && first.starts_with("b\"")
    {
        first.push_str(".as_slice()");
    } else if let Some(first) = terms.first_mut()
        && first.starts_with("&n")
    {
        "n.to_be_bytes().as_slice()".clone_into(first);
    }
    format!("&[{}].concat()", text::join(terms, ", "))
}

fn has_gap(settings: &Settings) -> bool {
    settings.times > 1 && !settings.gap.is_zero()
}

fn head(out: &mut Lines, settings: &Settings, uses: &[&str], needs_duration: bool) {
    out.lines(uses);
    if needs_duration {
        out.line("use std::time::Duration;");
    }
    out.line("");
    out.block("fn main() -> std::io::Result<()> {");
    if !settings.kind.is_server() {
        out.line(&target(settings));
    }
}

fn foot(out: &mut Lines) {
    out.line("Ok(())");
    out.end();
    out.line("}");
}

fn close(out: &mut Lines) {
    out.end();
    out.line("}");
}

fn sends(out: &mut Lines, settings: &Settings, call: &str) {
    let call = text::join(text::split(call, "MESSAGE"), &expression(&settings.message));
    if settings.times == 1 {
        if settings.message.has_counter() {
            out.line("let n = 1u32;");
        }
        out.line(&call);
        return;
    }
    let counter = if settings.message.has_counter() || has_gap(settings) { "n" } else { "_" };
    out.block(&format!("for {counter} in 1..={}u32 {{", settings.times));
    out.line(&call);
    if has_gap(settings) {
        out.block(&format!("if n < {} {{", settings.times));
        let gap = text::millis(settings.gap);
        out.line(&format!("std::thread::sleep(Duration::from_millis({gap}));"));
        close(out);
    }
    close(out);
}

fn udp(out: &mut Lines, settings: &Settings, to: bool) {
    head(
        out,
        settings,
        &["use std::io::ErrorKind;", "use std::net::UdpSocket;"],
        settings.timeout.is_some() || has_gap(settings),
    );
    out.line(&format!(
        "let socket = UdpSocket::bind((\"{}\", {}))?;",
        wildcard(settings),
        settings.local_port
    ));
    out.line(&format!("socket.set_read_timeout({})?;", timeout(settings)));
    if !to {
        out.line("socket.connect(server)?;");
    }
    let call = if to { "socket.send_to(MESSAGE, server)?;" } else { "socket.send(MESSAGE)?;" };
    sends(out, settings, call);
    out.line("");
    out.line(&format!("let mut buffer = [0; {}];", settings.buffer));
    if settings.times > 1 {
        out.line("// Replies that came meanwhile wait in the socket's own buffer.");
        out.block(&format!("for _ in 0..{} {{", settings.times));
    }
    let (call, ok) = if to {
        ("socket.recv_from(&mut buffer)", "Ok((size, _address)) => {")
    } else {
        ("socket.recv(&mut buffer)", "Ok(size) => {")
    };
    out.block(&format!("match {call} {{"));
    out.block(ok);
    out.line(RECEIVED);
    close(out);
    out.block(TIMED_OUT);
    out.line("println!(\"No reply received in time\");");
    if settings.times > 1 {
        out.line("break;");
    }
    close(out);
    out.line("Err(error) => return Err(error),");
    close(out);
    if settings.times > 1 {
        close(out);
    }
    foot(out);
}

fn tcp(out: &mut Lines, settings: &Settings) {
    head(
        out,
        settings,
        &["use std::io::{ErrorKind, Read, Write};", "use std::net::TcpStream;"],
        settings.timeout.is_some() || has_gap(settings),
    );
    if settings.local_port != 0 {
        out.line("// The standard library cannot choose the local port of an outgoing connection.");
    }
    out.line("let mut stream = TcpStream::connect(server)?;");
    out.line(&format!("stream.set_read_timeout({})?;", timeout(settings)));
    sends(out, settings, "stream.write_all(MESSAGE)?;");
    out.line("");
    out.line(&format!("let mut buffer = [0; {}];", settings.buffer));
    if settings.times > 1 {
        out.line("let mut received = 0;");
        out.line(
            "// A stream has no borders: one read may return several answers, or part of one.",
        );
        out.block("loop {");
    }
    out.block("match stream.read(&mut buffer) {");
    if settings.times > 1 {
        out.block("Ok(0) => {");
        out.line("println!(\"The server closed the connection\");");
        out.line("break;");
        close(out);
    }
    out.block("Ok(size) => {");
    out.line(RECEIVED);
    if settings.times > 1 {
        out.line("received += size;");
    }
    close(out);
    out.block(TIMED_OUT);
    if settings.times > 1 {
        out.block("if received == 0 {");
        out.line("println!(\"No reply received in time\");");
        close(out);
        out.line("break;");
    } else {
        out.line("println!(\"No reply received in time\");");
    }
    close(out);
    out.line("Err(error) => return Err(error),");
    close(out);
    if settings.times > 1 {
        close(out);
    }
    foot(out);
}

fn answer(out: &mut Lines, settings: &Settings, call: &str) {
    let answer = match settings.answer {
        AnswerMode::ByHand => {
            out.line("let mut answer = String::new();");
            out.line("std::io::stdin().read_line(&mut answer)?;");
            "answer.trim_end().as_bytes()".to_owned()
        }
        AnswerMode::Ack => "&[b\"ack:\".as_slice(), &buffer[..size]].concat()".to_owned(),
        AnswerMode::Fixed => {
            if settings.message.has_counter() {
                out.line("n += 1;");
            }
            expression(&settings.message)
        }
    };
    out.line(&text::join(text::split(call, "ANSWER"), &answer));
}

fn server_state(out: &mut Lines, settings: &Settings) {
    if settings.answer == AnswerMode::Fixed && settings.message.has_counter() {
        out.line("let mut n = 0u32;");
    }
    out.line(&format!("let mut buffer = [0; {}];", settings.buffer));
}

fn udp_server(out: &mut Lines, settings: &Settings) {
    head(out, settings, &["use std::net::UdpSocket;"], false);
    out.line(&format!(
        "let socket = UdpSocket::bind((\"{}\", {}))?;",
        settings.host.as_text(),
        settings.local_port
    ));
    out.line("println!(\"Listening on {}\", socket.local_addr()?);");
    server_state(out, settings);
    out.block("loop {");
    out.line("let (size, client) = socket.recv_from(&mut buffer)?;");
    out.lines(&[FROM_CLIENT, "println!(\"Client IP Address: {client}\");"]);
    answer(out, settings, "socket.send_to(ANSWER, client)?;");
    close(out);
    close(out);
}

fn tcp_server(out: &mut Lines, settings: &Settings) {
    head(out, settings, &["use std::io::{Read, Write};", "use std::net::TcpListener;"], false);
    out.line(&format!(
        "let listener = TcpListener::bind((\"{}\", {}))?;",
        settings.host.as_text(),
        settings.local_port
    ));
    out.line("println!(\"Listening on {}\", listener.local_addr()?);");
    server_state(out, settings);
    out.block("loop {");
    out.line("// One connection after another; the page holds several at once.");
    out.line("let (mut connection, client) = listener.accept()?;");
    out.line("println!(\"Client IP Address: {client}\");");
    out.block("loop {");
    out.line("let size = connection.read(&mut buffer)?;");
    out.block("if size == 0 {");
    out.line("break;");
    close(out);
    out.line(FROM_CLIENT);
    answer(out, settings, "connection.write_all(ANSWER)?;");
    close(out);
    close(out);
    close(out);
}

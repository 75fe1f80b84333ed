//! The settings as a Python program in the style of a first lesson.

use super::{Lines, is_ipv6, literal};
use crate::app::compose::{Notation, Template};
use crate::app::form::{AnswerMode, Settings, SocketKind};
use crate::app::text;

/// A complete Python 3 program that does what the page does with these settings.
pub fn program(settings: &Settings) -> String {
    let mut out = Lines::default();
    out.line("import socket");
    if settings.times > 1 && !settings.gap.is_zero() && !settings.kind.is_server() {
        out.line("import time");
    }
    out.line("");
    match settings.kind {
        SocketKind::Udp => udp(&mut out, settings, true),
        SocketKind::UdpConnected => udp(&mut out, settings, false),
        SocketKind::Tcp => tcp(&mut out, settings),
        SocketKind::UdpServer => udp_server(&mut out, settings),
        SocketKind::TcpServer => tcp_server(&mut out, settings),
    }
    out.text
}

fn family(settings: &Settings) -> &'static str {
    if is_ipv6(&settings.host) { "socket.AF_INET6" } else { "socket.AF_INET" }
}

fn socket(settings: &Settings) -> String {
    let kind = if settings.kind.is_stream() { "SOCK_STREAM" } else { "SOCK_DGRAM" };
    format!("socket.socket({}, socket.{kind})", family(settings))
}

pub(super) fn timeout(settings: &Settings) -> String {
    match settings.timeout {
        None => "None".to_owned(),
        Some(timeout) => {
            let seconds = text::seconds(timeout).replace(',', "");
            if seconds.contains('.') { seconds } else { format!("{seconds}.0") }
        }
    }
}

/// The payload as an expression in which `n` is the counter.
fn expression(message: &Template) -> String {
    let counter = match message.notation {
        Notation::Text => "str(n).encode()",
        Notation::Hex => "n.to_bytes(4, \"big\")",
    };
    let mut terms = Vec::new();
    for (at, piece) in message.pieces.iter().enumerate() {
        if at > 0 {
            terms.push(counter.to_owned());
        }
        if !piece.is_empty() || message.pieces.len() == 1 {
            terms.push(literal(piece));
        }
    }
    text::join(terms, " + ")
}

fn opening(out: &mut Lines, settings: &Settings) {
    out.line(&format!("server = (\"{}\", {})", settings.host.as_text(), settings.port));
    if !settings.message.has_counter() {
        out.line(&format!("message = {}", expression(&settings.message)));
    }
    if settings.times > 1 {
        out.line(&format!("times = {}", settings.times));
    }
    out.line("");
    out.block(&format!("with {} as sock:", socket(settings)));
    out.line(&format!("sock.settimeout({})", timeout(settings)));
    if settings.local_port != 0 {
        out.line(&format!("sock.bind((\"\", {}))", settings.local_port));
    }
}

fn sends(out: &mut Lines, settings: &Settings, call: &str) {
    let payload = if settings.message.has_counter() {
        expression(&settings.message)
    } else {
        "message".to_owned()
    };
    let call = text::join(text::split(call, "MESSAGE"), &payload);
    if settings.times == 1 {
        if settings.message.has_counter() {
            out.line("n = 1");
        }
        out.line(&call);
        return;
    }
    let counter = if settings.message.has_counter() || !settings.gap.is_zero() { "n" } else { "_" };
    out.block(&format!("for {counter} in range(1, times + 1):"));
    out.line(&call);
    if !settings.gap.is_zero() {
        out.block("if n < times:");
        let gap = text::seconds(settings.gap).replace(',', "");
        out.line(&format!("time.sleep({gap})"));
        out.end();
    }
    out.end();
}

fn udp(out: &mut Lines, settings: &Settings, to: bool) {
    opening(out, settings);
    if !to {
        out.line("sock.connect(server)");
        out.block("try:");
    }
    sends(out, settings, if to { "sock.sendto(MESSAGE, server)" } else { "sock.send(MESSAGE)" });
    if to {
        out.block("try:");
    }
    if settings.times > 1 {
        out.line("# Replies that came meanwhile wait in the socket's own buffer.");
        out.block("for _ in range(times):");
    }
    if to {
        out.line(&format!("data, address = sock.recvfrom({})", settings.buffer));
    } else {
        out.line(&format!("data = sock.recv({})", settings.buffer));
    }
    out.line("print(f\"Message from Server: {data}\")");
    if settings.times > 1 {
        out.end();
    }
    out.end();
    timed_out(out);
    if !to {
        refused(out);
    }
}

fn timed_out(out: &mut Lines) {
    out.block("except socket.timeout:");
    out.line("print(\"No reply received in time\")");
    out.end();
}

fn refused(out: &mut Lines) {
    out.block("except OSError as error:");
    out.line("print(f\"Socket error: {error}\")");
    out.end();
}

fn tcp(out: &mut Lines, settings: &Settings) {
    opening(out, settings);
    if settings.times > 1 {
        out.line("received = 0");
    }
    out.block("try:");
    out.line("sock.connect(server)");
    sends(out, settings, "sock.sendall(MESSAGE)");
    let recv = format!("data = sock.recv({})", settings.buffer);
    if settings.times == 1 {
        out.line(&recv);
        out.line("print(f\"Message from Server: {data}\")");
    } else {
        out.line("# A stream has no borders: one recv may return several answers, or part of one.");
        out.block("while True:");
        out.line(&recv);
        out.block("if not data:");
        out.lines(&["print(\"The server closed the connection\")", "break"]);
        out.end();
        out.lines(&["received += len(data)", "print(f\"Message from Server: {data}\")"]);
        out.end();
    }
    out.end();
    if settings.times == 1 {
        timed_out(out);
    } else {
        out.block("except socket.timeout:");
        out.block("if received == 0:");
        out.line("print(\"No reply received in time\")");
        out.end();
        out.end();
    }
    refused(out);
}

fn answer(out: &mut Lines, settings: &Settings, call: &str) {
    let answer = match settings.answer {
        AnswerMode::ByHand => "input(\"Answer: \").encode()".to_owned(),
        AnswerMode::Ack => "b\"ack:\" + data".to_owned(),
        AnswerMode::Fixed => {
            if settings.message.has_counter() {
                out.line("n += 1");
            }
            expression(&settings.message)
        }
    };
    out.line(&text::join(text::split(call, "ANSWER"), &answer));
}

fn counts_answers(settings: &Settings) -> bool {
    settings.answer == AnswerMode::Fixed && settings.message.has_counter()
}

fn bound(out: &mut Lines, settings: &Settings, name: &str) {
    out.line(&format!("{name}.bind((\"{}\", {}))", settings.host.as_text(), settings.local_port));
}

fn udp_server(out: &mut Lines, settings: &Settings) {
    out.block(&format!("with {} as sock:", socket(settings)));
    bound(out, settings, "sock");
    out.line("print(f\"Listening on {sock.getsockname()}\")");
    if counts_answers(settings) {
        out.line("n = 0");
    }
    out.block("while True:");
    out.line(&format!("data, client = sock.recvfrom({})", settings.buffer));
    out.lines(&[
        "print(f\"Message from Client: {data}\")",
        "print(f\"Client IP Address: {client}\")",
    ]);
    answer(out, settings, "sock.sendto(ANSWER, client)");
}

fn tcp_server(out: &mut Lines, settings: &Settings) {
    out.block(&format!("with {} as listener:", socket(settings)));
    bound(out, settings, "listener");
    out.lines(&["listener.listen(16)", "print(f\"Listening on {listener.getsockname()}\")"]);
    if counts_answers(settings) {
        out.line("n = 0");
    }
    out.block("while True:");
    out.line("# One connection after another; the page holds several at once.");
    out.line("connection, client = listener.accept()");
    out.line("print(f\"Client IP Address: {client}\")");
    out.block("with connection:");
    out.block("while True:");
    out.line(&format!("data = connection.recv({})", settings.buffer));
    out.block("if not data:");
    out.line("break");
    out.end();
    out.line("print(f\"Message from Client: {data}\")");
    answer(out, settings, "connection.sendall(ANSWER)");
}

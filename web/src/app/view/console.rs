//! The other side: the practice servers' consoles, or how this page's own server is called.

use wire::{ServerAction, ServerState};

use super::{CallView, ConsoleView, listening_at, server_name, transport_word};
use crate::app::model::Model;
use crate::app::session::state_word;
use crate::app::sockets::Caller;
use crate::app::{Copied, text};

/// Callers listed at once.
const CALLERS_SHOWN: usize = 20;

pub(in crate::app) fn pause_action(model: &Model) -> Option<ServerAction> {
    match model.session.server(&model.tab)?.state {
        ServerState::Running => Some(ServerAction::Pause),
        ServerState::Paused => Some(ServerAction::Resume),
        ServerState::Stopped | ServerState::PortTaken => None,
    }
}

pub(in crate::app) fn stop_action(model: &Model) -> Option<ServerAction> {
    match model.session.server(&model.tab)?.state {
        ServerState::Running | ServerState::Paused => Some(ServerAction::Stop),
        ServerState::Stopped | ServerState::PortTaken => Some(ServerAction::Start),
    }
}

/// The commands that call this page's server: the relay's client and Python.
pub(in crate::app) fn commands(model: &Model) -> (String, String) {
    let Some(at) = listening_at(model) else { return (String::new(), String::new()) };
    let (host, port) = (at.ip(), at.port());
    let family = if at.is_ipv6() { "AF_INET6" } else { "AF_INET" };
    let (flag, python) = if model.form.kind.is_stream() {
        let python = format!(
            "python3 -c 'import socket; s = socket.create_connection((\"{host}\", {port}), 30); s.sendall(b\"hello\"); print(s.recv(4096))'"
        );
        (" --tcp", python)
    } else {
        let python = format!(
            "python3 -c 'import socket; s = socket.socket(socket.{family}, socket.SOCK_DGRAM); s.settimeout(30); s.sendto(b\"hello\", (\"{host}\", {port})); print(s.recvfrom(4096))'"
        );
        ("", python)
    };
    let relay =
        if flag.is_empty() { format!("relay client {host} {port} hello") } else { String::new() };
    (relay, python)
}

pub(super) fn console(model: &Model) -> ConsoleView {
    let session = &model.session;
    let is_ready = session.is_ready();
    let status = session.server(&model.tab);
    let tabs = session.servers.iter().map(|status| {
        let name = text::harmless(server_name(status));
        let state = if is_ready { state_word(status.state) } else { "unknown" };
        (status.server.clone(), format!("{name} {}", transport_word(status.transport)), state)
    });
    let words = match status {
        _ if !is_ready => "unknown: there is no relay to ask".to_owned(),
        None => "no practice server".to_owned(),
        Some(status) => {
            let at = format!("{} {}", transport_word(status.transport), status.address);
            match status.state {
                ServerState::Running => format!("running on {at}"),
                ServerState::Paused => format!("paused on {at}"),
                ServerState::Stopped => format!("stopped, was on {at}"),
                ServerState::PortTaken => format!("{at} is another program’s"),
            }
        }
    };
    ConsoleView {
        server: model.tab.clone(),
        tabs: tabs.collect(),
        state: status.filter(|_| is_ready).map_or("unknown", |status| state_word(status.state)),
        words,
        note: status.and_then(|it| it.note.as_deref()).map(text::harmless).unwrap_or_default(),
        is_teacher: session.is_teacher(),
        pause: pause_action(model).filter(|_| is_ready),
        stop: stop_action(model).filter(|_| is_ready),
        call: model.form.kind.is_server().then(|| call_view(model)),
    }
}

fn call_view(model: &Model) -> CallView {
    let (relay, python) = commands(model);
    let words = if listening_at(model).is_some() {
        "This page is the server now. Call it from a terminal on the relay’s machine:"
    } else {
        "Press Listen: then this page is the server, and the commands that call it stand here."
    };
    let mut callers: Vec<&Caller> = Vec::with_capacity(CALLERS_SHOWN + 1);
    for caller in model.socket.iter().flat_map(|socket| &socket.callers) {
        let later = callers.iter().take_while(|other| other.heard >= caller.heard).count();
        callers.insert(later, caller);
        callers.truncate(CALLERS_SHOWN);
    }
    let is_stream = model.form.kind.is_stream();
    let callers = callers.iter().map(|caller| {
        let received = if is_stream {
            text::plural(caller.received, "recv", "recvs")
        } else {
            text::plural(caller.received, "datagram", "datagrams")
        };
        let ended = if caller.has_ended { " · has ended" } else { "" };
        format!("{} · {received}{ended}", caller.address)
    });
    CallView {
        words: words.to_owned(),
        relay,
        python,
        copied: match model.said {
            Some((Copied::Command(language), true, _)) => Some(language),
            _ => None,
        },
        callers: callers.collect(),
    }
}

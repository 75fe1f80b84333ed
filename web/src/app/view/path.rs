//! The picture of the path: this page, the relay, and the other side.

use std::net::SocketAddr;

use wire::ServerState;

use super::{OutcomeView, PathView, listening_at, server_name, socket_words};
use crate::app::form::{Choice, SocketKind};
use crate::app::model::Model;
use crate::app::session::{Carrier, state_word};
use crate::app::target::Host;
use crate::app::text;

pub(super) fn path(model: &Model, outcome: &OutcomeView) -> PathView {
    let kind = model.form.kind;
    let is_ready = model.session.is_ready();
    let (transport, title, caption) = match kind {
        SocketKind::Udp | SocketKind::UdpServer => {
            ("udp", "UDP datagrams", "UDP: no connection, each datagram on its own")
        }
        SocketKind::UdpConnected => (
            "udp-connected",
            "UDP datagrams",
            "UDP, connected: still no connection, only the peer is fixed",
        ),
        SocketKind::Tcp | SocketKind::TcpServer => {
            ("tcp", "TCP connection", "TCP: a connection, one stream of bytes")
        }
    };
    let practice = match model.form.choice() {
        Choice::Practice(name) => model.session.server(name),
        Choice::Other => None,
    };
    let mut state = if model.socket.is_some() { "open" } else { "idle" };
    let (mut target_state, mut note) = ("unknown", String::new());
    let (target, address) = if kind.is_server() {
        let socket = model.socket.as_ref();
        let address = match (socket.and_then(|it| it.latest()), listening_at(model)) {
            (Some(caller), _) => caller.address.to_string(),
            (None, Some(at)) => format!("call {at}"),
            (None, None) => "nobody can call yet".to_owned(),
        };
        ("Clients".to_owned(), address)
    } else {
        let name = match (model.form.choice(), practice) {
            (Choice::Practice(_), Some(status)) => format!("{} server", server_name(status)),
            (Choice::Practice(name), None) => format!("{name} server"),
            (Choice::Other, _) => "another host".to_owned(),
        };
        let address = match model.form.target(&model.session.servers) {
            Ok((Host::Ip(ip), port)) => SocketAddr::new(ip, port).to_string(),
            Ok((Host::Name(name), port)) => format!("{name}:{port}"),
            Err(_) => "host and port?".to_owned(),
        };
        (name, address)
    };
    if let Some(status) = practice.filter(|_| is_ready && !kind.is_server()) {
        target_state = state_word(status.state);
        note = match status.state {
            ServerState::Running => String::new(),
            ServerState::Paused => "paused: it does not read".to_owned(),
            ServerState::Stopped => "stopped: nobody listens".to_owned(),
            ServerState::PortTaken => "another program has the port".to_owned(),
        };
        if status.state == ServerState::Stopped {
            state = "broken";
        }
    }
    if !is_ready {
        state = if model.session.sessions > 0 { "broken" } else { "idle" };
    }
    let mark = match outcome.state {
        "waiting" => Some("waiting"),
        "timeout" => Some("timeout"),
        "error" => Some("error"),
        "late" => Some("late"),
        "reply" => Some("reply"),
        _ => None,
    };
    PathView {
        is_server: kind.is_server(),
        relay: model.start.address.clone(),
        socket: socket_words(model),
        relay_caption: match model.session.carrier {
            Carrier::Idle | Carrier::Connecting(_) => "connecting…".to_owned(),
            Carrier::Ready => "connected".to_owned(),
            Carrier::Lost(again) => {
                let seconds = text::millis(again.saturating_sub(model.now)).div_ceil(1_000);
                format!("lost, reconnecting in {seconds} s")
            }
        },
        transport,
        state,
        title,
        caption,
        target_state,
        target: text::harmless(&target),
        address,
        note,
        mark,
        pulses: model.pulses,
    }
}

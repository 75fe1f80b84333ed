//! What the relay says. Peer input never panics: what cannot be read is counted.

use std::net::SocketAddr;

use bytes::Bytes;
use link::request::Answer;
use wire::{
    Call, CallId, Datagram, DecodeError, Message, ReceiveMode, RelayTime, Sent, SocketError,
    SocketId, Syscall, ToClient, Transport, Welcome,
};

use super::form::{AnswerMode, Choice, Form};
use super::log::{Fate, Made, Row, What};
use super::model::Model;
use super::runs::{Headline, Heard, Reply};
use super::sockets::{CALLERS, Caller};
use super::{Effect, text};

impl Model {
    pub(super) fn arrived(&mut self, message: Message) {
        match ToClient::decode(message) {
            Ok(ToClient::Datagram(datagram)) => self.received(datagram),
            Ok(ToClient::Sent(sent)) => self.sent(sent),
            Ok(ToClient::Event(event)) => self.event(event),
            Err(DecodeError::Json(_)) => self.undecoded += 1,
            Err(error) => {
                self.undecoded += 1;
                self.tell(format!("a message of the relay could not be read: {error}"));
            }
        }
    }

    fn event(&mut self, event: wire::Event) {
        match event {
            wire::Event::Welcome(welcome) => self.welcome(welcome),
            wire::Event::Done { call, local, addresses, .. } => {
                self.done(call.0, local, &addresses);
            }
            wire::Event::Failed { call, error } => self.failed(call.map(|call| call.0), error),
            wire::Event::Error { socket, number, on, at_ns, error } => {
                self.session.saw(at_ns, self.now);
                match number {
                    Some(number) => self.send_failed(number.0, at_ns, error),
                    None => self.socket_error(socket, on, at_ns, &error),
                }
            }
            wire::Event::Accepted { listener, socket, local, peer, at_ns } => {
                self.accepted(listener, socket, local, peer, at_ns);
            }
            wire::Event::EndOfStream { socket, at_ns } => self.end_of_stream(socket, at_ns),
            wire::Event::Dropped { datagrams, bytes, aged, .. } => {
                self.totals.dropped = self.totals.dropped.saturating_add(datagrams);
                self.tell(format!(
                    "this page was too slow: the relay dropped {} ({}) that had arrived, {} of them because they had waited too long",
                    text::plural(datagrams, "datagram", "datagrams"),
                    text::bytes(bytes),
                    text::count(aged)
                ));
            }
            wire::Event::Console { server, lines, skipped } => {
                self.consoles.append(&server, lines, skipped);
            }
            wire::Event::Server(status) => self.session.status(status),
            wire::Event::Closing { reason } => self.session.closing = Some(reason),
        }
    }

    fn welcome(&mut self, welcome: Box<Welcome>) {
        if self.session.is_ready() {
            return;
        }
        let is_first = self.session.sessions == 0;
        self.session.welcome(welcome, self.now);
        self.consoles.forget();
        self.calls.clear();
        if is_first {
            self.effects.push(Effect::Mark("relay-welcome"));
        } else {
            self.tell("new session; sockets are opened again when you send");
        }
        let Form { udp_choice, tcp_choice, .. } = &mut self.form;
        for (choice, transport) in [(udp_choice, Transport::Udp), (tcp_choice, Transport::Tcp)] {
            let Choice::Practice(name) = choice else { continue };
            let servers = &self.session.servers;
            if servers.iter().any(|status| status.server == *name) {
                continue;
            }
            let first = servers.iter().find(|status| status.transport == transport);
            *choice = first.map_or(Choice::Other, |status| Choice::Practice(status.server.clone()));
        }
        if self.session.server(&self.tab).is_none()
            && let Some(first) = self.session.servers.first()
        {
            self.tab.clone_from(&first.server);
        }
        self.call(None, Made::Other("watch"), |call| Call::Watch { call, consoles: true });
        if let Some(settings) = self.preparing.take() {
            // The target may have been chosen before the servers' addresses were known.
            match self.form.settings(&self.session.servers) {
                Ok(settings) => self.prepare(settings),
                Err(_) => self.prepare(settings),
            }
        }
    }

    fn sent(&mut self, sent: Sent) {
        self.session.saw(sent.sent_at, self.now);
        let is_own = self.socket.as_ref().is_some_and(|socket| socket.id == sent.socket);
        self.reported(sent.number.0, sent.sent_at, is_own);
    }

    fn received(&mut self, datagram: Datagram) {
        self.session.saw(datagram.received_at, self.now);
        self.pulses.back = self.pulses.back.wrapping_add(1);
        self.totals.received += 1;
        let is_cut_to = u32::try_from(datagram.payload.len()).unwrap_or(u32::MAX);
        let Datagram { socket, transport, source, received_at, size, payload } = datagram;
        let is_stream = transport == Transport::Tcp;
        let known = self.socket.as_ref().filter(|own| {
            own.id == socket || own.callers.iter().any(|caller| caller.socket == Some(socket))
        });
        let kind = known.map(|own| own.kind);
        let to = known.and_then(|own| own.local);
        let buffer = known.map_or(0, |own| own.buffer);
        let log_time = self.log_time(received_at);
        let row = self.push(Row {
            relay_at: Some(received_at),
            from: Some(source),
            to,
            size: size.max(is_cut_to),
            kept: is_cut_to,
            payload: Some(payload.clone()),
            fate: if is_stream { Fate::Stream } else { Fate::Unasked },
            ..Row::bare(
                log_time,
                What::Received {
                    buffer,
                    from: !is_stream && kind.is_none_or(|kind| !kind.is_connected()),
                    stream: is_stream,
                },
            )
        });
        let Some(kind) = kind else { return };
        if kind.is_server() {
            self.log.change(row, |row| row.fate = Fate::Request);
            self.asked(socket, source, payload, size, is_stream);
            return;
        }
        let reply = Reply { from: source, payload, size };
        let fate = if is_stream {
            self.streamed(received_at, row, &reply)
        } else {
            match self.sends.requests.handle_reply(source, &reply.payload, received_at.0) {
                Answer::Reply(found) => self.replied(found, row, reply),
                Answer::Again(found) => Fate::Again(self.row_of(found.number)),
                Answer::Unasked => Fate::Unasked,
            }
        };
        self.log.change(row, |row| row.fate = fate);
        if !self.marked_reply {
            self.marked_reply = true;
            self.effects.push(Effect::Mark("first-reply"));
        }
    }

    /// A client asks this page's server.
    fn asked(
        &mut self,
        socket: SocketId,
        from: SocketAddr,
        payload: Bytes,
        size: u32,
        is_stream: bool,
    ) {
        let now = self.now;
        let Some(own) = &mut self.socket else { return };
        if let Some(caller) = own.callers.iter_mut().find(|caller| caller.address == from) {
            caller.received += 1;
            caller.heard = now;
        } else {
            remember(&mut own.callers, from, is_stream.then_some(socket), now).received = 1;
        }
        self.announcement = format!("Message from {from}");
        let answer = match self.form.answer {
            AnswerMode::ByHand => None,
            AnswerMode::Ack => {
                let mut answer = b"ack:".to_vec();
                answer.extend_from_slice(&payload);
                Some(Bytes::from(answer))
            }
            AnswerMode::Fixed => {
                self.answers_made = self.answers_made.wrapping_add(1);
                let message = self.form.reply.template().ok();
                message.map(|message| message.payload(self.answers_made))
            }
        };
        self.headline = Headline::Answered(Heard {
            from,
            payload,
            size,
            answered: answer.as_ref().map(Bytes::len),
        });
        if let Some(answer) = answer {
            self.answer(socket, from, answer);
        }
    }

    fn accepted(
        &mut self,
        listener: SocketId,
        socket: SocketId,
        local: SocketAddr,
        peer: SocketAddr,
        at: RelayTime,
    ) {
        self.session.saw(at, self.now);
        let now = self.now;
        let Some(own) = self.socket.as_mut().filter(|own| own.id == listener) else {
            self.call(Some(socket), Made::Close, |call| Call::Close { call, socket });
            return;
        };
        let buffer_bytes = own.buffer;
        remember(&mut own.callers, peer, Some(socket), now).local = Some(local);
        let mode = ReceiveMode::Arriving;
        self.call(Some(socket), Made::Receive(buffer_bytes), |call: CallId| Call::Receive {
            call,
            socket,
            buffer_bytes,
            mode,
        });
        let what = What::Called(Made::Accept, format!("accept: {peer} has connected"));
        self.moment(at, what, Some(peer), Some(local));
    }

    fn end_of_stream(&mut self, socket: SocketId, at: RelayTime) {
        self.session.saw(at, self.now);
        let Some(own) = &mut self.socket else { return };
        let buffer = own.buffer;
        let from = match own.callers.iter_mut().find(|caller| caller.socket == Some(socket)) {
            Some(caller) => {
                caller.has_ended = true;
                Some(caller.address)
            }
            None if own.id == socket => {
                own.is_broken = true;
                own.peer
            }
            None => return,
        };
        let is_accepted = from.is_some() && socket.0 >= SocketId::FIRST_ACCEPTED;
        let sentence = "recv returned nothing: the other side sends no more".to_owned();
        self.moment(at, What::Called(Made::Recv(buffer), sentence), from, None);
        if is_accepted {
            self.call(Some(socket), Made::Close, |call| Call::Close { call, socket });
            if let Some(own) = &mut self.socket {
                own.callers.iter_mut().filter(|it| it.socket == Some(socket)).for_each(|caller| {
                    caller.socket = None;
                });
            }
        }
    }

    fn socket_error(&mut self, socket: SocketId, on: Syscall, at: RelayTime, error: &SocketError) {
        self.totals.errors += 1;
        let Some(own) = &mut self.socket else { return };
        let is_own = own.id == socket;
        let buffer = own.buffer;
        let from = own.peer.filter(|_| is_own);
        let is_stream = own.kind.is_stream();
        if is_own && is_stream {
            own.is_broken = true;
        }
        if is_stream {
            for caller in own.callers.iter_mut().filter(|it| it.socket == Some(socket)) {
                caller.has_ended = true;
                caller.socket = None;
            }
        }
        let made = match on {
            Syscall::Send => Made::Send,
            Syscall::Recv => Made::Recv(buffer),
            Syscall::Accept => Made::Accept,
        };
        let name = text::harmless(&error.name);
        self.moment(at, What::Failed(Some(made), Box::new(error.clone())), from, None);
        if is_own && is_stream {
            self.give_up_waiting("the connection broke");
        } else if is_own && from.is_some() && self.answered_by_error(error) {
            // Counted with the send that it came instead of a reply to.
            self.totals.errors -= 1;
        }
        if is_own && self.announcement.is_empty() {
            self.announcement = name;
        }
    }

    fn log_time(&mut self, at: RelayTime) -> std::time::Duration {
        self.session.clock.as_mut().map_or(self.now, |clock| clock.log_time(at))
    }

    /// A row of something that the relay saw at that moment.
    fn moment(
        &mut self,
        at: RelayTime,
        what: What,
        from: Option<SocketAddr>,
        to: Option<SocketAddr>,
    ) {
        let log_time = self.log_time(at);
        self.push(Row { relay_at: Some(at), from, to, ..Row::bare(log_time, what) });
    }
}

fn remember(
    callers: &mut Vec<Caller>,
    address: SocketAddr,
    socket: Option<SocketId>,
    heard: std::time::Duration,
) -> &mut Caller {
    if callers.len() == CALLERS {
        let oldest = callers.iter().enumerate().min_by_key(|(_, it)| (!it.has_ended, it.heard));
        if let Some((place, _)) = oldest {
            callers.remove(place);
        }
    }
    let caller = Caller { address, socket, local: None, received: 0, has_ended: false, heard };
    callers.push(caller);
    callers.last_mut().expect("one was just added")
}

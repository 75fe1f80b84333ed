//! Every message there can be, for property tests.

use std::net::{Ipv6Addr, SocketAddr, SocketAddrV6};

use bytes::Bytes;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use wire::{
    Call, CallId, ConsoleLine, ConsoleSource, Datagram, Event, Family, Half, Kind, Limits, Number,
    Origin, ReceiveMode, RelayTime, Role, Send, Sent, ServerAction, ServerState, ServerStatus,
    SocketError, SocketId, SocketOption, Syscall, ToClient, ToRelay, Transport, Welcome,
};

pub(crate) fn to_relay() -> impl Strategy<Value = ToRelay> {
    prop_oneof![call().prop_map(ToRelay::Call), send().prop_map(ToRelay::Send)]
}

pub(crate) fn to_client() -> impl Strategy<Value = ToClient> {
    prop_oneof![
        3 => event().prop_map(ToClient::Event),
        1 => datagram().prop_map(ToClient::Datagram),
        1 => sent().prop_map(ToClient::Sent),
    ]
}

fn call() -> impl Strategy<Value = Call> {
    let ids = (any::<u32>().prop_map(CallId), socket());
    let host = ".*";
    let port = any::<u16>();
    prop_oneof![
        (ids.clone(), select(&[Kind::Udp, Kind::Tcp]), select(&[Family::Ipv4, Family::Ipv6]))
            .prop_map(|((call, socket), kind, family)| Call::Open { call, socket, kind, family }),
        (ids.clone(), host, port).prop_map(|((call, socket), host, port)| Call::Bind {
            call,
            socket,
            host,
            port
        }),
        (ids.clone(), host, port).prop_map(|((call, socket), host, port)| Call::Connect {
            call,
            socket,
            host,
            port
        }),
        (ids.clone(), any::<u16>()).prop_map(|((call, socket), backlog)| Call::Listen {
            call,
            socket,
            backlog
        }),
        (ids.clone(), host, port).prop_map(|((call, _), host, port)| Call::Resolve {
            call,
            host,
            port
        }),
        (ids.clone(), select(OPTIONS), any::<u32>()).prop_map(|((call, socket), option, value)| {
            Call::Setsockopt { call, socket, option, value }
        }),
        (ids.clone(), option::of(any::<u32>())).prop_map(|((call, socket), timeout_ms)| {
            Call::Settimeout { call, socket, timeout_ms }
        }),
        (ids.clone(), any::<u32>(), select(&[ReceiveMode::Arriving, ReceiveMode::Asked])).prop_map(
            |((call, socket), buffer_bytes, mode)| Call::Receive {
                call,
                socket,
                buffer_bytes,
                mode
            }
        ),
        ids.clone().prop_map(|(call, socket)| Call::Recvfrom { call, socket }),
        ids.clone().prop_map(|(call, socket)| Call::Getsockname { call, socket }),
        (ids.clone(), select(&[Half::Read, Half::Write, Half::Both]))
            .prop_map(|((call, socket), how)| Call::Shutdown { call, socket, how }),
        ids.clone().prop_map(|(call, socket)| Call::Close { call, socket }),
        (ids.clone(), any::<bool>())
            .prop_map(|((call, _), consoles)| Call::Watch { call, consoles }),
        (ids, host, select(ACTIONS)).prop_map(|((call, _), server, action)| Call::Server {
            call,
            server,
            action
        }),
    ]
}

const OPTIONS: &[SocketOption] = &[
    SocketOption::ReceiveBuffer,
    SocketOption::SendBuffer,
    SocketOption::Broadcast,
    SocketOption::TimeToLive,
    SocketOption::NoDelay,
];

const ACTIONS: &[ServerAction] =
    &[ServerAction::Start, ServerAction::Stop, ServerAction::Pause, ServerAction::Resume];

fn send() -> impl Strategy<Value = Send> {
    (socket(), number(), option::of(address()), any::<bool>(), payload()).prop_map(
        |(socket, number, destination, report, payload)| Send {
            socket,
            number,
            destination,
            report,
            payload,
        },
    )
}

fn event() -> impl Strategy<Value = Event> {
    let call = any::<u32>().prop_map(CallId);
    prop_oneof![
        welcome().prop_map(|welcome| Event::Welcome(Box::new(welcome))),
        (
            call.clone(),
            option::of(address()),
            option::of(address()),
            vec(address(), 0..4),
            option::of(any::<u32>())
        )
            .prop_map(|(call, local, peer, addresses, value)| Event::Done {
                call,
                local,
                peer,
                addresses,
                value
            }),
        (option::of(call), error()).prop_map(|(call, error)| Event::Failed { call, error }),
        (
            socket(),
            option::of(number()),
            select(&[Syscall::Send, Syscall::Recv, Syscall::Accept]),
            time(),
            error()
        )
            .prop_map(|(socket, number, on, at_ns, error)| Event::Error {
                socket,
                number,
                on,
                at_ns,
                error
            }),
        (socket(), socket(), address(), address(), time()).prop_map(
            |(listener, socket, local, peer, at_ns)| Event::Accepted {
                listener,
                socket,
                local,
                peer,
                at_ns
            }
        ),
        (socket(), time()).prop_map(|(socket, at_ns)| Event::EndOfStream { socket, at_ns }),
        any::<(u64, u64, u64, u64)>().prop_map(|(datagrams, bytes, aged, total)| {
            Event::Dropped { datagrams, bytes, aged, total }
        }),
        (any::<String>(), vec(console_line(), 0..4), any::<u64>())
            .prop_map(|(server, lines, skipped)| Event::Console { server, lines, skipped }),
        server_status().prop_map(Event::Server),
        any::<String>().prop_map(|reason| Event::Closing { reason }),
    ]
}

fn welcome() -> impl Strategy<Value = Welcome> {
    let words = (any::<String>(), any::<String>(), any::<String>(), any::<String>());
    let role = select(&[Role::Learner, Role::Teacher]);
    let lists = (vec(any::<String>(), 0..3), vec(server_status(), 0..3));
    (words, role, time(), limits(), lists).prop_map(
        |((protocol, relay, os, session), role, now_ns, limits, (permitted, servers))| Welcome {
            protocol,
            relay,
            os,
            session,
            role,
            now_ns,
            limits,
            permitted,
            servers,
        },
    )
}

fn limits() -> impl Strategy<Value = Limits> {
    (any::<[u32; 7]>(), option::of(any::<u32>())).prop_map(
        |([sockets, calls, ipv4, ipv6, queue_bytes, queue_age_ms, idle_seconds], rate)| Limits {
            sockets,
            calls,
            payload_bytes_ipv4: ipv4,
            payload_bytes_ipv6: ipv6,
            sends_per_second: rate,
            queue_bytes,
            queue_age_ms,
            idle_seconds,
        },
    )
}

fn server_status() -> impl Strategy<Value = ServerStatus> {
    (any::<String>(), transport(), address(), any::<u32>(), select(STATES), option::of(".*"))
        .prop_map(|(server, transport, address, buffer_bytes, state, note)| ServerStatus {
            server,
            transport,
            address,
            buffer_bytes,
            state,
            note,
        })
}

const STATES: &[ServerState] =
    &[ServerState::Running, ServerState::Paused, ServerState::Stopped, ServerState::PortTaken];

fn console_line() -> impl Strategy<Value = ConsoleLine> {
    let from = select(&[ConsoleSource::Program, ConsoleSource::Relay]);
    (any::<u64>(), time(), from, any::<String>())
        .prop_map(|(number, at_ns, from, text)| ConsoleLine { number, at_ns, from, text })
}

fn error() -> impl Strategy<Value = SocketError> {
    let origin = select(&[Origin::System, Origin::Relay]);
    let code = option::of(any::<i32>());
    (origin, any::<String>(), code, any::<String>(), option::of(any::<String>())).prop_map(
        |(origin, name, code, message, advice)| SocketError { origin, name, code, message, advice },
    )
}

fn datagram() -> impl Strategy<Value = Datagram> {
    (socket(), transport(), address(), time(), any::<u32>(), payload()).prop_map(
        |(socket, transport, source, received_at, size, payload)| Datagram {
            socket,
            transport,
            source,
            received_at,
            size,
            payload,
        },
    )
}

fn sent() -> impl Strategy<Value = Sent> {
    (socket(), number(), time(), any::<u32>()).prop_map(|(socket, number, sent_at, bytes)| Sent {
        socket,
        number,
        sent_at,
        bytes,
    })
}

fn socket() -> impl Strategy<Value = SocketId> + Clone {
    any::<u32>().prop_map(SocketId)
}

fn number() -> impl Strategy<Value = Number> {
    any::<u32>().prop_map(Number)
}

fn time() -> impl Strategy<Value = RelayTime> {
    any::<u64>().prop_map(RelayTime::from_nanos)
}

fn transport() -> impl Strategy<Value = Transport> {
    select(&[Transport::Udp, Transport::Tcp])
}

/// Flow labels are no part of an address here, and never cross the wire.
fn address() -> impl Strategy<Value = SocketAddr> {
    prop_oneof![
        any::<([u8; 4], u16)>().prop_map(SocketAddr::from),
        any::<([u8; 16], u16, u32)>().prop_map(|(ip, port, zone)| {
            SocketAddr::V6(SocketAddrV6::new(Ipv6Addr::from(ip), port, 0, zone))
        }),
    ]
}

fn payload() -> impl Strategy<Value = Bytes> {
    vec(any::<u8>(), 0..200).prop_map(Bytes::from)
}

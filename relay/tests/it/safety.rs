//! A relay on a network permits little, serves its page strictly, and outlives whatever comes in.

use std::io::{Read, Write};
use std::net::SocketAddr;

use relay::config::Limits;
use relay::page;
use wire::{Call, Family, Kind};

use crate::lab_client::Lab;
use crate::native::{any_udp, is_silent, own_address, receive, udp};
use crate::relay_program::{Relay, Served};
use crate::web::{Client, connection, get, refused};

#[test]
fn a_relay_on_a_network_sends_to_its_practice_servers_only() {
    let denied = udp(SocketAddr::from((own_address(), 7_006)));
    let address = denied.local_addr().unwrap();
    let (relay, servers) = Served::as_on_a_network(&[], Limits::shared());
    let path = format!("/udp/{}/{}", address.ip(), address.port());
    let answer = refused(relay.address, &path, "");
    assert_eq!(answer.status, 403);
    assert!(answer.text().contains(&format!("--allow {address} would permit it")));
    let mut bridge = Client::bridge(relay.address, servers[1]);
    bridge.send(*b"permitted");
    assert_eq!(bridge.receive(), b"ack:permitted");

    let mut lab = Lab::open(relay.address);
    assert_eq!(lab.welcome.limits.sends_per_second, Some(2_000));
    lab.udp(1);
    lab.send(1, 1, Some(address), "denied");
    assert_eq!(lab.outcome(1), Err("NOT_PERMITTED".to_owned()));
    let mapped: SocketAddr = match address {
        SocketAddr::V4(v4) => (v4.ip().to_ipv6_mapped(), v4.port()).into(),
        SocketAddr::V6(_) => unreachable!("it is bound above"),
    };
    lab.socket(2, Kind::Udp, Family::Ipv6);
    lab.send(2, 2, Some(mapped), "denied");
    assert_eq!(lab.outcome(2), Err("NOT_PERMITTED".to_owned()));
    assert_eq!(lab.connect(1, address).unwrap_err().name, "NOT_PERMITTED");
    let host = address.ip().to_string();
    let resolve = |call| Call::Resolve { call, host, port: address.port() };
    assert_eq!(lab.ask(resolve).unwrap_err().name, "NOT_PERMITTED");
    lab.tcp(3);
    assert_eq!(lab.connect(3, address).unwrap_err().name, "NOT_PERMITTED");
    assert!(lab.bind(3, "0.0.0.0:0".parse().unwrap()).is_err());
    lab.send(1, 3, Some(servers[1]), "permitted");
    assert_eq!(lab.datagram(1).payload, "ack:permitted");
    assert!(is_silent(&denied), "nothing that was denied was sent");
}

#[test]
fn whoever_wrote_to_a_socket_may_be_answered_by_it_alone() {
    let (relay, _) = Served::as_on_a_network(&[], Limits::shared());
    let (visitor, address) = any_udp();
    let mut lab = Lab::open(relay.address);
    lab.udp(1);
    lab.udp(2);
    let own = lab.bind(1, "127.0.0.1:0".parse().unwrap()).unwrap();
    lab.bind(2, "127.0.0.1:0".parse().unwrap()).unwrap();
    lab.send(1, 1, Some(address), "too early");
    assert_eq!(lab.outcome(1), Err("NOT_PERMITTED".to_owned()));
    visitor.send_to(b"may I?", own).unwrap();
    assert_eq!(lab.datagram(1).source, address);
    lab.send(2, 2, Some(address), "from another socket");
    assert_eq!(lab.outcome(2), Err("NOT_PERMITTED".to_owned()));
    lab.send(1, 3, Some(address), "you may");
    assert_eq!(receive(&visitor), (b"you may".to_vec(), own));
    assert!(is_silent(&visitor));
}

#[test]
fn a_rule_permits_what_it_says() {
    let address = SocketAddr::from((own_address(), 7_008));
    let target = udp(address);
    let rule = format!("{}:7000-7010", address.ip());
    let (relay, _) = Served::as_on_a_network(&[&rule], Limits::shared());
    Client::bridge(relay.address, address).send(*b"permitted");
    assert_eq!(receive(&target).0, b"permitted");
    assert_eq!(refused(relay.address, &format!("/udp/{}/7011", address.ip()), "").status, 403);
}

#[test]
fn the_page_comes_under_a_strict_policy() {
    assert!(page::is_built(), "the page is not built; `cargo xtask test` builds it first");
    let relay = Relay::plain();
    for path in ["/", "/index.html", "/style.css"] {
        let answer = get(relay.address, path, "");
        assert_eq!(answer.status, 200, "{path}");
        let policy = &answer.headers["content-security-policy"];
        let directives: Vec<_> = policy.split("; ").collect();
        let own = relay.address;
        for directive in [
            "default-src 'none'",
            "script-src 'self' 'wasm-unsafe-eval'",
            "style-src 'self'",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
            &format!("connect-src 'self' ws://{own} wss://{own}"),
        ] {
            assert!(directives.contains(&directive), "{directive} is not in {policy}");
        }
        assert!(!policy.contains("unsafe-inline") && !policy.contains('*'), "{policy}");
        assert_eq!(answer.headers["x-content-type-options"], "nosniff");
        assert_eq!(answer.headers["referrer-policy"], "no-referrer");
        assert_eq!(answer.headers["cross-origin-opener-policy"], "same-origin");
        let tag = &answer.headers["etag"];
        let again = get(relay.address, path, &format!("If-None-Match: {tag}\r\n"));
        assert_eq!((again.status, again.body.len()), (304, 0), "{path}");
        let packed = get(relay.address, path, "Accept-Encoding: br, gzip;q=0.5\r\n");
        assert_eq!(packed.headers["content-encoding"], "gzip");
        assert_eq!(packed.body[..2], [0x1f, 0x8b]);
    }
}

#[test]
fn whatever_comes_in_the_relay_lives_on() {
    let relay = Relay::plain();
    let (_target, address) = any_udp();
    let huge =
        format!("GET / HTTP/1.1\r\nHost: {}\r\nX: {}\r\n\r\n", relay.address, "x".repeat(100_000));
    let many = format!("GET / HTTP/1.1\r\n{}\r\n", "A: b\r\n".repeat(5_000));
    let noise: Vec<u8> =
        (0..50_000_u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
    let inputs: [&[u8]; 8] = [
        b"",
        b"\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 a TLS hello",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET http://127.0.0.1/ HTTP/9.9\r\n\r\n",
        huge.as_bytes(),
        many.as_bytes(),
        &noise,
    ];
    for input in inputs {
        let mut stream = connection(relay.address);
        // The relay may close while it is still being told nonsense.
        let _ = stream.write_all(input);
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let _ = stream.read_to_end(&mut Vec::new());
    }
    let long_ping = [&b"\x89\xfe\x01\x00\0\0\0\0"[..], &[0; 256]].concat();
    for frame in [
        &b"\x82\x05hello"[..],
        b"\x83\x80\0\0\0\0",
        b"\xf2\x80\0\0\0\0",
        b"\x80\x80\0\0\0\0",
        b"\x81\x82\0\0\0\0\xff\xff",
        &long_ping,
        b"\x88\x81\0\0\0\0\0",
        b"\x82\xff\xff\xff\xff\xff\xff\xff\xff\xff\0\0\0\0",
    ] {
        let mut client = Client::bridge(relay.address, address);
        client.socket.get_mut().write_all(frame).unwrap();
        let (code, reason) = client.closed();
        assert!([1002, 1007, 1009].contains(&code), "{frame:?}: {code} {reason}");
    }
    assert_eq!(get(relay.address, "/healthz", "").text(), "ok\n");
}

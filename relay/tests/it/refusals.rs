//! Everything that is refused before a WebSocket exists: status and text say what, why and what
//! would help.

use crate::native::any_udp;
use crate::relay_program::Relay;
use crate::web::{Answer, Client, HANDSHAKE, get, raw, refused};

const LAB: &str = "Sec-WebSocket-Protocol: udp-lab.v1\r\n";

fn expect(answer: &Answer, status: u16, parts: &[&str]) {
    let text = answer.text();
    assert_eq!(answer.status, status, "{text}");
    for part in parts {
        assert!(text.contains(part), "{part:?} is not in {text:?}");
    }
    assert_eq!(answer.headers["content-type"], "text/plain; charset=utf-8");
    assert_eq!(answer.headers["x-content-type-options"], "nosniff");
}

#[test]
fn a_page_of_another_site_is_refused() {
    let (relay, (_target, address)) = (Relay::plain(), any_udp());
    let bridge = format!("/udp/127.0.0.1/{}", address.port());
    let own = relay.address;
    let foreign = [
        "http://evil.example".to_owned(),
        "null".to_owned(),
        format!("https://{own}"),
        format!("http://localhost:{}", own.port()),
        format!("http://127.0.0.1:{}", own.port() ^ 1),
        format!("http://{own}\r\nOrigin: http://evil.example"),
    ];
    for origin in foreign {
        for path in ["/lab", &bridge] {
            let answer = refused(own, path, &format!("{LAB}Origin: {origin}\r\n"));
            expect(&answer, 403, &["Origin is"]);
        }
    }
    let answer = refused(own, "/lab", &format!("{LAB}Origin: http://evil.example\r\n"));
    expect(&answer, 403, &["--origin http://evil.example would permit it"]);
    for path in ["/lab", &bridge] {
        let headers = format!("{HANDSHAKE}{LAB}Origin: http://{own}\r\n");
        assert_eq!(get(own, path, &headers).status, 101, "its own page comes in");
    }
}

#[test]
fn another_name_for_this_machine_is_refused_on_every_path() {
    let relay = Relay::plain();
    let own = relay.address;
    let hosts = [
        "Host: evil.example\r\n".to_owned(),
        format!("Host: evil.example:{}\r\n", own.port()),
        "Host: 127.0.0.1:1\r\n".to_owned(),
        format!("Host: {own}\r\nHost: {own}\r\n"),
        "Host:\r\n".to_owned(),
    ];
    for host in hosts {
        for path in ["/", "/lab", "/udp/127.0.0.1/9", "/index.html", "/nothing", "/metrics"] {
            let request = format!("GET {path} HTTP/1.1\r\n{host}{HANDSHAKE}{LAB}\r\n");
            expect(&raw(own, &request), 403, &["Host"]);
        }
        let health = raw(own, &format!("GET /healthz HTTP/1.1\r\n{host}\r\n"));
        expect(&health, 200, &["ok"]);
    }
}

#[test]
fn an_origin_that_the_owner_named_comes_in() {
    let relay = Relay::start(&["--no-practice", "--origin", "https://udp.example"]);
    let headers = format!("{HANDSHAKE}{LAB}Origin: https://udp.example\r\n");
    let request = format!("GET /lab HTTP/1.1\r\nHost: udp.example\r\n{headers}\r\n");
    assert_eq!(raw(relay.address, &request).status, 101);
    assert_eq!(get(relay.address, "/lab", &format!("{HANDSHAKE}{LAB}")).status, 101);
    let http = request.replace("https://", "http://");
    expect(&raw(relay.address, &http), 403, &["Origin is"]);
}

#[test]
fn a_handshake_that_is_none_is_refused() {
    let relay = Relay::plain();
    let own = relay.address;
    expect(&refused(own, "/lab", ""), 400, &["subprotocol udp-lab.v1"]);
    let other = "Sec-WebSocket-Protocol: udp-lab.v2, chat\r\n";
    expect(&refused(own, "/lab", other), 400, &["udp-lab.v1", "udp-lab.v2, chat"]);
    for path in ["/lab", "/udp/127.0.0.1/9"] {
        expect(&get(own, path, LAB), 426, &["is a WebSocket"]);
        let old = HANDSHAKE.replace("Version: 13", "Version: 8");
        expect(&get(own, path, &format!("{old}{LAB}")), 400, &["not a WebSocket handshake"]);
        let post = format!("POST {path} HTTP/1.1\r\nHost: {own}\r\n{HANDSHAKE}{LAB}\r\n");
        assert!(raw(own, &post).status >= 400);
    }
    let many = get(own, "/lab", &format!("{HANDSHAKE}Sec-WebSocket-Protocol: a, udp-lab.v1\r\n"));
    assert_eq!((many.status, many.headers["sec-websocket-protocol"].as_str()), (101, "udp-lab.v1"));
    let bridge = get(own, "/udp/127.0.0.1/9", HANDSHAKE);
    assert_eq!((bridge.status, bridge.headers.get("sec-websocket-protocol")), (101, None));
}

#[test]
fn what_is_no_target_is_refused() {
    let relay = Relay::plain();
    for path in [
        "/udp/127.0.0.1/0",
        "/udp/127.0.0.1/65536",
        "/udp/127.0.0.1/-1",
        "/udp/127.0.0.1/http",
        "/udp/127.0.0.1/",
        "/udp/127.0.0.1",
        "/udp/",
        "/udp/a%20b/9",
        "/udp/[::1/9",
        "/udp/%ff/9",
        "/udp/a/b/9",
        "/udp//9",
    ] {
        expect(&refused(relay.address, path, ""), 400, &[]);
    }
    let long = format!("/udp/{}/9", "a".repeat(254));
    expect(&refused(relay.address, &long, ""), 400, &["at most 253"]);
    let unknown = refused(relay.address, "/udp/nowhere.invalid/9", "");
    expect(&unknown, 502, &["\"nowhere.invalid\" was not resolved"]);
}

#[test]
fn a_target_that_is_not_permitted_is_refused_with_the_option_that_would() {
    let relay = Relay::plain();
    for (host, advice) in [
        ("192.0.2.1", "--allow 192.0.2.1:9 "),
        ("[::ffff:192.0.2.1]", "--allow 192.0.2.1:9 "),
        ("[::ffff:c000:201]", "--allow 192.0.2.1:9 "),
        ("[2001:db8::1]", "--allow [2001:db8::1]:9 "),
        ("0.0.0.0", "--allow unspecified "),
        ("[::]", "--allow unspecified "),
        ("224.0.0.251", "--allow multicast "),
        ("[ff02::1]", "--allow multicast "),
        ("255.255.255.255", "--allow broadcast "),
        ("169.254.169.254", "--allow link-local "),
        ("[fe80::1]", "--allow link-local "),
    ] {
        let answer = refused(relay.address, &format!("/udp/{host}/9"), "");
        expect(&answer, 403, &[advice, "the relay's owner decides"]);
    }
    // Spellings that only the system's resolver reads are judged by what they turn out to be.
    for host in ["3221225985", "0xc0.0.2.1", "192.0.513", "0300.0.2.1"] {
        let answer = refused(relay.address, &format!("/udp/{host}/9"), "");
        expect(&answer, 403, &["192.0.2.1:9 is not among the permitted targets"]);
    }
}

#[test]
fn a_full_relay_says_so_and_has_room_again() {
    let relay = Relay::start(&["--no-practice", "--max-sessions", "1"]);
    let (target, address) = any_udp();
    let first = Client::bridge(relay.address, address);
    let full = refused(relay.address, "/lab", LAB);
    expect(&full, 503, &["the relay has 1 sessions, its limit", "--max-sessions"]);
    let bridge = format!("/udp/127.0.0.1/{}", address.port());
    expect(&refused(relay.address, &bridge, ""), 503, &["--max-sessions"]);
    drop(first);
    crate::program::eventually("a place", || get(relay.address, &bridge, HANDSHAKE).status == 101);
    drop(target);
}

#[test]
fn a_client_that_has_its_share_leaves_room_for_others() {
    let relay = Relay::start(&["--no-practice", "--max-sessions-per-client", "1"]);
    let (_target, address) = any_udp();
    let _first = Client::bridge(relay.address, address);
    let full = refused(relay.address, "/lab", LAB);
    expect(&full, 503, &["your address has 1 sessions", "--max-sessions-per-client"]);
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    let other = std::net::SocketAddr::from((crate::native::own_address(), 0));
    socket.bind(&other.into()).unwrap();
    socket.connect(&relay.address.into()).unwrap();
    let path = format!("/udp/127.0.0.1/{}", address.port());
    Client::over(socket.into(), relay.address, &path, None).send(*b"I have a place");
}

#[test]
fn other_methods_and_paths_are_not_here() {
    let relay = Relay::plain();
    let own = relay.address;
    expect(&get(own, "/nothing", ""), 404, &["\"/nothing\" is not here", "/lab"]);
    expect(&get(own, "/../src/main.rs", ""), 404, &[]);
    expect(&get(own, "/%2e%2e/Cargo.toml", ""), 404, &[]);
    let post = format!("POST / HTTP/1.1\r\nHost: {own}\r\nContent-Length: 0\r\n\r\n");
    expect(&raw(own, &post), 405, &["method is POST"]);
}

//! What a person at a terminal reads and types.

use std::net::{SocketAddr, TcpListener};

use relay::lan;

use crate::native::own_address;
use crate::program::{python, relay};
use crate::relay_program::Relay;

/// Sixteen of the two-row blocks that QR codes are drawn with never stand in other texts.
fn shows_qr_code(output: &str) -> bool {
    output.chars().filter(|character| "▀▄█".contains(*character)).count() > 16
}

#[test]
fn help_tells_what_there_is() {
    let help = relay(&["--help"]).ended().well();
    for part in ["serve", "server", "client", "--listen", "--allow", "--origin", "127.0.0.1:8080"] {
        assert!(help.contains(part), "{part} is not in:\n{help}");
    }
    let help = relay(&["client", "--help"]).ended().well();
    for part in ["HOST", "PORT", "MESSAGE", "--timeout", "--retries", "--request-ids", "--connect"]
    {
        assert!(help.contains(part), "{part} is not in:\n{help}");
    }
    let version = relay(&["--version"]).ended().well();
    assert_eq!(version, format!("relay {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn wrong_arguments_are_named_and_end_with_2() {
    for (arguments, named) in [
        (&["--listen", "nowhere"][..], "--listen"),
        (&["--lisen", "127.0.0.1:0"], "--lisen"),
        (&["client"], "<HOST>"),
        (&["client", "127.0.0.1", "0", "x"], "PORT"),
        (&["client", "127.0.0.1", "70000", "x"], "PORT"),
        (&["client", "127.0.0.1", "9", "zz", "--hex"], "hex digit"),
        (&["server", "chargen"], "chargen"),
    ] {
        let ended = relay(arguments).ended();
        assert_eq!(ended.status.code(), Some(2), "{arguments:?}\n{}", ended.errors);
        assert!(ended.errors.contains(named), "{named} is not in:\n{}", ended.errors);
    }
    for (arguments, named) in [
        (&["--allow", "localhost"][..], "--allow localhost"),
        (&["--allow", "127.0.0.1:0"], "--allow 127.0.0.1:0"),
        (&["--idle-timeout", "0"], "--idle-timeout"),
        (&["--log", "relay=loud"], "--log relay=loud"),
    ] {
        let arguments = [&["--listen", "127.0.0.1:0", "--no-practice"], arguments].concat();
        let ended = relay(&arguments).ended();
        assert_eq!(ended.status.code(), Some(1), "{arguments:?}");
        assert!(ended.errors.contains(named), "{named} is not in:\n{}", ended.errors);
    }
}

#[test]
fn a_port_that_is_taken_is_named_with_a_way_out() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let ended = relay(&["--listen", &address, "--no-practice"]).ended();
    assert_eq!(ended.status.code(), Some(1));
    for part in [&address, "EADDRINUSE", "another relay", "--listen 127.0.0.1:8081"] {
        assert!(ended.errors.contains(part), "{part} is not in:\n{}", ended.errors);
    }
    assert_eq!(ended.output, "");
}

#[test]
fn a_practice_server_whose_port_is_taken_says_so_and_ends() {
    let host = own_address();
    let _taken = crate::native::udp(SocketAddr::from((host, 9_999)));
    let ended = relay(&["server", "ack", "--host", &host.to_string()]).ended();
    assert_eq!(ended.status.code(), Some(1));
    for part in [&format!("{host}:9999"), "another program has that port", "--port"] {
        assert!(ended.errors.contains(part), "{part} is not in:\n{}", ended.errors);
    }
}

#[test]
fn a_practice_server_ends_well_when_it_is_told_to() {
    for signal in ["TERM", "INT"] {
        let server = relay(&["server", "counter", "--port", "0"]);
        server.line_with("-- listening on udp 127.0.0.1:");
        server.signal(signal);
        server.ended().well();
    }
}

#[test]
fn a_relay_alone_says_where_to_open_it() {
    let host = own_address().to_string();
    let relay = Relay::with_practice(&host);
    for (server, port) in
        [("hello    udp", 20_001), ("ack      udp", 9_999), ("ack-tcp  tcp", 9_999)]
    {
        let line = relay.program.line_with(&format!("{server} {host}:{port}"));
        assert!(line.ends_with(" running"), "{line}");
    }
    relay.program.signal("TERM");
    let said = relay.ended().well();
    assert!(!said.contains("Warning") && !said.contains('\x1b'), "{said}");
}

#[test]
fn a_relay_on_a_network_says_how_to_join_and_what_that_exposes() {
    let relay = relay(&["--listen", "0.0.0.0:0", "--no-practice"]);
    relay.line_with("Ctrl-C stops it");
    relay.signal("TERM");
    let said = relay.ended().well();
    assert!(said.contains("Others on this network can join at"), "{said}");
    assert!(said.contains("Warning: anyone on this network can open the page"), "{said}");
    assert!(said.contains("no target is permitted"), "{said}");
    assert!(!shows_qr_code(&said) && !said.contains('\x1b'), "{said}");
    let own = lan::addresses("0.0.0.0:1".parse().unwrap());
    for address in own {
        assert!(said.contains(&format!("http://{}:", address.ip())), "{address}:\n{said}");
    }
}

#[test]
fn a_terminal_shows_a_code_to_scan() {
    let program = env!("CARGO_BIN_EXE_relay");
    let arguments = [program, "--listen", "0.0.0.0:0", "--no-practice"];
    let terminal = python("peers/terminal.py", &arguments);
    let mut output = String::new();
    terminal.line("its last line", |line| {
        output += line;
        line.contains("Ctrl-C stops it").then_some(())
    });
    let own = lan::addresses("0.0.0.0:1".parse().unwrap());
    assert_eq!(shows_qr_code(&output), !own.is_empty(), "{output}");
}

//! A DNS server that others wrote, asked through the raw bridge: a query as RFC 1035 §4 has it goes
//! there, and the answer is the one that `dig` prints.

use std::net::{Ipv4Addr, SocketAddr};

use crate::native::own_address;
use crate::program::{Program, python, tool};
use crate::relay_program::Relay;
use crate::web::Client;

const NAME: &str = "lesson.test";
const ID: [u8; 2] = [0xbe, 0xef];

/// A dnsmasq that knows one name, and where it listens.
fn dnsmasq() -> (Program, SocketAddr) {
    let address = SocketAddr::from((own_address(), 7_053));
    let mut command = tool("TEST_DNSMASQ", "dnsmasq");
    command.args(["--no-daemon", "--conf-file=/dev/null", "--no-resolv", "--no-hosts"]);
    command.args(["--bind-interfaces", "--user=root", "--pid-file="]);
    command.arg(format!("--port={}", address.port()));
    command.arg(format!("--listen-address={}", address.ip()));
    command.arg(format!("--address=/{NAME}/192.0.2.7"));
    let program = Program::start(&mut command);
    program.line_with("started, version");
    (program, address)
}

fn dig(server: SocketAddr) -> Vec<Ipv4Addr> {
    let mut command = tool("TEST_DIG", "dig");
    command.args([&format!("@{}", server.ip()), "-p", &server.port().to_string(), NAME, "+short"]);
    let said = Program::start(&mut command).ended().well();
    said.lines().map(|line| line.parse().expect("dig prints addresses")).collect()
}

/// A query for the A record of [`NAME`].
fn query() -> Vec<u8> {
    let mut query = Vec::from(ID);
    query.extend([0x01, 0x00]); // flags: recursion desired
    query.extend([0, 1, 0, 0, 0, 0, 0, 0]); // one question
    for label in NAME.split('.') {
        query.push(u8::try_from(label.len()).unwrap());
        query.extend(label.as_bytes());
    }
    query.extend([0, 0, 1, 0, 1]); // root, QTYPE A, QCLASS IN
    query
}

/// The addresses in an answer to [`query`].
fn addresses(answer: &[u8]) -> Vec<Ipv4Addr> {
    let number = |at: usize| u16::from_be_bytes([answer[at], answer[at + 1]]);
    assert_eq!(answer[..2], ID);
    assert_eq!(answer[2] & 0x80, 0x80, "it is a response");
    assert_eq!(answer[3] & 0x0f, 0, "without an error");
    assert_eq!(number(4), 1, "it repeats the question");
    let mut at = query().len();
    (0..number(6))
        .map(|_| {
            assert_eq!(answer[at] & 0xc0, 0xc0, "the name is a pointer to the question's");
            assert_eq!((number(at + 2), number(at + 4)), (1, 1), "an A record of class IN");
            assert_eq!(number(at + 10), 4, "of four bytes");
            let data: [u8; 4] = answer[at + 12..at + 16].try_into().unwrap();
            at += 16;
            Ipv4Addr::from(data)
        })
        .collect()
}

#[test]
fn a_name_is_asked_for_through_the_bridge() {
    let ((_server, address), relay) = (dnsmasq(), Relay::plain());
    let known = dig(address);
    assert_eq!(known, [Ipv4Addr::new(192, 0, 2, 7)]);
    let mut client = Client::bridge(relay.address, address);
    for _ in 0..3 {
        client.send(query());
        assert_eq!(addresses(&client.receive()), known);
    }
    let url = format!("ws://{}/udp/{}/{}", relay.address, address.ip(), address.port());
    let digits = query().into_iter().flat_map(|byte| [byte >> 4, byte & 15]);
    let hex: String = digits.filter_map(|digit| char::from_digit(digit.into(), 16)).collect();
    let said = python("peers/bridge_client.py", &[&url, &hex]).ended().well();
    let said = said.trim();
    let answer: Vec<_> = (0..said.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&said[at..at + 2], 16).unwrap())
        .collect();
    assert_eq!(addresses(&answer), known);
}

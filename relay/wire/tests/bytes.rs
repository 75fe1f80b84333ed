//! Binary messages byte by byte, a field a line, and what is said of bytes that are none.

use std::net::SocketAddr;

use bytes::Bytes;
use wire::{
    Datagram, DecodeError, Message, Number, RelayTime, Send, Sent, SocketId, ToClient, ToRelay,
    Transport,
};

fn hex(fields: &[&str]) -> Message {
    let bytes = fields.iter().flat_map(|field| field.split_whitespace());
    Message::Binary(bytes.map(|byte| u8::from_str_radix(byte, 16).expect("hex")).collect())
}

fn address(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

#[track_caller]
fn to_relay(message: Message, meaning: &ToRelay) {
    assert_eq!(meaning.encode(), message);
    assert_eq!(ToRelay::decode(message).as_ref(), Ok(meaning));
}

#[track_caller]
fn to_client(message: Message, meaning: &ToClient) {
    assert_eq!(meaning.encode(), message);
    assert_eq!(ToClient::decode(message).as_ref(), Ok(meaning));
}

#[test]
fn sendto_over_ipv4() {
    to_relay(
        hex(&[
            "01",          // type: send
            "04",          // family: IPv4
            "01",          // flags: report
            "00",          // reserved
            "00 00 00 01", // socket
            "00 00 01 00", // number
            "c0 00 02 07", // destination 192.0.2.7
            "00 35",       // port 53
            "68 69",       // payload
        ]),
        &ToRelay::Send(Send {
            socket: SocketId(1),
            number: Number(256),
            destination: Some(address("192.0.2.7:53")),
            report: true,
            payload: Bytes::from_static(b"hi"),
        }),
    );
}

#[test]
fn sendto_over_ipv6_with_a_zone() {
    to_relay(
        hex(&[
            "01",                                              // type: send
            "06",                                              // family: IPv6
            "00",                                              // flags
            "00",                                              // reserved
            "7f ff ff ff",                                     // socket
            "ff ff ff ff",                                     // number
            "fe 80 00 00 00 00 00 00 01 23 45 67 89 ab cd ef", // destination
            "00 00 00 02",                                     // zone
            "ff ff",                                           // port 65535
            "00",                                              // payload
        ]),
        &ToRelay::Send(Send {
            socket: SocketId(SocketId::FIRST_ACCEPTED - 1),
            number: Number(u32::MAX),
            destination: Some(address("[fe80::123:4567:89ab:cdef%2]:65535")),
            report: false,
            payload: Bytes::from_static(&[0]),
        }),
    );
}

#[test]
fn send_of_nothing() {
    to_relay(
        hex(&[
            "01",          // type: send
            "00",          // family: none
            "00",          // flags
            "00",          // reserved
            "00 00 00 02", // socket
            "00 00 00 03", // number
        ]),
        &ToRelay::Send(Send {
            socket: SocketId(2),
            number: Number(3),
            destination: None,
            report: false,
            payload: Bytes::new(),
        }),
    );
}

#[test]
fn a_datagram_that_was_cut() {
    let datagram = Datagram {
        socket: SocketId(1),
        transport: Transport::Udp,
        source: address("127.0.0.1:20001"),
        received_at: RelayTime::from_nanos(0x0102_0304_0506_0708),
        size: 1_500,
        payload: Bytes::from_static(b"ack:"),
    };
    assert!(datagram.is_cut());
    to_client(
        hex(&[
            "81",                      // type: datagram
            "04",                      // family: IPv4
            "00 00",                   // reserved
            "00 00 00 01",             // socket
            "01 02 03 04 05 06 07 08", // received at
            "00 00 05 dc",             // size as it arrived
            "7f 00 00 01",             // source
            "4e 21",                   // port
            "61 63 6b 3a",             // payload
        ]),
        &ToClient::Datagram(datagram),
    );
}

#[test]
fn an_empty_datagram_over_ipv6() {
    let datagram = Datagram {
        socket: SocketId(1),
        transport: Transport::Udp,
        source: address("[2001:db8::1]:9"),
        received_at: RelayTime::from_nanos(u64::MAX),
        size: 0,
        payload: Bytes::new(),
    };
    assert!(!datagram.is_cut());
    to_client(
        hex(&[
            "81",                                              // type: datagram
            "06",                                              // family: IPv6
            "00 00",                                           // reserved
            "00 00 00 01",                                     // socket
            "ff ff ff ff ff ff ff ff",                         // received at
            "00 00 00 00",                                     // size as it arrived
            "20 01 0d b8 00 00 00 00 00 00 00 00 00 00 00 01", // source
            "00 00 00 00",                                     // zone
            "00 09",                                           // port
        ]),
        &ToClient::Datagram(datagram),
    );
}

#[test]
fn bytes_of_a_stream() {
    to_client(
        hex(&[
            "82",                      // type: stream bytes
            "04",                      // family: IPv4
            "00 00",                   // reserved
            "80 00 00 00",             // socket, made by the relay
            "00 00 00 00 00 00 00 01", // received at
            "00 00 00 02",             // bytes that recv returned
            "7f 00 00 01",             // peer
            "c4 88",                   // port
            "00 ff",                   // payload
        ]),
        &ToClient::Datagram(Datagram {
            socket: SocketId(SocketId::FIRST_ACCEPTED),
            transport: Transport::Tcp,
            source: address("127.0.0.1:50312"),
            received_at: RelayTime::from_nanos(1),
            size: 2,
            payload: Bytes::from_static(&[0x00, 0xff]),
        }),
    );
}

#[test]
fn what_a_send_returned() {
    to_client(
        hex(&[
            "83",                      // type: sent
            "00 00 00",                // reserved
            "00 00 00 01",             // socket
            "00 00 00 00 00 00 00 02", // sent at
            "00 00 00 03",             // number
            "00 00 ff e3",             // bytes taken: 65507
        ]),
        &ToClient::Sent(Sent {
            socket: SocketId(1),
            number: Number(3),
            sent_at: RelayTime::from_nanos(2),
            bytes: 65_507,
        }),
    );
}

#[test]
fn bytes_that_are_no_send_are_told_why() {
    for (fields, text) in [
        (&[][..], "binary message is 0 bytes, its header needs 12"),
        (&["01 00 00"], "binary message is 3 bytes, its header needs 12"),
        (
            &["01 04 00 00", "00 00 00 01", "00 00 00 01", "7f 00 00 01 00"],
            "binary message is 17 bytes, its header needs 18",
        ),
        (
            &["01 06 00 00", "00 00 00 01", "00 00 00 01"],
            "binary message is 12 bytes, its header needs 34",
        ),
        (&["81 00 00 00"], "binary message type is 0x81, known here are 0x01 (send)"),
        (
            &["01 05 00 00", "00 00 00 01", "00 00 00 01"],
            "address family is 0x05, known are 0x00 (none), 0x04 and 0x06",
        ),
        (
            &["01 00 03 00", "00 00 00 01", "00 00 00 01"],
            "byte 2 is 0x03, bits reserved for later must be zero",
        ),
        (
            &["01 00 00 ff", "00 00 00 01", "00 00 00 01"],
            "byte 3 is 0xff, bits reserved for later must be zero",
        ),
    ] {
        let error = ToRelay::decode(hex(fields)).expect_err(text);
        assert_eq!(error.to_string(), text);
    }
}

#[test]
fn bytes_that_are_nothing_to_a_client_are_told_why() {
    let header = "00 00 00 01 00 00 00 00 00 00 00 01";
    for (fields, text) in [
        (&[][..], "binary message is 0 bytes, its header needs 20"),
        (&["81 04 00 00", header], "binary message is 16 bytes, its header needs 20"),
        (
            &["82 04 00 00", header, "00 00 00 00"],
            "binary message is 20 bytes, its header needs 26",
        ),
        (
            &["81 00 00 00", header, "00 00 00 00"],
            "address family is 0x00 (none), a source is 0x04 or 0x06",
        ),
        (
            &["81 01 00 00", header, "00 00 00 00"],
            "address family is 0x01, known are 0x00 (none), 0x04 and 0x06",
        ),
        (
            &["81 04 00 09", header, "00 00 00 00", "7f 00 00 01", "00 01"],
            "byte 3 is 0x09, bits reserved for later must be zero",
        ),
        (&["83 00 00 00", header], "binary message is 16 bytes, this type has exactly 24"),
        (
            &["83 00 00 00", header, "00 00 00 00 00 00 00 00 00"],
            "binary message is 25 bytes, this type has exactly 24",
        ),
        (
            &["83 01 00 00", header, "00 00 00 00 00 00 00 00"],
            "byte 1 is 0x01, bits reserved for later must be zero",
        ),
        (
            &["01"],
            "binary message type is 0x01, known here are 0x81 (datagram), 0x82 (stream bytes) and \
             0x83 (sent)",
        ),
    ] {
        let error = ToClient::decode(hex(fields)).expect_err(text);
        assert_eq!(error.to_string(), text);
    }
}

#[test]
fn unknown_binary_types_can_be_skipped() {
    let error = ToClient::decode(hex(&["90 00"])).expect_err("a type of a later relay");
    assert!(matches!(error, DecodeError::UnknownType(0x90, _)));
}

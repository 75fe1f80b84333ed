//! A lab client that reads too slowly: it is told what was dropped, and every datagram is accounted
//! for.

use std::collections::BTreeSet;

use wire::{Event, SUBPROTOCOL, ToClient};

use crate::bridge_flow::{PAYLOAD_BYTES, Source, narrow_connection, number_of};
use crate::lab_client::Lab;
use crate::native::{any_udp, receive};
use crate::relay_program::Relay;
use crate::web::Client;

#[test]
fn delivered_and_dropped_are_what_was_sent() {
    let (relay, (target, address)) = (Relay::plain(), any_udp());
    let narrow = narrow_connection(relay.address);
    let mut lab = Lab::over(Client::over(narrow, relay.address, "/lab", Some(SUBPROTOCOL)));
    lab.udp(1);
    lab.send(1, 1, Some(address), "begin");
    let to = receive(&target).1;
    lab.sent(1).unwrap();
    let mut source = Source { socket: &target, to, sent: 0 };
    source.flood(200);

    let (mut delivered, mut told, mut total) = (BTreeSet::new(), 0, 0);
    let mut dropped_bytes = 0;
    while (delivered.len() as u64) + total < source.sent {
        lab.until("a datagram or word of those dropped", |message| match message {
            ToClient::Datagram(datagram) => {
                let number = number_of(&datagram.payload);
                assert!(delivered.last().is_none_or(|last| *last < number), "order");
                delivered.insert(number);
                Some(())
            }
            ToClient::Event(Event::Dropped { datagrams, bytes, aged, total: so_far }) => {
                assert!(aged <= datagrams && *datagrams > 0);
                told += datagrams;
                dropped_bytes += bytes;
                total = *so_far;
                Some(())
            }
            other => panic!("instead of a datagram: {other:?}"),
        });
    }
    assert_eq!(delivered.len() as u64 + total, source.sent);
    assert_eq!((told, dropped_bytes), (total, total * PAYLOAD_BYTES as u64));
    assert!(total > source.sent / 2, "{total} of {} were dropped", source.sent);

    source.flood(1);
    for number in source.sent - 50..source.sent {
        assert_eq!(number_of(&lab.datagram(1).payload), number, "what comes now is fresh");
    }
}

#[test]
fn what_must_not_be_lost_is_not() {
    let relay = Relay::plain();
    let narrow = narrow_connection(relay.address);
    let mut lab = Lab::over(Client::over(narrow, relay.address, "/lab", Some(SUBPROTOCOL)));
    let (_target, address) = any_udp();
    lab.udp(1);
    // Reports of 24 bytes each: more than the connection's buffers and the relay's bound hold.
    for number in 0..20_000 {
        lab.send(1, number, Some(address), "x");
    }
    for number in 0..20_000 {
        assert_eq!(lab.outcome(number), Ok(1));
    }
}

//! What holds of every message, and of everything that is none.

mod strategies;

use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;
use wire::{Call, Message, ToClient, ToRelay};

fn text_of(message: Message) -> String {
    match message {
        Message::Text(text) => text,
        Message::Binary(_) => String::new(),
    }
}

/// A message with one byte changed, and cut short.
fn damaged(message: Message, at: usize, byte: u8, keep: usize) -> Message {
    let damage = |mut bytes: Vec<u8>| {
        if !bytes.is_empty() {
            let at = at % bytes.len();
            bytes[at] = byte;
            bytes.truncate(keep % (bytes.len() + 1));
        }
        bytes
    };
    match message {
        Message::Text(text) => {
            let bytes = damage(text.into_bytes());
            Message::Text(String::from_utf8_lossy(&bytes).into_owned())
        }
        Message::Binary(bytes) => Message::Binary(damage(bytes.into()).into()),
    }
}

proptest! {
    #[test]
    fn what_is_encoded_to_the_relay_decodes_to_itself(message in strategies::to_relay()) {
        prop_assert_eq!(ToRelay::decode(message.encode()), Ok(message));
    }

    #[test]
    fn what_is_encoded_to_the_client_decodes_to_itself(message in strategies::to_client()) {
        prop_assert_eq!(ToClient::decode(message.encode()), Ok(message));
    }

    #[test]
    fn a_calls_number_is_found_without_knowing_the_call(message in strategies::to_relay()) {
        if let ToRelay::Call(call) = &message {
            prop_assert_eq!(Call::id_in(&text_of(message.encode())), Some(call.id()));
        }
    }

    #[test]
    fn bytes_that_decode_encode_to_themselves(bytes in vec(any::<u8>(), 0..80), kind in 0..6_usize) {
        let mut bytes = bytes;
        if let (Some(first), Some(&known)) = (bytes.first_mut(), [1, 0x81, 0x82, 0x83].get(kind)) {
            *first = known;
        }
        let message = Message::Binary(Bytes::from(bytes));
        if let Ok(decoded) = ToRelay::decode(message.clone()) {
            prop_assert_eq!(decoded.encode(), message.clone());
        }
        if let Ok(decoded) = ToClient::decode(message.clone()) {
            prop_assert_eq!(decoded.encode(), message);
        }
    }

    #[test]
    fn no_text_panics(text in ".*", json in "[\\[{\"a-z:,0-9}\\] .\\\\-]{0,60}") {
        for text in [text, json] {
            let _ = ToRelay::decode(Message::Text(text.clone()));
            let _ = ToClient::decode(Message::Text(text));
        }
    }

    #[test]
    fn no_damage_panics(
        to_relay in strategies::to_relay(),
        to_client in strategies::to_client(),
        at in any::<usize>(),
        byte in any::<u8>(),
        keep in any::<usize>(),
    ) {
        for keep in [keep, usize::MAX] {
            let _ = ToRelay::decode(damaged(to_relay.encode(), at, byte, keep));
            let _ = ToClient::decode(damaged(to_client.encode(), at, byte, keep));
        }
    }
}

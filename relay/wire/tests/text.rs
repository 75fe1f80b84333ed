//! Calls and events as JSON: what is refused, what is skipped, and what is said about it.

use wire::{Call, CallId, Event, Message, ServerState, SocketId, ToClient, ToRelay};

fn refused(text: &str) -> String {
    ToRelay::decode(Message::Text(text.into())).expect_err(text).to_string()
}

fn event(text: &str) -> Event {
    match ToClient::decode(Message::Text(text.into())) {
        Ok(ToClient::Event(event)) => event,
        other => panic!("{text}: {other:?}"),
    }
}

#[test]
fn a_field_that_a_call_does_not_have_is_refused_by_name() {
    let told = refused(r#"{"op":"close","call":1,"socket":1,"linger":5}"#);
    assert!(told.contains("unknown field `linger`"), "{told}");
}

#[test]
fn a_field_that_a_call_lacks_is_named() {
    let told = refused(r#"{"op":"connect","call":1,"socket":1,"host":"localhost"}"#);
    assert!(told.contains("missing field `port`"), "{told}");
}

#[test]
fn an_unknown_call_is_named_with_the_known() {
    let told = refused(r#"{"op":"ioctl","call":1}"#);
    assert!(told.starts_with("not a message of this protocol: unknown variant `ioctl`"), "{told}");
    assert!(told.contains("`open`") && told.contains("`server`"), "{told}");
}

#[test]
fn a_value_out_of_range_is_told_with_its_limit() {
    let told = refused(r#"{"op":"bind","call":1,"socket":1,"host":"127.0.0.1","port":65536}"#);
    assert!(told.contains("65536") && told.contains("u16"), "{told}");
    let told = refused(r#"{"op":"open","call":1,"socket":1,"kind":"raw","family":"ipv4"}"#);
    assert!(told.contains("`raw`") && told.contains("`udp`"), "{told}");
    let told = refused(r#"{"op":"close","call":-1,"socket":1}"#);
    assert!(told.contains("-1"), "{told}");
}

#[test]
fn text_that_is_no_call_at_all_is_refused() {
    for text in
        ["", "hello", "null", "[]", "{}", "17", "\"open\"", r#"{"op":1}"#, "{\"op\":\"close\""]
    {
        assert!(refused(text).starts_with("not a message of this protocol: "), "{text}");
    }
    let deep = format!(r#"{{"op":"close","call":1,"socket":{}"#, "[".repeat(100_000));
    assert!(refused(&deep).contains("recursion limit"));
}

#[test]
fn a_refusal_quotes_little_and_no_control_characters() {
    let long = "x".repeat(100_000);
    let told = refused(&format!(r#"{{"op":"{long}","call":1}}"#));
    assert!(told.chars().count() < 500, "{} characters", told.chars().count());
    assert!(told.ends_with('…'));
    let told = refused(r#"{"op":"\u0007\n\u001b[31m","call":1}"#);
    assert!(told.contains(r"\u{7}\n\u{1b}[31m"), "{told}");
    assert!(!told.contains(char::is_control));
}

#[test]
fn a_refused_call_keeps_its_number() {
    for text in [
        r#"{"op":"ioctl","call":7}"#,
        r#"{"op":"close","call":7,"socket":1,"linger":5}"#,
        r#"{"op":"bind","call":7,"socket":1,"host":[[]],"port":65536}"#,
    ] {
        assert!(refused(text).starts_with("not a message of this protocol: "));
        assert_eq!(Call::id_in(text), Some(CallId(7)), "{text}");
    }
    for text in ["", "{}", "7", r#"{"call":-7}"#, r#"{"call":"7"}"#, r#"{"call":1,"call":2}"#] {
        assert_eq!(Call::id_in(text), None, "{text}");
    }
}

#[test]
fn fields_that_a_client_does_not_know_are_skipped() {
    let end =
        event(r#"{"event":"end_of_stream","socket":3,"at_ns":5,"half":"read","more":{"a":[1]}}"#);
    assert!(matches!(end, Event::EndOfStream { socket: SocketId(3), .. }));
    let done = event(r#"{"event":"done","call":1,"ttl":64}"#);
    assert!(matches!(done, Event::Done { call: CallId(1), value: None, .. }));
    let server = event(
        r#"{"event":"server","server":"ack","transport":"udp","address":"[::1]:9999",
            "buffer_bytes":4096,"state":"running","clients":2}"#,
    );
    let Event::Server(status) = server else { panic!("{server:?}") };
    assert_eq!((status.state, status.note), (ServerState::Running, None));
}

#[test]
fn events_that_a_client_does_not_know_are_errors_to_be_skipped() {
    let later = r#"{"event":"class_joined","name":"7b"}"#;
    let error = ToClient::decode(Message::Text(later.into())).expect_err("of a later relay");
    assert!(error.to_string().contains("unknown event `class_joined`"), "{error}");
}

#[test]
fn no_timeout_is_null_or_nothing() {
    for text in [
        r#"{"op":"settimeout","call":1,"socket":1,"timeout_ms":null}"#,
        r#"{"op":"settimeout","call":1,"socket":1}"#,
    ] {
        let call = ToRelay::decode(Message::Text(text.into()));
        let expected = Call::Settimeout { call: CallId(1), socket: SocketId(1), timeout_ms: None };
        assert_eq!(call, Ok(ToRelay::Call(expected)));
    }
}

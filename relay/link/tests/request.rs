//! Requests and replies on a hand-moved clock. No sockets, no sleeping.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use link::request::{
    Answer, Expiry, MAX_TIMEOUT, MIN_TIMEOUT, Match, Matched, Policy, REMEMBERED, REMEMBERED_BYTES,
    Requests,
};

const TWO_SECONDS: Policy = Policy::once(Some(ms(2_000)));

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn server(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

fn ask(requests: &mut Requests, number: u32, payload: &'static str, at: u64) {
    requests.sent(number, server(9999), Bytes::from_static(payload.as_bytes()), ms(at));
}

fn reply(requests: &mut Requests, payload: &str, at: u64) -> Answer {
    requests.handle_reply(server(9999), payload.as_bytes(), ms(at))
}

fn due(requests: &mut Requests, now: u64) -> Vec<Expiry> {
    std::iter::from_fn(|| requests.handle_timeout(ms(now))).collect()
}

#[track_caller]
fn replied(answer: Answer) -> Match {
    let Answer::Reply(found) = answer else { panic!("not a reply: {answer:?}") };
    found
}

#[track_caller]
fn again(answer: Answer) -> Match {
    let Answer::Again(found) = answer else { panic!("not a further reply: {answer:?}") };
    found
}

#[test]
fn a_reply_in_time_is_matched_and_nothing_is_due_any_more() {
    let mut requests = Requests::new(TWO_SECONDS);
    ask(&mut requests, 1, "Hello UDP Server", 100);
    assert_eq!(requests.poll_timeout(), Some(ms(2_100)));
    assert_eq!(requests.deadline(1), Some(ms(2_100)));

    let found = replied(reply(&mut requests, "Hello UDP Client", 103));
    let expected =
        Match { number: 1, attempts: 1, round_trip: ms(3), how: Matched::ByOrder, late: None };
    assert_eq!(found, expected);
    assert_eq!((requests.waiting(), requests.poll_timeout()), (0, None));
    assert_eq!(due(&mut requests, 10_000), []);
}

#[test]
fn replies_that_cross_are_told_apart_by_content() {
    let mut requests = Requests::new(TWO_SECONDS);
    for (number, payload) in [(1, "one"), (2, "two"), (3, "three")] {
        ask(&mut requests, number, payload, 0);
    }
    for (number, payload) in [(3, "ack:three"), (1, "ack:one"), (2, "ack:two")] {
        let found = replied(reply(&mut requests, payload, 5));
        assert_eq!((found.number, found.how), (number, Matched::ByContent));
    }
}

#[test]
fn the_longest_payload_counts() {
    let mut requests = Requests::new(TWO_SECONDS);
    ask(&mut requests, 1, "1", 0);
    ask(&mut requests, 2, "11", 0);
    assert_eq!(replied(reply(&mut requests, "ack:11", 5)).number, 2);
    assert_eq!(replied(reply(&mut requests, "ack:1", 5)).number, 1);
}

#[test]
fn no_reply_in_time_then_a_late_one() {
    let mut requests = Requests::new(TWO_SECONDS);
    ask(&mut requests, 7, "hello", 1_000);
    assert_eq!(due(&mut requests, 2_999), []);
    assert_eq!(due(&mut requests, 3_000), [Expiry::GaveUp { number: 7, waited: ms(2_000) }]);
    assert_eq!(requests.waiting(), 0);

    let found = replied(reply(&mut requests, "Hello UDP Client", 4_210));
    assert_eq!((found.number, found.round_trip), (7, ms(3_210)));
    assert_eq!((found.how, found.late), (Matched::ByOrder, Some(ms(1_210))));
    assert_eq!(reply(&mut requests, "Hello UDP Client", 4_300), Answer::Unasked);
}

#[test]
fn lateness_is_judged_by_arrival_not_by_who_looked_first() {
    let mut slow = Requests::new(TWO_SECONDS);
    ask(&mut slow, 1, "hello", 0);
    assert_eq!(replied(reply(&mut slow, "ack:hello", 2_000)).late, Some(Duration::ZERO));
    assert_eq!(due(&mut slow, 5_000), [], "an answered request is not given up as well");

    let mut quick = Requests::new(TWO_SECONDS);
    ask(&mut quick, 1, "hello", 0);
    assert_eq!(due(&mut quick, 2_100).len(), 1);
    let found = replied(reply(&mut quick, "ack:hello", 1_999));
    assert_eq!((found.late, found.round_trip), (None, ms(1_999)));
}

#[test]
fn a_reply_goes_to_the_request_that_waits_not_to_the_one_long_overdue() {
    let mut requests = Requests::new(TWO_SECONDS);
    ask(&mut requests, 1, "while the server was stopped", 0);
    ask(&mut requests, 2, "when it ran again", 2_500);
    assert_eq!(replied(reply(&mut requests, "Hello UDP Client", 2_501)).number, 2);
    assert_eq!(due(&mut requests, 2_600), [Expiry::GaveUp { number: 1, waited: ms(2_600) }]);
}

#[test]
fn of_two_alike_the_one_that_waits_is_answered() {
    let mut requests = Requests::new(TWO_SECONDS);
    ask(&mut requests, 1, "Hello UDP Server", 0);
    assert_eq!(due(&mut requests, 2_000).len(), 1);
    ask(&mut requests, 2, "Hello UDP Server", 3_000);
    assert_eq!(replied(reply(&mut requests, "ack:Hello UDP Server", 3_001)).number, 2);
    let late = replied(reply(&mut requests, "ack:Hello UDP Server", 3_002));
    assert_eq!((late.number, late.late), (1, Some(ms(1_002))));
}

#[test]
fn a_late_reply_to_another_question_does_not_answer_this_one() {
    let mut requests = Requests::new(TWO_SECONDS);
    ask(&mut requests, 1, "first question", 0);
    assert_eq!(due(&mut requests, 2_000).len(), 1);
    ask(&mut requests, 2, "second question", 2_000);
    let late = replied(reply(&mut requests, "ack:first question", 2_500));
    assert_eq!((late.number, late.late), (1, Some(ms(500))));
    assert!(requests.is_waiting(2));
}

#[test]
fn a_duplicate_is_told_as_such() {
    let mut requests = Requests::new(TWO_SECONDS);
    ask(&mut requests, 1, "a message", 0);
    ask(&mut requests, 2, "another message", 0);
    assert_eq!(replied(reply(&mut requests, "ack:a message", 10)).number, 1);
    let found = again(reply(&mut requests, "ack:a message", 12));
    assert_eq!((found.number, found.round_trip), (1, ms(12)));
    assert!(requests.is_waiting(2));
}

#[test]
fn one_letter_is_no_echo_while_another_request_waits() {
    let mut requests = Requests::new(TWO_SECONDS);
    ask(&mut requests, 1, "t", 0);
    assert_eq!(replied(reply(&mut requests, "Hello UDP Client", 1)).number, 1);
    ask(&mut requests, 2, "x", 10);
    let found = replied(reply(&mut requests, "Hello UDP Client", 11));
    assert_eq!((found.number, found.how), (2, Matched::ByOrder));
}

#[test]
fn one_letter_is_an_echo_where_others_came_back_the_same_way() {
    let mut requests = Requests::new(TWO_SECONDS);
    for (number, payload) in [(1, "1"), (2, "2"), (3, "3")] {
        ask(&mut requests, number, payload, 0);
    }
    assert_eq!(replied(reply(&mut requests, "ack:1", 1)).number, 1);
    assert_eq!(replied(reply(&mut requests, "ack:2", 1)).number, 2);
    assert_eq!(again(reply(&mut requests, "ack:1", 2)).number, 1);
    assert!(requests.is_waiting(3));
}

#[test]
fn another_address_answers_nothing() {
    let mut requests = Requests::new(TWO_SECONDS);
    ask(&mut requests, 1, "hello", 0);
    let answer = requests.handle_reply(server(9998), b"ack:hello", ms(1));
    assert_eq!(answer, Answer::Unasked);
    assert!(requests.is_waiting(1));
}

#[test]
fn empty_payloads_are_matched_by_order() {
    let mut requests = Requests::new(TWO_SECONDS);
    ask(&mut requests, 1, "", 0);
    ask(&mut requests, 2, "", 0);
    let first = replied(reply(&mut requests, "", 1));
    assert_eq!((first.number, first.how), (1, Matched::ByOrder));
    assert_eq!(replied(reply(&mut requests, "ack:", 1)).number, 2);
}

#[test]
fn no_timeout_waits_without_end() {
    let mut requests = Requests::new(Policy { timeout: None, retries: 3, backoff: 2 });
    ask(&mut requests, 1, "hello", 0);
    assert_eq!((requests.poll_timeout(), requests.deadline(1)), (None, None));
    assert_eq!(due(&mut requests, u64::MAX), []);
    assert_eq!(replied(reply(&mut requests, "ack:hello", 1_000_000)).late, None);
}

#[test]
fn a_reply_by_a_clock_that_reads_less_has_a_round_trip_of_nothing() {
    let mut requests = Requests::new(TWO_SECONDS);
    ask(&mut requests, 1, "hello", 500);
    assert_eq!(replied(reply(&mut requests, "ack:hello", 400)).round_trip, Duration::ZERO);
}

#[test]
fn retries_back_off_and_then_give_up() {
    let policy = Policy { timeout: Some(ms(100)), retries: 2, backoff: 2 };
    let mut requests = Requests::new(policy);
    ask(&mut requests, 1, "ADD 1", 0);
    for (attempt, now, next) in [(1, 100, 300), (2, 300, 700)] {
        assert_eq!(requests.poll_timeout(), Some(ms(now)));
        let retry = Expiry::Retry {
            number: 1,
            attempt,
            to: server(9999),
            payload: Bytes::from_static(b"ADD 1"),
        };
        assert_eq!(due(&mut requests, now), [retry]);
        ask(&mut requests, 1, "ADD 1", now);
        assert_eq!(requests.poll_timeout(), Some(ms(next)));
    }
    assert_eq!(due(&mut requests, 700), [Expiry::GaveUp { number: 1, waited: ms(700) }]);
    let found = replied(reply(&mut requests, "TOTAL 3", 750));
    assert_eq!((found.attempts, found.late), (3, Some(ms(50))));
    assert_eq!(found.round_trip, ms(450), "from the latest attempt");
}

#[test]
fn a_reply_between_attempts_is_timed_from_the_attempt_before_it() {
    let mut requests = Requests::new(Policy { timeout: Some(ms(100)), retries: 1, backoff: 1 });
    ask(&mut requests, 1, "ADD 1", 0);
    assert_eq!(due(&mut requests, 100).len(), 1);
    ask(&mut requests, 1, "ADD 1", 101);
    let found = replied(reply(&mut requests, "TOTAL 1", 99));
    assert_eq!((found.round_trip, found.attempts, found.late), (ms(99), 2, None));
}

#[test]
fn a_retry_that_nobody_sends_is_given_up_all_the_same() {
    let mut requests = Requests::new(Policy { timeout: Some(ms(100)), retries: 1, backoff: 1 });
    ask(&mut requests, 1, "ADD 1", 0);
    assert!(matches!(due(&mut requests, 100)[..], [Expiry::Retry { attempt: 1, .. }]));
    assert_eq!(due(&mut requests, 200), [Expiry::GaveUp { number: 1, waited: ms(200) }]);
}

#[test]
fn a_timeout_of_nothing_neither_spins_nor_lasts() {
    let mut requests =
        Requests::new(Policy { timeout: Some(Duration::ZERO), retries: u32::MAX, backoff: 0 });
    ask(&mut requests, 1, "x", 0);
    assert_eq!(requests.poll_timeout(), Some(MIN_TIMEOUT));
    assert_eq!(due(&mut requests, 1_000).len(), 1);
}

#[test]
fn back_off_is_bounded() {
    let policy = Policy { timeout: Some(ms(500)), retries: u32::MAX, backoff: u32::MAX };
    assert_eq!(policy.wait(0), Some(ms(500)));
    assert_eq!(policy.wait(u32::MAX), Some(MAX_TIMEOUT));
    assert_eq!(Policy::once(Some(Duration::MAX)).wait(0), Some(MAX_TIMEOUT));
}

#[test]
fn a_policy_holds_for_later_sends() {
    let mut requests = Requests::new(TWO_SECONDS);
    ask(&mut requests, 1, "a", 0);
    requests.set_policy(Policy::once(Some(ms(10))));
    ask(&mut requests, 2, "b", 0);
    assert_eq!(due(&mut requests, 10), [Expiry::GaveUp { number: 2, waited: ms(10) }]);
    assert_eq!(due(&mut requests, 2_000), [Expiry::GaveUp { number: 1, waited: ms(2_000) }]);
}

#[test]
fn the_relays_report_moves_the_wait() {
    let mut requests = Requests::new(TWO_SECONDS);
    ask(&mut requests, 1, "hello", 0);
    requests.stamp(1, ms(30));
    assert_eq!(requests.deadline(1), Some(ms(2_030)));
    assert_eq!(replied(reply(&mut requests, "ack:hello", 31)).round_trip, ms(1));
    requests.stamp(2, ms(30));
}

#[test]
fn a_failed_send_awaits_nothing() {
    let mut requests = Requests::new(TWO_SECONDS);
    ask(&mut requests, 1, "hello", 0);
    requests.failed(1);
    requests.failed(1);
    assert_eq!((requests.waiting(), requests.poll_timeout()), (0, None));
    assert_eq!(reply(&mut requests, "ack:hello", 1), Answer::Unasked);
}

#[test]
fn an_answered_send_cannot_fail_any_more() {
    let mut requests = Requests::new(TWO_SECONDS);
    ask(&mut requests, 1, "hello", 0);
    assert_eq!(replied(reply(&mut requests, "ack:hello", 1)).number, 1);
    requests.failed(1);
    assert_eq!(again(reply(&mut requests, "ack:hello", 2)).number, 1);
}

#[test]
fn a_report_after_the_reply_opens_nothing_anew() {
    let mut requests = Requests::new(TWO_SECONDS);
    ask(&mut requests, 1, "hello", 0);
    assert_eq!(replied(reply(&mut requests, "ack:hello", 1)).number, 1);
    ask(&mut requests, 1, "hello", 2);
    assert_eq!((requests.waiting(), requests.poll_timeout()), (0, None));
    assert_eq!(again(reply(&mut requests, "ack:hello", 3)).attempts, 2);
}

#[test]
fn abandon_tells_who_waited_and_forgets_everything() {
    let mut requests = Requests::new(TWO_SECONDS);
    for number in 1..=3 {
        ask(&mut requests, number, "hello", u64::from(number) * 1_000);
    }
    assert_eq!(due(&mut requests, 3_000).len(), 1);
    assert_eq!(replied(reply(&mut requests, "ack:hello", 3_001)).number, 2);
    assert_eq!(requests.abandon(), [3]);
    assert_eq!((requests.waiting(), requests.poll_timeout()), (0, None));
    assert_eq!(reply(&mut requests, "ack:hello", 3_002), Answer::Unasked);
    ask(&mut requests, 3, "hello", 4_000);
    assert_eq!(replied(reply(&mut requests, "ack:hello", 4_001)).number, 3);
}

#[test]
fn ten_thousand_outstanding_answered_the_wrong_way_round() {
    let mut requests = Requests::new(TWO_SECONDS);
    for number in 0..10_000_u32 {
        let payload = Bytes::from(format!("message {number}"));
        requests.sent(number, server(9999), payload, ms(u64::from(number) / 100));
    }
    for number in (0..10_000).rev() {
        let found = replied(reply(&mut requests, &format!("ack:message {number}"), 500));
        assert_eq!((found.number, found.how), (number, Matched::ByContent));
    }
    assert_eq!(requests.waiting(), 0);
}

#[test]
fn requests_are_bounded_by_number() {
    let mut requests = Requests::new(TWO_SECONDS);
    let beyond = u32::try_from(REMEMBERED).expect("fits") + 10;
    for number in 0..beyond {
        ask(&mut requests, number, "x", 0);
    }
    assert_eq!((requests.waiting(), requests.forgotten()), (REMEMBERED, 10));
    assert_eq!(replied(reply(&mut requests, "ack:x", 1)).number, 10);
    ask(&mut requests, beyond, "x", 0);
    assert_eq!(requests.forgotten(), 10, "an answered one goes first");
    assert_eq!(due(&mut requests, 3_000).len(), REMEMBERED);
}

#[test]
fn requests_are_bounded_by_bytes() {
    const EACH: usize = 65_507;
    let mut requests = Requests::new(TWO_SECONDS);
    let payload = Bytes::from(vec![b'a'; EACH]);
    let fit = u32::try_from(REMEMBERED_BYTES / EACH).expect("fits");
    for number in 0..fit + 3 {
        requests.sent(number, server(9999), payload.clone(), ms(0));
    }
    assert_eq!(requests.forgotten(), 3);
    let found = requests.handle_reply(server(9999), &payload, ms(1));
    assert_eq!(replied(found).number, 3);
}

#[test]
fn every_length_outstanding_at_once_costs_one_pass() {
    let mut requests = Requests::new(TWO_SECONDS);
    let run = Bytes::from(vec![b'a'; 3_000]);
    for number in 1..=3_000_u32 {
        let length = usize::try_from(number).expect("fits");
        requests.sent(number, server(9999), run.slice(..length), ms(0));
    }
    for number in (1..=3_000).rev() {
        let found = requests.handle_reply(server(9999), &run, ms(1));
        assert!(matches!(found, Answer::Reply(_) | Answer::Again(_)), "{number}: {found:?}");
    }
}

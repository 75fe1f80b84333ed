//! What holds of requests whatever happens: any order of calls, any clock, any bytes.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use link::request::{Answer, DISTINCT_BYTES, Expiry, Match, Matched, Policy, Requests};
use proptest::collection::vec;
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Step {
    Sent { number: u32, port: u16, payload: Bytes },
    Reply { port: u16, payload: Bytes, ago: Duration },
    Pass(Duration),
    Due,
    Failed(u32),
    Stamp { number: u32, ago: Duration },
    Abandon,
    Policy(Policy),
}

/// Few letters and short, so that payloads are often alike and often end like another.
fn payload() -> impl Strategy<Value = Bytes> {
    prop_oneof![
        6 => vec(prop::sample::select(&b"ab"[..]), 0..4),
        1 => vec(prop::sample::select(&b"ab"[..]), DISTINCT_BYTES - 1..DISTINCT_BYTES + 2),
        1 => vec(any::<u8>(), 0..40),
    ]
    .prop_map(Bytes::from)
}

fn echoed() -> impl Strategy<Value = Bytes> {
    (prop::sample::select(&["", "ack:", "b"][..]), payload())
        .prop_map(|(prefix, payload)| [prefix.as_bytes(), &payload].concat().into())
}

fn millis(below: u64) -> impl Strategy<Value = Duration> {
    (0..below).prop_map(Duration::from_millis)
}

fn policy() -> impl Strategy<Value = Policy> {
    (proptest::option::of(millis(60)), 0..4_u32, 0..4_u32)
        .prop_map(|(timeout, retries, backoff)| Policy { timeout, retries, backoff })
}

fn step() -> impl Strategy<Value = Step> {
    let port = 1..4_u16;
    prop_oneof![
        8 => (0..20_u32, port.clone(), payload())
            .prop_map(|(number, port, payload)| Step::Sent { number, port, payload }),
        8 => (port, echoed(), millis(30))
            .prop_map(|(port, payload, ago)| Step::Reply { port, payload, ago }),
        4 => millis(50).prop_map(Step::Pass),
        4 => Just(Step::Due),
        1 => (0..20_u32).prop_map(Step::Failed),
        1 => (0..20_u32, millis(30)).prop_map(|(number, ago)| Step::Stamp { number, ago }),
        1 => Just(Step::Abandon),
        1 => policy().prop_map(Step::Policy),
    ]
}

fn server(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

/// What the caller has been told of a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    Nothing,
    GaveUp,
    Replied,
}

proptest! {
    #[test]
    fn every_request_has_one_fate(first in policy(), steps in vec(step(), 0..200)) {
        let mut requests = Requests::new(first);
        let mut told: HashMap<u32, Told> = HashMap::new();
        let mut now = Duration::from_secs(1);
        for step in steps {
            match step {
                Step::Sent { number, port, payload } => {
                    requests.sent(number, server(port), payload, now);
                    told.entry(number).or_insert(Told::Nothing);
                }
                Step::Reply { port, payload, ago } => {
                    match requests.handle_reply(server(port), &payload, now.saturating_sub(ago)) {
                        Answer::Reply(found) => {
                            let before = told.insert(found.number, Told::Replied);
                            prop_assert!(matches!(before, Some(Told::Nothing | Told::GaveUp)));
                        }
                        Answer::Again(found) => {
                            prop_assert_eq!(told.get(&found.number), Some(&Told::Replied));
                        }
                        Answer::Unasked => {}
                    }
                }
                Step::Pass(time) => now += time,
                Step::Due => {
                    let mut calls = 0;
                    while let Some(expiry) = requests.handle_timeout(now) {
                        calls += 1;
                        prop_assert!(calls <= told.len(), "each at most once");
                        let number = match expiry {
                            Expiry::Retry { number, .. } => number,
                            Expiry::GaveUp { number, .. } => {
                                prop_assert!(!requests.is_waiting(number));
                                number
                            }
                        };
                        prop_assert_eq!(told[&number], Told::Nothing);
                        if !requests.is_waiting(number) {
                            told.insert(number, Told::GaveUp);
                        }
                    }
                    prop_assert!(requests.poll_timeout().is_none_or(|next| next > now));
                }
                Step::Failed(number) => {
                    requests.failed(number);
                    if told.get(&number) != Some(&Told::Replied) {
                        told.remove(&number);
                    }
                }
                Step::Stamp { number, ago } => requests.stamp(number, now.saturating_sub(ago)),
                Step::Abandon => {
                    let mut numbers = requests.abandon();
                    numbers.sort_unstable();
                    let mut waited: Vec<_> = told
                        .drain()
                        .filter_map(|(number, told)| (told == Told::Nothing).then_some(number))
                        .collect();
                    waited.sort_unstable();
                    prop_assert_eq!(numbers, waited);
                }
                Step::Policy(policy) => requests.set_policy(policy),
            }
            let waiting = told.values().filter(|&&told| told == Told::Nothing).count();
            prop_assert_eq!(requests.waiting(), waiting);
        }
        prop_assert_eq!(requests.forgotten(), 0);
    }

    /// What is due comes no earlier than promised, and what was promised comes.
    #[test]
    fn the_next_timeout_is_kept(first in policy(), steps in vec(step(), 0..60)) {
        let mut requests = Requests::new(first);
        let mut now = Duration::from_secs(1);
        for step in steps {
            match step {
                Step::Sent { number, port, payload } => {
                    requests.sent(number, server(port), payload, now);
                }
                Step::Pass(time) => now += time,
                _ => {}
            }
            let next = requests.poll_timeout();
            prop_assert_eq!(
                requests.handle_timeout(now).is_some(),
                next.is_some_and(|next| next <= now)
            );
            prop_assert!(requests.poll_timeout() >= next || requests.poll_timeout().is_none());
        }
    }

    /// Whether the caller asks for what is due before each reply or never is all the same to it.
    #[test]
    fn looking_late_changes_no_answer(
        timeout in proptest::option::of(millis(60)),
        steps in vec(step(), 0..200),
    ) {
        let mut prompt = Requests::new(Policy::once(timeout));
        let mut lazy = Requests::new(Policy::once(timeout));
        let mut now = Duration::ZERO;
        for (number, step) in (0..).zip(steps) {
            while prompt.handle_timeout(now).is_some() {}
            match step {
                Step::Sent { port, payload, .. } => {
                    prompt.sent(number, server(port), payload.clone(), now);
                    lazy.sent(number, server(port), payload, now);
                }
                Step::Reply { port, payload, .. } => prop_assert_eq!(
                    prompt.handle_reply(server(port), &payload, now),
                    lazy.handle_reply(server(port), &payload, now)
                ),
                Step::Pass(time) => now += time,
                _ => {}
            }
        }
    }

    /// The index finds what a search through all requests finds.
    #[test]
    fn the_index_agrees_with_a_plain_search(
        timeout in proptest::option::of(millis(60)),
        steps in vec(step(), 0..200),
    ) {
        let mut requests = Requests::new(Policy::once(timeout));
        let mut plain = Plain { timeout: Policy::once(timeout).wait(0), ..Plain::default() };
        let mut now = Duration::from_secs(1);
        for (number, step) in (0..).zip(steps) {
            match step {
                Step::Sent { port, payload, .. } => {
                    requests.sent(number, server(port), payload.clone(), now);
                    plain.sent(number, port, payload, now);
                }
                Step::Reply { port, payload, ago } => {
                    let at = now.saturating_sub(ago);
                    let found = requests.handle_reply(server(port), &payload, at);
                    prop_assert_eq!(found, plain.handle_reply(port, &payload, at));
                }
                Step::Pass(time) => now += time,
                Step::Due => while requests.handle_timeout(now).is_some() {},
                _ => {}
            }
        }
    }
}

/// The matching rules as the module's documentation states them, by search; without retries.
#[derive(Default)]
struct Plain {
    timeout: Option<Duration>,
    asked: Vec<Asked>,
    echoes: HashMap<u16, (Bytes, Bytes, bool)>,
}

struct Asked {
    number: u32,
    port: u16,
    payload: Bytes,
    sent: Duration,
    answered: bool,
}

impl Plain {
    fn sent(&mut self, number: u32, port: u16, payload: Bytes, sent: Duration) {
        self.asked.push(Asked { number, port, payload, sent, answered: false });
    }

    fn handle_reply(&mut self, port: u16, reply: &Bytes, at: Duration) -> Answer {
        let Some((index, how)) = self.choose(port, reply, at) else { return Answer::Unasked };
        let asked = &self.asked[index];
        let found = Match {
            number: asked.number,
            attempts: 1,
            round_trip: at.saturating_sub(asked.sent),
            how,
            late: self.timeout.and_then(|timeout| at.checked_sub(asked.sent + timeout)),
        };
        if how == Matched::ByContent {
            self.echoes.insert(port, self.echo(port, reply, &asked.payload));
        }
        let asked = &mut self.asked[index];
        if std::mem::replace(&mut asked.answered, true) {
            Answer::Again(found)
        } else {
            Answer::Reply(found)
        }
    }

    fn choose(&self, port: u16, reply: &Bytes, at: Duration) -> Option<(usize, Matched)> {
        let here = |index: &usize| self.asked[*index].port == port;
        let all: Vec<usize> = (0..self.asked.len()).filter(here).collect();
        let waits = |index: &usize| {
            let asked = &self.asked[*index];
            !asked.answered && self.timeout.is_none_or(|timeout| at < asked.sent + timeout)
        };
        let open = |index: &usize| !self.asked[*index].answered;

        let content = |index: &usize| {
            let payload = &self.asked[*index].payload;
            !payload.is_empty() && reply.ends_with(payload)
        };
        let longest = all
            .iter()
            .filter(|i| content(i))
            .map(|&i| self.asked[i].payload.clone())
            .max_by_key(Bytes::len);
        let in_turn = all.iter().copied().find(waits);
        if let Some(payload) = longest {
            let same: Vec<usize> =
                all.iter().copied().filter(|&i| self.asked[i].payload == payload).collect();
            if let Some(index) = same.iter().copied().find(waits) {
                return Some((index, Matched::ByContent));
            }
            let (_, _, confirmed) = self.echo(port, reply, &payload);
            if in_turn.is_none() || payload.len() >= DISTINCT_BYTES || confirmed {
                let over = same.iter().copied().rfind(open).or(same.last().copied());
                return over.map(|index| (index, Matched::ByContent));
            }
        }
        let over = in_turn.or(all.iter().copied().rfind(open));
        over.map(|index| (index, Matched::ByOrder))
    }

    fn echo(&self, port: u16, reply: &Bytes, payload: &Bytes) -> (Bytes, Bytes, bool) {
        let prefix = reply.slice(..reply.len() - payload.len());
        match self.echoes.get(&port) {
            Some((known, other, confirmed)) if *known == prefix => {
                (prefix, other.clone(), *confirmed || other != payload)
            }
            _ => (prefix, payload.clone(), false),
        }
    }
}

//! The counter's protocol: `ADD n` and `GET`, bare or inside `REQ id …`, where a repeated request is
//! answered from memory. It has no socket, and no request makes it panic.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;

use super::repr::{PyAddress, PyBytes};
use super::service::Print;

/// Answers remembered; when there are more, the oldest is forgotten.
pub(super) const REMEMBERED_ANSWERS: usize = 1024;
/// The longest request ID in bytes; it bounds what is remembered.
const ID_BYTES: usize = 32;
/// How much of a wrong request an error quotes, in characters.
const QUOTED_CHARS: usize = 40;
const FORMS: &str = "understood are ADD n, GET, REQ id ADD n, REQ id GET";

/// A request is repeated when both its sender and its ID are.
type Request = (SocketAddr, Box<str>);

/// A total, and the answers given to requests that have an ID.
#[derive(Default)]
pub(super) struct Counter {
    total: i64,
    answers: HashMap<Request, String>,
    /// The same requests, oldest first.
    order: VecDeque<Request>,
}

impl Counter {
    pub(super) fn handle(
        &mut self,
        source: SocketAddr,
        payload: &[u8],
        print: &mut Print<'_>,
    ) -> String {
        let (from, bytes) = (PyAddress(source), PyBytes(payload));
        let words = words(payload);
        let Some((&id, command)) = identified(&words) else {
            let reply = reply(self.run(&words));
            print(format_args!("{bytes} from {from}: {reply}"));
            return reply;
        };
        if id.len() > ID_BYTES {
            let reply =
                format!("ERROR request id is {} bytes, limit {ID_BYTES}; {FORMS}", id.len());
            print(format_args!("{bytes} from {from}: {reply}"));
            return reply;
        }
        let request = (source, Box::from(id));
        if let Some(answer) = self.answers.get(&request) {
            print(format_args!(
                "{bytes} from {from}: request {id} again, answered from memory and not counted: \
                 {answer}"
            ));
            return answer.clone();
        }
        let answer = format!("REP {id} {}", reply(self.run(command)));
        print(format_args!("{bytes} from {from}: {answer}"));
        self.remember(request, answer.clone());
        answer
    }

    fn run(&mut self, command: &[&str]) -> Result<i64, String> {
        match command {
            [verb, number] if verb.eq_ignore_ascii_case("ADD") => self.add(number),
            [verb] if verb.eq_ignore_ascii_case("GET") => Ok(self.total),
            [] => Err(format!("the request is empty; {FORMS}")),
            [verb, rest @ ..] if verb.eq_ignore_ascii_case("ADD") => {
                Err(format!("ADD takes one number, {} given; {FORMS}", rest.len()))
            }
            [verb, rest @ ..] if verb.eq_ignore_ascii_case("GET") => {
                Err(format!("GET takes nothing, {} given; {FORMS}", rest.len()))
            }
            [verb, ..] => Err(format!("{} is no request; {FORMS}", quoted(verb))),
        }
    }

    fn add(&mut self, number: &str) -> Result<i64, String> {
        let number: i64 = number.parse().map_err(|_| {
            format!(
                "{} is not a whole number from {} to {}; {FORMS}",
                quoted(number),
                i64::MIN,
                i64::MAX
            )
        })?;
        self.total = self.total.checked_add(number).ok_or_else(|| {
            format!(
                "total {} and {number} make more than {} to {} holds; nothing is added",
                self.total,
                i64::MIN,
                i64::MAX
            )
        })?;
        Ok(self.total)
    }

    fn remember(&mut self, request: Request, answer: String) {
        if self.order.len() >= REMEMBERED_ANSWERS
            && let Some(oldest) = self.order.pop_front()
        {
            self.answers.remove(&oldest);
        }
        self.order.push_back(request.clone());
        self.answers.insert(request, answer);
    }
}

fn reply(result: Result<i64, String>) -> String {
    match result {
        Ok(total) => format!("TOTAL {total}"),
        Err(error) => format!("ERROR {error}"),
    }
}

/// The words of a request; where bytes are not ASCII text, none of them is understood.
fn words(payload: &[u8]) -> Vec<&str> {
    /// More words than any request has.
    const MOST: usize = 5;
    match str::from_utf8(payload) {
        Ok(text) if payload.is_ascii() => text.split_ascii_whitespace().take(MOST).collect(),
        _ => vec!["(bytes that are not ASCII text)"],
    }
}

fn identified<'a, 'b>(words: &'b [&'a str]) -> Option<(&'b &'a str, &'b [&'a str])> {
    let (verb, rest) = words.split_first()?;
    if verb.eq_ignore_ascii_case("REQ") { rest.split_first() } else { None }
}

fn quoted(word: &str) -> String {
    let mut shown: String = word.chars().take(QUOTED_CHARS).flat_map(char::escape_debug).collect();
    if word.chars().nth(QUOTED_CHARS).is_some() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    struct Bench {
        counter: Counter,
        lines: Vec<String>,
    }

    impl Bench {
        fn new() -> Self {
            Self { counter: Counter::default(), lines: Vec::new() }
        }

        fn from(&mut self, port: u16, request: &str) -> String {
            let source = SocketAddr::from(([127, 0, 0, 1], port));
            self.counter
                .handle(source, request.as_bytes(), &mut |line| self.lines.push(line.to_string()))
        }

        fn ask(&mut self, request: &str) -> String {
            self.from(50312, request)
        }
    }

    #[test]
    fn the_naive_form_counts_every_arrival() {
        let mut bench = Bench::new();
        assert_eq!(bench.ask("ADD 1"), "TOTAL 1");
        assert_eq!(bench.ask("ADD 1"), "TOTAL 2");
        assert_eq!(bench.ask("ADD -5"), "TOTAL -3");
        assert_eq!(bench.ask("get\n"), "TOTAL -3");
        assert_eq!(bench.lines[0], "b'ADD 1' from ('127.0.0.1', 50312): TOTAL 1");
    }

    #[test]
    fn a_repeated_request_is_answered_and_not_counted() {
        let mut bench = Bench::new();
        assert_eq!(bench.ask("REQ 7 ADD 1"), "REP 7 TOTAL 1");
        assert_eq!(bench.ask("ADD 10"), "TOTAL 11");
        assert_eq!(bench.ask("REQ 7 ADD 1"), "REP 7 TOTAL 1");
        assert!(bench.lines[2].contains("request 7 again, answered from memory and not counted"));
        assert_eq!(bench.ask("REQ 8 GET"), "REP 8 TOTAL 11");
        assert_eq!(bench.from(50313, "REQ 7 ADD 1"), "REP 7 TOTAL 12");
    }

    #[test]
    fn the_oldest_answer_is_forgotten_first() {
        let mut bench = Bench::new();
        for id in 0..=REMEMBERED_ANSWERS {
            bench.ask(&format!("REQ {id} ADD 1"));
        }
        assert_eq!(bench.counter.order.len(), REMEMBERED_ANSWERS);
        assert_eq!(bench.counter.answers.len(), REMEMBERED_ANSWERS);
        assert_eq!(bench.ask("REQ 1 ADD 1"), "REP 1 TOTAL 2");
        assert_eq!(bench.ask("REQ 0 ADD 1"), "REP 0 TOTAL 1026");
    }

    #[test]
    fn anything_else_is_told_what_was_wrong_and_what_is_understood() {
        let mut bench = Bench::new();
        for (request, wrong) in [
            ("", "ERROR the request is empty; understood are ADD n, GET"),
            ("hello", "ERROR hello is no request; understood are ADD n, GET"),
            ("ADD", "ERROR ADD takes one number, 0 given"),
            ("ADD 1 2", "ERROR ADD takes one number, 2 given"),
            ("GET 1", "ERROR GET takes nothing, 1 given"),
            ("ADD one", "ERROR one is not a whole number from -9223372036854775808 to"),
            ("ADD 9223372036854775808", "ERROR 9223372036854775808 is not a whole number"),
            ("REQ", "ERROR REQ is no request"),
            ("REQ 7", "REP 7 ERROR the request is empty"),
            ("REQ 9 ADD", "REP 9 ERROR ADD takes one number, 0 given"),
            ("é", "ERROR (bytes that are not ASCII text) is no request"),
        ] {
            let reply = bench.ask(request);
            assert!(reply.starts_with(wrong), "{request:?} gave {reply}");
        }
        let long = format!("REQ {} GET", "x".repeat(33));
        assert!(bench.ask(&long).starts_with("ERROR request id is 33 bytes, limit 32"));
        assert!(bench.ask(&"y".repeat(4000)).len() < 200);
        assert_eq!(bench.ask("GET"), "TOTAL 0");
    }

    #[test]
    fn a_total_never_wraps() {
        let mut bench = Bench::new();
        assert_eq!(bench.ask("ADD 9223372036854775807"), "TOTAL 9223372036854775807");
        assert!(bench.ask("ADD 1").starts_with("ERROR total 9223372036854775807 and 1 make more"));
        assert_eq!(bench.ask("GET"), "TOTAL 9223372036854775807");
    }

    proptest! {
        #[test]
        fn no_bytes_panic_and_every_request_has_a_reply(payload in proptest::collection::vec(any::<u8>(), 0..200)) {
            let source = "127.0.0.1:1".parse().unwrap();
            let reply = Counter::default().handle(source, &payload, &mut |_| ());
            prop_assert!(!reply.is_empty());
        }
    }
}

//! The message as it is typed, in text or hexadecimal, and the payloads made of it. What was typed
//! is never changed but by the person, or by a switch that loses nothing.

use bytes::Bytes;

use super::text;

/// What stands for the send's counter in a message.
pub const COUNTER: &str = "{n}";

/// Bytes that the counter takes in a hexadecimal message: a `u32`, big-endian.
const COUNTER_BYTES: usize = 4;

/// The largest payload that can be composed, in bytes: twice what one datagram can carry, so that
/// the system's own EMSGSIZE can be seen.
pub const PAYLOAD_LIMIT: usize = 131_072;

/// How the message is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Notation {
    /// As text, sent as UTF-8.
    #[default]
    Text,
    /// As pairs of hexadecimal digits.
    Hex,
}

/// The message as typed.
#[derive(Clone, Debug)]
pub struct Compose {
    /// What stands in the field.
    pub typed: String,
    /// How it is meant.
    pub notation: Notation,
    /// Why the last switch of notation was refused.
    pub refused: Option<String>,
}

impl Default for Compose {
    fn default() -> Self {
        Self { typed: "Hello UDP Server".to_owned(), notation: Notation::Text, refused: None }
    }
}

/// A message from which each send's payload is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    /// The bytes between the counters: one more than there are counters.
    pub pieces: Vec<Bytes>,
    /// How a counter is written.
    pub notation: Notation,
}

impl Template {
    /// Whether payloads differ from send to send.
    pub fn has_counter(&self) -> bool {
        self.pieces.len() > 1
    }

    /// The payload of the send that counts `n`.
    pub fn payload(&self, n: u32) -> Bytes {
        let [first, rest @ ..] = self.pieces.as_slice() else { return Bytes::new() };
        if rest.is_empty() {
            return first.clone();
        }
        let mut out = first.to_vec();
        for piece in rest {
            match self.notation {
                Notation::Text => out.extend_from_slice(n.to_string().as_bytes()),
                Notation::Hex => out.extend_from_slice(&n.to_be_bytes()),
            }
            out.extend_from_slice(piece);
        }
        out.into()
    }
}

impl Compose {
    /// The message ready to be sent.
    ///
    /// # Errors
    /// What is wrong with it, and where.
    pub fn template(&self) -> Result<Template, String> {
        let pieces = self
            .pieces()
            .map(|(at, piece)| match self.notation {
                Notation::Text => Ok(Bytes::copy_from_slice(piece.as_bytes())),
                Notation::Hex => parse_hex(piece, at).map(Bytes::from),
            })
            .collect::<Result<Vec<_>, _>>()?;
        let len: usize = pieces.iter().map(Bytes::len).sum();
        if len > PAYLOAD_LIMIT {
            return Err(format!(
                "The message is {}; this page sends at most {}.",
                text::bytes(len as u64),
                text::bytes(PAYLOAD_LIMIT as u64)
            ));
        }
        Ok(Template { pieces, notation: self.notation })
    }

    /// The parts between counters, each with the position of its first character.
    fn pieces(&self) -> impl Iterator<Item = (usize, &str)> {
        let mut at = 0;
        text::split(&self.typed, COUNTER).map(move |piece| {
            let start = at;
            at += piece.chars().count() + COUNTER.len();
            (start, piece)
        })
    }

    /// Writes the message in another notation, unless that would lose or change bytes.
    pub fn switch(&mut self, to: Notation) {
        self.refused = None;
        if self.notation == to {
            return;
        }
        let converted = self.template().and_then(|template| {
            let pieces = template.pieces.iter();
            match to {
                Notation::Hex => {
                    let pieces: Vec<String> =
                        pieces.map(|piece| text::hex(piece, usize::MAX)).collect();
                    Ok(text::join(pieces, " {n} ").trim().to_owned())
                }
                Notation::Text => {
                    let pieces: Vec<&str> =
                        pieces.map(|piece| as_text(piece)).collect::<Result<_, _>>()?;
                    Ok(text::join(pieces, COUNTER))
                }
            }
        });
        match converted {
            Ok(typed) => {
                self.typed = typed;
                self.notation = to;
            }
            Err(why) => self.refused = Some(why),
        }
    }

    /// Puts a counter where the caret stands: after `at` UTF-16 units, as browsers count.
    pub fn insert_counter(&mut self, at: Option<usize>) {
        let mut units = 0;
        let position = at.and_then(|at| {
            self.typed.char_indices().find_map(|(index, c)| {
                let here = units >= at;
                units += c.len_utf16();
                here.then_some(index)
            })
        });
        self.typed.insert_str(position.unwrap_or(self.typed.len()), COUNTER);
        self.refused = None;
    }

    /// The line beside the message: how many bytes it is. A stream does not carry nothing.
    pub fn summary(&self, is_stream: bool) -> String {
        let Ok(template) = self.template() else { return String::new() };
        let plain: usize = template.pieces.iter().map(Bytes::len).sum();
        let mut out = text::bytes(template.payload(1).len() as u64);
        out.push_str(match self.notation {
            _ if plain == 0 && !template.has_counter() => {
                if is_stream {
                    " · a stream carries nothing"
                } else {
                    " · an empty datagram"
                }
            }
            Notation::Text => " · UTF-8",
            Notation::Hex => " · given as hex",
        });
        if template.has_counter() {
            out.push_str(match self.notation {
                Notation::Text => " · {n} is 1, 2, 3 …",
                Notation::Hex => " · {n} is 00 00 00 01 …",
            });
        }
        if plain > wire::PAYLOAD_LIMIT_IPV4 && !is_stream {
            out.push_str(" · over 65,507, a datagram’s most");
        }
        out
    }
}

fn as_text(bytes: &[u8]) -> Result<&str, String> {
    let decoded = std::str::from_utf8(bytes).map_err(|error| {
        let at = error.valid_up_to();
        format!(
            "These bytes are not UTF-8 text: byte {} is {:02x}. They stay as hex.",
            at + 1,
            bytes[at]
        )
    })?;
    if decoded.contains('\r') {
        return Err(
            "A text field cannot hold the byte 0d (carriage return). It stays as hex.".to_owned()
        );
    }
    if text::contains(decoded, COUNTER) {
        return Err("As text, the bytes 7b 6e 7d would become the counter {n}. They stay as hex."
            .to_owned());
    }
    Ok(decoded)
}

/// Bytes from pairs of hexadecimal digits; blanks, commas and colons may stand between pairs, and
/// `0x` or `\x` before one. `offset` is the position of the first character.
fn parse_hex(typed: &str, offset: usize) -> Result<Vec<u8>, String> {
    let mut out = Vec::with_capacity(typed.len() / 2);
    let mut high: Option<(usize, u32)> = None;
    let mut characters = typed.chars().enumerate().peekable();
    while let Some((at, c)) = characters.next() {
        let position = offset + at + 1;
        if high.is_none() {
            if c.is_whitespace() || matches!(c, ',' | ':') {
                continue;
            }
            let follows_x = characters.peek().is_some_and(|(_, next)| matches!(next, 'x' | 'X'));
            if matches!(c, '0' | '\\') && follows_x {
                characters.next();
                continue;
            }
        }
        let Some(digit) = c.to_digit(16) else {
            let mut shown = String::new();
            text::push_visible(&mut shown, c);
            return Err(match high {
                Some((first, _)) => format!(
                    "The digit at position {first} stands alone: a byte is two hexadecimal \
                     digits, and at position {position} stands “{shown}”."
                ),
                None => format!("“{shown}” at position {position} is not a hexadecimal digit."),
            });
        };
        match high.take() {
            None => high = Some((position, digit)),
            Some((_, first)) => {
                out.push(u8::try_from(first << 4 | digit).expect("two digits are one byte"));
            }
        }
    }
    match high {
        Some((position, _)) => Err(format!(
            "The digit at position {position} stands alone: a byte is two hexadecimal digits."
        )),
        None => Ok(out),
    }
}

/// How many bytes the counter adds to a payload at most.
pub fn counter_bytes(notation: Notation) -> usize {
    match notation {
        Notation::Text => 10,
        Notation::Hex => COUNTER_BYTES,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn compose(typed: &str, notation: Notation) -> Compose {
        Compose { typed: typed.to_owned(), notation, refused: None }
    }

    #[test]
    fn the_lesson_message_is_sixteen_bytes() {
        let message = Compose::default();
        assert_eq!(message.summary(false), "16 bytes · UTF-8");
        let template = message.template().expect("it is text");
        assert_eq!(template.payload(7), "Hello UDP Server");
        assert!(!template.has_counter());
    }

    #[test]
    fn hex_is_read_as_people_write_it() {
        for typed in ["ff fe", "FFFE", "0xff, 0xFE", "\\xff\\xfe", "ff:fe\n"] {
            let template = compose(typed, Notation::Hex).template().expect(typed);
            assert_eq!(template.payload(1), [0xff, 0xfe].as_slice(), "{typed}");
        }
        assert_eq!(compose("", Notation::Hex).template().expect("empty").payload(1), "");
    }

    #[test]
    fn bad_hex_names_the_character_and_its_position() {
        let error = |typed| compose(typed, Notation::Hex).template().expect_err(typed);
        assert_eq!(
            error("48 6g"),
            "The digit at position 4 stands alone: a byte is two \
             hexadecimal digits, and at position 5 stands “g”."
        );
        assert_eq!(error("4h"), error("4h"));
        assert_eq!(error("zz"), "“z” at position 1 is not a hexadecimal digit.");
        assert_eq!(error("{n} zz"), "“z” at position 5 is not a hexadecimal digit.");
        assert_eq!(
            error("48 6"),
            "The digit at position 4 stands alone: a byte is two hexadecimal digits."
        );
    }

    #[test]
    fn the_counter_is_digits_in_text_and_four_bytes_in_hex() {
        let text = compose("ping {n}.{n}", Notation::Text).template().expect("text");
        assert_eq!(text.payload(12), "ping 12.12");
        let hex = compose("aa {n} bb", Notation::Hex).template().expect("hex");
        assert_eq!(hex.payload(258), [0xaa, 0, 0, 1, 2, 0xbb].as_slice());
    }

    #[test]
    fn a_switch_that_would_lose_bytes_is_refused_and_keeps_what_was_typed() {
        for typed in ["ff fe", "0d 0a", "7b 6e 7d", "4"] {
            let mut message = compose(typed, Notation::Hex);
            message.switch(Notation::Text);
            assert_eq!((message.typed.as_str(), message.notation), (typed, Notation::Hex));
            assert!(message.refused.is_some(), "{typed}");
        }
    }

    #[test]
    fn the_counter_goes_where_the_caret_is() {
        let mut message = compose("a😀b", Notation::Text);
        message.insert_counter(Some(3));
        assert_eq!(message.typed, "a😀{n}b");
        message.insert_counter(None);
        assert_eq!(message.typed, "a😀{n}b{n}");
    }

    proptest! {
        #[test]
        fn hex_survives_a_round_trip(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            prop_assert_eq!(parse_hex(&text::hex(&bytes, usize::MAX), 0), Ok(bytes));
        }

        #[test]
        fn text_survives_hex_and_back(typed in "[^\r]{0,80}") {
            let mut message = compose(&typed, Notation::Text);
            let before = message.template().expect("text is always a message").payload(3);
            message.switch(Notation::Hex);
            if !typed.contains(COUNTER) {
                prop_assert_eq!(message.template().expect("hex").payload(3), before);
            }
            message.switch(Notation::Text);
            prop_assert_eq!(message.typed, typed);
        }

        #[test]
        fn no_typing_panics(typed in any::<String>(), at in 0usize..50) {
            for notation in [Notation::Text, Notation::Hex] {
                let mut message = compose(&typed, notation);
                message.insert_counter(Some(at));
                let _ = (message.template(), message.summary(true));
                message.switch(Notation::Text);
                message.switch(Notation::Hex);
            }
        }
    }
}

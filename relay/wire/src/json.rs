//! JSON as far as a client needs it: reading an event, writing a call. It never guesses: a field
//! that is missing or of another type is an error that names it.
//!
//! A page reads with the browser's own `JSON.parse`, a native program with `serde_json`. What the
//! relay reads and writes goes by serde's derived code, which would cost the page's wasm more than
//! all the rest of this crate.

use std::cell::Cell;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

pub(crate) use value::{Value, integer, number, text};

/// Stands in for an address that is missing, until that is told.
const NO_ADDRESS: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);

/// A JSON object that is being read. Every field is read first and the problems are looked at last,
/// which is half the code of looking at each.
pub(crate) struct Json {
    value: Value,
    problem: Cell<Option<Problem>>,
}

#[derive(Clone, Copy)]
enum Problem {
    Missing(&'static str),
    Wrong(&'static str),
}

#[cfg(not(target_arch = "wasm32"))]
mod value {
    pub(crate) use serde_json::Value;

    pub(super) fn parse(text: &str) -> Result<Value, String> {
        serde_json::from_str(text).map_err(|error| error.to_string())
    }

    pub(super) fn field(value: &Value, name: &str) -> Option<Value> {
        value.get(name).filter(|field| !field.is_null()).cloned()
    }

    pub(crate) fn text(value: &Value) -> Option<String> {
        value.as_str().map(str::to_owned)
    }

    pub(crate) fn number(value: &Value) -> Option<u64> {
        value.as_u64()
    }

    pub(crate) fn integer(value: &Value) -> Option<i32> {
        value.as_i64()?.try_into().ok()
    }

    pub(super) fn list(value: &Value) -> Option<Vec<Value>> {
        value.as_array().cloned()
    }
}

#[cfg(target_arch = "wasm32")]
mod value {
    use js_sys::{Array, JSON, Reflect};
    use wasm_bindgen::{JsCast, JsValue};

    pub(crate) type Value = JsValue;

    /// 2⁵³: above it a JavaScript number does not hold every whole number.
    const EXACT: f64 = 9_007_199_254_740_992.0;

    pub(super) fn parse(text: &str) -> Result<Value, String> {
        JSON::parse(text).map_err(|error| {
            let message = Reflect::get(&error, &"message".into()).ok();
            message.and_then(|message| message.as_string()).unwrap_or_default()
        })
    }

    pub(super) fn field(value: &Value, name: &str) -> Option<Value> {
        let field = Reflect::get(value, &name.into()).ok()?;
        (!field.is_null() && !field.is_undefined()).then_some(field)
    }

    pub(crate) fn text(value: &Value) -> Option<String> {
        value.as_string()
    }

    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "checked to be a whole number in range"
    )]
    pub(crate) fn number(value: &Value) -> Option<u64> {
        let number = value.as_f64()?;
        let whole = number as u64;
        let is_exact = (0.0..=EXACT).contains(&number) && number - number.trunc() == 0.0;
        is_exact.then_some(whole)
    }

    #[allow(clippy::cast_possible_truncation, reason = "compared with what it came from")]
    pub(crate) fn integer(value: &Value) -> Option<i32> {
        let number = value.as_f64()?;
        let integer = number as i32;
        (f64::from(integer) - number == 0.0).then_some(integer)
    }

    pub(super) fn list(value: &Value) -> Option<Vec<Value>> {
        value.dyn_ref::<Array>().map(|array| array.iter().collect())
    }
}

impl Json {
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        value::parse(text).map(|value| Self { value, problem: Cell::new(None) })
    }

    /// `whole`, unless one of the fields it was made of was missing or of another type.
    pub(crate) fn checked<T>(&self, whole: T) -> Result<T, String> {
        match self.problem.get() {
            None => Ok(whole),
            Some(Problem::Missing(name)) => Err(format!("missing field `{name}`")),
            Some(Problem::Wrong(name)) => Err(format!("field `{name}` is not what it should be")),
        }
    }

    /// The field `name`, read by `read`; none when it is missing or null.
    pub(crate) fn optional<T>(
        &self,
        name: &'static str,
        read: impl FnOnce(&Value) -> Option<T>,
    ) -> Option<T> {
        let found = read(&value::field(&self.value, name)?);
        if found.is_none() {
            self.note(Problem::Wrong(name));
        }
        found
    }

    /// The same, for a field that must be there; the type's default stands in when it is not.
    pub(crate) fn required<T: Default>(
        &self,
        name: &'static str,
        read: impl FnOnce(&Value) -> Option<T>,
    ) -> T {
        let found = self.optional(name, read);
        if found.is_none() {
            self.note(Problem::Missing(name));
        }
        found.unwrap_or_default()
    }

    pub(crate) fn text(&self, name: &'static str) -> String {
        self.required(name, value::text)
    }

    pub(crate) fn number(&self, name: &'static str) -> u64 {
        self.required(name, value::number)
    }

    pub(crate) fn small_number(&self, name: &'static str) -> u32 {
        self.required(name, small_number)
    }

    /// One of a few words.
    pub(crate) fn word<T: Copy>(&self, name: &'static str, words: &[(&str, T)]) -> T {
        let text = self.text(name);
        let found = words.iter().find(|(word, _)| *word == text);
        if found.is_none() {
            self.note(Problem::Wrong(name));
        }
        found.map_or(words[0].1, |(_, meaning)| *meaning)
    }

    pub(crate) fn address(&self, name: &'static str) -> SocketAddr {
        self.required(name, |value| address(value).map(Some)).unwrap_or(NO_ADDRESS)
    }

    /// Every element of a list, read by `read`.
    pub(crate) fn list<T>(&self, name: &'static str, read: impl Fn(&Value) -> Option<T>) -> Vec<T> {
        self.required(name, |value| elements(value, read))
    }

    /// The object in the field `name`, read by `read`, whose problems are this one's too.
    pub(crate) fn object<T>(&self, name: &'static str, read: impl FnOnce(&Self) -> T) -> T {
        let value = value::field(&self.value, name);
        if value.is_none() {
            self.note(Problem::Missing(name));
        }
        let inner = Self { value: value.unwrap_or_default(), problem: Cell::new(None) };
        let read = read(&inner);
        if let Some(problem) = inner.problem.get() {
            self.note(problem);
        }
        read
    }

    /// The first problem is the one that is told.
    fn note(&self, problem: Problem) {
        self.problem.set(self.problem.get().or(Some(problem)));
    }
}

/// Reads a value as an object of its own.
pub(crate) fn object<T>(value: &Value, read: impl FnOnce(&Json) -> T) -> Option<T> {
    let json = Json { value: value.clone(), problem: Cell::new(None) };
    let whole = read(&json);
    json.checked(whole).ok()
}

pub(crate) fn small_number(value: &Value) -> Option<u32> {
    value::number(value)?.try_into().ok()
}

pub(crate) fn address(value: &Value) -> Option<SocketAddr> {
    value::text(value)?.parse().ok()
}

pub(crate) fn elements<T>(value: &Value, read: impl Fn(&Value) -> Option<T>) -> Option<Vec<T>> {
    let mut all = Vec::new();
    for element in value::list(value)? {
        all.push(read(&element)?);
    }
    Some(all)
}

/// Writes one JSON object, field by field.
pub(crate) struct ObjectWriter(String);

impl ObjectWriter {
    pub(crate) fn new() -> Self {
        Self("{".to_owned())
    }

    pub(crate) fn text(mut self, name: &str, text: &str) -> Self {
        self.name(name);
        self.0.push('"');
        for character in text.chars() {
            match character {
                '"' => self.0.push_str("\\\""),
                '\\' => self.0.push_str("\\\\"),
                // RFC 8259 §7: all other control characters by their number.
                '\0'..='\u{1f}' => {
                    self.0.push_str("\\u00");
                    for digit in [u32::from(character) / 16, u32::from(character) % 16] {
                        self.0.extend(char::from_digit(digit, 16));
                    }
                }
                other => self.0.push(other),
            }
        }
        self.0.push('"');
        self
    }

    pub(crate) fn number(mut self, name: &str, number: u32) -> Self {
        self.name(name);
        self.0.push_str(&number.to_string());
        self
    }

    /// A value that is no text and no number: `true`, `false` or `null`.
    pub(crate) fn word(mut self, name: &str, word: &str) -> Self {
        self.name(name);
        self.0.push_str(word);
        self
    }

    pub(crate) fn finish(mut self) -> String {
        self.0.push('}');
        self.0
    }

    fn name(&mut self, name: &str) {
        if self.0.len() > 1 {
            self.0.push(',');
        }
        self.0.push('"');
        self.0.push_str(name);
        self.0.push_str("\":");
    }
}

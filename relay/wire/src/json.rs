//! JSON as far as a client needs it: reading an event, writing a call. It never guesses: a field
//! that is missing or of another type is an error that names it.
//!
//! A page reads with the browser's own `JSON.parse`, a native program with `serde_json`. What the
//! relay reads and writes goes by serde's derived code, which would cost the page's wasm more than
//! all the rest of this crate.

use std::net::SocketAddr;

/// A JSON value.
pub(crate) struct Json(value::Value);

#[cfg(not(target_arch = "wasm32"))]
mod value {
    pub(super) use serde_json::Value;

    pub(super) fn parse(text: &str) -> Result<Value, String> {
        serde_json::from_str(text).map_err(|error| error.to_string())
    }

    pub(super) fn field(value: &Value, name: &str) -> Option<Value> {
        value.get(name).filter(|field| !field.is_null()).cloned()
    }

    pub(super) fn text(value: &Value) -> Option<String> {
        value.as_str().map(str::to_owned)
    }

    pub(super) fn number(value: &Value) -> Option<u64> {
        value.as_u64()
    }

    pub(super) fn integer(value: &Value) -> Option<i32> {
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

    pub(super) type Value = JsValue;

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

    pub(super) fn text(value: &Value) -> Option<String> {
        value.as_string()
    }

    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "checked to be a whole number in range"
    )]
    pub(super) fn number(value: &Value) -> Option<u64> {
        let number = value.as_f64()?;
        let whole = number as u64;
        let is_exact = (0.0..=EXACT).contains(&number) && number - number.trunc() == 0.0;
        is_exact.then_some(whole)
    }

    #[allow(clippy::cast_possible_truncation, reason = "compared with what it came from")]
    pub(super) fn integer(value: &Value) -> Option<i32> {
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
        value::parse(text).map(Self)
    }

    /// The field `name`, read by `read`; none when it is missing or null.
    pub(crate) fn optional<T>(
        &self,
        name: &str,
        read: fn(&Self) -> Option<T>,
    ) -> Result<Option<T>, String> {
        let Some(field) = value::field(&self.0, name) else { return Ok(None) };
        match read(&Self(field)) {
            None => Err(["field `", name, "` is not what it should be"].concat()),
            found => Ok(found),
        }
    }

    /// The same, for a field that must be there.
    pub(crate) fn required<T>(
        &self,
        name: &str,
        read: fn(&Self) -> Option<T>,
    ) -> Result<T, String> {
        self.optional(name, read)?.ok_or_else(|| ["missing field `", name, "`"].concat())
    }

    pub(crate) fn text(&self) -> Option<String> {
        value::text(&self.0)
    }

    pub(crate) fn number(&self) -> Option<u64> {
        value::number(&self.0)
    }

    pub(crate) fn integer(&self) -> Option<i32> {
        value::integer(&self.0)
    }

    pub(crate) fn small_number(&self) -> Option<u32> {
        self.number().and_then(|number| u32::try_from(number).ok())
    }

    pub(crate) fn address(&self) -> Option<SocketAddr> {
        self.text()?.parse().ok()
    }

    /// Every element, read by `read`; none when one of them cannot be.
    pub(crate) fn list<T>(&self, read: fn(&Self) -> Option<T>) -> Option<Vec<T>> {
        value::list(&self.0)?.into_iter().map(|element| read(&Self(element))).collect()
    }
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

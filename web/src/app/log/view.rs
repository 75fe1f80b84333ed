//! Rows and their details as they are drawn and copied; made only for what is in sight.

use std::net::SocketAddr;
use std::ops::Range;
use std::time::Duration;

use super::{Fate, Log, Row, RowKind, Times, What};
use crate::app::clock::WallClock;
use crate::app::{code, text};

/// Payload bytes that a row in the table shows at most; the detail shows all.
const PAYLOAD_SHOWN: usize = 160;

/// Characters that the table has for a time, and for the time since the row above: where there are
/// more, decimals go. A copy has them all.
const TIME_SHOWN: usize = 10;
const DELTA_SHOWN: usize = 9;

/// A row as the table draws it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowView {
    /// Its number in the log.
    pub number: u64,
    /// `sent`, `received`, `error` or `note`.
    pub kind: &'static str,
    /// `none`, `waiting`, `reply`, `timeout`, `late`, `error` or `unknown`.
    pub outcome_state: &'static str,
    /// Milliseconds since the first row, or the time of day.
    pub time: String,
    /// Milliseconds since the row above.
    pub delta: String,
    /// Symbol and word.
    pub direction: &'static str,
    /// Host and port.
    pub from: Option<(String, String)>,
    /// Host and port.
    pub to: Option<(String, String)>,
    /// Payload bytes.
    pub size: String,
    /// `of 1,500, cut`, or empty.
    pub cut: String,
    /// The payload, or the sentence of a note.
    pub content: String,
    /// Whether the payload has no bytes.
    pub is_empty: bool,
    /// What became of it.
    pub outcome: String,
    /// Whether it is the selected one.
    pub is_selected: bool,
}

/// Everything known of one row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Detail {
    /// `Row 14: received`.
    pub title: String,
    /// As the row's.
    pub kind: &'static str,
    /// The address it came from.
    pub from: String,
    /// The address it went to.
    pub to: String,
    /// Bytes, and how many were cut off.
    pub size: String,
    /// On the relay's clock.
    pub time: String,
    /// What became of it.
    pub outcome: String,
    /// How all this is known.
    pub known: String,
    /// The payload as text.
    pub text: String,
    /// Offset, hex and ASCII.
    pub hex: String,
    /// This call in Python.
    pub python: String,
    /// This call in Rust.
    pub rust: String,
}

fn parts(address: SocketAddr) -> (String, String) {
    let host = match address {
        SocketAddr::V4(v4) => v4.ip().to_string(),
        SocketAddr::V6(v6) => format!("[{}]", v6.ip()),
    };
    (host, format!(":{}", address.port()))
}

/// Drops decimals that there is no room for.
fn shorten(number: &mut String, most: usize) {
    let point = number.bytes().position(|byte| byte == b'.');
    if let Some(point) = point.filter(|_| number.len() > most) {
        number.truncate(if point + 1 < most { most } else { point });
    }
}

impl Log {
    /// The rows of the view in this range, as far as there are any.
    pub fn rows(
        &self,
        range: Range<usize>,
        now: Duration,
        wall: WallClock,
    ) -> impl Iterator<Item = RowView> {
        range.map_while(move |index| {
            let row = self.row(self.at(index)?)?;
            let before = index.checked_sub(1).and_then(|index| self.row(self.at(index)?));
            let mut view = self.row_view(row, before, now, wall, PAYLOAD_SHOWN);
            if self.times == Times::SinceFirst {
                shorten(&mut view.time, TIME_SHOWN);
            }
            shorten(&mut view.delta, DELTA_SHOWN);
            Some(view)
        })
    }

    fn row_view(
        &self,
        row: &Row,
        before: Option<&Row>,
        now: Duration,
        wall: WallClock,
        limit: usize,
    ) -> RowView {
        RowView {
            number: row.number,
            kind: row.kind().word(),
            outcome_state: row.outcome_state(),
            time: match self.times {
                Times::SinceFirst => {
                    text::milliseconds(row.at.saturating_sub(self.origin.unwrap_or_default()))
                }
                Times::Clock => wall.time_of_day(row.at),
            },
            delta: before
                .map(|before| text::milliseconds(row.at.saturating_sub(before.at)))
                .unwrap_or_default(),
            direction: row.kind().direction(),
            from: row.from.map(parts),
            to: row.to.map(parts),
            size: if row.has_payload() { text::count(row.kept.into()) } else { String::new() },
            cut: if row.is_cut() {
                format!("of {}, cut", text::count(row.size.into()))
            } else {
                String::new()
            },
            content: row.content(self.as_hex, limit),
            is_empty: row.has_payload() && row.kept == 0,
            outcome: row.outcome(now),
            is_selected: self.selected == Some(row.number),
        }
    }

    /// The rows that the filter lets through, tab separated with a heading, and how many they are.
    pub fn tab_separated(&self, now: Duration, wall: WallClock) -> (String, usize) {
        let mut out =
            String::from("No.\ttime\tdelta ms\twhat\tfrom\tto\tbytes\tsize\tpayload\toutcome\n");
        let mut before = None;
        for index in 0..self.len() {
            let Some(row) = self.at(index).and_then(|number| self.row(number)) else { break };
            let view = self.row_view(row, before, now, wall, usize::MAX);
            before = Some(row);
            let address =
                |address: Option<SocketAddr>| address.map(|it| it.to_string()).unwrap_or_default();
            let size = if row.has_payload() { row.size.to_string() } else { String::new() };
            let cells = [
                &view.number.to_string(),
                &view.time,
                &view.delta,
                view.kind,
                &address(row.from),
                &address(row.to),
                &view.size.replace(',', ""),
                &size,
                &view.content,
                &view.outcome,
            ];
            for (at, cell) in cells.into_iter().enumerate() {
                if at > 0 {
                    out.push('\t');
                }
                out.push_str(cell);
            }
            out.push('\n');
        }
        (out, self.len())
    }

    /// Everything known of the selected row.
    pub fn detail(&self, now: Duration) -> Option<Detail> {
        let row = self.row(self.selected?)?;
        let payload = row.payload.as_deref().unwrap_or_default();
        let address = |it: Option<SocketAddr>| it.map(|it| it.to_string()).unwrap_or_default();
        let size = match (row.has_payload(), row.is_cut()) {
            (false, _) => String::new(),
            (true, false) => text::bytes(row.size.into()),
            (true, true) => format!(
                "{} of {}: the rest did not fit the buffer and is gone",
                text::count(row.kept.into()),
                text::bytes(row.size.into())
            ),
        };
        Some(Detail {
            title: format!("Row {}: {}", row.number, row.kind().word()),
            kind: row.kind().word(),
            from: address(row.from),
            to: address(row.to),
            size,
            time: row
                .relay_at
                .map(|at| format!("{} ms", text::milliseconds(at.0)))
                .unwrap_or_default(),
            outcome: row.outcome(now),
            known: known(row),
            text: if row.has_payload() && (row.kept == 0 || row.payload.is_some()) {
                text::visible(payload, usize::MAX)
            } else {
                row.content(false, usize::MAX)
            },
            hex: text::hex_dump(payload),
            python: code::call_in_python(row),
            rust: code::call_in_rust(row),
        })
    }
}

fn known(row: &Row) -> String {
    let mut out = match (&row.what, row.kind()) {
        (What::Failed(_, error), _) => crate::app::outcome::about(error),
        (What::Sent { .. }, RowKind::Sent) if row.relay_at.is_some() => {
            "Seen at the relay’s real socket: the operating system took these bytes. That says nothing of their arrival.".to_owned()
        }
        (What::Sent { .. }, RowKind::Sent) => {
            "Handed to the relay; its report of the call has not come.".to_owned()
        }
        (What::Received { .. }, _) => {
            "Seen at the relay’s real socket: the receive call returned these bytes.".to_owned()
        }
        (What::Called(..), _) => "The relay made this call and it succeeded.".to_owned(),
        (What::Told(_), _) => "Said by the relay or by this page; no socket call.".to_owned(),
        _ => String::new(),
    };
    let more = match &row.fate {
        Fate::Reply { how, .. } | Fate::Late { how, .. } | Fate::ReplyTo { how, .. } => {
            how.explained().to_owned()
        }
        Fate::NoReply(waited) => format!(
            "The program knows only that nothing came within {} s: the request, the reply or the server may be missing.",
            text::seconds(*waited)
        ),
        Fate::Failed(error) | Fate::Instead(error) => crate::app::outcome::about(error),
        _ => String::new(),
    };
    if !out.is_empty() && !more.is_empty() {
        out.push(' ');
    }
    out.push_str(&more);
    out
}

#[cfg(test)]
mod tests {
    #[test]
    fn decimals_go_where_there_is_no_room_and_digits_never() {
        for (whole, shown) in [
            ("0.078", "0.078"),
            ("9,999.999", "9,999.999"),
            ("12,982.771", "12,982.77"),
            ("1,000,123.456", "1,000,123"),
            ("100,000,123.456", "100,000,123"),
        ] {
            let mut number = whole.to_owned();
            super::shorten(&mut number, super::DELTA_SHOWN);
            assert_eq!(number, shown);
        }
    }
}

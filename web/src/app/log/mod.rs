//! The log: a bounded number of rows with a bounded number of payload bytes, and the rows that a
//! filter lets through, found a slice at a time. Never scans everything in one go.

mod row;
mod view;

use std::collections::VecDeque;
use std::time::Duration;

use super::text;
pub use row::{Fate, How, Made, Row, RowKind, What};
pub use view::{Detail, RowView};

/// Most rows kept; the oldest go, and are counted. A hundred thousand is what a class of thirty
/// makes in an hour, and some 20 MB.
pub const ROWS: usize = 100_000;

/// Most payload bytes kept in all rows together; the oldest payloads go, and are counted.
pub const PAYLOAD_BYTES: usize = 64 * 1024 * 1024;

/// How much a filter reads before it gives the page back: rows, each with its payload bytes, cost
/// some 10 ms of the slowest laptop in this unit.
const SCAN_SLICE: usize = 512 * 1024;
/// What a row costs a filter before its first payload byte.
const SCAN_ROW: usize = 160;

/// What the log can be reduced to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// In lower case; empty lets all through.
    needle: String,
    kind: Option<RowKind>,
}

/// How times are shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Times {
    /// Since the first row.
    #[default]
    SinceFirst,
    /// As a clock on the wall shows them.
    Clock,
}

/// Rows and how they are looked at.
#[derive(Debug, Default)]
pub struct Log {
    rows: VecDeque<Row>,
    /// The number of the next row.
    next: u64,
    /// Where the clock of the log starts: the first row since it was cleared.
    origin: Option<Duration>,
    payload_bytes: usize,
    /// The first row that may hold a payload.
    payloads_from: u64,
    rows_let_go: u64,
    payloads_let_go: u64,
    filter: Filter,
    /// Numbers of rows that the filter lets through, rising.
    matches: VecDeque<u64>,
    /// The next row that the filter has to look at.
    scanned: u64,
    /// Rows from this number on are not shown.
    paused_at: Option<u64>,
    /// Whether payloads are shown, and searched, as hex.
    pub as_hex: bool,
    /// How times are shown.
    pub times: Times,
    selected: Option<u64>,
    scratch: String,
}

impl Log {
    /// Adds a row at the end and returns its number.
    pub fn push(&mut self, mut row: Row) -> u64 {
        let number = self.next + 1;
        self.next = number;
        row.number = number;
        self.origin.get_or_insert(row.at);
        self.payload_bytes += row.payload.as_ref().map_or(0, bytes::Bytes::len);
        if self.rows.len() == ROWS {
            self.let_go_of_oldest();
        }
        let is_current = self.scanned >= number;
        self.rows.push_back(row);
        if self.is_filtered() && is_current && self.lets_through(number) {
            self.matches.push_back(number);
        }
        if is_current {
            self.scanned = number + 1;
        }
        self.bound_payloads();
        number
    }

    fn let_go_of_oldest(&mut self) {
        let Some(row) = self.rows.pop_front() else { return };
        self.payload_bytes -= row.payload.map_or(0, |payload| payload.len());
        self.rows_let_go += 1;
        while self.matches.front().is_some_and(|first| *first <= row.number) {
            self.matches.pop_front();
        }
        if self.selected == Some(row.number) {
            self.selected = None;
        }
    }

    fn bound_payloads(&mut self) {
        while self.payload_bytes > PAYLOAD_BYTES {
            let from = self.payloads_from.max(self.first());
            let Some(row) = self.row_mut(from) else { return };
            let payload = row.payload.take_if(|payload| !payload.is_empty());
            self.payloads_from = from + 1;
            if let Some(payload) = payload {
                self.payload_bytes -= payload.len();
                self.payloads_let_go += 1;
            }
        }
    }

    /// The number of the oldest row kept.
    pub fn first(&self) -> u64 {
        self.rows.front().map_or(self.next + 1, |row| row.number)
    }

    /// The number of the newest row, 0 before any.
    pub fn last(&self) -> u64 {
        self.next
    }

    /// The row of this number, if it is still kept.
    pub fn row(&self, number: u64) -> Option<&Row> {
        let index = number.checked_sub(self.rows.front()?.number)?;
        self.rows.get(usize::try_from(index).ok()?)
    }

    fn row_mut(&mut self, number: u64) -> Option<&mut Row> {
        let index = number.checked_sub(self.rows.front()?.number)?;
        self.rows.get_mut(usize::try_from(index).ok()?)
    }

    /// Changes a row, if it is still kept, and what the filter thinks of it.
    pub fn change(&mut self, number: u64, change: impl FnOnce(&mut Row)) {
        let Some(row) = self.row_mut(number) else { return };
        change(row);
        if !self.is_filtered() || number >= self.scanned {
            return;
        }
        let passes = self.lets_through(number);
        match (passes, self.matches.binary_search(&number)) {
            (true, Err(place)) => self.matches.insert(place, number),
            (false, Ok(place)) => {
                self.matches.remove(place);
            }
            _ => {}
        }
    }

    /// What this row tells of happened at `at` by the relay's clock, so the calls that it waited for
    /// were over by then: their rows have the later time at which the page heard of them.
    pub fn happened(&mut self, number: u64, at: Duration) {
        let mut before = number;
        while let Some(row) = before.checked_sub(1).and_then(|before| self.row_mut(before)) {
            if row.relay_at.is_some() || row.at <= at || !matches!(row.what, What::Called(..)) {
                break;
            }
            row.at = at;
            before = row.number;
        }
        self.origin = self.origin.map(|origin| origin.min(at));
    }

    /// Whether some rows may be hidden.
    pub fn is_filtered(&self) -> bool {
        self.filter != Filter::default()
    }

    /// Sets the text that rows must contain.
    pub fn filter_text(&mut self, typed: &str) {
        self.filter.needle = typed.trim().to_ascii_lowercase();
        self.rescan();
    }

    /// Sets the kind that rows must have.
    pub fn filter_kind(&mut self, kind: Option<RowKind>) {
        self.filter.kind = kind;
        self.rescan();
    }

    /// Shows, and searches, payloads as hex or as text.
    pub fn show_hex(&mut self, as_hex: bool) {
        self.as_hex = as_hex;
        self.rescan();
    }

    fn rescan(&mut self) {
        self.matches.clear();
        self.scanned = if self.is_filtered() { self.first() } else { self.next + 1 };
        self.scan();
    }

    /// Whether the filter has rows left to look at.
    pub fn is_scanning(&self) -> bool {
        self.is_filtered() && self.scanned <= self.next
    }

    /// Looks at the next slice of rows.
    pub fn scan(&mut self) {
        let mut cost = 0;
        self.scanned = self.scanned.max(self.first());
        while self.is_scanning() && cost < SCAN_SLICE {
            let number = self.scanned;
            cost += SCAN_ROW + self.row(number).map_or(0, |row| row.kept as usize);
            if self.lets_through(number) {
                self.matches.push_back(number);
            }
            self.scanned += 1;
        }
    }

    fn lets_through(&mut self, number: u64) -> bool {
        let mut scratch = std::mem::take(&mut self.scratch);
        let passes = self.row(number).is_some_and(|row| {
            self.filter.kind.is_none_or(|kind| kind == row.kind())
                && (self.filter.needle.is_empty() || {
                    row.haystack(self.as_hex, &mut scratch);
                    text::contains(&scratch, &self.filter.needle)
                })
        });
        self.scratch = scratch;
        passes
    }

    /// How many rows the view has.
    pub fn len(&self) -> usize {
        let end = self.paused_at.unwrap_or(self.next + 1);
        if self.is_filtered() {
            self.matches.partition_point(|number| *number < end)
        } else {
            usize::try_from(end.saturating_sub(self.first())).unwrap_or(0)
        }
    }

    /// Whether the view has no rows.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether there are rows at all, shown or not.
    pub fn has_rows(&self) -> bool {
        !self.rows.is_empty()
    }

    /// The number of the row at this place of the view.
    pub fn at(&self, index: usize) -> Option<u64> {
        if index >= self.len() {
            return None;
        }
        if self.is_filtered() {
            self.matches.get(index).copied()
        } else {
            Some(self.first() + index as u64)
        }
    }

    /// The place of a row in the view; of a row not in it, the place where it would stand.
    pub fn place(&self, number: u64) -> usize {
        let place = if self.is_filtered() {
            self.matches.partition_point(|other| *other < number)
        } else {
            usize::try_from(number.saturating_sub(self.first())).unwrap_or(0)
        };
        place.min(self.len())
    }

    /// Holds the view, or lets it go on.
    pub fn toggle_pause(&mut self) {
        self.paused_at = match self.paused_at {
            None => Some(self.next + 1),
            Some(_) => None,
        };
    }

    /// Whether the view is held.
    pub fn is_paused(&self) -> bool {
        self.paused_at.is_some()
    }

    /// Rows that came since the view is held.
    pub fn unseen(&self) -> u64 {
        self.paused_at.map_or(0, |at| self.next + 1 - at)
    }

    /// Forgets all rows. Numbers go on.
    pub fn clear(&mut self) {
        let (filter, times, as_hex) = (std::mem::take(&mut self.filter), self.times, self.as_hex);
        *self = Self { filter, times, as_hex, next: self.next, ..Self::default() };
        self.scanned = self.next + 1;
    }

    /// Rows let go to keep within [`ROWS`].
    pub fn rows_let_go(&self) -> u64 {
        self.rows_let_go
    }

    /// Payloads let go to keep within [`PAYLOAD_BYTES`].
    pub fn payloads_let_go(&self) -> u64 {
        self.payloads_let_go
    }

    /// The selected row.
    pub fn selected(&self) -> Option<u64> {
        self.selected
    }

    /// Selects a row, or none.
    pub fn select(&mut self, number: Option<u64>) {
        self.selected = number.filter(|number| self.row(*number).is_some());
    }

    /// Moves the selection by so many places of the view; without one, a step down starts at the
    /// first row and a step up at the last.
    pub fn step(&mut self, by: isize) {
        let Some(last) = self.len().checked_sub(1) else { return };
        let is_far = by.unsigned_abs() > last;
        let place = match self.selected {
            None if (by > 0) == is_far => last,
            None => 0,
            Some(number) => self.place(number).saturating_add_signed(by).min(last),
        };
        self.selected = self.at(place);
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn told(n: u64) -> Row {
        Row::bare(Duration::from_millis(n), What::Told(format!("note {n}")))
    }

    fn sent(payload: Bytes) -> Row {
        let size = u32::try_from(payload.len()).expect("small in tests");
        Row {
            size,
            kept: size,
            payload: Some(payload),
            fate: Fate::Waiting,
            ..Row::bare(Duration::ZERO, What::Sent { to: true, stream: false })
        }
    }

    #[test]
    fn a_call_that_a_send_waited_for_is_not_later_than_the_send() {
        let called = |ms| {
            Row::bare(Duration::from_millis(ms), What::Called(Made::Close, "close ✓".to_owned()))
        };
        let mut log = Log::default();
        for ms in [1, 5, 6] {
            log.push(called(ms));
        }
        let number = log.push(sent(Bytes::new()));
        log.happened(number, Duration::from_millis(4));
        let times: Vec<_> =
            (1..4).filter_map(|number| Some(log.row(number)?.at.as_millis())).collect();
        assert_eq!(times, [1, 4, 4]);
    }

    fn scan_all(log: &mut Log) -> usize {
        let mut slices = 1;
        while log.is_scanning() {
            log.scan();
            slices += 1;
        }
        slices
    }

    #[test]
    fn a_hundred_thousand_rows_are_kept_and_the_rest_is_counted() {
        let mut log = Log::default();
        for n in 0..100_250 {
            log.push(told(n));
        }
        assert_eq!((log.len(), log.rows_let_go()), (ROWS, 250));
        assert_eq!(log.at(0), Some(251));
        assert_eq!(log.at(ROWS - 1), Some(100_250));
        assert_eq!(log.at(ROWS), None);
    }

    #[test]
    fn a_filter_looks_at_a_slice_at_a_time_and_keeps_up_with_new_rows() {
        let mut log = Log::default();
        for n in 0..100_000 {
            log.push(told(n));
        }
        log.filter_text("NOTE 9999");
        assert!(log.is_scanning(), "a hundred thousand rows are more than one slice");
        assert!(scan_all(&mut log) > 10);
        assert_eq!(log.len(), 11);
        log.push(told(99_990));
        log.push(told(5));
        assert_eq!(log.len(), 12);
        log.filter_text("");
        assert_eq!(log.len(), ROWS);
    }

    #[test]
    fn rows_pushed_while_a_scan_goes_on_are_found_once_and_in_order() {
        let mut log = Log::default();
        for n in 0..20_000 {
            log.push(told(n));
        }
        log.filter_text("note");
        assert!(log.is_scanning());
        log.push(told(20_000));
        scan_all(&mut log);
        assert_eq!(log.len(), 20_001);
        assert_eq!(log.at(20_000), Some(20_001));
    }

    #[test]
    fn a_change_of_outcome_moves_a_row_in_and_out_of_the_filter() {
        let mut log = Log::default();
        let number = log.push(sent(Bytes::from_static(b"x")));
        log.push(told(1));
        log.filter_text("no reply");
        assert_eq!(log.len(), 0);
        log.change(number, |row| row.fate = Fate::NoReply(Duration::from_secs(2)));
        assert_eq!(log.at(0), Some(number));
        log.change(number, |row| row.fate = Fate::Unknown("test"));
        assert!(log.is_empty());
        assert!(log.has_rows());
    }

    #[test]
    fn payload_bytes_are_bounded_and_the_oldest_go() {
        let mut log = Log::default();
        let payload = Bytes::from(vec![0; 60_000]);
        for _ in 0..2_000 {
            log.push(sent(payload.clone()));
        }
        assert!(log.payload_bytes <= PAYLOAD_BYTES);
        assert_eq!(log.payloads_let_go(), 2_000 - (PAYLOAD_BYTES / 60_000) as u64);
        assert_eq!(
            log.row(1).expect("rows stay").content(false, 9),
            "(payload let go to save memory)"
        );
        assert!(log.row(2_000).expect("the newest").payload.is_some());
    }

    #[test]
    fn a_pause_holds_the_view_and_counts() {
        let mut log = Log::default();
        log.push(told(0));
        log.toggle_pause();
        log.push(told(1));
        log.push(told(2));
        assert_eq!((log.len(), log.unseen()), (1, 2));
        log.filter_kind(Some(RowKind::Note));
        assert_eq!(log.len(), 1);
        log.toggle_pause();
        assert_eq!((log.len(), log.unseen()), (3, 0));
    }

    #[test]
    fn clearing_keeps_the_filter_and_the_numbers() {
        let mut log = Log::default();
        log.filter_text("a");
        log.push(told(0));
        log.clear();
        assert!(!log.has_rows());
        assert_eq!(log.push(Row::bare(Duration::ZERO, What::Told("ab".to_owned()))), 2);
        assert_eq!(log.push(Row::bare(Duration::ZERO, What::Told("x".to_owned()))), 3);
        assert_eq!(log.len(), 1);
    }

    #[test]
    fn the_selection_walks_through_what_is_shown() {
        let mut log = Log::default();
        for n in 0..5 {
            log.push(told(n));
        }
        log.step(-1);
        assert_eq!(log.selected(), Some(5));
        log.step(-2);
        assert_eq!(log.selected(), Some(3));
        log.step(isize::MIN);
        assert_eq!(log.selected(), Some(1));
        log.step(isize::MAX);
        assert_eq!(log.selected(), Some(5));
        log.select(Some(77));
        assert_eq!(log.selected(), None);
        log.step(isize::MAX);
        assert_eq!(log.selected(), Some(5));
        log.select(None);
        log.step(isize::MIN);
        assert_eq!(log.selected(), Some(1));
        log.select(None);
        log.step(1);
        assert_eq!(log.selected(), Some(1));
    }
}

//! The log's table: as many rows as are in sight, taken from a pool and moved to where they belong.

use wasm_bindgen::JsCast as _;
use web_sys::HtmlElement;

use super::elements::{Elements, part};
use crate::app::log::{RowView, Times};
use crate::app::text::cut;
use crate::app::{LogView, Model};
use crate::ids::Id;

/// Rows drawn above and below what is in sight.
const OVERSCAN: usize = 6;
/// A row's height until one can be measured, in pixels.
const GUESSED_HEIGHT: i32 = 28;

pub(crate) struct LogTable {
    pool: Vec<Slot>,
    height: i32,
    viewport: i32,
    scrolled: i32,
    follows: bool,
    drawn_len: Option<usize>,
    selected: Option<usize>,
    needs_measure: bool,
}

impl Default for LogTable {
    fn default() -> Self {
        Self {
            pool: Vec::new(),
            height: GUESSED_HEIGHT,
            viewport: 0,
            scrolled: 0,
            follows: true,
            drawn_len: None,
            selected: None,
            needs_measure: true,
        }
    }
}

struct Slot {
    row: HtmlElement,
    number: HtmlElement,
    time: HtmlElement,
    delta: HtmlElement,
    direction: HtmlElement,
    address: HtmlElement,
    from: [HtmlElement; 2],
    arrow: HtmlElement,
    to: [HtmlElement; 2],
    from_group: HtmlElement,
    to_group: HtmlElement,
    size: HtmlElement,
    cut: HtmlElement,
    bytes: HtmlElement,
    outcome: HtmlElement,
    result: HtmlElement,
    how: HtmlElement,
    drawn: Option<(usize, RowView)>,
}

impl LogTable {
    pub(super) fn draw(&mut self, page: &mut Elements, model: &Model, view: &LogView) {
        around(page, view);
        if self.needs_measure {
            self.measure(page);
        }
        let at_end = self.end(view.len);
        if self.drawn_len != Some(view.len) {
            self.drawn_len = Some(view.len);
            let height = format!("{}px", pixels(view.len, self.height));
            let _ = page.get(Id::LogSpacer).style().set_property("height", &height);
            if self.follows && self.scrolled != at_end {
                self.scroll_to(page, at_end);
            }
        }
        if view.selected != self.selected {
            self.selected = view.selected;
            if let Some(place) = view.selected {
                self.bring_into_sight(page, place, view.len);
            }
        }
        page.shown(Id::LogLatest, !self.follows && view.len > 0);
        let first = rows(self.scrolled, self.height).saturating_sub(OVERSCAN);
        let count = rows(self.viewport, self.height) + 1 + 2 * OVERSCAN;
        let first = first.min(view.len.saturating_sub(1));
        let end = (first + count).min(view.len);
        while self.pool.len() < (end - first).max(1) {
            let Some(slot) = self.slot(page) else { return };
            self.pool.push(slot);
            if self.pool.len() == 1 {
                self.needs_measure = true;
            }
        }
        let pool = self.pool.len();
        let mut used = vec![false; pool];
        let mut active = None;
        for (place, row) in (first..end).zip(model.rows(first..end)) {
            let at = place % pool;
            used[at] = true;
            if row.is_selected {
                active = Some(format!("log-row-{at}"));
            }
            self.pool[at].draw(place, row, self.height);
        }
        for (slot, used) in self.pool.iter_mut().zip(used) {
            if !used && slot.drawn.take().is_some() {
                slot.row.set_hidden(true);
            }
        }
        page.attribute(Id::LogGrid, "aria-activedescendant", active.as_deref());
        if self.needs_measure && view.len > 0 {
            // The first row has just been shown: only now its height can be known.
            let guessed = self.height;
            self.measure(page);
            if self.height != guessed {
                self.draw(page, model, view);
            }
        }
    }

    fn end(&self, len: usize) -> i32 {
        (pixels(len, self.height) - self.viewport).max(0)
    }

    fn measure(&mut self, page: &Elements) {
        self.viewport = in_sight(page);
        let shown = self.pool.iter().find(|slot| slot.drawn.is_some());
        let height = shown.map_or(0, |slot| slot.row.offset_height());
        self.needs_measure = height == 0;
        if height > 0 && height != self.height {
            self.height = height;
            self.drawn_len = None;
            self.pool.iter_mut().for_each(|slot| slot.drawn = None);
        }
        if self.follows {
            self.drawn_len = None;
        }
    }

    /// Sizes have changed.
    pub(crate) fn resized(&mut self) {
        self.needs_measure = true;
    }

    /// The person, or this table, has scrolled.
    pub(crate) fn scrolled(&mut self, page: &Elements) {
        self.scrolled = page.get(Id::LogGrid).scroll_top();
        // A change of size scrolls too, before it is told: that is no wish to leave the end.
        self.viewport = in_sight(page);
        let end = self.end(self.drawn_len.unwrap_or(0));
        self.follows = self.scrolled >= end - self.height * 3 / 2;
    }

    fn scroll_to(&mut self, page: &Elements, top: i32) {
        page.get(Id::LogGrid).set_scroll_top(top);
        self.scrolled = top;
    }

    fn bring_into_sight(&mut self, page: &Elements, place: usize, len: usize) {
        let top = pixels(place, self.height);
        let bottom = top + self.height;
        if top < self.scrolled {
            self.scroll_to(page, top);
        } else if bottom > self.scrolled + self.viewport {
            self.scroll_to(page, (bottom - self.viewport).max(0));
        }
        self.follows = self.scrolled >= self.end(len) - self.height * 3 / 2;
    }

    /// To the newest rows, and to stay with them.
    pub(crate) fn follow(&mut self) {
        self.follows = true;
        self.drawn_len = None;
    }

    /// How many rows a page up or down moves.
    pub(crate) fn page_rows(&self) -> isize {
        isize::try_from(rows(self.viewport, self.height)).unwrap_or(1).max(2) - 1
    }

    /// The row that an element inside it belongs to.
    pub(crate) fn number_at(&self, element: &web_sys::Element) -> Option<u64> {
        let row = element.closest(".log-row").ok()??;
        let slot = self.pool.iter().find(|slot| slot.row.is_same_node(Some(&row)))?;
        slot.drawn.as_ref().map(|(_, view)| view.number)
    }

    fn slot(&self, page: &Elements) -> Option<Slot> {
        let row = page.copy_of(Id::LogRowTemplate)?;
        row.set_id(&format!("log-row-{}", self.pool.len()));
        row.set_hidden(true);
        let find = |selector| part(&row, selector);
        let slot = Slot {
            number: find(".log-number")?,
            time: find(".log-time")?,
            delta: find(".log-delta")?,
            direction: find(".log-direction")?,
            address: find(".log-address")?,
            from: [find(".log-from .log-host")?, find(".log-from .log-port")?],
            arrow: find(".log-arrow")?,
            to: [find(".log-to .log-host")?, find(".log-to .log-port")?],
            from_group: find(".log-from")?,
            to_group: find(".log-to")?,
            size: find(".log-size")?,
            cut: find(".log-cut")?,
            bytes: find(".log-bytes")?,
            outcome: find(".log-outcome")?,
            result: find(".log-result")?,
            how: find(".log-how")?,
            drawn: None,
            row,
        };
        page.get(Id::LogSpacer).append_child(&slot.row).ok()?;
        Some(slot)
    }
}

/// All of the log but its rows.
fn around(page: &mut Elements, view: &LogView) {
    let counts = &view.counts;
    for (counter, number, count) in [
        (Id::CounterSent, Id::CountSent, counts.sent),
        (Id::CounterReceived, Id::CountReceived, counts.received),
        (Id::CounterReplies, Id::CountReplies, counts.replies),
        (Id::CounterNoReply, Id::CountNoReply, counts.no_reply),
        (Id::CounterLate, Id::CountLate, counts.late),
        (Id::CounterErrors, Id::CountErrors, counts.errors),
        (Id::CounterDropped, Id::CountDropped, counts.dropped),
    ] {
        page.set(counter, "data-zero", if count == 0 { "true" } else { "false" });
        page.text(number, &crate::app::text::count(count));
    }
    page.set(Id::Log, "data-view", if view.as_hex { "hex" } else { "text" });
    page.set(Id::Log, "data-paused", if view.is_paused { "true" } else { "false" });
    page.checked(Id::LogViewText, !view.as_hex);
    page.checked(Id::LogViewHex, view.as_hex);
    let is_clock = view.times == Times::Clock;
    page.text(Id::LogTimeHead, if is_clock { "clock" } else { "ms" });
    page.set(Id::LogPause, "aria-pressed", if view.is_paused { "true" } else { "false" });
    page.text(Id::LogPause, if view.is_paused { "Go on" } else { "Pause" });
    page.text_if_any(Id::LogNew, &view.unseen);
    page.text_if_any(Id::LogLetGo, &view.let_go);
    page.text(Id::LogSaid, if view.is_scanning { "filtering…" } else { &view.said });
    page.shown(Id::LogEmpty, !view.has_rows);
    page.shown(Id::LogNoMatch, view.has_rows && view.len == 0 && !view.is_scanning);
    page.set(Id::LogGrid, "aria-rowcount", &(view.len + 1).to_string());
    page.shown(Id::Detail, view.detail.is_some());
    if let Some(detail) = &view.detail {
        page.set(Id::Detail, "data-kind", detail.kind);
        for (id, text) in [
            (Id::DetailTitle, &detail.title),
            (Id::DetailFrom, &detail.from),
            (Id::DetailTo, &detail.to),
            (Id::DetailSize, &detail.size),
            (Id::DetailTime, &detail.time),
            (Id::DetailOutcome, &detail.outcome),
            (Id::DetailKnown, &detail.known),
            (Id::DetailText, &detail.text),
            (Id::DetailHex, &detail.hex),
            (Id::DetailPython, &detail.python),
            (Id::DetailRust, &detail.rust),
        ] {
            page.text(id, text);
        }
    }
}

impl Slot {
    fn draw(&mut self, place: usize, view: RowView, height: i32) {
        let before = self.drawn.take();
        let (moved, before) = match &before {
            Some((drawn, before)) => (*drawn != place, Some(before)),
            None => (true, None),
        };
        if moved {
            let transform = format!("translateY({}px)", pixels(place, height));
            let _ = self.row.style().set_property("transform", &transform);
            let _ = self.row.set_attribute("aria-rowindex", &(place + 2).to_string());
        }
        if before.is_none() {
            self.row.set_hidden(false);
        }
        let text = |element: &HtmlElement, new: &str, old: Option<&str>| {
            if old != Some(new) {
                element.set_text_content(Some(new));
            }
        };
        let attribute = |name: &str, new: &str, old: Option<&str>| {
            if old != Some(new) {
                let _ = self.row.set_attribute(name, new);
            }
        };
        let yes_no = |is: bool| if is { "true" } else { "false" };
        attribute("data-kind", view.kind, before.map(|it| it.kind));
        attribute("data-outcome", view.outcome_state, before.map(|it| it.outcome_state));
        attribute(
            "aria-selected",
            yes_no(view.is_selected),
            before.map(|it| yes_no(it.is_selected)),
        );
        if before.map(|it| it.number) != Some(view.number) {
            self.number.set_text_content(Some(&view.number.to_string()));
        }
        text(&self.time, &view.time, before.map(|it| it.time.as_str()));
        text(&self.delta, &view.delta, before.map(|it| it.delta.as_str()));
        text(&self.direction, view.direction, before.map(|it| it.direction));
        text(&self.size, &view.size, before.map(|it| it.size.as_str()));
        text(&self.bytes, &view.content, before.map(|it| it.content.as_str()));
        if before.map(|it| &it.outcome) != Some(&view.outcome) {
            let (result, how) = cut(&view.outcome, " (").unwrap_or((&view.outcome, ""));
            self.result.set_text_content(Some(result));
            self.how.set_text_content(Some(how.trim_end_matches(')')));
            self.outcome.set_title(&view.outcome);
        }
        if before.map(|it| &it.cut) != Some(&view.cut) {
            self.cut.set_text_content(Some(&view.cut));
            self.cut.set_hidden(view.cut.is_empty());
        }
        if before.map(|it| it.is_empty) != Some(view.is_empty) {
            let _ = self.bytes.set_attribute("data-empty", yes_no(view.is_empty));
        }
        if before.map(|it| (&it.from, &it.to)) != Some((&view.from, &view.to)) {
            self.addresses(&view);
        }
        self.drawn = Some((place, view));
    }

    fn addresses(&self, view: &RowView) {
        for (parts, address) in [(&self.from, &view.from), (&self.to, &view.to)] {
            let (host, port) =
                address.as_ref().map_or(("", ""), |(host, port)| (host.as_str(), port.as_str()));
            parts[0].set_text_content(Some(host));
            parts[1].set_text_content(Some(port));
        }
        let has_any = view.from.is_some() || view.to.is_some();
        for element in [&self.from_group, &self.to_group] {
            element.set_hidden(!has_any);
        }
        self.arrow.set_hidden(view.from.is_none() || view.to.is_none());
        let same = match (&view.from, &view.to) {
            (Some((from, _)), Some((to, _))) => from == to || is_any(from) || is_any(to),
            _ => true,
        };
        let _ = self.address.set_attribute("data-same-host", if same { "true" } else { "false" });
    }
}

/// Whether a socket with this local host uses whichever of its machine's addresses fits.
fn is_any(host: &str) -> bool {
    matches!(host, "0.0.0.0" | "[::]")
}

/// The height that rows can be seen in: the table's, less its heading that stays on top.
fn in_sight(page: &Elements) -> i32 {
    page.get(Id::LogGrid).client_height() - page.get(Id::LogViewport).offset_top()
}

/// The height of so many rows.
fn pixels(rows: usize, height: i32) -> i32 {
    i32::try_from(rows).unwrap_or(i32::MAX).saturating_mul(height)
}

/// How many whole rows fit into so many pixels.
fn rows(pixels: i32, height: i32) -> usize {
    usize::try_from(pixels / height.max(1)).unwrap_or(0)
}

/// The element that an event is about.
pub(super) fn target_of(event: &web_sys::Event) -> Option<web_sys::Element> {
    event.target()?.dyn_into().ok()
}

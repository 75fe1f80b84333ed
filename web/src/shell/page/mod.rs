//! The one place that touches the page's elements: draws a view, and only what changed of it. What
//! others sent becomes text content, never markup.

mod console;
mod elements;
mod listen;
mod log;

use wasm_bindgen::JsCast as _;
use wasm_bindgen::prelude::*;
use web_sys::{Document, HtmlDetailsElement, HtmlElement, HtmlOptionElement};

use crate::app::code::Language;
use crate::app::compose::Notation;
use crate::app::form::{AnswerMode, Field};
use crate::app::{FieldsView, Header, Model, OutcomeView, PathView, ProgramView, Pulses, View};
use crate::ids::Id;
use console::Console;
use elements::Elements;
pub(crate) use listen::{Listener, listen};
use log::LogTable;

/// Pulses that a leg shows at once; what comes beyond them is not drawn.
const PULSES: u32 = 8;

pub(crate) struct Page {
    elements: Elements,
    log: LogTable,
    console: Console,
    pulses: Pulses,
    options: Vec<(String, String)>,
    more_was_wrong: bool,
}

impl Page {
    /// Finds every element.
    ///
    /// # Errors
    /// When one is missing; the error names it.
    pub(crate) fn bind(document: &Document) -> Result<Self, JsValue> {
        Ok(Self {
            elements: Elements::bind(document)?,
            log: LogTable::default(),
            console: Console::default(),
            pulses: Pulses::default(),
            options: Vec::new(),
            more_was_wrong: false,
        })
    }

    pub(crate) fn draw(&mut self, model: &Model, view: &View) {
        self.header(&view.header);
        self.path(&view.path);
        self.fields(&view.fields);
        self.outcome(&view.outcome);
        self.program(&view.program);
        self.console.draw(&mut self.elements, model, &view.console);
        self.log.draw(&mut self.elements, model, &view.log);
    }

    fn header(&mut self, header: &Header) {
        let page = &mut self.elements;
        page.set(Id::ConnectionState, "data-state", header.state);
        page.text(Id::ConnectionStateText, &header.words);
        page.set(Id::PathLegRelay, "data-state", header.state);
        page.set(Id::PathRelay, "data-state", header.state);
        page.shown(Id::Banner, header.banner.is_some());
        if let Some((kind, sentence)) = &header.banner {
            page.set(Id::Banner, "data-kind", kind);
            page.text(Id::BannerText, sentence);
        }
        page.text(Id::BannerCountdown, &header.countdown);
        page.shown(Id::BannerRetry, header.can_retry);
        page.shown(Id::BannerDismiss, !header.can_retry);
        page.text(Id::RelayFacts, &header.facts);
        page.text(Id::Announce, &header.announcement);
    }

    fn path(&mut self, path: &PathView) {
        let page = &mut self.elements;
        let role = if path.is_server { "server" } else { "client" };
        page.set(Id::Lab, "data-role", role);
        page.set(Id::Path, "data-role", role);
        page.text(Id::PathRelayAddress, &path.relay);
        page.text(Id::PathRelaySocket, &path.socket);
        page.text(Id::PathLegRelayCaption, &path.relay_caption);
        page.set(Id::PathLegTarget, "data-transport", path.transport);
        page.set(Id::PathLegTarget, "data-state", path.state);
        page.text(Id::PathLegTargetTitle, path.title);
        page.text(Id::PathLegTargetCaption, path.caption);
        page.set(Id::PathTarget, "data-state", path.target_state);
        page.text(Id::PathTargetName, &path.target);
        page.text(Id::PathTargetAddress, &path.address);
        page.text(Id::PathTargetNote, &path.note);
        page.shown(Id::PathMark, path.mark.is_some());
        page.set(Id::PathMark, "data-mark", path.mark.unwrap_or("none"));
        let out = path.pulses.out.wrapping_sub(self.pulses.out);
        let back = path.pulses.back.wrapping_sub(self.pulses.back);
        self.pulses = path.pulses;
        for (count, direction) in [(out, "out"), (back, "in")] {
            for track in [Id::PathLegRelayTrack, Id::PathLegTargetTrack] {
                self.pulse(track, direction, count);
            }
        }
    }

    fn pulse(&self, track: Id, direction: &str, count: u32) {
        if count == 0 {
            return;
        }
        let track = self.elements.get(track);
        // A pulse that is never shown never ends: where the picture is not drawn, none is begun.
        if track.offset_parent().is_none() {
            return;
        }
        let room = PULSES.saturating_sub(track.child_element_count());
        for _ in 0..count.min(room) {
            let Some(pulse) = self.elements.copy_of(Id::PulseTemplate) else { return };
            let _ = pulse.set_attribute("data-direction", direction);
            let _ = track.append_child(&pulse);
        }
    }

    fn fields(&mut self, fields: &FieldsView) {
        let page = &mut self.elements;
        let is_server = fields.kind.is_server();
        page.value(Id::SocketKind, fields.kind.word());
        page.shown(Id::ClientFields, !is_server);
        page.shown(Id::ServerFields, is_server);
        if !fields.options.is_empty() && self.options != fields.options {
            let group = page.get(Id::TargetPractice);
            group.set_text_content(None);
            for (value, words) in &fields.options {
                let Some(option) = page.copy_of(Id::TargetOptionTemplate) else { break };
                option.set_text_content(Some(words));
                if let Some(option) = option.dyn_ref::<HtmlOptionElement>() {
                    option.set_value(value);
                }
                let _ = group.append_child(&option);
            }
            self.options.clone_from(&fields.options);
        }
        page.value(Id::TargetSelect, &fields.target);
        page.shown(Id::TargetOther, fields.target == "other");
        for (field, value) in &fields.values {
            page.value(input(*field), value);
        }
        for (field, why) in &fields.errors {
            let beside = error(*field);
            page.text_if_any(beside, why.as_deref().unwrap_or_default());
            page.attribute(input(*field), "aria-invalid", why.as_ref().map(|_| "true"));
        }
        let is_hex = fields.notation == Notation::Hex;
        page.set(Id::Message, "data-encoding", if is_hex { "hex" } else { "text" });
        page.checked(Id::MessageEncodingText, !is_hex);
        page.checked(Id::MessageEncodingHex, is_hex);
        page.text(Id::MessageLabel, fields.message_label);
        page.text(Id::MessageBytes, &fields.summary);
        page.text(Id::MoreSummary, &fields.more);
        if fields.more_is_wrong && !self.more_was_wrong {
            open_details(page.get(Id::More));
        }
        self.more_was_wrong = fields.more_is_wrong;
        page.text(Id::SocketState, &fields.socket);
        page.flag(Id::SocketClose, "disabled", !fields.has_socket);
        page.set(Id::Listen, "data-action", if fields.is_listening { "stop" } else { "listen" });
        page.text(Id::Listen, if fields.is_listening { "Stop listening" } else { "Listen" });
        page.text(Id::ListenState, &fields.listen_state);
        page.value(
            Id::AnswerMode,
            match fields.answer {
                AnswerMode::ByHand => "hand",
                AnswerMode::Ack => "ack",
                AnswerMode::Fixed => "fixed",
            },
        );
        page.text(Id::AnswerTo, &fields.answer_to);
        let is_stop = fields.send == "Stop";
        page.set(Id::Send, "data-action", if is_stop { "stop" } else { "send" });
        page.text(Id::SendLabel, fields.send);
        page.shown(Id::SendKeys, !is_stop);
        page.shown(Id::SendProgress, fields.progress.is_some());
        if let Some((made, times, words)) = &fields.progress {
            page.set(Id::SendProgressBar, "max", &times.to_string());
            page.set(Id::SendProgressBar, "value", &made.to_string());
            page.text(Id::SendProgressText, words);
        }
    }

    fn outcome(&mut self, outcome: &OutcomeView) {
        let page = &mut self.elements;
        page.set(Id::Outcome, "data-state", outcome.state);
        page.text(Id::OutcomeTitle, &outcome.title);
        page.shown(Id::OutcomeBar, outcome.left.is_some());
        if let Some(left) = outcome.left {
            let left = format!("{}.{:03}", left / 1_000, left % 1_000);
            let _ = page.get(Id::OutcomeBarFill).style().set_property("--left", &left);
        }
        page.shown(Id::OutcomePayload, outcome.payload.is_some());
        page.text(Id::OutcomePayload, outcome.payload.as_deref().unwrap_or_default());
        let is_empty = if outcome.payload_is_empty { "true" } else { "false" };
        page.set(Id::OutcomePayload, "data-empty", is_empty);
        page.shown(Id::OutcomeFacts, outcome.payload.is_some());
        page.text(Id::OutcomeRoundTrip, &outcome.round_trip);
        page.text(Id::OutcomeSource, &outcome.source);
        page.text(Id::OutcomeSize, &outcome.size);
        page.shown(Id::OutcomeCounts, outcome.counts.is_some());
        if let Some(counts) = &outcome.counts {
            for (id, count) in [
                (Id::OutcomeCountSent, counts.sent),
                (Id::OutcomeCountReplies, counts.replies),
                (Id::OutcomeCountNoReply, counts.no_reply),
                (Id::OutcomeCountLate, counts.late),
                (Id::OutcomeCountErrors, counts.errors),
                (Id::OutcomeCountWaiting, counts.waiting),
            ] {
                page.text(id, &crate::app::text::count(count));
            }
        }
        page.text(Id::OutcomeDetail, &outcome.detail);
    }

    fn program(&mut self, program: &ProgramView) {
        let page = &mut self.elements;
        let is_python = program.language == Language::Python;
        for (tab, is_selected) in
            [(Id::ProgramTabPython, is_python), (Id::ProgramTabRust, !is_python)]
        {
            page.set(tab, "aria-selected", if is_selected { "true" } else { "false" });
            page.set(tab, "tabindex", if is_selected { "0" } else { "-1" });
        }
        let tab = if is_python { Id::ProgramTabPython } else { Id::ProgramTabRust };
        page.set(Id::ProgramPanel, "aria-labelledby", tab.as_str());
        page.text(Id::ProgramCode, &program.code);
        page.text(Id::ProgramFile, &program.file);
        page.text(Id::ProgramRun, &program.run);
        page.text(Id::ProgramCopy, if program.is_copied { "Copied" } else { "Copy" });
    }

    /// Brings a field into sight and puts the caret there.
    pub(crate) fn focus(&self, field: Field) {
        if field.is_under_more() {
            open_details(self.elements.get(Id::More));
        }
        let _ = self.elements.get(input(field)).focus();
    }

    /// The theme, or the system's.
    pub(crate) fn theme(&self, theme: &str) {
        let Some(root) = self.elements.document.document_element() else { return };
        let _ = match theme {
            "light" | "dark" => root.set_attribute("data-theme", theme),
            _ => root.remove_attribute("data-theme"),
        };
        for (id, known) in
            [(Id::ThemeSystem, "system"), (Id::ThemeLight, "light"), (Id::ThemeDark, "dark")]
        {
            self.elements.checked(id, theme == known);
        }
    }

    pub(crate) fn console_scrolled(&mut self) {
        self.console.scrolled(&self.elements);
    }

    pub(crate) fn log_mut(&mut self) -> (&mut LogTable, &mut Elements) {
        (&mut self.log, &mut self.elements)
    }
}

fn open_details(element: &HtmlElement) {
    if let Some(details) = element.dyn_ref::<HtmlDetailsElement>() {
        details.set_open(true);
    }
}

pub(super) fn input(field: Field) -> Id {
    match field {
        Field::SocketKind => Id::SocketKind,
        Field::Target => Id::TargetSelect,
        Field::Host => Id::Host,
        Field::Port => Id::Port,
        Field::ListenPort => Id::ListenPort,
        Field::Message => Id::Message,
        Field::Times => Id::Times,
        Field::Gap => Id::Gap,
        Field::Timeout => Id::Timeout,
        Field::Buffer => Id::Buffer,
        Field::LocalPort => Id::LocalPort,
    }
}

fn error(field: Field) -> Id {
    match field {
        Field::SocketKind => Id::SocketKindError,
        Field::Target => Id::TargetError,
        Field::Host => Id::HostError,
        Field::Port => Id::PortError,
        Field::ListenPort => Id::ListenPortError,
        Field::Message => Id::MessageError,
        Field::Times => Id::TimesError,
        Field::Gap => Id::GapError,
        Field::Timeout => Id::TimeoutError,
        Field::Buffer => Id::BufferError,
        Field::LocalPort => Id::LocalPortError,
    }
}

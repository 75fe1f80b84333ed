//! The consoles of the practice servers, and how this page's own server is called.

use wasm_bindgen::JsCast as _;
use web_sys::HtmlElement;
use wire::{ConsoleLine, ConsoleSource, ServerAction};

use super::elements::{Elements, part};
use crate::app::code::Language;
use crate::app::consoles::LINES;
use crate::app::{CallView, ConsoleView, Model, text};
use crate::ids::Id;

/// How near the end, in pixels, a console must be scrolled to stay there.
const NEAR_END: i32 = 24;

pub(crate) struct Console {
    /// Whether the newest lines stay in sight: until the person scrolls up.
    follows: bool,
    scrolled: i32,
    /// The server, the epoch and how many lines had been appended.
    drawn: Option<(String, u32, u64)>,
    tabs: Vec<(String, String, &'static str)>,
    selected: String,
    callers: Vec<String>,
}

impl Default for Console {
    fn default() -> Self {
        Self {
            follows: true,
            scrolled: 0,
            drawn: None,
            tabs: Vec::new(),
            selected: String::new(),
            callers: Vec::new(),
        }
    }
}

impl Console {
    /// The person, or this console, has scrolled.
    pub(super) fn scrolled(&mut self, page: &Elements) {
        let body = page.get(Id::ConsoleBody);
        let top = body.scroll_top();
        let is_near_end = body.scroll_height() - top - body.client_height() < NEAR_END;
        self.follows = is_near_end || (self.follows && top >= self.scrolled);
        self.scrolled = top;
    }

    pub(super) fn draw(&mut self, page: &mut Elements, model: &Model, view: &ConsoleView) {
        let is_server = view.call.is_some();
        page.text(Id::ConsoleHeading, if is_server { "Call this page" } else { "The other side" });
        page.shown(Id::ConsoleTabs, !is_server);
        page.shown(Id::ConsolePanel, !is_server);
        page.shown(Id::ConsoleCall, is_server);
        if let Some(call) = &view.call {
            self.call(page, call);
            return;
        }
        self.tabs(page, view);
        page.set(Id::ConsoleState, "data-state", view.state);
        page.text(Id::ConsoleState, &view.words);
        page.text(Id::ConsoleNote, &view.note);
        page.shown(Id::ConsoleControls, view.is_teacher);
        page.shown(Id::ConsoleRoleNote, !view.is_teacher && view.state != "unknown");
        button(page, Id::ConsolePause, view.pause, ("pause", "Pause"));
        button(page, Id::ConsoleStop, view.stop, ("stop", "Stop"));
        self.lines(page, model, &view.server);
    }

    fn tabs(&mut self, page: &mut Elements, view: &ConsoleView) {
        if self.tabs == view.tabs && self.selected == view.server {
            return;
        }
        let row = page.get(Id::ConsoleTabs);
        let same_servers = self.tabs.len() == view.tabs.len()
            && self.tabs.iter().zip(&view.tabs).all(|(old, new)| old.0 == new.0);
        if !same_servers {
            row.set_text_content(None);
            for (server, _, _) in &view.tabs {
                let Some(tab) = page.copy_of(Id::ConsoleTabTemplate) else { return };
                tab.set_id(&format!("console-tab-{server}"));
                let _ = tab.set_attribute("data-server", server);
                let _ = row.append_child(&tab);
            }
        }
        let children = row.children();
        for (at, (server, words, state)) in (0..).zip(&view.tabs) {
            let Some(tab) = children.item(at).and_then(|it| it.dyn_into::<HtmlElement>().ok())
            else {
                break;
            };
            if let Some(name) = part(&tab, ".tab-name") {
                name.set_text_content(Some(words));
            }
            let is_selected = *server == view.server;
            let _ = tab.set_attribute("aria-selected", if is_selected { "true" } else { "false" });
            let _ = tab.set_attribute("tabindex", if is_selected { "0" } else { "-1" });
            let _ = tab.set_attribute("data-state", state);
        }
        page.set(Id::ConsolePanel, "aria-labelledby", &format!("console-tab-{}", view.server));
        self.tabs.clone_from(&view.tabs);
        self.selected.clone_from(&view.server);
    }

    fn lines(&mut self, page: &mut Elements, model: &Model, server: &str) {
        let epoch = model.consoles().epoch;
        let console = model.consoles().of(server);
        let appended = console.map_or(0, |console| console.appended);
        let skipped = console.map_or(0, |console| console.skipped);
        let words = if skipped == 0 {
            String::new()
        } else {
            format!("— {} skipped —", text::plural(skipped, "line", "lines"))
        };
        page.text_if_any(Id::ConsoleSkipped, &words);
        page.shown(Id::ConsoleEmpty, appended == 0);
        let drawn = match &self.drawn {
            Some((drawn, drawn_epoch, lines)) if drawn == server && *drawn_epoch == epoch => {
                if *lines == appended {
                    return;
                }
                Some(*lines)
            }
            _ => None,
        };
        let body = page.get(Id::ConsoleBody);
        let list = page.get(Id::ConsoleLines);
        if drawn.is_none() {
            list.set_text_content(None);
            self.follows = true;
        }
        if let Some(console) = console {
            let new = usize::try_from(appended - drawn.unwrap_or(0)).unwrap_or(usize::MAX);
            let new = new.min(console.lines.len());
            for line in console.lines.range(console.lines.len() - new..) {
                let has_room = (list.child_element_count() as usize) < LINES;
                let element = if has_room {
                    page.copy_of(Id::ConsoleLineTemplate)
                } else {
                    list.first_element_child().and_then(|it| it.dyn_into::<HtmlElement>().ok())
                };
                let Some(element) = element else { break };
                write(&element, line);
                let _ = list.append_child(&element);
            }
        }
        if self.follows {
            body.set_scroll_top(body.scroll_height());
        }
        self.drawn = Some((server.to_owned(), epoch, appended));
    }

    fn call(&mut self, page: &mut Elements, call: &CallView) {
        page.text(Id::ConsoleCallText, &call.words);
        page.text(Id::ConsoleCallRelay, &call.relay);
        page.text(Id::ConsoleCallPython, &call.python);
        for (id, language, command) in [
            (Id::ConsoleCallRelayCopy, Language::Rust, &call.relay),
            (Id::ConsoleCallPythonCopy, Language::Python, &call.python),
        ] {
            page.text(id, if call.copied == Some(language) { "Copied" } else { "Copy" });
            page.flag(id, "disabled", command.is_empty());
        }
        page.shown(Id::ConsoleCallersEmpty, call.callers.is_empty());
        if self.callers != call.callers {
            let list = page.get(Id::ConsoleCallers);
            list.set_text_content(None);
            for words in &call.callers {
                let Some(item) = page.copy_of(Id::ConsoleCallerTemplate) else { break };
                item.set_text_content(Some(words));
                let _ = list.append_child(&item);
            }
            self.callers.clone_from(&call.callers);
        }
    }
}

fn write(element: &HtmlElement, line: &ConsoleLine) {
    let from = match line.from {
        ConsoleSource::Program => "program",
        ConsoleSource::Relay => "relay",
    };
    let _ = element.set_attribute("data-from", from);
    let words = text::harmless(&line.text);
    let words = if line.from == ConsoleSource::Relay { format!("— {words} —") } else { words };
    element.set_text_content(Some(&words));
}

fn button(
    page: &mut Elements,
    id: Id,
    action: Option<ServerAction>,
    idle: (&'static str, &'static str),
) {
    let (word, words) = match action {
        None => idle,
        Some(ServerAction::Start) => ("start", "Start"),
        Some(ServerAction::Stop) => ("stop", "Stop"),
        Some(ServerAction::Pause) => ("pause", "Pause"),
        Some(ServerAction::Resume) => ("resume", "Resume"),
    };
    page.set(id, "data-action", word);
    page.text(id, words);
    page.flag(id, "disabled", action.is_none());
}

//! What a person does on the page, as events. Every listener is owned and taken off when dropped.

use std::rc::Rc;

use wasm_bindgen::JsCast as _;
use wasm_bindgen::prelude::*;
use web_sys::{
    Event as DomEvent, EventTarget, HtmlElement, HtmlTextAreaElement, KeyboardEvent, ResizeObserver,
};

use super::log::target_of;
use super::{Page, input};
use crate::app::Event;
use crate::app::code::Language;
use crate::app::compose::Notation;
use crate::app::form::{AnswerMode, Choice, Field, SocketKind};
use crate::app::log::{RowKind, Times};
use crate::ids::Id;
use crate::shell::App;

/// Where the browser keeps the choice of colours.
const THEME_KEY: &str = "udp-lab-theme";

/// A listener that stays for as long as this does.
pub(crate) struct Listener(Kept);

enum Kept {
    On { target: EventTarget, kind: &'static str, act: Closure<dyn FnMut(DomEvent)> },
    Resize { observer: ResizeObserver, _act: Closure<dyn FnMut()> },
}

impl Drop for Listener {
    fn drop(&mut self) {
        match &self.0 {
            Kept::On { target, kind, act } => {
                let function = act.as_ref().unchecked_ref();
                let _ = target.remove_event_listener_with_callback(kind, function);
            }
            Kept::Resize { observer, .. } => observer.disconnect(),
        }
    }
}

/// Boxed, so that the glue between browser and code exists once and not for every listener.
type Act = Box<dyn Fn(&Rc<App>, &DomEvent)>;

struct Listening<'a> {
    app: &'a Rc<App>,
    all: Vec<Listener>,
}

impl Listening<'_> {
    fn on_target(&mut self, target: &EventTarget, kind: &'static str, act: Act) {
        let app = self.app.clone();
        let act = Closure::<dyn FnMut(DomEvent)>::new(move |event: DomEvent| act(&app, &event));
        let function = act.as_ref().unchecked_ref();
        if target.add_event_listener_with_callback(kind, function).is_ok() {
            self.all.push(Listener(Kept::On { target: target.clone(), kind, act }));
        }
    }

    fn on(&mut self, id: Id, kind: &'static str, act: impl Fn(&Rc<App>, &DomEvent) + 'static) {
        self.on_element(id, kind, Box::new(act));
    }

    fn on_element(&mut self, id: Id, kind: &'static str, act: Act) {
        let target: EventTarget = self.app.with_page(|page| page.elements.get(id).clone().into());
        self.on_target(&target, kind, act);
    }

    fn click(&mut self, id: Id, event: impl Fn() -> Event + 'static) {
        self.on(id, "click", move |app, _| app.dispatch(event()));
    }

    /// A field whose new value is an event, if it is one.
    fn value(
        &mut self,
        id: Id,
        kind: &'static str,
        event: impl Fn(&str) -> Option<Event> + 'static,
    ) {
        self.on(id, kind, move |app, _| {
            let typed = app.with_page(|page| page.elements.typed(id));
            if let Some(event) = event(&typed) {
                app.dispatch(event);
            }
        });
    }
}

/// Puts all listeners on.
pub(crate) fn listen(app: &Rc<App>) -> Vec<Listener> {
    let mut on = Listening { app, all: Vec::new() };
    window(&mut on);
    compose(&mut on);
    log(&mut on);
    others(&mut on);
    theme(&mut on);
    on.all
}

fn window(on: &mut Listening<'_>) {
    let Some(window) = web_sys::window() else { return };
    if let Some(document) = window.document() {
        let act: Act = Box::new(|app, _| app.visibility_changed());
        on.on_target(&document, "visibilitychange", act);
    }
    on.on_target(&window, "online", Box::new(|app, _| app.dispatch(Event::TryNow)));
    let act: Act = Box::new(|app, _| {
        app.with_page(|page| page.log.resized());
        app.request_frame();
    });
    on.on_target(&window, "resize", act);
    let app = on.app.clone();
    let act = Closure::<dyn FnMut()>::new(move || {
        app.with_page(|page| page.log.resized());
        app.request_frame();
    });
    if let Ok(observer) = ResizeObserver::new(act.as_ref().unchecked_ref()) {
        on.app.with_page(|page| observer.observe(page.elements.get(Id::LogGrid)));
        on.all.push(Listener(Kept::Resize { observer, _act: act }));
    }
    for track in [Id::PathLegRelayTrack, Id::PathLegTargetTrack] {
        on.on(track, "animationend", |_, event| {
            if let Some(pulse) = target_of(event).filter(|it| it.has_attribute("data-direction")) {
                pulse.remove();
            }
        });
    }
    on.click(Id::BannerRetry, || Event::TryNow);
    on.click(Id::BannerDismiss, || Event::DismissBanner);
}

fn compose(on: &mut Listening<'_>) {
    on.on(Id::Compose, "submit", |app, event| {
        event.prevent_default();
        app.dispatch(Event::Send);
    });
    on.value(Id::SocketKind, "change", |word| SocketKind::from_word(word).map(Event::Kind));
    on.value(Id::TargetSelect, "change", |word| {
        Some(Event::Target(match word {
            "other" => Choice::Other,
            name => Choice::Practice(name.to_owned()),
        }))
    });
    on.value(Id::AnswerMode, "change", |word| {
        Some(Event::Answer(match word {
            "ack" => AnswerMode::Ack,
            "fixed" => AnswerMode::Fixed,
            _ => AnswerMode::ByHand,
        }))
    });
    for field in Field::ALL {
        if matches!(field, Field::SocketKind | Field::Target) {
            continue;
        }
        on.value(input(field), "input", move |typed| Some(Event::Typed(field, typed.to_owned())));
        // A field that was cleared or filled by something other than typing may say so by `change`
        // alone.
        on.value(input(field), "change", move |typed| Some(Event::Typed(field, typed.to_owned())));
        on.value(input(field), "change", |_| Some(Event::Committed));
    }
    for (id, notation) in
        [(Id::MessageEncodingText, Notation::Text), (Id::MessageEncodingHex, Notation::Hex)]
    {
        on.value(id, "change", move |_| Some(Event::Notation(notation)));
    }
    on.on(Id::InsertCounter, "click", |app, _| {
        let area = app.with_page(|page| {
            page.elements.get(Id::Message).clone().dyn_into::<HtmlTextAreaElement>().ok()
        });
        let Some(area) = area else { return };
        let caret = area.selection_start().ok().flatten();
        app.dispatch(Event::InsertCounter(caret.map(|at| at as usize)));
        let _ = area.focus();
    });
    on.on(Id::Message, "keydown", |app, event| {
        let Some(key) = event.dyn_ref::<KeyboardEvent>() else { return };
        if key.key() == "Enter" && (key.ctrl_key() || key.meta_key()) {
            event.prevent_default();
            app.dispatch(Event::Send);
        }
    });
    on.on(Id::ListenPort, "keydown", |app, event| {
        if event.dyn_ref::<KeyboardEvent>().is_some_and(|key| key.key() == "Enter") {
            event.prevent_default();
            app.dispatch(Event::Listen);
        }
    });
    on.click(Id::Listen, || Event::Listen);
    on.click(Id::SocketClose, || Event::Close);
}

fn log(on: &mut Listening<'_>) {
    on.value(Id::LogFilter, "input", |typed| Some(Event::Filter(typed.to_owned())));
    on.value(Id::LogKind, "change", |word| {
        Some(Event::FilterKind(match word {
            "sent" => Some(RowKind::Sent),
            "received" => Some(RowKind::Received),
            "error" => Some(RowKind::Error),
            "note" => Some(RowKind::Note),
            _ => None,
        }))
    });
    on.value(Id::LogTime, "change", |word| {
        Some(Event::Times(if word == "clock" { Times::Clock } else { Times::SinceFirst }))
    });
    for (id, as_hex) in [(Id::LogViewText, false), (Id::LogViewHex, true)] {
        on.value(id, "change", move |_| Some(Event::LogHex(as_hex)));
    }
    on.click(Id::LogPause, || Event::Pause);
    on.click(Id::LogClear, || Event::ClearLog);
    on.click(Id::LogCopy, || Event::CopyLog);
    on.on(Id::LogLatest, "click", |app, _| {
        app.with_page(|page| page.log_mut().0.follow());
        app.request_frame();
    });
    on.on(Id::LogGrid, "scroll", |app, _| {
        app.with_page(|page| {
            let (log, elements) = page.log_mut();
            log.scrolled(elements);
        });
        app.request_frame();
    });
    on.on(Id::LogViewport, "click", |app, event| {
        let Some(target) = target_of(event) else { return };
        let number = app.with_page(|page| page.log.number_at(&target));
        if let Some(number) = number {
            app.dispatch(Event::Select(Some(number)));
            focus(app, Id::LogGrid);
        }
    });
    on.on(Id::LogGrid, "keydown", |app, event| {
        let Some(key) = event.dyn_ref::<KeyboardEvent>() else { return };
        let page_rows = app.with_page(|page| page.log.page_rows());
        let step = match key.key().as_str() {
            "ArrowUp" => Event::Step(-1),
            "ArrowDown" => Event::Step(1),
            "PageUp" => Event::Step(-page_rows),
            "PageDown" => Event::Step(page_rows),
            "Home" => Event::Step(-FAR),
            "End" => Event::Step(FAR),
            "Escape" => Event::Select(None),
            "Enter" => {
                event.prevent_default();
                if app.with_model(|model| model.log().selected().is_some()) {
                    focus(app, Id::Detail);
                }
                return;
            }
            _ => return,
        };
        event.prevent_default();
        app.dispatch(step);
    });
    on.click(Id::DetailPrevious, || Event::Step(-1));
    on.click(Id::DetailNext, || Event::Step(1));
    on.on(Id::DetailClose, "click", |app, _| leave_detail(app));
    on.on(Id::Detail, "keydown", |app, event| {
        if event.dyn_ref::<KeyboardEvent>().is_some_and(|key| key.key() == "Escape") {
            leave_detail(app);
        }
    });
}

/// Further than the log is long.
const FAR: isize = 1 << 30;

fn leave_detail(app: &Rc<App>) {
    app.dispatch(Event::Select(None));
    focus(app, Id::LogGrid);
}

fn focus(app: &Rc<App>, id: Id) {
    let element = app.with_page(|page| page.elements.get(id).clone());
    let options = web_sys::FocusOptions::new();
    options.set_prevent_scroll(true);
    let _ = element.focus_with_options(&options);
}

fn others(on: &mut Listening<'_>) {
    on.on(Id::ConsoleTabs, "click", |app, event| {
        let tab = target_of(event).and_then(|it| it.closest("[data-server]").ok().flatten());
        if let Some(server) = tab.and_then(|tab| tab.get_attribute("data-server")) {
            app.dispatch(Event::Console(server));
        }
    });
    on.on(Id::ConsoleTabs, "keydown", |app, event| {
        if let Some(tab) = neighbour(event)
            && let Some(server) = tab.get_attribute("data-server")
        {
            event.prevent_default();
            app.dispatch(Event::Console(server));
            let _ = tab.focus();
        }
    });
    on.on(Id::ConsoleBody, "scroll", |app, _| app.with_page(Page::console_scrolled));
    on.click(Id::ConsolePause, || Event::PauseServer);
    on.click(Id::ConsoleStop, || Event::StopServer);
    on.click(Id::ConsoleCallRelayCopy, || Event::CopyCommand(Language::Rust));
    on.click(Id::ConsoleCallPythonCopy, || Event::CopyCommand(Language::Python));
    for (id, language) in
        [(Id::ProgramTabPython, Language::Python), (Id::ProgramTabRust, Language::Rust)]
    {
        on.click(id, move || Event::Language(language));
        on.on(id, "keydown", |_, event| {
            if let Some(tab) = neighbour(event) {
                event.prevent_default();
                let _ = tab.focus();
                tab.click();
            }
        });
    }
    on.click(Id::ProgramCopy, || Event::CopyProgram);
}

/// The tab that an arrow key, Home or End leads to from the tab it was pressed on.
fn neighbour(event: &DomEvent) -> Option<HtmlElement> {
    let key = event.dyn_ref::<KeyboardEvent>()?.key();
    let tab = target_of(event)?.closest("[role=tab]").ok()??;
    let row = tab.parent_element()?;
    let to = match key.as_str() {
        "ArrowRight" => tab.next_element_sibling().or_else(|| row.first_element_child()),
        "ArrowLeft" => tab.previous_element_sibling().or_else(|| row.last_element_child()),
        "Home" => row.first_element_child(),
        "End" => row.last_element_child(),
        _ => None,
    };
    to?.dyn_into().ok()
}

fn theme(on: &mut Listening<'_>) {
    let storage = || web_sys::window()?.local_storage().ok()?;
    let kept = storage().and_then(|storage| storage.get_item(THEME_KEY).ok()?);
    on.app.with_page(|page| page.theme(kept.as_deref().unwrap_or("system")));
    for (id, theme) in
        [(Id::ThemeSystem, "system"), (Id::ThemeLight, "light"), (Id::ThemeDark, "dark")]
    {
        on.on(id, "change", move |app, _| {
            app.with_page(|page| page.theme(theme));
            if let Some(storage) = storage() {
                let _ = storage.set_item(THEME_KEY, theme);
            }
        });
    }
}

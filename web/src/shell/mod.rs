//! The browser around the core: brings events in, performs effects, draws the view. Decides nothing.

mod carrier;
mod clipboard;
mod clock;
mod page;

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use wasm_bindgen::prelude::*;
use wire::Message;

use crate::app::inbox::Inbox;
use crate::app::{Effect, Event, Model, Start, update, view};
use carrier::Carrier;
use clipboard::Clipboard;
use page::Page;

/// How long messages are read in one frame, so that no task of the main thread gets long.
const READING: Duration = Duration::from_millis(8);
/// Messages read on arrival between two frames; more wait for the frame.
const AT_ONCE: u32 = 8;
/// What takes the place of a frame while the page is hidden and has none, in milliseconds.
const HIDDEN_FRAME_MS: i32 = 50;
/// A wake nearer than this is a frame.
const NEAR: Duration = Duration::from_millis(16);

thread_local! {
    static APP: RefCell<Option<Rc<App>>> = const { RefCell::new(None) };
}

/// Binds the page and connects to the relay.
///
/// # Errors
/// When the markup lacks an element; the error names it.
#[wasm_bindgen(start)]
pub(crate) fn start() -> Result<(), JsValue> {
    let app = App::new()?;
    APP.with(|kept| *kept.borrow_mut() = Some(app.clone()));
    app.begin();
    Ok(())
}

/// The one instance, kept for as long as the page stands.
pub(crate) struct App {
    window: web_sys::Window,
    model: RefCell<Model>,
    page: RefCell<Page>,
    carrier: RefCell<Carrier>,
    clipboard: RefCell<Clipboard>,
    inbox: RefCell<Inbox>,
    /// The connection has closed; said once the inbox is empty.
    has_closed: Cell<bool>,
    read_at_once: Cell<u32>,
    frame: Cell<Frame>,
    wake: Cell<Option<i32>>,
    on_frame: RefCell<Option<Closure<dyn FnMut()>>>,
    on_wake: RefCell<Option<Closure<dyn FnMut()>>>,
    listeners: RefCell<Vec<page::Listener>>,
}

/// The one frame that may be in flight.
#[derive(Clone, Copy)]
enum Frame {
    None,
    Drawn(i32),
    Timed(i32),
}

impl App {
    fn new() -> Result<Rc<Self>, JsValue> {
        let window = web_sys::window().ok_or("there is no window")?;
        let document = window.document().ok_or("there is no document")?;
        let page = Page::bind(&document)?;
        Ok(Rc::new(Self {
            window,
            model: RefCell::default(),
            page: RefCell::new(page),
            carrier: RefCell::default(),
            clipboard: RefCell::default(),
            inbox: RefCell::default(),
            has_closed: Cell::new(false),
            read_at_once: Cell::new(0),
            frame: Cell::new(Frame::None),
            wake: Cell::new(None),
            on_frame: RefCell::default(),
            on_wake: RefCell::default(),
            listeners: RefCell::default(),
        }))
    }

    fn begin(self: &Rc<Self>) {
        let app = self.clone();
        *self.on_frame.borrow_mut() = Some(Closure::new(move || app.frame()));
        let app = self.clone();
        *self.on_wake.borrow_mut() = Some(Closure::new(move || {
            app.wake.set(None);
            app.request_frame();
        }));
        *self.listeners.borrow_mut() = page::listen(self);
        let location = self.window.location();
        self.dispatch(Event::Started(Start {
            host: location.hostname().unwrap_or_default(),
            address: location.host().unwrap_or_default(),
            wall: clock::wall(),
            seed: clock::random(),
        }));
    }

    /// An event into the core, and what follows from it.
    pub(crate) fn dispatch(self: &Rc<Self>, event: Event) {
        self.feed(event);
        self.request_frame();
    }

    fn feed(self: &Rc<Self>, event: Event) {
        let effects = update(&mut self.model.borrow_mut(), event, clock::now());
        for effect in effects {
            self.perform(effect);
        }
    }

    fn perform(self: &Rc<Self>, effect: Effect) {
        match effect {
            Effect::Connect => {
                self.inbox.borrow_mut().clear();
                self.has_closed.set(false);
                self.carrier.borrow_mut().connect(self, &self.window);
            }
            Effect::Disconnect => {
                self.inbox.borrow_mut().clear();
                self.has_closed.set(false);
                self.carrier.borrow_mut().disconnect();
            }
            Effect::Transmit(message) => self.carrier.borrow().transmit(&message),
            Effect::WakeAt(at) => self.wake_at(at),
            Effect::Copy(what, text) => {
                self.clipboard.borrow_mut().copy(self, &self.window, what, &text);
            }
            Effect::Focus(field) => self.page.borrow().focus(field),
            Effect::Mark(name) => clock::mark(name),
        }
    }

    /// A message of the relay: read at once if few came, else in the next frame.
    fn arrived(self: &Rc<Self>, message: Message) {
        let read = self.read_at_once.get();
        if read < AT_ONCE && self.inbox.borrow().is_empty() {
            self.read_at_once.set(read + 1);
            self.feed(Event::Arrived(message));
        } else {
            self.inbox.borrow_mut().push(message);
        }
        self.request_frame();
    }

    fn closed(self: &Rc<Self>) {
        self.has_closed.set(true);
        self.request_frame();
    }

    fn wake_at(&self, at: Option<Duration>) {
        if let Some(timer) = self.wake.take() {
            self.window.clear_timeout_with_handle(timer);
        }
        let Some(at) = at else { return };
        let wait = at.saturating_sub(clock::now());
        if wait < NEAR {
            self.request_frame();
            return;
        }
        let ms =
            i32::try_from(crate::app::text::millis(wait)).unwrap_or(i32::MAX).saturating_add(1);
        if let Some(on_wake) = self.on_wake.borrow().as_ref() {
            let function = on_wake.as_ref().unchecked_ref();
            let timer =
                self.window.set_timeout_with_callback_and_timeout_and_arguments_0(function, ms);
            self.wake.set(timer.ok());
        }
    }

    pub(crate) fn request_frame(&self) {
        if !matches!(self.frame.get(), Frame::None) {
            return;
        }
        let on_frame = self.on_frame.borrow();
        let Some(function) = on_frame.as_ref().map(|it| it.as_ref().unchecked_ref()) else {
            return;
        };
        let frame = if self.is_hidden() {
            self.window
                .set_timeout_with_callback_and_timeout_and_arguments_0(function, HIDDEN_FRAME_MS)
                .map(Frame::Timed)
        } else {
            self.window.request_animation_frame(function).map(Frame::Drawn)
        };
        self.frame.set(frame.unwrap_or(Frame::None));
    }

    fn is_hidden(&self) -> bool {
        self.window.document().is_some_and(|document| document.hidden())
    }

    /// The page was shown or hidden: what stands for a frame changes.
    pub(crate) fn visibility_changed(self: &Rc<Self>) {
        match self.frame.replace(Frame::None) {
            Frame::None => {}
            Frame::Drawn(handle) => {
                let _ = self.window.cancel_animation_frame(handle);
            }
            Frame::Timed(handle) => self.window.clear_timeout_with_handle(handle),
        }
        if self.is_hidden() {
            self.request_frame();
        } else {
            self.dispatch(Event::TryNow);
        }
    }

    fn frame(self: &Rc<Self>) {
        self.frame.set(Frame::None);
        self.read_at_once.set(0);
        self.carrier.borrow_mut().forget_retired();
        let began = clock::now();
        loop {
            let Some(message) = self.inbox.borrow_mut().pop() else { break };
            self.feed(Event::Arrived(message));
            if clock::now().saturating_sub(began) > READING {
                break;
            }
        }
        let dropped = self.inbox.borrow_mut().take_dropped();
        if dropped > 0 {
            self.feed(Event::Overrun(dropped));
        }
        let unread = self.inbox.borrow().len();
        if unread > 0 {
            self.request_frame();
        } else if self.has_closed.take() {
            self.carrier.borrow_mut().disconnect();
            self.feed(Event::Disconnected);
        }
        let buffered = self.carrier.borrow().buffered();
        self.feed(Event::Tick { buffered, unread });
        if !self.is_hidden() {
            self.draw();
        }
    }

    fn draw(&self) {
        let model = self.model.borrow();
        let view = view(&model, clock::now());
        self.page.borrow_mut().draw(&model, &view);
    }

    /// Reads the page or changes what only the page knows: where it is scrolled to, the theme.
    pub(crate) fn with_page<T>(&self, act: impl FnOnce(&mut Page) -> T) -> T {
        act(&mut self.page.borrow_mut())
    }

    /// Reads the model.
    pub(crate) fn with_model<T>(&self, read: impl FnOnce(&Model) -> T) -> T {
        read(&self.model.borrow())
    }
}

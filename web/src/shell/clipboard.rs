//! Text onto the clipboard: by the browser's interface, or where a page without TLS has none, by
//! the old command on a selected field.

use std::rc::Rc;

use wasm_bindgen::JsCast as _;
use wasm_bindgen::prelude::*;
use web_sys::{HtmlDocument, HtmlTextAreaElement, Window};

use super::App;
use crate::app::{Copied, Event};

/// Hears how a copy went.
type Said = Closure<dyn FnMut(JsValue)>;

/// Keeps the listeners of the last copy.
#[derive(Default)]
pub(crate) struct Clipboard {
    listeners: Option<[Said; 2]>,
}

impl Clipboard {
    pub(crate) fn copy(&mut self, app: &Rc<App>, window: &Window, what: Copied, text: &str) {
        let navigator = window.navigator();
        let has_clipboard = js_sys::Reflect::get(&navigator, &"clipboard".into())
            .is_ok_and(|clipboard| !clipboard.is_undefined());
        if !has_clipboard {
            let worked = by_command(window, text).unwrap_or(false);
            app.dispatch(Event::Copied(what, worked));
            return;
        }
        let worked: Said = {
            let app = app.clone();
            Closure::new(move |_| app.dispatch(Event::Copied(what, true)))
        };
        let failed: Said = {
            let (app, window, text) = (app.clone(), window.clone(), text.to_owned());
            Closure::new(move |_| {
                let worked = by_command(&window, &text).unwrap_or(false);
                app.dispatch(Event::Copied(what, worked));
            })
        };
        let _ = navigator.clipboard().write_text(text).then2(&worked, &failed);
        self.listeners = Some([worked, failed]);
    }
}

fn by_command(window: &Window, text: &str) -> Option<bool> {
    let document = window.document()?.dyn_into::<HtmlDocument>().ok()?;
    let before = document.active_element();
    let field = document.create_element("textarea").ok()?.dyn_into::<HtmlTextAreaElement>().ok()?;
    field.set_value(text);
    let _ = field.style().set_property("position", "fixed");
    let _ = field.style().set_property("opacity", "0");
    document.body()?.append_child(&field).ok()?;
    field.select();
    let worked = document.exec_command("copy").ok();
    field.remove();
    if let Some(before) = before.and_then(|it| it.dyn_into::<web_sys::HtmlElement>().ok()) {
        let _ = before.focus();
    }
    worked
}

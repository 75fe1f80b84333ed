//! The WebSocket that carries the session. It reads no message and waits for none.

use std::rc::Rc;

use wasm_bindgen::JsCast as _;
use wasm_bindgen::prelude::*;
use web_sys::{BinaryType, MessageEvent, WebSocket, Window};
use wire::Message;

use super::App;

#[derive(Default)]
pub(crate) struct Carrier {
    open: Option<Open>,
    /// Connections whose listeners may still be on the stack.
    retired: Vec<Open>,
}

struct Open {
    socket: WebSocket,
    _on_message: Closure<dyn FnMut(MessageEvent)>,
    _on_close: Closure<dyn FnMut()>,
}

impl Carrier {
    /// Opens a connection; an earlier one is forgotten.
    pub(crate) fn connect(&mut self, app: &Rc<App>, window: &Window) {
        self.disconnect();
        let location = window.location();
        let scheme = if location.protocol().is_ok_and(|it| it == "https:") { "wss" } else { "ws" };
        let url = format!("{scheme}://{}/lab", location.host().unwrap_or_default());
        let Ok(socket) = WebSocket::new_with_str(&url, wire::SUBPROTOCOL) else {
            app.closed();
            return;
        };
        socket.set_binary_type(BinaryType::Arraybuffer);
        let on_message = {
            let app = app.clone();
            Closure::new(move |event: MessageEvent| {
                if let Some(message) = message(&event.data()) {
                    app.arrived(message);
                }
            })
        };
        let on_close = {
            let app = app.clone();
            Closure::new(move || app.closed())
        };
        socket.set_onmessage(Some(on_message.as_ref().unchecked_ref()));
        socket.set_onclose(Some(on_close.as_ref().unchecked_ref()));
        self.open = Some(Open { socket, _on_message: on_message, _on_close: on_close });
    }

    pub(crate) fn disconnect(&mut self) {
        if let Some(open) = self.open.take() {
            open.socket.set_onmessage(None);
            open.socket.set_onclose(None);
            let _ = open.socket.close();
            self.retired.push(open);
        }
    }

    pub(crate) fn forget_retired(&mut self) {
        self.retired.clear();
    }

    /// A send on a closed connection is lost with it; the core hears of the loss.
    pub(crate) fn transmit(&self, message: &Message) {
        let Some(open) = &self.open else { return };
        let _ = match message {
            Message::Text(text) => open.socket.send_with_str(text),
            Message::Binary(bytes) => open.socket.send_with_u8_array(bytes),
        };
    }

    /// Bytes that have yet to leave.
    pub(crate) fn buffered(&self) -> usize {
        self.open.as_ref().map_or(0, |open| open.socket.buffered_amount() as usize)
    }
}

fn message(data: &JsValue) -> Option<Message> {
    if let Some(text) = data.as_string() {
        return Some(Message::Text(text));
    }
    let buffer = data.dyn_ref::<js_sys::ArrayBuffer>()?;
    Some(Message::Binary(js_sys::Uint8Array::new(buffer).to_vec().into()))
}

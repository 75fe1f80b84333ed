//! The elements, bound once, and what was last drawn on them: only what changed is touched.

use wasm_bindgen::JsCast as _;
use wasm_bindgen::prelude::*;
use web_sys::{
    Document, HtmlElement, HtmlInputElement, HtmlSelectElement, HtmlTemplateElement,
    HtmlTextAreaElement,
};

use crate::ids::Id;

pub(crate) struct Elements {
    pub(super) document: Document,
    all: Vec<HtmlElement>,
    texts: Vec<Option<String>>,
    /// For each element the attributes set, of which there are few.
    attributes: Vec<Vec<(&'static str, Option<String>)>>,
}

impl Elements {
    pub(super) fn bind(document: &Document) -> Result<Self, JsValue> {
        let mut all = Vec::with_capacity(Id::ALL.len());
        for id in Id::ALL {
            let element = document
                .get_element_by_id(id.as_str())
                .and_then(|element| element.dyn_into::<HtmlElement>().ok());
            let Some(element) = element else {
                let what = format!("the page has no element #{}", id.as_str());
                return Err(js_sys::Error::new(&what).into());
            };
            all.push(element);
        }
        Ok(Self {
            document: document.clone(),
            texts: vec![None; all.len()],
            attributes: vec![Vec::new(); all.len()],
            all,
        })
    }

    pub(crate) fn get(&self, id: Id) -> &HtmlElement {
        &self.all[id as usize]
    }

    pub(super) fn text(&mut self, id: Id, text: &str) {
        let drawn = &mut self.texts[id as usize];
        if drawn.as_deref() != Some(text) {
            self.all[id as usize].set_text_content(Some(text));
            *drawn = Some(text.to_owned());
        }
    }

    pub(super) fn attribute(&mut self, id: Id, name: &'static str, value: Option<&str>) {
        let drawn = &mut self.attributes[id as usize];
        match drawn.iter_mut().find(|(known, _)| *known == name) {
            Some((_, drawn)) if drawn.as_deref() == value => return,
            Some((_, drawn)) => *drawn = value.map(str::to_owned),
            None => drawn.push((name, value.map(str::to_owned))),
        }
        let element = &self.all[id as usize];
        let _ = match value {
            Some(value) => element.set_attribute(name, value),
            None => element.remove_attribute(name),
        };
    }

    pub(super) fn set(&mut self, id: Id, name: &'static str, value: &str) {
        self.attribute(id, name, Some(value));
    }

    /// A boolean attribute: there or not.
    pub(super) fn flag(&mut self, id: Id, name: &'static str, is_on: bool) {
        self.attribute(id, name, is_on.then_some(""));
    }

    pub(super) fn shown(&mut self, id: Id, is_shown: bool) {
        self.flag(id, "hidden", !is_shown);
    }

    /// Text, shown only if there is some.
    pub(super) fn text_if_any(&mut self, id: Id, text: &str) {
        self.text(id, text);
        self.shown(id, !text.is_empty());
    }

    pub(super) fn value(&self, id: Id, value: &str) {
        let element = self.get(id);
        if let Some(input) = element.dyn_ref::<HtmlInputElement>() {
            if input.value() != value {
                input.set_value(value);
            }
        } else if let Some(area) = element.dyn_ref::<HtmlTextAreaElement>() {
            if area.value() != value {
                area.set_value(value);
            }
        } else if let Some(select) = element.dyn_ref::<HtmlSelectElement>()
            && select.value() != value
        {
            select.set_value(value);
        }
    }

    pub(super) fn checked(&self, id: Id, is_on: bool) {
        if let Some(input) = self.get(id).dyn_ref::<HtmlInputElement>()
            && input.checked() != is_on
        {
            input.set_checked(is_on);
        }
    }

    /// What a field says.
    pub(crate) fn typed(&self, id: Id) -> String {
        let element = self.get(id);
        if let Some(input) = element.dyn_ref::<HtmlInputElement>() {
            input.value()
        } else if let Some(area) = element.dyn_ref::<HtmlTextAreaElement>() {
            area.value()
        } else {
            element.dyn_ref::<HtmlSelectElement>().map(HtmlSelectElement::value).unwrap_or_default()
        }
    }

    /// A new copy of what a template holds.
    pub(super) fn copy_of(&self, template: Id) -> Option<HtmlElement> {
        let template = self.get(template).dyn_ref::<HtmlTemplateElement>()?;
        let first = template.content().first_element_child()?;
        first.clone_node_with_deep(true).ok()?.dyn_into().ok()
    }
}

/// The first element inside with this class.
pub(super) fn part(of: &HtmlElement, selector: &str) -> Option<HtmlElement> {
    of.query_selector(selector).ok()??.dyn_into().ok()
}

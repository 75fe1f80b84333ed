//! What can be said of the page's looks without eyes: nothing is cut off sideways, what matters is
//! in sight, and the browser has nothing to complain about.

use serde_json::json;

use crate::browser::{Browser, Relay};

const ANY_PORTS: [&str; 2] = ["--practice-ports", "any"];

#[tokio::test]
async fn no_width_scrolls_sideways_and_send_is_in_sight_on_a_laptop() {
    let relay = Relay::start(&ANY_PORTS);
    let browser = Browser::start().await;
    browser.open(&relay).await;
    browser.click("send").await;
    browser.until_outcome("reply").await;
    for (width, height, phone) in [
        (1280, 720, false),
        (1920, 1080, false),
        (390, 844, true),
        (320, 640, true),
        (768, 1024, true),
    ] {
        browser.size(width, height, phone).await;
        let overflow = browser
            .run("return document.documentElement.scrollWidth - document.documentElement.clientWidth")
            .await;
        assert_eq!(overflow, json!(0), "at {width} × {height}");
    }
    browser.size(1280, 720, false).await;
    for id in ["path", "send", "outcome", "log-viewport", "console-body"] {
        let inside = browser
            .run(&format!(
                "const box = document.getElementById('{id}').getBoundingClientRect(); \
                 return box.top >= 0 && box.bottom <= innerHeight && box.height > 20"
            ))
            .await;
        assert_eq!(inside, json!(true), "#{id} is in sight at 1280 × 720");
    }
    assert_eq!(browser.console().await, Vec::<String>::new());
}

#[tokio::test]
async fn each_field_has_a_name_for_a_screen_reader() {
    let relay = Relay::start(&ANY_PORTS);
    let browser = Browser::start().await;
    browser.open(&relay).await;
    let nameless = browser
        .run(
            "return [...document.querySelectorAll('button, input, select, textarea, [role=grid], [role=tablist], [role=log], [role=tabpanel]')] \
                .filter(e => !(e.labels?.length || e.ariaLabel || e.getAttribute('aria-labelledby') || e.textContent.trim())) \
                .map(e => e.id || e.outerHTML)",
        )
        .await;
    assert_eq!(nameless, json!([]));
    browser.click("send").await;
    browser.until_text_content("announce", "Reply").await;
}

#[tokio::test]
async fn the_theme_can_be_chosen() {
    let relay = Relay::start(&ANY_PORTS);
    let browser = Browser::start().await;
    browser.open(&relay).await;
    let background = "return getComputedStyle(document.body).backgroundColor";
    browser.click_label("theme-dark").await;
    let dark = browser.run(background).await;
    browser.click_label("theme-light").await;
    let light = browser.run(background).await;
    assert_ne!(dark, light);
}

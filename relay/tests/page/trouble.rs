//! What the page does when something is wrong: it says so beside the field, and nothing typed is
//! lost.

use serde_json::json;

use crate::browser::{Browser, Relay};

const ANY_PORTS: [&str; 2] = ["--practice-ports", "any"];

#[tokio::test]
async fn a_relay_that_goes_is_missed_at_once_and_found_again() {
    let relay = Relay::start(&ANY_PORTS);
    let browser = Browser::start().await;
    browser.open(&relay).await;
    browser.fill("message", "typed before the loss").await;
    browser.click("console-pause").await;
    browser.until_text("console-state", "paused").await;
    browser.click("send").await;
    browser.until_outcome("waiting").await;

    let authority = relay.authority().to_owned();
    drop(relay);
    browser
        .until(
            "the loss is said",
            "return document.getElementById('connection-state').dataset.state !== 'connected' \
                 && !document.getElementById('banner').hidden",
        )
        .await;
    browser.until_outcome("unknown").await;
    assert_eq!(
        browser.run("return document.getElementById('message').value").await,
        json!("typed before the loss")
    );

    let _again = Relay::start_at(&authority, &ANY_PORTS);
    browser.until_connected().await;
    browser.click("send").await;
    browser.until_outcome("reply").await;
    browser.until_text("console-lines", "typed before the loss").await;
}

#[tokio::test]
async fn a_relay_that_stops_says_so_and_the_page_passes_it_on() {
    let relay = Relay::start(&ANY_PORTS);
    let browser = Browser::start().await;
    browser.open(&relay).await;
    browser.click("send").await;
    browser.until_outcome("reply").await;
    let pid = rustix::process::Pid::from_raw(i32::try_from(relay.id()).expect("a process"));
    rustix::process::kill_process(pid.expect("a process"), rustix::process::Signal::TERM)
        .expect("it runs");
    browser.until_text("banner-text", "stopping").await;
}

#[tokio::test]
async fn what_cannot_be_sent_is_explained_beside_its_field() {
    let relay = Relay::start(&ANY_PORTS);
    let browser = Browser::start().await;
    browser.open(&relay).await;

    browser.click_label("message-encoding-hex").await;
    browser.fill("message", "48 6x").await;
    browser.click("send").await;
    browser.until_text("message-error", "x").await;
    assert_eq!(
        browser.run("return document.getElementById('message').value").await,
        json!("48 6x")
    );
    browser.fill("message", "48 69").await;
    browser
        .until("the error is gone", "return document.getElementById('message-error').hidden")
        .await;

    browser.choose("target-select", "other").await;
    for (host, port, field) in [
        ("127.0.0.1", "70000", "port-error"),
        ("127.0.0.1", "0", "port-error"),
        ("not a host", "9999", "host-error"),
    ] {
        browser.fill("host", host).await;
        browser.fill("port", port).await;
        browser.click("send").await;
        browser.until(field, &format!("return !document.getElementById('{field}').hidden")).await;
    }

    browser.fill("host", "192.0.2.1").await;
    browser.fill("port", "9999").await;
    browser.click("send").await;
    browser.until_text("host-error", "--allow 192.0.2.1:9999").await;
    assert_eq!(
        browser.run("return document.getElementById('host').value").await,
        json!("192.0.2.1")
    );
    browser.until_count("count-replies", 0).await;

    browser.fill("host", "nowhere.invalid").await;
    browser.click("send").await;
    browser.until_text("host-error", "nowhere.invalid").await;
}

#[tokio::test]
async fn a_datagram_that_is_too_large_meets_the_systems_own_error() {
    let relay = Relay::start(&ANY_PORTS);
    let browser = Browser::start().await;
    browser.open(&relay).await;
    browser
        .run(
            "const message = document.getElementById('message'); \
             message.value = 'x'.repeat(65508); \
             message.dispatchEvent(new Event('input', { bubbles: true }));",
        )
        .await;
    browser.until_text("message-bytes", "65,508 bytes").await;
    browser.click("send").await;
    browser.until_outcome("error").await;
    browser.until_text("outcome-title", "EMSGSIZE").await;
}

#[tokio::test]
async fn what_peers_send_is_text_and_never_markup() {
    let relay = Relay::start(&ANY_PORTS);
    let browser = Browser::start().await;
    browser.open(&relay).await;
    browser.choose("target-select", "ack").await;
    browser.fill("message", "<img src=x onerror=\"document.title='owned'\"><b>bold</b>").await;
    browser.click("send").await;
    browser.until_outcome("reply").await;
    browser.until_text("outcome-payload", "ack:<img src=x").await;
    browser.until_text("console-lines", "<b>bold</b>").await;
    let injected = browser
        .run("return document.querySelectorAll('main img, .log b:not(.counter b), #console-lines b').length")
        .await;
    assert_eq!(injected, json!(0));
    assert_eq!(browser.client.title().await.expect("a title"), "UDP Lab");
}

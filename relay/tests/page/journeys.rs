//! Whole journeys, as a newcomer makes them.

use serde_json::json;

use super::peers::{Python, free_port};
use crate::browser::{Browser, Relay};

const ANY_PORTS: [&str; 2] = ["--practice-ports", "any"];

#[tokio::test]
async fn from_first_load_to_a_reply_a_timeout_a_server_that_comes_back_and_being_a_server() {
    let relay = Relay::start(&ANY_PORTS);
    let browser = Browser::start().await;
    browser.open(&relay).await;

    // At first sight everything is there: one click sends and the reply is read.
    assert!(browser.text("connection-state").await.contains("connected"));
    assert!(browser.text("path-leg-relay-caption").await.to_lowercase().contains("connected"));
    assert_eq!(
        browser.run("return document.getElementById('message').value").await,
        json!("Hello UDP Server")
    );
    browser.click("send").await;
    browser.until_outcome("reply").await;
    browser.until_text("outcome-payload", "Hello UDP Client").await;
    assert!(browser.text("outcome-source").await.contains("127.0.0.1:"));
    assert!(browser.text("outcome-size").await.contains("16"));
    browser.until_text("console-lines", "Message from Client:b'Hello UDP Server'").await;
    browser.until_text("console-lines", "Client IP Address:('127.0.0.1', ").await;
    browser.until_count("count-sent", 1).await;
    browser.until_count("count-replies", 1).await;

    // The server is paused: it does not read, so nothing comes in time; then it reads, and the
    // reply is late.
    browser.click("console-pause").await;
    browser.until_text("console-state", "paused").await;
    browser.click("send").await;
    browser.until_outcome("waiting").await;
    browser.until_outcome("timeout").await;
    assert_eq!(browser.text("outcome-title").await, "No reply received in time");
    browser.until_count("count-no-reply", 1).await;
    browser.click("console-pause").await;
    browser.until_outcome("late").await;
    browser.until_text("outcome-payload", "Hello UDP Client").await;
    browser.until_count("count-late", 1).await;

    // A server of the learner's own, on a port where nobody listens yet.
    let port = free_port().to_string();
    browser.choose("target-select", "other").await;
    browser.fill("host", "127.0.0.1").await;
    browser.fill("port", &port).await;
    browser.click("send").await;
    browser.until_outcome("timeout").await;
    let server = Python::lesson("ack_server", &[&port]);
    server.until_printed("listening");
    browser.click("send").await;
    browser.until_outcome("reply").await;
    browser.until_text("outcome-payload", "ack:Hello UDP Server").await;
    server.until_printed("received b'Hello UDP Server'");

    // The page is the server for a Python client.
    browser.choose("socket-kind", "udp-server").await;
    browser.fill("listen-port", "0").await;
    browser.choose("answer-mode", "ack").await;
    browser.click("listen").await;
    let listening = browser.listening_port().await;
    let client = Python::lesson("ack_client", &[&listening]);
    client.until_printed("Reply: ack:Hello from the client");
    browser.until_text("outcome-payload", "Hello from the client").await;
    assert_eq!(browser.console().await, Vec::<String>::new());
}

#[tokio::test]
async fn the_keyboard_alone_is_enough() {
    let relay = Relay::start(&ANY_PORTS);
    let browser = Browser::start().await;
    browser.open(&relay).await;

    browser.tab_to("message").await;
    browser.keys("!").await;
    browser.keys_with_control("\u{e007}").await;
    browser.until_outcome("reply").await;
    browser.until_text("console-lines", "!Hello UDP Server").await;

    // Through the log with the arrows, a row's detail with Enter, away with Escape.
    browser.tab_to("log-grid").await;
    browser.keys("\u{e010}\u{e007}").await;
    browser.until("the detail is shown", "return !document.getElementById('detail').hidden").await;
    browser.until_text("detail-text", "Hello UDP Client").await;
    browser.until_text("detail-python", "recvfrom").await;
    browser.keys("\u{e00c}").await;
    browser.until("the detail is gone", "return document.getElementById('detail').hidden").await;

    // Everything that can be clicked can be reached, and what has the focus shows it.
    let unreached = browser
        .run(
            "const focusable = [...document.querySelectorAll('button, input, select, textarea, summary, [tabindex=\"0\"]')] \
                .filter(e => e.getClientRects().length && !e.disabled && getComputedStyle(e).visibility === 'visible'); \
             return focusable.filter(e => e.tabIndex < 0 && e.getAttribute('role') !== 'tab').map(e => e.id)",
        )
        .await;
    assert_eq!(unreached, json!([]));
}

#[tokio::test]
async fn several_sends_with_a_gap_and_a_counter_arrive_one_by_one() {
    let relay = Relay::start(&ANY_PORTS);
    let browser = Browser::start().await;
    browser.open(&relay).await;

    browser.choose("target-select", "ack").await;
    browser.fill("message", "number {n};").await;
    browser.click("more").await;
    browser.fill("times", "5").await;
    browser.fill("gap", "30").await;
    browser.click("send").await;
    browser.until_count("count-replies", 5).await;
    browser.until_text("outcome-count-replies", "5").await;
    for number in 1..=5 {
        browser.until_text("console-lines", &format!("b'number {number};'")).await;
    }
}

#[tokio::test]
async fn ten_thousand_datagrams_are_counted_exactly_and_can_be_filtered_paused_and_cleared() {
    let relay = Relay::start(&ANY_PORTS);
    let browser = Browser::start().await;
    browser.open(&relay).await;

    browser.choose("target-select", "ack").await;
    browser.fill("message", "<{n}>").await;
    browser.click("more").await;
    browser.fill("times", "10000").await;
    browser.click("send").await;
    browser.until_count("count-sent", 10_000).await;
    browser
        .until(
            "each of them has its outcome",
            "const count = id => +document.getElementById(id).textContent.replace(/\\D/g, ''); \
             return count('count-replies') + count('count-no-reply') === 10000 \
                 && count('outcome-count-waiting') === 0",
        )
        .await;
    let rows = browser.run("return +document.getElementById('log-grid').ariaRowCount").await;
    assert!(rows.as_u64() >= Some(10_000), "{rows}");
    let drawn = browser.run("return document.querySelectorAll('.log-row').length").await;
    assert!(drawn.as_u64() < Some(200), "{drawn} rows are in the document");

    browser.fill("log-filter", "<7777>").await;
    browser
        .until(
            "the filter leaves the one datagram and its reply",
            "return [2, 3].includes(document.getElementById('log-grid').ariaRowCount - 0)",
        )
        .await;
    browser.click("log-clear").await;
    browser
        .until(
            "the log is empty",
            "return document.getElementById('log-grid').ariaRowCount === '1'",
        )
        .await;
}

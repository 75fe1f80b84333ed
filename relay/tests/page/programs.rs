//! The programs that the page shows are run for real: what a learner copies works.

use std::process::Command;

use super::peers::Python;
use crate::browser::{Browser, Relay};

const ANY_PORTS: [&str; 2] = ["--practice-ports", "any"];

#[tokio::test]
async fn the_python_program_does_what_send_does() {
    let relay = Relay::start(&ANY_PORTS);
    let browser = Browser::start().await;
    browser.open(&relay).await;
    for (kind, server, message, expected) in [
        ("udp", "hello", "Hello UDP Server", "Hello UDP Client"),
        ("udp-connected", "ack", "it's \"quoted\" \\ é", "ack:it"),
        ("tcp", "ack-tcp", "stream", "ack:stream"),
    ] {
        browser.choose("socket-kind", kind).await;
        browser.choose("target-select", server).await;
        browser.fill("message", message).await;
        browser.settle().await;
        let run = Python::run(&browser.text("program-code").await, &[]);
        run.until_printed(expected);
    }

    browser.choose("socket-kind", "udp").await;
    browser.choose("target-select", "hello").await;
    browser.click("console-pause").await;
    browser.until_text("console-state", "paused").await;
    browser.settle().await;
    let run = Python::run(&browser.text("program-code").await, &[]);
    run.until_printed("No reply received in time");
}

#[tokio::test]
async fn the_rust_program_does_what_send_does() {
    let relay = Relay::start(&ANY_PORTS);
    let browser = Browser::start().await;
    browser.open(&relay).await;
    browser.click("program-tab-rust").await;
    let folder = std::env::temp_dir().join(format!("udp-lab-program-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder for the program");
    for (kind, server, expected) in [
        ("udp", "hello", "Hello UDP Client"),
        ("udp-connected", "ack", "ack:Hello UDP Server"),
        ("tcp", "ack-tcp", "ack:Hello UDP Server"),
    ] {
        browser.choose("socket-kind", kind).await;
        browser.choose("target-select", server).await;
        browser.settle().await;
        let source = folder.join(format!("{kind}.rs"));
        let program = folder.join(kind);
        std::fs::write(&source, browser.text("program-code").await).expect("a file");
        let compiled = Command::new("rustc")
            .args(["--edition", "2024", "-D", "warnings", "-o"])
            .args([&program, &source])
            .output()
            .expect("rustc runs");
        assert!(compiled.status.success(), "{}", String::from_utf8_lossy(&compiled.stderr));
        let run = Command::new(&program).output().expect("the program runs");
        let printed = String::from_utf8_lossy(&run.stdout).into_owned();
        assert!(printed.contains(expected), "{kind} printed {printed:?}");
    }
    std::fs::remove_dir_all(&folder).expect("the folder goes");
}

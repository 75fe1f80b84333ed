//! The figures of the README: sizes, times in a real browser, memory. Prints them as a table in
//! Markdown; `cargo xtask measure` puts that into the README. It asserts nothing: machines differ.

#[path = "../tests/browser/mod.rs"]
#[allow(dead_code, reason = "the tests use the rest")]
mod browser;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;

use serde_json::Value;

use browser::{Browser, Relay};

/// Loads of the page, each in a fresh browser.
const LOADS: usize = 5;
/// Datagrams in the burst.
const BURST: u32 = 10_000;
/// Sessions that idle while memory is read.
const SESSIONS: usize = 2_000;
/// Idle raw sessions beside the practice servers need this many open files here and there.
const WITHOUT_LIMITS: [&str; 4] = ["--practice-ports", "any", "--log", "error"];

#[tokio::main(flavor = "current_thread")]
async fn main() {
    // `cargo bench` passes flags of its own, which mean nothing here.
    println!("| what | measured | bound |");
    println!("| --- | --- | --- |");
    sizes();
    loads().await;
    burst().await;
    memory();
    if let Some(folder) = std::env::var_os("SCREENSHOTS") {
        screenshots(Path::new(&folder)).await;
    }
    println!();
    println!("Measured on {}, release build, Chromium headless.", machine());
}

fn row(what: &str, measured: &str, bound: &str) {
    println!("| {what} | {measured} | {bound} |");
}

fn sizes() {
    let relay = Relay::start(&WITHOUT_LIMITS);
    let (wasm, glue) = (gzipped(&relay, "/pkg/web_bg.wasm"), gzipped(&relay, "/pkg/web.js"));
    row(
        "the page's wasm and glue, gzipped",
        &format!("{:.1} KB ({:.1} + {:.1})", kb(wasm + glue), kb(wasm), kb(glue)),
        "120 KB",
    );
    let all = ["/", "/style.css", "/boot.js", "/icon.svg"].map(|path| gzipped(&relay, path));
    let all = all.iter().sum::<usize>() + wasm + glue;
    row("everything a first visit loads, gzipped", &format!("{:.1} KB", kb(all)), "");
}

#[allow(clippy::cast_precision_loss, reason = "sizes far below 2^52")]
fn kb(bytes: usize) -> f64 {
    bytes as f64 / 1000.0
}

/// The bytes of a response's body as it crosses the network.
fn gzipped(relay: &Relay, path: &str) -> usize {
    let mut stream = TcpStream::connect(relay.authority()).expect("the relay listens");
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: {}\r\nAccept-Encoding: gzip\r\nConnection: close\r\n\r\n",
        relay.authority()
    )
    .expect("the relay reads");
    let mut response = Vec::new();
    stream.read_to_end(&mut response).expect("the relay answers");
    assert!(response.starts_with(b"HTTP/1.1 200"), "{path} is there");
    let head = response.windows(4).position(|window| window == b"\r\n\r\n").expect("a head") + 4;
    response.len() - head
}

async fn loads() {
    let mut times = Vec::new();
    for _ in 0..LOADS {
        let relay = Relay::start(&WITHOUT_LIMITS);
        let browser = Browser::start().await;
        browser.open(&relay).await;
        browser.click("send").await;
        browser
            .until("a reply", "return performance.getEntriesByName('first-reply').length > 0")
            .await;
        let time =
            |name: &str| format!("return performance.getEntriesByName('{name}')[0].startTime");
        let read = async |name: &str| -> f64 {
            browser.run(&time(name)).await.as_f64().expect("a mark has a time")
        };
        times.push((
            read("relay-welcome").await,
            read("first-reply").await - read("first-sent").await,
            read("first-reply").await,
        ));
    }
    let median = |pick: fn(&(f64, f64, f64)) -> f64| {
        let mut values: Vec<_> = times.iter().map(pick).collect();
        values.sort_by(f64::total_cmp);
        (values[LOADS / 2], values[0], values[LOADS - 1])
    };
    let show = |(median, least, most): (f64, f64, f64)| {
        format!("{median:.0} ms ({least:.0} to {most:.0}, {LOADS} loads)")
    };
    row("from first load to connected", &show(median(|time| time.0)), "");
    row("from Send to the reply in the page", &show(median(|time| time.1)), "");
    row(
        "from first load to first reply, the driver's own delay before its click included",
        &show(median(|time| time.2)),
        "1,000 ms",
    );
}

async fn burst() {
    let relay = Relay::start(&WITHOUT_LIMITS);
    let browser = Browser::start().await;
    browser.open(&relay).await;
    browser.choose("target-select", "ack").await;
    browser.click("more").await;
    browser.fill("times", &BURST.to_string()).await;
    // The task of typing and of laying the page out anew is not the burst's.
    browser
        .run(
            "window.tasks = []; \
             new PerformanceObserver(list => { \
                 for (const entry of list.getEntries()) window.tasks.push(entry.duration); \
             }).observe({ type: 'longtask' }); \
             window.frames_ms = []; let last = performance.now(); \
             (function frame() { requestAnimationFrame(now => { \
                 window.frames_ms.push(now - last); last = now; frame(); }); })();",
        )
        .await;
    browser.click("send").await;
    browser
        .until(
            "every datagram has its outcome",
            "const count = id => +document.getElementById(id).textContent.replace(/\\D/g, ''); \
             return count('count-sent') === 10000 && \
                 count('count-replies') + count('count-no-reply') + count('count-late') \
                 + count('count-errors') >= 10000",
        )
        .await;
    let number = |value: Value| value.as_f64().expect("a number");
    let long = number(browser.run("return window.tasks.length").await);
    let longest = number(browser.run("return Math.max(0, ...window.tasks)").await);
    let frame = number(browser.run("return Math.max(...window.frames_ms)").await);
    let replies = browser.text("count-replies").await;
    row(
        "main-thread tasks over 50 ms in a burst of 10,000 datagrams and their replies",
        &format!("{long:.0} (longest {longest:.0} ms; {replies})"),
        "none",
    );
    row("longest time between two frames in that burst", &format!("{frame:.0} ms"), "");
}

/// The page as the README shows it, after a reply, after silence and as a server.
async fn screenshots(folder: &Path) {
    std::fs::create_dir_all(folder).expect("the folder for screenshots can be made");
    let relay = Relay::start(&["--log", "error"]);
    let browser = Browser::start().await;
    browser.open(&relay).await;
    browser.click("send").await;
    browser.until_outcome("reply").await;
    for (name, width, height, phone, theme) in [
        ("reply-light", 1280, 720, false, "theme-light"),
        ("reply-dark", 1920, 1080, false, "theme-dark"),
        ("phone-dark", 390, 844, true, "theme-dark"),
    ] {
        browser.size(width, height, phone).await;
        browser.click_label(theme).await;
        browser.run("window.scrollTo(0, 0)").await;
        browser.save(&folder.join(name).with_extension("png")).await;
    }
    browser.size(1280, 720, false).await;
    browser.click_label("theme-light").await;
    browser.click("console-pause").await;
    browser.until_text("console-state", "paused").await;
    browser.click("send").await;
    browser.until_outcome("timeout").await;
    browser.run("window.scrollTo(0, 0)").await;
    browser.save(&folder.join("no-reply.png")).await;
}

fn memory() {
    let relay = Relay::start(&WITHOUT_LIMITS);
    let rest = resident(&relay);
    row("the relay at rest, resident", &format!("{:.1} MB", rest.total / 1000.0), "10 MB");
    for (name, path, bound) in [("raw", "/udp/127.0.0.1/9", "20 KB"), ("lab", "/lab", "")] {
        let relay = Relay::start(&WITHOUT_LIMITS);
        let before = resident(&relay);
        let sessions: Vec<_> = (0..SESSIONS).map(|_| upgrade(&relay, path)).collect();
        let after = resident(&relay);
        #[allow(clippy::cast_precision_loss, reason = "a small number")]
        let each = (after.own - before.own) / SESSIONS as f64;
        drop(sessions);
        row(
            &format!(
                "an idle {name} session: anonymous memory of the process with {SESSIONS} of them, less before, by {SESSIONS}"
            ),
            &format!("{each:.1} KB"),
            bound,
        );
    }
}

/// Kilobytes of a process, from `/proc/…/status`.
struct Resident {
    total: f64,
    own: f64,
}

fn resident(relay: &Relay) -> Resident {
    let status = std::fs::read_to_string(format!("/proc/{}/status", relay.id()))
        .expect("this figure is read from Linux's /proc");
    let kib = |name: &str| -> f64 {
        let line = status.lines().find(|line| line.starts_with(name)).expect("the kernel says it");
        line.split_whitespace().nth(1).and_then(|text| text.parse().ok()).expect("a number")
    };
    Resident { total: kib("VmRSS") * 1.024, own: kib("RssAnon") * 1.024 }
}

fn upgrade(relay: &Relay, path: &str) -> TcpStream {
    let mut stream = TcpStream::connect(relay.authority()).expect("the relay listens");
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\
         Sec-WebSocket-Protocol: udp-lab.v1\r\n\r\n",
        relay.authority()
    )
    .expect("the relay reads");
    let mut head = [0; 12];
    stream.read_exact(&mut head).expect("the relay answers");
    assert_eq!(&head, b"HTTP/1.1 101", "a session begins");
    stream
}

fn machine() -> String {
    let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "))
        .map_or("an unnamed processor", |(_, model)| model);
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    format!("{model}, {cores} cores")
}

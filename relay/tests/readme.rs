//! Every command and every program of the README is run as it stands there, but for ports that
//! other tests may have.

#[allow(dead_code, reason = "the tests of the page use the rest")]
mod browser;
#[path = "page/peers.rs"]
#[allow(dead_code, reason = "the tests of the page use the rest")]
mod peers;

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::json;
use tokio::sync::Mutex;

use browser::{Browser, Relay, wait_for};
use peers::{Python, free_port};

const ANY_PORTS: [&str; 2] = ["--practice-ports", "any"];

/// Some commands build the relay anew, which the other tests run.
static ONE_AT_A_TIME: Mutex<()> = Mutex::const_new(());

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The blocks of the README that are in a language, in order.
fn blocks(language: &str) -> Vec<String> {
    let readme = std::fs::read_to_string(root().join("README.md")).expect("README.md is there");
    let opening = format!("```{language}\n");
    readme
        .split(&opening)
        .skip(1)
        .map(|rest| rest.split("```").next().unwrap_or_default().trim().to_owned())
        .collect()
}

/// A process that is ended when dropped.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts a command of the README in the project's folder.
fn start(command: &str) -> Running {
    let mut words = command.split_whitespace();
    let child = Command::new(words.next().expect("a command"))
        .args(words)
        .current_dir(root())
        // What `cargo test` says of this package is not for the cargo that is started here.
        .env_remove("CARGO_MANIFEST_DIR")
        .env_remove("CARGO_PKG_NAME")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{command}: {error}"));
    Running(child)
}

/// Runs a command to its end and gives what it printed.
fn run(command: &str) -> String {
    let mut running = start(command);
    let stdout = running.0.stdout.take().expect("it is piped");
    let stderr = running.0.stderr.take().expect("it is piped");
    let errors = std::thread::spawn(move || lines(stderr));
    let printed = lines(stdout);
    let status = running.0.wait().expect("it ends");
    let errors = errors.join().expect("the reader ends");
    assert!(status.success(), "{command} ended with {status}\n{printed}\n{errors}");
    printed
}

fn lines(stream: impl std::io::Read) -> String {
    BufReader::new(stream).lines().map_while(Result::ok).map(|line| line + "\n").collect()
}

/// Starts a relay by a command, waits for what it prints, and stops it as Ctrl-C would.
fn serves(command: &str, says: &str) {
    let mut running = start(command);
    let stderr = running.0.stderr.take().expect("it is piped");
    std::thread::spawn(move || lines(stderr));
    let mut stdout = BufReader::new(running.0.stdout.take().expect("it is piped")).lines();
    let mut printed = String::new();
    while !printed.contains("Ctrl-C stops it") {
        let line = stdout.next().and_then(Result::ok);
        let line = line.unwrap_or_else(|| panic!("{command} ended early: {printed}"));
        printed += &(line + "\n");
    }
    assert!(printed.contains(says), "{printed}");
    let pid = rustix::process::Pid::from_child(&running.0);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).expect("it runs");
    let status = running.0.wait().expect("it ends");
    assert!(status.success(), "{command} ended with {status}");
}

/// The lesson's port, or a free one where another program of this machine has it.
fn with_free_port(command: &str, listen: &str, port: u16, separator: &str) -> String {
    let is_free = std::net::TcpListener::bind((listen, port)).is_ok();
    if is_free {
        command.to_owned()
    } else {
        format!("{command} {separator}--listen {listen}:{}", free_port())
    }
}

#[test]
fn each_command_does_what_it_says() {
    let _turn = ONE_AT_A_TIME.blocking_lock();
    for command in blocks("sh") {
        match command.as_str() {
            "cargo xtask run" => {
                serves(
                    &with_free_port(&command, "127.0.0.1", 8080, "-- "),
                    "Open  http://127.0.0.1:",
                );
            }
            // It is running this very test, and it is what CI calls.
            "cargo xtask test" => {
                let ci = std::fs::read_to_string(root().join(".ci/run")).expect(".ci/run is there");
                assert!(ci.ends_with("exec cargo xtask test\n"), "{ci}");
            }
            "cargo xtask build" => {
                assert!(run(&command).contains("target/release/relay"));
            }
            // As it stands there it would change the README that is being tested.
            "cargo xtask measure" => {
                let folder = std::env::temp_dir().join(format!("udp-lab-{}", std::process::id()));
                std::fs::create_dir_all(&folder).expect("a folder for the copy");
                run(&format!("{command} --into {}", folder.display()));
                let copy = std::fs::read_to_string(folder.join("README.md")).expect("a copy");
                assert!(copy.contains("| the relay at rest, resident |"), "{copy}");
                assert!(folder.join("web/screenshots/reply-light.png").is_file());
                std::fs::remove_dir_all(&folder).expect("the folder goes");
            }
            "target/release/relay server ack --port 9990" => {
                let mut server = start(&command);
                let mut printed = BufReader::new(server.0.stdout.take().expect("it is piped"));
                let mut line = String::new();
                printed.read_line(&mut line).expect("the server prints");
                assert!(line.contains("listening"), "{line}");
                let said =
                    run("target/release/relay client 127.0.0.1 9990 hello --timeout 2 --retries 3");
                assert!(said.contains("ack:hello"), "{said}");
            }
            // Run against the server of the command before it.
            "target/release/relay client 127.0.0.1 9990 hello --timeout 2 --retries 3" => {}
            "target/release/relay --listen 0.0.0.0:8080" => {
                let port = with_free_port(&command, "0.0.0.0", 8080, "");
                serves(&port, "anyone on this network");
            }
            other => panic!("no test runs {other:?}"),
        }
    }
}

#[tokio::test]
async fn the_bridge_in_javascript_and_in_python() {
    let _turn = ONE_AT_A_TIME.lock().await;
    let relay = Relay::start(&ANY_PORTS);
    let port = free_port().to_string();
    let server = Python::lesson("ack_server", &[&port]);
    server.until_printed("listening");
    let here = |text: &str| {
        text.replace("127.0.0.1:8080", relay.authority()).replace("/9999", &format!("/{port}"))
    };

    let javascript = blocks("js");
    assert_eq!(javascript.len(), 1);
    let browser = Browser::start().await;
    browser.open(&relay).await;
    let script = format!(
        "window.said = []; const console = {{ log: text => window.said.push(text) }};\n{}",
        here(&javascript[0])
    );
    browser.run(&script).await;
    browser.until("the reply is logged", "return window.said.includes('ack:hello')").await;
    assert_eq!(browser.run("return window.said.length").await, json!(1));

    let python = blocks("python");
    let bridge = python.iter().find(|block| block.contains("websockets")).expect("one is there");
    Python::run(&here(bridge), &[]).until_printed("b'ack:hello'");
}

#[test]
fn the_server_in_python() {
    let _turn = ONE_AT_A_TIME.blocking_lock();
    let python = blocks("python");
    let server = python.iter().find(|block| block.contains("recvfrom")).expect("one is there");
    let port = free_port();
    let _server = Python::run(&server.replace("9000", &port.to_string()), &[]);
    let client = format!("client 127.0.0.1 {port} hello --timeout 1 --retries 9 --backoff 1");
    wait_for("the server answers", || {
        let output = Command::new(env!("CARGO_BIN_EXE_relay"))
            .args(client.split_whitespace())
            .output()
            .expect("the client runs");
        String::from_utf8_lossy(&output.stdout).contains("ack:hello").then_some(())
    });
}

//! A real relay and a real Chromium for tests and figures, both ended when dropped. Nothing here
//! knows what is being tested.

use std::fmt;
use std::io::{BufRead, BufReader, Lines};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use fantoccini::wd::WebDriverCompatibleCommand;
use fantoccini::{Client, ClientBuilder, Locator};
use hyper::Method;
use hyper_util::client::legacy::connect::HttpConnector;
use rustix::process::Pid;
use serde_json::{Value, json};
use url::Url;

/// How long a condition may take to come true, on a machine that is busy with other tests.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
/// Attempts to start a driver.
const DRIVER_STARTS: u32 = 5;
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// A relay of its own, on ports that were free.
pub(crate) struct Relay {
    child: Child,
    /// Where its page is.
    pub(crate) url: String,
}

impl Relay {
    /// Starts one with further arguments.
    pub(crate) fn start(arguments: &[&str]) -> Self {
        Self::start_at("127.0.0.1:0", arguments)
    }

    /// Starts one that listens at `listen`.
    pub(crate) fn start_at(listen: &str, arguments: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_relay"))
            .args(["--listen", listen])
            .args(arguments)
            .stdout(Stdio::piped())
            .spawn()
            .expect("the relay starts");
        let output = Arc::new(Mutex::new(String::new()));
        follow(child.stdout.take().expect("it is piped"), output.clone());
        let url = wait_for("the relay says where to open the page", || {
            let output = output.lock().expect("no reader panicked");
            let (_, rest) = output.split_once("Open  ")?;
            let (url, _) = rest.split_once('\n')?;
            Some(url.trim().to_owned())
        });
        Self { child, url }
    }

    /// The authority it serves under.
    pub(crate) fn authority(&self) -> &str {
        self.url.trim_start_matches("http://")
    }

    /// Its process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Gathers what a program prints, as it prints it.
pub(crate) fn follow(stream: ChildStdout, into: Arc<Mutex<String>>) {
    std::thread::spawn(move || {
        let mut reader = BufReader::new(stream);
        let mut line = String::new();
        while reader.read_line(&mut line).is_ok_and(|bytes| bytes > 0) {
            into.lock().expect("no reader panicked").push_str(&line);
            line.clear();
        }
    });
}

/// Looks until `what` is there.
pub(crate) fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(began.elapsed() < PATIENCE, "not within {PATIENCE:?}: {what}");
        std::thread::sleep(LOOK_EVERY);
    }
}

/// Chromium, driven by its own driver.
pub(crate) struct Browser {
    driver: Child,
    chromium: Option<Pid>,
    /// Kept, so that the driver's words have somewhere to go.
    _output: Lines<BufReader<ChildStdout>>,
    /// The client of the driver.
    pub(crate) client: Client,
}

impl Browser {
    /// Starts a fresh one, without a profile.
    pub(crate) async fn start() -> Self {
        let (driver, port, output) = start_driver();
        let mut options = json!({
            "args": [
                "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic",
                "--no-first-run", "--disable-background-networking", "--disable-component-update",
                "--disable-sync", "--window-size=1280,720", "--hide-scrollbars",
            ],
        });
        if let Ok(chromium) = std::env::var("TEST_CHROMIUM") {
            options["binary"] = json!(chromium);
        }
        let capabilities = json!({
            "goog:chromeOptions": options,
            "goog:loggingPrefs": { "browser": "ALL" },
        });
        let Value::Object(capabilities) = capabilities else { unreachable!("it is an object") };
        let client = ClientBuilder::new(HttpConnector::new())
            .capabilities(capabilities)
            .connect(&format!("http://127.0.0.1:{port}"))
            .await
            .expect("Chromium starts; `cargo xtask test` installs what the tests need");
        let chromium = client
            .capabilities()
            .and_then(|capabilities| capabilities.get("goog:processID")?.as_i64())
            .and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        Self { driver, chromium, _output: output, client }
    }

    /// Opens the page of `relay` and waits until it is connected.
    pub(crate) async fn open(&self, relay: &Relay) {
        self.size(1280, 720, false).await;
        self.client.goto(&relay.url).await.expect("the page loads");
        self.until_connected().await;
    }

    /// Waits until the page says that it is connected to its relay.
    pub(crate) async fn until_connected(&self) {
        self.until(
            "the page is connected",
            "return document.getElementById('connection-state').dataset.state === 'connected'",
        )
        .await;
    }

    /// Sets what the page sees of its screen.
    pub(crate) async fn size(&self, width: u32, height: u32, phone: bool) {
        let metrics = json!({
            "width": width, "height": height, "deviceScaleFactor": 1, "mobile": phone,
        });
        self.devtools("Emulation.setDeviceMetricsOverride", metrics).await;
    }

    /// Calls a method of the browser's own protocol for developers.
    pub(crate) async fn devtools(&self, method: &'static str, parameters: Value) -> Value {
        self.client
            .issue_cmd(DevTools { method, parameters })
            .await
            .unwrap_or_else(|error| panic!("{method}: {error}"))
    }

    /// Saves what the page shows, once what moves has come to rest.
    pub(crate) async fn save(&self, path: &Path) {
        self.until(
            "nothing moves",
            "return document.getAnimations().every(it => it.playState !== 'running' \
                 || it.effect.getTiming().iterations === Infinity)",
        )
        .await;
        let picture = self.client.screenshot().await.expect("a screenshot");
        std::fs::write(path, picture).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }

    /// What the browser's console has said since last asked: errors and refused resources too.
    pub(crate) async fn console(&self) -> Vec<String> {
        let log = self.client.issue_cmd(ConsoleLog).await.expect("the driver keeps a log");
        let entries = log.as_array().cloned().unwrap_or_default();
        entries.iter().filter_map(|entry| entry["message"].as_str().map(str::to_owned)).collect()
    }

    /// Runs a script in the page.
    pub(crate) async fn run(&self, script: &str) -> Value {
        self.client
            .execute(script, Vec::new())
            .await
            .unwrap_or_else(|error| panic!("{script}: {error}"))
    }

    /// Waits until a script returns true.
    pub(crate) async fn until(&self, what: &str, script: &str) {
        let began = Instant::now();
        while self.run(script).await != json!(true) {
            if began.elapsed() > PATIENCE {
                let text = self.run("return document.body.innerText").await;
                panic!("not within {PATIENCE:?}: {what}\n{}", text.as_str().unwrap_or_default());
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Waits until what was done is drawn: two frames.
    pub(crate) async fn settle(&self) {
        let frames = "const done = arguments[0]; \
                      requestAnimationFrame(() => requestAnimationFrame(() => done(true)));";
        self.client.execute_async(frames, Vec::new()).await.expect("the page draws");
    }

    /// The text that a person sees in an element.
    pub(crate) async fn text(&self, id: &str) -> String {
        self.element(id).await.text().await.expect("it has text")
    }

    /// Waits until the element's visible text contains `part`.
    pub(crate) async fn until_text(&self, id: &str, part: &str) {
        let script = format!(
            "return document.getElementById({}).innerText.includes({})",
            json!(id),
            json!(part)
        );
        self.until(&format!("#{id} says {part:?}"), &script).await;
    }

    /// Waits until the element's text, seen or only heard, contains `part`.
    pub(crate) async fn until_text_content(&self, id: &str, part: &str) {
        let script = format!(
            "return document.getElementById({}).textContent.includes({})",
            json!(id),
            json!(part)
        );
        self.until(&format!("#{id} says {part:?}"), &script).await;
    }

    /// Waits until the page shows an outcome in a state.
    pub(crate) async fn until_outcome(&self, state: &str) {
        let script =
            format!("return document.getElementById('outcome').dataset.state === '{state}'");
        self.until(&format!("the outcome is {state}"), &script).await;
    }

    /// Waits until a counter shows a number.
    pub(crate) async fn until_count(&self, id: &str, count: u64) {
        let script = format!(
            "return +document.getElementById('{id}').textContent.replace(/\\D/g, '') === {count}"
        );
        self.until(&format!("#{id} is {count}"), &script).await;
    }

    /// The port that the page listens on, once it does.
    pub(crate) async fn listening_port(&self) -> String {
        self.until(
            "the page listens",
            "return document.getElementById('listen').dataset.action === 'stop' \
                 && /:\\d+/.test(document.getElementById('path-relay-socket').textContent)",
        )
        .await;
        let text = self.text("path-relay-socket").await;
        text.rsplit(':').next().expect("a port").trim().to_owned()
    }

    /// Clicks as a person does: the element must be visible and not covered.
    pub(crate) async fn click(&self, id: &str) {
        let element = self.element(id).await;
        element.click().await.unwrap_or_else(|error| panic!("click on #{id}: {error}"));
    }

    /// Types into an emptied field.
    pub(crate) async fn fill(&self, id: &str, text: &str) {
        let element = self.element(id).await;
        element.clear().await.unwrap_or_else(|error| panic!("clear #{id}: {error}"));
        element.send_keys(text).await.unwrap_or_else(|error| panic!("type into #{id}: {error}"));
    }

    /// Empties a field.
    pub(crate) async fn clear(&self, id: &str) {
        let element = self.element(id).await;
        element.clear().await.unwrap_or_else(|error| panic!("clear #{id}: {error}"));
    }

    /// Clicks the label of a radio button, which is what can be seen of it.
    pub(crate) async fn click_label(&self, id: &str) {
        let label = Locator::XPath(&format!("//label[.//*[@id='{id}']]"));
        let label = self.client.find(label).await.unwrap_or_else(|error| panic!("{id}: {error}"));
        label.click().await.unwrap_or_else(|error| panic!("click on the label of {id}: {error}"));
    }

    /// Presses Tab until an element has the focus.
    pub(crate) async fn tab_to(&self, id: &str) {
        for _ in 0..100 {
            if self.run("return document.activeElement.id").await == json!(id) {
                return;
            }
            self.keys("\u{e004}").await;
        }
        panic!("#{id} is not reached by Tab");
    }

    /// Presses keys, where the focus is.
    pub(crate) async fn keys(&self, keys: &str) {
        let element = self.client.active_element().await.expect("something has the focus");
        element.send_keys(keys).await.unwrap_or_else(|error| panic!("keys: {error}"));
    }

    /// Presses a key with Control held.
    pub(crate) async fn keys_with_control(&self, key: &str) {
        self.keys(&format!("\u{e009}{key}\u{e000}")).await;
    }

    /// Chooses the option of a select by its value.
    pub(crate) async fn choose(&self, id: &str, value: &str) {
        let script = format!(
            "return [...document.getElementById('{id}').options].some(it => it.value === '{value}')"
        );
        self.until(&format!("#{id} offers {value:?}"), &script).await;
        let element = self.element(id).await;
        element
            .select_by_value(value)
            .await
            .unwrap_or_else(|error| panic!("choose {value:?} in #{id}: {error}"));
    }

    async fn element(&self, id: &str) -> fantoccini::elements::Element {
        self.client.find(Locator::Id(id)).await.unwrap_or_else(|error| panic!("#{id}: {error}"))
    }
}

impl Drop for Browser {
    /// The driver would leave its Chromium behind, so that goes first; its children go with it.
    fn drop(&mut self) {
        if let Some(chromium) = self.chromium {
            let _ = rustix::process::kill_process(chromium, rustix::process::Signal::KILL);
        }
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

/// A driver and the port that it found for itself. Between finding and taking the port another
/// driver may take it; then this one ends, and another is tried.
fn start_driver() -> (Child, u16, Lines<BufReader<ChildStdout>>) {
    let program = std::env::var("TEST_CHROMEDRIVER").unwrap_or("chromedriver".into());
    for _ in 0..DRIVER_STARTS {
        let mut driver = Command::new(&program)
            .arg("--port=0")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| {
                panic!("{program}: {error}; `cargo xtask test` installs what the tests need")
            });
        let mut output = BufReader::new(driver.stdout.take().expect("it is piped")).lines();
        let port = output.by_ref().map_while(Result::ok).find_map(|line| {
            let (_, port) = line.split_once("started successfully on port ")?;
            port.trim_end_matches('.').parse().ok()
        });
        if let Some(port) = port {
            return (driver, port, output);
        }
        driver.wait().expect("it has ended");
    }
    panic!("{program} did not say its port in {DRIVER_STARTS} starts");
}

#[derive(Debug)]
struct DevTools {
    method: &'static str,
    parameters: Value,
}

impl WebDriverCompatibleCommand for DevTools {
    fn endpoint(&self, base: &Url, session: Option<&str>) -> Result<Url, url::ParseError> {
        base.join(&format!("session/{}/goog/cdp/execute", session.unwrap_or_default()))
    }

    fn method_and_body(&self, _: &Url) -> (Method, Option<String>) {
        let body = json!({ "cmd": self.method, "params": self.parameters });
        (Method::POST, Some(body.to_string()))
    }
}

#[derive(Debug)]
struct ConsoleLog;

impl WebDriverCompatibleCommand for ConsoleLog {
    fn endpoint(&self, base: &Url, session: Option<&str>) -> Result<Url, url::ParseError> {
        base.join(&format!("session/{}/se/log", session.unwrap_or_default()))
    }

    fn method_and_body(&self, _: &Url) -> (Method, Option<String>) {
        (Method::POST, Some(json!({ "type": "browser" }).to_string()))
    }
}

impl fmt::Debug for Relay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Relay").field("url", &self.url).finish_non_exhaustive()
    }
}

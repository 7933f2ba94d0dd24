//! A real Chromium, driven by its own driver over HTTP.
//!
//! `curl` speaks to it: a client of WebDriver would be a dependency that everybody compiles, for six requests.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Stdio};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use crate::support::{CHROMIUM, run};

/// WebDriver's names of keys.
pub(super) const TAB: &str = "\u{e004}";
pub(super) const ENTER: &str = "\u{e007}";

/// Ended with its driver when it is dropped.
pub(super) struct Browser {
    driver: Child,
    session: String,
    _profile: tempfile::TempDir,
}

/// What a page came to.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) console: Vec<String>,
    pub(super) requests: Vec<String>,
    /// Of all of it, in pixels.
    pub(super) width: u32,
}

impl Browser {
    #[expect(clippy::disallowed_methods, reason = "a test looks at processes from outside")]
    pub(super) fn start() -> Self {
        // What both of them leave behind goes away with it.
        let profile = tempfile::tempdir().unwrap();
        let mut command = std::process::Command::new("chromedriver");
        command.env("TMPDIR", profile.path());
        command.arg("--port=0").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut driver = command.spawn().expect("chromedriver: `cargo xtask test --install` installs it");
        let said = BufReader::new(driver.stdout.take().expect("a pipe"));
        let mut lines = said.lines().map_while(Result::ok);
        let line = lines.find(|line| line.contains("started successfully")).expect("it tells its port");
        let port = line.rsplit(' ').next().unwrap().trim_end_matches('.').to_owned();
        // Its pipe stays open, or it would end by it.
        std::thread::spawn(move || lines.for_each(drop));
        let own = ["--hide-scrollbars".to_owned(), format!("--user-data-dir={}", profile.path().display())];
        let args: Vec<String> = CHROMIUM.map(str::to_owned).into_iter().chain(own).collect();
        let wanted = json!({"capabilities": {"alwaysMatch": {
            "goog:chromeOptions": {"args": args},
            "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"},
        }}});
        let root = format!("http://127.0.0.1:{port}/session");
        let answer = request(&root, &wanted);
        let id = answer["sessionId"].as_str().unwrap_or_else(|| panic!("no browser: {answer}"));
        Self { driver, session: format!("{root}/{id}"), _profile: profile }
    }

    /// Opens a page on a screen of this width, in `light` or `dark`.
    pub(super) fn open(&self, page: &Path, scheme: &str, width: u32) -> Seen {
        self.cdp(
            "Emulation.setDeviceMetricsOverride",
            &json!({"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}),
        );
        let features = json!([{"name": "prefers-color-scheme", "value": scheme}]);
        self.cdp("Emulation.setEmulatedMedia", &json!({"features": features}));
        self.log("browser");
        self.log("performance");
        self.post("url", &json!({"url": format!("file://{}", page.display())}));
        let console = self.log("browser").iter().map(|entry| entry["message"].to_string()).collect();
        let requests = self.log("performance").iter().filter_map(request_of).collect();
        let width = self.ask("document.scrollingElement.scrollWidth").as_u64().unwrap();
        Seen { console, requests, width: u32::try_from(width).unwrap() }
    }

    /// What an expression comes to in the page.
    pub(super) fn ask(&self, expression: &str) -> Value {
        let asked = json!({"expression": expression, "returnByValue": true});
        let answer = self.cdp("Runtime.evaluate", &asked);
        assert!(answer["exceptionDetails"].is_null(), "{expression}: {answer}");
        answer["result"]["value"].clone()
    }

    /// One key, as a person presses it.
    pub(super) fn press(&self, key: &str) {
        let actions = json!([{"type": "keyDown", "value": key}, {"type": "keyUp", "value": key}]);
        self.post("actions", &json!({"actions": [{"type": "key", "id": "keyboard", "actions": actions}]}));
    }

    /// The whole page as a PNG.
    pub(super) fn photograph(&self, file: &Path) {
        let taken = self.cdp("Page.captureScreenshot", &json!({"captureBeyondViewport": true}));
        let png = BASE64_STANDARD.decode(taken["data"].as_str().expect("a picture")).unwrap();
        std::fs::write(file, png).unwrap();
    }

    fn log(&self, kind: &str) -> Vec<Value> {
        self.post("se/log", &json!({"type": kind})).as_array().cloned().unwrap_or_default()
    }

    fn cdp(&self, command: &str, params: &Value) -> Value {
        self.post("goog/cdp/execute", &json!({"cmd": command, "params": params}))
    }

    fn post(&self, path: &str, body: &Value) -> Value {
        request(&format!("{}/{path}", self.session), body)
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        run(
            &["curl", "--silent", "--max-time", "10", "--request", "DELETE", &self.session],
            Path::new("/"),
            &[],
        );
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

fn request(url: &str, body: &Value) -> Value {
    let body = body.to_string();
    let argv =
        ["curl", "--silent", "--show-error", "--max-time", "60", "--noproxy", "*", "--data", &body, url];
    let answer = run(&argv, Path::new("/"), &[]).expect(0);
    let answer: Value =
        serde_json::from_str(&answer.stdout).unwrap_or_else(|error| panic!("{error}: {answer:?}"));
    let value = answer["value"].clone();
    assert!(value["error"].is_null(), "{url} {body}: {value}");
    value
}

/// The address that one line of the performance log asked for.
fn request_of(entry: &Value) -> Option<String> {
    let message: Value = serde_json::from_str(entry["message"].as_str()?).ok()?;
    let event = &message["message"];
    (event["method"] == "Network.requestWillBeSent")
        .then(|| event["params"]["request"]["url"].as_str().unwrap_or_default().to_owned())
}

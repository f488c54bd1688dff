//! Chromium, started with a new profile and always stopped.

use std::path::{Path, PathBuf};
use std::time::Duration;

use chromiumoxide::Browser;
use chromiumoxide::browser::BrowserConfig;
use chromiumoxide::cdp::browser_protocol::target::{CreateBrowserContextParams, CreateTargetParams};
use futures_util::StreamExt;
use tempfile::TempDir;
use tokio::task::JoinHandle;

use super::tab::Tab;
use crate::answer::one_line;
use crate::site::Site;
use crate::symptom::{Fault, Symptom};
use crate::target::{self, Target};

/// Where Chromium and browsers based on it are installed.
const DIRECTORIES: &[&str] = &["/usr/bin", "/usr/local/bin", "/snap/bin", "/opt/google/chrome"];
const NAMES: &[&str] =
    &["chromium", "chromium-browser", "google-chrome-stable", "google-chrome", "chrome", "microsoft-edge"];
/// How long a Chromium may take to close by itself.
const GRACE: Duration = Duration::from_secs(3);

pub(crate) struct Chromium {
    browser: Browser,
    /// Reads Chromium's messages; without it no command gets an answer.
    handler: JoinHandle<()>,
    profile: TempDir,
    timeout: Duration,
}

impl Chromium {
    /// Starts it. The site's host leads to `via`, if the target has one.
    pub(crate) async fn start(target: &Target, options: &target::Browser) -> Result<Self, Fault> {
        let executable = match &options.chromium {
            Some(path) => path.clone(),
            None => installed().ok_or_else(|| fault(Symptom::NoChromium))?,
        };
        if !executable.is_file() {
            return Err(fault(Symptom::NoChromium));
        }
        std::fs::create_dir_all(&options.screenshots)
            .map_err(|error| machine(&format!("{}: {error}", options.screenshots.display())))?;
        let profile = tempfile::Builder::new()
            .prefix("acceptance-")
            .tempdir()
            .map_err(|error| machine(&error.to_string()))?;
        let config = configuration(target, &executable, profile.path())?;
        let (browser, mut events) =
            Browser::launch(config).await.map_err(|error| broken(&error.to_string()))?;
        let handler = tokio::spawn(async move {
            // A message that the library does not know is an error here, and no reason to stop.
            while events.next().await.is_some() {}
        });
        Ok(Self { browser, handler, profile, timeout: target.timeout })
    }

    /// A tab with cookies of its own.
    pub(crate) async fn tab(&self, site: &Site, which: &'static str) -> Result<Tab, Fault> {
        let broken = |error: chromiumoxide::error::CdpError| broken(&error.to_string());
        let context = self
            .browser
            .create_browser_context(CreateBrowserContextParams::default())
            .await
            .map_err(broken)?;
        let blank = CreateTargetParams::builder()
            .url("about:blank")
            .browser_context_id(context)
            .build()
            .map_err(|error| self::broken(&error))?;
        let page = self.browser.new_page(blank).await.map_err(broken)?;
        Tab::new(page, site, which, self.timeout).await
    }

    /// A directory that is removed when Chromium stops.
    pub(crate) fn scratch(&self) -> &Path {
        self.profile.path()
    }

    /// Closes it, kills it if it does not close, and removes its profile.
    pub(crate) async fn stop(mut self) {
        let closed = tokio::time::timeout(GRACE, async {
            let _ = self.browser.close().await;
            let _ = self.browser.wait().await;
        });
        if closed.await.is_err() {
            let _ = self.browser.kill().await;
        }
        self.handler.abort();
        if let Err(error) = self.profile.close() {
            tracing::debug!(%error, "the browser's profile was not removed");
        }
    }
}

fn configuration(target: &Target, executable: &Path, profile: &Path) -> Result<BrowserConfig, Fault> {
    let mut builder = BrowserConfig::builder()
        .chrome_executable(executable)
        .new_headless_mode()
        .user_data_dir(profile)
        .respect_https_errors()
        .window_size(1280, 800)
        .viewport(None)
        .request_timeout(target.timeout)
        .launch_timeout(target.timeout.max(Duration::from_secs(20)))
        .args(["disable-gpu", "disable-quic", "disable-component-update", "disable-dev-shm-usage"]);
    // Chromium refuses to start its sandbox as root.
    if rustix::process::geteuid().is_root() {
        builder = builder.no_sandbox();
    }
    if let Some(via) = target.via {
        if target.url.scheme() != "http" {
            let what = "a browser cannot use plain HTTP for the given address and show an https:// page";
            return Err(broken(what));
        }
        let host = target.url.host_str().unwrap_or_default();
        builder = builder.arg(("host-resolver-rules", format!("MAP {host} {via}").as_str()));
    }
    builder.build().map_err(|error| broken(&error))
}

fn installed() -> Option<PathBuf> {
    let paths = NAMES.iter().flat_map(|name| DIRECTORIES.iter().map(move |dir| Path::new(dir).join(name)));
    paths.into_iter().find(|path| path.is_file())
}

fn fault(symptom: Symptom) -> Fault {
    Fault { during: "Chromium".to_owned(), symptom }
}

fn broken(text: &str) -> Fault {
    fault(Symptom::Browser(one_line(text)))
}

fn machine(text: &str) -> Fault {
    fault(Symptom::Machine(one_line(text)))
}

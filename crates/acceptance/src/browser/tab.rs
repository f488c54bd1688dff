//! One user's tab: waits, clicks and types as a person does, and records the page's errors.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use chromiumoxide::cdp::browser_protocol::dom::SetFileInputFilesParams;
use chromiumoxide::cdp::browser_protocol::input::InsertTextParams;
use chromiumoxide::cdp::browser_protocol::log::{EventEntryAdded, LogEntryLevel, LogEntrySource};
use chromiumoxide::cdp::browser_protocol::page::CaptureScreenshotFormat;
use chromiumoxide::cdp::js_protocol::runtime::{
    ConsoleApiCalledType, EventConsoleApiCalled, EventExceptionThrown,
};
use chromiumoxide::error::CdpError;
use chromiumoxide::page::{Page, ScreenshotParams};
use futures_util::StreamExt;
use serde::de::DeserializeOwned;
use tokio::task::JoinSet;

use crate::answer::one_line;
use crate::site::{Site, trimmed};
use crate::symptom::{Fault, Symptom};

/// The pause between two looks at the page.
const LOOK: Duration = Duration::from_millis(40);
/// Errors and remarks kept at most: a page in a loop must not fill the memory.
const COMPLAINTS: usize = 50;

pub(crate) struct Tab {
    page: Page,
    base: String,
    pub which: &'static str,
    timeout: Duration,
    complaints: Arc<Mutex<Complaints>>,
    /// They read the page's errors, and end with the tab.
    _listeners: JoinSet<()>,
}

/// What the page reported.
#[derive(Debug, Default, Clone)]
pub(crate) struct Complaints {
    /// Failed scripts, violated policies, failures of the server.
    pub errors: Vec<String>,
    /// What may be harmless: refused requests, lines that the page logged as errors.
    pub remarks: Vec<String>,
}

impl Tab {
    pub(super) async fn new(
        page: Page,
        site: &Site,
        which: &'static str,
        timeout: Duration,
    ) -> Result<Self, Fault> {
        let complaints = Arc::new(Mutex::new(Complaints::default()));
        let listeners = listen(&page, &complaints).await.map_err(|error| fault(which, &error))?;
        // The official client first shows a page about its apps, unless this is set.
        let seen = "try { localStorage.setItem('__landingPageSeen__', 'true') } catch {}";
        page.evaluate_on_new_document(seen).await.map_err(|error| fault(which, &error))?;
        let base = trimmed(&site.url);
        Ok(Self { page, base, which, timeout, complaints, _listeners: listeners })
    }

    /// Opens a path of the site.
    pub(crate) async fn open(&self, path: &str) -> Result<(), Fault> {
        let opened = self.page.goto(format!("{}{path}", self.base)).await;
        opened.map(drop).map_err(|error| fault(self.which, &error))
    }

    /// Evaluates the expression repeatedly until it is neither null nor false.
    pub(crate) async fn until<T: DeserializeOwned>(&self, what: &str, script: &str) -> Result<T, Fault> {
        let start = Instant::now();
        loop {
            // While the page is loading, evaluation fails: then it is tried again.
            if let Ok(answer) = self.page.evaluate(script).await
                && let Some(value) = answer.value().filter(|value| !value.is_null() && **value != false)
                && let Ok(value) = serde_json::from_value(value.clone())
            {
                return Ok(value);
            }
            if start.elapsed() >= self.timeout {
                return Err(self.missing(what).await);
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Waits for an element that a person can see.
    pub(crate) async fn visible(&self, selector: &str) -> Result<(), Fault> {
        let script = format!("(() => {{ {FIND} return find({}) !== null; }})()", quoted(selector));
        self.until::<bool>(selector, &script).await.map(drop)
    }

    pub(crate) async fn click(&self, selector: &str) -> Result<(), Fault> {
        self.visible(selector).await?;
        // A selector for two versions may find several elements, so a script marks the right one; the mouse clicks it.
        self.mark(selector).await?;
        self.uncovered(selector).await?;
        let element = self.page.find_element(MARK).await.map_err(|error| fault(self.which, &error))?;
        element.click().await.map(drop).map_err(|error| fault(self.which, &error))
    }

    /// Moves the pointer over an element.
    pub(crate) async fn hover(&self, selector: &str) -> Result<(), Fault> {
        self.visible(selector).await?;
        self.mark(selector).await?;
        self.uncovered(selector).await?;
        let element = self.page.find_element(MARK).await.map_err(|error| fault(self.which, &error))?;
        element.hover().await.map(drop).map_err(|error| fault(self.which, &error))
    }

    /// Replaces the text of a field.
    pub(crate) async fn fill(&self, selector: &str, text: &str) -> Result<(), Fault> {
        self.click(selector).await?;
        let select = format!(
            "(() => {{ {FIND} const e = find({}); e.focus(); e.select?.(); return true; }})()",
            quoted(selector)
        );
        self.until::<bool>(selector, &select).await?;
        let typed = self.page.execute(InsertTextParams::new(text)).await;
        typed.map_err(|error| fault(self.which, &error))?;
        let script =
            format!("(() => {{ {FIND} return find({})?.value === {}; }})()", quoted(selector), quoted(text));
        self.until::<bool>(&format!("{selector} with its text"), &script).await.map(drop)
    }

    /// Presses Enter in a field until the field is empty: an upload may have to end first.
    pub(crate) async fn send(&self, selector: &str) -> Result<(), Fault> {
        let start = Instant::now();
        let script = format!("(() => {{ {FIND} return find({})?.value === ''; }})()", quoted(selector));
        while start.elapsed() < self.timeout {
            let element =
                self.page.find_element(selector).await.map_err(|error| fault(self.which, &error))?;
            element.press_key("Enter").await.map_err(|error| fault(self.which, &error))?;
            for _ in 0..20 {
                let answer = self.page.evaluate(script.as_str()).await;
                if answer.is_ok_and(|answer| answer.value().is_some_and(|value| *value == true)) {
                    return Ok(());
                }
                tokio::time::sleep(LOOK).await;
            }
        }
        Err(self.missing(&format!("{selector} emptied by sending")).await)
    }

    /// Puts a file into a file field, which need not be visible.
    pub(crate) async fn attach(&self, selector: &str, file: &Path) -> Result<(), Fault> {
        let script = format!("document.querySelector({}) !== null", quoted(selector));
        self.until::<bool>(selector, &script).await?;
        let element = self.page.find_element(selector).await.map_err(|error| fault(self.which, &error))?;
        let mut files = SetFileInputFilesParams::new(vec![file.to_string_lossy().into_owned()]);
        files.backend_node_id = Some(element.backend_node_id);
        self.page.execute(files).await.map(drop).map_err(|error| fault(self.which, &error))
    }

    pub(crate) async fn screenshot(&self, path: &Path) -> Result<(), Fault> {
        let png = ScreenshotParams::builder().format(CaptureScreenshotFormat::Png).build();
        let bytes = self.page.screenshot(png).await.map_err(|error| fault(self.which, &error))?;
        tokio::fs::write(path, bytes).await.map_err(|error| Fault {
            during: path.display().to_string(),
            symptom: Symptom::Machine(one_line(&error.to_string())),
        })
    }

    /// The text of an element that a person can see now.
    pub(crate) async fn shown(&self, selector: &str) -> Option<String> {
        let script =
            format!("(() => {{ {FIND} return find({})?.textContent ?? null; }})()", quoted(selector));
        self.page.evaluate(script).await.ok()?.into_value::<Option<String>>().ok()?
    }

    pub(crate) fn complaints(&self) -> Complaints {
        self.complaints.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn mark(&self, selector: &str) -> Result<(), Fault> {
        let script = format!(
            "(() => {{ {FIND} document.querySelector('{MARK}')?.removeAttribute('data-acceptance');
                const e = find({}); e?.setAttribute('data-acceptance', ''); return e !== null; }})()",
            quoted(selector)
        );
        self.until::<bool>(selector, &script).await.map(drop)
    }

    /// Waits until the pointer would reach the marked element, and nothing that lies over it: the official client shows its fields under a
    /// loading screen for a moment.
    async fn uncovered(&self, selector: &str) -> Result<(), Fault> {
        let start = Instant::now();
        loop {
            let over = self.page.evaluate(OVER).await.ok().and_then(|over| over.into_value::<String>().ok());
            match over {
                Some(over) if over.is_empty() => return Ok(()),
                Some(over) if start.elapsed() >= self.timeout => {
                    let seconds = self.timeout.as_secs_f64();
                    let text = format!("`{selector}` lay under `{}` for {seconds} s", one_line(&over));
                    let during = format!("the {} user's page", self.which);
                    return Err(Fault { during, symptom: Symptom::Browser(text) });
                }
                None if start.elapsed() >= self.timeout => return Err(self.missing(selector).await),
                // A page that was drawn anew has an element without the mark.
                None => self.mark(selector).await?,
                Some(_) => {}
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    async fn missing(&self, what: &str) -> Fault {
        let at = self.page.url().await.ok().flatten().unwrap_or_default();
        let complaints = self.complaints();
        let said = complaints
            .errors
            .first()
            .map(|error| format!("; the page reported: {error}"))
            .unwrap_or_default();
        let seconds = self.timeout.as_secs_f64();
        let text = format!("`{what}` did not appear within {seconds} s, at {}{said}", one_line(&at));
        Fault { during: format!("the {} user's page", self.which), symptom: Symptom::Browser(text) }
    }
}

const MARK: &str = "[data-acceptance]";

/// What lies over the middle of the marked element: its id or tag, empty = nothing but a part of itself or its label.
const OVER: &str = "(() => { const e = document.querySelector('[data-acceptance]'); e.scrollIntoView({ block: 'nearest' });
    const box = e.getBoundingClientRect();
    const over = document.elementFromPoint(box.x + box.width / 2, box.y + box.height / 2);
    if (over === null) return 'the edge of the window';
    if (e.contains(over) || over.contains(e) && over.closest('label, a, button') || over.closest('label')?.control === e) return '';
    return over.id ? '#' + over.id : over.tagName.toLowerCase(); })()";

/// The first element of a selector that has a size and is not disabled.
const FIND: &str = "const find = (selector) => [...document.querySelectorAll(selector)]
    .find((e) => !e.disabled && e.getClientRects().length > 0 && getComputedStyle(e).visibility !== 'hidden') ?? null;";

/// The text as a JavaScript string.
pub(super) fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn fault(which: &str, error: &CdpError) -> Fault {
    Fault {
        during: format!("the {which} user's page"),
        symptom: Symptom::Browser(one_line(&error.to_string())),
    }
}

async fn listen(page: &Page, complaints: &Arc<Mutex<Complaints>>) -> Result<JoinSet<()>, CdpError> {
    let mut listeners = JoinSet::new();
    let mut thrown = page.event_listener::<EventExceptionThrown>().await?;
    let mut entries = page.event_listener::<EventEntryAdded>().await?;
    let mut calls = page.event_listener::<EventConsoleApiCalled>().await?;
    page.enable_log().await?;
    page.enable_runtime().await?;
    let book = Arc::clone(complaints);
    listeners.spawn(async move {
        while let Some(event) = thrown.next().await {
            let details = &event.exception_details;
            let more = details.exception.as_ref().and_then(|object| object.description.clone());
            error(&book, &format!("{} {}", details.text, more.unwrap_or_default()));
        }
    });
    let book = Arc::clone(complaints);
    listeners.spawn(async move {
        while let Some(event) = entries.next().await {
            let entry = &event.entry;
            if entry.level != LogEntryLevel::Error {
                continue;
            }
            let text = format!("{} {}", entry.text, entry.url.as_deref().unwrap_or_default());
            // A server without a licence refuses some of the official page's requests: only failures count.
            let failed = entry.source != LogEntrySource::Network || text.contains("status of 5");
            if failed { error(&book, &text) } else { remark(&book, &text) }
        }
    });
    let book = Arc::clone(complaints);
    listeners.spawn(async move {
        while let Some(event) = calls.next().await {
            if event.r#type == ConsoleApiCalledType::Error {
                let words = event.args.iter().filter_map(|arg| {
                    arg.description.clone().or_else(|| arg.value.as_ref().map(ToString::to_string))
                });
                remark(&book, &format!("console: {}", words.collect::<Vec<_>>().join(" ")));
            }
        }
    });
    Ok(listeners)
}

fn error(book: &Mutex<Complaints>, text: &str) {
    keep(&mut book.lock().unwrap_or_else(PoisonError::into_inner).errors, text);
}

fn remark(book: &Mutex<Complaints>, text: &str) {
    keep(&mut book.lock().unwrap_or_else(PoisonError::into_inner).remarks, text);
}

fn keep(list: &mut Vec<String>, text: &str) {
    let text = one_line(text);
    if list.len() < COMPLAINTS && !list.contains(&text) {
        list.push(text);
    }
}

//! The built-in server's web client, in a real Chromium.

use acceptance::{Admin, Browser};
use serde_json::json;

use crate::builtin::{Builtin, administrator, open, passed};
use crate::walk::{note, report};

#[tokio::test(flavor = "multi_thread")]
async fn its_web_client_passes_in_a_browser() {
    for (settings, admin) in [(open(), Admin::None), (json!({}), administrator())] {
        let server = Builtin::start(settings).await;
        let screenshots = tempfile::tempdir().expect("a directory");
        let mut target = server.target();
        target.admin = admin;
        target.browser = Some(Browser { chromium: None, screenshots: screenshots.path().to_owned() });
        let report = report(&target).await;
        passed(&report);
        // A thread that nobody follows yet is not found, as on the official server; nothing else may be refused.
        let remarks = note(&report, "browser-no-errors");
        assert!(remarks.iter().all(|remark| remark.contains("/threads/")), "{}", report.to_markdown());
        server.stop().await;
    }
}

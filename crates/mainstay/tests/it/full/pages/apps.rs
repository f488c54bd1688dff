//! The pages about apps.

use super::Page;

#[test]
fn aws() {
    Page { path: "docs/apps-aws.md", services: "aws", ..Page::default() }.run();
}

#[test]
fn operate() {
    const DEPLOYED: &str = "mainstay apps aws init && mainstay apps deploy hello.zip";
    Page {
        path: "docs/apps-operate.md",
        services: "aws",
        before: &[("mainstay apps list", DEPLOYED), ("mainstay apps undeploy", DEPLOYED)],
        ..Page::default()
    }
    .run();
}

/// The account of AWS is prepared.
const PREPARED: &str = "mainstay apps aws init";

#[test]
fn overview() {
    Page {
        path: "docs/apps.md",
        services: "aws",
        before: &[("mainstay apps deploy", PREPARED)],
        on_another_page: &["mainstay apps deploy hello.zip --to local"],
    }
    .run();
}

#[test]
fn appsctl() {
    // One command of the page removes what the account was prepared with.
    Page {
        path: "docs/apps-appsctl.md",
        services: "aws",
        before: &[
            ("mainstay apps aws clean", "mainstay apps undeploy com.example.hello --yes"),
            ("mainstay apps list", PREPARED),
        ],
        ..Page::default()
    }
    .run();
}

#[test]
fn deployer() {
    Page {
        path: "docs/apps-deployer.md",
        services: "aws",
        before: &[("mainstay apps deployer", PREPARED)],
        ..Page::default()
    }
    .run();
}

#[test]
fn mattermost() {
    Page { path: "docs/apps-mattermost.md", ..Page::default() }.run();
}

/// The bundle of the pages about apps: its function is a shell script.
const HELLO: &str = "python3 \"$FIXTURES/../../../apps/tests/functions/bundle.py\" hello.zip";

#[test]
fn run() {
    Page { path: "docs/apps-run.md", before: &[("mainstay apps", HELLO)], ..Page::default() }.run();
}

#[test]
fn local() {
    const NEXT: &str = "python3 \"$FIXTURES/../../../apps/tests/functions/bundle.py\" hello.zip com.example.hello 1.1.0 && mainstay apps deploy hello.zip --to local";
    Page {
        path: "docs/apps-local.md",
        before: &[("mainstay apps deploy", HELLO), ("mainstay apps rollback", NEXT)],
        ..Page::default()
    }
    .run();
}

#[test]
fn http() {
    Page { path: "docs/apps-http.md", before: &[("mainstay apps", HELLO)], ..Page::default() }.run();
}

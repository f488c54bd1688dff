//! How many calls a bundle with 10 functions and 200 static files costs.

use crate::app::{Account, App};

/// What Mattermost's own tool makes for the same bundle: every file, the role, a call or two for each function (`--update` asks before
/// it updates), the policy (list, versions, document, new version where functions are new), the manifest.
const THEIRS_FIRST: usize = 200 + 1 + 10 + 4 + 1;
const THEIRS_AGAIN: usize = 200 + 1 + 20 + 3 + 1;

#[tokio::test]
async fn an_unchanged_bundle_costs_nine_calls_and_a_change_only_its_own() {
    let account = Account::ready().await;
    let named = |kind: &str, count: usize| -> Vec<(String, Vec<u8>)> {
        (0..count).map(|i| (format!("{kind}-{i}"), format!("{kind} {i}").into_bytes())).collect()
    };
    let mut app = App::new("com.example.big", "1.0.0", &[], &[]);
    app.functions = named("function", 10);
    app.files = named("file", 200);
    let count = async |app: &App| {
        account.proxy.reset(None);
        app.deploy(&account.aws).await.unwrap();
        account.proxy.calls().len()
    };
    let first = count(&app).await;
    let again = count(&app).await;
    app.functions[3].1 = b"changed".to_vec();
    let changed = count(&app).await;
    // Beyond theirs: an archive for each function, the record (3), what is there (8), the check (5), the policy's lease (2) and what
    // the policy says afterwards (2).
    assert!(first <= THEIRS_FIRST + 10 + 20, "{first}");
    // Record, functions, files, manifest, policy and its document; `/ping`, a file, the manifest.
    assert_eq!(again, 9, "{THEIRS_AGAIN} with Mattermost's tool");
    assert!(changed <= 9 + 10, "{changed}");
    println!(
        "first {first} ({THEIRS_FIRST}), unchanged {again} ({THEIRS_AGAIN}), one function {changed} ({THEIRS_AGAIN})"
    );
}

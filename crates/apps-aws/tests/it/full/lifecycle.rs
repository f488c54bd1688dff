//! Deploy, change, roll back, undeploy.

use crate::app::{Account, App, rollback, undeploy};

fn is_writing(call: &str) -> bool {
    let iam_reads = ["GetPolicy", "GetPolicyVersion", "GetCallerIdentity", "GetRole", "ListPolicyVersions"];
    let action = call.split(' ').nth(2).unwrap_or_default();
    !call.starts_with("GET ")
        && !call.starts_with("HEAD ")
        && !call.contains("/invocations")
        && !iam_reads.contains(&action)
}

#[tokio::test]
async fn an_app_is_deployed_changed_rolled_back_and_removed() {
    let account = Account::ready().await;
    let (aws, proxy) = (&account.aws, &account.proxy);
    let empty = account.holds().await;
    let files = [("icon.png", "icon"), ("img/logo big.png", "logo")];
    let mut app =
        App::new("com.example.hello", "1.0.0", &[("main", "code 1"), ("send it", "code 2")], &files);

    let planned = app.plan(aws).await.unwrap();
    assert_eq!(account.holds().await, empty, "a plan changes nothing");
    proxy.reset(None);
    let deployed = app.deploy(aws).await.unwrap();
    assert_eq!(deployed.functions, ["com-example-hello_1-0-0_main", "com-example-hello_1-0-0_send-it"]);
    assert_eq!(deployed.seen.unwrap().ping, "com-example-hello_1-0-0_main answered PONG");
    let writing = proxy.calls().iter().filter(|call| is_writing(call)).count();
    assert_eq!(writing, planned.len(), "{:#?} {:#?}", proxy.calls(), planned);
    let first = account.holds().await;
    let shown = first.join("\n");
    for expected in [
        "object manifests/com.example.hello_1.0.0.json",
        "object static/com.example.hello_1.0.0_app/icon.png",
        "object static/com.example.hello_1.0.0_app/img/logo-big.png",
        "object mainstay/apps/com.example.hello.json",
        "function com-example-hello_1-0-0_send-it",
    ] {
        assert!(shown.contains(expected), "{expected} is not in {shown}");
    }

    proxy.reset(None);
    let deployed = app.deploy(aws).await.unwrap();
    assert_eq!(deployed.changes, 0);
    let calls = proxy.calls();
    assert_eq!(calls.iter().filter(|call| is_writing(call)).count(), 0, "{calls:#?}");
    // Record, functions, files, manifest, policy (2); then the check: a call, a file, the manifest.
    assert!(calls.len() <= 9, "{calls:#?}");

    app.functions[1].1 = b"code 3".to_vec();
    app.handler = "other".into();
    app.files[0].1 = b"new icon".to_vec();
    app.files.remove(1);
    proxy.reset(None);
    app.deploy(aws).await.unwrap();
    let second = account.holds().await.join("\n");
    assert!(!second.contains("static/com.example.hello_1.0.0_app/img/logo-big.png"), "{second}");
    let calls = proxy.calls();
    let code: Vec<_> = calls.iter().filter(|call| call.ends_with("/code")).collect();
    assert_eq!(code.len(), 1, "{calls:#?}");

    let done = rollback(aws, "com.example.hello").await.unwrap();
    assert_eq!(done.current.as_deref(), Some("1.0.0"));
    let without_record = |state: &[String]| -> Vec<String> {
        state.iter().filter(|line| !line.contains("mainstay/apps/com.example.hello.json")).cloned().collect()
    };
    assert_eq!(without_record(&account.holds().await), without_record(&first));
    let error = rollback(aws, "com.example.hello").await.unwrap_err();
    assert!(error.what.contains("nothing to go back to"), "{error}");

    let longer = App::new("com.example.hello2", "1.0.0", &[("main", "x")], &[("a.txt", "a")]);
    longer.deploy(aws).await.unwrap();
    let mut next = app.clone();
    next.version = "1.1.0".into();
    next.deploy(aws).await.unwrap();
    let rows = apps_aws::listed(aws).await.unwrap();
    let rows: Vec<_> =
        rows.iter().map(|row| (row.app_id.as_str(), row.version.as_str(), row.current)).collect();
    assert_eq!(
        rows,
        [
            ("com.example.hello", "1.0.0", false),
            ("com.example.hello", "1.1.0", true),
            ("com.example.hello2", "1.0.0", true)
        ]
    );
    rollback(aws, "com.example.hello").await.unwrap();
    undeploy(aws, "com.example.hello", "1.0.0").await.unwrap();
    let left = account.holds().await;
    assert_eq!(
        left.len(),
        6,
        "only the other app's record, code, manifest, file, function and its line in the policy: {left:#?}"
    );
    assert!(left.iter().all(|line| line.contains("hello2")), "{left:#?}");
    undeploy(aws, "com.example.hello2", "1.0.0").await.unwrap();
    assert_eq!(account.holds().await, empty);
}

#[tokio::test]
async fn an_app_that_does_not_answer_is_taken_back() {
    let account = Account::ready().await;
    let mut app = App::new("com.example.sick", "1.0.0", &[("main", "good")], &[("a.txt", "a")]);
    app.deploy(&account.aws).await.unwrap();
    let before = account.holds().await;
    app.functions[0].1 = b"bad".to_vec();
    app.files[0].1 = b"b".to_vec();
    account.proxy.ping(Some(r#"{"errorMessage":"boom"}"#));
    let error = app.deploy(&account.aws).await.unwrap_err();
    assert_eq!(error.exit, finding::Exit::Undone, "{error}");
    assert!(error.what.contains("boom"), "{error}");
    assert_eq!(account.holds().await, before);
    account.proxy.ping(None);
    app.deploy(&account.aws).await.unwrap();
}

#[tokio::test]
async fn what_is_throttled_is_tried_again() {
    let account = Account::ready().await;
    let app = App::new("com.example.slow", "1.0.0", &[("main", "code")], &[("a.txt", "a")]);
    for at in [0, 7, 12] {
        account.proxy.reset(Some((at, testbed_aws::Fault::Throttled)));
        app.deploy(&account.aws).await.unwrap();
        undeploy(&account.aws, &app.id, &app.version).await.unwrap();
    }
}

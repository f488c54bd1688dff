//! Names that two apps share, what another tool deployed, and another run.

use apps_aws::Options;
use finding::Exit;

use crate::app::{Account, App, BUCKET};

#[tokio::test]
async fn a_name_of_another_app_is_refused_and_nothing_changes() {
    let account = Account::ready().await;
    App::new("com.foo", "1.0.0", &[("main", "code")], &[]).deploy(&account.aws).await.unwrap();
    App::new("under_score", "1", &[("main", "code")], &[("a", "a")]).deploy(&account.aws).await.unwrap();
    let before = account.holds().await;
    let error =
        App::new("com-foo", "1.0.0", &[("main", "other")], &[]).deploy(&account.aws).await.unwrap_err();
    assert_eq!(error.exit, Exit::Refused);
    assert!(error.what.contains("belongs to function `main` of `com.foo` 1.0.0"), "{error}");
    // `under` with the version `score_1` has the same keys, but other functions.
    let error = App::new("under", "score_1", &[("else", "other")], &[("a", "b")])
        .deploy(&account.aws)
        .await
        .unwrap_err();
    assert!(error.what.contains("is the manifest of `under_score` 1"), "{error}");
    assert_eq!(account.holds().await, before);
}

#[tokio::test]
async fn what_another_tool_deployed_is_taken_over_only_if_somebody_says_so() {
    let account = Account::ready().await;
    let app = App::new("com.foo", "1.0.0", &[("main", "code")], &[("a", "a")]);
    app.deploy(&account.aws).await.unwrap();
    // Another tool leaves no record and no tags: take ours away.
    let client = reqwest::Client::new();
    let signed = |service: &str| {
        format!(
            "AWS4-HMAC-SHA256 Credential=test/20260101/eu-central-1/{service}/aws4_request, SignedHeaders=host, Signature=x"
        )
    };
    let record = account.emulator.url(&format!("/{BUCKET}/mainstay/apps/com.foo.json"));
    client.delete(record).header("Authorization", signed("s3")).send().await.unwrap();
    let arn = "arn:aws:lambda:eu-central-1:123456789012:function:com-foo_1-0-0_main";
    let tags = "tagKeys=mainstay:app&tagKeys=mainstay:version&tagKeys=mainstay:function";
    let untag = account.emulator.url(&format!("/2017-03-31/tags/{arn}?{tags}"));
    let untagged = client.delete(untag).header("Authorization", signed("lambda")).send().await.unwrap();
    assert!(untagged.status().is_success());

    let error = app.deploy(&account.aws).await.unwrap_err();
    assert!(error.exit == Exit::Refused && error.hint.unwrap().contains("--adopt"));
    let options = Options { adopt: true, ..Options::default() };
    let deployed = app.deploy_with(&account.aws, options).await.unwrap();
    assert!(deployed.changes > 0);
    assert_eq!(app.deploy(&account.aws).await.unwrap().changes, 0);
}

#[tokio::test]
async fn another_app_of_the_same_id_is_known_by_its_homepage() {
    let account = Account::ready().await;
    let app = App::new("com.foo", "1.0.0", &[("main", "code")], &[]);
    assert_eq!(app.replaces(&account.aws).await, None, "nothing is there");
    app.deploy(&account.aws).await.unwrap();
    let mine = App { version: "1.1.0".into(), ..app.clone() };
    assert_eq!(mine.replaces(&account.aws).await, None);
    for version in ["1.0.0", "2.0.0"] {
        let other = App { version: version.into(), homepage: "https://other.example".into(), ..app.clone() };
        let replaced = other.replaces(&account.aws).await.unwrap();
        assert!(replaced.contains("`App` 1.0.0 (https://example.org)"), "{version}: {replaced}");
    }
}

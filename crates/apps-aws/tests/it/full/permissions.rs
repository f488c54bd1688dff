//! Every call of a deployment, an update, a rollback and a removal is allowed by the policy that the page for operators prints.
//! The emulator checks no permissions of Lambda, so the calls are held against the page.

use std::collections::BTreeSet;

use apps_aws::Options;
use serde_json::Value;

use crate::app::{Account, App, rollback, undeploy};

/// The actions that a call needs: `METHOD URI ACTION`.
fn actions(call: &str) -> Vec<String> {
    let mut parts = call.split(' ');
    let (method, uri, action) = (parts.next().unwrap(), parts.next().unwrap(), parts.next());
    let path = uri.split('?').next().unwrap();
    let lambda = |name: &str| vec![format!("lambda:{name}")];
    let s3 = |name: &str| vec![format!("s3:{name}")];
    match (method, action) {
        (_, Some("GetCallerIdentity")) => Vec::new(),
        (_, Some(action)) => vec![format!("iam:{action}")],
        ("GET", _) if path.trim_end_matches('/').ends_with("/functions") => lambda("ListFunctions"),
        ("POST", _) if path.ends_with("/invocations") => lambda("InvokeFunction"),
        // Lambda takes the role on.
        ("POST", _) if path.ends_with("/functions") => {
            vec!["lambda:CreateFunction".into(), "iam:PassRole".into()]
        }
        ("POST", _) if path.contains("/tags/") => lambda("TagResource"),
        ("PUT", _) if path.ends_with("/code") => lambda("UpdateFunctionCode"),
        ("PUT", _) if path.ends_with("/configuration") => lambda("UpdateFunctionConfiguration"),
        ("GET", _) if path.ends_with("/configuration") => lambda("GetFunctionConfiguration"),
        ("GET", _) if path.contains("/functions/") => lambda("GetFunction"),
        ("DELETE", _) if path.contains("/functions/") => lambda("DeleteFunction"),
        ("GET", _) if uri.contains("list-type=2") => s3("ListBucket"),
        ("GET" | "HEAD", _) => s3("GetObject"),
        ("PUT", _) => s3("PutObject"),
        ("DELETE", _) => s3("DeleteObject"),
        ("POST", _) if uri.contains("?delete") => s3("DeleteObject"),
        _ => panic!("which action is {call}?"),
    }
}

fn of_the_page() -> BTreeSet<String> {
    let page = include_str!("../../../../../docs/apps-aws.md");
    let text = page.split("```json\n").nth(1).unwrap().split("```").next().unwrap();
    let policy: Value = serde_json::from_str(text).unwrap();
    let statements = policy["Statement"].as_array().unwrap();
    let of = |action: &Value| match action {
        Value::Array(list) => list.iter().map(|one| one.as_str().unwrap().to_owned()).collect(),
        one => vec![one.as_str().unwrap().to_owned()],
    };
    statements.iter().flat_map(|statement| of(&statement["Action"])).collect()
}

#[tokio::test]
async fn the_policy_of_the_page_is_enough_to_deploy() {
    let account = Account::ready().await;
    let aws = &account.aws;
    let mut app = App::new(
        "com.example.least",
        "1.0.0",
        &[("main", "code"), ("old", "old")],
        &[("a.txt", "a"), ("b", "b")],
    );
    account.proxy.reset(None);
    // Often enough that a version of the policy must go.
    for round in 0..6 {
        app.deploy(aws).await.unwrap();
        app.functions[0].1 = format!("code {round}").into_bytes();
        app.functions[1].0 = format!("new {round}");
        app.files[0].1 = format!("file {round}").into_bytes();
        app.handler = format!("handler {round}");
        let options = Options { memory: Some(128 + round), ..Options::default() };
        app.deploy_with(aws, options).await.unwrap();
    }
    rollback(aws, &app.id).await.unwrap();
    undeploy(aws, &app.id, "1.0.0").await.unwrap();
    let used: BTreeSet<String> = account.proxy.calls().iter().flat_map(|call| actions(call)).collect();
    let page = of_the_page();
    let lacking: Vec<_> = used.difference(&page).collect();
    assert!(lacking.is_empty(), "the page lacks {lacking:?}");
    // An emulator's function is ready at once, and `--adopt` alone writes tags.
    let idle: Vec<_> = page.difference(&used).collect();
    assert_eq!(idle, ["lambda:GetFunctionConfiguration", "lambda:TagResource"]);
}

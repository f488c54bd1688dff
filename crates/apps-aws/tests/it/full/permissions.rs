//! The policies that the page for operators prints are enough for what it says, hold nothing that is not needed, and a permission that is
//! missing is named. The emulator checks signatures, actions and resources as AWS does: `testbed-aws/moto/strict.py`.

use std::collections::BTreeSet;

use apps_aws::{Aws, Clean, Init, Names, Options, check, handed_over};
use finding::Exit;
use serde_json::Value;

use crate::app::{App, BUCKET, connect, rollback, sdk, undeploy};
use testbed_aws::Emulator;

const PONG: &str = r#"{"statusCode":200,"body":"{\"type\":\"ok\",\"text\":\"PONG\"}"}"#;

/// A function of the emulator is ready at once: nobody has to wait for it.
const IDLE: &str = "lambda:GetFunctionConfiguration";

/// The policies of the page, in its order.
struct Page {
    deploy: Value,
    check: Value,
    prepare: Value,
}

impl Page {
    fn read() -> Self {
        let page = include_str!("../../../../../docs/apps-aws.md");
        let parts = page.split("```json\n").skip(1).map(|part| part.split("```").next().unwrap());
        let texts = parts.map(|text| text.replace("mattermost-apps-bucket", BUCKET));
        let mut policies = texts.map(|text| serde_json::from_str(&text).unwrap());
        let mut next = || policies.next().expect("a policy");
        Self { deploy: next(), check: next(), prepare: next() }
    }
}

fn list(value: &Value) -> Vec<String> {
    match value {
        Value::Array(list) => list.iter().map(|one| one.as_str().unwrap().to_owned()).collect(),
        one => vec![one.as_str().unwrap().to_owned()],
    }
}

fn actions(policy: &Value) -> BTreeSet<String> {
    let statements = policy["Statement"].as_array().unwrap();
    statements.iter().flat_map(|statement| list(&statement["Action"])).collect()
}

/// The policy without an action.
fn without(policy: &Value, action: &str) -> Value {
    let mut policy = policy.clone();
    let statements = policy["Statement"].as_array_mut().unwrap();
    for statement in statements.iter_mut() {
        let left: Vec<String> = list(&statement["Action"]).into_iter().filter(|one| *one != action).collect();
        statement["Action"] = left.into();
    }
    statements.retain(|statement| statement["Action"] != Value::Array(Vec::new()));
    policy
}

/// An account in which these users may do what their policies say.
struct Guarded {
    emulator: Emulator,
}

impl Guarded {
    async fn new() -> Self {
        let emulator = Emulator::strict().await;
        emulator.functions_answer(PONG, 400).await;
        Self { emulator }
    }

    /// The services of AWS for a user with this policy.
    async fn user(&self, name: &str, policy: &Value) -> Aws {
        self.emulator.enforce(false).await;
        let (id, secret) = self.emulator.user(name, policy).await;
        self.emulator.enforce(true).await;
        connect(self.emulator.port, (&id, &secret), 1).await
    }

    async fn allow(&self, name: &str, policy: &Value) {
        self.emulator.enforce(false).await;
        self.emulator.allow(name, policy).await;
        self.emulator.enforce(true).await;
    }

    /// What a user has called.
    fn used(&self, user: &str) -> BTreeSet<String> {
        let checks = self.emulator.checks().into_iter().filter(|check| check.user == user && check.allowed);
        checks.map(|check| check.action).filter(|action| action != "sts:GetCallerIdentity").collect()
    }
}

fn app() -> App {
    let functions = [("main", "code"), ("old", "old")];
    App::new("com.example.least", "1.0.0", &functions, &[("a.txt", "a"), ("b", "b")])
}

#[tokio::test]
async fn the_policies_of_the_page_are_enough_and_hold_nothing_more() {
    let (page, guarded) = (Page::read(), Guarded::new().await);
    let admin = guarded.user("admin", &page.prepare).await;
    let aws = guarded.user("deployer", &page.deploy).await;
    let tester = guarded.user("tester", &page.check).await;
    // A run that is killed before it hands the key over, and the next.
    Init::look(&admin, Names::default(), true).await.unwrap().run(&|_| {}).await.unwrap();
    let key = Init::look(&admin, Names::default(), true).await.unwrap().run(&|_| {}).await;
    handed_over(&admin, &Names::default()).await.unwrap();
    let key = key.unwrap_or_else(|error| panic!("{error} {:#?}", guarded.emulator.checks())).unwrap();
    let mut app = app();
    // Often enough that a version of the policy must go.
    for round in 0..6 {
        app.deploy(&aws).await.unwrap();
        app.functions[0].1 = format!("code {round}").into_bytes();
        app.functions[1].0 = format!("new {round}");
        app.files[0].1 = format!("file {round}").into_bytes();
        app.handler = format!("handler {round}");
        let options = Options { memory: Some(128 + round), ..Options::default() };
        app.deploy_with(&aws, options).await.unwrap();
    }
    assert_eq!(apps_aws::listed(&aws).await.unwrap().len(), 1);
    rollback(&aws, &app.id).await.unwrap();
    let report = check(&tester, &Names::default(), Some(&app.id)).await.unwrap();
    assert!(report.passed(), "{report}");
    the_user_of_mattermost_may_call_and_read(&guarded, (&key.id, &key.secret)).await;
    // While it is deployed nothing is cleaned; what a run that was killed left of its lease does not stop it.
    let deployed = Clean::look(&admin, Names::default(), false).await.err().unwrap();
    assert!(deployed.what.contains("`com.example.least` 1.0.0 is deployed"), "{deployed}");
    undeploy(&aws, &app.id, "1.0.0").await.unwrap();
    guarded.emulator.enforce(false).await;
    let lease = format!("/{BUCKET}/mainstay/policies/left.json");
    assert_eq!(guarded.emulator.s3("PUT", &lease, b"{}".to_vec()).await.0, 200);
    guarded.emulator.enforce(true).await;
    Clean::look(&admin, Names::default(), false).await.unwrap().run(&|_| {}).await.unwrap();

    let idle = |user: &str, policy: &Value| -> Vec<String> {
        let (used, page) = (guarded.used(user), actions(policy));
        assert_eq!(used.difference(&page).next(), None);
        page.difference(&used).cloned().collect()
    };
    assert_eq!(idle("deployer", &page.deploy), [IDLE]);
    assert_eq!(idle("tester", &page.check), [""; 0]);
    assert_eq!(idle("admin", &page.prepare), [""; 0]);
    let refused = guarded.emulator.checks().into_iter().filter(|check| !check.allowed);
    let refused: Vec<_> = refused.filter(|check| check.user != Names::default().user).collect();
    assert!(refused.is_empty(), "{refused:#?}");
}

/// What `apps aws init` gives to a Mattermost server: the functions that are deployed, their manifests and files.
async fn the_user_of_mattermost_may_call_and_read(guarded: &Guarded, key: (&str, &secrecy::SecretString)) {
    use secrecy::ExposeSecret as _;
    let config = sdk(guarded.emulator.port, (key.0, key.1.expose_secret())).await;
    let s3 = aws_sdk_s3::config::Builder::from(&config).force_path_style(true).build();
    let (s3, lambda) = (aws_sdk_s3::Client::from_conf(s3), aws_sdk_lambda::Client::new(&config));
    let get = async |key: &str| s3.get_object().bucket(BUCKET).key(key).send().await.is_ok();
    assert!(get("manifests/com.example.least_1.0.0.json").await);
    assert!(get("static/com.example.least_1.0.0_app/a.txt").await);
    assert!(!get("mainstay/apps/com.example.least.json").await, "the record is not Mattermost's");
    let call = async |name: &str| lambda.invoke().function_name(name).send().await.is_ok();
    assert!(call("com-example-least_1-0-0_main").await);
    assert!(!call("another").await);
    assert!(lambda.list_functions().send().await.is_err());
    assert!(lambda.delete_function().function_name("com-example-least_1-0-0_main").send().await.is_err());
    let put = s3.put_object().bucket(BUCKET).key("manifests/a.json").send().await;
    assert!(put.is_err());
}

/// Each permission of whoever deploys is taken away: what stops names it and the statement to add, and with it the next run converges.
#[tokio::test]
async fn a_permission_that_is_missing_is_named_with_its_statement() {
    let (page, guarded) = (Page::read(), Guarded::new().await);
    let admin = guarded.user("admin", &page.prepare).await;
    Init::look(&admin, Names::default(), false).await.unwrap().run(&|_| {}).await.unwrap();
    let aws = guarded.user("deployer", &page.deploy).await;
    let mut changed = app();
    changed.functions = vec![("main".into(), b"code 2".to_vec()), ("new".into(), b"new".to_vec())];
    changed.files.remove(0);
    changed.handler = "other".into();
    let work = async || {
        app().deploy(&aws).await?;
        // As often as it takes until a version of the policy must go.
        for round in 0..2 {
            changed.deploy_with(&aws, Options { memory: Some(128 + round), ..Options::default() }).await?;
            app().deploy(&aws).await?;
        }
        rollback(&aws, "com.example.least").await?;
        undeploy(&aws, "com.example.least", "1.0.0").await
    };
    for action in actions(&page.deploy).iter().filter(|action| *action != IDLE) {
        guarded.allow("deployer", &without(&page.deploy, action)).await;
        let error = work().await.err().unwrap_or_else(|| panic!("nothing needs {action}"));
        assert!(error.what.contains(&format!("may not call `{action}`")), "{action}: {error}");
        let hint = error.hint.unwrap();
        let statement = format!("\"Action\": \"{action}\", \"Resource\": \"");
        assert!(hint.contains(&statement), "{action}: {hint}");
        // AWS has no resource for the list of all functions.
        let resource = if action == "lambda:ListFunctions" { "\"*\"" } else { "\"arn:aws:" };
        assert!(hint.contains(&format!("\"Resource\": {resource}")), "{action}: {hint}");
        assert!(
            [Exit::NotReady, Exit::Undone, Exit::NeedsYou].contains(&error.exit),
            "{action}: {:?}",
            error.exit
        );
        guarded.allow("deployer", &page.deploy).await;
        work().await.unwrap_or_else(|error| panic!("after {action}: {error}"));
    }
    // Another role than the policy names may not be passed on.
    let options = Options { role: Some("another".into()), ..Options::default() };
    let error = app().deploy_with(&aws, options).await.unwrap_err();
    assert!(error.what.contains("may not call `iam:GetRole`"), "{error}");
    assert!(error.hint.unwrap().contains("\"Resource\": \"arn:aws:iam::123456789012:role/another\""));
}

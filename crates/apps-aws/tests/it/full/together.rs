//! Runs of different apps at once: all change the one invoke policy.

use apps_aws::{Deployment, Holder, Names, Options, Package, Step, Turn};
use finding::Exit;
use futures_util::future::join_all;

use crate::app::{Account, App};

/// As processes that are alive.
fn turn(holder: &Holder) -> Turn<'_> {
    Turn { holder, take_over: false, only_look: false, watch: &|_| {} }
}

async fn deploy(account: &Account, app: &App) {
    let holder = Holder::this_process();
    let package = Package { desired: app.desired(), contents: app };
    let options = Options::default();
    let deployment = Deployment::look(&account.aws, package, options, &turn(&holder)).await.unwrap();
    deployment.run(&turn(&holder)).await.unwrap();
}

async fn undeploy(account: &Account, app: &App) {
    let holder = Holder::this_process();
    let step = Step::undeploy(&account.aws, &app.id, &app.version, &turn(&holder)).await.unwrap();
    step.run(&turn(&holder)).await.unwrap();
}

/// More than there are versions of a policy.
#[tokio::test]
async fn apps_that_are_deployed_at_once_may_all_be_called() {
    let account = Account::ready().await;
    let apps: Vec<App> =
        (0..6).map(|i| App::new(&format!("com.example.app{i}"), "1.0.0", &[("main", "code")], &[])).collect();
    let callable = async || {
        let mut named = Vec::new();
        for app in &apps {
            let report = apps_aws::check(&account.aws, &Names::default(), Some(&app.id)).await.unwrap();
            if report.exit() == Exit::Done {
                named.push(app.id.clone());
            }
        }
        named
    };
    let ids = |apps: &[App]| apps.iter().map(|app| app.id.clone()).collect::<Vec<_>>();
    Box::pin(join_all(apps[..4].iter().map(|app| deploy(&account, app)))).await;
    assert_eq!(callable().await, ids(&apps[..4]));
    let new = join_all(apps[4..].iter().map(|app| deploy(&account, app)));
    let gone = join_all(apps[..2].iter().map(|app| undeploy(&account, app)));
    Box::pin(async { tokio::join!(new, gone) }).await;
    assert_eq!(callable().await, ids(&apps[2..]));
    let held = account.holds().await;
    assert!(!held.iter().any(|line| line.contains("mainstay/policies/")), "{held:#?}");
}

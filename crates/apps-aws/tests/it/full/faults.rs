//! A fault at each call of a deployment and an undeployment: it is undone or said, and the next run converges.

use finding::Exit;

use crate::app::{Account, App, undeploy};
use testbed_aws::Fault;

const FAULTS: [Fault; 5] =
    [Fault::Error, Fault::CutAfter, Fault::KilledBefore, Fault::KilledAfter, Fault::Silence];

fn versions(id: &str) -> (App, App) {
    let first =
        App::new(id, "1.0.0", &[("main", "code 1"), ("old", "old")], &[("a.txt", "a"), ("b.txt", "b")]);
    let mut second =
        App::new(id, "1.0.0", &[("main", "code 2"), ("new", "new")], &[("a.txt", "A"), ("c.txt", "c")]);
    second.handler = "other".into();
    (first, second)
}

/// Without what differs at each run: the record's times, and the lease of a run that was killed.
async fn state(account: &Account) -> Vec<String> {
    account
        .holds()
        .await
        .into_iter()
        .filter(|line| !line.contains(" mainstay/policies/"))
        .map(|line| match line.contains(".json ") && line.contains("mainstay/apps/") {
            true => line.split(' ').take(2).collect::<Vec<_>>().join(" "),
            false => line,
        })
        .collect()
}

/// Which calls are tried: all with `MAINSTAY_TEST_EVERY_FAULT`, otherwise some of each kind.
fn is_tried(at: usize, fault: Fault) -> bool {
    #[expect(clippy::disallowed_methods, reason = "a switch of the developer")]
    let all = std::env::var_os("MAINSTAY_TEST_EVERY_FAULT").is_some();
    let kind = FAULTS.iter().position(|known| *known == fault).unwrap();
    // Silence costs the time until a call counts as unanswered.
    all || if fault == Fault::Silence { at % 12 == 5 } else { at % 4 == kind }
}

#[tokio::test]
async fn a_deployment_converges_after_a_fault_at_each_call() {
    let mut account = Account::ready().await;
    account.aws = crate::app::connect(account.proxy.port, ("test", "test"), 2).await;
    let aws = &account.aws;
    let (first, second) = versions("com.example.fault");
    first.deploy(aws).await.unwrap();
    let before = state(&account).await;
    account.proxy.reset(None);
    second.deploy(aws).await.unwrap();
    let calls = account.proxy.calls().len();
    let after = state(&account).await;
    undeploy(aws, &first.id, "1.0.0").await.unwrap();
    let nothing = state(&account).await;
    for at in 0..calls {
        for fault in FAULTS.into_iter().filter(|fault| is_tried(at, *fault)) {
            account.proxy.reset(None);
            first.deploy(aws).await.unwrap();
            assert_eq!(state(&account).await, before, "{fault:?} at {at}");
            account.proxy.reset(Some((at, fault)));
            let ended = tokio::select! {
                done = second.deploy(aws) => Some(done),
                () = account.proxy.killed.notified() => None,
            };
            let seen = account.proxy.calls();
            let said = ended.map(|ended| ended.err());
            account.proxy.reset(None);
            let now = state(&account).await;
            match &said {
                Some(None) => assert_eq!(now, after, "{fault:?} at {at}: {}", seen[at]),
                Some(Some(error)) if error.exit == Exit::Undone => {
                    assert_eq!(now, before, "{fault:?} at {at}: {}: {error}", seen[at]);
                }
                Some(Some(error)) if error.exit == Exit::NeedsYou => {}
                Some(Some(error)) => assert_eq!(now, before, "{fault:?} at {at}: {}: {error}", seen[at]),
                None => {}
            }
            second
                .deploy(aws)
                .await
                .unwrap_or_else(|error| panic!("{fault:?} at {at}: {}: {error}", seen[at]));
            let now = state(&account).await;
            assert_eq!(now, after, "{fault:?} at {at}: {}: {said:?}", seen[at]);
            undeploy(aws, &first.id, "1.0.0").await.unwrap();
            assert_eq!(state(&account).await, nothing, "{fault:?} at {at}: {}", seen[at]);
        }
    }
}

#[tokio::test]
async fn an_undeployment_converges_after_a_fault_at_each_call() {
    let mut account = Account::ready().await;
    account.aws = crate::app::connect(account.proxy.port, ("test", "test"), 2).await;
    let aws = &account.aws;
    let nothing = state(&account).await;
    let (first, _) = versions("com.example.away");
    first.deploy(aws).await.unwrap();
    account.proxy.reset(None);
    undeploy(aws, &first.id, "1.0.0").await.unwrap();
    let calls = account.proxy.calls().len();
    for at in 0..calls {
        for fault in FAULTS.into_iter().filter(|fault| is_tried(at, *fault)) {
            first.deploy(aws).await.unwrap();
            account.proxy.reset(Some((at, fault)));
            let ended = tokio::select! {
                done = undeploy(aws, &first.id, "1.0.0") => Some(done),
                () = account.proxy.killed.notified() => None,
            };
            account.proxy.reset(None);
            if !matches!(ended, Some(Ok(_)))
                && !state(&account).await.iter().all(|line| nothing.contains(line))
            {
                undeploy(aws, &first.id, "1.0.0")
                    .await
                    .unwrap_or_else(|error| panic!("{fault:?} at {at}: {error}"));
            }
            assert_eq!(state(&account).await, nothing, "{fault:?} at {at}");
        }
    }
}

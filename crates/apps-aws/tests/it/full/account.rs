//! `apps aws init`, `apps aws test` and `apps aws clean`.

use apps_aws::{Clean, Init, Names, check, handed_over};
use finding::Exit;

use crate::app::{Account, App, undeploy};
use testbed_aws::Fault;

#[tokio::test]
async fn an_account_is_prepared_once_and_cleaned() {
    let account = Account::bare(3).await;
    let aws = &account.aws;
    let before = check(aws, &Names::default(), None).await.unwrap();
    assert!(!before.passed());
    let app = App::new("com.example.a", "1", &[("main", "c")], &[]);
    let error = app.deploy(aws).await.unwrap_err();
    assert!(error.hint.unwrap().contains("mainstay apps aws init"), "{}", error.what);

    let init = Init::look(aws, Names::default(), true).await.unwrap();
    assert_eq!(init.calls().len(), 11);
    let key = init.run(&|_| {}).await.unwrap().unwrap();
    assert!(key.id.starts_with("AKIA"), "{}", key.id);
    handed_over(aws, &Names::default()).await.unwrap();
    assert!(Init::look(aws, Names::default(), false).await.unwrap().calls().is_empty());
    let after = check(aws, &Names::default(), None).await.unwrap();
    assert!(after.passed(), "{after}");

    app.deploy(aws).await.unwrap();
    let report = check(aws, &Names::default(), Some("com.example.a")).await.unwrap();
    assert!(report.passed(), "{report}");
    let error = Clean::look(aws, Names::default(), false).await.err().unwrap();
    assert_eq!(error.exit, Exit::Refused, "{error}");
    undeploy(aws, "com.example.a", "1").await.unwrap();
    let clean = Clean::look(aws, Names::default(), false).await.unwrap();
    assert!(clean.stays.is_empty(), "{:?}", clean.stays);
    clean.run(&|_| {}).await.unwrap();
    assert_eq!(Init::look(aws, Names::default(), false).await.unwrap().calls().len(), 10, "nothing is left");
    assert!(Clean::look(aws, Names::default(), false).await.unwrap().calls().is_empty());
}

/// A run that was killed after AWS made the key leaves a key whose secret nobody has: the next run removes it, and no other.
#[tokio::test]
async fn the_key_of_a_killed_run_is_removed_by_the_next() {
    let account = Account::bare(1).await;
    let aws = &account.aws;
    let keys = async || {
        let listed = account.emulator.iam("ListAccessKeys", &[("UserName", &Names::default().user)]).await;
        let ids = listed.split("<AccessKeyId>").skip(1).filter_map(|rest| rest.split('<').next());
        ids.map(str::to_owned).collect::<Vec<_>>()
    };
    let init = async |access_key| {
        Init::look(aws, Names::default(), access_key).await.unwrap().run(&|_| {}).await.unwrap()
    };
    let first = init(true).await.unwrap();
    handed_over(aws, &Names::default()).await.unwrap();
    // Killed before it could say what AWS answered.
    let lost = init(true).await.unwrap();
    assert_eq!(keys().await.len(), 2);
    init(false).await;
    assert_eq!(keys().await, std::slice::from_ref(&first.id), "and not {}", lost.id);
    init(true).await.unwrap();
    let last = init(true).await.unwrap();
    handed_over(aws, &Names::default()).await.unwrap();
    let left = keys().await;
    assert!(left.len() == 2 && left.contains(&first.id) && left.contains(&last.id), "{left:?}");
    assert!(Init::look(aws, Names::default(), false).await.unwrap().calls().is_empty());
}

/// Each call of `init` fails, is cut or is the last before a kill: the next run makes the rest, and no key is left.
#[tokio::test]
async fn init_converges_after_a_fault_at_each_call() {
    let account = Account::bare(2).await;
    let aws = &account.aws;
    let mut at = 0;
    loop {
        let fault = [Fault::Error, Fault::CutAfter, Fault::KilledBefore, Fault::KilledAfter][at % 4];
        account.proxy.reset(Some((at, fault)));
        let run = async {
            let init = Init::look(aws, Names::default(), false).await?;
            init.run(&|_| {}).await
        };
        let met = tokio::select! {
            done = run => done.is_err(),
            () = account.proxy.killed.notified() => true,
        };
        let calls = account.proxy.calls().len();
        account.proxy.reset(None);
        Init::look(aws, Names::default(), false).await.unwrap().run(&|_| {}).await.unwrap();
        assert!(
            Init::look(aws, Names::default(), false).await.unwrap().calls().is_empty(),
            "{fault:?} at {at}"
        );
        Clean::look(aws, Names::default(), false).await.unwrap().run(&|_| {}).await.unwrap();
        if !met && calls <= at {
            break;
        }
        at += 1;
    }
    assert!(at > 15, "{at}");
}

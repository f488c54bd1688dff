//! `apps aws init`, `apps aws test` and `apps aws clean`.

use apps_aws::{Clean, Init, Names, check};
use finding::Exit;

use crate::app::{Account, App, undeploy};
use crate::proxy::Fault;

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

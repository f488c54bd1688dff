//! What AWS refuses for reasons of the account, the credentials, the region or the clock: over the wire, in the form of each service.

use apps::Error;
use apps_aws::{Aws, Init, Names};
use finding::Exit;

use crate::app::{Account, App, connect};
use testbed_aws::Refusal;

/// An account whose calls go through the proxy, each tried twice at most.
async fn account() -> (Account, Aws) {
    let account = Account::ready().await;
    let aws = connect(account.proxy.port, ("test", "test"), 2).await;
    (account, aws)
}

fn app() -> App {
    App::new("com.example.refused", "1.0.0", &[("main", "code")], &[("a.txt", "a")])
}

/// A deployment while each service alone refuses, and all do.
async fn deployed(account: &Account, aws: &Aws, refusal: Refusal) -> Vec<Error> {
    let nothing = account.holds().await;
    let alone = [
        Refusal { iam: None, lambda: None, ..refusal },
        Refusal { s3: None, lambda: None, ..refusal },
        Refusal { s3: None, iam: None, ..refusal },
        refusal,
    ];
    let mut errors = Vec::new();
    for refusal in alone.into_iter().filter(|one| one.s3.or(one.iam).or(one.lambda).is_some()) {
        account.proxy.refuse(Some(refusal));
        errors.push(app().deploy(aws).await.expect_err("it is refused"));
        account.proxy.refuse(None);
        assert_eq!(account.holds().await, nothing, "nothing was begun");
    }
    errors
}

fn said(error: &Error) -> String {
    format!("{} | {}", error.what, error.hint.as_deref().unwrap_or_default())
}

#[tokio::test]
async fn throttling_that_does_not_end() {
    let (account, aws) = account().await;
    let refusal = Refusal {
        s3: Some((503, "SlowDown", "Please reduce your request rate.")),
        iam: Some((400, "Throttling", "Rate exceeded")),
        lambda: Some((429, "TooManyRequestsException", "Rate exceeded")),
        header: None,
    };
    for error in deployed(&account, &aws, refusal).await {
        assert_eq!(error.exit, Exit::NotReady);
        let said = said(&error);
        assert!(said.contains("throttles this account's calls") && said.contains("wait a minute"), "{said}");
    }
}

#[tokio::test]
async fn credentials_that_have_expired() {
    let (account, aws) = account().await;
    let refusal = Refusal {
        s3: Some((400, "ExpiredToken", "The provided token has expired.")),
        iam: Some((403, "ExpiredToken", "The security token included in the request is expired")),
        lambda: Some((403, "ExpiredTokenException", "The security token included in the request is expired")),
        header: None,
    };
    for error in deployed(&account, &aws, refusal).await {
        assert_eq!(error.exit, Exit::NotReady);
        let said = said(&error);
        assert!(said.contains("the credentials have expired") && said.contains("get new ones"), "{said}");
    }
    // The first call of `init` about the bucket is answered without a body.
    account.proxy.refuse(Some(refusal));
    let error = Init::look(&aws, Names::default(), false).await.err().unwrap();
    assert!(error.what.contains("the credentials have expired"), "{error}");
}

#[tokio::test]
async fn a_clock_that_is_wrong() {
    let (account, aws) = account().await;
    let late = "Signature expired: 20261127T081628Z is now earlier than 20261127T083628Z (20261127T084128Z - 5 min.)";
    let early = "Signature not yet current: 20261127T081628Z is still later than 20261127T073628Z (20261127T073128Z + 5 min.)";
    let refusal = Refusal {
        s3: Some((
            403,
            "RequestTimeTooSkewed",
            "The difference between the request time and the current time is too large.",
        )),
        iam: Some((403, "SignatureDoesNotMatch", late)),
        lambda: Some((403, "InvalidSignatureException", early)),
        header: None,
    };
    for error in deployed(&account, &aws, refusal).await {
        assert_eq!(error.exit, Exit::NotReady);
        let said = said(&error);
        assert!(said.contains("this machine's clock is not AWS's") && said.contains("timedatectl"), "{said}");
    }
    account.proxy.refuse(Some(refusal));
    let error = Init::look(&aws, Names::default(), false).await.err().unwrap();
    assert!(error.what.contains("this machine's clock is not AWS's"), "{error}");
}

#[tokio::test]
async fn a_bucket_in_another_region() {
    let (account, aws) = account().await;
    let text = "The bucket you are attempting to access must be addressed using the specified endpoint.";
    let malformed =
        "The authorization header is malformed; the region 'eu-central-1' is wrong; expecting 'ap-south-1'";
    let region = Some(("x-amz-bucket-region", "ap-south-1"));
    for (s3, header) in [
        ((301, "PermanentRedirect", text), region),
        ((400, "AuthorizationHeaderMalformed", malformed), None),
        ((400, "IllegalLocationConstraintException", malformed), region),
    ] {
        let refusal = Refusal { s3: Some(s3), header, ..Refusal::default() };
        for error in deployed(&account, &aws, refusal).await {
            assert_eq!(error.exit, Exit::Settings);
            let said = said(&error);
            assert!(said.contains("the bucket `apps-of-tests` is in `ap-south-1`"), "{said}");
            assert!(said.contains("`--region ap-south-1`"), "{said}");
        }
        account.proxy.refuse(Some(refusal));
        let error = Init::look(&aws, Names::default(), false).await.err().unwrap();
        assert!(error.what.contains("is in `ap-south-1`"), "{error}");
        account.proxy.refuse(None);
    }
}

#[tokio::test]
async fn a_bucket_of_another_account() {
    let account = Account::bare(2).await;
    let init = async || match Init::look(&account.aws, Names::default(), false).await {
        Ok(init) => init.run(&|_| {}).await.map(|_| ()),
        Err(error) => Err(error),
    };
    // It exists, and whether it is another's or a permission is missing, S3 does not say.
    let refusal = Refusal { s3: Some((403, "AccessDenied", "Access Denied")), ..Refusal::default() };
    account.proxy.refuse(Some(refusal));
    let error = init().await.unwrap_err();
    assert_eq!(error.exit, Exit::Refused);
    let text = said(&error);
    assert!(text.contains("exists, and these credentials may not read it"), "{text}");
    assert!(text.contains("another account") && text.contains("s3:ListBucket"), "{text}");
    account.proxy.refuse(None);
    // A name that is taken is said when it is to be made.
    let error = {
        let looked = Init::look(&account.aws, Names::default(), false).await.unwrap();
        let taken = (409, "BucketAlreadyExists", "The requested bucket name is not available.");
        account.proxy.refuse(Some(Refusal { s3: Some(taken), ..Refusal::default() }));
        looked.run(&|_| {}).await.unwrap_err()
    };
    assert_eq!(error.exit, Exit::Refused);
    assert!(error.what.contains("the bucket's name `apps-of-tests` belongs to another account"), "{error}");
}

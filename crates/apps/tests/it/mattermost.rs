//! Installing an app into a Mattermost with the Apps plugin, and into those that cannot have one.

use apps::mattermost::{Host, Mattermost, Wish, plan};
use apps::{AwsLambda, Error, Function, Http, Manifest};
use finding::Exit;

use crate::plugin_host::{Kind, PASSWORD, PluginHost, TOKEN, USER};

const ID: &str = "com.example.app";

fn manifest() -> Manifest {
    let function = Function {
        path: "/".to_owned(),
        name: "main".to_owned(),
        handler: "bootstrap".to_owned(),
        runtime: "provided.al2023".to_owned(),
    };
    Manifest {
        app_id: ID.to_owned(),
        version: "1.0.0".to_owned(),
        homepage_url: "https://example.org".to_owned(),
        display_name: "Example".to_owned(),
        aws_lambda: Some(AwsLambda { functions: vec![function] }),
        http: Some(Http { root_url: "https://example.org/app".to_owned(), use_jwt: false }),
        ..Manifest::default()
    }
}

fn install(manifest: Option<Manifest>, kind: &str) -> Wish {
    Wish::Install { manifest: manifest.map(Box::new), deploy_type: Some(kind.to_owned()), again: false }
}

async fn does(mattermost: &Mattermost, wish: &Wish) -> Result<usize, Error> {
    let change = plan(ID, wish, &mattermost.standing(ID).await?)?;
    for step in &change.steps {
        mattermost.run(ID, step).await?;
    }
    Ok(change.steps.len())
}

async fn ready(aws: bool) -> (PluginHost, Mattermost) {
    let host = PluginHost::start(Kind::Ready, aws).await;
    let mattermost = Mattermost::new(&host.site()).unwrap().with_token(TOKEN.to_owned().into());
    (host, mattermost)
}

#[tokio::test]
async fn the_four_states_are_told_beforehand() {
    let state = async |kind| {
        let host = PluginHost::start(kind, true).await;
        Mattermost::new(&host.site()).unwrap().host().await.unwrap()
    };
    assert!(matches!(state(Kind::Absent).await, Host::Absent { runs_plugins: true, .. }));
    assert!(matches!(state(Kind::FlagOff).await, Host::FlagOff { .. }));
    assert!(matches!(state(Kind::TooOld).await, Host::TooOld { .. }));
    assert!(matches!(state(Kind::Ready).await, Host::Ready { plugin, .. } if plugin == "1.2.2"));
}

#[tokio::test]
async fn an_app_is_listed_installed_disabled_enabled_and_removed() {
    let (host, mattermost) = ready(true).await;
    assert_eq!(does(&mattermost, &install(Some(manifest()), "aws_lambda")).await.unwrap(), 2);
    assert_eq!(host.calls(), ["update-app-listing", "install-app"]);
    let standing = mattermost.standing(ID).await.unwrap();
    // Only the way of deploying it that was asked for is listed.
    assert_eq!(standing.listed.unwrap().deploy_types, ["aws_lambda"]);
    let installed = standing.installed.unwrap();
    assert_eq!(
        (installed.version.as_str(), installed.deploy_type.as_str(), installed.enabled),
        ("1.0.0", "aws_lambda", true)
    );
    // Again: nothing is installed a second time, because that breaks webhooks, and what is listed is not listed again.
    assert_eq!(does(&mattermost, &install(Some(manifest()), "aws_lambda")).await.unwrap(), 0);
    let renamed = Manifest { display_name: "Renamed".to_owned(), ..manifest() };
    assert_eq!(does(&mattermost, &install(Some(renamed), "aws_lambda")).await.unwrap(), 1);
    assert_eq!(does(&mattermost, &install(None, "aws_lambda")).await.unwrap(), 0);
    for (wish, steps, enabled) in [
        (Wish::Disable, 1, Some(false)),
        (Wish::Disable, 0, Some(false)),
        (Wish::Enable, 1, Some(true)),
        (Wish::Enable, 0, Some(true)),
        (Wish::Uninstall, 1, None),
        (Wish::Uninstall, 0, None),
    ] {
        assert_eq!(does(&mattermost, &wish).await.unwrap(), steps, "{wish:?}");
        let installed = mattermost.standing(ID).await.unwrap().installed;
        assert_eq!(installed.map(|app| app.enabled), enabled, "{wish:?}");
    }
    assert!(!format!("{mattermost:?}").contains("hush"));
}

#[tokio::test]
async fn what_the_plugin_refuses_is_shown_with_what_to_do() {
    let (_host, mattermost) = ready(false).await;
    let error =
        does(&mattermost, &install(Some(manifest()), "aws_lambda")).await.expect_err("no credentials");
    assert!(error.what.contains("is not configured on this Mattermost server"), "{error:?}");
    assert!(error.hint.unwrap().contains("MM_APPS_AWS_ACCESS_KEY"));
    let silent = Manifest { display_name: "no ping".to_owned(), ..manifest() };
    let error = does(&mattermost, &install(Some(silent), "http")).await.expect_err("no ping");
    assert!(error.hint.unwrap().contains("POST /ping"));
}

#[tokio::test]
async fn a_token_that_is_none_or_no_administrators_is_told() {
    let (host, _) = ready(true).await;
    let none = Mattermost::new(&host.site()).unwrap();
    let error = none.standing(ID).await.expect_err("no token");
    assert!(error.exit == Exit::Refused && error.hint.unwrap().contains("MM_ADMIN_TOKEN"));
    let user = Mattermost::new(&host.site()).unwrap().with_token(USER.to_owned().into());
    let error = does(&user, &install(Some(manifest()), "http")).await.expect_err("a user");
    assert!(error.exit == Exit::Refused && error.hint.unwrap().contains("system administrator"));
    assert!(!error.what.contains("hush"), "{}", error.what);
}

#[tokio::test]
async fn who_signs_in_signs_out() {
    let (host, _) = ready(true).await;
    let signed_in =
        Mattermost::new(&host.site()).unwrap().sign_in("admin", &PASSWORD.to_owned().into()).await.unwrap();
    does(&signed_in, &install(Some(manifest()), "http")).await.unwrap();
    signed_in.sign_out().await;
    assert_eq!(host.calls(), ["update-app-listing", "install-app", "logout"]);
    let wrong = Mattermost::new(&host.site()).unwrap().sign_in("admin", &"other".to_owned().into()).await;
    assert!(wrong.expect_err("another password").hint.unwrap().contains("--token"));
}

#[tokio::test]
async fn a_server_that_is_no_mattermost_is_told() {
    let host = PluginHost::start(Kind::Ready, true).await;
    let elsewhere: url::Url = format!("http://{}/", host.address).parse().unwrap();
    let error = Mattermost::new(&elsewhere).unwrap().host().await.expect_err("no Mattermost");
    assert!(error.what.contains("does not answer as a Mattermost does (404"), "{}", error.what);
}

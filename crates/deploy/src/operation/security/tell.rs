//! Tells people: by mail over the deployment's mail server, by a webhook of a Mattermost, and by the hook `tell`. What does not reach
//! somebody is a warning and keeps nothing from happening.

use std::time::Duration;

use finding::Unreached;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::json;
use settings::Wanted;
use url::Url;

use super::news::News;
use crate::error::{Error, reason};
use crate::hooks::{self, Told};
use crate::operation::in_force::InForce;
use crate::world::World;

/// How long a webhook may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long the hook may take.
const HOOK: Duration = Duration::from_secs(60);
/// The most bytes of the file with a webhook's address.
const ADDRESS: u64 = 4096;
/// The hook's name.
const TELL: &str = "tell";

/// How it went: how many ways there are, and why some did not work.
pub(super) struct Outcome {
    pub ways: usize,
    pub failures: Vec<String>,
}

/// Tells it in every way that there is.
pub(super) async fn tell(world: &World, wanted: &Wanted, release: &str, news: &News) -> Outcome {
    let mut outcome = Outcome { ways: 0, failures: Vec::new() };
    let mut note = |ended: Result<(), String>| {
        outcome.ways += 1;
        outcome.failures.extend(ended.err());
    };
    if let Some(address) = wanted.get("updates.mail") {
        note(by_mail(world, address, news).await.map_err(|why| format!("mail to {address}: {why}")));
    }
    if let Some(file) = wanted.get("updates.webhook") {
        note(
            by_webhook(&world.layout.root().join(file), news).await.map_err(|why| format!("webhook: {why}")),
        );
    }
    if hooks::exists(&world.layout, TELL) {
        let told = Told {
            old: release.to_owned(),
            new: String::new(),
            reason: news.subject.clone(),
            input: Some(format!("{}\n", news.text)),
        };
        let ran = hooks::run(&world.layout, TELL, told, HOOK, |_| {}).await;
        note(ran.map(drop).map_err(|error| error.what));
    }
    outcome
}

async fn by_mail(world: &World, address: &str, news: &News) -> Result<(), String> {
    let server =
        InForce::read(world).and_then(|in_force| Ok((in_force.mail_server()?, in_force.site_name())));
    let (server, site) = server.map_err(|error: Error| error.what)?;
    let message = mail::Message {
        to: address.to_owned(),
        subject: format!("{site}: {}", news.subject),
        text: format!("{}\n", news.text),
        html: None,
    };
    mail::send(&server, &message).await.map_err(|error| error.to_string())
}

/// The address stands in a file: whoever knows it can post.
async fn by_webhook(file: &std::path::Path, news: &News) -> Result<(), String> {
    let content = host::disk::read_named(file, ADDRESS)
        .map_err(|error| format!("cannot read {}: {}", file.display(), reason(&error)))?;
    let address = SecretString::from(String::from_utf8_lossy(&content).trim().to_owned());
    let url = Url::parse(address.expose_secret()).ok();
    let url =
        url.filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host()).ok_or_else(|| {
            format!(
                "{} holds no address; allowed: one like https://chat.example.com/hooks/...",
                file.display()
            )
        })?;
    let host = url.host_str().unwrap_or_default().to_owned();
    let client =
        reqwest::Client::builder().timeout(PATIENCE).redirect(reqwest::redirect::Policy::none()).no_proxy();
    // Without TLS no authority is asked, and a machine may have none.
    let client = if url.scheme() == "http" { client.tls_certs_only([]) } else { client };
    let client = client.build().map_err(|error| format!("no HTTP client can be made: {error}"))?;
    let text = format!("**{}**\n{}", news.subject, news.text);
    match client.post(url).json(&json!({"username": "Mainstay", "text": text})).send().await {
        Ok(answer) if answer.status().is_success() => Ok(()),
        Ok(answer) => Err(format!("{host} answered {}", answer.status())),
        Err(error) if error.is_timeout() => {
            Err(format!("{host} did not answer within {} s", PATIENCE.as_secs()))
        }
        Err(error) => Err(format!("{host} was not reached: {}", Unreached::of(&error, None))),
    }
}

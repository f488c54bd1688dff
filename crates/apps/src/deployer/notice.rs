//! What is said in Mattermost about a bundle, over incoming webhooks.

use std::fmt::Write as _;
use std::time::Duration;

use finding::Unreached;
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use url::Url;

use super::Deployed;

/// How long a webhook may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// The most characters of a value.
const LONGEST: usize = 500;

/// Something to say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Notice {
    /// The object's key.
    pub(super) bundle: String,
    /// The environment.
    pub(super) environment: String,
    /// The app that was deployed.
    pub(super) app: Option<Deployed>,
    /// Why it was not.
    pub(super) failure: Option<String>,
}

/// Where it is said. The address of a webhook is a secret: whoever knows it can post.
#[derive(Debug, Clone, Default)]
pub struct Hooks {
    /// For what was deployed.
    pub notifications: Option<SecretString>,
    /// For what failed.
    pub alerts: Option<SecretString>,
}

impl Hooks {
    /// Whether each address is one.
    ///
    /// # Errors
    /// Which one is not.
    pub fn check(&self) -> Result<(), String> {
        for (name, hook) in [("notifications", &self.notifications), ("alerts", &self.alerts)] {
            let Some(hook) = hook else { continue };
            let url = Url::parse(hook.expose_secret()).ok();
            if !url.is_some_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host()) {
                return Err(format!(
                    "the webhook for {name} is not a URL; it must look like https://chat.example.com/hooks/..."
                ));
            }
        }
        Ok(())
    }

    /// Says it. `Err`: it was not heard, and why; without the address.
    pub(super) async fn say(&self, notice: &Notice) -> Result<(), String> {
        let hook = if notice.failure.is_some() { &self.alerts } else { &self.notifications };
        let Some(hook) = hook else { return Ok(()) };
        let url = Url::parse(hook.expose_secret()).map_err(|_| "the webhook is not a URL".to_owned())?;
        let host = url.host_str().unwrap_or_default().to_owned();
        let client = reqwest::Client::builder().timeout(PATIENCE).redirect(reqwest::redirect::Policy::none());
        let client = if url.scheme() == "http" { client.tls_certs_only([]) } else { client };
        let client = client.build().map_err(|error| format!("no HTTP client can be made: {error}"))?;
        let answer = client.post(url).json(&message(notice)).send().await;
        match answer {
            Ok(answer) if answer.status().is_success() => Ok(()),
            Ok(answer) => Err(format!("the webhook on {host} answered {}", answer.status())),
            Err(error) if error.is_timeout() => {
                Err(format!("the webhook on {host} did not answer within 10 s"))
            }
            Err(error) => {
                Err(format!("the webhook on {host} was not reached: {}", Unreached::of(&error, None)))
            }
        }
    }
}

const GREEN: &str = "#2ca44e";
const RED: &str = "#c52626";

/// The message, as Mattermost's webhooks take it.
fn message(notice: &Notice) -> Value {
    let field = |title: &str, value: String| json!({"short": true, "title": title, "value": value});
    let mut fields = Vec::new();
    if let Some(app) = &notice.app {
        let name = if app.display_name.is_empty() { &app.app_id } else { &app.display_name };
        let link = Url::parse(&app.homepage_url).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
        let name = match link {
            // A URL's own text has no spaces; parentheses would end the link.
            Some(url) => {
                format!("[{}]({})", plain(name), url.as_str().replace('(', "%28").replace(')', "%29"))
            }
            None => plain(name),
        };
        fields.push(field("Name", name));
        fields.push(field("ID", plain(&app.app_id)));
        fields.push(field("Version", plain(&app.version)));
    }
    fields.push(field("Bundle", plain(&notice.bundle)));
    fields.push(field("Environment", plain(&notice.environment)));
    let (title, colour) = match notice.failure {
        None => ("App deployed", GREEN),
        Some(_) => ("App not deployed", RED),
    };
    let mut attachment = json!({
        "fallback": format!("{title}: {}", notice.bundle),
        "color": colour,
        "title": title,
        "fields": fields,
    });
    if let Some(failure) = &notice.failure {
        attachment["text"] = plain(failure).into();
    }
    json!({"username": "Mainstay", "attachments": [attachment]})
}

/// Text that Mattermost shows as it is: names come from bundles that anybody may have made.
fn plain(text: &str) -> String {
    let mut shown = String::new();
    for letter in text.chars().take(LONGEST) {
        match letter {
            letter if letter.is_control() => shown.push(' '),
            // A mention begins with it; an invisible space after it makes it text.
            '@' => shown.push_str("@\u{200b}"),
            '\\' | '`' | '*' | '_' | '[' | ']' | '(' | ')' | '<' | '>' | '#' | '|' | '~' | '!' => {
                // Writing to a string cannot fail.
                let _ = write!(shown, "\\{letter}");
            }
            letter => shown.push(letter),
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notice() -> Notice {
        Notice {
            bundle: "team/app.zip".to_owned(),
            environment: "production".to_owned(),
            app: Some(Deployed {
                app_id: "com.example.app".to_owned(),
                version: "1.0.0".to_owned(),
                display_name: "Example](https://evil) @channel".to_owned(),
                homepage_url: "https://example.org/a(b)".to_owned(),
            }),
            failure: None,
        }
    }

    #[test]
    fn success_is_green_and_failure_red() {
        let good = message(&notice());
        assert_eq!(good["attachments"][0]["color"], GREEN);
        assert_eq!(
            good["attachments"][0]["fields"][0]["value"],
            "[Example\\]\\(https://evil\\) @\u{200b}channel](https://example.org/a%28b%29)"
        );
        let titles: Vec<_> = good["attachments"][0]["fields"]
            .as_array()
            .expect("fields")
            .iter()
            .map(|field| field["title"].clone())
            .collect();
        assert_eq!(titles, ["Name", "ID", "Version", "Bundle", "Environment"]);
        let bad = message(&Notice { app: None, failure: Some("no `manifest.json`".to_owned()), ..notice() });
        assert_eq!(bad["attachments"][0]["color"], RED);
        assert_eq!(bad["attachments"][0]["text"], "no \\`manifest.json\\`");
    }

    #[tokio::test]
    async fn the_address_of_a_webhook_is_not_shown() {
        let hooks =
            Hooks { notifications: Some("http://127.0.0.1:9/hooks/hush".to_owned().into()), alerts: None };
        let why = hooks.say(&notice()).await.expect_err("nothing listens on the port of the discard service");
        assert!(!why.contains("hush") && why.contains("127.0.0.1"), "{why}");
        let odd = Hooks { alerts: Some("hush".to_owned().into()), notifications: None };
        assert!(!odd.check().expect_err("no URL").contains("hush"));
    }
}

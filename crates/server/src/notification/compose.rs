//! What a notification says.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::rule::Why;
use crate::app::App;
use crate::bounds::QUOTED;
use crate::id::Id;
use crate::mail::{Draft, Mailer, Notice, Quote, Words, fill};
use crate::model::{Team, User};

/// A notification for one account.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Told {
    /// When the post was written, in milliseconds since the epoch.
    pub(super) at: i64,
    pub(super) channel: Id,
    pub(super) subject: String,
    pub(super) quote: Quote,
    pub(super) url: String,
}

impl Told {
    /// A post, in the words of whoever is told.
    pub(super) fn new(
        app: &App,
        mail: &Mailer,
        notice: &Notice,
        team: Option<&Team>,
        user: &User,
        why: Why,
    ) -> Told {
        let words = mail.words(&user.locale);
        let config = &app.config.email;
        let of_team = team
            .map(|team| team.display_name.as_str())
            .filter(|_| !config.use_channel_in_email_notifications);
        let sender = format!("@{}", notice.sender.username);
        let values = [
            ("site", mail.site_name()),
            ("sender", sender.as_str()),
            ("place", of_team.unwrap_or(&notice.channel.display_name)),
        ];
        let in_channel = [values[0], values[1], ("place", notice.channel.display_name.as_str())];
        let (subject, head) = match why {
            Why::Direct => (words.direct_subject, words.direct_line),
            Why::Mention => (words.mention_subject, words.mention_line),
            Why::Reply => (words.reply_subject, words.reply_line),
        };
        let shows_all = config.email_notification_contents_type != "generic";
        let place = team.map_or("_redirect", |team| team.name.as_str());
        Told {
            at: notice.post.create_at,
            channel: notice.channel.id,
            subject: fill(if shows_all { subject } else { words.generic_subject }, &values),
            quote: Quote {
                head: format!("{} · {}", fill(head, &in_channel), time(notice.post.create_at, user)),
                body: if shows_all { body(notice, words) } else { String::new() },
                link: None,
            },
            url: mail.link(&format!("/{place}/pl/{}", notice.post.id)),
        }
    }
}

impl Told {
    /// The memory that it takes, about.
    pub(super) fn bytes(&self) -> usize {
        size_of::<Told>()
            + self.subject.len()
            + self.quote.head.len()
            + self.quote.body.len()
            + self.url.len()
    }
}

/// The message, and the names of its files.
fn body(notice: &Notice, words: &Words) -> String {
    let files: Vec<&str> = notice.post.metadata.files.iter().map(|file| file.name.as_str()).collect();
    let files = files.join(", ");
    let mut message: String = notice.post.message.chars().take(QUOTED).collect();
    if message.len() < notice.post.message.len() {
        message.push('…');
    }
    let parts = [message, fill(words.files, &[("names", &files)])];
    let parts = parts.iter().take(if files.is_empty() { 1 } else { 2 });
    parts.filter(|part| !part.is_empty()).cloned().collect::<Vec<_>>().join("\n")
}

/// A time where somebody is, as far as their account says.
fn time(at: i64, user: &User) -> String {
    let setting = |name: &str| user.timezone.get(name).map_or("", String::as_str);
    let name = match setting("useAutomaticTimezone") {
        "false" => setting("manualTimezone"),
        _ => setting("automaticTimezone"),
    };
    let zone = TimeZone::get(name).unwrap_or(TimeZone::UTC);
    let time = Timestamp::from_millisecond(at).unwrap_or(Timestamp::UNIX_EPOCH).to_zoned(zone);
    time.strftime("%Y-%m-%d %H:%M %Z").to_string()
}

/// A mail with these notifications, of which there is at least one.
pub(super) fn draft(words: &Words, site_name: &str, user: &User, told: &[Told]) -> Draft {
    let link = |one: &Told| (words.read_button.to_owned(), one.url.clone());
    let lines = vec![fill(words.hello, &[("name", &user.username)])];
    let notes = vec![words.why.to_owned()];
    match told {
        [one] => Draft {
            subject: one.subject.clone(),
            lines,
            quotes: vec![one.quote.clone()],
            button: Some(link(one)),
            notes,
        },
        several => Draft {
            subject: fill(
                words.several_subject,
                &[("site", site_name), ("count", &several.len().to_string())],
            ),
            lines,
            quotes: several.iter().map(|one| Quote { link: Some(link(one)), ..one.quote.clone() }).collect(),
            button: None,
            notes,
        },
    }
}

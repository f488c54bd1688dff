//! Posts told by mail: to whom they concern, and who is away. One task decides and gathers, so that a post's own request waits for nothing.

mod batch;
mod compose;
mod rule;

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::sync::mpsc;

use crate::app::App;
use crate::clock;
use crate::error::Result;
use crate::id::Id;
use crate::mail::{Lane, Notice};
use crate::model::{ChannelKind, User};
use crate::presence;
use batch::Batches;
use compose::Told;
use rule::{Recipient, Why};

/// The preference of how long notifications are gathered.
const INTERVAL: (&str, &str) = ("notifications", "email_interval");

/// Seconds for which notifications are gathered where nobody says otherwise: Mattermost's 15 minutes.
const DEFAULT_INTERVAL: i64 = 900;

/// Seconds up to which a choice means "at once".
const AT_ONCE: i64 = 30;

/// Sends notifications until the server stops; then sends what was gathered.
pub(crate) async fn run(app: App, mut notices: mpsc::Receiver<Notice>) {
    let mut batches = Batches::default();
    let pause = Duration::from_secs(app.config.email.email_batching_interval.unsigned_abs());
    let mut tick = tokio::time::interval(pause);
    loop {
        tokio::select! {
            Some(notice) = notices.recv() => tell(&app, &mut batches, notice).await,
            _ = tick.tick() => send_due(&app, &mut batches).await,
            () = app.stop.cancelled() => break,
        }
    }
    while let Ok(notice) = notices.try_recv() {
        tell(&app, &mut batches, notice).await;
    }
    for (user, told) in batches.take_all() {
        send_batch(&app, user, told).await;
    }
}

/// Tells everybody whom a post concerns.
async fn tell(app: &App, batches: &mut Batches, notice: Notice) {
    let post = notice.post.id;
    if let Err(error) = tell_each(app, batches, &notice).await {
        tracing::warn!(%post, detail = error.detail_text(), "nobody was told of a post by mail");
    }
}

async fn tell_each(app: &App, batches: &mut Batches, notice: &Notice) -> Result<()> {
    let Some(mail) = &app.mail else { return Ok(()) };
    let mut concerned: BTreeMap<Id, Why> = notice.followers.iter().map(|user| (*user, Why::Reply)).collect();
    let named = if notice.channel.kind() == ChannelKind::Direct { Why::Direct } else { Why::Mention };
    concerned.extend(notice.mentions.iter().map(|user| (*user, named)));
    concerned.remove(&notice.sender.id);
    let ids: Vec<Id> = concerned.keys().copied().collect();
    if ids.is_empty() {
        return Ok(());
    }
    let statuses = presence::of(app, &ids).await?;
    let team = app.store.team(notice.channel.team_id).await?;
    for user in app.store.users_by_ids(&ids).await? {
        let Some(why) = concerned.get(&user.id).copied() else { continue };
        let member = app.store.channel_member(notice.channel.id, user.id).await?;
        let recipient = Recipient {
            user: &user,
            in_channel: member.as_ref().map(|member| &*member.notify_props),
            status: statuses
                .iter()
                .find(|one| one.user_id == user.id)
                .map_or("offline", |one| one.status.as_str()),
            why,
            is_reply: !notice.post.root_id.is_none(),
        };
        if !rule::is_told(&app.config, &recipient) {
            continue;
        }
        let told = Told::new(app, mail, notice, team.as_deref(), &user, why);
        match interval(app, user.id).await? {
            None => send(app, &user, &[told]),
            Some(_) => {
                let most = usize::try_from(app.config.email.email_batching_buffer_size).unwrap_or(usize::MAX);
                if let Some(full) = batches.add(user.id, told, most) {
                    send(app, &user, &full);
                }
            }
        }
    }
    Ok(())
}

/// For how many seconds somebody's notifications are gathered; `None` = they are sent at once.
async fn interval(app: &App, user: Id) -> Result<Option<i64>> {
    if !app.config.email.enable_email_batching {
        return Ok(None);
    }
    let chosen = app.store.preferences(user, INTERVAL.0, INTERVAL.1).await?;
    let seconds = chosen.first().and_then(|one| one.value.parse().ok()).unwrap_or(DEFAULT_INTERVAL);
    Ok(Some(seconds).filter(|seconds| *seconds > AT_ONCE))
}

/// Sends each batch whose time has come.
async fn send_due(app: &App, batches: &mut Batches) {
    for user in batches.users() {
        let seconds = interval(app, user).await.ok().flatten().unwrap_or(0);
        if let Some(told) = batches.take_due(user, seconds, clock::now()) {
            send_batch(app, user, told).await;
        }
    }
}

/// Sends what was gathered for somebody, without what they have read meanwhile.
async fn send_batch(app: &App, user: Id, told: Vec<Told>) {
    let mut unread = Vec::new();
    for one in told {
        let seen = app.store.channel_member_with_counters(one.channel, user).await;
        // Where the database does not answer, a mail too many is better than one too few.
        let read = matches!(&seen, Ok(member) if member.as_ref().is_none_or(|member| member.last_viewed_at >= one.at));
        if !read {
            unread.push(one);
        }
    }
    let account = app.store.user(user).await.ok().flatten().filter(|user| user.delete_at == 0);
    if let (Some(user), false) = (account, unread.is_empty()) {
        send(app, &user, &unread);
    }
}

fn send(app: &App, user: &User, told: &[Told]) {
    let Some(mail) = &app.mail else { return };
    let words = mail.words(&user.locale);
    let draft = compose::draft(words, mail.site_name(), user, told);
    mail.post(Lane::Bulk, "notification", &user.email, words, &draft);
}

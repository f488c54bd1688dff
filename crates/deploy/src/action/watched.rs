//! A migration that is watched while it runs: what it logs, which tables it locks, and what keeps it. It has no limit of time; one that
//! does nothing at all for long is ended, so that people do not wait for it all night.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use database::{Holder, Longest, Session, Snapshot, Waits, Watcher};
use dsn::Server;
use host::Tool;
use host::tool::NO_LIMIT;
use jiff::SignedDuration;
use plan::Progress;
use serde_json::{Value, json};

use crate::error::{Error, Exit};

/// How often the database is looked at. A lock that is held for less is not seen.
const LOOK: Duration = Duration::from_millis(100);

/// How long one look may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// How often it is said what the migration is at.
const SAID: Duration = Duration::from_secs(30);

/// How long it may do nothing: no processor time, no reading or writing, no line of its log, no statement that runs.
const STILL: Duration = Duration::from_secs(600);

/// Characters of a log line that are shown.
const LINE: usize = 160;

/// Runs a release's migration to its end. `server` = where the data is, if it is on a server. Dropping the future ends the migration.
///
/// # Errors
/// It cannot be started; it fails; it does nothing for long.
pub(super) async fn run(
    call: &release::Call,
    user: Option<&host::User>,
    server: Option<&Server>,
    progress: &Progress,
) -> Result<Value, Error> {
    // It only sees sessions that begin after it. Without it the migration runs as well.
    let mut watcher = match server {
        Some(server) => Watcher::begin(server, PATIENCE).await.ok().flatten(),
        None => None,
    };
    let (group, lines) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU64::new(0)));
    let (told, counted, said) = (Arc::clone(&group), Arc::clone(&lines), progress.clone());
    let tool = Tool::new(&call.program, NO_LIMIT).args(&call.args).envs(call.env.clone()).cwd(&call.cwd);
    let tool = tool.user(user.cloned()).on_start(move |pid| told.store(pid, Ordering::Release));
    let tool = tool.on_line(move |line| {
        counted.fetch_add(1, Ordering::Relaxed);
        if let Some(text) = shown(line) {
            said.say(text);
        }
    });
    let began = Instant::now();
    let mut watch = Watch::new(began);
    let mut running = std::pin::pin!(tool.run());
    let mut ticks = tokio::time::interval(LOOK);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let (mut looks, mut used) = (0, 0);
    loop {
        tokio::select! {
            biased;
            ended = &mut running => {
                ended?;
                break;
            }
            _ = ticks.tick() => {}
        }
        let seen = match &mut watcher {
            Some(watcher) => tokio::time::timeout(PATIENCE, watcher.look()).await.ok().and_then(Result::ok),
            None => None,
        };
        // It reads all of /proc.
        if looks % 10 == 0 {
            used = host::process::used_by_group(group.load(Ordering::Acquire));
        }
        looks += 1;
        watch.see(Instant::now(), used.wrapping_add(lines.load(Ordering::Relaxed)), seen);
        if let Some(text) = watch.word(Instant::now()) {
            progress.waits(text, began.elapsed());
        }
        if watch.still(Instant::now()) >= STILL {
            return Err(watch.given_up(Instant::now()));
        }
    }
    if let Some(watcher) = watcher {
        watcher.end().await;
    }
    let ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    Ok(json!({ "ms": ms, "watched": server.is_some(), "longest_lock": watch.longest.held() }))
}

/// A line of the server's log as a person reads it: of a JSON line the message.
fn shown(line: &str) -> Option<String> {
    let message = match serde_json::from_str::<Value>(line.trim()) {
        Ok(Value::Object(fields)) => fields.get("msg").and_then(Value::as_str).map(str::to_owned),
        _ => Some(line.to_owned()),
    };
    message.map(|text| finding::one_line(&text, LINE)).filter(|text| !text.is_empty())
}

/// What is known of a migration that runs.
struct Watch {
    began: Instant,
    /// When it last did something.
    moved: Instant,
    said: Instant,
    used: u64,
    seen: Snapshot,
    longest: Longest,
}

impl Watch {
    fn new(began: Instant) -> Self {
        let (seen, longest) = Default::default();
        Self { began, moved: began, said: began, used: 0, seen, longest }
    }

    fn see(&mut self, now: Instant, used: u64, seen: Option<Snapshot>) {
        let runs = |session: &Session| session.active && session.waits.is_none();
        if used != self.used || seen.as_ref().is_some_and(|seen| seen.sessions.iter().any(runs)) {
            (self.used, self.moved) = (used, now);
        }
        if let Some(seen) = seen {
            self.longest.see(now - self.began, &seen.locks);
            self.seen = seen;
        }
    }

    fn still(&self, now: Instant) -> Duration {
        now - self.moved
    }

    /// What it is at, now and then.
    fn word(&mut self, now: Instant) -> Option<String> {
        if now - self.said < SAID {
            return None;
        }
        self.said = now;
        let at = at(&self.seen, self.still(now));
        Some(format!("the migration has run for {}: {at}", in_words(now - self.began)))
    }

    fn given_up(&self, now: Instant) -> Error {
        let still = self.still(now);
        let what = format!("the migration did nothing for {}: {}", in_words(still), at(&self.seen, still));
        let holders = self.seen.sessions.iter().filter_map(|session| session.waits.as_ref());
        let pids: Vec<String> =
            holders.flat_map(|waits| &waits.holders).map(|holder| holder.pid.to_string()).collect();
        let hint = match pids.is_empty() {
            true => "look at the database and at its disk, and try again".to_owned(),
            false => format!(
                "end what holds the lock, and try again; in the database, pg_terminate_backend({}) ends it",
                pids.join("), pg_terminate_backend(")
            ),
        };
        Error::new(Exit::NotReady, what).hint(hint)
    }
}

/// What a migration is at, in words.
fn at(seen: &Snapshot, still: Duration) -> String {
    if let Some(waits) = seen.sessions.iter().find_map(|session| session.waits.as_ref()) {
        return waiting(waits);
    }
    let mut active = seen.sessions.iter().filter(|session| session.active);
    if let Some(session) = active.next() {
        let time = Duration::try_from_secs_f64(session.seconds.max(0.0)).unwrap_or_default();
        return format!("`{}` has run for {}", session.statement, in_words(time));
    }
    match still >= SAID {
        true => format!(
            "for {} it has used no processor time, read and written nothing, and run no statement",
            in_words(still)
        ),
        false => "it works".to_owned(),
    }
}

fn waiting(Waits { table, holders }: &Waits) -> String {
    let what = table.as_ref().map_or("a lock".to_owned(), |table| format!("table {table}"));
    if holders.is_empty() {
        return format!("it waits for {what}");
    }
    let holders = holders.iter().map(holder).collect::<Vec<_>>().join("; and by ");
    format!("it waits for {what}, held by {holders}")
}

fn holder(holder: &Holder) -> String {
    let Holder { pid, user, application, address, state, seconds, statement } = holder;
    let program = [application.as_str(), address.as_deref().unwrap_or("this machine")];
    let program = program.into_iter().filter(|text| !text.is_empty()).collect::<Vec<_>>().join(", from ");
    let mut text = format!("session {pid} of role {user} ({program})");
    if !state.is_empty() {
        let time = Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or_default();
        text = format!("{text}, {state} for {}", in_words(time));
    }
    if !statement.is_empty() {
        text = format!("{text}, its statement: `{statement}`");
    }
    text
}

fn in_words(time: Duration) -> String {
    format!("{:#}", SignedDuration::from_secs(i64::try_from(time.as_secs()).unwrap_or(i64::MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(active: bool, waits: Option<Waits>) -> Snapshot {
        let session =
            Session { pid: 7, active, waits, statement: "alter table posts".to_owned(), seconds: 45.2 };
        Snapshot { sessions: vec![session], locks: Vec::new() }
    }

    fn blocked() -> Snapshot {
        let holder = Holder {
            pid: 4711,
            user: "ann".to_owned(),
            application: "psql".to_owned(),
            address: Some("10.0.0.5".to_owned()),
            state: "idle in transaction".to_owned(),
            seconds: 720.0,
            statement: "lock table posts".to_owned(),
        };
        session(true, Some(Waits { table: Some("posts".to_owned()), holders: vec![holder] }))
    }

    #[test]
    fn what_keeps_it_is_named() {
        let still = Duration::from_secs(40);
        assert_eq!(
            at(&blocked(), still),
            "it waits for table posts, held by session 4711 of role ann (psql, from 10.0.0.5), idle in transaction for 12m, its \
             statement: `lock table posts`"
        );
        assert_eq!(at(&session(true, None), still), "`alter table posts` has run for 45s");
        let nothing = at(&session(false, None), still);
        assert!(nothing.starts_with("for 40s it has used no processor time"), "{nothing}");
        assert_eq!(at(&Snapshot::default(), Duration::ZERO), "it works");
    }

    #[test]
    fn only_one_that_does_nothing_is_given_up_and_it_says_what_it_is_at_each_half_minute() {
        let began = Instant::now();
        let after = |seconds| began + Duration::from_secs(seconds);
        let mut watch = Watch::new(began);
        let mut words = 0;
        // It works in the database, and uses no processor time of its own.
        for second in 1..=1000 {
            watch.see(after(second), 1, Some(session(true, None)));
            words += usize::from(watch.word(after(second)).is_some());
        }
        assert!(words == 33 && watch.still(after(1000)) < STILL, "{words}");
        for second in 1001..=1600 {
            watch.see(after(second), 1, Some(blocked()));
        }
        assert!(watch.still(after(1600)) >= STILL, "it waits for a lock");
        let error = watch.given_up(after(1600));
        assert!(error.what.contains("did nothing for 10m: it waits for table posts"), "{error}");
        assert!(error.hint.expect("a hint").contains("pg_terminate_backend(4711)"));
        // A line of its log, or work of its own, is enough.
        watch.see(after(1601), 2, None);
        assert!(watch.still(after(1601)).is_zero());
    }

    #[test]
    fn of_a_log_line_the_message_is_shown() {
        assert_eq!(shown(r#"{"level":"info","msg":"migrating  posts"}"#).as_deref(), Some("migrating posts"));
        assert_eq!(shown("plain text\n").as_deref(), Some("plain text"));
        assert_eq!(shown(r#"{"level":"info"}"#), None);
        assert_eq!(shown("  "), None);
    }
}

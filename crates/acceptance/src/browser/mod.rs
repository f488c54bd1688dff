//! The same four tests in the web client: two users, each with a browser.

mod chromium;
mod selectors;
mod tab;

use std::future::Future;
use std::path::{Path, PathBuf};

use futures_util::future::BoxFuture;
use serde_json::json;

use self::chromium::Chromium;
use self::selectors as at;
use self::tab::{Tab, quoted};
use crate::answer::one_line;
use crate::authority::Authority;
use crate::checks;
use crate::log::{Kind, Log, Stop};
use crate::made::{Group, NewTeam, SignUp};
use crate::person::Person;
use crate::picture;
use crate::site::Site;
use crate::symptom::{Fault, Symptom};
use crate::target::{Browser, Target};
use crate::wire::Team;

/// Pixels per side of the attached picture: large enough to be seen on a screenshot.
const SIDE: u32 = 320;

/// What the browser test needs to know.
pub(crate) struct Context<'s> {
    pub site: &'s Site,
    pub target: &'s Target,
    pub options: &'s Browser,
    pub sign_up: &'s SignUp,
    pub admin: Option<&'s Authority>,
}

/// Starts Chromium, runs the test, and stops Chromium in any case.
pub(crate) async fn walk(
    context: &Context<'_>,
    group: &mut Group,
    log: &Log<'_>,
    cancel: &tokio_util::sync::CancellationToken,
) -> Result<(), Stop> {
    let starting = Chromium::start(context.target, context.options);
    let chromium = log.check(checks::BROWSER, starting).await?;
    let end = cancel.run_until_cancelled(Box::pin(steps(context, &chromium, group, log))).await;
    chromium.stop().await;
    // The caller records the checks that a cancellation leaves out.
    end.unwrap_or(Ok(()))
}

async fn steps(
    context: &Context<'_>,
    chromium: &Chromium,
    group: &mut Group,
    log: &Log<'_>,
) -> Result<(), Stop> {
    let site = context.site;
    let shots = Shots { log, directory: &context.options.screenshots };
    let tabs =
        async { Ok::<_, Fault>((chromium.tab(site, "first").await?, chromium.tab(site, "second").await?)) };
    let (first, second) = match tabs.await {
        Ok(tabs) => tabs,
        Err(fault) => return log.check(checks::BROWSER_FIRST_ACCOUNT, async { Err(fault) }).await,
    };
    shots.check(checks::BROWSER_FIRST_ACCOUNT, &first, first_account(context, &first, group)).await?;
    shots.check(checks::BROWSER_FIRST_TEAM, &first, first_team(&first, group)).await?;
    let hello = format!("Hello from the browser of {}.", group.first.name);
    let root = shots.check(checks::BROWSER_FIRST_POST, &first, first_post(&first, &hello)).await?;
    shots.check(checks::BROWSER_SECOND_JOINS, &second, second_joins(context, &second, group, &hello)).await?;
    let reply = format!("A reply from the browser of {}.", group.second.name);
    let replies = async {
        // The first user opens the thread before the reply exists: it must appear without a reload.
        open_thread(&first, &root).await?;
        open_thread(&second, &root).await?;
        reply_in_thread(&second, &reply).await
    };
    shots.check(checks::BROWSER_SECOND_REPLIES, &second, replies).await?;
    let sees = async { in_thread(&first, &reply).await.map(drop) };
    shots.check(checks::BROWSER_FIRST_SEES_REPLY, &first, sees).await?;
    let caption = format!("A picture from the browser of {}.", group.first.name);
    let file = chromium.scratch().join(format!("{}.png", group.first.name));
    shots.check(checks::BROWSER_IMAGE_REPLY, &first, image_reply(&first, &file, &caption)).await?;
    shots.check(checks::BROWSER_SECOND_SEES_IMAGE, &second, sees_image(&second, &caption)).await?;
    let _ = shots.check(checks::BROWSER_NO_ERRORS, &first, no_errors(&first, &second, log)).await;
    Ok(())
}

/// Takes a screenshot at the end of each check, failed ones included.
struct Shots<'s, 'e> {
    log: &'s Log<'e>,
    directory: &'s Path,
}

impl Shots<'_, '_> {
    fn check<'c, T: Send + 'c>(
        &'c self,
        kind: &'static Kind,
        tab: &'c Tab,
        work: impl Future<Output = Result<T, Fault>> + Send + 'c,
    ) -> BoxFuture<'c, Result<T, Stop>> {
        let pictured = async move {
            let result = work.await;
            let path = self.path(kind);
            match tab.screenshot(&path).await {
                Ok(()) => self.log.screenshot(kind, path),
                Err(fault) => self.log.note(kind, format!("no screenshot: {fault}")),
            }
            result
        };
        Box::pin(self.log.check(kind, pictured))
    }

    fn path(&self, kind: &'static Kind) -> PathBuf {
        let number = checks::BROWSER_TEST.iter().position(|other| *other == kind).unwrap_or_default();
        self.directory.join(format!("{number:02}-{}.png", kind.name))
    }
}

async fn first_account(context: &Context<'_>, tab: &Tab, group: &mut Group) -> Result<(), Fault> {
    if context.sign_up.by_admin {
        group.first.sign_up(context.site, &context.sign_up.domain, context.admin).await?;
        without_welcome(context.site, &mut group.first).await?;
        return log_in(tab, context.sign_up, &group.first).await;
    }
    group.first.attempted = true;
    sign_up(tab, "/signup_user_complete", context.sign_up, &group.first).await?;
    without_welcome(context.site, &mut group.first).await
}

/// Dismisses what the official client shows to new accounts: a list of tasks, which dims the page, and a tour.
async fn without_welcome(site: &Site, person: &mut Person) -> Result<(), Fault> {
    if person.token.is_none() {
        person.log_in(site).await?;
    }
    let id = person.id.clone().unwrap_or_default();
    let off = |category: &str, name: &str, value: &str| json!({ "user_id": id, "category": category, "name": name, "value": value });
    let preferences = json!([
        off("onboarding_task_list", "onboarding_task_list_show", "false"),
        off("onboarding_task_list", "onboarding_task_list_open", "false"),
        off("recommended_next_steps", "hide", "true"),
        off("tutorial_step", &id, "999"),
    ]);
    let path = format!("users/{id}/preferences");
    site.put(&path).by(person.token()?).body(&preferences).done().await
}

async fn sign_up(tab: &Tab, path: &str, sign_up: &SignUp, person: &Person) -> Result<(), Fault> {
    tab.open(path).await?;
    tab.fill(at::EMAIL, &sign_up.email(person)).await?;
    tab.fill(at::USERNAME, &person.name).await?;
    tab.fill(at::PASSWORD, person.password().expose()).await?;
    if tab.shown(at::TERMS).await.is_some() {
        tab.click(at::TERMS).await?;
    }
    tab.click(at::SUBMIT).await?;
    logged_in(tab).await
}

async fn log_in(tab: &Tab, sign_up: &SignUp, person: &Person) -> Result<(), Fault> {
    tab.open("/login").await?;
    let name = if sign_up.by_email { sign_up.email(person) } else { person.name.clone() };
    tab.fill(at::LOGIN_ID, &name).await?;
    tab.fill(at::PASSWORD, person.password().expose()).await?;
    tab.click(at::SUBMIT).await?;
    logged_in(tab).await
}

async fn logged_in(tab: &Tab) -> Result<(), Fault> {
    let script =
        r"document.cookie.includes('MMUSERID=') && !/\/(login|signup[a-z_]*)/.test(location.pathname)";
    tab.until::<bool>("a page behind the login", script).await.map(drop)
}

async fn first_team(tab: &Tab, group: &mut Group) -> Result<(), Fault> {
    let name = group.first.name.clone();
    tab.open("/create_team").await?;
    tab.fill(at::TEAM_NAME, &name).await?;
    tab.click(at::TEAM_NAME_NEXT).await?;
    tab.fill(at::TEAM_URL, &name).await?;
    group.team = Some(NewTeam { name, id: None, standing: false });
    tab.click(at::TEAM_URL_FINISH).await?;
    town_square(tab).await
}

async fn town_square(tab: &Tab) -> Result<(), Fault> {
    let title = quoted(at::CHANNEL_TITLE);
    let script = format!("document.querySelector({title})?.textContent.includes('Town Square')");
    tab.until::<bool>("the title of Town Square", &script).await?;
    tab.visible(at::POST_BOX).await
}

async fn first_post(tab: &Tab, text: &str) -> Result<String, Fault> {
    tab.fill(at::POST_BOX, text).await?;
    tab.send(at::POST_BOX).await?;
    post_with(tab, at::POST_TEXT, text).await
}

/// The id of the post with this text, once the server has given it one: until then the page shows a name of
/// its own making, which is longer.
async fn post_with(tab: &Tab, prefix: &str, text: &str) -> Result<String, Fault> {
    let script = format!(
        "[...document.querySelectorAll('[id^=\"{prefix}\"]')].filter((e) => e.textContent.includes({}))
            .map((e) => e.id.slice({})).find((id) => /^[a-z0-9]{{26}}$/.test(id)) ?? null",
        quoted(text),
        prefix.len()
    );
    tab.until(&format!("the post \"{text}\""), &script).await
}

async fn second_joins(context: &Context<'_>, tab: &Tab, group: &mut Group, hello: &str) -> Result<(), Fault> {
    let site = context.site;
    if group.first.token.is_none() {
        group.first.log_in(site).await?;
    }
    let owner = group.first.token()?;
    let team: Team = site.get(&format!("teams/name/{}", group.first.name)).by(owner).json().await?;
    if let Some(made) = &mut group.team {
        made.id = Some(team.id);
    }
    if context.sign_up.by_admin {
        group.second.sign_up(site, &context.sign_up.domain, context.admin).await?;
        without_welcome(site, &mut group.second).await?;
        let join = format!("teams/members/invite?invite_id={}", team.invite_id);
        site.post(&join).by(group.second.token()?).done().await?;
        log_in(tab, context.sign_up, &group.second).await?;
        tab.open(&format!("/{}/channels/town-square", group.first.name)).await?;
    } else {
        group.second.attempted = true;
        let link = format!("/signup_user_complete/?id={}", team.invite_id);
        sign_up(tab, &link, context.sign_up, &group.second).await?;
        // The page hears of it at once.
        without_welcome(site, &mut group.second).await?;
    }
    town_square(tab).await?;
    post_with(tab, at::POST_TEXT, hello).await.map(drop)
}

async fn open_thread(tab: &Tab, post: &str) -> Result<(), Fault> {
    tab.hover(&at::post(post)).await?;
    tab.click(&at::comment(post)).await?;
    tab.visible(at::THREAD).await?;
    tab.visible(at::REPLY_BOX).await
}

async fn reply_in_thread(tab: &Tab, text: &str) -> Result<(), Fault> {
    tab.fill(at::REPLY_BOX, text).await?;
    tab.send(at::REPLY_BOX).await?;
    in_thread(tab, text).await.map(drop)
}

async fn in_thread(tab: &Tab, text: &str) -> Result<String, Fault> {
    post_with(tab, at::THREAD_POST_TEXT, text).await
}

async fn image_reply(tab: &Tab, file: &Path, caption: &str) -> Result<(), Fault> {
    let machine =
        |why: String| Fault { during: file.display().to_string(), symptom: Symptom::Machine(one_line(&why)) };
    let png = picture::noise(SIDE).map_err(|error| machine(error.to_string()))?;
    tokio::fs::write(file, png).await.map_err(|error| machine(error.to_string()))?;
    tab.attach(at::THREAD_FILE_INPUT, file).await?;
    reply_in_thread(tab, caption).await
}

/// Waits until the picture of the post with this text is decoded and drawn.
async fn sees_image(tab: &Tab, caption: &str) -> Result<(), Fault> {
    let id = in_thread(tab, caption).await?;
    let script = format!(
        "[...document.querySelectorAll('#rhsPost_{id} img')]
            .some((e) => e.src.includes('/files/') && e.complete && e.naturalWidth > 0)"
    );
    tab.until::<bool>("the preview of the picture", &script).await.map(drop)
}

async fn no_errors(first: &Tab, second: &Tab, log: &Log<'_>) -> Result<(), Fault> {
    for tab in [first, second] {
        let during = format!("the {} user's page", tab.which);
        if let Some(text) = tab.shown(at::RED_BAR).await {
            return Err(Fault { during, symptom: Symptom::RedBar(one_line(&text)) });
        }
        let complaints = tab.complaints();
        for remark in complaints.remarks {
            log.note(checks::BROWSER_NO_ERRORS, format!("{during}: {remark}"));
        }
        if !complaints.errors.is_empty() {
            return Err(Fault { during, symptom: Symptom::Page(complaints.errors) });
        }
    }
    Ok(())
}

//! The program's four tests over REST and websocket, in order.

use std::path::Path;
use std::time::Duration;

use serde_json::json;
use tokio::join;

use crate::attachment::{Image, identical, image_reply, previews};
use crate::authority::Authority;
use crate::checks;
use crate::left::{self, Thing};
use crate::log::{Kind, Log, Stop, timed};
use crate::made::{Made, NewTeam, SignUp};
use crate::outside::{Outside, check_outside, site_url};
use crate::person::{Person, fresh_name};
use crate::posting::post;
use crate::site::{Call, Site};
use crate::socket::Socket;
use crate::standing;
use crate::symptom::{Fault, Symptom};
use crate::target::Target;
use crate::wire::{Channel, ClientConfig, Post, PostList, Team};

/// Runs the test. `made` holds what was created, even if this future is dropped.
pub(crate) async fn walk(site: &Site, target: &Target, made: &mut Made, log: &Log<'_>) -> Result<(), Stop> {
    let outside = check_outside(site, target, made, log).await?;
    let left = target.left.as_deref();
    left::remove(left, site, made.authority(), log).await;
    log_in_people(site, &outside, made, log).await?;
    stranger(site, &outside, made, left, log).await;
    let (first, second) = (&made.group.first, &made.group.second);
    let config = full_config(site, first, outside.config, log).await;
    let (mut first_socket, mut second_socket) = match outside.websockets {
        Ok(()) => {
            let (one, two) = join!(timed(connect(site, first)), timed(connect(site, second)));
            (log.settle(checks::FIRST_WEBSOCKET, one).ok(), log.settle(checks::SECOND_WEBSOCKET, two).ok())
        }
        Err(stop) => {
            log.skip(checks::FIRST_WEBSOCKET, stop.why());
            log.skip(checks::SECOND_WEBSOCKET, stop.why());
            (None, None)
        }
    };

    let admin = made.admin.as_ref().map(|admin| &admin.authority);
    let team = make_team(site, first, admin, (&mut made.group.team, left), log);
    let team = log.check(checks::FIRST_TEAM, team).await?;
    let mut root = log.check(checks::FIRST_POST, post(site, first, &team.town_square, "", &[])).await?;
    made.group.root = Some((root.id.clone(), team.town_square.clone()));
    let mut channel = team.town_square.clone();
    let joined = timed(join_team(site, first, second, &team, &root)).await;
    if joined.fault().is_some_and(is_full) {
        // No two people can share a team here. What they do in a team, they can do in a direct message.
        log.off(checks::SECOND_JOINS, "TeamSettings.MaxUsersPerTeam is 1, so nobody can join a team");
        let direct = async {
            let id = direct_channel(site, first, second).await?;
            Ok((post(site, first, &id, "", &[]).await?, id))
        };
        match direct.await {
            Ok((post, id)) => (root, channel) = (post, id),
            Err(fault) => return log.check(checks::SECOND_REPLIES, async { Err(fault) }).await,
        }
    } else {
        log.settle(checks::SECOND_JOINS, joined)?;
    }

    // From here on, the other checks are useful even if one fails.
    let reply = post(site, second, &channel, &root.id, &[]);
    let reply = log.check(checks::SECOND_REPLIES, reply).await;
    if let Ok(reply) = &reply {
        see(log, checks::FIRST_SEES_REPLY, checks::FIRST_WEBSOCKET, first_socket.as_mut(), &reply.id).await;
    }
    let pictures =
        [checks::IMAGE_REPLY, checks::IMAGE_IDENTICAL, checks::IMAGE_PREVIEWS, checks::SECOND_SEES_IMAGE];
    let image = if config.switch("EnableFileAttachments") == Some(false) {
        let why = "FileSettings.EnableFileAttachments is off, so nobody can attach a file";
        pictures.into_iter().for_each(|kind| log.off(kind, why));
        None
    } else {
        let reuses = made.group.team.as_ref().is_some_and(|team| team.standing);
        let image = image_reply(site, first, (&channel, &root.id), &config, reuses, log);
        Some(log.check(checks::IMAGE_REPLY, image).await)
    };
    if let Some(Ok(image)) = &image {
        let _ = join!(
            log.check(checks::IMAGE_IDENTICAL, identical(site, second, image)),
            log.check(checks::IMAGE_PREVIEWS, previews(site, second, image)),
            see(
                log,
                checks::SECOND_SEES_IMAGE,
                checks::SECOND_WEBSOCKET,
                second_socket.as_mut(),
                &image.post.id
            ),
        );
    }
    let (reply, image) = (reply?, image.transpose()?);
    let posts = [Some(&root.id), Some(&reply.id), image.as_ref().map(|image: &Image| &image.post.id)];
    let posts: Vec<&String> = posts.into_iter().flatten().collect();
    let _ = log.check(checks::THREAD, thread(site, second, &posts)).await;
    if let (Some(limit), Some(one), Some(two)) = (target.idle, &mut first_socket, &mut second_socket) {
        let _ =
            log.check(checks::IDLE, stay_open(site, second, (&channel, &root.id), limit, (one, two))).await;
    }
    let _ = log.check(checks::METHODS, methods(site, second, &reply, log)).await;
    no_errors(site, log);
    Ok(())
}

/// Whether a team has no room for a second person.
fn is_full(fault: &Fault) -> bool {
    matches!(&fault.symptom, Symptom::Answer(answer) if answer.from_mattermost && answer.id.contains("max_accounts"))
}

async fn direct_channel(site: &Site, first: &Person, second: &Person) -> Result<String, Fault> {
    let people = json!([first.id, second.id]);
    let channel: Channel = site.post("channels/direct").by(first.token()?).body(&people).json().await?;
    Ok(channel.id)
}

/// Leaves both websockets silent for `limit`; then the one must still bring what the other user posts.
async fn stay_open(
    site: &Site,
    author: &Person,
    (channel, root): (&str, &str),
    limit: Duration,
    (first, second): (&mut Socket, &mut Socket),
) -> Result<(), Fault> {
    let (one, two) = join!(first.idle(limit), second.idle(limit));
    one.and(two)?;
    let post = post(site, author, channel, root, &[]).await?;
    first.sees(&post.id).await
}

/// Changes and deletes something of the user's own. What Mattermost itself refuses has got through.
async fn methods(site: &Site, person: &Person, reply: &Post, log: &Log<'_>) -> Result<(), Fault> {
    let (id, token) = (person.id.clone().unwrap_or_default(), person.token()?);
    let (category, name) = ("acceptance", fresh_name());
    let preference = json!([{ "user_id": id, "category": category, "name": "last_test", "value": name }]);
    let path = format!("users/{id}/preferences");
    passes("PUT", site.put(&path).by(token).body(&preference).done().await, log)?;
    passes("DELETE", site.delete(&format!("posts/{}", reply.id)).by(token).done().await, log)
}

fn passes(method: &'static str, sent: Result<(), Fault>, log: &Log<'_>) -> Result<(), Fault> {
    match sent {
        Ok(()) => Ok(()),
        Err(Fault { during, symptom: Symptom::Answer(answer) })
            if answer.from_mattermost && answer.status < 500 =>
        {
            log.note(
                checks::METHODS,
                format!("{method} gets through, and the server refuses it: {during}: {answer}"),
            );
            Ok(())
        }
        Err(Fault { during, symptom: Symptom::Answer(answer) })
            if !answer.from_mattermost && matches!(answer.status, 400 | 401 | 403 | 404 | 405 | 501) =>
        {
            Err(Fault { during, symptom: Symptom::MethodRefused { method, answer } })
        }
        Err(fault) => Err(fault),
    }
}

/// The client settings after a login. Servers of some versions send SiteURL only then.
async fn full_config(site: &Site, person: &Person, limited: ClientConfig, log: &Log<'_>) -> ClientConfig {
    let asked = async { site.get("config/client?format=old").by(person.token()?).json().await };
    let config: ClientConfig = asked.await.unwrap_or(limited);
    if !log.has(checks::SITE_URL) {
        let configured = config.get("SiteURL").unwrap_or_default();
        site_url(site, configured, log).await;
    }
    config
}

async fn log_in_people(site: &Site, outside: &Outside, made: &mut Made, log: &Log<'_>) -> Result<(), Stop> {
    let sign_up = &outside.sign_up;
    let admin = made.admin.as_ref().map(|admin| &admin.authority);
    let refusal = match admin {
        None if outside.config.switch("NoAccounts") == Some(true) => Some(Symptom::NoAccounts),
        None if sign_up.by_admin => Some(Symptom::Closed),
        _ => None,
    };
    if let Some(symptom) = refusal {
        let during = "the client settings".to_owned();
        return log.check(checks::FIRST_ACCOUNT, async { Err(Fault { during, symptom }) }).await;
    }
    // The server takes 0.1 to 0.3 s to hash a password, so both accounts are created at the same time.
    let (one, two) = join!(
        timed(enter(site, admin, sign_up, &mut made.group.first, (log, checks::FIRST_ACCOUNT))),
        timed(enter(site, admin, sign_up, &mut made.group.second, (log, checks::SECOND_ACCOUNT))),
    );
    log.settle(checks::FIRST_ACCOUNT, one)?;
    log.settle(checks::SECOND_ACCOUNT, two)
}

/// Signs in: with the standing account where an administrator can look after it, otherwise with an account of one's own making.
async fn enter(
    site: &Site,
    admin: Option<&Authority>,
    sign_up: &SignUp,
    person: &mut Person,
    (log, kind): (&Log<'_>, &'static Kind),
) -> Result<(), Fault> {
    let Some(admin) = admin else { return person.sign_up(site, &sign_up.domain, None).await };
    let repairs = standing::enter(site, admin, sign_up, person).await?;
    repairs.into_iter().for_each(|repair| log.note(kind, repair));
    Ok(())
}

/// Tries whether somebody whom nobody invited can sign up, where the settings say so.
async fn stranger(site: &Site, outside: &Outside, made: &mut Made, left: Option<&Path>, log: &Log<'_>) {
    let sign_up = &outside.sign_up;
    let Some(admin) = made.admin.as_ref().map(|admin| &admin.authority) else { return };
    if sign_up.by_admin || !sign_up.by_password {
        return log.off(checks::STRANGER, "sign-up needs an invitation");
    }
    if sign_up.restricts_domains {
        let why = "TeamSettings.RestrictCreationToDomains asks for an address in certain domains";
        return log.off(checks::STRANGER, why);
    }
    if admin.is_local() {
        let stranger = made.stranger.insert(Person::new("third"));
        if sign_up.long_passwords {
            stranger.lengthen_password();
        }
        left::remember(left, &Thing::Account(stranger.name.clone()));
        let _ = log.check(checks::STRANGER, stranger.sign_up(site, &sign_up.domain, None)).await;
        return;
    }
    // The account could not be removed for good. A name that is taken is refused as the last thing.
    let taken = async {
        let email = format!("{}@{}", fresh_name(), sign_up.domain);
        let account = json!({ "email": email, "username": made.group.first.name, "password": made.group.first.password().expose() });
        match site.post("users").body(&account).done().await {
            Err(Fault { symptom: Symptom::Answer(answer), .. }) if answer.id.contains("username_exists") => {
                Ok(())
            }
            Err(fault) => Err(fault),
            Ok(()) => {
                let what = "it made a second account with a name that is taken".to_owned();
                Err(Fault { during: "POST /api/v4/users".to_owned(), symptom: Symptom::Wrong { what } })
            }
        }
    };
    log.note(checks::STRANGER, "tried with a name that is taken, so that no account stays");
    let _ = log.check(checks::STRANGER, taken).await;
}

async fn connect(site: &Site, person: &Person) -> Result<Socket, Fault> {
    Socket::connect(site, person.token()?, person.which).await
}

/// What the test needs to know of the team.
pub(crate) struct TestTeam {
    id: String,
    invite_id: String,
    town_square: String,
}

async fn make_team(
    site: &Site,
    first: &Person,
    admin: Option<&Authority>,
    (made, left): (&mut Option<NewTeam>, Option<&Path>),
    log: &Log<'_>,
) -> Result<TestTeam, Fault> {
    let token = first.token()?;
    // A team that cannot be removed for good stays, for all tests. Nobody can know its name before it is there: it is the account's id.
    let standing = first.standing && admin.is_some_and(|admin| !admin.is_local());
    let id = first.id.as_deref().unwrap_or_default();
    let name = if standing { format!("acceptance-{}", &id[..id.len().min(12)]) } else { fresh_name() };
    let made = made.insert(NewTeam { name: name.clone(), id: None, standing });
    if let Some(admin) = admin.filter(|_| standing)
        && let Some(team) = standing_team(site, admin, first, &name).await?
    {
        log.note(checks::FIRST_TEAM, format!("the team of an earlier test, `{name}`, was used again"));
        made.id = Some(team.id.clone());
        return town_square(site, first, team).await;
    }
    if !standing {
        left::remember(left, &Thing::Team(name.clone()));
    }
    let request = json!({ "name": name, "display_name": "Acceptance test", "type": "I" });
    let team: Team = match (site.post("teams").by(token).body(&request).json().await, admin) {
        (Err(Fault { symptom: Symptom::Answer(answer), .. }), Some(admin)) if answer.status == 403 => {
            log.note(
                checks::FIRST_TEAM,
                "users may not create teams on this server: the administrator created it",
            );
            let team: Team = admin.post(site, "teams").body(&request).json().await?;
            add_member(admin.post(site, &members(&team.id)), &team.id, first).await?;
            team
        }
        (made, _) => made?,
    };
    made.id = Some(team.id.clone());
    town_square(site, first, team).await
}

async fn town_square(site: &Site, first: &Person, team: Team) -> Result<TestTeam, Fault> {
    let path = format!("teams/{}/channels/name/town-square", team.id);
    let channel: Channel = site.get(&path).by(first.token()?).json().await?;
    Ok(TestTeam { id: team.id, invite_id: team.invite_id, town_square: channel.id })
}

/// The team of earlier tests, with the first user in it; `None` = there is none yet.
async fn standing_team(
    site: &Site,
    admin: &Authority,
    first: &Person,
    name: &str,
) -> Result<Option<Team>, Fault> {
    let team: Team = match admin.get(site, &format!("teams/name/{name}")).json().await {
        Ok(team) => team,
        Err(Fault { symptom: Symptom::Answer(answer), .. })
            if answer.from_mattermost && answer.status == 404 =>
        {
            return Ok(None);
        }
        Err(fault) => return Err(fault),
    };
    if team.delete_at > 0 {
        admin.post(site, &format!("teams/{}/restore", team.id)).done().await?;
    }
    add_member(admin.post(site, &members(&team.id)), &team.id, first).await?;
    Ok(Some(team))
}

fn members(team: &str) -> String {
    format!("teams/{team}/members")
}

async fn add_member(call: Call<'_>, team: &str, person: &Person) -> Result<(), Fault> {
    call.body(&json!({ "team_id": team, "user_id": person.id })).done().await
}

async fn join_team(
    site: &Site,
    first: &Person,
    second: &Person,
    team: &TestTeam,
    post: &Post,
) -> Result<(), Fault> {
    let token = second.token()?;
    if team.invite_id.is_empty() {
        // If the team's creator may not see the invitation, the creator adds the other user.
        add_member(site.post(&members(&team.id)).by(first.token()?), &team.id, second).await?;
    } else {
        site.post(&format!("teams/members/invite?invite_id={}", team.invite_id)).by(token).done().await?;
    }
    let path = format!("channels/{}/posts", team.town_square);
    let list: PostList = site.get(&path).by(token).json().await?;
    holds(&list, &post.id, &format!("GET /api/v4/{path}"))
}

fn holds(list: &PostList, post: &str, during: &str) -> Result<(), Fault> {
    if list.posts.contains_key(post) {
        return Ok(());
    }
    let what = format!("the post {post} is not in the list");
    Err(Fault { during: during.to_owned(), symptom: Symptom::Wrong { what } })
}

async fn see(
    log: &Log<'_>,
    kind: &'static Kind,
    needs: &'static Kind,
    socket: Option<&mut Socket>,
    post: &str,
) {
    match socket {
        Some(socket) => {
            let _ = log.check(kind, socket.sees(post)).await;
        }
        None => log.skip(kind, Stop(needs.name).why()),
    }
}

async fn thread(site: &Site, reader: &Person, posts: &[&String]) -> Result<(), Fault> {
    let path = format!("posts/{}/thread", posts[0]);
    let list: PostList = site.get(&path).by(reader.token()?).json().await?;
    posts.iter().try_for_each(|post| holds(&list, post, &format!("GET /api/v4/{path}")))
}

fn no_errors(site: &Site, log: &Log<'_>) {
    match log.first_failed() {
        Some(name) => log.skip(checks::NO_ERRORS, Stop(name).why()),
        None => log.ok(checks::NO_ERRORS, format!("{} answers, none of them an error", site.answers())),
    }
}

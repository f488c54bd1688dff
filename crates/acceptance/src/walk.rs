//! The program's four tests over REST and websocket, one after the other.

use std::time::Duration;

use jiff::Timestamp;
use jiff::fmt::rfc2822;
use reqwest::header::DATE;
use reqwest::multipart::{Form, Part as FormPart};
use serde_json::{Value, json};
use tokio::join;
use url::Url;

use crate::Secret;
use crate::diagnosis::trimmed;
use crate::log::{Log, Stop, timed};
use crate::person::{Login, Person, log_in};
use crate::picture;
use crate::plan;
use crate::site::{Reply, Site};
use crate::socket::{self, Socket};
use crate::stage::{Door, Stage, TeamMade};
use crate::symptom::{Fault, Part, Symptom};
use crate::target::Admin;
use crate::wire::{Channel, ClientConfig, Ping, Post, PostList, Team, Upload, User};

/// An Origin that no deployment has: `.invalid` is reserved.
const FOREIGN: &str = "https://elsewhere.invalid";
/// Where the test's people claim to have their mail: a domain without mailboxes.
const DOMAIN: &str = "example.com";
/// More than this between the two clocks is worth a note.
const SKEW: Duration = Duration::from_secs(30);

/// Walks through the test. What is made on the way is in `stage`, whenever this future is dropped.
pub(crate) async fn walk(site: &Site, admin: &Admin, stage: &mut Stage, log: &Log<'_>) -> Result<(), Stop> {
    log.check(plan::REACHABLE, reachable(site, log)).await?;
    let (_, config, websockets) = join!(
        log.check(plan::HEALTHY, healthy(site, log)),
        log.check(plan::CLIENT_CONFIG, client_config(site)),
        websocket_opens(site, log),
    );
    let config = config?;
    stage.learn(&config);
    // Older servers name their SiteURL to everyone, newer ones to those who have logged in.
    let early = config.get("SiteURL").map(str::to_owned);
    if let Some(configured) = &early {
        let _ = log.check(plan::SITE_URL, site_url(site, configured)).await;
    }

    let door = log_in_administrator(site, admin, &config, stage, log).await?;
    stage.door = Some(door.clone());
    log_in_people(site, &config, &door, stage, log).await?;
    let (first, second) = (&stage.cast.first, &stage.cast.second);
    let config: ClientConfig = match first.token() {
        Ok(token) => site.get("config/client?format=old").by(token).json().await.unwrap_or(config),
        Err(_) => config,
    };
    if early.is_none() {
        let configured = config.get("SiteURL").unwrap_or_default();
        let _ = log.check(plan::SITE_URL, site_url(site, configured)).await;
    }
    let (mut first_socket, mut second_socket) = (None, None);
    match websockets {
        Ok(()) => {
            let (one, two) = join!(timed(connect(site, first)), timed(connect(site, second)));
            first_socket = log.settle(plan::FIRST_WEBSOCKET, one).ok();
            second_socket = log.settle(plan::SECOND_WEBSOCKET, two).ok();
        }
        Err(stop) => {
            for kind in [plan::FIRST_WEBSOCKET, plan::SECOND_WEBSOCKET] {
                log.skip(kind, stop.why());
            }
        }
    }

    let sponsor = stage.admin.as_ref().map(|admin| &admin.token);
    let team =
        log.check(plan::FIRST_TEAM, make_team(site, first, sponsor, &mut stage.cast.team, log)).await?;
    let post = log.check(plan::FIRST_POST, post(site, first, &team.town_square, "", &[])).await?;
    log.check(plan::SECOND_JOINS, join_team(site, first, second, &team, &post)).await?;

    let reply =
        log.check(plan::SECOND_REPLIES, self::post(site, second, &team.town_square, &post.id, &[])).await;
    if let Ok(reply) = &reply {
        see(log, plan::FIRST_SEES_REPLY, plan::FIRST_WEBSOCKET, first_socket.as_mut(), &reply.id).await;
    }
    let image = log.check(plan::IMAGE_REPLY, image_reply(site, first, &team, &post, &config)).await;
    if let Ok(image) = &image {
        let token = second.token.as_ref();
        let _ = join!(
            log.check(plan::IMAGE_IDENTICAL, identical(site, token, image)),
            log.check(plan::IMAGE_PREVIEWS, previews(site, token, image)),
            see(log, plan::SECOND_SEES_IMAGE, plan::SECOND_WEBSOCKET, second_socket.as_mut(), &image.post.id),
        );
    }
    let (reply, image) = (reply?, image?);
    let posts = [&post.id, &reply.id, &image.post.id];
    let _ = log.check(plan::THREAD, thread(site, second, &posts)).await;
    no_errors(site, log);
    Ok(())
}

async fn reachable(site: &Site, log: &Log<'_>) -> Result<(), Fault> {
    let (reply, during) = site.get("system/ping").reply().await?;
    let fault = |symptom| Fault { during, symptom };
    if let Some(skew) = skew(&reply).filter(|skew| *skew > SKEW) {
        let text = format!(
            "the server's clock and this machine's differ by {} s: sign-in through other services and second factors may fail (compare both with timedatectl)",
            skew.as_secs()
        );
        log.note(plan::REACHABLE, text);
    }
    let ping: Ping = reply.json().map_err(fault)?;
    if ping.status.is_empty() {
        let found = "a ping without a status".to_owned();
        return Err(Fault {
            during: "GET /api/v4/system/ping".to_owned(),
            symptom: Symptom::NotApi { found },
        });
    }
    Ok(())
}

/// How far the server's clock, as its answer tells, is from ours. The Date header counts whole seconds.
fn skew(reply: &Reply) -> Option<Duration> {
    let date = reply.headers.get(DATE)?.to_str().ok()?;
    let theirs = rfc2822::DateTimeParser::new().parse_timestamp(date).ok()?;
    Some(Timestamp::now().duration_since(theirs).unsigned_abs())
}

async fn healthy(site: &Site, log: &Log<'_>) -> Result<(), Fault> {
    let (reply, during) = site.get("system/ping?get_server_status=true").reply().await?;
    // An unwell server answers 500, with its reasons in the body.
    let ping: Ping = match serde_json::from_slice(&reply.body) {
        Ok(ping) => ping,
        Err(_) => reply.json().map_err(|symptom| Fault { during: during.clone(), symptom })?,
    };
    let parts = [
        (Part::Database, ping.database_status.as_deref()),
        (Part::FileStore, ping.filestore_status.as_deref()),
        (Part::Server, Some(ping.status.as_str())),
    ];
    for (part, status) in parts {
        match status {
            Some("OK") => {}
            None => log.note(plan::HEALTHY, format!("this version does not tell how {part} is")),
            Some(status) => {
                let status = crate::answer::one_line(status);
                return Err(Fault { during, symptom: Symptom::Unhealthy { part, status } });
            }
        }
    }
    Ok(())
}

async fn client_config(site: &Site) -> Result<ClientConfig, Fault> {
    let (reply, during) = site.get("config/client?format=old").reply().await?;
    let fault = |symptom| Fault { during: during.clone(), symptom };
    let config: ClientConfig = reply.json().map_err(fault)?;
    let found = reply.content_type();
    if found != "application/json" {
        return Err(fault(Symptom::ContentType { found }));
    }
    if config.get("Version").is_none() {
        let found = "client settings without a Version".to_owned();
        return Err(fault(Symptom::NotApi { found }));
    }
    Ok(config)
}

async fn websocket_opens(site: &Site, log: &Log<'_>) -> Result<(), Stop> {
    let opens = log.check(plan::WEBSOCKET_UPGRADE, socket::opens(site)).await;
    match opens {
        Ok(()) => {
            let _ = log.check(plan::FOREIGN_ORIGIN, socket::refuses(site, FOREIGN)).await;
        }
        Err(stop) => log.skip(plan::FOREIGN_ORIGIN, stop.why()),
    }
    opens
}

async fn site_url(site: &Site, configured: &str) -> Result<(), Fault> {
    let reached = trimmed(&site.url);
    let same = Url::parse(configured).is_ok_and(|configured| trimmed(&configured) == reached);
    if same {
        return Ok(());
    }
    let configured = crate::answer::one_line(configured);
    Err(Fault { during: "the client settings".to_owned(), symptom: Symptom::SiteUrl { configured, reached } })
}

async fn log_in_administrator(
    site: &Site,
    admin: &Admin,
    config: &ClientConfig,
    stage: &mut Stage,
    log: &Log<'_>,
) -> Result<Door, Stop> {
    let closed = ["EnableOpenServer", "EnableSignUpWithEmail", "EnableUserCreation"]
        .iter()
        .any(|key| config.switch(key) == Some(false));
    let by_email = config.switch("EnableSignInWithUsername") == Some(false);
    let mut door = Door { sponsored: closed, domain: DOMAIN.to_owned(), by_email };
    if matches!(admin, Admin::None) {
        return Ok(door);
    }
    let work = async {
        match admin {
            Admin::Token(token) => stage.admin_token(token.clone()),
            Admin::Login { name, secret } => {
                stage.admin_session(log_in(site, Login::Name(name), secret).await?.1);
            }
            Admin::None => {}
        }
        let Some(admin) = &stage.admin else { return Ok(()) };
        let me: User = site.get("users/me").by(&admin.token).json().await?;
        if !me.roles.split_whitespace().any(|role| role == "system_admin") {
            let symptom = Symptom::NotAdministrator { roles: crate::answer::one_line(&me.roles) };
            return Err(Fault { during: "GET /api/v4/users/me".to_owned(), symptom });
        }
        let settings: Value = site.get("config").by(&admin.token).json().await?;
        let verify = settings["EmailSettings"]["RequireEmailVerification"] == true;
        door.sponsored |= verify;
        let domains = settings["TeamSettings"]["RestrictCreationToDomains"].as_str().unwrap_or_default();
        if let Some(domain) = first_domain(domains) {
            domain.clone_into(&mut door.domain);
        }
        Ok(())
    };
    log.check(plan::ADMINISTRATOR, work).await?;
    Ok(door)
}

/// The first of the allowed mail domains; they stand between spaces, commas and at signs.
fn first_domain(list: &str) -> Option<&str> {
    list.split([' ', ',', '@']).map(str::trim).find(|domain| !domain.is_empty())
}

async fn log_in_people(
    site: &Site,
    config: &ClientConfig,
    door: &Door,
    stage: &mut Stage,
    log: &Log<'_>,
) -> Result<(), Stop> {
    let sponsor = stage.admin.as_ref().map(|admin| &admin.token).filter(|_| door.sponsored);
    let refusal = match sponsor {
        None if config.switch("NoAccounts") == Some(true) => Some(Symptom::NoAccounts),
        None if door.sponsored => Some(Symptom::Closed),
        _ => None,
    };
    if let Some(symptom) = refusal {
        let during = "the client settings".to_owned();
        return log.check(plan::FIRST_ACCOUNT, async { Err(Fault { during, symptom }) }).await;
    }
    // Hashing a password takes the server 0.1 to 0.3 s by design: both at once.
    let (one, two) = join!(
        timed(stage.cast.first.arrive(site, &door.domain, sponsor)),
        timed(stage.cast.second.arrive(site, &door.domain, sponsor)),
    );
    log.settle(plan::FIRST_ACCOUNT, one)?;
    log.settle(plan::SECOND_ACCOUNT, two)
}

async fn connect(site: &Site, person: &Person) -> Result<Socket, Fault> {
    Socket::connect(site, person.token()?, person.whose).await
}

/// A team as the test needs it.
pub(crate) struct TestTeam {
    id: String,
    invite_id: String,
    town_square: String,
}

async fn make_team(
    site: &Site,
    first: &Person,
    sponsor: Option<&Secret>,
    made: &mut Option<TeamMade>,
    log: &Log<'_>,
) -> Result<TestTeam, Fault> {
    let token = first.token()?;
    let name = first.name.clone();
    let wish = json!({ "name": name, "display_name": format!("Acceptance {name}"), "type": "O" });
    let made = made.insert(TeamMade { name, id: None });
    let team: Team = match (site.post("teams").by(token).body(&wish).json().await, sponsor) {
        (Err(Fault { symptom: Symptom::Answer(answer), .. }), Some(sponsor)) if answer.status == 403 => {
            log.note(plan::FIRST_TEAM, "users may not make teams here: the administrator made it for them");
            let team: Team = site.post("teams").by(sponsor).body(&wish).json().await?;
            add_member(site, sponsor, &team.id, first).await?;
            team
        }
        (made, _) => made?,
    };
    made.id = Some(team.id.clone());
    let path = format!("teams/{}/channels/name/town-square", team.id);
    let channel: Channel = site.get(&path).by(token).json().await?;
    Ok(TestTeam { id: team.id, invite_id: team.invite_id, town_square: channel.id })
}

async fn add_member(site: &Site, by: &Secret, team: &str, person: &Person) -> Result<(), Fault> {
    let member = json!({ "team_id": team, "user_id": person.id });
    site.post(&format!("teams/{team}/members")).by(by).body(&member).done().await
}

/// Writes a post with a text of its own and compares what the server made of it.
async fn post(
    site: &Site,
    author: &Person,
    channel: &str,
    root: &str,
    files: &[&str],
) -> Result<Post, Fault> {
    let message = match (root.is_empty(), files.is_empty()) {
        (true, _) => format!("Hello, Town Square! This is {}.", author.name),
        (false, true) => format!("And hello from {}.", author.name),
        (false, false) => format!("A picture from {}.", author.name),
    };
    let wish = json!({ "channel_id": channel, "message": message, "root_id": root, "file_ids": files });
    let post: Post = site.post("posts").by(author.token()?).body(&wish).json().await?;
    let same = post.message == message
        && post.channel_id == channel
        && post.root_id == root
        && post.file_ids.iter().eq(files.iter());
    if same && !post.id.is_empty() {
        return Ok(post);
    }
    let what = "the stored post is not the one that was sent".to_owned();
    Err(Fault { during: "POST /api/v4/posts".to_owned(), symptom: Symptom::Wrong { what } })
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
        // The team's maker may not see its invitation: then they add the other themselves.
        add_member(site, first.token()?, &team.id, second).await?;
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
    kind: &'static crate::log::Kind,
    needs: &'static crate::log::Kind,
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

/// The picture that was posted.
struct Image {
    post: Post,
    file: String,
    bytes: Vec<u8>,
}

async fn image_reply(
    site: &Site,
    first: &Person,
    team: &TestTeam,
    root: &Post,
    config: &ClientConfig,
) -> Result<Image, Fault> {
    let machine =
        |why: String| Fault { during: "making a picture".to_owned(), symptom: Symptom::Machine(why) };
    let side = picture::side(config.get("MaxFileSize").and_then(|size| size.parse().ok()));
    let bytes = tokio::task::spawn_blocking(move || picture::noise(side))
        .await
        .map_err(|error| machine(error.to_string()))?
        .map_err(|error| machine(error.to_string()))?;
    let part = FormPart::bytes(bytes.clone())
        .file_name(format!("{}.png", first.name))
        .mime_str("image/png")
        .map_err(|error| machine(error.to_string()))?;
    // The server reads the form as a stream: the channel has to come first.
    let form = Form::new()
        .text("channel_id", team.town_square.clone())
        .text("client_ids", first.name.clone())
        .part("files", part);
    let upload: Upload = site.post("files").by(first.token()?).form(form).json().await?;
    let Some(file) = upload.file_infos.into_iter().next().filter(|file| !file.id.is_empty()) else {
        let what = "the upload's answer names no file".to_owned();
        return Err(Fault { during: "POST /api/v4/files".to_owned(), symptom: Symptom::Wrong { what } });
    };
    let post = post(site, first, &team.town_square, &root.id, &[&file.id]).await?;
    Ok(Image { post, file: file.id, bytes })
}

async fn identical(site: &Site, token: Option<&Secret>, image: &Image) -> Result<(), Fault> {
    let path = format!("files/{}", image.file);
    let received = read_as(site, token, &path).await?;
    if received == image.bytes {
        return Ok(());
    }
    let same = received.iter().zip(&image.bytes).take_while(|(one, two)| one == two).count();
    let symptom = Symptom::Bytes { sent: image.bytes.len(), received: received.len(), at: same };
    Err(Fault { during: format!("GET /api/v4/{path}"), symptom })
}

async fn previews(site: &Site, token: Option<&Secret>, image: &Image) -> Result<(), Fault> {
    for which in ["thumbnail", "preview"] {
        let path = format!("files/{}/{which}", image.file);
        let bytes = read_as(site, token, &path).await?;
        if let Err(why) = picture::dimensions(&bytes) {
            let why = crate::answer::one_line(&why);
            let symptom = Symptom::NotPicture { which, why };
            return Err(Fault { during: format!("GET /api/v4/{path}"), symptom });
        }
    }
    Ok(())
}

async fn read_as(site: &Site, token: Option<&Secret>, path: &str) -> Result<Vec<u8>, Fault> {
    let mut call = site.get(path);
    if let Some(token) = token {
        call = call.by(token);
    }
    call.bytes().await
}

async fn thread(site: &Site, reader: &Person, posts: &[&String]) -> Result<(), Fault> {
    let path = format!("posts/{}/thread", posts[0]);
    let list: PostList = site.get(&path).by(reader.token()?).json().await?;
    posts.iter().try_for_each(|post| holds(&list, post, &format!("GET /api/v4/{path}")))
}

fn no_errors(site: &Site, log: &Log<'_>) {
    match log.first_failed() {
        Some(name) => log.skip(plan::NO_ERRORS, Stop(name).why()),
        None => log.ok(plan::NO_ERRORS, format!("{} answers, none with an error", site.answers())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_domain_is_found_in_every_way_of_writing() {
        for list in ["corp.example, other.example", "@corp.example", " corp.example other.example"] {
            assert_eq!(first_domain(list), Some("corp.example"), "{list}");
        }
        assert_eq!(first_domain(" , "), None);
    }
}

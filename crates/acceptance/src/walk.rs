//! The program's four tests over REST and websocket, in order.

use reqwest::multipart::{Form, Part as FormPart};
use serde_json::json;
use tokio::join;

use crate::answer::one_line;
use crate::checks;
use crate::log::{Kind, Log, Stop, timed};
use crate::made::{Made, NewTeam};
use crate::outside::{Outside, check_outside, site_url};
use crate::person::Person;
use crate::picture;
use crate::secret::Secret;
use crate::site::Site;
use crate::socket::Socket;
use crate::symptom::{Fault, Symptom};
use crate::target::Admin;
use crate::wire::{Channel, ClientConfig, Post, PostList, Team, Upload};

/// Runs the test. `made` holds what was created, even if this future is dropped.
pub(crate) async fn walk(site: &Site, admin: &Admin, made: &mut Made, log: &Log<'_>) -> Result<(), Stop> {
    let outside = check_outside(site, admin, made, log).await?;
    log_in_people(site, &outside, made, log).await?;
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

    let admin = made.admin.as_ref().map(|admin| &admin.token);
    let team = make_team(site, first, admin, &mut made.group.team, log);
    let team = log.check(checks::FIRST_TEAM, team).await?;
    let root = post(site, first, &team.town_square, "", &[]);
    let root = log.check(checks::FIRST_POST, root).await?;
    log.check(checks::SECOND_JOINS, join_team(site, first, second, &team, &root)).await?;

    // From here on, the other checks are useful even if one fails.
    let reply = post(site, second, &team.town_square, &root.id, &[]);
    let reply = log.check(checks::SECOND_REPLIES, reply).await;
    if let Ok(reply) = &reply {
        see(log, checks::FIRST_SEES_REPLY, checks::FIRST_WEBSOCKET, first_socket.as_mut(), &reply.id).await;
    }
    let image = image_reply(site, first, &team, &root, &config);
    let image = log.check(checks::IMAGE_REPLY, image).await;
    if let Ok(image) = &image {
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
    let (reply, image) = (reply?, image?);
    let posts = [&root.id, &reply.id, &image.post.id];
    let _ = log.check(checks::THREAD, thread(site, second, &posts)).await;
    no_errors(site, log);
    Ok(())
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
    let admin = made.admin.as_ref().map(|admin| &admin.token).filter(|_| sign_up.by_admin);
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
        timed(made.group.first.sign_up(site, &sign_up.domain, admin)),
        timed(made.group.second.sign_up(site, &sign_up.domain, admin)),
    );
    log.settle(checks::FIRST_ACCOUNT, one)?;
    log.settle(checks::SECOND_ACCOUNT, two)
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
    admin: Option<&Secret>,
    made: &mut Option<NewTeam>,
    log: &Log<'_>,
) -> Result<TestTeam, Fault> {
    let token = first.token()?;
    let name = first.name.clone();
    let request = json!({ "name": name, "display_name": format!("Acceptance {name}"), "type": "O" });
    let made = made.insert(NewTeam { name, id: None });
    let team: Team = match (site.post("teams").by(token).body(&request).json().await, admin) {
        (Err(Fault { symptom: Symptom::Answer(answer), .. }), Some(admin)) if answer.status == 403 => {
            log.note(
                checks::FIRST_TEAM,
                "users may not create teams on this server: the administrator created it",
            );
            let team: Team = site.post("teams").by(admin).body(&request).json().await?;
            add_member(site, admin, &team.id, first).await?;
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

/// Sends a post with a unique text, and checks that the server stored it unchanged.
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
    let request = json!({ "channel_id": channel, "message": message, "root_id": root, "file_ids": files });
    let post: Post = site.post("posts").by(author.token()?).body(&request).json().await?;
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
        // If the team's creator may not see the invitation, the creator adds the other user.
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
        |why: String| Fault { during: "creating a picture".to_owned(), symptom: Symptom::Machine(why) };
    let side = picture::side(config.get("MaxFileSize").and_then(|size| size.parse().ok()));
    let bytes = tokio::task::spawn_blocking(move || picture::noise(side))
        .await
        .map_err(|error| machine(error.to_string()))?
        .map_err(|error| machine(error.to_string()))?;
    let part = FormPart::bytes(bytes.clone())
        .file_name(format!("{}.png", first.name))
        .mime_str("image/png")
        .map_err(|error| machine(error.to_string()))?;
    // The server reads the form as a stream: the channel must come first.
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

async fn identical(site: &Site, reader: &Person, image: &Image) -> Result<(), Fault> {
    let path = format!("files/{}", image.file);
    let received = site.get(&path).by(reader.token()?).bytes().await?;
    if received == image.bytes {
        return Ok(());
    }
    let same = received.iter().zip(&image.bytes).take_while(|(one, two)| one == two).count();
    let symptom = Symptom::Bytes { sent: image.bytes.len(), received: received.len(), at: same };
    Err(Fault { during: format!("GET /api/v4/{path}"), symptom })
}

async fn previews(site: &Site, reader: &Person, image: &Image) -> Result<(), Fault> {
    for which in ["thumbnail", "preview"] {
        let path = format!("files/{}/{which}", image.file);
        let bytes = site.get(&path).by(reader.token()?).bytes().await?;
        if let Err(why) = picture::dimensions(&bytes) {
            let why = one_line(&why);
            let symptom = Symptom::NotPicture { which, why };
            return Err(Fault { during: format!("GET /api/v4/{path}"), symptom });
        }
    }
    Ok(())
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

//! Deleting for good, and what archived channels refuse.

use std::path::{Path, PathBuf};

use reqwest::multipart::{Form, Part};
use serde_json::{Value, json};

use crate::engine;
use crate::site::{Person, Site, refused, text};

fn settings() -> Value {
    json!({"ServiceSettings": {
        "EnableAPIUserDeletion": true, "EnableAPITeamDeletion": true, "EnableAPIChannelDeletion": true,
        "EnableAPIPostDeletion": true,
    }, "TeamSettings": {"EnableUserDeactivation": true}})
}

fn files_in(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() { files_in(&path, found) } else { found.push(path) }
    }
}

fn stored(site: &Site) -> usize {
    let mut found = Vec::new();
    files_in(&site.files(), &mut found);
    found.len()
}

/// Uploads a file; with a message, as part of a post.
async fn upload(person: &Person, channel: &str, message: Option<&str>) -> (String, String) {
    let part = Part::bytes(b"content".to_vec()).file_name("a.txt");
    let form = Form::new().text("channel_id", channel.to_owned()).part("files", part);
    let answer = person.request("POST", "files").multipart(form).send().await.expect("the server answers");
    let answer: Value = answer.json().await.expect("JSON");
    let file = text(&answer["file_infos"][0]["id"]);
    let Some(message) = message else { return (file, String::new()) };
    let post = json!({"channel_id": channel, "message": message, "file_ids": [file]});
    (file, text(&person.post("posts", post).await["id"]))
}

#[tokio::test]
async fn deleting_for_good_is_refused_unless_the_setting_allows_it() {
    let site = Site::new().await;
    let ada = site.sign_up("ada").await;
    let bob = site.sign_up("bob").await;
    let (team, square) = bob.team("harbour").await;
    let team = text(&team["id"]);
    let channel = json!({"team_id": team, "name": "deck", "display_name": "Deck", "type": "O"});
    let channel = text(&bob.post("channels", channel).await["id"]);
    let post = text(&bob.say(&square, "a post").await["id"]);
    for (person, path, status, id) in [
        (&ada, format!("users/{}", bob.id), 401, "api.user.delete_user.not_enabled.for_admin.app_error"),
        (&ada, format!("teams/{team}"), 401, "api.user.delete_team.not_enabled.for_admin.app_error"),
        (&bob, format!("teams/{team}"), 401, "api.user.delete_team.not_enabled.app_error"),
        (&bob, format!("channels/{channel}"), 401, "api.user.delete_channel.not_enabled.app_error"),
        (&ada, format!("posts/{post}"), 501, "api.post.delete_post.not_enabled.app_error"),
        (&bob, format!("users/{}", bob.id), 401, "api.user.update_active.not_enable.app_error"),
    ] {
        let refusal = refused(person.request("DELETE", &format!("{path}?permanent=true"))).await;
        assert_eq!(refusal, (status, id.to_owned()), "{path}");
    }
    // Nothing was archived either.
    assert_eq!(bob.get(&format!("channels/{channel}")).await["delete_at"], 0);
    assert_eq!(bob.get(&format!("teams/{team}")).await["delete_at"], 0);
    assert_eq!(bob.get(&format!("posts/{post}")).await["message"], "a post");
}

#[tokio::test]
async fn rows_and_files_of_what_is_deleted_for_good_are_gone() {
    let site = Site::with(settings()).await;
    let ada = site.sign_up("ada").await;
    let bob = site.sign_up("bob").await;
    let (team, square) = ada.team("harbour").await;
    bob.join(&team).await;
    let team = text(&team["id"]);
    let deck = json!({"team_id": team, "name": "deck", "display_name": "Deck", "type": "O"});
    let deck = text(&bob.post("channels", deck).await["id"]);
    let (kept, _) = upload(&ada, &square, Some("kept")).await;
    let (_, post) = upload(&ada, &square, Some("to delete")).await;
    upload(&bob, &square, Some("of bob")).await;
    upload(&bob, &square, None).await;
    upload(&bob, &deck, Some("on deck")).await;
    assert_eq!(stored(&site), 5);

    ada.delete(&format!("posts/{post}")).await;
    ada.delete(&format!("posts/{post}?permanent=true")).await;
    assert_eq!(stored(&site), 4, "the file of a post that was deleted before");
    ada.delete(&format!("channels/{deck}?permanent=true")).await;
    assert_eq!(stored(&site), 3);
    let wrong = json!({"login_id": "bob", "password": "not the password"});
    assert_eq!(refused(site.request("POST", "users/login").json(&wrong)).await.0, 401);
    let token = format!(
        "insert into useraccesstokens (id, token, userid, description, isactive) \
         values ('{0}', '{0}', '{0}', 'a test', true) returning id",
        bob.id
    );
    assert_eq!(engine::ask(site.directory(), &token).await, bob.id);
    let attempts =
        format!("select cast(count(*) as text) from mainstayloginattempts where userid = '{}'", bob.id);
    assert_ne!(engine::ask(site.directory(), &attempts).await, "0", "the wrong password was counted");
    ada.delete(&format!("users/{}?permanent=true", bob.id)).await;
    assert_eq!(stored(&site), 1);
    assert_eq!(refused(bob.request("GET", "users/me")).await.0, 401);
    assert_eq!(ada.get(&format!("files/{kept}/info")).await["id"], kept.as_str());
    for table in [
        "posts",
        "fileinfo",
        "channelmembers",
        "teammembers",
        "preferences",
        "sidebarcategories",
        "sessions",
        "mainstayloginattempts",
        "useraccesstokens",
    ] {
        let column = if table == "fileinfo" { "creatorid" } else { "userid" };
        let count = format!("select cast(count(*) as text) from {table} where {column} = '{}'", bob.id);
        assert_eq!(engine::ask(site.directory(), &count).await, "0", "{table}");
    }
    ada.delete(&format!("teams/{team}?permanent=true")).await;
    assert_eq!(stored(&site), 0);
    for table in ["posts", "channels", "publicchannels", "channelmembers", "fileinfo", "teams", "teammembers"]
    {
        let count = format!("select cast(count(*) as text) from {table}");
        assert_eq!(engine::ask(site.directory(), &count).await, "0", "{table}");
    }
}

#[tokio::test]
async fn files_that_an_edit_removes_are_gone_and_those_that_it_adds_are_there() {
    let site = Site::new().await;
    let ada = site.sign_up("ada").await;
    let (_, square) = ada.team("harbour").await;
    let (first, post) = upload(&ada, &square, Some("with a file")).await;
    let (second, _) = upload(&ada, &square, None).await;
    let edited = ada.put(&format!("posts/{post}/patch"), json!({"file_ids": [second]})).await;
    assert_eq!(edited["file_ids"], json!([second]));
    let infos = ada.get(&format!("posts/{post}/files/info")).await;
    assert_eq!(infos.as_array().map(Vec::len), Some(1));
    assert_eq!(refused(ada.request("GET", &format!("files/{first}"))).await.0, 404);
    let missing = ada.put(&format!("posts/{post}/patch"), json!({"file_ids": [second, square]})).await;
    assert_eq!(missing["file_ids"], json!([second]), "what is no file is not attached");
}

#[tokio::test]
async fn an_archived_channel_refuses_every_change() {
    let site = Site::new().await;
    let ada = site.sign_up("ada").await;
    let bob = site.sign_up("bob").await;
    let (team, _) = ada.team("harbour").await;
    bob.join(&team).await;
    let channel = json!({"team_id": team["id"], "name": "deck", "display_name": "Deck", "type": "O"});
    let channel = text(&ada.post("channels", channel).await["id"]);
    let members = format!("channels/{channel}/members");
    ada.post(&members, json!({"user_id": bob.id})).await;
    let post = text(&ada.say(&channel, "a post").await["id"]);
    let reaction = |name: &str| json!({"user_id": ada.id, "post_id": post, "emoji_name": name});
    ada.post("reactions", reaction("tada")).await;
    let restored = refused(ada.request("POST", &format!("channels/{channel}/restore"))).await;
    assert_eq!(restored, (400, "api.channel.restore_channel.restored.app_error".to_owned()));
    ada.delete(&format!("channels/{channel}")).await;

    for (method, path, body, status, id) in [
        (
            "POST",
            "posts".to_owned(),
            json!({"channel_id": channel, "message": "x"}),
            400,
            "api.post.create_post.can_not_post_to_deleted.error",
        ),
        (
            "PUT",
            format!("posts/{post}"),
            json!({"id": post, "message": "x"}),
            400,
            "api.post.update_post.can_not_update_post_in_deleted.error",
        ),
        (
            "PUT",
            format!("posts/{post}/patch"),
            json!({"message": "x"}),
            400,
            "api.post.patch_post.can_not_update_post_in_deleted.error",
        ),
        (
            "POST",
            format!("posts/{post}/pin"),
            json!({}),
            400,
            "api.post.patch_post.can_not_update_post_in_deleted.error",
        ),
        (
            "DELETE",
            format!("posts/{post}"),
            json!({}),
            400,
            "api.post.delete_post.can_not_delete_post_in_deleted.error",
        ),
        (
            "POST",
            "reactions".to_owned(),
            reaction("wave"),
            403,
            "api.reaction.save.archived_channel.app_error",
        ),
        (
            "DELETE",
            format!("users/me/posts/{post}/reactions/tada"),
            json!({}),
            403,
            "api.reaction.delete.archived_channel.app_error",
        ),
        (
            "POST",
            "drafts".to_owned(),
            json!({"channel_id": channel, "message": "x"}),
            400,
            "api.draft.create_draft.can_not_draft_to_deleted.error",
        ),
        (
            "POST",
            format!("files?channel_id={channel}&filename=a.txt"),
            json!({}),
            400,
            "app.upload.create.cannot_upload_to_deleted_channel.app_error",
        ),
        (
            "PUT",
            format!("channels/{channel}"),
            json!({"id": channel, "header": "x"}),
            400,
            "api.channel.update_channel.deleted.app_error",
        ),
        (
            "PUT",
            format!("channels/{channel}/patch"),
            json!({"header": "x"}),
            400,
            "app.channel.update.bad_id",
        ),
        (
            "PUT",
            format!("channels/{channel}/privacy"),
            json!({"privacy": "P"}),
            400,
            "app.channel.update.bad_id",
        ),
        (
            "POST",
            members.clone(),
            json!({"user_id": ada.id}),
            400,
            "api.channel.add_user.to.channel.failed.deleted.app_error",
        ),
        (
            "DELETE",
            format!("{members}/{}", bob.id),
            json!({}),
            400,
            "api.channel.remove_user_from_channel.deleted.app_error",
        ),
        (
            "DELETE",
            format!("channels/{channel}"),
            json!({}),
            400,
            "api.channel.delete_channel.deleted.app_error",
        ),
    ] {
        let refusal = refused(ada.request(method, &path).json(&body)).await;
        assert_eq!(refusal, (status, id.to_owned()), "{method} {path}");
    }
    let kept = ada.get(&format!("posts/{post}")).await;
    assert_eq!(kept["message"], "a post");
}

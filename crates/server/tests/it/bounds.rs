//! Texts, lists and maps that are too long are refused with 400 and Mattermost's error ids, never with 500.

use serde_json::{Value, json};

use crate::site::{Site, refused, text};

fn long(characters: usize) -> String {
    "x".repeat(characters)
}

fn many(number: usize, one: &Value) -> Value {
    Value::Array(vec![one.clone(); number])
}

#[tokio::test]
async fn what_is_too_long_is_refused() {
    let settings = json!({"ServiceSettings": {"MaximumPayloadSizeBytes": 2_000_000}});
    let site = Site::with(settings).await;
    let ada = site.sign_up("ada").await;
    let (team, square) = ada.team("harbour").await;
    let team = text(&team["id"]);
    let post = text(&ada.say(&square, "a post").await["id"]);
    let body = "api.context.invalid_body_param.app_error";
    let preference = json!({"user_id": ada.id, "category": "c", "name": "n", "value": "v"});
    let word = json!("word");
    let id = json!(ada.id);
    for (method, path, value, expected) in [
        (
            "POST",
            "posts".to_owned(),
            json!({"channel_id": square, "message": long(16_384)}),
            "model.post.is_valid.message_length.app_error",
        ),
        (
            "POST",
            "posts".to_owned(),
            json!({"channel_id": square, "message": "x", "props": {"a": long(800_000)}}),
            "model.post.is_valid.props.app_error",
        ),
        (
            "POST",
            "posts".to_owned(),
            json!({"channel_id": square, "file_ids": many(11, &id)}),
            "model.post.is_valid.file_ids.app_error",
        ),
        (
            "PUT",
            format!("posts/{post}/patch"),
            json!({"message": long(16_384)}),
            "model.post.is_valid.message_length.app_error",
        ),
        (
            "PUT",
            format!("posts/{post}/patch"),
            json!({"props": {"a": long(800_000)}}),
            "model.post.is_valid.props.app_error",
        ),
        (
            "PUT",
            format!("posts/{post}/patch"),
            json!({"file_ids": many(11, &id)}),
            "model.post.is_valid.file_ids.app_error",
        ),
        ("POST", "posts/ids".to_owned(), many(1001, &id), body),
        ("POST", "posts/ids/reactions".to_owned(), many(1001, &id), body),
        (
            "POST",
            "reactions".to_owned(),
            json!({"user_id": ada.id, "post_id": post, "emoji_name": long(65)}),
            body,
        ),
        ("POST", "drafts".to_owned(), json!({"channel_id": square, "message": long(16_384)}), body),
        ("POST", "drafts".to_owned(), json!({"channel_id": square, "props": {"a": long(8_000)}}), body),
        ("POST", "drafts".to_owned(), json!({"channel_id": square, "priority": {"a": long(1_000)}}), body),
        ("PUT", "users/me/preferences".to_owned(), many(101, &preference), body),
        (
            "PUT",
            "users/me/preferences".to_owned(),
            json!([{"user_id": ada.id, "category": long(33), "name": "n"}]),
            body,
        ),
        (
            "PUT",
            "users/me/preferences".to_owned(),
            json!([{"user_id": ada.id, "category": "c", "name": "n", "value": long(20_001)}]),
            body,
        ),
        (
            "PUT",
            "users/me/patch".to_owned(),
            json!({"props": {"a": long(8_000)}}),
            "model.user.is_valid.invalidProperty.app_error",
        ),
        ("PUT", "users/me/patch".to_owned(), json!({"notify_props": {"a": long(8_000)}}), body),
        ("PUT", format!("channels/{square}/members/me/notify_props"), json!({"a": long(8_000)}), body),
        ("PUT", format!("channels/{square}/members/me/roles"), json!({"roles": long(300)}), body),
        ("PUT", format!("channels/{square}/patch"), json!({"header": long(1_025)}), body),
        ("PUT", format!("channels/{square}/patch"), json!({"purpose": long(251)}), body),
        ("PUT", format!("channels/{square}/patch"), json!({"display_name": long(65)}), body),
        ("PUT", format!("teams/{team}/patch"), json!({"description": long(256)}), body),
        ("PUT", format!("teams/{team}/patch"), json!({"allowed_domains": long(501)}), body),
        ("POST", "users/search".to_owned(), json!({"term": long(200_000)}), body),
        ("POST", "users/search".to_owned(), json!({"term": "a", "roles": many(101, &word)}), body),
        ("POST", "teams/search".to_owned(), json!({"term": long(200_000)}), body),
        ("POST", format!("teams/{team}/channels/search"), json!({"term": long(200_000)}), body),
        ("POST", "users/usernames".to_owned(), many(1001, &word), body),
        ("POST", "users/ids".to_owned(), many(1001, &id), body),
        ("POST", "users/status/ids".to_owned(), many(1001, &id), body),
        ("POST", "roles/names".to_owned(), many(101, &word), body),
        ("POST", format!("teams/{team}/members/ids"), many(1001, &id), body),
        ("POST", format!("channels/{square}/members/ids"), many(1001, &id), body),
        ("POST", format!("channels/{square}/members"), json!({"user_ids": many(1001, &id)}), body),
        ("POST", format!("teams/{team}/channels/ids"), many(1001, &id), body),
        ("POST", "channels/stats/member_count".to_owned(), many(1001, &id), body),
        ("POST", "channels/members/me/mark_read".to_owned(), many(1001, &id), body),
        ("POST", "channels/group".to_owned(), many(1001, &id), body),
    ] {
        let refusal = refused(ada.request(method, &path).json(&value)).await;
        assert_eq!(refusal, (400, expected.to_owned()), "{method} {path}");
    }
    let name = long(600);
    for path in
        [format!("users/autocomplete?name={name}"), format!("teams/{team}/channels/autocomplete?name={name}")]
    {
        assert_eq!(refused(ada.request("GET", &path)).await.0, 400, "{path}");
    }
}

#[tokio::test]
async fn a_post_has_as_many_different_emoji_as_the_setting_allows() {
    let site = Site::with(json!({"ServiceSettings": {"UniqueEmojiReactionLimitPerPost": 2}})).await;
    let ada = site.sign_up("ada").await;
    let bob = site.sign_up("bob").await;
    let (team, square) = ada.team("harbour").await;
    bob.join(&team).await;
    let post = text(&ada.say(&square, "a post").await["id"]);
    let reaction = |user: &str, name: &str| json!({"user_id": user, "post_id": post, "emoji_name": name});
    ada.post("reactions", reaction(&ada.id, "one")).await;
    ada.post("reactions", reaction(&ada.id, "two")).await;
    let third = refused(ada.request("POST", "reactions").json(&reaction(&ada.id, "three"))).await;
    assert_eq!(third, (400, "app.reaction.save.save.too_many_reactions".to_owned()));
    bob.post("reactions", reaction(&bob.id, "two")).await;
}

#[tokio::test]
async fn what_would_be_ignored_is_not_implemented() {
    let site = Site::new().await;
    let ada = site.sign_up("ada").await;
    let (team, square) = ada.team("harbour").await;
    let team = text(&team["id"]);
    let post = text(&ada.say(&square, "a post").await["id"]);
    for (method, path, body) in [
        (
            "POST",
            "posts".to_owned(),
            json!({"channel_id": square, "message": "x", "metadata": {"priority": {"priority": "urgent"}}}),
        ),
        ("PUT", format!("channels/{square}/patch"), json!({"banner_info": {"enabled": true}})),
        ("PUT", format!("channels/{square}/patch"), json!({"group_constrained": true})),
        ("PUT", format!("teams/{team}/patch"), json!({"group_constrained": true})),
        ("POST", "users/search".to_owned(), json!({"term": "a", "in_group_id": ada.id})),
        ("POST", "teams/search".to_owned(), json!({"term": "a", "group_constrained": true})),
        ("GET", format!("users?in_group={}", ada.id), Value::Null),
        ("GET", format!("posts/{post}?include_deleted=true"), Value::Null),
        ("GET", format!("channels/{square}/posts?include_deleted=true"), Value::Null),
    ] {
        let refusal = refused(ada.request(method, &path).json(&body)).await;
        assert_eq!(refusal, (501, server::NOT_IMPLEMENTED.to_owned()), "{method} {path}");
    }
    // Clients send whole objects, in which these fields are empty.
    let whole =
        json!({"id": square, "header": "h", "group_constrained": null, "banner_info": null, "type": "O"});
    ada.put(&format!("channels/{square}"), whole).await;
    let typed = refused(ada.request("PUT", &format!("channels/{square}")).json(&json!({"type": "P"}))).await;
    assert_eq!(typed.1, "api.channel.update_channel.typechange.app_error");
}

//! Posts: creating, reading, changing and deleting them; reactions and drafts.

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::site::{Person, Site, redacted, refused, text};

#[tokio::test]
async fn a_post_has_the_documented_fields() {
    let site = Site::new().await;
    let ada = site.sign_up("ada").await;
    let (_, square) = ada.team("harbour").await;
    let body = json!({
        "channel_id": square, "message": "hello #world", "user_id": "someone", "create_at": 0, "update_at": 1,
        "reply_count": 3, "root_id": "", "file_ids": null, "props": {"a": null}, "pending_post_id": "p:1",
        "metadata": {}
    });
    let post = ada.post("posts?set_online=true", body).await;
    assert_eq!(
        redacted(&post),
        json!({
            "id": "ID", "create_at": "TIME", "update_at": "TIME", "edit_at": 0, "delete_at": 0, "is_pinned": false,
            "user_id": "ID", "channel_id": "ID", "root_id": "", "original_id": "", "message": "hello #world",
            "type": "", "props": {"a": null}, "hashtags": "#world", "file_ids": [], "pending_post_id": "p:1",
            "reply_count": 0, "last_reply_at": 0, "participants": null, "metadata": {}
        })
    );
    assert_eq!(post["user_id"], ada.id);
    let list = ada.get(&format!("channels/{square}/posts")).await;
    assert_eq!(list["order"][0], post["id"]);
    assert_eq!((&list["next_post_id"], &list["prev_post_id"]), (&json!(""), &json!("")));
    assert_eq!(list["posts"][text(&post["id"])]["message"], "hello #world");
}

#[tokio::test]
async fn malformed_posts_are_refused() {
    let site = Site::new().await;
    let ada = site.sign_up("ada").await;
    let (team, square) = ada.team("harbour").await;
    let off_topic = ada.get(&format!("teams/{}/channels/name/off-topic", text(&team["id"]))).await;
    let elsewhere = ada.say(&text(&off_topic["id"]), "elsewhere").await;
    let root = ada.say(&square, "root").await;
    let reply =
        ada.post("posts", json!({"channel_id": square, "root_id": root["id"], "message": "reply"})).await;
    let refusal = async |change: Value| {
        let mut body = json!({"channel_id": square, "message": "x"});
        for (key, value) in change.as_object().into_iter().flatten() {
            body[key] = value.clone();
        }
        refused(ada.request("POST", "posts").json(&body)).await
    };
    assert_eq!(refusal(json!({"channel_id": "short"})).await.0, 400);
    assert_eq!(refusal(json!({"channel_id": "abcdefghijklmnopqrstuvwxyz"})).await.0, 403);
    assert_eq!(
        refusal(json!({"message": "é".repeat(16_384)})).await.1,
        "model.post.is_valid.message_length.app_error"
    );
    assert_eq!(refusal(json!({"type": "system_join_team"})).await.0, 400);
    assert_eq!(
        refusal(json!({"root_id": reply["id"]})).await,
        (400, "api.post.create_post.root_id.app_error".to_owned())
    );
    assert_eq!(
        refusal(json!({"root_id": elsewhere["id"]})).await,
        (500, "api.post.create_post.channel_root_id.app_error".to_owned())
    );
    assert_eq!(refusal(json!({"root_id": "nonsense"})).await.0, 400);
    ada.post("posts", json!({"channel_id": square, "message": "é".repeat(16_383)})).await;
}

#[tokio::test]
async fn a_repeated_request_creates_one_post() {
    let site = Site::new().await;
    let ada = site.sign_up("ada").await;
    let (_, square) = ada.team("harbour").await;
    let before = ada.get(&format!("channels/{square}")).await["total_msg_count"].as_i64();
    let body = json!({"channel_id": square, "message": "once", "pending_post_id": format!("{}:1", ada.id)});
    let made = join_all((0..8).map(|_| ada.post("posts", body.clone()))).await;
    assert!(made.iter().all(|post| post == &made[0]));
    let after = ada.get(&format!("channels/{square}")).await["total_msg_count"].as_i64();
    assert_eq!(after, before.map(|count| count + 1));
}

#[tokio::test]
async fn consecutive_pages_have_no_gap_or_overlap() {
    let site = Site::new().await;
    let ada = site.sign_up("ada").await;
    let (_, square) = ada.team("harbour").await;
    for n in 0..25 {
        ada.say(&square, &n.to_string()).await;
    }
    let page = async |query: String| ada.get(&format!("channels/{square}/posts?{query}")).await;
    let all = page("per_page=200".to_owned()).await;
    let all: Vec<String> = all["order"].as_array().into_iter().flatten().map(text).collect();
    assert_eq!(all.len(), 26, "25 posts and the system post about joining");
    let mut seen = Vec::new();
    let mut next = page("per_page=10".to_owned()).await;
    loop {
        let order: Vec<String> = next["order"].as_array().into_iter().flatten().map(text).collect();
        seen.extend(order.iter().cloned());
        let last = order.last().expect("no page is empty").clone();
        if next["prev_post_id"] == "" {
            break;
        }
        next = page(format!("per_page=10&before={last}")).await;
    }
    assert_eq!(seen, all);
    let after = page(format!("per_page=3&after={}", all[10])).await;
    assert_eq!(after["order"], json!(all[7..10]));
    assert_eq!((&after["next_post_id"], &after["prev_post_id"]), (&json!(all[6]), &json!(all[10])));
    assert_eq!(page("page=1&per_page=10".to_owned()).await["order"], json!(all[10..20]));
}

#[tokio::test]
async fn since_returns_changed_and_deleted_posts() {
    let site = Site::new().await;
    let ada = site.sign_up("ada").await;
    let (_, square) = ada.team("harbour").await;
    let (old, edited, gone) =
        (ada.say(&square, "old").await, ada.say(&square, "a").await, ada.say(&square, "b").await);
    let since = gone["update_at"].as_i64().expect("a time");
    ada.put(&format!("posts/{}/patch", text(&edited["id"])), json!({"message": "changed"})).await;
    ada.delete(&format!("posts/{}", text(&gone["id"]))).await;
    let list = ada.get(&format!("channels/{square}/posts?since={since}")).await;
    let changed = &list["posts"][text(&edited["id"])];
    assert_eq!(changed["message"], "changed");
    assert!(changed["edit_at"].as_i64().is_some_and(|at| at > 0));
    assert!(list["posts"][text(&gone["id"])]["delete_at"].as_i64().is_some_and(|at| at > 0));
    assert!(list["posts"].get(text(&old["id"])).is_none());
    assert_eq!(refused(ada.request("GET", &format!("channels/{square}/posts?since=x"))).await.0, 400);
}

#[tokio::test]
async fn only_authors_change_their_posts() {
    let site = Site::new().await;
    let (ada, bob) = (site.sign_up("ada").await, site.sign_up("bob").await);
    let (team, square) = ada.team("harbour").await;
    bob.join(&team).await;
    let post = ada.say(&square, "mine").await;
    let path = format!("posts/{}", text(&post["id"]));
    assert_eq!(
        refused(bob.request("PUT", &format!("{path}/patch")).json(&json!({"message": "x"}))).await.0,
        403
    );
    assert_eq!(refused(bob.request("DELETE", &path)).await.0, 403);
    assert_eq!(refused(ada.request("PUT", &path).json(&json!({"id": "other", "message": "x"}))).await.0, 400);
    assert_eq!(ada.put(&path, json!({"id": post["id"], "message": "whole"})).await["message"], "whole");
    bob.post(&format!("{path}/pin"), json!({})).await;
    assert_eq!(bob.get(&format!("channels/{square}/pinned")).await["order"], json!([post["id"]]));
    bob.post(&format!("{path}/unpin"), json!({})).await;
    assert_eq!(bob.get(&format!("channels/{square}/pinned")).await["order"], json!([]));
    let answer = bob.say(&square, "bob's").await;
    ada.delete(&format!("posts/{}", text(&answer["id"]))).await;
    assert_eq!(refused(bob.request("GET", &format!("posts/{}", text(&answer["id"])))).await.0, 404);
    assert_eq!(
        ada.post("posts/ids", json!([post["id"], answer["id"]])).await.as_array().map(Vec::len),
        Some(1)
    );
}

#[tokio::test]
async fn a_reaction_is_stored_once_and_can_be_removed() {
    let site = Site::new().await;
    let (ada, bob) = (site.sign_up("ada").await, site.sign_up("bob").await);
    let (team, square) = ada.team("harbour").await;
    bob.join(&team).await;
    let post = ada.say(&square, "nice?").await;
    let id = text(&post["id"]);
    let reaction = json!({"user_id": bob.id, "post_id": id, "emoji_name": "+1"});
    for _ in 0..2 {
        let made = bob.post("reactions", reaction.clone()).await;
        assert_eq!(
            redacted(&made),
            json!({"user_id": "ID", "post_id": "ID", "emoji_name": "+1", "create_at": "TIME", "update_at": "TIME",
                   "delete_at": 0, "remote_id": "", "channel_id": "ID"})
        );
    }
    assert_eq!(ada.get(&format!("posts/{id}/reactions")).await.as_array().map(Vec::len), Some(1));
    let read = ada.get(&format!("posts/{id}")).await;
    assert_eq!(
        (&read["has_reactions"], &read["metadata"]["reactions"][0]["emoji_name"]),
        (&json!(true), &json!("+1"))
    );
    assert_eq!(refused(ada.request("POST", "reactions").json(&reaction)).await.0, 403);
    assert_eq!(
        refused(bob.request("DELETE", &format!("users/{}/posts/{id}/reactions/x", ada.id))).await.0,
        403
    );
    bob.delete(&format!("users/me/posts/{id}/reactions/+1")).await;
    assert_eq!(ada.get(&format!("posts/{id}")).await.get("has_reactions"), None);
}

#[tokio::test]
async fn drafts_are_stored_and_deleted() {
    let site = Site::new().await;
    let ada = site.sign_up("ada").await;
    let (team, square) = ada.team("harbour").await;
    let path = format!("users/me/teams/{}/drafts", text(&team["id"]));
    ada.post("drafts", json!({"channel_id": square, "message": "half a thou", "user_id": ada.id})).await;
    ada.post("drafts", json!({"channel_id": square, "message": "half a thought"})).await;
    let drafts = ada.get(&path).await;
    assert_eq!((drafts.as_array().map(Vec::len), &drafts[0]["message"]), (Some(1), &json!("half a thought")));
    for _ in 0..2 {
        assert_eq!(ada.delete(&format!("users/me/channels/{square}/drafts")).await, json!({"status": "OK"}));
    }
    assert_eq!(ada.get(&path).await, json!([]));
}

/// The newest posts are kept as an answer for the next readers.
#[tokio::test]
async fn the_newest_posts_are_never_old() {
    let site = Site::new().await;
    let (ada, bob) = (site.sign_up("ada").await, site.sign_up("bob").await);
    let (team, square) = ada.team("harbour").await;
    bob.join(&team).await;
    let page = async |person: &Person| person.get(&format!("channels/{square}/posts")).await;
    let post = ada.say(&square, "first").await;
    let id = text(&post["id"]);
    let path = format!("posts/{id}");
    // What is changed, and what a page says afterwards.
    let look = async |what: &str, expected: Value| {
        for person in [&ada, &bob, &ada, &bob] {
            let shown = &page(person).await["posts"][&id];
            assert_eq!(shown.pointer(what).unwrap_or(&Value::Null), &expected, "{what}");
        }
    };
    look("/message", json!("first")).await;
    ada.put(&format!("{path}/patch"), json!({"message": "second"})).await;
    look("/message", json!("second")).await;
    bob.post(&format!("{path}/pin"), json!({})).await;
    look("/is_pinned", json!(true)).await;
    let reaction = json!({"user_id": bob.id, "post_id": id, "emoji_name": "smile"});
    bob.post("reactions", reaction).await;
    look("/metadata/reactions/0/emoji_name", json!("smile")).await;
    bob.delete(&format!("users/me/posts/{id}/reactions/smile")).await;
    look("/metadata/reactions", Value::Null).await;
    let reply = json!({"channel_id": square, "root_id": id, "message": "reply"});
    let reply = bob.post("posts", reply).await;
    look("/reply_count", json!(1)).await;
    look("/participants/0/nickname", json!("")).await;
    bob.put("users/me/patch", json!({"nickname": "Bobby"})).await;
    look("/participants/0/nickname", json!("Bobby")).await;
    let following = format!("users/me/teams/{}/threads/{id}/following", text(&team["id"]));
    bob.delete(&following).await;
    assert_eq!(page(&bob).await["posts"][&id]["is_following"], false);
    assert_eq!(page(&ada).await["posts"][&id]["is_following"], true);
    bob.put(&following, json!({})).await;
    look("/is_following", json!(true)).await;
    bob.delete(&format!("posts/{}", text(&reply["id"]))).await;
    look("/reply_count", json!(0)).await;
    let other = ada.say(&square, "other").await;
    for person in [&ada, &bob] {
        assert_eq!(page(person).await["order"][0], other["id"]);
    }
    ada.delete(&path).await;
    look("/message", Value::Null).await;
}

#[tokio::test]
async fn saved_posts_and_where_a_post_is() {
    let site = Site::new().await;
    let (ada, bob) = (site.sign_up("ada").await, site.sign_up("bob").await);
    let (team, square) = ada.team("harbour").await;
    let (first, second) = (ada.say(&square, "first").await, ada.say(&square, "second").await);
    let saved = [&first, &second].map(
        |post| json!({"user_id": ada.id, "category": "flagged_post", "name": post["id"], "value": "true"}),
    );
    ada.put("users/me/preferences", json!(saved)).await;
    let all = ada.get("users/me/posts/flagged").await;
    assert_eq!(all["order"], json!([second["id"], first["id"]]));
    let one = format!("users/me/posts/flagged?channel_id={square}&page=1&per_page=1");
    assert_eq!(ada.get(&one).await["order"], json!([first["id"]]));
    assert_eq!(bob.get("users/me/posts/flagged").await["order"], json!([]));
    assert_eq!(refused(bob.request("GET", &format!("users/{}/posts/flagged", ada.id))).await.0, 403);
    let path = format!("posts/{}/info", text(&first["id"]));
    assert_eq!(
        ada.get(&path).await,
        json!({"channel_id": square, "channel_type": "O", "channel_display_name": "Town Square",
               "has_joined_channel": true, "team_id": team["id"], "team_type": "O", "team_display_name": "harbour",
               "has_joined_team": true})
    );
    assert_eq!(refused(bob.request("GET", &path)).await.0, 403);
}

//! Channels, their members, and unread counters.

use serde_json::{Value, json};

use crate::site::{Site, redacted, refused, text};

#[tokio::test]
async fn a_channel_has_the_documented_fields() {
    let site = Site::new().await;
    let ada = site.sign_up("ada").await;
    let (team, _) = ada.team("harbour").await;
    let new = json!({"team_id": team["id"], "name": "docks", "display_name": "Docks", "type": "O"});
    let channel = ada.post("channels", new.clone()).await;
    assert_eq!(
        redacted(&channel),
        json!({
            "id": "ID", "create_at": "TIME", "update_at": "TIME", "delete_at": 0, "team_id": "ID", "type": "O",
            "display_name": "Docks", "name": "docks", "header": "", "purpose": "", "last_post_at": 0,
            "total_msg_count": 0, "extra_update_at": 0, "creator_id": "ID", "scheme_id": null, "props": null,
            "group_constrained": null, "autotranslation": false, "shared": null, "total_msg_count_root": 0,
            "policy_id": null, "last_root_post_at": 0, "banner_info": null, "policy_enforced": false,
            "policy_is_active": false, "default_category_name": ""
        })
    );
    let twice = refused(ada.request("POST", "channels").json(&new)).await;
    assert_eq!(twice, (400, "store.sql_channel.save_channel.exists.app_error".to_owned()));
    let member = ada.get(&format!("channels/{}/members/me", text(&channel["id"]))).await;
    assert_eq!(
        redacted(&member),
        json!({
            "channel_id": "ID", "user_id": "ID", "roles": "channel_user channel_admin", "last_viewed_at": "TIME",
            "msg_count": 0, "mention_count": 0, "mention_count_root": 0, "urgent_mention_count": 0,
            "msg_count_root": 0,
            "notify_props": {"desktop": "default", "mark_unread": "all", "push": "default", "email": "default",
                             "ignore_channel_mentions": "default", "channel_auto_follow_threads": "off"},
            "last_update_at": "TIME", "scheme_guest": false, "scheme_user": true, "scheme_admin": true,
            "explicit_roles": "", "autotranslation_disabled": false
        })
    );
}

#[tokio::test]
async fn private_channels_are_hidden_from_others() {
    let site = Site::new().await;
    let (ada, bob) = (site.sign_up("ada").await, site.sign_up("bob").await);
    let (team, _) = ada.team("harbour").await;
    bob.join(&team).await;
    let team = text(&team["id"]);
    let new = json!({"team_id": team, "name": "secret", "display_name": "Secret", "type": "P"});
    let id = text(&ada.post("channels", new).await["id"]);
    for path in [
        format!("channels/{id}"),
        format!("channels/{id}/posts"),
        format!("channels/{id}/stats"),
        format!("channels/{id}/members"),
        format!("channels/{id}/pinned"),
    ] {
        assert_eq!(refused(bob.request("GET", &path)).await.0, 403, "{path}");
    }
    assert_eq!(refused(bob.request("GET", &format!("teams/{team}/channels/name/secret"))).await.0, 404);
    let own = json!({"user_id": bob.id});
    assert_eq!(refused(bob.request("POST", &format!("channels/{id}/members")).json(&own)).await.0, 403);
    ada.post(&format!("channels/{id}/members"), own).await;
    bob.say(&id, "thanks").await;
    assert_eq!(
        bob.get(&format!("teams/{team}/channels")).await.as_array().map(Vec::len),
        Some(2),
        "public ones only"
    );
}

#[tokio::test]
async fn users_join_and_leave_public_channels() {
    let site = Site::new().await;
    let (ada, bob) = (site.sign_up("ada").await, site.sign_up("bob").await);
    let (team, square) = ada.team("harbour").await;
    bob.join(&team).await;
    let team = text(&team["id"]);
    let new = json!({"team_id": team, "name": "docks", "display_name": "Docks", "type": "O"});
    let id = text(&ada.post("channels", new).await["id"]);
    ada.say(&id, "before").await;
    assert_eq!(bob.get(&format!("channels/{id}/posts")).await["order"].as_array().map(Vec::len), Some(1));
    assert_eq!(
        refused(bob.request("POST", "posts").json(&json!({"channel_id": id, "message": "x"}))).await.0,
        403
    );
    let members = format!("channels/{id}/members");
    bob.post(&members, json!({"user_id": bob.id})).await;
    bob.say(&id, "here").await;
    assert_eq!(bob.get(&format!("channels/{id}/stats")).await["member_count"], 2);
    assert_eq!(
        ada.get(&format!("{members}/{}", bob.id)).await["last_viewed_at"],
        -1,
        "others' reading is private"
    );
    bob.delete(&format!("{members}/me")).await;
    assert_eq!(
        refused(bob.request("POST", "posts").json(&json!({"channel_id": id, "message": "x"}))).await.0,
        403
    );
    assert_eq!(refused(bob.request("DELETE", &format!("channels/{square}/members/me"))).await.0, 400);
    let stranger = site.sign_up("eve").await;
    assert_eq!(
        refused(stranger.request("POST", &members).json(&json!({"user_id": stranger.id}))).await.0,
        403
    );
    assert_eq!(refused(ada.request("POST", &members).json(&json!({"user_id": stranger.id}))).await.0, 404);
}

#[tokio::test]
async fn the_same_people_get_the_same_direct_or_group_channel() {
    let site = Site::new().await;
    let (ada, bob, eve) = (site.sign_up("ada").await, site.sign_up("bob").await, site.sign_up("eve").await);
    let direct = ada.post("channels/direct", json!([ada.id, bob.id])).await;
    let again = bob.post("channels/direct", json!([bob.id, ada.id])).await;
    assert_eq!((&direct["id"], &direct["team_id"], &direct["type"]), (&again["id"], &json!(""), &json!("D")));
    let mut ids = [ada.id.clone(), bob.id.clone()];
    ids.sort();
    assert_eq!(text(&direct["name"]), ids.join("__"));
    assert_eq!(refused(eve.request("POST", "channels/direct").json(&json!([ada.id, bob.id]))).await.0, 403);
    let alone = ada.post("channels/direct", json!([ada.id])).await;
    assert_eq!(text(&alone["name"]), format!("{0}__{0}", ada.id));
    let group = ada.post("channels/group", json!([bob.id, eve.id])).await;
    assert_eq!((&group["type"], &group["display_name"]), (&json!("G"), &json!("ada, bob, eve")));
    assert_eq!(eve.post("channels/group", json!([ada.id, bob.id, eve.id])).await["id"], group["id"]);
    assert_eq!(refused(ada.request("POST", "channels/group").json(&json!([bob.id]))).await.0, 400);
    eve.say(&text(&group["id"]), "hello").await;
    assert_eq!(refused(eve.request("GET", &format!("channels/{}/posts", text(&direct["id"])))).await.0, 403);
}

#[tokio::test]
async fn direct_channels_can_be_restricted_to_teams() {
    let site = Site::with(json!({"TeamSettings": {"RestrictDirectMessage": "team"}})).await;
    let (ada, bob) = (site.sign_up("ada").await, site.sign_up("bob").await);
    let refusal = refused(ada.request("POST", "channels/direct").json(&json!([ada.id, bob.id]))).await;
    assert_eq!(refusal, (403, "api.channel.create_channel.direct_channel.team_restricted_error".to_owned()));
    let (team, _) = ada.team("harbour").await;
    bob.join(&team).await;
    ada.post("channels/direct", json!([ada.id, bob.id])).await;
}

#[tokio::test]
async fn unread_counters_follow_reading() {
    let site = Site::new().await;
    let (ada, bob) = (site.sign_up("ada").await, site.sign_up("bob").await);
    let (team, square) = ada.team("harbour").await;
    bob.join(&team).await;
    let unread = async || redacted(&bob.get(&format!("users/me/channels/{square}/unread")).await);
    ada.say(&square, "one").await;
    ada.say(&square, "two, @bob").await;
    let now = unread().await;
    assert_eq!(
        (&now["msg_count"], &now["mention_count"], &now["msg_count_root"]),
        (&json!(2), &json!(1), &json!(2))
    );
    let teams = bob.get("users/me/teams/unread?include_collapsed_threads=true").await;
    assert_eq!((&teams[0]["msg_count"], &teams[0]["mention_count"]), (&json!(2), &json!(1)));
    let viewed =
        bob.post("channels/members/me/view", json!({"channel_id": square, "prev_channel_id": ""})).await;
    assert!(viewed["last_viewed_at_times"][&square].as_i64().is_some_and(|at| at > 0), "{viewed}");
    assert_eq!((&unread().await["msg_count"], &unread().await["mention_count"]), (&json!(0), &json!(0)));
    let third = ada.say(&square, "three").await;
    ada.say(&square, "four").await;
    let around =
        bob.get(&format!("users/me/channels/{square}/posts/unread?limit_before=1&limit_after=30")).await;
    assert_eq!(around["order"].as_array().map(Vec::len), Some(3), "one read, two unread");
    assert_eq!(around["order"][1], third["id"]);
    bob.post("channels/members/me/mark_read", json!([square])).await;
    assert_eq!(unread().await["msg_count"], 0);
    bob.post(&format!("users/me/posts/{}/set_unread", text(&third["id"])), json!({})).await;
    assert_eq!(unread().await["msg_count"], 2);
    bob.say(&square, "mine").await;
    assert_eq!(unread().await["msg_count"], 0, "the author has read the channel");
}

#[tokio::test]
async fn memberships_are_returned_as_lines_or_as_a_list() {
    let site = Site::new().await;
    let ada = site.sign_up("ada").await;
    let (team, _) = ada.team("harbour").await;
    let answer =
        ada.request("GET", "users/me/channel_members?page=-1&per_page=60").send().await.expect("an answer");
    assert_eq!(answer.headers()["content-type"], "application/x-ndjson");
    let lines = answer.text().await.expect("a body");
    let members: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(members.len(), 2);
    assert_eq!(ada.get("users/me/channel_members").await, json!(members));
    let path = format!("users/me/teams/{}/channels", text(&team["id"]));
    assert_eq!(ada.get(&format!("{path}/members")).await, json!(members));
    let categories = ada.get(&format!("{path}/categories")).await;
    assert_eq!(categories["order"].as_array().map(Vec::len), Some(3));
    assert_eq!(categories["categories"][1]["channel_ids"].as_array().map(Vec::len), Some(2));
}

#[tokio::test]
async fn a_channel_is_changed_archived_and_restored() {
    let site = Site::new().await;
    let (ada, bob) = (site.sign_up("ada").await, site.sign_up("bob").await);
    let (team, square) = ada.team("harbour").await;
    bob.join(&team).await;
    let new = json!({"team_id": team["id"], "name": "docks", "display_name": "Docks", "type": "O"});
    let id = text(&bob.post("channels", new).await["id"]);
    let path = format!("channels/{id}");
    assert_eq!(bob.put(&format!("{path}/patch"), json!({"header": "wet"})).await["header"], "wet");
    assert_eq!(
        refused(bob.request("PUT", &format!("{path}/patch")).json(&json!({"name": "No"}))).await.0,
        400
    );
    assert_eq!(
        refused(bob.request("PUT", &format!("{path}/privacy")).json(&json!({"privacy": "P"}))).await.0,
        403
    );
    assert_eq!(ada.put(&format!("{path}/privacy"), json!({"privacy": "P"})).await["type"], "P");
    let listed = ada.get(&format!("teams/{}/channels", text(&team["id"]))).await;
    assert_eq!(listed.as_array().map(Vec::len), Some(2), "no longer public");
    bob.delete(&path).await;
    let closed = refused(bob.request("POST", "posts").json(&json!({"channel_id": id, "message": "x"}))).await;
    assert_eq!(closed.1, "api.post.create_post.can_not_post_to_deleted.error");
    assert_eq!(refused(bob.request("POST", &format!("{path}/restore"))).await.0, 403);
    assert_eq!(ada.post(&format!("{path}/restore"), json!({})).await["delete_at"], 0);
    assert_eq!(refused(ada.request("DELETE", &format!("channels/{square}"))).await.0, 400);
}

#[tokio::test]
async fn roles_in_a_channel_are_set_by_name_or_by_scheme() {
    let site = Site::new().await;
    let (ada, bob) = (site.sign_up("ada").await, site.sign_up("bob").await);
    let (team, square) = ada.team("harbour").await;
    bob.join(&team).await;
    let member = format!("channels/{square}/members/{}", bob.id);
    let (roles, scheme_roles) = (format!("{member}/roles"), format!("{member}/schemeRoles"));
    let found = async || text(&ada.get(&member).await["roles"]);
    ada.put(&roles, json!({"roles": "channel_user channel_admin"})).await;
    assert_eq!(found().await, "channel_user channel_admin");
    ada.put(&scheme_roles, json!({"scheme_user": true, "scheme_admin": false})).await;
    assert_eq!(found().await, "channel_user");
    for (path, body) in [
        (&roles, json!({"roles": "channel_user team_user"})),
        (&roles, json!({"roles": "channel_user channel_unknown"})),
        (&scheme_roles, json!({"scheme_user": false, "scheme_admin": true})),
    ] {
        assert_eq!(refused(ada.request("PUT", path).json(&body)).await.0, 400, "{path} {body}");
        assert_eq!(refused(bob.request("PUT", path).json(&json!({"scheme_user": true}))).await.0, 403);
    }
    assert_eq!(found().await, "channel_user");
}

#[tokio::test]
async fn categories_are_made_filled_ordered_and_deleted() {
    let site = Site::new().await;
    let (ada, bob) = (site.sign_up("ada").await, site.sign_up("bob").await);
    let (team, square) = ada.team("harbour").await;
    let mut at_ada = site.socket_of(&ada, "").await;
    let all = format!("users/me/teams/{}/channels/categories", text(&team["id"]));
    let channels_of = async |id: &str| ada.get(&format!("{all}/{id}")).await["channel_ids"].clone();
    let order = ada.get(&format!("{all}/order")).await;
    let (favourites, channels) = (text(&order[0]), text(&order[1]));
    let made = ada.post(&all, json!({"display_name": "Work", "channel_ids": [square, ada.id]})).await;
    let id = text(&made["id"]);
    assert_eq!((&made["type"], &made["channel_ids"]), (&json!("custom"), &json!([square])));
    assert_eq!(at_ada.event("sidebar_category_created").await["data"]["category_id"], json!(id));
    assert_eq!(ada.get(&format!("{all}/order")).await, json!([order[0], id, order[1], order[2]]));
    assert!(!channels_of(&channels).await.as_array().is_some_and(|all| all.contains(&json!(square))));

    // From a category of one's own to the favourites, in one request.
    let moved = json!([{"id": id, "display_name": "Play", "channel_ids": []}, {"id": favourites, "channel_ids": [square]}]);
    let updated = ada.put(&all, moved).await;
    assert_eq!(updated.as_array().map(Vec::len), Some(2));
    let told = at_ada.event("sidebar_category_updated").await;
    assert!(text(&told["data"]["updatedCategories"]).contains("Play"));
    assert_eq!((channels_of(&id).await, channels_of(&favourites).await), (json!([]), json!([square])));
    assert_eq!(ada.get("users/me/preferences/favorite_channel").await[0]["name"], json!(square));
    ada.put(&format!("{all}/{favourites}"), json!({"display_name": "Mine", "channel_ids": []})).await;
    let first = ada.get(&format!("{all}/{favourites}")).await;
    assert_eq!((&first["display_name"], &first["channel_ids"]), (&json!("Favorites"), &json!([])));
    assert_eq!(ada.get("users/me/preferences/favorite_channel").await, json!([]));

    let turned = json!([order[2], order[1], id, order[0]]);
    assert_eq!(ada.put(&format!("{all}/order"), turned.clone()).await, turned);
    assert_eq!(at_ada.event("sidebar_category_order_updated").await["data"]["order"], turned);
    assert_eq!(ada.get(&all).await["order"], turned);
    for wrong in [json!([]), json!([id, id, id, id]), json!([id, "x", order[0], order[1]])] {
        assert_eq!(refused(ada.request("PUT", &format!("{all}/order")).json(&wrong)).await.0, 400);
    }
    let foreign = format!("users/{}/teams/{}/channels/categories/{id}", ada.id, text(&team["id"]));
    assert_eq!(refused(bob.request("DELETE", &foreign)).await.0, 403);
    assert_eq!(refused(ada.request("DELETE", &format!("{all}/{favourites}"))).await.0, 400);
    assert_eq!(refused(ada.request("PUT", &format!("{all}/nothing")).json(&json!({}))).await.0, 404);
    ada.delete(&format!("{all}/{id}")).await;
    assert_eq!(at_ada.event("sidebar_category_deleted").await["data"]["category_id"], json!(id));
    assert_eq!(refused(ada.request("GET", &format!("{all}/{id}"))).await.0, 404);
}

#[tokio::test]
async fn messages_about_who_came_and_went_leave_a_channel_read() {
    let site = Site::new().await;
    let (ada, bob) = (site.sign_up("ada").await, site.sign_up("bob").await);
    let (team, square) = ada.team("harbour").await;
    let unread = async || ada.get(&format!("users/me/channels/{square}/unread")).await["msg_count"].clone();
    let first = ada.say(&square, "first").await;
    bob.join(&team).await;
    assert_eq!(ada.get(&format!("channels/{square}/posts")).await["order"].as_array().map(Vec::len), Some(3));
    assert_eq!(unread().await, 0);
    bob.say(&square, "hello").await;
    assert_eq!(unread().await, 1);
    ada.post(&format!("users/me/posts/{}/set_unread", text(&first["id"])), json!({})).await;
    assert_eq!(unread().await, 2, "the two messages, without that bob joined");
}

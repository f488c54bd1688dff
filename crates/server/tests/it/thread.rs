//! Threads: replies, followers and unread counters.

use serde_json::{Value, json};

use crate::site::{Person, Site, refused, text};

/// Two users in Town Square, and a post by the first.
async fn scene(site: &Site) -> (Person, Person, String, String, Value) {
    let (ada, bob) = (site.sign_up("ada").await, site.sign_up("bob").await);
    let (team, square) = ada.team("harbour").await;
    bob.join(&team).await;
    let root = ada.say(&square, "root").await;
    (ada, bob, text(&team["id"]), square, root)
}

async fn reply(person: &Person, channel: &str, root: &Value, message: &str) -> Value {
    person.post("posts", json!({"channel_id": channel, "root_id": root["id"], "message": message})).await
}

#[tokio::test]
async fn replies_change_the_roots_counters() {
    let site = Site::new().await;
    let (ada, bob, _, square, root) = scene(&site).await;
    let first = reply(&bob, &square, &root, "one").await;
    assert_eq!(first["reply_count"], 1);
    let second = reply(&bob, &square, &root, "two").await;
    let id = text(&root["id"]);
    let read = ada.get(&format!("posts/{id}")).await;
    assert_eq!((&read["reply_count"], &read["last_reply_at"]), (&json!(2), &second["create_at"]));
    assert_eq!(read["participants"][0]["username"], "bob");
    assert_eq!(
        (read["participants"].as_array().map(Vec::len), &read["is_following"]),
        (Some(1), &json!(true))
    );

    let thread = ada.get(&format!("posts/{}/thread", text(&second["id"]))).await;
    assert_eq!(thread["order"], json!([root["id"], first["id"], second["id"]]));
    let page = ada.get(&format!("posts/{id}/thread?direction=down&perPage=1")).await;
    assert_eq!((&page["order"], &page["has_next"]), (&json!([root["id"], first["id"]]), &json!(true)));
    let at = &first["create_at"];
    let next = format!(
        "posts/{id}/thread?direction=down&perPage=1&fromPost={}&fromCreateAt={at}",
        text(&first["id"])
    );
    let next = ada.get(&next).await;
    assert_eq!((&next["order"], &next["has_next"]), (&json!([root["id"], second["id"]]), &json!(false)));
    assert_eq!(refused(ada.request("GET", &format!("posts/{id}/thread?perPage=201"))).await.0, 400);

    let collapsed = ada.get(&format!("channels/{square}/posts?collapsedThreads=true&per_page=1")).await;
    assert_eq!(collapsed["order"], json!([root["id"]]));
    let flat = ada.get(&format!("channels/{square}/posts?per_page=1")).await;
    assert_eq!(flat["order"], json!([second["id"]]));
    assert!(flat["posts"].get(&id).is_some(), "the list must contain the roots of its replies");

    bob.delete(&format!("posts/{}", text(&second["id"]))).await;
    assert_eq!(ada.get(&format!("posts/{id}")).await["reply_count"], 1);
    ada.delete(&format!("posts/{id}")).await;
    assert_eq!(refused(ada.request("GET", &format!("posts/{}", text(&first["id"])))).await.0, 404);
}

#[tokio::test]
async fn leaving_a_channel_ends_following_its_threads() {
    let site = Site::new().await;
    let (ada, bob) = (site.sign_up("ada").await, site.sign_up("bob").await);
    let (team, _) = ada.team("harbour").await;
    bob.join(&team).await;
    let new = json!({"team_id": team["id"], "name": "secret", "display_name": "Secret", "type": "P"});
    let secret = text(&ada.post("channels", new).await["id"]);
    ada.post(&format!("channels/{secret}/members"), json!({"user_id": bob.id})).await;
    let root = bob.say(&secret, "bob's").await;
    reply(&ada, &secret, &root, "before").await;
    let threads = format!("users/me/teams/{}/threads", text(&team["id"]));
    assert_eq!(bob.get(&threads).await["total"], 1);
    ada.delete(&format!("channels/{secret}/members/{}", bob.id)).await;
    reply(&ada, &secret, &root, "after").await;
    assert_eq!(bob.get(&threads).await["total"], 0);
}

#[tokio::test]
async fn automatic_following_can_be_disabled() {
    let site = Site::with(json!({"ServiceSettings": {"ThreadAutoFollow": false}})).await;
    let (ada, bob, team, square, root) = scene(&site).await;
    reply(&bob, &square, &root, "hello").await;
    assert_eq!(ada.get(&format!("users/me/teams/{team}/threads")).await["total"], 0);
    assert_eq!(ada.get(&format!("posts/{}", text(&root["id"]))).await["reply_count"], 1);
}

#[tokio::test]
async fn followers_get_unread_counters() {
    let site = Site::new().await;
    let (ada, bob, team, square, root) = scene(&site).await;
    let answer = reply(&bob, &square, &root, "for you, @ada").await;
    let path = format!("users/me/teams/{team}/threads");
    let totals = ada.get(&format!("{path}?totalsOnly=true&per_page=20&extended=false")).await;
    assert_eq!(
        totals,
        json!({"total": 1, "total_unread_threads": 1, "total_unread_mentions": 1, "total_unread_urgent_mentions": 0,
               "threads": []})
    );
    let list = ada.get(&path).await;
    let thread = &list["threads"][0];
    assert_eq!(
        (&thread["id"], &thread["unread_replies"], &thread["unread_mentions"]),
        (&root["id"], &json!(1), &json!(1))
    );
    assert_eq!(thread["post"]["message"], "root");
    assert_eq!(bob.get(&path).await["total_unread_threads"], 0, "the author of a reply has read the thread");
    let one = format!("{path}/{}", text(&root["id"]));
    ada.put(&format!("{one}/read/{}", answer["create_at"]), json!({})).await;
    assert_eq!(ada.get(&path).await["total_unread_threads"], 0);
    ada.delete(&format!("{one}/following")).await;
    reply(&bob, &square, &root, "anybody?").await;
    assert_eq!(ada.get(&path).await["total"], 0);
    ada.put(&format!("{one}/following"), json!({})).await;
    ada.put(&format!("{path}/read"), json!({})).await;
    assert_eq!(
        (&ada.get(&path).await["total"], &ada.get(&path).await["total_unread_threads"]),
        (&json!(1), &json!(0))
    );
}

#[tokio::test]
async fn a_client_that_shows_threads_with_their_channel_reads_them_with_it() {
    let site = Site::new().await;
    let (ada, bob) = (site.sign_up("ada").await, site.sign_up("bob").await);
    let (team, square) = ada.team("harbour").await;
    bob.join(&team).await;
    let root = text(&ada.say(&square, "a question").await["id"]);
    bob.post("posts", json!({"channel_id": square, "root_id": root, "message": "an answer"})).await;
    let unread = async || {
        let path = format!("users/me/teams/{}/threads", text(&team["id"]));
        ada.get(&path).await["total_unread_threads"].clone()
    };
    let view = async |apart: bool| {
        let body = json!({"channel_id": square, "collapsed_threads_supported": apart});
        ada.post("channels/members/me/view", body).await;
    };
    assert_eq!(unread().await, 1);
    view(true).await;
    assert_eq!(unread().await, 1, "the thread was not shown");
    view(false).await;
    assert_eq!(unread().await, 0);
}

#[tokio::test]
async fn an_unread_reply_leaves_the_channels_roots_read_where_threads_are_apart() {
    let site = Site::new().await;
    let ada = site.sign_up("ada").await;
    let (_, square) = ada.team("harbour").await;
    let root = text(&ada.say(&square, "a question").await["id"]);
    let reply = json!({"channel_id": square, "root_id": root, "message": "an answer"});
    let reply = text(&ada.post("posts", reply).await["id"]);
    ada.say(&square, "another question").await;
    let all = ada.get(&format!("channels/{square}")).await["total_msg_count_root"].as_i64().expect("a count");
    let path = format!("users/me/posts/{reply}/set_unread");
    let apart = ada.post(&path, json!({"collapsed_threads_supported": true})).await;
    assert_eq!(apart["msg_count_root"], all, "all roots are read");
    let together = ada.post(&path, json!({"collapsed_threads_supported": false})).await;
    assert_eq!((&together["msg_count_root"], &together["msg_count"]), (&json!(all - 1), &apart["msg_count"]));
    let bare = ada.request("POST", &path).send().await.expect("an answer");
    assert_eq!(bare.status(), 200, "a body may be missing");
}

#[tokio::test]
async fn whoever_is_added_below_a_post_is_told_in_its_thread() {
    let site = Site::new().await;
    let (ada, bob) = (site.sign_up("ada").await, site.sign_up("bob").await);
    let (team, square) = ada.team("harbour").await;
    bob.join(&team).await;
    let channel = json!({"team_id": team["id"], "name": "quay", "display_name": "Quay", "type": "O"});
    let quay = text(&ada.post("channels", channel).await["id"]);
    let root = text(&ada.say(&quay, "@bob should see this").await["id"]);
    let elsewhere = text(&ada.say(&square, "elsewhere").await["id"]);
    let members = format!("channels/{quay}/members");
    let add = |root: &str| json!({"user_id": bob.id, "post_root_id": root});
    for wrong in [&*elsewhere, "no-id"] {
        let refusal = refused(ada.request("POST", &members).json(&add(wrong))).await;
        assert_eq!(refusal, (400, "api.context.invalid_body_param.app_error".to_owned()));
    }
    ada.post(&members, add(&root)).await;
    let thread = ada.get(&format!("posts/{root}/thread")).await;
    let told = thread["posts"].as_object().expect("posts").values().find(|post| post["id"] != *root);
    assert_eq!(told.expect("a reply")["type"], "system_add_to_channel");
}

//! The websocket: authentication, sequence numbers, events, resuming, and refusals.

use futures_util::SinkExt;
use serde_json::{Value, json};
use tokio::io::AsyncReadExt;
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::{Error, Message};

use crate::site::{Site, redacted, text};

#[tokio::test]
async fn after_authentication_the_events_start_at_number_zero() {
    let site = Site::new().await;
    let ada = site.sign_up("ada").await;
    let mut socket =
        site.socket("connection_id=&sequence_number=0", &[]).await.expect("the upgrade is accepted");
    let early = socket.ask(1, "ping", json!({})).await;
    assert_eq!((&early["status"], &early["error"]["status_code"]), (&json!("FAIL"), &json!(401)));
    socket.send(&json!({"seq": 2, "action": "authentication_challenge", "data": {"token": ada.token}})).await;
    let hello = socket.next().await.expect("hello");
    assert_eq!((&hello["event"], &hello["seq"]), (&json!("hello"), &json!(0)));
    assert_eq!(
        (text(&hello["data"]["connection_id"]).len(), &hello["broadcast"]["user_id"]),
        (26, &json!(ada.id))
    );
    assert!(text(&hello["data"]["server_version"]).starts_with("11.6.0."));
    assert_eq!(socket.next().await, Some(json!({"status": "OK", "seq_reply": 2})));
    let pong = socket.ask(3, "ping", json!({})).await;
    assert_eq!(
        (&pong["status"], &pong["data"]["text"], &pong["data"]["node_id"]),
        (&json!("OK"), &json!("pong"), &json!(""))
    );
    let unknown = socket.ask(4, "nonsense", json!({})).await;
    assert_eq!(unknown["error"]["id"], "api.web_socket_router.bad_action.app_error");
    assert_eq!(socket.ask(-1, "ping", json!({})).await["status"], "FAIL");
}

#[tokio::test]
async fn sockets_with_a_wrong_token_or_none_are_closed() {
    let site = Site::new().await;
    site.sign_up("ada").await;
    let mut wrong = site.socket("", &[]).await.expect("the upgrade is accepted");
    wrong.send(&json!({"seq": 1, "action": "authentication_challenge", "data": {"token": "abcdefghijklmnopqrstuvwxyz"}})).await;
    assert_eq!(wrong.next().await, None);
    let began = Instant::now();
    let mut silent = site.socket("", &[]).await.expect("the upgrade is accepted");
    assert_eq!(silent.next().await, None);
    assert!((4..=8).contains(&began.elapsed().as_secs()), "{:?}", began.elapsed());
}

#[tokio::test]
async fn the_origin_must_be_the_site() {
    let site = Site::with(json!({"ServiceSettings": {"SiteURL": "https://chat.example"}})).await;
    for (origin, allowed) in
        [("https://chat.example", true), ("https://evil.example", false), ("null", false)]
    {
        match site.socket("", &[("origin", origin)]).await {
            Ok(_) => assert!(allowed, "{origin} was accepted"),
            Err(Error::Http(answer)) => {
                let body: Value =
                    serde_json::from_slice(answer.body().as_deref().unwrap_or_default()).expect("JSON");
                assert!(!allowed && answer.status() == 400, "{origin}");
                assert_eq!(body["id"], "api.web_socket.connect.upgrade.app_error");
            }
            Err(error) => panic!("{error}"),
        }
    }
    let plain = site.request("GET", "websocket").send().await.expect("an answer");
    assert_eq!(plain.status(), 400);
}

#[tokio::test]
async fn members_get_each_others_posts() {
    let site = Site::new().await;
    let (ada, bob) = (site.sign_up("ada").await, site.sign_up("bob").await);
    let (team, square) = ada.team("harbour").await;
    let mut at_ada = site.socket_of(&ada, "").await;
    bob.join(&team).await;
    let added = at_ada.event("user_added").await;
    assert_eq!(added["data"], json!({"user_id": bob.id, "team_id": team["id"]}));
    let mut at_bob = site.socket_of(&bob, "").await;
    at_bob.event("hello").await;

    let post = ada
        .post("posts", json!({"channel_id": square, "message": "hi @bob", "pending_post_id": "x:1"}))
        .await;
    let event = at_bob.event("posted").await;
    let data = &event["data"];
    let nested: Value = serde_json::from_str(&text(&data["post"])).expect("JSON in JSON");
    assert_eq!(nested, post);
    assert_eq!(data["mentions"], json!([bob.id]).to_string());
    let mut shown = data.clone();
    shown
        .as_object_mut()
        .expect("an object")
        .retain(|name, _| !["post", "mentions"].contains(&name.as_str()));
    assert_eq!(
        redacted(&shown),
        json!({"channel_display_name": "Town Square", "channel_name": "town-square", "channel_type": "O",
               "sender_name": "@ada", "set_online": true, "team_id": "ID"})
    );
    assert_eq!(event["broadcast"]["channel_id"], square);
    loop {
        let own = at_ada.event("posted").await;
        if text(&own["data"]["post"]).contains("hi @bob") {
            assert!(own["data"].get("mentions").is_none(), "only mentioned users get mentions");
            break;
        }
    }

    at_bob
        .send(&json!({"seq": 1, "action": "user_typing", "data": {"channel_id": square, "parent_id": ""}}))
        .await;
    assert_eq!(at_ada.event("typing").await["data"], json!({"user_id": bob.id, "parent_id": ""}));
    let reply = json!({"channel_id": square, "message": "hello", "root_id": post["id"]});
    bob.post("posts", reply).await;
    let told = at_ada.event("posted").await;
    assert_eq!(told["data"]["followers"], json!([ada.id]).to_string());
    let thread = at_ada.event("thread_updated").await;
    let thread: Value = serde_json::from_str(&text(&thread["data"]["thread"])).expect("JSON in JSON");
    assert_eq!((&thread["reply_count"], &thread["unread_replies"]), (&json!(1), &json!(1)));
    let root = &thread["post"];
    assert_eq!(
        (&root["id"], &root["channel_id"], &root["reply_count"]),
        (&post["id"], &json!(square), &json!(1))
    );
    let path = format!("posts/{}", text(&post["id"]));
    ada.put(&format!("{path}/patch"), json!({"message": "changed"})).await;
    assert!(text(&at_bob.event("post_edited").await["data"]["post"]).contains("changed"));
    bob.post("reactions", json!({"user_id": bob.id, "post_id": post["id"], "emoji_name": "heart"})).await;
    at_ada.event("reaction_added").await;
    ada.delete(&path).await;
    at_bob.event("post_deleted").await;
    site.sign_up("eve").await;
    at_bob.event("new_user").await;
}

#[tokio::test]
async fn events_of_private_channels_go_to_their_members_only() {
    let site = Site::new().await;
    let (ada, bob, eve) = (site.sign_up("ada").await, site.sign_up("bob").await, site.sign_up("eve").await);
    let (team, square) = ada.team("harbour").await;
    eve.join(&team).await;
    let mut at_eve = site.socket_of(&eve, "").await;
    at_eve.event("hello").await;
    let direct = ada.post("channels/direct", json!([ada.id, bob.id])).await;
    ada.say(&text(&direct["id"]), "secret").await;
    ada.say(&square, "public").await;
    let first = at_eve.event("posted").await;
    assert!(text(&first["data"]["post"]).contains("public"));
}

#[tokio::test]
async fn numbers_have_no_gaps_and_a_resumed_connection_continues() {
    let site = Site::new().await;
    let ada = site.sign_up("ada").await;
    let (_, square) = ada.team("harbour").await;
    let mut socket = site.socket_of(&ada, "").await;
    let hello = socket.next().await.expect("hello");
    let id = text(&hello["data"]["connection_id"]);
    for n in 0..5 {
        ada.say(&square, &n.to_string()).await;
    }
    let mut expected = 1;
    loop {
        let event = socket.next().await.expect("an event");
        assert_eq!(event["seq"], expected);
        expected += 1;
        if text(&event["event"]) == "posted" && text(&event["data"]["post"]).contains("\"message\":\"4\"") {
            break;
        }
    }
    drop(socket);
    ada.say(&square, "while away").await;
    // Suppose that the client got all but the last two events.
    let mut again =
        site.socket_of(&ada, &format!("connection_id={id}&sequence_number={}", expected - 2)).await;
    let mut missed = Vec::new();
    while missed.last().is_none_or(|event: &Value| !event.to_string().contains("while away")) {
        missed.push(again.next().await.expect("an event"));
    }
    assert_eq!(missed[0]["seq"], expected - 2);
    assert!(
        missed.windows(2).all(|pair| pair[1]["seq"].as_i64() == pair[0]["seq"].as_i64().map(|seq| seq + 1))
    );
    assert!(missed.iter().all(|event| event["event"] != "hello"));

    for query in [
        format!("connection_id={id}&sequence_number=999999"),
        "connection_id=abcdefghijklmnopqrstuvwxyz&sequence_number=3".to_owned(),
    ] {
        let mut fresh = site.socket_of(&ada, &query).await;
        let hello = fresh.next().await.expect("hello");
        assert_eq!((&hello["event"], &hello["seq"]), (&json!("hello"), &json!(0)));
        assert_ne!(text(&hello["data"]["connection_id"]), id);
    }
    for query in [
        "connection_id=short&sequence_number=0",
        "connection_id=abcdefghijklmnopqrstuvwxyz&sequence_number=x",
    ] {
        assert_eq!(site.socket_of(&ada, query).await.next().await, None, "{query}");
    }
}

#[tokio::test]
async fn typing_events_go_to_clients_that_show_the_channel() {
    let site = Site::new().await;
    let (ada, bob) = (site.sign_up("ada").await, site.sign_up("bob").await);
    let (team, square) = ada.team("harbour").await;
    bob.join(&team).await;
    let other = ada.get(&format!("teams/{}/channels/name/off-topic", text(&team["id"]))).await;
    let mut socket = site.socket_of(&ada, "").await;
    assert_eq!(socket.ask(1, "presence", json!({"channel_id": other["id"]})).await["status"], "OK");
    let typing = |channel: &str| bob.post("users/me/typing", json!({"channel_id": channel, "parent_id": ""}));
    typing(&square).await;
    typing(&text(&other["id"])).await;
    assert_eq!(socket.event("typing").await["broadcast"]["channel_id"], other["id"]);
}

#[tokio::test]
async fn ending_a_session_closes_its_sockets() {
    let site = Site::new().await;
    let ada = site.sign_up("ada").await;
    let mut socket = site.socket_of(&ada, "").await;
    socket.event("hello").await;
    ada.post("users/logout", json!({})).await;
    while socket.next().await.is_some() {}
}

#[tokio::test]
async fn a_users_status_follows_their_sockets() {
    let site = Site::new().await;
    let (ada, bob) = (site.sign_up("ada").await, site.sign_up("bob").await);
    let status = async || text(&bob.get(&format!("users/{}/status", ada.id)).await["status"]);
    assert_eq!(status().await, "offline");
    let mut socket = site.socket_of(&ada, "").await;
    assert_eq!(socket.event("status_change").await["data"]["status"], "online");
    assert_eq!(status().await, "online");
    let ids = socket.ask(1, "get_statuses_by_ids", json!({"user_ids": [ada.id]})).await;
    assert_eq!(ids["data"], json!({ada.id.clone(): "online"}));
    let (_, square) = ada.team("harbour").await;
    let away = json!({"seq": 2, "action": "user_update_active_status", "data": {"user_is_active": false}});
    for _ in 0..2 {
        socket.send(&away).await;
        assert_eq!(socket.event("status_change").await["data"]["status"], "away");
        ada.say(&square, "here").await;
        assert_eq!(socket.event("status_change").await["data"]["status"], "online", "who writes is online");
    }
    ada.put("users/me/status", json!({"user_id": ada.id, "status": "dnd", "dnd_end_time": 5})).await;
    assert_eq!(socket.event("status_change").await["data"]["status"], "dnd");
    assert_eq!(bob.post("users/status/ids", json!([ada.id])).await[0]["dnd_end_time"], 5);
}

#[tokio::test]
async fn messages_that_are_too_long_or_not_json_close_the_socket() {
    let site = Site::new().await;
    let ada = site.sign_up("ada").await;
    for message in [
        Message::Text("x".repeat(9000).into()),
        Message::Text("{".into()),
        Message::Binary(vec![0x80].into()),
    ] {
        let mut socket = site.socket_of(&ada, "").await;
        socket.event("hello").await;
        socket.0.send(message).await.expect("the socket is open");
        while socket.next().await.is_some() {}
    }
}

#[tokio::test]
async fn a_client_that_does_not_read_is_dropped_without_delaying_others() {
    let site = Site::new().await;
    let ada = site.sign_up("ada").await;
    let (_, square) = ada.team("harbour").await;
    let mut slow = site.socket_of(&ada, "").await;
    let hello = slow.event("hello").await;
    let mut quick = site.socket_of(&ada, "").await;
    quick.event("hello").await;
    let reader = tokio::spawn(async move {
        let mut posted = 0;
        while posted < 600 {
            quick.event("posted").await;
            posted += 1;
        }
    });
    // More than fits into the socket's buffers and the queue.
    let message = "x".repeat(16_000);
    for _ in 0..600 {
        ada.say(&square, &message).await;
    }
    reader.await.expect("the other client gets all posts");
    let id = text(&hello["data"]["connection_id"]);
    let mut fresh = site.socket_of(&ada, &format!("connection_id={id}&sequence_number=1")).await;
    assert_eq!(
        fresh.next().await.expect("hello")["event"],
        "hello",
        "a connection with lost events cannot be resumed"
    );
}

#[tokio::test]
async fn a_stopping_server_closes_its_sockets() {
    let site = Site::new().await;
    let ada = site.sign_up("ada").await;
    let mut socket = site.socket_of(&ada, "").await;
    socket.event("hello").await;
    let mut idle = tokio::net::TcpStream::connect(site.address()).await.expect("a connection");
    site.end().await;
    while socket.next().await.is_some() {}
    assert_eq!(idle.read(&mut [0; 16]).await.unwrap_or(0), 0);
}

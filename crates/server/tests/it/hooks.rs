//! Webhooks: who may have them, what they post, and whom they call.

use serde_json::{Value, json};

use crate::receiver::Receiver;
use crate::site::{Person, Site, refusal, refused, text};

/// The settings with which integrations may call loopback.
fn open() -> Value {
    json!({"ServiceSettings": {"AllowedUntrustedInternalConnections": "127.0.0.1"}})
}

async fn hook(person: &Person, channel: &str, more: Value) -> Value {
    let mut body = json!({"channel_id": channel, "display_name": "ci"});
    for (key, value) in more.as_object().into_iter().flatten() {
        body[key] = value.clone();
    }
    person.post("hooks/incoming", body).await
}

/// Sends `body` to a webhook.
async fn send(site: &Site, hook: &Value, body: &Value) -> reqwest::Response {
    let url = format!("{}/hooks/{}", site.url(), text(&hook["id"]));
    site.client.post(url).json(body).send().await.expect("the server answers")
}

async fn newest(person: &Person, channel: &str) -> Value {
    let page = person.get(&format!("channels/{channel}/posts")).await;
    page["posts"][text(&page["order"][0])].clone()
}

#[tokio::test]
async fn an_incoming_webhook_posts_what_it_is_sent() {
    let site = Site::new().await;
    let ada = site.sign_up("ada").await;
    let (team, square) = ada.team("harbour").await;
    let made = hook(&ada, &square, json!({"username": "robot"})).await;
    assert_eq!((&made["user_id"], &made["team_id"]), (&json!(ada.id), &team["id"]));
    let mut socket = site.socket_of(&ada, "").await;
    socket.event("hello").await;
    let answer = send(&site, &made, &json!({"text": "built <http://ci/1|number 1>", "username": "x"})).await;
    assert_eq!(
        (answer.status().as_u16(), &answer.headers()["content-type"]),
        (200, &"text/plain".parse().expect("a type"))
    );
    assert_eq!(answer.text().await.expect("a body"), "ok");
    let event = socket.event("posted").await;
    let post: Value = serde_json::from_str(&text(&event["data"]["post"])).expect("a post");
    assert_eq!(post["message"], "built [number 1](http://ci/1)");
    assert_eq!((&post["user_id"], &post["props"]["from_webhook"]), (&json!(ada.id), &json!("true")));
    assert_eq!(post["props"]["webhook_display_name"], "ci");
    assert!(post["props"].get("override_username").is_none(), "names may not be overridden by default");
    // Another channel by its name, a direct one by a person's, and attachments.
    let bob = site.sign_up("bob").await;
    bob.join(&team).await;
    assert_eq!(send(&site, &made, &json!({"text": "there", "channel": "#off-topic"})).await.status(), 200);
    let off_topic = ada.get(&format!("teams/{}/channels/name/off-topic", text(&team["id"]))).await;
    assert_eq!(newest(&ada, &text(&off_topic["id"])).await["message"], "there");
    assert_eq!(send(&site, &made, &json!({"text": "to you", "channel": "@Bob"})).await.status(), 200);
    let direct = ada.post("channels/direct", json!([ada.id, bob.id])).await;
    assert_eq!(newest(&bob, &text(&direct["id"])).await["message"], "to you");
    let attachments = json!([{"fallback": "f", "text": "<!here>", "fields": [{"title": "t", "value": 1}]}]);
    assert_eq!(send(&site, &made, &json!({"attachments": attachments})).await.status(), 200);
    let post = newest(&ada, &square).await;
    assert_eq!(
        (&post["type"], &post["props"]["attachments"][0]["text"]),
        (&json!("slack_attachment"), &json!("@here"))
    );
    assert_eq!(post["props"]["attachments"][0]["fields"][0]["value"], "1");
    // What does not fit into one post follows in a second one.
    assert_eq!(send(&site, &made, &json!({"text": "x".repeat(20_000)})).await.status(), 200);
    assert_eq!(text(&newest(&ada, &square).await["message"]).len(), 20_000 - 16_383);
    // A form, as Slack's programs send it.
    let url = format!("{}/hooks/{}", site.url(), text(&made["id"]));
    let form = [("payload", r#"{"text":"by form"}"#)];
    let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
    let request =
        site.client.post(url).header("content-type", "application/x-www-form-urlencoded").body(body);
    assert_eq!(request.send().await.expect("an answer").status(), 200);
    assert_eq!(newest(&ada, &square).await["message"], "by form");
}

#[tokio::test]
async fn names_and_pictures_are_overridden_where_the_settings_say_so() {
    let settings =
        json!({"ServiceSettings": {"EnablePostUsernameOverride": true, "EnablePostIconOverride": true}});
    let site = Site::with(settings).await;
    let ada = site.sign_up("ada").await;
    let (_, square) = ada.team("harbour").await;
    let made = hook(&ada, &square, json!({"username": "robot", "icon_url": "http://a/i.png"})).await;
    for (body, name, icon) in [
        (json!({"text": "a"}), "robot", "http://a/i.png"),
        (json!({"text": "b", "username": "other", "icon_url": "http://b/j.png"}), "other", "http://b/j.png"),
        (json!({"text": "c", "props": {"override_username": "forged"}}), "robot", "http://a/i.png"),
    ] {
        assert_eq!(send(&site, &made, &body).await.status(), 200);
        let props = newest(&ada, &square).await["props"].clone();
        assert_eq!((&props["override_username"], &props["override_icon_url"]), (&json!(name), &json!(icon)));
    }
    let long = json!({"text": "d", "username": "x".repeat(65)});
    assert_eq!(refusal(send(&site, &made, &long).await).await.0, 400);
}

#[tokio::test]
async fn what_a_webhook_may_not_post_is_refused() {
    let site = Site::new().await;
    let ada = site.sign_up("ada").await;
    let (team, square) = ada.team("harbour").await;
    let made = hook(&ada, &square, json!({"channel_locked": true})).await;
    let unlocked = hook(&ada, &square, json!({})).await;
    for (hook, body, status, id) in [
        (&made, json!({"text": ""}), 400, "web.incoming_webhook.text.app_error"),
        (&made, json!({}), 400, "web.incoming_webhook.text.app_error"),
        (&made, json!({"text": 1}), 400, "web.incoming_webhook.parse.app_error"),
        (&made, json!([1]), 400, "web.incoming_webhook.parse.app_error"),
        (
            &made,
            json!({"text": "x", "channel": "off-topic"}),
            403,
            "web.incoming_webhook.channel_locked.app_error",
        ),
        (
            &unlocked,
            json!({"text": "x", "channel": "nowhere"}),
            404,
            "web.incoming_webhook.channel.app_error",
        ),
        (
            &unlocked,
            json!({"text": "x", "channel": "@nobody"}),
            404,
            "web.incoming_webhook.channel.app_error",
        ),
        (
            &unlocked,
            json!({"text": "x", "type": "system_x"}),
            400,
            "api.context.invalid_body_param.app_error",
        ),
        (&unlocked, json!({"text": "a\u{0}b"}), 400, "api.context.invalid_body_param.app_error"),
        (&json!({"id": "a".repeat(26)}), json!({"text": "x"}), 400, "web.incoming_webhook.invalid.app_error"),
    ] {
        let (found, found_id) = refusal(send(&site, hook, &body).await).await;
        assert_eq!((found, found_id.as_str()), (status, id), "{body}");
    }
    let large = json!({"text": "x".repeat(300_001)});
    assert_eq!(refusal(send(&site, &unlocked, &large).await).await.0, 413);
    assert_eq!(refusal(send(&site, &json!({"id": "short"}), &json!({"text": "x"})).await).await.0, 400);
    // A private channel that its owner has left.
    let bob = site.sign_up("bob").await;
    bob.join(&team).await;
    let body = json!({"team_id": team["id"], "name": "secret", "display_name": "Secret", "type": "P"});
    bob.post("channels", body).await;
    let refused_there = send(&site, &unlocked, &json!({"text": "x", "channel": "secret"})).await;
    // Ada administers the system: she may. A webhook of Bob's may not post where Bob is not.
    assert_eq!(refused_there.status(), 200);
    let body = json!({"team_id": team["id"], "name": "hers", "display_name": "Hers", "type": "P"});
    ada.post("channels", body).await;
    let of_bob = hook(&ada, &square, json!({"user_id": bob.id})).await;
    let (status, id) = refusal(send(&site, &of_bob, &json!({"text": "x", "channel": "hers"})).await).await;
    assert_eq!((status, id.as_str()), (403, "web.incoming_webhook.permissions.app_error"));
    // It posts no longer, once it or its owner is gone.
    ada.delete(&format!("hooks/incoming/{}", text(&unlocked["id"]))).await;
    assert_eq!(refusal(send(&site, &unlocked, &json!({"text": "x"})).await).await.0, 400);
    ada.delete(&format!("users/{}", bob.id)).await;
    assert_eq!(refusal(send(&site, &of_bob, &json!({"text": "x"})).await).await.0, 403);
}

#[tokio::test]
async fn webhooks_belong_to_those_who_may_manage_them() {
    let site = Site::with(open()).await;
    let ada = site.sign_up("ada").await;
    let bob = site.sign_up("bob").await;
    let (team, square) = ada.team("harbour").await;
    bob.join(&team).await;
    let incoming = hook(&ada, &square, json!({})).await;
    let body = json!({"team_id": team["id"], "channel_id": square, "callback_urls": ["http://127.0.0.1:1/"]});
    let outgoing = ada.post("hooks/outgoing", body.clone()).await;
    assert_eq!(text(&outgoing["token"]).len(), 26);
    let (one, other) = (text(&incoming["id"]), text(&outgoing["id"]));
    for (method, path, body) in [
        ("POST", "hooks/incoming".to_owned(), json!({"channel_id": square})),
        ("GET", format!("hooks/incoming?team_id={}", text(&team["id"])), json!({})),
        ("GET", "hooks/incoming".to_owned(), json!({})),
        ("GET", format!("hooks/incoming/{one}"), json!({})),
        ("PUT", format!("hooks/incoming/{one}"), json!({"channel_id": square})),
        ("DELETE", format!("hooks/incoming/{one}"), json!({})),
        ("POST", "hooks/outgoing".to_owned(), body.clone()),
        ("GET", format!("hooks/outgoing?channel_id={square}"), json!({})),
        ("GET", format!("hooks/outgoing/{other}"), json!({})),
        ("PUT", format!("hooks/outgoing/{other}"), body.clone()),
        ("POST", format!("hooks/outgoing/{other}/regen_token"), json!({})),
        ("DELETE", format!("hooks/outgoing/{other}"), json!({})),
    ] {
        assert_eq!(refused(bob.request(method, &path).json(&body)).await.0, 403, "{method} {path}");
        assert_eq!(refused(site.request(method, &path).json(&body)).await.0, 401, "{method} {path}");
    }
    // A team's administrator may.
    let path = format!("teams/{}/members/{}/schemeRoles", text(&team["id"]), bob.id);
    ada.put(&path, json!({"scheme_user": true, "scheme_admin": true})).await;
    let list =
        bob.get(&format!("hooks/incoming?team_id={}&include_total_count=true", text(&team["id"]))).await;
    assert_eq!((&list["incoming_webhooks"][0]["id"], &list["total_count"]), (&incoming["id"], &json!(1)));
    let changed =
        bob.put(&format!("hooks/incoming/{one}"), json!({"channel_id": square, "display_name": "new"})).await;
    assert_eq!((&changed["display_name"], &changed["user_id"]), (&json!("new"), &json!(ada.id)));
    assert_eq!(bob.get(&format!("hooks/incoming/{one}")).await["display_name"], "new");
    let renewed = bob.post(&format!("hooks/outgoing/{other}/regen_token"), json!({})).await;
    assert_ne!(renewed["token"], outgoing["token"]);
    let path = format!("hooks/outgoing/{other}");
    let mut change = body.clone();
    change["display_name"] = json!("called");
    assert_eq!(bob.put(&path, change).await["display_name"], "called");
    bob.delete(&path).await;
    assert_eq!(refused(bob.request("GET", &path)).await.0, 404);
    assert_eq!(ada.get(&format!("hooks/outgoing?team_id={}", text(&team["id"]))).await, json!([]));
    for (change, status) in [
        (json!({"team_id": "x"}), 400),
        (json!({"callback_urls": []}), 400),
        (json!({"callback_urls": ["file:///etc/passwd"]}), 400),
        (json!({"callback_urls": ["not an address"]}), 400),
        (json!({"channel_id": "", "trigger_words": []}), 400),
        (json!({"trigger_words": [" "]}), 400),
        (json!({"trigger_words": ["x".repeat(1_025)]}), 400),
        (json!({"trigger_when": 2}), 400),
        (json!({"content_type": "text/html"}), 400),
        (json!({"display_name": "x".repeat(65)}), 400),
        (json!({"description": "x".repeat(501)}), 400),
        (json!({"icon_url": "x".repeat(1_025)}), 400),
        (json!({"channel_id": "a".repeat(26)}), 404),
    ] {
        let mut wrong = body.clone();
        wrong.as_object_mut().expect("an object").extend(change.as_object().expect("an object").clone());
        assert_eq!(refused(ada.request("POST", "hooks/outgoing").json(&wrong)).await.0, status, "{change}");
    }
    ada.post("hooks/outgoing", body.clone()).await;
    let twice = refused(ada.request("POST", "hooks/outgoing").json(&body)).await;
    assert_eq!(twice, (400, "api.webhook.create_outgoing.intersect.app_error".to_owned()));
}

#[tokio::test]
async fn an_outgoing_webhook_is_told_of_posts_and_its_answer_is_posted() {
    let site = Site::with(open()).await;
    let ada = site.sign_up("ada").await;
    let (team, square) = ada.team("harbour").await;
    let mut receiver = Receiver::new(json!({"text": "done", "response_type": "comment"}).to_string()).await;
    let body = json!({
        "team_id": team["id"], "trigger_words": ["deploy"], "content_type": "application/json",
        "callback_urls": [receiver.url()],
    });
    let made = ada.post("hooks/outgoing", body).await;
    let mut socket = site.socket_of(&ada, "").await;
    socket.event("hello").await;
    ada.say(&square, "nothing").await;
    let post = ada.say(&square, "deploy it").await;
    let (_, told) = receiver.next().await;
    let told: Value = serde_json::from_str(&told).expect("JSON");
    assert_eq!(
        (&told["token"], &told["text"], &told["trigger_word"]),
        (&made["token"], &json!("deploy it"), &json!("deploy"))
    );
    assert_eq!(
        (&told["post_id"], &told["user_name"], &told["team_domain"]),
        (&post["id"], &json!("ada"), &json!("harbour"))
    );
    let answer = loop {
        let event = socket.event("posted").await;
        let post: Value = serde_json::from_str(&text(&event["data"]["post"])).expect("a post");
        if post["message"] == "done" {
            break post;
        }
    };
    assert_eq!((&answer["root_id"], &answer["props"]["from_webhook"]), (&post["id"], &json!("true")));
    // A form, for every post of the channel; the answer itself tells nobody.
    let mut second = Receiver::new(json!({"text": "deploy again"}).to_string()).await;
    let body = json!({"team_id": team["id"], "channel_id": square, "callback_urls": [second.url()]});
    ada.post("hooks/outgoing", body).await;
    ada.say(&square, "one & two").await;
    let (head, told) = second.next().await;
    assert!(head.to_lowercase().contains("application/x-www-form-urlencoded"), "{head}");
    assert!(told.contains("text=one+%26+two") && told.contains("trigger_word=&"), "{told}");
    loop {
        let event = socket.event("posted").await;
        if text(&event["data"]["post"]).contains("deploy again") {
            break;
        }
    }
    ada.say(&square, "the end").await;
    assert!(second.next().await.1.contains("text=the+end"), "an answer was told to a webhook");
}

#[tokio::test]
async fn no_private_network_is_called_unless_it_is_allowed() {
    let site = Site::new().await;
    let ada = site.sign_up("ada").await;
    let (team, square) = ada.team("harbour").await;
    let mut receiver = Receiver::new(String::new()).await;
    let by_name = receiver.url().replace("127.0.0.1", "localhost");
    let urls = [receiver.url(), by_name, "http://169.254.169.254/".to_owned()];
    let body = json!({"team_id": team["id"], "channel_id": square, "callback_urls": urls});
    ada.post("hooks/outgoing", body).await;
    ada.say(&square, "secret").await;
    let directory = site.end().await;
    assert!(receiver.is_untouched(), "a private address was called");
    let site = Site::in_directory(directory, open()).await;
    ada.at(&site).say(&square, "allowed").await;
    assert!(receiver.next().await.1.contains("text=allowed"));
}

#[tokio::test]
async fn switched_off_webhooks_answer_501_and_do_nothing() {
    let site = Site::with(open()).await;
    let ada = site.sign_up("ada").await;
    let (team, square) = ada.team("harbour").await;
    let made = hook(&ada, &square, json!({})).await;
    let mut receiver = Receiver::new(String::new()).await;
    let body = json!({"team_id": team["id"], "channel_id": square, "callback_urls": [receiver.url()]});
    ada.post("hooks/outgoing", body).await;
    let mut off = open();
    off["ServiceSettings"]["EnableIncomingWebhooks"] = json!(false);
    off["ServiceSettings"]["EnableOutgoingWebhooks"] = json!(false);
    let site = Site::in_directory(site.end().await, off).await;
    let ada = ada.at(&site);
    for path in ["hooks/incoming", "hooks/outgoing"] {
        assert_eq!(refused(ada.request("GET", path)).await.0, 501, "{path}");
    }
    let answer = refusal(send(&site, &made, &json!({"text": "x"})).await).await;
    assert_eq!(answer, (501, "web.incoming_webhook.disabled.app_error".to_owned()));
    ada.say(&square, "nobody is told").await;
    assert_eq!(ada.get("config/client").await["EnableIncomingWebhooks"], "false");
    site.end().await;
    assert!(receiver.is_untouched());
}

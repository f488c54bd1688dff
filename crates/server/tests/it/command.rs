//! Slash commands: the server's own ones, and those of other programs.

use serde_json::{Value, json};

use crate::receiver::Receiver;
use crate::site::{Person, Site, refusal, refused, text};

async fn run(person: &Person, channel: &str, command: &str) -> Value {
    person.post("commands/execute", json!({"channel_id": channel, "command": command})).await
}

async fn newest(person: &Person, channel: &str) -> Value {
    let page = person.get(&format!("channels/{channel}/posts")).await;
    page["posts"][text(&page["order"][0])].clone()
}

fn open() -> Value {
    json!({"ServiceSettings": {"AllowedUntrustedInternalConnections": "127.0.0.1", "SiteURL": "http://chat.example"}})
}

#[tokio::test]
async fn the_servers_own_commands_do_what_they_say() {
    let site = Site::new().await;
    let ada = site.sign_up("ada").await;
    let bob = site.sign_up("bob").await;
    let (team, square) = ada.team("harbour").await;
    bob.join(&team).await;
    for (command, kind, message) in [
        ("/me waves", "me", "*waves*"),
        ("/shrug", "", r"¯\\\_(ツ)\_/¯"),
        ("/SHRUG so what ", "", r"so what ¯\\\_(ツ)\_/¯"),
        ("/code fn a()\n  b", "", "    fn a()\n      b"),
    ] {
        assert_eq!(run(&ada, &square, command).await["response_type"], "in_channel", "{command}");
        let post = newest(&ada, &square).await;
        assert_eq!((&post["type"], &post["message"]), (&json!(kind), &json!(message)), "{command}");
        assert_eq!(post["user_id"], ada.id);
    }
    for status in ["away", "dnd", "offline", "online"] {
        run(&ada, &square, &format!("/{status}")).await;
        assert_eq!(ada.get("users/me/status").await["status"], status);
    }
    let there = run(&ada, &square, "/msg @Bob hello there").await;
    assert_eq!(there["goto_location"], "/harbour/messages/@bob");
    let direct = ada.post("channels/direct", json!([ada.id, bob.id])).await;
    assert_eq!(newest(&bob, &text(&direct["id"])).await["message"], "hello there");
    let body = json!({"team_id": team["id"], "name": "deck", "display_name": "Deck", "type": "O"});
    let deck = text(&ada.post("channels", body).await["id"]);
    assert_eq!(run(&bob, &square, "/join ~deck").await["goto_location"], "/harbour/channels/deck");
    let member = format!("channels/{deck}/members/{}", bob.id);
    assert_eq!(bob.get(&member).await["user_id"], bob.id);
    run(&ada, &deck, "/kick @bob").await;
    assert_eq!(refused(ada.request("GET", &member)).await.0, 404);
    run(&ada, &square, "/invite @bob ~deck").await;
    assert_eq!(bob.get(&member).await["user_id"], bob.id);
    run(&bob, &deck, "/mute").await;
    assert_eq!(bob.get(&member).await["notify_props"]["mark_unread"], "mention");
    run(&bob, &deck, "/mute").await;
    assert_eq!(bob.get(&member).await["notify_props"]["mark_unread"], "all");
    run(&ada, &deck, "/header a *header*").await;
    run(&ada, &deck, "/purpose to rest").await;
    run(&ada, &deck, "/rename Upper Deck").await;
    let channel = ada.get(&format!("channels/{deck}")).await;
    assert_eq!(
        (&channel["header"], &channel["purpose"], &channel["display_name"]),
        (&json!("a *header*"), &json!("to rest"), &json!("Upper Deck"))
    );
    assert_eq!(run(&bob, &deck, "/leave").await["goto_location"], "/harbour/channels/town-square");
    assert_eq!(refused(ada.request("GET", &member)).await.0, 404);
    assert!(text(&run(&ada, &square, "/help").await["text"]).contains("/shrug"));
}

#[tokio::test]
async fn what_a_command_may_not_do_is_told_to_the_person_alone() {
    let site = Site::new().await;
    let ada = site.sign_up("ada").await;
    let bob = site.sign_up("bob").await;
    let cy = site.sign_up("cy").await;
    let (team, square) = ada.team("harbour").await;
    bob.join(&team).await;
    let body = json!({"team_id": team["id"], "name": "secret", "display_name": "Secret", "type": "P"});
    let secret = text(&ada.post("channels", body).await["id"]);
    let before = ada.get(&format!("channels/{square}")).await["total_msg_count"].clone();
    let mut socket = site.socket_of(&bob, "").await;
    socket.event("hello").await;
    for command in [
        "/me",
        "/code",
        "/msg",
        "/msg @nobody hi",
        "/join ~nowhere",
        "/join ~secret",
        "/join",
        "/invite",
        "/invite @cy",
        "/invite @bob ~secret",
        "/kick",
        "/kick @nobody",
        "/leave",
        "/header",
        "/mute ~secret",
    ] {
        let answer = run(&bob, &square, command).await;
        assert_eq!(answer["response_type"], "ephemeral", "{command} {answer}");
        assert_ne!(answer["text"], "", "{command}");
        let event = socket.event("ephemeral_message").await;
        let post: Value = serde_json::from_str(&text(&event["data"]["post"])).expect("a post");
        assert_eq!(
            (&post["message"], &post["type"]),
            (&answer["text"], &json!("system_ephemeral")),
            "{command}"
        );
    }
    assert_eq!(
        ada.get(&format!("channels/{square}")).await["total_msg_count"],
        before,
        "something was posted"
    );
    let execute = |body: Value| bob.request("POST", "commands/execute").json(&body);
    for (body, status, id) in [
        (json!({"channel_id": square, "command": "me"}), 400, "api.command.execute_command.start.app_error"),
        (json!({"channel_id": square, "command": "/"}), 400, "api.command.execute_command.start.app_error"),
        (json!({"channel_id": square, "command": ""}), 400, "api.command.execute_command.start.app_error"),
        (
            json!({"channel_id": square, "command": "/echo x"}),
            404,
            "api.command.execute_command.not_found.app_error",
        ),
        (
            json!({"channel_id": square, "command": format!("/me {}", "x".repeat(16_400))}),
            400,
            "api.context.invalid_body_param.app_error",
        ),
        (json!({"channel_id": "x", "command": "/me x"}), 400, "api.context.invalid_body_param.app_error"),
        (json!({"channel_id": secret, "command": "/me x"}), 403, "api.context.permissions.app_error"),
        (
            json!({"channel_id": square, "command": "/me x", "root_id": "a".repeat(26)}),
            400,
            "api.context.invalid_body_param.app_error",
        ),
    ] {
        assert_eq!(refused(execute(body.clone())).await, (status, id.to_owned()), "{body}");
    }
    let foreign = json!({"channel_id": square, "command": "/me x"});
    assert_eq!(refused(cy.request("POST", "commands/execute").json(&foreign)).await.0, 403);
    assert_eq!(refused(site.request("POST", "commands/execute").json(&foreign)).await.0, 401);
}

#[tokio::test]
async fn a_command_of_another_program_is_asked_and_answers() {
    let site = Site::with(open()).await;
    let ada = site.sign_up("ada").await;
    let bob = site.sign_up("bob").await;
    let (team, square) = ada.team("harbour").await;
    bob.join(&team).await;
    let answer = json!({
        "response_type": "in_channel", "text": "sunny <http://w|here>", "username": "weather",
        "goto_location": "/x", "extra_responses": [{"text": "for you"}],
    });
    let mut receiver = Receiver::new(answer.to_string()).await;
    let body = json!({
        "team_id": team["id"], "trigger": "Weather", "method": "P", "url": receiver.url(), "auto_complete": true,
        "auto_complete_desc": "How it is",
    });
    let made = ada.post("commands", body.clone()).await;
    assert_eq!((text(&made["token"]).len(), &made["trigger"]), (26, &json!("weather")));
    let mut socket = site.socket_of(&bob, "").await;
    socket.event("hello").await;
    let outcome = run(&bob, &square, "/weather in  Paris & Rome").await;
    assert_eq!((&outcome["goto_location"], &outcome["response_type"]), (&json!("/x"), &json!("in_channel")));
    let (head, told) = receiver.next().await;
    let fields: std::collections::BTreeMap<String, String> =
        url::form_urlencoded::parse(told.as_bytes()).into_owned().collect();
    assert!(head.contains(&format!("Token {}", text(&made["token"]))), "{head}");
    assert_eq!((fields["text"].as_str(), fields["command"].as_str()), ("in  Paris & Rome", "/weather"));
    assert_eq!((fields["user_name"].as_str(), fields["channel_id"].as_str()), ("bob", square.as_str()));
    let post = newest(&ada, &square).await;
    assert_eq!((&post["message"], &post["user_id"]), (&json!("sunny [here](http://w)"), &json!(bob.id)));
    assert!(text(&socket.event("ephemeral_message").await["data"]["post"]).contains("for you"));
    // Its later answers: five, for those who know the address.
    let later = fields["response_url"].replace("http://chat.example", &site.url());
    let answer_later = |body: Value| site.client.post(&later).json(&body).send();
    for number in 0..5 {
        let answer = json!({"response_type": "in_channel", "text": format!("later {number}")});
        assert_eq!(answer_later(answer).await.expect("an answer").status(), 200);
    }
    assert_eq!(newest(&ada, &square).await["message"], "later 4");
    let sixth = refusal(answer_later(json!({"text": "x"})).await.expect("an answer")).await;
    assert_eq!(sixth, (400, "web.command_webhook.invalid.app_error".to_owned()));
    // A text that is no JSON is for the person alone; a GET has its words in the address.
    let mut plain = Receiver::answering("text/plain", "plain words".to_owned()).await;
    let mut second = body.clone();
    second["trigger"] = json!("plain");
    second["method"] = json!("G");
    second["url"] = json!(format!("{}?a=1", plain.url()));
    ada.post("commands", second).await;
    assert_eq!(run(&bob, &square, "/plain x").await["text"], "plain words");
    assert!(plain.next().await.0.starts_with("GET /hook?a=1&token="));
    assert!(text(&socket.event("ephemeral_message").await["data"]["post"]).contains("plain words"));
    // What is suggested has no secrets.
    let path = format!("teams/{}/commands/autocomplete", text(&team["id"]));
    let list = bob.get(&path).await;
    let own =
        list.as_array().expect("a list").iter().find(|one| one["trigger"] == "weather").expect("it is there");
    assert_eq!((&own["token"], &own["url"]), (&json!(""), &json!("")));
    let found = bob.get(&format!("{path}_suggestions?user_input=/wea")).await;
    assert_eq!(
        found,
        json!([{"Complete": "weather", "Suggestion": "weather", "Hint": "", "Description": "How it is", "IconData": ""}])
    );
    // Nobody is called in a private network that is not allowed, and a program that fails says so.
    let mut third = body.clone();
    third["trigger"] = json!("hidden");
    third["url"] = json!("http://169.254.169.254/latest");
    ada.post("commands", third).await;
    let execute = json!({"channel_id": square, "command": "/hidden"});
    let failed = refused(bob.request("POST", "commands/execute").json(&execute)).await;
    assert_eq!(failed, (500, "api.command.execute_command.failed.app_error".to_owned()));
}

#[tokio::test]
async fn commands_belong_to_those_who_may_manage_them() {
    let site = Site::with(open()).await;
    let ada = site.sign_up("ada").await;
    let bob = site.sign_up("bob").await;
    let (team, square) = ada.team("harbour").await;
    let (other, _) = ada.team("port").await;
    bob.join(&team).await;
    let body = json!({"team_id": team["id"], "trigger": "go", "method": "P", "url": "http://a.example/"});
    let id = text(&ada.post("commands", body.clone()).await["id"]);
    let (team_id, other_id) = (text(&team["id"]), text(&other["id"]));
    for (method, path, sent) in [
        ("POST", "commands".to_owned(), body.clone()),
        ("GET", format!("commands?team_id={team_id}&custom_only=true"), json!({})),
        ("GET", format!("commands/{id}"), json!({})),
        ("PUT", format!("commands/{id}"), body.clone()),
        ("PUT", format!("commands/{id}/regen_token"), json!({})),
        ("PUT", format!("commands/{id}/move"), json!({"team_id": other_id})),
        ("DELETE", format!("commands/{id}"), json!({})),
        ("GET", format!("teams/{other_id}/commands/autocomplete"), json!({})),
    ] {
        assert_eq!(refused(bob.request(method, &path).json(&sent)).await.0, 403, "{method} {path}");
        assert_eq!(refused(site.request(method, &path).json(&sent)).await.0, 401, "{method} {path}");
    }
    for (change, status, error) in [
        (json!({"trigger": ""}), 400, "api.context.invalid_body_param.app_error"),
        (json!({"trigger": "/go"}), 400, "api.context.invalid_body_param.app_error"),
        (json!({"trigger": "a b"}), 400, "api.context.invalid_body_param.app_error"),
        (json!({"trigger": "x".repeat(129)}), 400, "api.context.invalid_body_param.app_error"),
        (json!({"trigger": "GO"}), 400, "api.command.duplicate_trigger.app_error"),
        (json!({"trigger": "shrug"}), 400, "api.command.duplicate_trigger.app_error"),
        (json!({"trigger": "b", "method": "X"}), 400, "api.context.invalid_body_param.app_error"),
        (json!({"trigger": "b", "url": "ftp://a"}), 400, "api.context.invalid_body_param.app_error"),
        (
            json!({"trigger": "b", "url": format!("http://{}/", "x".repeat(1_025))}),
            400,
            "api.context.invalid_body_param.app_error",
        ),
        (
            json!({"trigger": "b", "username": "x".repeat(65)}),
            400,
            "api.context.invalid_body_param.app_error",
        ),
        (json!({"trigger": "b", "team_id": "a".repeat(26)}), 404, "app.team.get.find.app_error"),
    ] {
        let mut wrong = body.clone();
        wrong.as_object_mut().expect("an object").extend(change.as_object().expect("an object").clone());
        let found = refused(ada.request("POST", "commands").json(&wrong)).await;
        assert!(found.0 == status && (status == 404 || found.1 == error), "{change} {found:?}");
    }
    let renewed = ada.put(&format!("commands/{id}/regen_token"), json!({})).await;
    assert_eq!(ada.get(&format!("commands/{id}")).await["token"], renewed["token"]);
    ada.put(&format!("commands/{id}/move"), json!({"team_id": other_id})).await;
    assert_eq!(ada.get(&format!("commands/{id}")).await["team_id"], other["id"]);
    ada.delete(&format!("commands/{id}")).await;
    assert_eq!(refused(ada.request("GET", &format!("commands/{id}"))).await.0, 404);
    ada.post("commands", body).await;
    // Switched off: the server's own commands stay.
    let mut off = open();
    off["ServiceSettings"]["EnableCommands"] = json!(false);
    let site = Site::in_directory(site.end().await, off).await;
    let (ada, bob) = (ada.at(&site), bob.at(&site));
    let execute = json!({"channel_id": square, "command": "/go"});
    assert_eq!(refused(bob.request("POST", "commands/execute").json(&execute)).await.0, 501);
    assert_eq!(
        refused(ada.request("GET", &format!("commands?team_id={team_id}&custom_only=true"))).await.0,
        501
    );
    assert_eq!(run(&bob, &square, "/me waves").await["response_type"], "in_channel");
}

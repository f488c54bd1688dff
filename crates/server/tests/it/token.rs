//! Personal access tokens.

use serde_json::{Value, json};

use crate::site::{Person, Site, refused, text};

fn on() -> Value {
    json!({"ServiceSettings": {"EnableUserAccessTokens": true}})
}

async fn status(site: &Site, token: &str) -> u16 {
    let request = site.request("GET", "users/me").bearer_auth(token);
    request.send().await.expect("the server answers").status().as_u16()
}

async fn make(person: &Person, user: &str) -> Value {
    person.post(&format!("users/{user}/tokens"), json!({"description": "for a program"})).await
}

#[tokio::test]
async fn a_token_signs_in_until_it_is_switched_off_or_revoked() {
    let site = Site::with(on()).await;
    let ada = site.sign_up("ada").await;
    let made = make(&ada, "me").await;
    let (id, token) = (text(&made["id"]), text(&made["token"]));
    assert_eq!((status(&site, &token).await, &made["is_active"]), (200, &json!(true)));
    let list = ada.get("users/me/tokens").await;
    assert_eq!((&list[0]["id"], list[0].get("token")), (&made["id"], None), "a list shows the secret");
    assert_eq!(ada.get(&format!("users/tokens/{id}")).await["description"], "for a program");
    assert_eq!(ada.get("users/tokens").await[0]["id"], made["id"]);
    assert_eq!(ada.post("users/tokens/search", json!({"term": "AD"})).await[0]["id"], made["id"]);
    assert_eq!(ada.post("users/tokens/search", json!({"term": "a%"})).await, json!([]));
    let body = json!({"token_id": id});
    ada.post("users/tokens/disable", body.clone()).await;
    assert_eq!(
        (status(&site, &token).await, &ada.get("users/me/tokens").await[0]["is_active"]),
        (401, &json!(false))
    );
    ada.post("users/tokens/enable", body.clone()).await;
    assert_eq!(status(&site, &token).await, 200);
    ada.post("users/tokens/revoke", body.clone()).await;
    assert_eq!(status(&site, &token).await, 401);
    assert_eq!(refused(ada.request("POST", "users/tokens/revoke").json(&body)).await.0, 404);
}

#[tokio::test]
async fn who_may_not_has_no_tokens_and_learns_of_none() {
    let site = Site::with(on()).await;
    let ada = site.sign_up("ada").await;
    let bob = site.sign_up("bob").await;
    let made = make(&ada, "me").await;
    let id = text(&made["id"]);
    let requests = [
        ("POST", "users/me/tokens".to_owned()),
        ("POST", format!("users/{}/tokens", ada.id)),
        ("GET", "users/me/tokens".to_owned()),
        ("GET", format!("users/{}/tokens", ada.id)),
        ("GET", "users/tokens".to_owned()),
        ("GET", format!("users/tokens/{id}")),
        ("POST", "users/tokens/search".to_owned()),
        ("POST", "users/tokens/revoke".to_owned()),
        ("POST", "users/tokens/disable".to_owned()),
        ("POST", "users/tokens/enable".to_owned()),
    ];
    let body = json!({"description": "x", "token_id": id, "term": "a"});
    for (method, path) in &requests {
        assert_eq!(refused(bob.request(method, path).json(&body)).await.0, 403, "{method} {path}");
        let stranger = site.client.request(
            method.parse().expect("a method"),
            format!("{}/api/v4/{}", site.url(), path.replace("/me/", &format!("/{}/", ada.id))),
        );
        assert_eq!(refused(stranger.json(&body)).await.0, 401, "{method} {path}");
    }
    // With the role for it, one's own alone.
    ada.put(&format!("users/{}/roles", bob.id), json!({"roles": "system_user system_user_access_token"}))
        .await;
    let own = make(&bob, "me").await;
    assert_eq!(status(&site, &text(&own["token"])).await, 200);
    assert_eq!(refused(bob.request("POST", &format!("users/{}/tokens", ada.id)).json(&body)).await.0, 403);
    assert_eq!(refused(bob.request("GET", &format!("users/{}/tokens", ada.id))).await.0, 403);
    assert_eq!(refused(bob.request("GET", &format!("users/tokens/{id}"))).await.0, 404);
    assert_eq!(refused(bob.request("POST", "users/tokens/revoke").json(&body)).await.0, 404);
    assert_eq!(status(&site, &text(&made["token"])).await, 200, "a stranger revoked it");
    for wrong in [
        json!({}),
        json!({"description": ""}),
        json!({"description": "x".repeat(256)}),
        json!({"description": 1}),
    ] {
        assert_eq!(refused(bob.request("POST", "users/me/tokens").json(&wrong)).await.0, 400, "{wrong}");
    }
    assert_eq!(
        refused(bob.request("POST", "users/tokens/revoke").json(&json!({"token_id": "x"}))).await.0,
        400
    );
    // The setting decides.
    let site = Site::in_directory(site.end().await, json!({})).await;
    assert_eq!(refused(ada.at(&site).request("POST", "users/me/tokens").json(&body)).await.0, 501);
    assert_eq!(status(&site, &text(&made["token"])).await, 401);
}

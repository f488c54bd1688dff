//! Searching posts and files.

use serde_json::{Value, json};

use crate::site::{Person, Site, refused, text};

/// The messages that are found, from the newest to the oldest.
async fn messages(person: &Person, place: &str, body: Value) -> Vec<String> {
    let found = person.post(&format!("{place}posts/search"), body).await;
    let order = found["order"].as_array().expect("a list");
    order.iter().map(|id| text(&found["posts"][text(id)]["message"])).collect()
}

#[tokio::test]
async fn posts_are_found_by_what_is_in_them() {
    let site = Site::new().await;
    let (ada, bob) = (site.sign_up("ada").await, site.sign_up("bob").await);
    let (team, square) = ada.team("harbour").await;
    bob.join(&team).await;
    let place = format!("teams/{}/", text(&team["id"]));
    let old = json!({"channel_id": square, "message": "an old ship", "create_at": 1_767_225_600_000_i64});
    ada.post("posts", old).await;
    for message in [
        "the ships are sailing",
        "an old harbour wall",
        "wall old harbour #fleet-news",
        "#fleet is not the same",
        "100% of under_score, it's \"quoted\" (déjà vu)",
        "明日は東京の港へ行きます",
    ] {
        ada.say(&square, message).await;
    }
    bob.say(&square, "ships, says bob").await;
    let find = async |terms: &str| messages(&bob, &place, json!({ "terms": terms })).await;
    let count = async |terms: &str| find(terms).await.len();
    assert_eq!(find("ship").await, ["ships, says bob", "the ships are sailing", "an old ship"]);
    assert_eq!(find("ship -sail").await, ["ships, says bob", "an old ship"]);
    assert_eq!(find("SHIPS from:@ada sailing").await, ["the ships are sailing"]);
    assert_eq!(find("\"old harbour\"").await, ["wall old harbour #fleet-news", "an old harbour wall"]);
    assert_eq!(find("\"harbour wall\"").await, ["an old harbour wall"]);
    assert_eq!(find("harb* -\"harbour wall\"").await, ["wall old harbour #fleet-news"]);
    assert_eq!(find("#fleet").await, ["#fleet is not the same"]);
    assert_eq!(find("#FLEET-news").await, ["wall old harbour #fleet-news"]);
    assert_eq!((count("#fl*").await, count("harbour -#fleet-news").await), (2, 1));
    assert_eq!((count("東京").await, count("港 東京").await, count("京都").await), (1, 1, 0));
    assert_eq!((count("ship -東京").await, count("東京 -港").await), (3, 0));
    assert_eq!((count("déjà").await, count("under_score").await, count("vu").await), (1, 1, 1));
    assert_eq!(find("on:2026-01-01").await, ["an old ship"]);
    assert_eq!((count("ship before:2026-01-02").await, count("ship after:2026-01-01").await), (1, 2));
    assert_eq!((count("-on:2026-01-01 ship").await, count("ship on:never").await), (2, 0));
    assert_eq!(
        (count("from:bob").await, count("ship -from:bob").await, count("ship from:nobody").await),
        (1, 2, 0)
    );
    assert_eq!((count("ship in:town-square").await, count("ship in:off-topic").await), (3, 0));
    assert_eq!((count("ship -in:~town-square").await, count("ship in:nowhere").await), (0, 0));
    let either = json!({"terms": "sailing wall 東京 #fleet", "is_or_search": true});
    assert_eq!(messages(&bob, &place, either).await.len(), 5);
    let words = json!({"terms": "sailing #fleet", "is_or_search": true});
    assert_eq!(messages(&bob, &place, words).await.len(), 2);
    assert_eq!(count("joined").await, 0, "the server's own posts are not searched");
    let second = json!({"terms": "ship", "page": 1});
    assert!(messages(&bob, &place, second).await.is_empty(), "the first page has all");
    // Nothing that is typed is an operator of the index.
    for terms in [
        "AND",
        "ship OR",
        "NEAR(a b)",
        "message : x",
        "'",
        "\"",
        "a:*",
        "%",
        "_",
        "!&|<->",
        "(",
        "- \"",
        "\\",
    ] {
        let answer = bob.request("POST", &format!("{place}posts/search")).json(&json!({ "terms": terms }));
        assert_eq!(answer.send().await.expect("an answer").status(), 200, "{terms}");
    }
    assert_eq!(count("100%").await, 1);
}

#[tokio::test]
async fn an_edited_post_is_found_by_its_new_text_and_a_deleted_one_not_at_all() {
    let site = Site::new().await;
    let ada = site.sign_up("ada").await;
    let (_, square) = ada.team("harbour").await;
    let (first, second) = (ada.say(&square, "anchor #one").await, ada.say(&square, "anchor").await);
    let path = format!("posts/{}", text(&first["id"]));
    ada.put(&format!("{path}/patch"), json!({"message": "錨 sail #two"})).await;
    let find = async |terms: &str| messages(&ada, "", json!({ "terms": terms })).await;
    assert_eq!(find("anchor").await, ["anchor"]);
    assert!(find("#one").await.is_empty());
    for terms in ["sail", "#two", "錨"] {
        assert_eq!(find(terms).await, ["錨 sail #two"], "{terms}");
    }
    ada.put(&format!("{path}/patch"), json!({"is_pinned": true})).await;
    assert_eq!(find("sail").await.len(), 1);
    ada.delete(&path).await;
    ada.delete(&format!("posts/{}", text(&second["id"]))).await;
    for terms in ["sail", "#two", "錨", "anchor", "from:ada"] {
        assert!(find(terms).await.is_empty(), "{terms}");
    }
}

#[tokio::test]
async fn only_what_a_person_may_see_is_found() {
    let site = Site::new().await;
    let people = (site.sign_up("ada").await, site.sign_up("bob").await, site.sign_up("eve").await);
    let (ada, bob, eve) = people;
    let (team, _) = ada.team("harbour").await;
    let (_, elsewhere) = ada.team("other").await;
    bob.join(&team).await;
    let place = format!("teams/{}/", text(&team["id"]));
    let private = json!({"team_id": team["id"], "name": "den", "display_name": "den", "type": "P"});
    let private = text(&ada.post("channels", private).await["id"]);
    ada.say(&private, "secret plan").await;
    ada.say(&elsewhere, "secret of the other team").await;
    let direct = text(&ada.post("channels/direct", json!([ada.id, bob.id])).await["id"]);
    ada.say(&direct, "secret for bob").await;
    let find = async |person: &Person, place: &str, terms: &str| {
        messages(person, place, json!({ "terms": terms })).await
    };
    assert_eq!(find(&bob, &place, "secret").await, ["secret for bob"]);
    assert_eq!(find(&ada, &place, "secret").await, ["secret for bob", "secret plan"]);
    assert_eq!(find(&ada, "", "secret").await.len(), 3);
    assert!(find(&eve, "", "secret").await.is_empty());
    assert_eq!(find(&ada, &place, "in:@bob secret").await, ["secret for bob"]);
    assert!(find(&bob, &place, "in:den").await.is_empty());
    assert_eq!(
        refused(eve.request("POST", &format!("{place}posts/search")).json(&json!({"terms": "x"}))).await.0,
        403
    );
    ada.post(&format!("channels/{private}/members"), json!({"user_id": bob.id})).await;
    assert_eq!(find(&bob, &place, "secret").await.len(), 2);
    ada.delete(&format!("channels/{private}")).await;
    assert_eq!(find(&bob, &place, "secret").await.len(), 1);
    let archived = json!({"terms": "secret", "include_deleted_channels": true});
    assert_eq!(messages(&bob, &place, archived).await.len(), 2);
}

#[tokio::test]
async fn searches_are_bounded() {
    let site = Site::new().await;
    let ada = site.sign_up("ada").await;
    let body = |terms: String| json!({ "terms": terms });
    for (terms, status) in [("x".repeat(513), 400), (String::new(), 400), (" ".to_owned(), 400)] {
        assert_eq!(refused(ada.request("POST", "posts/search").json(&body(terms))).await.0, status);
    }
    let stranger = site.request("POST", "posts/search").json(&body("x".to_owned()));
    assert_eq!(refused(stranger).await.0, 401);
    let many = (0..250).map(|n| format!("{} ", n % 10)).collect::<String>();
    assert_eq!(ada.post("posts/search", body(many)).await["order"], json!([]));
    assert_eq!(ada.post("posts/search", body("x -y \"z".to_owned())).await["matches"], Value::Null);
}

#[tokio::test]
async fn files_are_found_by_their_names() {
    let site = Site::new().await;
    let ada = site.sign_up("ada").await;
    let (team, square) = ada.team("harbour").await;
    let place = format!("teams/{}/", text(&team["id"]));
    for name in ["harbour-plan.pdf", "harbour.txt"] {
        let query = format!("files?channel_id={square}&filename={name}");
        let file = ada.request("POST", &query).body("text").send().await.expect("an answer");
        let file: Value = file.json().await.expect("JSON");
        let ids = json!([file["file_infos"][0]["id"]]);
        ada.post("posts", json!({"channel_id": square, "message": "a file", "file_ids": ids})).await;
    }
    let find = async |terms: &str| {
        let found = ada.post(&format!("{place}files/search"), json!({ "terms": terms })).await;
        let order = found["order"].as_array().expect("a list").clone();
        order.iter().map(|id| text(&found["file_infos"][text(id)]["name"])).collect::<Vec<_>>()
    };
    assert_eq!(find("Harbour").await, ["harbour.txt", "harbour-plan.pdf"]);
    assert_eq!(find("harb* -plan").await, ["harbour.txt"]);
    assert_eq!(find("ext:pdf").await, ["harbour-plan.pdf"]);
    assert_eq!(find("harbour -ext:pdf from:ada in:town-square").await, ["harbour.txt"]);
    assert!(find("h_rbour").await.is_empty() && find("from:nobody").await.is_empty());
}

//! Teams: creating, joining, managing and leaving them.

use serde_json::{Value, json};

use crate::site::{Site, redacted, refused, text};

#[tokio::test]
async fn a_team_has_the_documented_fields() {
    let site = Site::new().await;
    let ada = site.sign_up("ada").await;
    let (team, _) = ada.team("harbour").await;
    assert_eq!(
        redacted(&team),
        json!({
            "id": "ID", "create_at": "TIME", "update_at": "TIME", "delete_at": 0, "display_name": "harbour",
            "name": "harbour", "description": "", "email": "ada@example.com", "type": "O", "company_name": "",
            "allowed_domains": "", "invite_id": "ID", "allow_open_invite": false, "scheme_id": null,
            "group_constrained": null, "policy_id": null, "cloud_limits_archived": false
        })
    );
    let members = ada.get("users/me/teams/members").await;
    assert_eq!(
        redacted(&members[0]),
        json!({"team_id": "ID", "user_id": "ID", "roles": "team_user team_admin", "delete_at": 0,
               "scheme_guest": false, "scheme_user": true, "scheme_admin": true, "explicit_roles": ""})
    );
    let channels = ada.get(&format!("users/me/teams/{}/channels", text(&team["id"]))).await;
    let names: Vec<&Value> =
        channels.as_array().into_iter().flatten().map(|channel| &channel["name"]).collect();
    assert_eq!(names, ["off-topic", "town-square"]);
}

#[tokio::test]
async fn names_are_checked_and_unique() {
    let site = Site::new().await;
    let ada = site.sign_up("ada").await;
    ada.team("harbour").await;
    let id = async |name: &str| {
        let body = json!({"name": name, "display_name": "X", "type": "O"});
        refused(ada.request("POST", "teams").json(&body)).await
    };
    assert_eq!(id("harbour").await, (400, "app.team.save.existing.app_error".to_owned()));
    assert_eq!(id("postal").await.1, "model.team.is_valid.reserved.app_error");
    assert_eq!(id("a_b").await.1, "model.team.is_valid.characters.app_error");
    assert_eq!(
        refused(ada.request("POST", "teams").json(&json!({"name": "fine", "type": "O"}))).await.0,
        400
    );
    assert_eq!(ada.get("teams/name/harbour/exists").await, json!({"exists": true}));
    assert_eq!(ada.get("teams/name/nothing/exists").await, json!({"exists": false}));
}

#[tokio::test]
async fn joining_requires_an_open_team_or_an_invite() {
    let site = Site::new().await;
    let (ada, bob) = (site.sign_up("ada").await, site.sign_up("bob").await);
    let (team, _) = ada.team("harbour").await;
    let id = text(&team["id"]);
    let own = json!({"team_id": id, "user_id": bob.id});
    let path = format!("teams/{id}/members");
    assert_eq!(
        refused(bob.request("POST", &path).json(&own)).await,
        (403, "api.context.permissions.app_error".to_owned())
    );
    assert_eq!(refused(bob.request("GET", &format!("teams/{id}"))).await.0, 403);
    let info = site.request("GET", &format!("teams/invite/{}", text(&team["invite_id"])));
    let info: Value = info.send().await.expect("an answer").json().await.expect("JSON");
    assert_eq!(info, json!({"display_name": "harbour", "description": "", "name": "harbour", "id": id}));
    bob.join(&team).await;
    bob.join(&team).await;
    assert_eq!(bob.get(&format!("teams/{id}")).await["invite_id"], team["invite_id"], "members may invite");
    ada.put(&format!("teams/{id}/patch"), json!({"allow_open_invite": true})).await;
    let eve = site.sign_up("eve").await;
    let seen = eve.get(&format!("teams/{id}")).await;
    assert_eq!((&seen["invite_id"], &seen["email"]), (&json!(""), &json!("")));
    assert_eq!(eve.get("teams").await.as_array().map(Vec::len), Some(1));
    eve.post(&path, json!({"team_id": id, "user_id": eve.id})).await;
    let stats = ada.get(&format!("teams/{id}/stats")).await;
    assert_eq!(stats, json!({"team_id": id, "total_member_count": 3, "active_member_count": 3}));
    assert_eq!(refused(bob.request("POST", "teams/members/invite?invite_id=x")).await.0, 404);
}

#[tokio::test]
async fn closing_a_team_invalidates_its_invite_link() {
    let site = Site::new().await;
    let (ada, bob) = (site.sign_up("ada").await, site.sign_up("bob").await);
    let (team, _) = ada.team("harbour").await;
    let path = format!("teams/{}/patch", text(&team["id"]));
    ada.put(&path, json!({"allow_open_invite": true})).await;
    ada.put(&path, json!({"allow_open_invite": false})).await;
    let old = format!("teams/members/invite?invite_id={}", text(&team["invite_id"]));
    assert_eq!(refused(bob.request("POST", &old)).await.0, 404);
    assert_eq!(refused(bob.request("PUT", &path).json(&json!({"display_name": "mine"}))).await.0, 403);
}

#[tokio::test]
async fn the_number_and_domains_of_members_are_limited() {
    let site = Site::with(json!({"TeamSettings": {"MaxUsersPerTeam": 2}})).await;
    let ada = site.sign_up("ada").await;
    let (team, _) = ada.team("harbour").await;
    site.sign_up("bob").await.join(&team).await;
    let eve = site.sign_up("eve").await;
    let invite = format!("teams/members/invite?invite_id={}", text(&team["invite_id"]));
    let full = refused(eve.request("POST", &invite)).await;
    assert_eq!(full, (400, "app.team.join_user_to_team.save_member.max_accounts.app_error".to_owned()));
    ada.put(&format!("teams/{}/patch", text(&team["id"])), json!({"allowed_domains": "other.org"})).await;
    let wrong = refused(eve.request("POST", &invite)).await;
    assert_eq!(wrong.1, "api.team.join_user_to_team.allowed_domains.app_error");
}

#[tokio::test]
async fn roles_in_a_team_end_with_the_membership() {
    let site = Site::new().await;
    let (ada, bob) = (site.sign_up("ada").await, site.sign_up("bob").await);
    let (team, square) = ada.team("harbour").await;
    bob.join(&team).await;
    let member = format!("teams/{}/members/{}", text(&team["id"]), bob.id);
    let patch = format!("teams/{}/patch", text(&team["id"]));
    assert_eq!(
        refused(
            bob.request("PUT", &format!("{member}/roles")).json(&json!({"roles": "team_user team_admin"}))
        )
        .await
        .0,
        403
    );
    let system = json!({"roles": "team_user system_admin"});
    assert_eq!(refused(ada.request("PUT", &format!("{member}/roles")).json(&system)).await.0, 400);
    ada.put(&format!("{member}/roles"), json!({"roles": "team_user team_admin"})).await;
    bob.put(&patch, json!({"description": "managed"})).await;
    ada.put(&format!("{member}/schemeRoles"), json!({"scheme_user": true, "scheme_admin": false})).await;
    assert_eq!(refused(bob.request("PUT", &patch).json(&json!({"description": "x"}))).await.0, 403);
    bob.say(&square, "hello").await;
    bob.delete(&member).await;
    assert_eq!(
        refused(bob.request("POST", "posts").json(&json!({"channel_id": square, "message": "x"}))).await.0,
        403
    );
    assert_eq!(refused(bob.request("GET", &format!("channels/{square}/posts"))).await.0, 403);
    assert_eq!(bob.get("users/me/teams").await, json!([]));
    assert_eq!(refused(ada.request("DELETE", &member)).await.0, 404);
}

#[tokio::test]
async fn a_team_is_archived_and_restored() {
    let site = Site::new().await;
    let (ada, bob) = (site.sign_up("ada").await, site.sign_up("bob").await);
    let (team, _) = ada.team("harbour").await;
    let path = format!("teams/{}", text(&team["id"]));
    bob.join(&team).await;
    assert_eq!(refused(bob.request("DELETE", &path)).await.0, 403);
    assert_eq!(ada.delete(&path).await, json!({"status": "OK"}));
    assert_eq!(ada.get("users/me/teams").await, json!([]));
    ada.post(&format!("{path}/restore"), json!({})).await;
    assert_eq!(ada.get("users/me/teams").await.as_array().map(Vec::len), Some(1));
}

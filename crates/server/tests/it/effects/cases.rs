//! The cases.

use serde_json::{Value, json};

use super::Seen::{Ada, Bob, Refused};
use super::{Case, case};

/// Whether a list has an object whose `field` is `value`.
fn lists(list: &Value, field: &str, value: &str) -> bool {
    list.as_array().is_some_and(|items| items.iter().any(|item| item[field] == value))
}

fn is_empty(list: &Value) -> bool {
    list.as_array().is_some_and(Vec::is_empty)
}

pub(super) fn posts() -> Vec<Case> {
    vec![
        case(
            "POST",
            "posts",
            json!({"channel_id": "{channel}", "message": "new"}),
            "posted",
            Bob("channels/{channel}/posts", |page| {
                page["posts"]
                    .as_object()
                    .is_some_and(|posts| posts.values().any(|post| post["message"] == "new"))
            }),
        ),
        case(
            "POST",
            "posts",
            json!({"channel_id": "{channel}", "message": "pinned at once", "is_pinned": true}),
            "posted",
            Bob("channels/{channel}/pinned", |page| {
                page["order"].as_array().is_some_and(|order| order.len() == 1)
            }),
        ),
        case(
            "PUT",
            "posts/{post}",
            json!({"id": "{post}", "message": "whole"}),
            "post_edited",
            Bob("posts/{post}", |post| post["message"] == "whole" && post["edit_at"] != 0),
        ),
        case(
            "PUT",
            "posts/{post}/patch",
            json!({"message": "patched"}),
            "post_edited",
            Bob("posts/{post}", |post| post["message"] == "patched"),
        ),
        case(
            "PUT",
            "posts/{post}/patch",
            json!({"props": {"a": 1}}),
            "post_edited",
            Bob("posts/{post}", |post| post["props"]["a"] == 1),
        ),
        case(
            "POST",
            "posts/{post}/pin",
            json!({}),
            "post_edited",
            Bob("channels/{channel}/pinned", |page| {
                page["order"].as_array().is_some_and(|order| order.len() == 1)
            }),
        ),
        case("DELETE", "posts/{post}", json!({}), "post_deleted", Refused("posts/{post}", 404)),
        case("DELETE", "posts/{post}", json!({}), "post_deleted", Refused("posts/{reply}", 404)),
        case(
            "DELETE",
            "posts/{reply}",
            json!({}),
            "post_deleted",
            Bob("posts/{post}", |post| post["reply_count"] == 0 && is_empty(&post["participants"])),
        ),
        case(
            "DELETE",
            "posts/{reply}",
            json!({}),
            "post_deleted",
            Bob("channels/{channel}/posts?since=1", |page| {
                page["posts"].as_object().is_some_and(|posts| {
                    posts.values().any(|post| {
                        post["delete_at"] != 0 && post["message"] == "" && post["metadata"] == json!({})
                    }) && !posts.values().any(|post| post["message"] == "a reply")
                })
            }),
        ),
        case(
            "DELETE",
            "posts/{post}?permanent=true",
            json!({}),
            "post_deleted",
            Refused("posts/{post}", 404),
        ),
        case(
            "DELETE",
            "posts/{reply}?permanent=true",
            json!({}),
            "post_deleted",
            Bob("posts/{post}", |post| post["reply_count"] == 0),
        ),
        case(
            "POST",
            "reactions",
            json!({"user_id": "{ada}", "post_id": "{post}", "emoji_name": "tada"}),
            "reaction_added",
            Bob("posts/{post}/reactions", |list| lists(list, "emoji_name", "tada")),
        ),
        case(
            "DELETE",
            "users/{ada}/posts/{reply}/reactions/wave",
            json!({}),
            "reaction_removed",
            Bob("posts/{reply}", |post| {
                post["has_reactions"].as_bool() != Some(true) && post["metadata"]["reactions"].is_null()
            }),
        ),
        case(
            "POST",
            "users/{bob}/posts/{post}/set_unread",
            json!({}),
            "post_unread",
            Bob("users/me/channels/{channel}/unread", |unread| unread["msg_count"] == 2),
        ),
        case(
            "POST",
            "channels/members/{bob}/view",
            json!({"channel_id": "{channel}"}),
            "multiple_channels_viewed",
            Bob("users/me/channels/{channel}/unread", |unread| unread["msg_count"] == 0),
        ),
        case(
            "POST",
            "channels/members/{bob}/mark_read",
            json!(["{channel}"]),
            "multiple_channels_viewed",
            Bob("users/me/channels/{channel}/unread", |unread| unread["msg_count"] == 0),
        ),
        case(
            "PUT",
            "users/{bob}/teams/{team}/threads/{post}/following",
            json!({}),
            "thread_follow_changed",
            Bob("users/me/teams/{team}/threads/{post}", |thread| thread["post"]["is_following"] == true),
        ),
        case(
            "DELETE",
            "users/{ada}/teams/{team}/threads/{post}/following",
            json!({}),
            "",
            Refused("users/{ada}/teams/{team}/threads/{post}", 404),
        ),
        case(
            "PUT",
            "users/{ada}/teams/{team}/threads/{post}/read/1",
            json!({}),
            "",
            Ada("users/me/teams/{team}/threads/{post}", |thread| thread["last_viewed_at"] == 1),
        ),
        case(
            "PUT",
            "users/{ada}/teams/{team}/threads/read",
            json!({}),
            "",
            Ada("users/me/teams/{team}/threads?totalsOnly=true", |all| all["total_unread_threads"] == 0),
        ),
        case(
            "POST",
            "drafts",
            json!({"channel_id": "{channel}", "message": "half"}),
            "",
            Ada("users/me/teams/{team}/drafts", |list| lists(list, "message", "half")),
        ),
        case(
            "DELETE",
            "users/{ada}/channels/{channel}/drafts/{post}",
            json!({}),
            "",
            Ada("users/me/teams/{team}/drafts", |list| !lists(list, "message", "a draft in a thread")),
        ),
    ]
}

pub(super) fn channels() -> Vec<Case> {
    vec![
        case(
            "POST",
            "channels",
            json!({"team_id": "{team}", "name": "made", "display_name": "Made", "type": "O"}),
            "",
            Bob("teams/{team}/channels/name/made", |channel| channel["display_name"] == "Made"),
        ),
        case(
            "POST",
            "channels/direct",
            json!(["{ada}", "{bob}"]),
            "direct_added",
            Bob("users/me/channels", |list| lists(list, "type", "D")),
        ),
        case(
            "POST",
            "channels/group",
            json!(["{ada}", "{bob}", "{cy}"]),
            "group_added",
            Bob("users/me/channels", |list| lists(list, "type", "G")),
        ),
        case(
            "PUT",
            "channels/{channel}",
            json!({"id": "{channel}", "header": "head"}),
            "channel_updated",
            Bob("channels/{channel}", |channel| channel["header"] == "head"),
        ),
        case(
            "PUT",
            "channels/{channel}/patch",
            json!({"purpose": "aim", "display_name": "Name"}),
            "channel_updated",
            Bob("channels/{channel}", |channel| {
                channel["purpose"] == "aim" && channel["display_name"] == "Name"
            }),
        ),
        case(
            "PUT",
            "channels/{channel}/privacy",
            json!({"privacy": "P"}),
            "channel_updated",
            Bob("channels/{channel}", |channel| channel["type"] == "P"),
        ),
        case(
            "DELETE",
            "channels/{channel}",
            json!({}),
            "channel_deleted",
            Bob("users/me/teams/{team}/channels?include_deleted=true&last_delete_at=1", |list| {
                list.as_array().is_some_and(|list| list.iter().any(|channel| channel["delete_at"] != 0))
            }),
        ),
        case(
            "DELETE",
            "channels/{channel}",
            json!({}),
            "channel_deleted",
            Ada("users/me/teams/{team}/drafts", |list| !lists(list, "message", "a draft in a thread")),
        ),
        case(
            "DELETE",
            "channels/{channel}?permanent=true",
            json!({}),
            "channel_deleted",
            Refused("channels/{channel}", 404),
        ),
        case(
            "DELETE",
            "channels/{channel}?permanent=true",
            json!({}),
            "channel_deleted",
            Refused("posts/{post}", 404),
        ),
        case(
            "POST",
            "channels/{channel}/members",
            json!({"user_id": "{cy}"}),
            "user_added",
            Bob("channels/{channel}/members/{cy}", |member| member["roles"] == "channel_user"),
        ),
        case(
            "DELETE",
            "channels/{channel}/members/{bob}",
            json!({}),
            "user_removed",
            Refused("channels/{channel}/members/{bob}", 404),
        ),
        case(
            "PUT",
            "channels/{channel}/members/{bob}/roles",
            json!({"roles": "channel_user channel_admin"}),
            "channel_member_updated",
            Bob("channels/{channel}/members/me", |member| member["scheme_admin"] == true),
        ),
        case(
            "PUT",
            "channels/{channel}/members/{bob}/schemeRoles",
            json!({"scheme_user": true, "scheme_admin": true}),
            "channel_member_updated",
            Bob("channels/{channel}/members/me", |member| member["scheme_admin"] == true),
        ),
        case(
            "PUT",
            "channels/{channel}/members/{bob}/notify_props",
            json!({"desktop": "none"}),
            "channel_member_updated",
            Bob("channels/{channel}/members/me", |member| member["notify_props"]["desktop"] == "none"),
        ),
    ]
}

pub(super) fn teams_and_accounts() -> Vec<Case> {
    vec![
        case(
            "PUT",
            "teams/{team}",
            json!({"id": "{team}", "display_name": "Whole", "description": "d"}),
            "update_team",
            Bob("teams/{team}", |team| team["display_name"] == "Whole" && team["description"] == "d"),
        ),
        case(
            "PUT",
            "teams/{team}/patch",
            json!({"description": "patched"}),
            "update_team",
            Bob("teams/{team}", |team| team["description"] == "patched"),
        ),
        case(
            "PUT",
            "teams/{team}/privacy",
            json!({"privacy": "O"}),
            "update_team",
            Bob("teams/{team}", |team| team["allow_open_invite"] == true),
        ),
        case(
            "DELETE",
            "teams/{team}",
            json!({}),
            "delete_team",
            Ada("teams/{team}", |team| team["delete_at"] != 0),
        ),
        case("DELETE", "teams/{team}?permanent=true", json!({}), "delete_team", Refused("teams/{team}", 404)),
        case(
            "DELETE",
            "teams/{team}?permanent=true",
            json!({}),
            "delete_team",
            Refused("channels/{channel}", 404),
        ),
        case(
            "POST",
            "teams/{team}/members",
            json!({"team_id": "{team}", "user_id": "{dee}"}),
            "",
            Bob("teams/{team}/members/{dee}", |member| member["delete_at"] == 0),
        ),
        case(
            "DELETE",
            "teams/{team}/members/{cy}",
            json!({}),
            "leave_team",
            Refused("teams/{team}/members/{cy}", 404),
        ),
        case(
            "PUT",
            "teams/{team}/members/{bob}/roles",
            json!({"roles": "team_user team_admin"}),
            "memberrole_updated",
            Bob("teams/{team}/members/me", |member| member["scheme_admin"] == true),
        ),
        case(
            "PUT",
            "teams/{team}/members/{bob}/schemeRoles",
            json!({"scheme_user": true, "scheme_admin": true}),
            "memberrole_updated",
            Bob("teams/{team}/members/me", |member| member["scheme_admin"] == true),
        ),
        case(
            "PUT",
            "users/{bob}/preferences",
            json!([{"user_id": "{bob}", "category": "c", "name": "n", "value": "v"}]),
            "preferences_changed",
            Bob("users/me/preferences/c/name/n", |preference| preference["value"] == "v"),
        ),
        case(
            "POST",
            "users/{bob}/preferences/delete",
            json!([{"user_id": "{bob}", "category": "tutorial_step", "name": "{bob}"}]),
            "preferences_deleted",
            Bob("users/me/preferences", |list| !lists(list, "category", "tutorial_step")),
        ),
        case(
            "PUT",
            "users/{bob}/status",
            json!({"user_id": "{bob}", "status": "dnd"}),
            "status_change",
            Bob("users/me/status", |status| status["status"] == "dnd"),
        ),
        case(
            "PUT",
            "users/{cy}/patch",
            json!({"nickname": "Cyan"}),
            "user_updated",
            Bob("users/{cy}", |user| user["nickname"] == "Cyan"),
        ),
        case(
            "PUT",
            "users/{cy}/patch",
            json!({"props": {"customStatus": "{}"}}),
            "user_updated",
            Bob("users/{cy}", |user| user["props"]["customStatus"] == "{}"),
        ),
        case(
            "PUT",
            "users/{bob}/roles",
            json!({"roles": "system_user system_admin"}),
            "user_role_updated",
            Bob("users/me", |user| user["roles"] == "system_user system_admin"),
        ),
        case(
            "DELETE",
            "users/{cy}",
            json!({}),
            "user_updated",
            Bob("users/{cy}", |user| user["delete_at"] != 0),
        ),
        case(
            "PUT",
            "users/{cy}/active",
            json!({"active": false}),
            "user_updated",
            Bob("users/{cy}", |user| user["delete_at"] != 0),
        ),
        case("DELETE", "users/{cy}?permanent=true", json!({}), "user_updated", Refused("users/{cy}", 404)),
        case("DELETE", "users/{cy}?permanent=true", json!({}), "user_updated", Refused("posts/{cys}", 404)),
        case(
            "DELETE",
            "users/{cy}?permanent=true",
            json!({}),
            "user_updated",
            Bob("posts/{post}/reactions", is_empty),
        ),
        case(
            "DELETE",
            "users/{cy}?permanent=true",
            json!({}),
            "user_updated",
            Bob("posts/{post}", |post| {
                post["participants"].as_array().is_some_and(|people| people.len() == 1)
            }),
        ),
    ]
}

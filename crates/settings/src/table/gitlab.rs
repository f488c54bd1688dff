//! Sign-in with GitLab.

use super::Area;
use crate::kind::Kind;
use crate::row::{Row, at, row};

pub(super) const AREA: Area = Area { title: "Sign-in with GitLab", rows: ROWS };

const ROWS: &[Row] = &[
    row("GITLAB_SECRET", Kind::Anything, "The application's secret; given, it turns sign-in with GitLab on")
        .places(&[at("GitLabSettings", "Secret")])
        .change(
            11,
            0,
            "the Team Edition has no sign-in with GitLab; the built-in server and the editions `entry` and `enterprise` have it",
        )
        .now("none")
        .secret(),
    row("GITLAB_ID", Kind::Line, "The application's id, as GitLab gave it")
        .places(&[at("GitLabSettings", "Id")])
        .now("none"),
    row("GITLAB_SCOPE", Kind::Text, "The scope asked for")
        .places(&[at("GitLabSettings", "Scope")])
        .now("none"),
    row("GITLAB_AUTH_ENDPOINT", Kind::Url, "Where people are sent to sign in: https://HOST/oauth/authorize")
        .places(&[at("GitLabSettings", "AuthEndpoint")])
        .now("none"),
    row("GITLAB_TOKEN_ENDPOINT", Kind::Url, "Where the server gets its token: https://HOST/oauth/token")
        .places(&[at("GitLabSettings", "TokenEndpoint")])
        .now("none"),
    row("GITLAB_API_ENDPOINT", Kind::Url, "Where the server asks who signed in: https://HOST/api/v4/user")
        .places(&[
            at("GitLabSettings", "UserApiEndpoint").until(6, 0),
            at("GitLabSettings", "UserAPIEndpoint").since(6, 0),
        ])
        .now("none"),
];

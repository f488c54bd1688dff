//! Why an answer says no: first by the error's name, which is Mattermost's own, then by the HTTP status, which may be a
//! proxy's.

use url::Url;

use crate::answer::Answer;
use crate::diagnosis::{Diagnosis, diagnosed};

pub(crate) fn closed() -> Diagnosis {
    diagnosed(
        "sign-up is closed: TeamSettings.EnableOpenServer or EmailSettings.EnableSignUpWithEmail is off, or addresses must be verified first",
        "give an administrator's token with --admin-token: the test then makes its accounts with it (or open sign-up while testing)",
    )
}

/// A part of an AppError's id, the cause and the fix. The first row that fits counts.
const BY_ID: &[(&str, &str, &str)] = &[
    (
        "not_verified",
        "EmailSettings.RequireEmailVerification is on, and the test's addresses do not exist",
        "give an administrator's token with --admin-token: accounts made with it count as verified",
    ),
    (
        "accepted_domain",
        "TeamSettings.RestrictCreationToDomains does not allow the test's address",
        "give an administrator's token with --admin-token: the test then reads the allowed domains and takes one of them",
    ),
    (
        "invalid_domain",
        "the allowed domains of the team or of TeamSettings.RestrictCreationToDomains leave the test's address out",
        "give an administrator's token with --admin-token: the test then reads the allowed domains and takes one of them",
    ),
    (
        "user_limits",
        "the edition's limit of accounts is reached (250 without a licence)",
        "deactivate accounts that are no longer used, or change the edition",
    ),
    (
        "max_accounts",
        "TeamSettings.MaxUsersPerTeam is below 2",
        "raise MM_TEAMSETTINGS_MAXUSERSPERTEAM (default 50)",
    ),
    (
        "is_team_creation_allowed",
        "users may not create teams here (TeamSettings.EnableTeamCreation, or the permission create_team)",
        "give an administrator's token with --admin-token, or allow it while testing",
    ),
    (
        "is_valid.pwd",
        "the password rules refuse even 64 random characters of all four classes",
        "compare PasswordSettings with its limits: MinimumLength at most 64",
    ),
    (
        "attachments.disabled",
        "FileSettings.EnableFileAttachments is off",
        "switch it on (MM_FILESETTINGS_ENABLEFILEATTACHMENTS=true): attaching an image is part of the acceptance test",
    ),
    (
        "too_large",
        "the server's own limit is below the picture's size",
        "raise FileSettings.MaxFileSize or ServiceSettings.MaximumPayloadSizeBytes",
    ),
    (
        "too_many",
        "the account is locked after too many wrong passwords; the lock does not end by itself",
        "reset that account's password or failed attempts",
    ),
    (
        "mfa",
        "the account asks for a second factor",
        "give a personal access token with --admin-token instead of a password",
    ),
    (
        "invalid_credentials",
        "name and password do not fit, or signing in with a password is switched off",
        "check both; personal access tokens work without a password (--admin-token)",
    ),
    (
        "session_expired",
        "the session does not reach the server or is no longer valid: a proxy that removes the Authorization header, servers behind one name with different databases, or an expired token",
        "let the proxy pass Authorization on; check the token with GET /api/v4/users/me on the server's own port",
    ),
    (
        "get_db_error",
        "the server's database failed during the request",
        "look into the server's log and check the database's disk and connections",
    ),
    (
        "api.context.404",
        "the server does not know the path: the URL's subpath and SiteURL's differ, or the proxy rewrites paths",
        "let URL, SiteURL and the proxy's location have the same subpath",
    ),
    (
        "not_implemented",
        "this server does not have the function",
        "compare the server's version with the supported ones (5.37 to 12)",
    ),
    (
        "api.context.permissions",
        "the account's role lacks a permission that the default roles have",
        "restore the default permission scheme, or give an administrator's token with --admin-token",
    ),
];

/// The cause of a refusing answer, first by its id, then by its status.
pub(crate) fn answered(answer: &Answer, site: &Url) -> Diagnosis {
    if ["no_open_server", "signup_email_disabled", "signup_disabled"].iter().any(|id| answer.id.contains(id))
    {
        return closed();
    }
    if let Some((_, cause, fix)) = BY_ID.iter().find(|(part, ..)| answer.id.contains(part)) {
        return diagnosed(*cause, *fix);
    }
    match answer.status {
        300..=399 => redirected(answer, site),
        400 if answer.message.contains("HTTPS") || answer.message.contains("SSL") => {
            diagnosed("the port speaks TLS, and the URL begins with http://", "test with https:// in front")
        }
        413 => diagnosed(
            format!("{} refuses bodies of this size", who(answer)),
            "raise the proxy's body limit to FileSettings.MaxFileSize (nginx: `client_max_body_size 100m`; its default is 1 MB)",
        ),
        414 | 431 => diagnosed(
            format!("{} refuses long addresses or headers", who(answer)),
            "raise the header limits (nginx: `large_client_header_buffers`)",
        ),
        429 => diagnosed(
            "too many requests from one address: Mattermost's rate limit (RateLimitSettings), which counts everyone behind a proxy as one as long as ServiceSettings.TrustedProxyIPHeader is empty; or a limit of the proxy",
            "set ServiceSettings.TrustedProxyIPHeader to X-Forwarded-For, raise RateLimitSettings.PerSec and MaxBurst, and test again after a minute",
        ),
        401 | 403 | 407 if !answer.from_mattermost => diagnosed(
            format!(
                "{} asks for a sign-in of its own or blocks the request (basic authentication, web application firewall, geo-block)",
                who(answer)
            ),
            "let /api/v4/ pass it; Mattermost has its own sign-in",
        ),
        404 | 405 if !answer.from_mattermost => diagnosed(
            format!("{} does not pass this path on to Mattermost", who(answer)),
            "forward everything under the site URL, /api/v4/ included, to Mattermost's port",
        ),
        502..=504 => diagnosed(
            format!(
                "{} does not get an answer from Mattermost: it is down, still starting, or the upstream address is wrong (`localhost` may mean IPv6)",
                who(answer)
            ),
            "ask the server on its own port (`/api/v4/system/ping`), then compare the proxy's upstream address (127.0.0.1:8065)",
        ),
        500 => diagnosed(
            "the server failed inside: most often its database or file store",
            "look into the server's log for this moment (the request id is in it)",
        ),
        501 => diagnosed(
            "the function is switched off or missing on this server",
            "switch it on in the server's settings; the id names which one it is",
        ),
        _ => diagnosed(
            format!("{} refused the request", who(answer)),
            "look into its log for this moment; the id and message above name the reason",
        ),
    }
}

fn redirected(answer: &Answer, site: &Url) -> Diagnosis {
    let to = answer.location.as_deref().unwrap_or_default();
    let secure = site.scheme() == "http" && to.starts_with("https://");
    if secure {
        return diagnosed(
            "the site answers under https:// only",
            "test with the https:// URL, and set SiteURL to it",
        );
    }
    diagnosed(
        "the URL is not where the site lives: a redirect to another name or subpath, or a redirect loop (TLS ends at the proxy, and X-Forwarded-Proto is not set to https)",
        format!(
            "test as `{to}` if that is the right one; behind TLS, let the proxy set `X-Forwarded-Proto https`"
        ),
    )
}

pub(crate) fn not_upgraded(answer: &Answer, site: &Url) -> Diagnosis {
    match answer.status {
        429 | 401 | 407 | 502..=504 => answered(answer, site),
        300..=399 => redirected(answer, site),
        404 if !answer.from_mattermost => diagnosed(
            format!("{} does not pass /api/v4/websocket on to Mattermost", who(answer)),
            "forward it with the Upgrade and Connection headers, over HTTP/1.1",
        ),
        _ => diagnosed(
            "a proxy in front of Mattermost does not pass the Upgrade and Connection headers on, or speaks HTTP/1.0 to it; people see \"Mattermost unreachable\", or messages only after a reload",
            "nginx: `proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection \"upgrade\";`; Apache: mod_proxy_wstunnel; load balancers: allow websockets",
        ),
    }
}

fn who(answer: &Answer) -> String {
    match (&answer.server, answer.from_mattermost) {
        (_, true) => "the server".to_owned(),
        (Some(server), false) => format!("the proxy ({server})"),
        (None, false) => "something in front of Mattermost".to_owned(),
    }
}

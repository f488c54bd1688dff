//! Why an answer refuses a request: first by the id of Mattermost's error, then by the HTTP status, which may be a proxy's.

use finding::Finding;
use url::Url;

use crate::answer::Answer;

pub(crate) fn closed(what: String) -> Finding {
    Finding::error(
        what,
        "sign-up is closed: TeamSettings.EnableOpenServer or EmailSettings.EnableSignUpWithEmail is off, or addresses must be verified",
        "give an administrator's token with --admin-token: the test then creates its accounts with it (or open sign-up for the time of the test)",
    )
}

/// A part of an error's id, the cause and the fix. The first row that fits counts.
const BY_ID: &[(&str, &str, &str)] = &[
    (
        "not_verified",
        "EmailSettings.RequireEmailVerification is on, and the test's addresses do not exist",
        "give an administrator's token with --admin-token: accounts created with it count as verified",
    ),
    (
        "accepted_domain",
        "TeamSettings.RestrictCreationToDomains does not allow the test's address",
        "give an administrator's token with --admin-token: the test then reads the allowed domains and uses one of them",
    ),
    (
        "invalid_domain",
        "the test's address is not in the allowed domains of the team or of TeamSettings.RestrictCreationToDomains",
        "give an administrator's token with --admin-token: the test then reads the allowed domains and uses one of them",
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
        "give an administrator's token with --admin-token, or allow it for the time of the test",
    ),
    (
        "is_valid.pwd",
        "the password rules refuse 64 random characters of all four classes",
        "set PasswordSettings.MinimumLength to at most 64",
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
        "the account is locked after too many wrong passwords",
        "wait until the lock ends, or unlock it (`mainstay admin unlock NAME`; elsewhere: set another password in the System Console)",
    ),
    (
        "user_access_token.disabled",
        "nobody signs in with a password on this server, and access tokens, which the test needs instead, are switched off",
        "switch ServiceSettings.EnableUserAccessTokens on for the time of the test",
    ),
    (
        "mfa",
        "the account requires a second factor",
        "give a personal access token with --admin-token instead of a password",
    ),
    (
        "invalid_credentials",
        "the name or the password is wrong, or signing in with a password is switched off",
        "check both; personal access tokens work without a password (--admin-token)",
    ),
    (
        "session_expired",
        "the session does not reach the server or is no longer valid: a proxy that removes the Authorization header, servers behind one name with different databases, or an expired token. A personal access token is also refused like this while ServiceSettings.EnableUserAccessTokens is off, which is the default",
        "let the proxy pass Authorization on; check the token with GET /api/v4/users/me on the server's own port; for a personal access token, see whether EnableUserAccessTokens is on (System Console, Integrations)",
    ),
    (
        "get_db_error",
        "the server's database failed during the request",
        "read the server's log, and check the database's disk and connections",
    ),
    (
        "api.context.404",
        "the server does not know the path: the URL's subpath and SiteURL's differ, or the proxy rewrites paths",
        "use the same subpath in the URL, in SiteURL and in the proxy's location",
    ),
    (
        "not_implemented",
        "this server does not have this function",
        "check that the server's version is supported (5.37 to 12)",
    ),
    (
        "api.context.permissions",
        "the account's role lacks a permission that the default roles have",
        "restore the default permission scheme, or give an administrator's token with --admin-token",
    ),
];

/// The cause of a refusing answer, first by its id, then by its status.
pub(crate) fn answered(what: String, answer: &Answer, site: &Url) -> Finding {
    if ["no_open_server", "signup_email_disabled", "signup_disabled"].iter().any(|id| answer.id.contains(id))
    {
        return closed(what);
    }
    if let Some((_, cause, fix)) = BY_ID.iter().find(|(part, ..)| answer.id.contains(part)) {
        return Finding::error(what, *cause, *fix);
    }
    match answer.status {
        300..=399 => redirected(what, answer, site),
        400 if answer.message.contains("HTTPS") || answer.message.contains("SSL") => Finding::error(
            what,
            "the port speaks TLS, and the URL begins with http://",
            "test with https:// in front",
        ),
        413 => Finding::error(
            what,
            format!("{} refuses bodies of this size", answerer(answer)),
            "raise the proxy's body limit to FileSettings.MaxFileSize (nginx: `client_max_body_size 100m`; its default is 1 MB)",
        ),
        414 | 431 => Finding::error(
            what,
            format!("{} refuses long addresses or headers", answerer(answer)),
            "raise the header limits (nginx: `large_client_header_buffers`)",
        ),
        429 => Finding::error(
            what,
            "too many requests from one address: Mattermost's rate limit (RateLimitSettings), which counts everyone behind a proxy as one as long as ServiceSettings.TrustedProxyIPHeader is empty; or a limit of the proxy",
            "set ServiceSettings.TrustedProxyIPHeader to X-Forwarded-For, raise RateLimitSettings.PerSec and MaxBurst, and test again after a minute",
        ),
        401 | 403 | 407 if !answer.from_mattermost => Finding::error(
            what,
            format!(
                "{} requires a sign-in of its own or blocks the request (basic authentication, web application firewall, geo-block)",
                answerer(answer)
            ),
            "exempt /api/v4/ from it; Mattermost has its own sign-in",
        ),
        404 | 405 if !answer.from_mattermost => Finding::error(
            what,
            format!("{} does not pass this path on to Mattermost", answerer(answer)),
            "forward everything under the site URL, /api/v4/ included, to Mattermost's port",
        ),
        503 if answer.answered_before && !answer.from_mattermost => Finding::error(
            what,
            format!(
                "{} refuses this request after it let others through: a rate limit (nginx's `limit_req` answers 503), or a limit of connections",
                answerer(answer)
            ),
            "raise the limit: a web client sends tens of requests when it opens (nginx: `limit_req ... burst=100 nodelay`)",
        ),
        502..=504 => Finding::error(
            what,
            format!(
                "{} does not get an answer from Mattermost: it is down, still starting, or the upstream address is wrong (`localhost` may mean IPv6)",
                answerer(answer)
            ),
            "send a request to the server on its own port (`/api/v4/system/ping`), then check the proxy's upstream address (127.0.0.1:8065)",
        ),
        500 => Finding::error(
            what,
            "the server failed inside, most often in its database or file store",
            "read the server's log for this moment (the request id is in it)",
        ),
        501 => Finding::error(
            what,
            "the function is switched off or missing on this server",
            "switch it on in the server's settings; the id says which function it is",
        ),
        _ => Finding::error(
            what,
            format!("{} refused the request", answerer(answer)),
            "read its log for this moment; the id and the message say why",
        ),
    }
}

fn redirected(what: String, answer: &Answer, site: &Url) -> Finding {
    let to = answer.location.as_deref().unwrap_or_default();
    let secure = site.scheme() == "http" && to.starts_with("https://");
    if secure {
        return Finding::error(
            what,
            "the site answers under https:// only",
            "test the https:// URL, and set SiteURL to it",
        );
    }
    Finding::error(
        what,
        "the site has another URL: a redirect to another name or subpath, or a redirect loop (TLS ends at the proxy, and X-Forwarded-Proto is not set to https)",
        format!(
            "test `{to}` if that is the right URL; behind TLS, let the proxy set `X-Forwarded-Proto https`"
        ),
    )
}

pub(crate) fn not_upgraded(what: String, answer: &Answer, site: &Url) -> Finding {
    match answer.status {
        429 | 401 | 407 | 502..=504 => answered(what, answer, site),
        300..=399 => redirected(what, answer, site),
        404 if !answer.from_mattermost => Finding::error(
            what,
            format!("{} does not pass /api/v4/websocket on to Mattermost", answerer(answer)),
            "forward it with the Upgrade and Connection headers, over HTTP/1.1",
        ),
        _ => Finding::error(
            what,
            "a proxy in front of Mattermost does not pass the Upgrade and Connection headers on, or speaks HTTP/1.0 to it; people see \"Mattermost unreachable\", or see messages only after a reload",
            "nginx: `proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection \"upgrade\";`; Apache: mod_proxy_wstunnel; load balancers: allow websockets",
        ),
    }
}

fn answerer(answer: &Answer) -> String {
    match (&answer.server, answer.from_mattermost) {
        (_, true) => "the server".to_owned(),
        (Some(server), false) => format!("the proxy ({server})"),
        (None, false) => "something in front of Mattermost".to_owned(),
    }
}

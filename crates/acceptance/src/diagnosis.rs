//! Adds the likely cause and the fix to a symptom: a function from data to data.

use finding::{Finding, Location, Peer, Unreached};
use url::Url;

use crate::refusal;
use crate::site::trimmed;
use crate::symptom::{Fault, Part, Symptom};

/// The finding for a fault that was seen at `site`, the URL under test.
pub(crate) fn diagnosis(fault: &Fault, site: &Url) -> Finding {
    let what = fault.to_string();
    let finding = match &fault.symptom {
        Symptom::Unreached(unreached) => connection(what, unreached, site),
        Symptom::Answer(answer) => refusal::answered(what, answer, site),
        Symptom::NotApi { .. } | Symptom::TooLarge { .. } => Finding::error(
            what,
            "another program answers under this URL, or a proxy replaces the answer with its own page",
            "check that the proxy forwards the whole path to Mattermost unchanged, and that the URL has the right subpath",
        ),
        Symptom::ContentType { .. } => Finding::error(
            what,
            "a proxy changes the Content-Type, for example by adding a charset: Mattermost's clients then treat the answer as text, and the web client stays blank",
            "remove the rule from the proxy (nginx: `charset`, `override_charset`; CDN: content transformations)",
        ),
        Symptom::Wrong { .. } => Finding::error(
            what,
            "the server did something other than what was requested, or a proxy answers from a cache",
            "switch off caching for /api/ in the proxy, read the server's log, and check that the server's version is supported",
        ),
        Symptom::Unhealthy { part: Part::Database, .. } => Finding::error(
            what,
            "the server cannot write to its database: it is down, full, read-only, or the connection settings are wrong",
            "check the database's disk and log, and SqlSettings.DataSource",
        ),
        Symptom::Unhealthy { part: Part::FileStore, .. } => Finding::error(
            what,
            "the server cannot write its files: the directory is missing, full or owned by another user, or the object store refuses",
            "check the space and the owner of FileSettings.Directory, or the bucket and its keys",
        ),
        Symptom::Unhealthy { part: Part::Server, .. } => Finding::error(
            what,
            "the server runs, but reports that it is not ready",
            "wait if it has just started; otherwise read its log",
        ),
        Symptom::SiteUrl { configured, reached } if configured.is_empty() => Finding::error(
            what,
            "ServiceSettings.SiteURL is not set; links in mails, sign-in through other services and the websocket's Origin check need it",
            format!(
                "set ServiceSettings.SiteURL to `{reached}` (MM_SERVICESETTINGS_SITEURL) and restart the server"
            ),
        ),
        Symptom::SiteUrl { configured, reached } => Finding::error(
            what,
            "ServiceSettings.SiteURL is not the URL that people use: browsers then cannot open the websocket (\"Mattermost unreachable\"), and links in mails lead to the wrong address",
            format!(
                "set ServiceSettings.SiteURL to `{reached}` (MM_SERVICESETTINGS_SITEURL) and restart the server; or test `{configured}`, if that is the right URL"
            ),
        ),
        Symptom::NoAccounts => Finding::error(
            what,
            "the first account becomes system administrator, and this test deactivates its accounts: the deployment would have no administrator",
            "create the administrator's account first (open the URL and sign up), then test again",
        ),
        Symptom::Closed => refusal::closed(what),
        Symptom::NotAdministrator { .. } => Finding::error(
            what,
            "the given token or account is an ordinary user's, who may not create or deactivate accounts",
            "give a system administrator's token with --admin-token",
        ),
        Symptom::NotUpgraded(answer) => refusal::not_upgraded(what, answer, site),
        Symptom::OriginRefused { origin, .. } => Finding::error(
            what,
            format!(
                "the websocket accepts only pages of ServiceSettings.SiteURL (scheme and host), which is not `{origin}`; or AllowCorsFrom is set and does not name it; or SiteURL is empty and the proxy rewrites Host"
            ),
            format!(
                "set ServiceSettings.SiteURL to `{}`, and let the proxy forward the Host header unchanged (nginx: `proxy_set_header Host $http_host`)",
                trimmed(site)
            ),
        ),
        Symptom::OriginAccepted { .. } => Finding::error(
            what,
            "ServiceSettings.AllowCorsFrom is `*`, or the proxy removes or rewrites the Origin header: any web page can then use the session of a user who visits it",
            "name the allowed origins in AllowCorsFrom or leave it empty, and remove the Origin rule from the proxy",
        ),
        Symptom::OriginRewritten { sent, arrived } => Finding::error(
            what,
            format!(
                "a proxy in front of Mattermost replaces the Origin header: a page at `{sent}` cannot open a websocket, because Mattermost sees a page at `{arrived}`"
            ),
            "remove the rule that sets or removes Origin from the proxy (Apache: `RequestHeader set Origin`; nginx: `proxy_set_header Origin`)",
        ),
        Symptom::IdleCut { .. } => Finding::error(
            what,
            "a proxy or a firewall on the way closes connections on which nothing is sent for a while; people's clients lose their websocket whenever a channel is quiet",
            "raise its time limit for idle connections of /api/v4/websocket (nginx: `proxy_read_timeout 600s`; HAProxy: `timeout tunnel 1h`; AWS load balancer: idle timeout)",
        ),
        Symptom::MethodRefused { method, .. } => Finding::error(
            what,
            format!(
                "something in front of Mattermost lets only some methods through, and {method} is not among them: people can neither change nor delete anything"
            ),
            "let GET, POST, PUT and DELETE through for everything under the site URL (Apache: `LimitExcept`; nginx: `limit_except`; web application firewalls have a list of methods)",
        ),
        Symptom::Stays(_) => Finding::error(
            what,
            "the server refused to remove what the test has made, or the requests did not get through",
            "remove it in the System Console (Users: deactivate; Teams: archive). A system administrator's token (--admin-token) lets the test do it; --keep leaves it on purpose",
        ),
        Symptom::Closure { .. } => Finding::error(
            what,
            "the server did not accept the session, or the proxy closes websockets early",
            "raise the proxy's read time-out for /api/v4/websocket (at least 100 s) and read the server's log",
        ),
        Symptom::Silent { .. } => Finding::error(
            what,
            "the websocket opens, but messages are missing: a proxy buffers or inspects them, or the servers of a cluster cannot reach each other",
            "switch buffering off for /api/v4/websocket in the proxy; in a cluster, check the gossip port between the nodes",
        ),
        Symptom::Gap { .. } => Finding::error(
            what,
            "an event was lost: a proxy drops websocket frames, or the connection was too slow for the server's queue",
            "switch off websocket inspection in the proxy or firewall; clients reconnect after every missing event",
        ),
        Symptom::Bytes { .. } => Finding::error(
            what,
            "the file was changed or cut on the way: a proxy compresses, rewrites or truncates it, or the file store lost a part",
            "switch off image optimisation and content rewriting for /api/v4/files in the proxy, and check the file store's space",
        ),
        Symptom::NotPicture { .. } => Finding::error(
            what,
            "the server could not create the thumbnail or preview, or the proxy answers instead",
            "check the file store's space and permissions and FileSettings.MaxImageResolution, and read the server's log for this file",
        ),
        Symptom::NoChromium => Finding::error(
            what,
            "Chromium is not installed, or not under one of its usual names",
            "install it (Debian, Ubuntu: `apt-get install chromium`; Fedora: `dnf install chromium`), or give its path",
        ),
        Symptom::Browser(_) => Finding::error(
            what,
            "the web client did not show what was expected: its version is not the server's, a script was blocked, or the page was too slow",
            "look at the screenshot and at the browser's console; clear caches between the browser and the server",
        ),
        Symptom::Page(_) => Finding::error(
            what,
            "a script of the page failed, or one of its files or requests was blocked (by a content policy or a proxy's filter)",
            "open the page with the browser's developer tools and compare the address that fails with the proxy's rules",
        ),
        Symptom::RedBar(_) => Finding::error(
            what,
            "the page lost its websocket: SiteURL is not the address in the browser, or the proxy does not forward the upgrade",
            "fix what the checks `site-url` and `websocket-upgrade` report, then reload the page",
        ),
        Symptom::Machine(_) => Finding::error(
            what,
            "the test itself failed on this machine",
            "check the free space and the permissions of the temporary and the screenshot directory",
        ),
    };
    finding.at(Location::Url(trimmed(site)))
}

/// What a failed connection means for a Mattermost site, which usually has a proxy in front of it.
fn connection(what: String, unreached: &Unreached, site: &Url) -> Finding {
    let (cause, fix) = match unreached {
        Unreached::UnknownHost => {
            let shared = general(unreached, site);
            let fix = "add the DNS record (A or AAAA), or correct the URL; to test before the record exists, connect to the machine's \
                       address and speak as the URL";
            return Finding::error(what, shared.cause, fix);
        }
        Unreached::Refused => (
            "nothing listens on that address and port: the proxy or the server is not running, or listens elsewhere",
            "start it, and compare its listen address with the URL's port",
        ),
        Unreached::TimedOut(_) => (
            "a firewall drops the packets, the proxy waits for a server that does not answer, or the server is overloaded",
            "send a request to the server on its own port (`/api/v4/system/ping`): if it answers there, check the firewall and the \
             proxy's upstream address and time limits",
        ),
        Unreached::Dropped => (
            "the proxy or the server closed the connection early: a restart, a time limit that is too short, or no space for the \
             proxy's buffers",
            "read the proxy's error log for this moment; raise its read and send time-outs (600 s) and check the free space for its \
             buffers",
        ),
        Unreached::NotTls => {
            ("the port speaks plain HTTP", "test with http://, or give the proxy a certificate for this port")
        }
        Unreached::Garbled(_) => (
            "another program listens on this port, or the URL's scheme is wrong",
            "check the port, and whether the URL must begin with https:// or http://",
        ),
        Unreached::Other(_) => (
            "the connection failed for an unknown reason",
            "try again; if it fails again, read the proxy's error log for this moment",
        ),
        Unreached::NoRoute(_)
        | Unreached::Certificate(_)
        | Unreached::NoAuthorities(_)
        | Unreached::Handshake(_) => {
            let shared = general(unreached, site);
            return Finding::error(what, shared.cause, shared.fix);
        }
    };
    Finding::error(what, cause, fix)
}

/// What a failed connection means for any service.
fn general(unreached: &Unreached, site: &Url) -> Finding {
    let host = site.host_str().unwrap_or("the host");
    let port = site.port_or_known_default().unwrap_or_default();
    unreached.finding(&Peer { host, place: &format!("{host}:{port}"), service: "the proxy or the server" })
}

#[cfg(test)]
mod tests {
    use super::*;
    use finding::CertificateFlaw;

    use crate::answer::Answer;

    fn mattermost(status: u16, id: &str) -> Symptom {
        Symptom::Answer(
            Answer { status, id: id.to_owned(), from_mattermost: true, ..Answer::default() }.into(),
        )
    }

    fn proxy(status: u16) -> Box<Answer> {
        Answer { status, server: Some("nginx".to_owned()), ..Answer::default() }.into()
    }

    fn flaw(flaw: CertificateFlaw) -> Symptom {
        Symptom::Unreached(Unreached::Certificate(flaw))
    }

    /// Each symptom with words that its cause and its fix must contain.
    #[test]
    fn each_symptom_has_its_own_cause_and_fix() {
        let redirect = |to: &str| {
            Symptom::Answer(Answer { status: 301, location: Some(to.to_owned()), ..Answer::default() }.into())
        };
        let table: Vec<(Symptom, &str, &str)> = vec![
            (Symptom::Unreached(Unreached::UnknownHost), "`chat.example.org`", "DNS record"),
            (Symptom::Unreached(Unreached::Refused), "nothing listens", "start it"),
            (flaw(CertificateFlaw::UnknownAuthority), "intermediate", "fullchain"),
            (flaw(CertificateFlaw::SelfSigned), "self-signed", "Let's Encrypt"),
            (flaw(CertificateFlaw::OtherName(Vec::new())), "`chat.example.org`", "this name"),
            (flaw(CertificateFlaw::Expired), "renewed", "renew"),
            (Symptom::Unreached(Unreached::NotTls), "plain HTTP", "http://"),
            (mattermost(403, "api.user.create_user.no_open_server"), "EnableOpenServer", "--admin-token"),
            (
                mattermost(501, "api.user.create_user.signup_email_disabled.app_error"),
                "EnableSignUpWithEmail",
                "--admin-token",
            ),
            (
                mattermost(401, "api.user.login.not_verified.app_error"),
                "RequireEmailVerification",
                "--admin-token",
            ),
            (
                mattermost(400, "api.user.create_user.accepted_domain.app_error"),
                "RestrictCreationToDomains",
                "--admin-token",
            ),
            (mattermost(400, "api.user.create_user.user_limits.exceeded"), "limit of accounts", "deactivate"),
            (
                mattermost(400, "app.team.join_user_to_team.save_member.max_accounts.app_error"),
                "MaxUsersPerTeam",
                "raise",
            ),
            (
                mattermost(403, "api.team.is_team_creation_allowed.disabled.app_error"),
                "create teams",
                "--admin-token",
            ),
            (
                mattermost(403, "api.file.attachments.disabled.app_error"),
                "EnableFileAttachments",
                "switch it on",
            ),
            (
                mattermost(413, "api.file.upload_file.too_large_detailed.app_error"),
                "server's own limit",
                "MaxFileSize",
            ),
            (mattermost(401, "api.context.session_expired.app_error"), "Authorization", "pass Authorization"),
            (
                mattermost(401, "api.context.session_expired.app_error"),
                "EnableUserAccessTokens is off",
                "is on",
            ),
            (mattermost(404, "api.context.404.app_error"), "subpath", "same subpath"),
            (mattermost(403, "api.context.permissions.app_error"), "permission", "scheme"),
            (mattermost(500, ""), "inside", "log"),
            (Symptom::Answer(proxy(413)), "(nginx)", "client_max_body_size"),
            (Symptom::Answer(proxy(429)), "rate limit", "TrustedProxyIPHeader"),
            (Symptom::Answer(proxy(502)), "does not get an answer", "upstream"),
            (Symptom::Answer(proxy(403)), "firewall", "/api/v4/"),
            (Symptom::Answer(proxy(404)), "does not pass this path", "forward everything"),
            (redirect("https://chat.example.org/"), "https:// only", "SiteURL"),
            (redirect("http://other.example.org/"), "another name", "http://other.example.org/"),
            (Symptom::NotUpgraded(proxy(400)), "Upgrade", "proxy_http_version 1.1"),
            (Symptom::NotUpgraded(proxy(426)), "Upgrade", "proxy_http_version 1.1"),
            (Symptom::NotUpgraded(proxy(200)), "Upgrade", "proxy_http_version 1.1"),
            (Symptom::NotUpgraded(proxy(404)), "/api/v4/websocket", "Upgrade"),
            (Symptom::NotUpgraded(proxy(502)), "does not get an answer", "upstream"),
            (
                Symptom::OriginRefused { origin: "http://chat.example.org".to_owned(), answer: proxy(400) },
                "SiteURL",
                "`http://chat.example.org`",
            ),
            (
                Symptom::SiteUrl { configured: String::new(), reached: "http://a".to_owned() },
                "not set",
                "`http://a`",
            ),
            (
                Symptom::SiteUrl { configured: "http://b".to_owned(), reached: "http://a".to_owned() },
                "not the URL that people use",
                "`http://b`",
            ),
            (
                Symptom::Unhealthy { part: Part::Database, status: "UNHEALTHY".to_owned() },
                "database",
                "DataSource",
            ),
            (
                Symptom::Unhealthy { part: Part::FileStore, status: "UNHEALTHY".to_owned() },
                "files",
                "Directory",
            ),
            (Symptom::NoChromium, "Chromium", "apt-get install chromium"),
        ];
        let site = Url::parse("http://chat.example.org").unwrap();
        for (symptom, cause, fix) in table {
            let fault = Fault { during: "GET /".to_owned(), symptom };
            let found = diagnosis(&fault, &site);
            assert_eq!(found.what, fault.to_string());
            assert!(found.cause.contains(cause), "{fault:?}: cause `{}` lacks `{cause}`", found.cause);
            assert!(found.fix.contains(fix), "{fault:?}: fix `{}` lacks `{fix}`", found.fix);
        }
    }
}

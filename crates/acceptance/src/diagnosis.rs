//! From what was seen to its likely cause and the way out: a function of data, no machine asked.

use serde::Serialize;
use url::Url;

use crate::refusal::{answered, closed, not_upgraded};
use crate::symptom::{Part, Symptom, Tls};

/// Why it happened, most likely, and what mends it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Diagnosis {
    /// The likely cause.
    pub cause: String,
    /// What to do.
    pub fix: String,
}

pub(crate) fn diagnosed(cause: impl Into<String>, fix: impl Into<String>) -> Diagnosis {
    Diagnosis { cause: cause.into(), fix: fix.into() }
}

/// The likely cause of a symptom seen at `site`, the URL under test, and its fix.
pub fn diagnosis(symptom: &Symptom, site: &Url) -> Diagnosis {
    let host = site.host_str().unwrap_or("the host");
    match symptom {
        Symptom::UnknownHost => diagnosed(
            format!("DNS has no address for `{host}` that this machine can see"),
            "add the DNS record (A or AAAA), or correct the URL; to test before DNS is there, connect to the machine's address and speak as the URL",
        ),
        Symptom::Refused => diagnosed(
            "nothing listens on that address and port: the proxy or the server is not running, or listens elsewhere",
            "start it, and compare its listen address with the URL's port",
        ),
        Symptom::Unreachable => diagnosed(
            "there is no route to that address, or a firewall rejects it",
            "check the address, the routes and the firewall's rules for this port",
        ),
        Symptom::Timeout { .. } => diagnosed(
            "a firewall drops the packets, the proxy waits for a server that does not answer, or the server is overloaded",
            "ask the server on its own port (`/api/v4/system/ping`): if it answers there, look at the firewall and at the proxy's upstream address and time-outs",
        ),
        Symptom::Cut => diagnosed(
            "the proxy or the server ended the connection in the middle: a restart, a time-out that is too short, or a proxy that ran out of room for its buffers",
            "look into the proxy's error log for this moment; raise its read and send time-outs (600 s) and check the space behind its buffer directory",
        ),
        Symptom::Tls(fault) => tls(fault, host),
        Symptom::NotHttp => diagnosed(
            "another program listens on this port, or the URL's scheme is wrong",
            "check the port, and whether the URL must begin with https:// or http://",
        ),
        Symptom::Connection(_) => diagnosed(
            "the connection broke in a way that has no usual cause",
            "try again; if it stays, look into the proxy's error log for this moment",
        ),
        Symptom::Answer(answer) => answered(answer, site),
        Symptom::NotApi { .. } | Symptom::TooLarge { .. } => diagnosed(
            "something other than Mattermost answers under this URL, or a proxy puts its own page in place of the answer",
            "check that the proxy passes the whole path on to Mattermost, unchanged, and that the URL has the right subpath",
        ),
        Symptom::ContentType { .. } => diagnosed(
            "a proxy changes the Content-Type, for example by adding a charset: Mattermost's clients then take the answer for text, and the web client stays blank",
            "take the rule out of the proxy (nginx: `charset`, `override_charset`; CDN: content transformations)",
        ),
        Symptom::Wrong { .. } => diagnosed(
            "the server did something else than it was asked, or a proxy answers from a cache",
            "switch off caching for /api/ in the proxy, look into the server's log, and compare the server's version with the supported ones",
        ),
        Symptom::Unhealthy { part: Part::Database, .. } => diagnosed(
            "the server cannot write to its database: it is down, full, read-only, or the connection settings are wrong",
            "check the database's disk and log, and SqlSettings.DataSource",
        ),
        Symptom::Unhealthy { part: Part::FileStore, .. } => diagnosed(
            "the server cannot write its files: the directory is missing, full or owned by another user, or the object store refuses",
            "check the space and the owner of FileSettings.Directory, or the bucket and its keys",
        ),
        Symptom::Unhealthy { part: Part::Server, .. } => diagnosed(
            "the server runs, but says itself that it is not ready",
            "look into its log; wait, if it has just started",
        ),
        Symptom::SiteUrl { configured, reached } if configured.is_empty() => diagnosed(
            "ServiceSettings.SiteURL is not set, so that links in mails, sign-in through other services and the websocket's Origin check have nothing to hold on to",
            format!(
                "set ServiceSettings.SiteURL to `{reached}` (MM_SERVICESETTINGS_SITEURL) and restart the server"
            ),
        ),
        Symptom::SiteUrl { configured, reached } => diagnosed(
            "ServiceSettings.SiteURL is not the URL that people use: browsers then cannot open the websocket (\"Mattermost unreachable\"), and links in mails lead elsewhere",
            format!(
                "set ServiceSettings.SiteURL to `{reached}` (MM_SERVICESETTINGS_SITEURL) and restart the server; or test as `{configured}`, if that is the right one"
            ),
        ),
        Symptom::NoAccounts => diagnosed(
            "the first account ever made becomes system administrator, and this test throws its accounts away: the deployment would be left without one",
            "make the administrator's account first (open the URL and sign up), then test again",
        ),
        Symptom::Closed => closed(),
        Symptom::NotAdministrator { .. } => diagnosed(
            "the token or account given is an ordinary one: it may not make or deactivate accounts",
            "give a system administrator's with --admin-token",
        ),
        Symptom::NotUpgraded(answer) => not_upgraded(answer, site),
        Symptom::OriginRefused { origin, .. } => diagnosed(
            format!(
                "the websocket takes only pages of ServiceSettings.SiteURL (scheme and host), and that is not `{origin}`; or AllowCorsFrom is set and does not name it; or, where SiteURL is empty, the proxy rewrites Host"
            ),
            format!(
                "set ServiceSettings.SiteURL to `{}`, and let the proxy pass the Host header on as it came (nginx: `proxy_set_header Host $http_host`)",
                trimmed(site)
            ),
        ),
        Symptom::OriginAccepted { .. } => diagnosed(
            "ServiceSettings.AllowCorsFrom is `*`, or the proxy removes or rewrites the Origin header: any web page can then use its visitors' sessions here",
            "name the allowed origins in AllowCorsFrom or leave it empty, and take the Origin rule out of the proxy",
        ),
        Symptom::Closure { .. } => diagnosed(
            "the server did not accept the session, or the proxy closes websockets early",
            "raise the proxy's read time-out for /api/v4/websocket (at least 100 s) and look into the server's log",
        ),
        Symptom::Silent { .. } => diagnosed(
            "the websocket opens but does not carry everything: a proxy buffers or inspects it, or the servers of a cluster do not hear each other",
            "switch buffering off for /api/v4/websocket in the proxy; in a cluster, check the gossip port between the nodes",
        ),
        Symptom::Gap { .. } => diagnosed(
            "an event was lost on the way: a proxy drops websocket frames, or the connection was too slow for the server's queue",
            "look for websocket inspection in the proxy or firewall; clients reconnect at every gap",
        ),
        Symptom::Bytes { .. } => diagnosed(
            "the file was changed or cut on its way: a proxy that compresses, rewrites or truncates, or a file store that lost part of it",
            "switch off image optimisation and content rewriting for /api/v4/files in the proxy, and check the file store's space",
        ),
        Symptom::NotPicture { .. } => diagnosed(
            "the server could not make the small picture, or the proxy answers in its place",
            "check the space and rights of the file store and FileSettings.MaxImageResolution, and look into the server's log for this file",
        ),
        Symptom::NoChromium => diagnosed(
            "Chromium is not installed, or not under one of its usual names",
            "install it (Debian, Ubuntu: `apt-get install chromium`; Fedora: `dnf install chromium`), or name its path",
        ),
        Symptom::Browser(_) => diagnosed(
            "the web client did not show what was awaited: it is another version than the server, a script was blocked, or the page was too slow",
            "look at the screenshot and at the browser's console; clear caches between the browser and the server",
        ),
        Symptom::Page(_) => diagnosed(
            "a script of the page failed, or a file or request of it was blocked (a content policy, a proxy's filter)",
            "open the page with the browser's developer tools and compare the failing address with the proxy's rules",
        ),
        Symptom::RedBar(_) => diagnosed(
            "the page cannot hold its websocket: SiteURL is not the address in the browser, or the proxy does not pass the upgrade on",
            "mend what `site-url` and `websocket-upgrade` say; then reload the page",
        ),
        Symptom::Machine(_) => diagnosed(
            "the test could not do its own part on this machine",
            "check the free space and rights of the temporary and the screenshot directory",
        ),
    }
}

fn tls(fault: &Tls, host: &str) -> Diagnosis {
    match fault {
        Tls::UnknownIssuer => diagnosed(
            "the certificate is from a private authority, or sent without its intermediate certificate (browsers often hide that, phones do not)",
            "let the server send the full chain (fullchain.pem); for a private authority, add its root to this machine's trusted ones or name it in SSL_CERT_FILE",
        ),
        Tls::WrongName => diagnosed(
            format!("the certificate does not name `{host}`"),
            "get a certificate for this name, or correct the URL",
        ),
        Tls::Expired => diagnosed(
            "the certificate was not renewed, or the renewed one was not loaded",
            "renew it, reload the proxy, and check why the renewal did not run (port 80 closed, DNS moved)",
        ),
        Tls::NotYetValid => diagnosed(
            "this machine's clock is wrong, or the certificate is for later",
            "check the clocks of both machines (timedatectl)",
        ),
        Tls::SelfSigned => diagnosed(
            "the server shows a self-signed certificate, often the one that a proxy or an installer made for itself",
            format!(
                "get a certificate for `{host}` from a public authority (Let's Encrypt), or from a private one whose root the clients trust"
            ),
        ),
        Tls::Certificate(_) => diagnosed(
            "the certificate is damaged, revoked, or made for another purpose than a server's",
            format!("get a new certificate for `{host}`, with the key usage of a server"),
        ),
        Tls::NotTls => diagnosed(
            "the port speaks plain HTTP",
            "test with http://, or give the proxy a certificate for this port",
        ),
        Tls::Other(_) => diagnosed(
            "the two sides have no common TLS version or cipher, or the handshake was cut",
            "allow TLS 1.2 and 1.3 at the proxy",
        ),
    }
}

/// The URL without a slash at its end, as SiteURL is written.
pub(crate) fn trimmed(url: &Url) -> String {
    url.as_str().trim_end_matches('/').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::answer::Answer;

    fn mattermost(status: u16, id: &str) -> Symptom {
        Symptom::Answer(
            Answer { status, id: id.to_owned(), from_mattermost: true, ..Answer::default() }.into(),
        )
    }

    fn proxy(status: u16) -> Box<Answer> {
        Answer { status, server: Some("nginx".to_owned()), ..Answer::default() }.into()
    }

    /// Each symptom with words that its cause and its fix must hold.
    #[test]
    fn each_symptom_has_its_own_cause_and_fix() {
        let redirect = |to: &str| {
            Symptom::Answer(Answer { status: 301, location: Some(to.to_owned()), ..Answer::default() }.into())
        };
        let table: Vec<(Symptom, &str, &str)> = vec![
            (Symptom::UnknownHost, "`chat.example.org`", "DNS record"),
            (Symptom::Refused, "nothing listens", "start it"),
            (Symptom::Tls(Tls::UnknownIssuer), "intermediate", "fullchain"),
            (Symptom::Tls(Tls::SelfSigned), "self-signed", "Let's Encrypt"),
            (Symptom::Tls(Tls::WrongName), "`chat.example.org`", "this name"),
            (Symptom::Tls(Tls::Expired), "renewed", "renew"),
            (Symptom::Tls(Tls::NotTls), "plain HTTP", "http://"),
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
            let found = diagnosis(&symptom, &site);
            assert!(found.cause.contains(cause), "{symptom:?}: cause `{}` lacks `{cause}`", found.cause);
            assert!(found.fix.contains(fix), "{symptom:?}: fix `{}` lacks `{fix}`", found.fix);
        }
    }
}

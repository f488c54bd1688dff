//! What a session shows: whether its cookies are `Secure`, and which address the server takes for the client's.

use std::net::{IpAddr, Ipv4Addr};

use finding::Verdict;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue, SET_COOKIE};
use http::{Method, Request, StatusCode};
use http_body_util::Full;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde_json::json;

use super::Front;
use super::site::Site;
use crate::exchange::Answer;
use crate::mask::Mask;

/// The address that the login probe pretends to come from. It is reserved for documentation (RFC 5737).
pub const FORGED: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));

/// An account to log in with.
#[derive(Debug, Clone)]
pub struct Login {
    /// User name or mail address.
    pub id: String,
    /// The password.
    pub password: SecretString,
}

/// The session's cookie, and the cookie of a sign-in that has begun.
const SESSION: &str = "MMAUTHTOKEN";
const SIGN_IN: &str = "MMOAUTH";

/// The verdicts on the forwarded protocol and on the client's address. `is_valid`: the site's certificate is.
pub(super) async fn look(site: &Site, front: &Front, is_valid: bool) -> (Verdict, Verdict) {
    let (login, knows) = (front.login.as_ref(), front.knows_https);
    let need_login =
        || Verdict::unseen("it is in the audit log of an account: give the login of a throw-away account");
    let Some(login) = login else { return (begun_sign_in(site, knows).await, need_login()) };
    if !is_valid {
        let why = "the certificate is not valid, so no password was sent; fix that first";
        return (Verdict::unseen(why), Verdict::unseen(why));
    }
    let answer = match log_in(site, login).await {
        Ok(answer) => answer,
        Err(failed) => return (failed, need_login()),
    };
    let Some(token) = answer.header("token").filter(|_| answer.status == StatusCode::OK) else {
        let json = answer.json().unwrap_or_default();
        let id = json.get("id").and_then(serde_json::Value::as_str).unwrap_or_default();
        let why =
            format!("the login was refused ({} {})", answer.status, Mask::of(&login.password).shown(id));
        let why = format!("{why}; give one that works and has no second factor");
        return (Verdict::unseen(&why), Verdict::unseen(why));
    };
    let protocol = judge(secure(&answer, SESSION), SESSION, knows);
    let address = address(site, &answer, token).await;
    let _ = ask(site, Method::POST, "/api/v4/users/logout", token).await;
    (protocol, address)
}

/// Without a login: the cookie that begins a sign-in by GitLab is set in the same way as the session's.
async fn begun_sign_in(site: &Site, knows: bool) -> Verdict {
    match site.get(&site.at("/oauth/gitlab/login")).await {
        Ok(answer) if secure(&answer, SIGN_IN).is_some() => judge(secure(&answer, SIGN_IN), SIGN_IN, knows),
        Ok(_) => Verdict::unseen(
            "it is in the cookies of a login: give the login of a throw-away account, or switch sign-in by GitLab on",
        ),
        Err(failed) => failed,
    }
}

/// Whether the cookie is set with `Secure`; `None`: the answer does not set it.
fn secure(answer: &Answer, name: &str) -> Option<bool> {
    let cookies = answer.headers.get_all(SET_COOKIE).iter().filter_map(|value| value.to_str().ok());
    cookies
        .filter(|cookie| cookie.split_once('=').is_some_and(|(found, _)| found.trim() == name))
        .map(is_secure)
        .next()
}

fn is_secure(cookie: &str) -> bool {
    cookie.split(';').skip(1).any(|attribute| attribute.trim().eq_ignore_ascii_case("secure"))
}

fn judge(secure: Option<bool>, name: &str, knows: bool) -> Verdict {
    match secure {
        Some(true) if knows => Verdict::passed(format!(
            "the cookie {name} is Secure: the edge says https, because the site URL does; whether the load balancer sends \
             X-Forwarded-Proto does not matter and is not seen"
        )),
        Some(true) => {
            Verdict::passed(format!("the load balancer sends X-Forwarded-Proto: the cookie {name} is Secure"))
        }
        Some(false) => Verdict::failed(
            format!("over https, the cookie {name} is set without Secure"),
            "the load balancer does not send X-Forwarded-Proto: https, so Mattermost takes the connection for plain HTTP; with two proxies in a row, the inner one may overwrite it with http",
            "in nginx `proxy_set_header X-Forwarded-Proto $scheme;` (`https` on an inner proxy), in HAProxy `http-request set-header X-Forwarded-Proto https`",
        ),
        None => Verdict::failed(
            format!("a login sets no cookie {name}"),
            "the load balancer removes Set-Cookie, or another program answers",
            "let the load balancer pass Set-Cookie on",
        ),
    }
}

async fn log_in(site: &Site, login: &Login) -> Result<Answer, Verdict> {
    let body = json!({ "login_id": login.id, "password": login.password.expose_secret() });
    let mut request = Request::new(Full::from(body.to_string()));
    *request.method_mut() = Method::POST;
    let headers = request.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    // Cookies are set only for requests with this header.
    let requested_with = HeaderName::from_static("x-requested-with");
    headers.insert(requested_with, HeaderValue::from_static("XMLHttpRequest"));
    let forged = HeaderValue::from_str(&FORGED.to_string()).ok();
    headers.extend(forged.map(|forged| (HeaderName::from_static("x-forwarded-for"), forged)));
    site.send(&site.at("/api/v4/users/login"), request).await
}

async fn ask(site: &Site, method: Method, path: &str, token: &str) -> Result<Answer, Verdict> {
    let mut request = Request::new(Full::default());
    *request.method_mut() = method;
    let bearer = HeaderValue::from_str(&format!("Bearer {token}")).ok();
    request.headers_mut().extend(bearer.map(|bearer| (AUTHORIZATION, bearer)));
    site.send(&site.at(path), request).await
}

/// An entry of an account's audit log.
#[derive(Deserialize)]
struct Audit {
    /// Milliseconds.
    #[serde(default)]
    create_at: i64,
    #[serde(default)]
    action: String,
    #[serde(default)]
    ip_address: String,
}

async fn address(site: &Site, login: &Answer, token: &str) -> Verdict {
    let audits = ask(site, Method::GET, "/api/v4/users/me/audits", token).await;
    let audits: Option<Vec<Audit>> = audits.ok().and_then(|answer| serde_json::from_slice(&answer.body).ok());
    let logins = audits.unwrap_or_default().into_iter().filter(|one| one.action.ends_with("/users/login"));
    let Some(seen) = logins.max_by_key(|one| one.create_at).and_then(|one| one.ip_address.parse().ok())
    else {
        return Verdict::unseen("this server keeps no log of logins that the account may read");
    };
    recorded_address(seen, login.local, login.peer)
}

/// What it means that the server has `seen` this address, where this machine's is `local` and the load balancer's is `peer`.
fn recorded_address(seen: IpAddr, local: IpAddr, peer: IpAddr) -> Verdict {
    if seen == FORGED {
        return Verdict::noted(
            "every client can choose the address that Mattermost records for it",
            "the load balancer appends to the X-Forwarded-For that a client sends, and Mattermost takes the first entry; rate limits and logs can then be deceived",
            "let the outermost load balancer replace the header: in nginx `proxy_set_header X-Forwarded-For $remote_addr;`",
        );
    }
    if local == peer && seen == local {
        return Verdict::unseen(
            "from this machine, the client's address and the load balancer's are the same",
        );
    }
    if seen == local {
        return Verdict::passed(format!("the server sees this machine as {seen}"));
    }
    Verdict::noted(
        format!("the server records {seen} for this machine, whose address is {local}"),
        "the load balancer sends no X-Forwarded-For, or ServiceSettings.TrustedProxyIPHeader does not name it, so that all people share one address and one rate limit; or there is address translation on the way, which is harmless",
        "in nginx `proxy_set_header X-Forwarded-For $remote_addr;`, and TrustedProxyIPHeader [\"X-Forwarded-For\"]",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn behind_an_edge_a_secure_cookie_says_nothing_of_the_header() {
        let said = |knows| format!("{:?}", judge(Some(true), SESSION, knows));
        assert!(said(false).contains("the load balancer sends X-Forwarded-Proto"));
        assert!(said(true).contains("is not seen"));
        assert!(!matches!(judge(Some(false), SESSION, true), Verdict::Passed { .. }));
    }

    #[test]
    fn secure_is_an_attribute_and_not_a_part_of_the_value() {
        assert!(is_secure("MMAUTHTOKEN=x; Path=/; secure; HttpOnly"));
        assert!(!is_secure("MMAUTHTOKEN=Secure; Path=/Secure"));
    }

    #[test]
    fn the_recorded_address_shows_what_the_load_balancer_sends() {
        let at = |text: &str| text.parse::<IpAddr>().unwrap();
        let (me, balancer) = (at("198.51.100.7"), at("203.0.113.1"));
        assert!(recorded_address(FORGED, me, balancer).is_noted());
        assert!(matches!(recorded_address(me, me, balancer), Verdict::Passed { .. }));
        assert!(recorded_address(at("10.0.0.5"), me, balancer).is_noted());
        assert!(matches!(recorded_address(me, me, me), Verdict::Unseen { .. }));
        assert!(recorded_address(at("10.0.0.5"), me, me).is_noted());
    }
}

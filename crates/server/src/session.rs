//! The session of a request: tokens, cookies, CSRF protection and expiry.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::extract::FromRequestParts;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, header};

use crate::app::App;
use crate::clock;
use crate::config::Config;
use crate::error::{AppError, Result};
use crate::id::Id;
use crate::model::{Session, StringMap, User};
use crate::peer::Peer;
use crate::subpath;

const TOKEN_COOKIE: &str = "MMAUTHTOKEN";
const USER_COOKIE: &str = "MMUSERID";
const CSRF_COOKIE: &str = "MMCSRF";
const SIGN_IN_COOKIE: &str = "MMOAUTH";

/// How long a sign-in elsewhere may take.
const SIGN_IN_SECONDS: i64 = 30 * 60;

const HOUR: i64 = 3_600_000;
const DAY: i64 = 24 * HOUR;

/// The user and session of a request. As an extractor, it answers 401 if there is no valid session, except on the local
/// channel, which needs none.
#[derive(Clone)]
pub(crate) struct Caller {
    pub(crate) app: App,
    pub(crate) session: Arc<Session>,
    pub(crate) user: Arc<User>,
}

/// The caller of a request, if it has a valid session.
pub(crate) struct Visitor(pub(crate) Option<Caller>);

/// Where a token was found. Browsers send cookies with every request, so these need CSRF protection.
#[derive(Debug, PartialEq, Eq)]
enum Source {
    Cookie,
    Header,
}

impl FromRequestParts<App> for Caller {
    type Rejection = AppError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Caller> {
        if parts.extensions.get() == Some(&Peer::LocalChannel) {
            return Ok(Caller::local_administrator(app));
        }
        let (token, source) = token(&parts.headers).ok_or_else(AppError::session_expired)?;
        let caller = Caller::from_token(app, token).await?.ok_or_else(AppError::session_expired)?;
        if source == Source::Cookie {
            caller.check_csrf(&parts.method, &parts.headers)?;
        }
        caller.note_activity();
        Ok(caller)
    }
}

impl FromRequestParts<App> for Visitor {
    type Rejection = AppError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Visitor> {
        match Caller::from_request_parts(parts, app).await {
            Ok(caller) => Ok(Visitor(Some(caller))),
            Err(error) if error.status() == http::StatusCode::UNAUTHORIZED => Ok(Visitor(None)),
            Err(error) => Err(error),
        }
    }
}

impl Caller {
    /// The caller of a request on the local channel: an administrator without an account and without limits.
    fn local_administrator(app: &App) -> Caller {
        let roles = "system_admin system_user".to_owned();
        let session = Session { local: true, roles: roles.clone(), ..Session::default() };
        let user = User { roles, ..User::default() };
        Caller { app: app.clone(), session: Arc::new(session), user: Arc::new(user) }
    }

    /// Who an integration of `user` acts as: it has that person's account, and no session that could be ended.
    pub(crate) fn acting_for(app: &App, user: Arc<User>) -> Caller {
        let session = Session { user_id: user.id, roles: user.roles.clone(), ..Session::default() };
        Caller { app: app.clone(), session: Arc::new(session), user }
    }

    /// Whether the request came over the local channel. The caller then has no account: the id is none.
    pub(crate) fn is_local(&self) -> bool {
        self.session.local
    }

    /// The caller's account; `None` on the local channel.
    pub(crate) fn account(&self) -> Option<Arc<User>> {
        (!self.is_local()).then(|| Arc::clone(&self.user))
    }

    /// The user and session of `token`, if the session has not expired.
    pub(crate) async fn from_token(app: &App, token: &str) -> Result<Option<Caller>> {
        // Tokens have the form of ids: do not look up anything else.
        if Id::parse(token).is_none() {
            return Ok(None);
        }
        let session = match app.store.session(token).await? {
            Some(session) => session,
            None => match of_access_token(app, token).await? {
                Some(session) => Arc::new(session),
                None => return Ok(None),
            },
        };
        if has_ended(&app.config, &session, clock::now()) {
            return Ok(None);
        }
        let Some(user) = app.store.user(session.user_id).await?.filter(|user| user.delete_at == 0) else {
            return Ok(None);
        };
        Ok(Some(Caller { app: app.clone(), session, user }))
    }

    /// Refuses a change with a session from a cookie unless the request proves that it comes from this server's page.
    fn check_csrf(&self, method: &Method, headers: &HeaderMap) -> Result<()> {
        if method == Method::GET || method == Method::HEAD {
            return Ok(());
        }
        let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let expected = self.session.props.get("csrf").map_or("", String::as_str);
        let by_token = !expected.is_empty() && header("x-csrf-token") == expected;
        let by_script = header("x-requested-with") == "XMLHttpRequest"
            && !self.app.config.service.experimental_strict_csrf_enforcement;
        if by_token || by_script {
            Ok(())
        } else {
            Err(AppError::session_expired().detail("CSRF".to_owned()))
        }
    }

    /// Extends a session that is in use, but not at every request.
    fn note_activity(&self) {
        let (session, now) = (&self.session, clock::now());
        let length = lifetime(&self.app.config, Kind::of(session));
        let pause = (5 * 60_000).max((length / 100).min(DAY));
        // Where a session ends that is not used, its last use is known well enough for that.
        let pause = idle_limit(&self.app.config, session).map_or(pause, |limit| pause.min(limit / 10));
        if now - session.last_activity_at < pause {
            return;
        }
        let expires_at = match self.app.config.service.extend_session_length_with_activity {
            true => now + length,
            false => session.expires_at,
        };
        let (app, session) = (self.app.clone(), Arc::clone(session));
        tokio::spawn(async move {
            let noted = app.store.extend_session(session.id, session.token.clone(), now, expires_at).await;
            if let Err(error) = noted {
                tracing::warn!(detail = error.detail_text(), "a session's activity was not noted");
            }
        });
    }
}

/// A session for the requests of a personal access token, if tokens sign in. It is not stored: a token that is revoked, or
/// that no longer signs in, ends at once.
async fn of_access_token(app: &App, token: &str) -> Result<Option<Session>> {
    if !app.access_tokens.load(Ordering::Relaxed) {
        return Ok(None);
    }
    let found = app.store.access_token(token).await?;
    Ok(found.map(|found| {
        let now = clock::now();
        Session {
            id: found.id,
            token: found.token,
            user_id: found.user_id,
            create_at: now,
            last_activity_at: now,
            ..Session::default()
        }
    }))
}

/// How somebody signed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Web,
    Mobile,
    SingleSignOn,
}

impl Kind {
    fn of(session: &Session) -> Kind {
        match session.props.get("isOAuthUser").is_some_and(|value| value == "true") {
            true => Kind::SingleSignOn,
            false if session.device_id.is_empty() => Kind::Web,
            false => Kind::Mobile,
        }
    }
}

/// How long a session lives, in milliseconds.
pub(crate) fn lifetime(config: &Config, kind: Kind) -> i64 {
    let service = &config.service;
    let hours = match kind {
        Kind::Web => service.session_length_web_in_hours,
        Kind::Mobile => service.session_length_mobile_in_hours,
        Kind::SingleSignOn => service.session_length_sso_in_hours,
    };
    hours.saturating_mul(HOUR)
}

/// After how many milliseconds without use a session ends, if it does. Apps on phones stay signed in, as in Mattermost.
fn idle_limit(config: &Config, session: &Session) -> Option<i64> {
    let minutes = config.service.session_idle_timeout_in_minutes;
    let counts =
        !config.service.extend_session_length_with_activity && minutes > 0 && session.device_id.is_empty();
    counts.then(|| minutes.saturating_mul(60_000))
}

fn has_ended(config: &Config, session: &Session, now: i64) -> bool {
    let is_over = session.expires_at != 0 && session.expires_at < now;
    let unused = now.saturating_sub(session.last_activity_at);
    is_over || idle_limit(config, session).is_some_and(|limit| unused > limit)
}

/// The account of a request's session, if it has one that has not ended.
pub(crate) async fn account_of(app: &App, headers: &HeaderMap) -> Option<Id> {
    let (token, _) = token(headers)?;
    let caller = Caller::from_token(app, token).await.ok().flatten()?;
    Some(caller.user.id)
}

/// The request's token. The cookie's is preferred to the header's.
fn token(headers: &HeaderMap) -> Option<(&str, Source)> {
    if let Some(token) = cookie(headers, TOKEN_COOKIE).filter(|token| !token.is_empty()) {
        return Some((token, Source::Cookie));
    }
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    let known = scheme.eq_ignore_ascii_case("bearer") || scheme.eq_ignore_ascii_case("token");
    known.then(|| (token.trim(), Source::Header))
}

/// The caller of a websocket handshake. CSRF protection is not possible there; the Origin is checked instead.
pub(crate) async fn handshake_caller(app: &App, headers: &HeaderMap) -> Result<Option<Caller>> {
    match token(headers) {
        Some((token, _)) => Caller::from_token(app, token).await,
        None => Ok(None),
    }
}

fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .find_map(|pair| pair.trim().strip_prefix(name)?.strip_prefix('='))
}

pub(crate) fn has_cookie(headers: &HeaderMap) -> bool {
    cookie(headers, TOKEN_COOKIE).is_some()
}

/// The three cookies that a browser's login sets.
pub(crate) fn cookies(config: &Config, session: &Session, headers: &HeaderMap) -> Vec<HeaderValue> {
    let mut attributes = attributes(config, headers, lifetime(config, Kind::of(session)) / 1000);
    let host =
        url::Url::parse(&config.service.site_url).ok().and_then(|url| url.host_str().map(str::to_owned));
    if let Some(host) = host.filter(|_| config.service.allow_cookies_for_subdomains) {
        attributes += &format!("; Domain={host}");
    }
    let csrf = session.props.get("csrf").map_or("", String::as_str);
    let values = [
        format!("{TOKEN_COOKIE}={}{attributes}; HttpOnly", session.token),
        format!("{USER_COOKIE}={}{attributes}", session.user_id),
        format!("{CSRF_COOKIE}={csrf}{attributes}"),
    ];
    values.iter().filter_map(|value| HeaderValue::from_str(value).ok()).collect()
}

/// The path, the age and the protection of a cookie.
fn attributes(config: &Config, headers: &HeaderMap, seconds: i64) -> String {
    let secure = headers.get("x-forwarded-proto");
    let secure = secure.is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"https"));
    let secure = if secure { "; Secure" } else { "" };
    format!("; Path={}; Max-Age={seconds}{secure}", cookie_path(config))
}

/// The cookie of a browser that signs in elsewhere and comes back; without a `nonce` it is removed.
pub(crate) fn sign_in_cookie(config: &Config, headers: &HeaderMap, nonce: &str) -> HeaderValue {
    let seconds = if nonce.is_empty() { 0 } else { SIGN_IN_SECONDS };
    let attributes = attributes(config, headers, seconds);
    let value = format!("{SIGN_IN_COOKIE}={nonce}{attributes}; HttpOnly; SameSite=Lax");
    HeaderValue::from_str(&value).unwrap_or(HeaderValue::from_static("MMOAUTH=; Max-Age=0"))
}

/// What [`sign_in_cookie`] gave to the browser.
pub(crate) fn sign_in_nonce(headers: &HeaderMap) -> Option<&str> {
    cookie(headers, SIGN_IN_COOKIE)
}

/// A `Set-Cookie` value that removes the token's cookie.
pub(crate) fn removed_cookie(config: &Config) -> HeaderValue {
    let value = format!("{TOKEN_COOKIE}=; Path={}; Max-Age=0; HttpOnly", cookie_path(config));
    HeaderValue::from_str(&value)
        .unwrap_or(HeaderValue::from_static("MMAUTHTOKEN=; Path=/; Max-Age=0; HttpOnly"))
}

/// The path of SiteURL, or `/`.
fn cookie_path(config: &Config) -> String {
    match subpath::of(&config.service.site_url) {
        path if path.is_empty() => "/".to_owned(),
        path => path,
    }
}

/// The browser's properties, for the list of sessions.
pub(crate) fn props(headers: &HeaderMap, csrf: Id, kind: Kind) -> StringMap {
    let agent = headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let first =
        |names: &[&str]| names.iter().find(|name| agent.contains(**name)).map_or("", |name| *name).to_owned();
    StringMap::from([
        ("csrf".to_owned(), csrf.to_string()),
        ("platform".to_owned(), first(&["Windows", "Macintosh", "iPhone", "iPad", "Android", "Linux"])),
        ("os".to_owned(), first(&["Windows", "Mac OS X", "iPhone OS", "Android", "Linux"])),
        ("browser".to_owned(), first(&["Edg", "Firefox", "Chrome", "Safari", "curl", "python"])),
        ("isMobile".to_owned(), agent.contains("Mobile").to_string()),
        ("isSaml".to_owned(), "false".to_owned()),
        ("isOAuthUser".to_owned(), (kind == Kind::SingleSignOn).to_string()),
        ("is_guest".to_owned(), "false".to_owned()),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (http::HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect()
    }

    #[test]
    fn the_cookie_is_preferred_to_the_header() {
        let both = headers(&[("cookie", "a=1; MMAUTHTOKEN=c"), ("authorization", "Bearer h")]);
        assert_eq!(token(&both), Some(("c", Source::Cookie)));
    }

    #[test]
    fn schemes_match_in_any_case() {
        for value in ["BEARER h", "bearer h", "token h"] {
            assert_eq!(token(&headers(&[("authorization", value)])), Some(("h", Source::Header)));
        }
        assert_eq!(token(&headers(&[("authorization", "Basic h")])), None);
    }
}

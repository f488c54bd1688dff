//! The load balancer in front of Mattermost: what it must do with `MATTERMOST_HTTPS=true`.
//!
//! Mattermost speaks plain HTTP behind it and trusts `X-Forwarded-Proto`. Without that header everything seems to work, but
//! the session cookies lack `Secure`. This can be seen in two places, in Mattermost 5 to 11 and in the built-in server:
//!
//! - in the cookies of a login with `X-Requested-With: XMLHttpRequest`: a [`Login`] of a throw-away account gives a certain
//!   answer. Its session is logged out again;
//! - without a login, where sign-in by GitLab is on: in the cookie `MMOAUTH` that `/oauth/gitlab/login` sets.
//!
//! No other answer shows it: the cookie that a 401 deletes never has `Secure`, and the ping and the client configuration are
//! the same for both schemes. The check is then [unseen](Verdict::Unseen) and says what it needs.
//!
//! The address that the server takes for the client's is in the account's audit log (`/users/me/audits`); the built-in server
//! has none. The login sends a forged `X-Forwarded-For` ([`FORGED`]) to find out whether anybody can choose an address.
//!
//! The body limit is found with `Expect: 100-continue`. A proxy that counts only while it reads the body, such as Caddy with
//! `request_body`, seems to have no limit.

mod session;
mod site;
mod websocket;

pub use session::{FORGED, Login};

use std::time::Duration;

use finding::{Check, Unreached, Verdict};
use http::{Method, Request, StatusCode};
use http_body_util::Full;
use jiff::Timestamp;
use url::Url;

use crate::certificate::Certificate;
use crate::exchange::{Answer, Caller, place};
use crate::mask::Mask;
use crate::trust::{Presented, Trust};
use site::{BALANCER, Site};

/// A certificate with fewer days left gets a warning: automatic renewal runs a month before the end.
const FEW_DAYS: i64 = 21;

/// A site, and what its load balancer must do.
#[derive(Debug, Clone)]
pub struct Front {
    /// The site URL.
    pub public_url: String,
    /// The port for plain HTTP, which is redirected; normally 80.
    pub http_port: u16,
    /// The largest upload that must pass, bytes: `FileSettings.MaxFileSize`.
    pub max_body: u64,
    /// A throw-away account, for what can be seen only after a login.
    pub login: Option<Login>,
    /// Something behind the load balancer tells Mattermost that people use https, whatever the load balancer says: Mainstay's edge, where the
    /// site URL begins with https://. A `Secure` cookie is then no sign that the load balancer sends X-Forwarded-Proto.
    pub knows_https: bool,
    /// Which certificates are trusted.
    pub trust: Trust,
    /// The time limit of each request.
    pub timeout: Duration,
}

/// Runs all checks. They are named `public URL`, `certificate`, `redirect`, `forwarded protocol`,
/// `client address`, `websocket`, `body limit` and `HSTS`. If the site cannot be reached, there is only the first.
pub async fn check(front: &Front) -> Vec<Check> {
    let url = match base(&front.public_url) {
        Ok(url) => url,
        Err(failed) => return vec![failed.on("public URL")],
    };
    let caller = Caller { trust: front.trust.clone(), timeout: front.timeout, accepts_invalid: true };
    let site = Site { url, caller };
    let (answer, reached) = site.reach().await;
    let Some(answer) = answer else { return vec![reached.on("public URL")] };
    let mut checks = vec![reached.on("public URL")];
    let is_valid = answer.certificate.as_ref().is_none_or(|presented| presented.flaw.is_none());
    if let Some(presented) = &answer.certificate {
        checks.push(site.certificate(presented, Timestamp::now()).on("certificate"));
    }
    let (redirect, (protocol, address), websocket, limit) = tokio::join!(
        site.redirect(front.http_port),
        session::look(&site, front, is_valid),
        websocket::look(&site),
        site.body_limit(front.max_body),
    );
    checks.push(redirect.on("redirect"));
    checks.push(protocol.on("forwarded protocol"));
    checks.push(address.on("client address"));
    checks.push(websocket.on("websocket"));
    checks.push(limit.on("body limit"));
    checks.push(hsts(&answer).on("HSTS"));
    checks
}

/// The site URL without the slash at its end.
fn base(text: &str) -> Result<Url, Verdict> {
    let shown = text.escape_debug();
    let fix = "set the site URL to https:// and the name that people use (MATTERMOST_HOST with MATTERMOST_HTTPS=true)";
    match Url::parse(text.trim_end_matches('/')) {
        Ok(url) if url.scheme() == "https" && url.host_str().is_some() => Ok(url),
        Ok(url) if url.scheme() == "http" => Err(Verdict::failed(
            format!("the public URL is {shown}"),
            "it begins with http://, but the load balancer serves https://; links in mails and the websocket's origin are made from it",
            fix,
        )),
        _ => Err(Verdict::failed(
            format!("\"{shown}\" is not an https:// URL"),
            "it is incomplete or misspelt",
            fix,
        )),
    }
}

impl Site {
    /// The ping through the load balancer, and its verdict; the answer only if it is Mattermost's.
    async fn reach(&self) -> (Option<Answer>, Verdict) {
        let url = self.at("/api/v4/system/ping");
        let answer = match self.get(&url).await {
            Ok(answer) => answer,
            Err(failed) => return (None, failed),
        };
        if answer.json().is_some_and(|json| json.get("status").is_some()) {
            let verdict = Verdict::passed(format!("{} answers as Mattermost does", self.url));
            return (Some(answer), verdict);
        }
        let status = answer.status;
        let verdict = match status {
            StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT => {
                Verdict::failed(
                    format!("{url} answers {status}"),
                    "the load balancer runs, but does not reach Mattermost",
                    "check that Mattermost runs, and its address in the load balancer; write 127.0.0.1 there: localhost may mean ::1",
                )
            }
            _ => match answer.redirect(&url) {
                Some(to) if to == url => Verdict::failed(
                    format!("{url} redirects to itself"),
                    "requests over https are redirected to https too, or both the load balancer and the server redirect",
                    "redirect only on the load balancer's port for plain HTTP, and not in the server (ServiceSettings.Forward80To443=false)",
                ),
                Some(to) => Verdict::failed(
                    format!("{url} redirects to {}", shown(to.as_str())),
                    "the site has another address or path",
                    "set the site URL to the address that people are redirected to",
                ),
                None => Verdict::failed(
                    format!("{url} answers {status}, but not as Mattermost does"),
                    "another program answers for this name, or Mattermost is under another path than the site URL's",
                    "check the host name and path in the site URL and in the load balancer",
                ),
            },
        };
        (None, verdict)
    }

    fn certificate(&self, presented: &Presented, now: Timestamp) -> Verdict {
        let place = place(&self.url);
        if let Some(flaw) = &presented.flaw {
            let unreached = Unreached::Certificate(flaw.clone());
            return Verdict::Found(place.finding(&unreached, BALANCER));
        }
        if matches!(self.caller.trust, Trust::Anything) {
            return Verdict::unseen(
                "verification is switched off; switch it on to have the certificate checked",
            );
        }
        let ends =
            presented.chain.iter().filter_map(|der| Certificate::read(der)).map(|one| one.not_after).min();
        let Some(end) = ends else {
            return Verdict::unseen("the certificate is valid; its dates could not be read");
        };
        let days = (end.as_second() - now.as_second()) / (24 * 60 * 60);
        let until = end.strftime("%F");
        if days < FEW_DAYS {
            Verdict::noted(
                format!("the certificate of {place} ends in {days} days, on {until}"),
                "it should have been renewed by now",
                "find out why the renewal did not run, or renew it by hand",
            )
        } else {
            let sent = presented.chain.len();
            Verdict::passed(format!("valid until {until} ({days} days); certificates sent: {sent}"))
        }
    }

    async fn redirect(&self, port: u16) -> Verdict {
        let mut url = self.url.clone();
        if url.set_scheme("http").is_err() || url.set_port(Some(port)).is_err() {
            return Verdict::unseen("this URL has no form with http://");
        }
        let answer = match self.caller.send(&url, Request::new(Full::default())).await {
            Ok(answer) => answer,
            Err(unreached) => {
                return Verdict::noted(
                    place(&url).finding(&unreached, BALANCER).what,
                    "the load balancer does not answer plain HTTP on this port",
                    "let it answer on port 80 with a redirect to https; otherwise people who type only the name see an error",
                );
            }
        };
        let fix = "let the load balancer answer plain HTTP with `301` to https, on the same host and path";
        match answer.redirect(&url) {
            Some(to) if to.scheme() == "https" && to.host_str() == self.url.host_str() => {
                Verdict::passed(format!("{url} leads to {}", shown(to.as_str())))
            }
            Some(to) => Verdict::failed(
                format!("{url} leads to {}", shown(to.as_str())),
                "the redirect is not to https, or leads to another host",
                fix,
            ),
            None if answer.status.is_success() => Verdict::failed(
                format!("{url} is served without TLS"),
                "the load balancer forwards plain HTTP to Mattermost; passwords can be read on the way",
                fix,
            ),
            None => Verdict::noted(
                format!("{url} answers {}", answer.status),
                "the load balancer has no rule for plain HTTP",
                fix,
            ),
        }
    }

    async fn body_limit(&self, length: u64) -> Verdict {
        let url = self.at("/api/v4/files");
        let mut request = Request::new(());
        *request.method_mut() = Method::POST;
        let size = format!("{:.1} MiB", length as f64 / f64::from(1 << 20));
        let fix = format!(
            "allow at least {size}: in nginx with `client_max_body_size` (HAProxy has no limit); or lower FileSettings.MaxFileSize"
        );
        match self.caller.announce(&url, request, length).await {
            Ok(Some(answer)) if answer.status == StatusCode::PAYLOAD_TOO_LARGE => {
                let is_mattermost = answer.json().is_some_and(|json| json.get("status_code").is_some());
                if is_mattermost {
                    Verdict::failed(
                        format!("Mattermost refuses an upload of {size}"),
                        "FileSettings.MaxFileSize is lower",
                        "raise it (MM_FILESETTINGS_MAXFILESIZE)",
                    )
                } else {
                    Verdict::failed(
                        format!("an upload of {size} is refused before it reaches Mattermost"),
                        "the load balancer's limit for request bodies is lower than Mattermost's",
                        fix,
                    )
                }
            }
            Ok(Some(answer)) if answer.status == StatusCode::EXPECTATION_FAILED => Verdict::unseen(
                "the load balancer does not support `Expect: 100-continue`; try an upload by hand",
            ),
            Ok(_) => Verdict::passed(format!("an upload of {size} is allowed")),
            Err(unreached) => Verdict::failed(
                format!("announcing an upload of {size}: {}", place(&url).finding(&unreached, BALANCER).what),
                "the load balancer closes the connection when a request body is large",
                fix,
            ),
        }
    }
}

fn shown(text: &str) -> String {
    Mask::nothing().shown(text)
}

fn hsts(answer: &Answer) -> Verdict {
    match answer.header("strict-transport-security") {
        Some(value) => Verdict::passed(shown(value)),
        None => Verdict::noted(
            "no Strict-Transport-Security header",
            "neither the load balancer nor Mattermost sends it, so a browser may still open the site over plain HTTP",
            "when https works reliably: `Strict-Transport-Security: max-age=63072000` on the load balancer, or ServiceSettings.TLSStrictTransport=true",
        ),
    }
}

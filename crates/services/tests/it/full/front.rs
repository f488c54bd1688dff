//! nginx as load balancer in front of the built-in server, configured correctly and with each common mistake.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, AtomicU16, Ordering};
use std::time::Duration;

use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{AppendHeaders, IntoResponse as _, Redirect};
use axum::routing::{any, get, post};
use axum::{Json, Router};
use finding::Severity;
use secrecy::SecretString;
use serde_json::json;
use services::front::{FORGED, Front, Login, check};
use services::{Check, Trust, Verdict};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

use crate::authority::{Issued, Kind, issue};
use crate::scripted::{closed, serve};

const PASSWORD: &str = "throw-away-Passw0rd";
const MIB: u64 = 1 << 20;

/// nginx in one process, killed when the test ends.
struct Balancer(Child);

impl Drop for Balancer {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The load balancer's configuration.
struct Rules<'a> {
    /// For every path.
    headers: &'a str,
    /// For the websocket alone.
    websocket: &'a str,
    /// For the whole site.
    site: &'a str,
    /// For plain HTTP.
    plain: &'a str,
}

const HOST: &str = "proxy_set_header Host $http_host;";
const PROTO: &str = "proxy_set_header X-Forwarded-Proto $scheme;";
const UPGRADE: &str = "proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection \"upgrade\";";

/// The correct configuration.
const RIGHT: Rules = Rules {
    headers: "proxy_set_header Host $http_host; proxy_set_header X-Forwarded-Proto $scheme; proxy_set_header X-Forwarded-For $remote_addr;",
    websocket: UPGRADE,
    site: "client_max_body_size 100m; add_header Strict-Transport-Security max-age=63072000 always;",
    plain: "return 301 https://$host$request_uri;",
};

/// A load balancer, with its public side and its upstream.
struct Site {
    _balancer: Balancer,
    front: Front,
    _directory: TempDir,
}

/// Free ports below those that the system hands out (32768 on Linux), so that no other program gets them in the meantime.
fn free() -> [u16; 2] {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = 20_000 + (std::process::id() % 600) as u16 * 20;
    let mut ports = std::iter::repeat_with(|| first + NEXT.fetch_add(1, Ordering::Relaxed))
        .filter(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok());
    [ports.next().unwrap(), ports.next().unwrap()]
}

impl Site {
    /// nginx with these rules in front of the port `upstream`.
    async fn new(rules: &Rules<'_>, kind: Kind, [tls, plain]: [u16; 2], upstream: u16) -> Self {
        let directory = TempDir::new().unwrap();
        let issued = issue(directory.path(), kind);
        let config = directory.path().join("nginx.conf");
        std::fs::write(&config, nginx(rules, directory.path(), &issued, [tls, plain], upstream)).unwrap();
        let log = directory.path().join("log");
        let child = Command::new("nginx")
            .arg("-c")
            .arg(&config)
            .arg("-p")
            .arg(directory.path())
            .stdin(Stdio::null())
            .stderr(std::fs::File::create(&log).unwrap())
            .spawn()
            .unwrap_or_else(|error| panic!("nginx: {error}; run `cargo xtask test` once, which installs it"));
        let mut balancer = Balancer(child);
        for port in [tls, plain] {
            while TcpStream::connect(("127.0.0.1", port)).await.is_err() {
                let ended = balancer.0.try_wait().unwrap();
                assert!(ended.is_none(), "nginx ended: {}", std::fs::read_to_string(&log).unwrap());
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
        let front = Front {
            public_url: format!("https://127.0.0.1:{tls}"),
            http_port: plain,
            max_body: 50 * MIB,
            login: Some(Login { id: "probe".into(), password: SecretString::from(PASSWORD) }),
            knows_https: false,
            trust: issued.trust(),
            timeout: Duration::from_secs(20),
        };
        Self { _balancer: balancer, front, _directory: directory }
    }
}

fn nginx(rules: &Rules<'_>, dir: &Path, issued: &Issued, [tls, plain]: [u16; 2], upstream: u16) -> String {
    let Rules { headers, websocket, site, plain: redirect } = rules;
    let (dir, certificate, key) = (dir.display(), issued.certificate.display(), issued.key.display());
    let pass = format!("proxy_pass http://127.0.0.1:{upstream}; {headers}");
    format!(
        "daemon off; master_process off; pid {dir}/pid; error_log stderr;\n\
         events {{}}\n\
         http {{\n\
         access_log off;\n\
         client_body_temp_path {dir}/body; proxy_temp_path {dir}/proxy; fastcgi_temp_path {dir}/fastcgi;\n\
         uwsgi_temp_path {dir}/uwsgi; scgi_temp_path {dir}/scgi;\n\
         server {{ listen 127.0.0.1:{plain}; location / {{ {pass} {redirect} }} }}\n\
         server {{\n\
         listen 127.0.0.1:{tls} ssl; ssl_certificate {certificate}; ssl_certificate_key {key}; {site}\n\
         location / {{ {pass} }}\n\
         location /api/v4/websocket {{ {pass} {websocket} }}\n\
         }}\n}}\n"
    )
}

/// The built-in server with one account, on loopback.
struct Chat {
    port: u16,
    stop: CancellationToken,
    served: tokio::task::JoinHandle<Result<(), server::ServerError>>,
    _directory: TempDir,
}

impl Chat {
    async fn new(site_url: &str) -> Self {
        let directory = TempDir::new().unwrap();
        let document = json!({
            "ServiceSettings": { "SiteURL": site_url },
            "SqlSettings": { "DriverName": "sqlite", "DataSource": directory.path().join("mattermost.db") },
            "FileSettings": { "Directory": directory.path().join("files") },
        });
        let path = directory.path().join("config.json");
        let config = server::Config::from_json(&path, &document.to_string(), &BTreeMap::new()).unwrap();
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let stop = CancellationToken::new();
        let served = tokio::spawn(server::serve(config, listener, stop.clone()));
        let account = json!({ "email": "probe@example.test", "username": "probe", "password": PASSWORD });
        sign_up(port, &account.to_string()).await;
        Self { port, stop, served, _directory: directory }
    }

    async fn end(self) {
        self.stop.cancel();
        self.served.await.unwrap().unwrap();
    }
}

async fn sign_up(port: u16, account: &str) {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let request = format!(
        "POST /api/v4/users HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n{account}",
        account.len()
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
}

async fn looked_at(front: &Front) -> Vec<Check> {
    let checks = check(front).await;
    let all = format!("{checks:?} {front:?} {}", serde_json::to_string(&checks).unwrap());
    assert!(!all.contains(PASSWORD), "{all}");
    checks
}

/// The verdict of the check of this name.
#[track_caller]
fn on<'a>(name: &str, checks: &'a [Check]) -> &'a Verdict {
    &checks.iter().find(|check| check.name == name).unwrap_or_else(|| panic!("no {name}: {checks:?}")).verdict
}

#[track_caller]
fn failed(name: &str, checks: &[Check]) -> String {
    let verdict = on(name, checks);
    let Verdict::Found(finding) = verdict else { panic!("{name}: {checks:?}") };
    assert!(verdict.is_failed(), "{name}: {checks:?}");
    finding.to_string()
}

/// The names of the checks that did not pass.
fn others(checks: &[Check]) -> Vec<&str> {
    let not = checks.iter().filter(|check| !matches!(check.verdict, Verdict::Passed { .. }));
    not.map(|check| check.name).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_correct_load_balancer_passes_and_each_mistake_is_named() {
    let ports = free();
    let chat = Chat::new(&format!("https://127.0.0.1:{}", ports[0])).await;

    let site = Site::new(&RIGHT, Kind::Chained, ports, chat.port).await;
    let checks = looked_at(&site.front).await;
    // The built-in server keeps no log of logins.
    assert_eq!(others(&checks), ["client address"], "{checks:#?}");
    drop(site);

    let mistakes = [
        (Rules { headers: HOST, ..RIGHT }, "forwarded protocol", "X-Forwarded-Proto"),
        (Rules { websocket: "", ..RIGHT }, "websocket", "proxy_set_header Upgrade"),
        (Rules { websocket: "proxy_http_version 1.1;", ..RIGHT }, "websocket", "red bar"),
        (
            Rules { site: "add_header Strict-Transport-Security max-age=1;", ..RIGHT },
            "body limit",
            "client_max_body_size",
        ),
        (Rules { plain: "", ..RIGHT }, "redirect", "without TLS"),
        (Rules { plain: "return 302 http://127.0.0.1/x;", ..RIGHT }, "redirect", "not to https"),
    ];
    for (rules, name, said) in mistakes {
        let site = Site::new(&rules, Kind::Good, ports, chat.port).await;
        let checks = looked_at(&site.front).await;
        assert!(failed(name, &checks).contains(said), "{checks:#?}");
        // And no other check fails.
        let mut blamed = others(&checks);
        blamed.retain(|other| *other != "client address");
        assert_eq!(blamed, [name], "{checks:#?}");
    }
    chat.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_origin_that_is_not_the_site_url_is_told_from_a_missing_upgrade() {
    let ports = free();
    let chat = Chat::new("https://chat.example.test").await;
    let site = Site::new(&RIGHT, Kind::Good, ports, chat.port).await;
    let checks = looked_at(&site.front).await;
    let said = failed("websocket", &checks);
    assert!(said.contains("Origin") && said.contains(&site.front.public_url), "{said}");
    drop(site);
    chat.end().await;

    // Without a site URL the Host is compared, which nginx changes unless told to keep it.
    let chat = Chat::new("").await;
    let site = Site::new(&Rules { headers: PROTO, ..RIGHT }, Kind::Good, ports, chat.port).await;
    assert!(failed("websocket", &looked_at(&site.front).await).contains("$http_host"));
    drop(site);
    chat.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_certificate_is_named_and_gets_no_password() {
    let ports = free();
    let chat = Chat::new(&format!("https://127.0.0.1:{}", ports[0])).await;
    let kinds = [
        (Kind::SelfSigned, "self-signed"),
        (Kind::Expired, "has expired"),
        (Kind::Alone, "fullchain.pem"),
        (Kind::OtherName, "other.test"),
    ];
    for (kind, said) in kinds {
        let site = Site::new(&RIGHT, kind, ports, chat.port).await;
        let checks = looked_at(&site.front).await;
        assert!(failed("certificate", &checks).contains(said), "{checks:#?}");
        assert!(matches!(on("forwarded protocol", &checks), Verdict::Unseen { .. }), "{checks:#?}");
        assert!(matches!(on("websocket", &checks), Verdict::Passed { .. }), "{checks:#?}");
    }
    let site = Site::new(&RIGHT, Kind::Ending(9), ports, chat.port).await;
    let checks = looked_at(&site.front).await;
    let Verdict::Found(finding) = on("certificate", &checks) else { panic!("{checks:#?}") };
    assert_eq!(finding.severity, Severity::Warning);
    assert!(finding.what.contains("in 9 days"), "{finding}");
    let credulous = Front { trust: Trust::Anything, ..site.front.clone() };
    let checks = looked_at(&credulous).await;
    assert!(matches!(on("certificate", &checks), Verdict::Unseen { .. }), "{checks:#?}");
    assert!(matches!(on("forwarded protocol", &checks), Verdict::Passed { .. }), "{checks:#?}");
    drop(site);
    chat.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_login_gives_no_verdict() {
    let ports = free();
    let chat = Chat::new(&format!("https://127.0.0.1:{}", ports[0])).await;
    let site = Site::new(&RIGHT, Kind::Good, ports, chat.port).await;
    let wrong = Login { id: "probe".into(), password: SecretString::from("other") };
    let checks = looked_at(&Front { login: Some(wrong), ..site.front.clone() }).await;
    let Verdict::Unseen { why } = on("forwarded protocol", &checks) else { panic!("{checks:#?}") };
    assert!(why.contains("401 Unauthorized"), "{why}");
    let checks = looked_at(&Front { login: None, ..site.front.clone() }).await;
    assert!(matches!(on("forwarded protocol", &checks), Verdict::Unseen { .. }), "{checks:#?}");
    drop(site);
    chat.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unreachable_site_is_explained() {
    let ports = free();
    let away = Site::new(&RIGHT, Kind::Good, ports, closed().await).await;
    let checks = looked_at(&away.front).await;
    assert!(failed("public URL", &checks).contains("does not reach Mattermost"), "{checks:#?}");
    let url = |url: &str| Front { public_url: url.into(), ..away.front.clone() };
    let cases = [
        (format!("http://127.0.0.1:{}", ports[1]), "begins with http://"),
        (format!("https://127.0.0.1:{}", ports[1]), "does not speak TLS"),
        (format!("https://127.0.0.1:{}", closed().await), "nothing listens"),
        ("https://chat.invalid".to_owned(), "unknown"),
        ("chat.example.test".to_owned(), "not an https:// URL"),
    ];
    for (address, said) in cases {
        let checks = looked_at(&url(&address)).await;
        assert!(failed("public URL", &checks).contains(said), "{address}: {checks:#?}");
        assert_eq!(checks.len(), 1);
    }
    drop(away);

    let other = serve(Router::new().fallback(any(|| async { "another program" }))).await;
    let site = Site::new(&RIGHT, Kind::Good, ports, other).await;
    assert!(failed("public URL", &looked_at(&site.front).await).contains("another program"));
    drop(site);

    let circle = |request: Request| async move {
        let host = request.headers()["host"].to_str().unwrap().to_owned();
        Redirect::temporary(&format!("https://{host}{}", request.uri()))
    };
    let looping = serve(Router::new().fallback(any(circle))).await;
    let site = Site::new(&RIGHT, Kind::Good, ports, looping).await;
    assert!(failed("public URL", &looked_at(&site.front).await).contains("redirects to itself"));
}

/// The routes of a Mattermost with sign-in by GitLab and a log of logins, below a path. It trusts the first entry
/// of X-Forwarded-For, as `TrustedProxyIPHeader` makes the official server do.
///
/// `sessions` counts those that are logged in.
fn official(sessions: &Arc<AtomicI32>) -> Router {
    let (opened, closed) = (Arc::clone(sessions), Arc::clone(sessions));
    let secure = |headers: &HeaderMap| match headers.get("x-forwarded-proto") {
        Some(proto) if proto == "https" => "; Secure",
        _ => "",
    };
    let login = move |headers: HeaderMap| async move {
        opened.fetch_add(1, Ordering::Relaxed);
        let cookie = format!("MMAUTHTOKEN=t0ken; Path=/{}; HttpOnly", secure(&headers));
        (AppendHeaders([("set-cookie", cookie), ("token", "t0ken".to_owned())]), Json(json!({})))
    };
    let logout = move |headers: HeaderMap| async move {
        if headers["authorization"] == "Bearer t0ken" {
            closed.fetch_sub(1, Ordering::Relaxed);
        }
    };
    let sign_in = move |headers: HeaderMap| async move {
        let cookie = format!("MMOAUTH=c00kie; Path=/{}; HttpOnly", secure(&headers));
        (AppendHeaders([("set-cookie", cookie)]), Redirect::to("https://gitlab.example.test/"))
    };
    let audits = |headers: HeaderMap| async move {
        if headers["authorization"] != "Bearer t0ken" {
            return StatusCode::UNAUTHORIZED.into_response();
        }
        let forwarded = headers.get("x-seen").map_or("127.0.0.1", |seen| seen.to_str().unwrap());
        let first = forwarded.split(',').next().unwrap().trim();
        let entry = |at: i64, action: &str, address: &str| json!({ "create_at": at, "action": action, "ip_address": address });
        Json(json!([
            entry(1, "/api/v4/users/login", "198.51.100.1"),
            entry(3, "/api/v4/users/sessions", "198.51.100.2"),
            entry(2, "/api/v4/users/login", first),
        ]))
        .into_response()
    };
    let routes = Router::new()
        .route("/api/v4/system/ping", get(|| async { Json(json!({ "status": "OK" })) }))
        .route("/api/v4/users/login", post(login))
        .route("/api/v4/users/logout", post(logout))
        .route("/api/v4/users/me/audits", get(audits))
        .route("/oauth/gitlab/login", get(sign_in));
    Router::new().nest("/chat", routes)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_official_servers_audit_log_and_cookies_are_read() {
    let ports = free();
    let sessions = Arc::new(AtomicI32::new(0));
    let upstream = serve(official(&sessions)).await;
    // This server keeps no log: the address that it would have recorded comes with the request.
    let seen_as = |how: &str| format!("{HOST} {PROTO} proxy_set_header X-Seen {how};");
    let cases = [
        (seen_as("203.0.113.9"), "records 203.0.113.9 for this machine"),
        (seen_as(&format!("\"{FORGED}, $remote_addr\"")), "every client can choose"),
    ];
    for (headers, said) in cases {
        let mut site = Site::new(&Rules { headers: &headers, ..RIGHT }, Kind::Good, ports, upstream).await;
        site.front.public_url += "/chat/";
        let checks = looked_at(&site.front).await;
        let Verdict::Found(finding) = on("client address", &checks) else { panic!("{checks:#?}") };
        assert_eq!(finding.severity, Severity::Warning);
        assert!(finding.what.contains(said), "{finding}");
        assert!(matches!(on("forwarded protocol", &checks), Verdict::Passed { .. }), "{checks:#?}");
        assert_eq!(sessions.load(Ordering::Relaxed), 0, "the probe is logged out");
        site.front.login = None;
        let checks = looked_at(&site.front).await;
        assert!(matches!(on("forwarded protocol", &checks), Verdict::Passed { .. }), "{checks:#?}");
    }
    let mut site = Site::new(&Rules { headers: HOST, ..RIGHT }, Kind::Good, ports, upstream).await;
    site.front.public_url += "/chat";
    site.front.login = None;
    let said = failed("forwarded protocol", &looked_at(&site.front).await);
    assert!(said.contains("MMOAUTH") && said.contains("X-Forwarded-Proto"), "{said}");
}

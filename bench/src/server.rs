//! The built-in server: durable posts and pages read per second, time to search and to reach a thousand websockets, memory per
//! idle websocket.
//!
//! Requests go to the server's own socket. Posts per second are compared with fsyncs per second on the same disk.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use futures_util::{SinkExt as _, StreamExt as _};
use reqwest::Client;
use serde_json::{Value, json};
use tokio::net::UnixStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::{WebSocketStream, client_async};

use xtask::run::Failure;

use crate::deployment::{Deployment, resident_mb};
use crate::{Spread, row};

/// How many clients post at the same time.
const POSTERS: usize = 64;
/// How long they post.
const POSTING: Duration = Duration::from_secs(5);
/// How many websockets receive the posts.
const LISTENERS: usize = 1_000;
/// How many of them one account has: fewer than the server allows.
const SOCKETS: usize = 200;
/// The API; the client connects to the server's socket, whatever the host.
const BASE: &str = "http://server/api/v4";
/// How many posts are searched.
const SEARCHED: u64 = 300_000;
/// How many different words they have. The first ones are much more frequent than the last.
const WORDS: u64 = 20_000;
/// How many searches are timed.
const SEARCHES: u64 = 200;
/// How long pages are read.
const READING: Duration = Duration::from_secs(5);
/// How many posts are timed until the last websocket has received them.
const TIMED: usize = 20;

pub(crate) fn run(mainstay: &Path) -> Result<(), Failure> {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let deployment = Deployment::empty(mainstay)?;
    deployment.up()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(measure(&deployment))
}

struct Session {
    client: Client,
    socket: PathBuf,
    token: String,
    team: String,
    channel: String,
}

impl Session {
    async fn open(deployment: &Deployment) -> Result<Self, Failure> {
        let status = deployment.status()?;
        let socket = PathBuf::from(status["agent"]["server"]["spec"]["socket"].as_str().unwrap_or_default());
        let client = Client::builder()
            .unix_socket(socket.as_path())
            .no_proxy()
            .pool_max_idle_per_host(POSTERS)
            .build()
            .map_err(failed)?;
        let session =
            Self { client, socket, token: String::new(), team: String::new(), channel: String::new() };
        let mut session = session.log_in("admin", &deployment.password()?).await?;
        let team = session
            .post("teams", &json!({"name": "bench-team", "display_name": "Bench", "type": "O"}))
            .await?;
        session.team = team["id"].as_str().unwrap_or_default().to_owned();
        let channel: Value =
            session.get(&format!("teams/{}/channels/name/town-square", session.team)).await?;
        session.channel = channel["id"].as_str().unwrap_or_default().to_owned();
        Ok(session)
    }

    /// The same place, for another account.
    async fn log_in(&self, name: &str, password: &str) -> Result<Self, Failure> {
        let login = json!({"login_id": name, "password": password});
        let request = self.client.post(format!("{BASE}/users/login")).json(&login);
        let answer = request.send().await.map_err(failed)?;
        let token = answer.headers().get("token").and_then(|token| token.to_str().ok()).unwrap_or_default();
        let (client, socket) = (self.client.clone(), self.socket.clone());
        let (team, channel) = (self.team.clone(), self.channel.clone());
        Ok(Self { client, socket, token: token.to_owned(), team, channel })
    }

    /// A new member of the team.
    async fn colleague(&self, name: &str) -> Result<Self, Failure> {
        const PASSWORD: &str = "bench and nothing else 1";
        let account = json!({"email": format!("{name}@example.com"), "username": name, "password": PASSWORD});
        let account = self.post("users", &account).await?;
        let member = json!({"team_id": self.team, "user_id": account["id"]});
        self.post(&format!("teams/{}/members", self.team), &member).await?;
        self.log_in(name, PASSWORD).await
    }

    async fn post(&self, route: &str, body: &Value) -> Result<Value, Failure> {
        let request = self.client.post(format!("{BASE}/{route}")).bearer_auth(&self.token).json(body);
        let answer = request.send().await.map_err(failed)?;
        match answer.status().as_u16() {
            201 => answer.json().await.map_err(failed),
            status => {
                Err(Failure(format!("{route}: status {status}: {}", answer.text().await.unwrap_or_default())))
            }
        }
    }

    async fn get(&self, route: &str) -> Result<Value, Failure> {
        let request = self.client.get(format!("{BASE}/{route}")).bearer_auth(&self.token);
        request.send().await.map_err(failed)?.json().await.map_err(failed)
    }

    async fn say(&self, message: &str) -> Result<Value, Failure> {
        self.post("posts", &json!({"channel_id": self.channel, "message": message})).await
    }

    async fn listen(&self) -> Result<WebSocketStream<UnixStream>, Failure> {
        let mut request = "ws://server/api/v4/websocket".into_client_request().map_err(failed)?;
        let bearer = format!("Bearer {}", self.token).parse().map_err(failed)?;
        request.headers_mut().insert("authorization", bearer);
        let stream = UnixStream::connect(&self.socket).await?;
        let (mut socket, _) = client_async(request, stream).await.map_err(failed)?;
        socket
            .next()
            .await
            .ok_or_else(|| Failure("the websocket closed before it sent hello".to_owned()))?
            .map_err(failed)?;
        Ok(socket)
    }
}

async fn measure(deployment: &Deployment) -> Result<(), Failure> {
    let session = Arc::new(Session::open(deployment).await?);
    let (posts, seconds) = flood(&session).await?;
    let reads = read_pages(&session).await?;
    let commits = commits_a_second()?;
    let mut listeners = Vec::new();
    for n in 0..LISTENERS.div_ceil(SOCKETS) {
        listeners.push(session.colleague(&format!("listener{n}")).await?);
    }
    let [_, server] = deployment.pids()?;
    let before = resident_mb(server)?;
    let mut sockets = Vec::with_capacity(LISTENERS);
    for n in 0..LISTENERS {
        sockets.push(listeners[n / SOCKETS].listen().await?);
    }
    let idle = (resident_mb(server)? - before) * 1024.0 / LISTENERS as f64;
    let fan_out = fan_out(&session, sockets).await?;
    fill(&session, posts).await?;
    let searches = search(&session).await?;
    let rate = posts as f64 / seconds;
    println!("\n{:<44} {:<34} aim", "", "median (least to most)");
    row(&format!("posts a second, {POSTERS} posters, durable"), &format!("{rate:>10.0}"), ">= 5000");
    row("pages of 60 posts a second", &format!("{reads:>10.0}"), ">= 5000");
    row(&format!("search of {SEARCHED} posts, ms"), &searches, "<= 20");
    row("single fsynced appends a second, same disk", &format!("{commits:>10.0}"), "");
    row("ratio posts : fsyncs (group commit)", &format!("{:>10.1}", rate / commits), "");
    row(&format!("post to last of {LISTENERS} websockets, ms"), &fan_out, "");
    row("memory of an idle websocket, kB", &format!("{idle:>10.1}"), "");
    Ok(())
}

async fn flood(session: &Arc<Session>) -> Result<(u64, f64), Failure> {
    let done = Arc::new(AtomicU64::new(0));
    let began = Instant::now();
    let posters = (0..POSTERS).map(|poster| {
        let (session, done) = (Arc::clone(session), Arc::clone(&done));
        tokio::spawn(async move {
            while began.elapsed() < POSTING {
                let number = done.fetch_add(1, Ordering::Relaxed);
                session.say(&format!("post {number} of poster {poster}")).await?;
            }
            Ok::<(), Failure>(())
        })
    });
    for poster in posters.collect::<Vec<_>>() {
        poster.await.map_err(failed)??;
    }
    Ok((done.load(Ordering::Relaxed), began.elapsed().as_secs_f64()))
}

/// How many pages with the newest 60 posts are read in a second, by as many readers as there are posters.
async fn read_pages(session: &Arc<Session>) -> Result<f64, Failure> {
    let began = Instant::now();
    let readers = (0..POSTERS).map(|_| {
        let session = Arc::clone(session);
        tokio::spawn(async move {
            let mut pages = 0_u64;
            while began.elapsed() < READING {
                let request = session.client.get(format!("{BASE}/channels/{}/posts", session.channel));
                let answer = request.bearer_auth(&session.token).send().await.map_err(failed)?;
                answer.error_for_status().map_err(failed)?.bytes().await.map_err(failed)?;
                pages += 1;
            }
            Ok::<u64, Failure>(pages)
        })
    });
    let mut pages = 0;
    for reader in readers.collect::<Vec<_>>() {
        pages += reader.await.map_err(failed)??;
    }
    Ok(pages as f64 / began.elapsed().as_secs_f64())
}

/// The word of this rank.
fn word(rank: u64) -> String {
    format!("w{rank}x")
}

/// Twelve words for the post of this number: the rank of each is small more often than large.
fn text(number: u64) -> String {
    let words = (0..12_u64).map(|place| {
        let mixed = (number * 12 + place).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
        let part = mixed as f64 / (1_u64 << 24) as f64;
        word((WORDS as f64).powf(part) as u64)
    });
    words.collect::<Vec<_>>().join(" ")
}

/// Posts until there are as many as are searched.
async fn fill(session: &Arc<Session>, posted: u64) -> Result<(), Failure> {
    let next = Arc::new(AtomicU64::new(posted));
    let posters = (0..POSTERS).map(|_| {
        let (session, next) = (Arc::clone(session), Arc::clone(&next));
        tokio::spawn(async move {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= SEARCHED {
                    return Ok::<(), Failure>(());
                }
                session.say(&text(number)).await?;
            }
        })
    });
    for poster in posters.collect::<Vec<_>>() {
        poster.await.map_err(failed)??;
    }
    Ok(())
}

/// How long searches take: for one word of any frequency, two, the beginning of one, and a phrase.
async fn search(session: &Session) -> Result<Spread, Failure> {
    let mut figures = Vec::new();
    for number in 0..SEARCHES {
        let text = text(SEARCHED + number);
        let words: Vec<&str> = text.split(' ').collect();
        let terms = match number % 4 {
            0 => words[0].to_owned(),
            1 => format!("{} {}", words[0], words[1]),
            2 => format!("{}*", words[0].trim_end_matches('x')),
            _ => format!("\"{} {}\"", words[0], words[1]),
        };
        let request = session.client.post(format!("{BASE}/teams/{}/posts/search", session.team));
        let began = Instant::now();
        let answer = request.bearer_auth(&session.token).json(&json!({ "terms": terms })).send().await;
        answer.map_err(failed)?.error_for_status().map_err(failed)?.bytes().await.map_err(failed)?;
        figures.push(began.elapsed().as_secs_f64() * 1000.0);
    }
    Ok(Spread::of(figures))
}

/// How many appends per second the disk takes when each is followed by an fsync.
fn commits_a_second() -> Result<f64, Failure> {
    let mut file = tempfile::tempfile()?;
    let began = Instant::now();
    let mut count = 0.0;
    while began.elapsed() < Duration::from_secs(2) {
        file.write_all(&[0; 512])?;
        file.sync_data()?;
        count += 1.0;
    }
    Ok(count / began.elapsed().as_secs_f64())
}

async fn fan_out(session: &Session, sockets: Vec<WebSocketStream<UnixStream>>) -> Result<Spread, Failure> {
    let (heard, mut arrivals) = tokio::sync::mpsc::unbounded_channel();
    for mut socket in sockets {
        let heard = heard.clone();
        tokio::spawn(async move {
            while let Some(Ok(message)) = socket.next().await {
                match message {
                    Message::Text(text) if text.contains("\"posted\"") => {
                        let _ = heard.send(Instant::now());
                    }
                    Message::Ping(data) => {
                        let _ = socket.send(Message::Pong(data)).await;
                    }
                    _ => {}
                }
            }
        });
    }
    let mut figures = Vec::new();
    for number in 0..TIMED {
        let began = Instant::now();
        session.say(&format!("heard by all, {number}")).await?;
        let mut last = began;
        for _ in 0..LISTENERS {
            let arrival =
                tokio::time::timeout(Duration::from_secs(10), arrivals.recv()).await.map_err(failed)?;
            last = last.max(arrival.unwrap_or(last));
        }
        figures.push(last.duration_since(began).as_secs_f64() * 1000.0);
    }
    Ok(Spread::of(figures))
}

fn failed(error: impl std::fmt::Display) -> Failure {
    Failure(error.to_string())
}

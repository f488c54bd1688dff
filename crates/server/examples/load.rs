//! A load test: `load [SECONDS [SOCKETS]]` runs the server on loopback in this process. It measures posts per second (each
//! durable before it is answered), how long a post takes to reach many websockets, and the memory of idle websockets.
//!
//! The clients run in the same process and write their requests by hand, because an HTTP client library would take more
//! time than the server.

use std::error::Error;
use std::io::Write;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::future::{join_all, try_join_all};
use serde_json::{Value, json};
use server::Config;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_util::sync::CancellationToken;

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

const POSTERS: usize = 64;
/// Websockets of one account: fewer than the server allows.
const SOCKETS: usize = 200;
const PASSWORD: &str = "load and nothing else 1";

/// A connection that stays open between requests.
struct Line {
    stream: TcpStream,
    address: String,
    token: String,
    answer: Vec<u8>,
}

impl Line {
    async fn open(address: &str, token: &str) -> Outcome<Line> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Line { stream, address: address.to_owned(), token: token.to_owned(), answer: Vec::new() })
    }

    /// Sends a request and returns the answer's head and body.
    async fn ask(&mut self, method: &str, path: &str, body: &Value) -> Outcome<(String, Value)> {
        let body = body.to_string();
        let request = format!(
            "{method} /api/v4/{path} HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\nContent-Length: {}\r\n\r\n{body}",
            self.address,
            self.token,
            body.len()
        );
        self.stream.write_all(request.as_bytes()).await?;
        self.answer.clear();
        loop {
            if self.stream.read_buf(&mut self.answer).await? == 0 {
                return Err("the server hung up".into());
            }
            let Some(end) = self.answer.windows(4).position(|four| four == b"\r\n\r\n") else { continue };
            let head = String::from_utf8_lossy(&self.answer[..end]).to_lowercase();
            let length: usize = field(&head, "content-length").unwrap_or("0").parse()?;
            if self.answer.len() >= end + 4 + length {
                if !head.starts_with("http/1.1 20") {
                    return Err(String::from_utf8_lossy(&self.answer).into_owned().into());
                }
                return Ok((head, serde_json::from_slice(&self.answer[end + 4..end + 4 + length])?));
            }
        }
    }
}

fn field<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
}

fn id(value: &Value) -> Outcome<String> {
    Ok(value["id"].as_str().ok_or("an object without an id")?.to_owned())
}

#[expect(clippy::disallowed_methods, reason = "a developer chooses the disk by the directory")]
#[tokio::main]
async fn main() -> Outcome<()> {
    let seconds = std::env::args().nth(1).map_or(Ok(5), |text| text.parse())?;
    let number: usize = std::env::args().nth(2).map_or(Ok(1000), |text| text.parse())?;
    let directory = tempfile::tempdir_in(std::env::current_dir()?)?;
    let settings = json!({
        "TeamSettings": {"EnableOpenServer": true, "MaxUsersPerTeam": 1000},
        "SqlSettings": {"DataSource": directory.path().join("mattermost.db")},
        "FileSettings": {"Directory": directory.path().join("files")},
    });
    let config =
        Config::from_json(&directory.path().join("config.json"), &settings.to_string(), &Default::default())?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?.to_string();
    let stop = CancellationToken::new();
    let served = tokio::spawn(server::serve(config, listener, stop.clone()));

    let token = enter(&address, "load").await?;
    let (invite, channel) = team(&address, &token).await?;
    posts(&address, &token, &channel, Duration::from_secs(seconds)).await?;
    let mut tokens = vec![token];
    for n in 1..number.div_ceil(SOCKETS) {
        let token = enter(&address, &format!("load{n}")).await?;
        let path = format!("teams/members/invite?invite_id={invite}");
        Line::open(&address, &token).await?.ask("POST", &path, &json!({})).await?;
        tokens.push(token);
    }
    sockets(&address, &tokens, &channel, number).await?;
    stop.cancel();
    served.await??;
    Ok(())
}

/// Creates an account and returns its token.
async fn enter(address: &str, name: &str) -> Outcome<String> {
    let mut line = Line::open(address, "").await?;
    let account = json!({"email": format!("{name}@b.c"), "username": name, "password": PASSWORD});
    line.ask("POST", "users", &account).await?;
    let (head, _) = line.ask("POST", "users/login", &json!({"login_id": name, "password": PASSWORD})).await?;
    Ok(field(&head, "token").ok_or("no token")?.to_owned())
}

/// Creates a team; returns its invite id and the id of a channel.
async fn team(address: &str, token: &str) -> Outcome<(String, String)> {
    let mut line = Line::open(address, token).await?;
    let (_, team) =
        line.ask("POST", "teams", &json!({"name": "load", "display_name": "Load", "type": "O"})).await?;
    let path = format!("teams/{}/channels/name/town-square", id(&team)?);
    let (_, channel) = line.ask("GET", &path, &json!({})).await?;
    Ok((team["invite_id"].as_str().ok_or("no invite")?.to_owned(), id(&channel)?))
}

async fn posts(address: &str, token: &str, channel: &str, time: Duration) -> Outcome<()> {
    let body =
        json!({"channel_id": channel, "message": "A message of an ordinary length, as people write them."});
    let began = Instant::now();
    let posters = (0..POSTERS).map(|_| async {
        let mut line = Line::open(address, token).await?;
        let mut times = Vec::new();
        while began.elapsed() < time {
            let sent = Instant::now();
            line.ask("POST", "posts", &body).await?;
            times.push(sent.elapsed());
        }
        Outcome::Ok(times)
    });
    let mut times = try_join_all(posters).await?.concat();
    let took = began.elapsed();
    times.sort_unstable();
    let at = |part: usize| times.get(times.len() * part / 100).copied().unwrap_or_default();
    writeln!(
        std::io::stdout(),
        "posts: {:.0} per second from {POSTERS} posters; half within {:.1?}, 99 of 100 within {:.1?}",
        times.len() as f64 / took.as_secs_f64(),
        at(50),
        at(99)
    )?;
    Ok(())
}

async fn sockets(address: &str, tokens: &[String], channel: &str, number: usize) -> Outcome<()> {
    let before = resident()?;
    let opened = (0..number).map(|n| async move {
        let token = &tokens[n / SOCKETS];
        let mut request = format!("ws://{address}/api/v4/websocket").into_client_request()?;
        request.headers_mut().insert("authorization", format!("Bearer {token}").parse()?);
        let stream = TcpStream::connect(address).await?;
        let settings = tokio_tungstenite::tungstenite::protocol::WebSocketConfig::default()
            .read_buffer_size(1024)
            .write_buffer_size(0);
        let (mut socket, _) =
            tokio_tungstenite::client_async_with_config(request, stream, Some(settings)).await?;
        socket.next().await.ok_or("no hello")??;
        Outcome::Ok(socket)
    });
    let mut sockets = try_join_all(opened).await?;
    let each = resident()?.saturating_sub(before) / number as u64;
    writeln!(
        std::io::stdout(),
        "websockets: {each} KiB each, the client's end included ({number} open and idle)"
    )?;

    let mut line = Line::open(address, &tokens[0]).await?;
    let mut times = Vec::new();
    for round in 0..10 {
        let mark = format!("round {round}");
        let began = Instant::now();
        let heard = join_all(sockets.iter_mut().map(|socket| async {
            while let Some(Ok(message)) = socket.next().await {
                if message.to_text().is_ok_and(|text| text.contains(&mark)) {
                    return true;
                }
            }
            false
        }));
        let body = json!({"channel_id": channel, "message": mark});
        let (posted, heard) = tokio::join!(line.ask("POST", "posts", &body), heard);
        posted?;
        if !heard.into_iter().all(|heard| heard) {
            return Err("a websocket closed before it heard the post".into());
        }
        times.push(began.elapsed());
    }
    times.sort_unstable();
    writeln!(
        std::io::stdout(),
        "fan-out: from the request to the last of {number} websockets {:.1?} in the middle of 10 rounds, {:.1?} at worst",
        times[times.len() / 2],
        times[times.len() - 1]
    )?;
    Ok(())
}

/// This process's resident memory, in KiB.
fn resident() -> Outcome<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}

//! Measures the server's memory under floods that its bounds are for: `memory pictures` uploads images that are as large as
//! allowed, and some that are larger, four at a time; `memory events` sends large posts to websockets that do not read.
//! The server runs as a child process on loopback; its resident memory is printed before, at the peak, and afterwards.

use std::error::Error;
use std::io::{BufRead, BufReader, Cursor, Write};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::{join_all, try_join_all};
use image::{ExtendedColorType, ImageEncoder};
use reqwest::Client;
use serde_json::{Value, json};
use server::Config;
use tokio::net::TcpListener;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_util::sync::CancellationToken;

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

const PASSWORD: &str = "memory and nothing else 1";
/// Websockets of one account.
const SOCKETS: usize = 200;
/// How long the server has to give memory back after a flood.
const PAUSE: Duration = Duration::from_secs(10);

#[tokio::main]
async fn main() -> Outcome<()> {
    match std::env::args().nth(1).as_deref() {
        Some("serve") => serve().await,
        Some("pictures") => Flood::begin().await?.pictures().await,
        Some("events") => Flood::begin().await?.events().await,
        _ => Err("say `pictures` or `events`".into()),
    }
}

/// The child: the server in a temporary directory. It prints its address, and ends when its standard input closes.
#[expect(clippy::disallowed_methods, reason = "a developer chooses the disk by the directory")]
async fn serve() -> Outcome<()> {
    let directory = tempfile::tempdir_in(std::env::current_dir()?)?;
    let settings = json!({
        "TeamSettings": {"EnableOpenServer": true, "MaxUsersPerTeam": 1000},
        "SqlSettings": {"DataSource": directory.path().join("mattermost.db")},
        "FileSettings": {"Directory": directory.path().join("files")},
    });
    let config =
        Config::from_json(&directory.path().join("config.json"), &settings.to_string(), &Default::default())?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    writeln!(std::io::stdout(), "{}", listener.local_addr()?)?;
    let stop = CancellationToken::new();
    let ended = stop.clone();
    std::thread::spawn(move || {
        let _read = std::io::stdin().read_line(&mut String::new());
        ended.cancel();
    });
    server::serve(config, listener, stop).await?;
    Ok(())
}

/// A running server and the people who flood it.
struct Flood {
    child: Child,
    address: String,
    client: Client,
    token: String,
    invite: String,
    channel: String,
}

impl Drop for Flood {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ended = self.child.wait();
    }
}

impl Flood {
    async fn begin() -> Outcome<Flood> {
        let _set = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let mut child = Command::new(std::env::current_exe()?)
            .arg("serve")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut address = String::new();
        BufReader::new(child.stdout.take().ok_or("no output")?).read_line(&mut address)?;
        let address = address.trim().to_owned();
        let client = Client::builder().timeout(Duration::from_secs(600)).build()?;
        let (token, invite, channel) = Default::default();
        let mut flood = Flood { child, address, client, token, invite, channel };
        flood.token = flood.enter("flood").await?;
        let team = json!({"name": "flood", "display_name": "Flood", "type": "O"});
        let team = flood.ask(&flood.token, "POST", "teams", &team).await?;
        flood.invite = text(&team["invite_id"])?;
        let path = format!("teams/{}/channels/name/town-square", text(&team["id"])?);
        flood.channel = text(&flood.ask(&flood.token, "GET", &path, &json!({})).await?["id"])?;
        Ok(flood)
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}/api/v4/{path}", self.address)
    }

    async fn ask(&self, token: &str, method: &str, path: &str, body: &Value) -> Outcome<Value> {
        let request = self.client.request(method.parse()?, self.url(path)).bearer_auth(token).json(body);
        Ok(request.send().await?.error_for_status()?.json().await?)
    }

    async fn enter(&self, name: &str) -> Outcome<String> {
        let account = json!({"email": format!("{name}@b.c"), "username": name, "password": PASSWORD});
        self.ask("", "POST", "users", &account).await?;
        let login = json!({"login_id": name, "password": PASSWORD});
        let answer = self.client.post(self.url("users/login")).json(&login).send().await?;
        Ok(answer.headers().get("token").ok_or("no token")?.to_str()?.to_owned())
    }

    /// Runs `flood` and prints the memory before, during and after it.
    async fn measure(&self, what: &str, flood: impl Future<Output = Outcome<()>>) -> Outcome<()> {
        let before = self.resident()?;
        let peak = AtomicU64::new(before);
        let watch = async {
            loop {
                peak.fetch_max(self.resident().unwrap_or_default(), Ordering::Relaxed);
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::select! {
            flooded = flood => flooded?,
            () = watch => {}
        }
        tokio::time::sleep(PAUSE).await;
        let (peak, after) = (peak.into_inner(), self.resident()?);
        writeln!(std::io::stdout(), "{what}: {before} MiB before, {peak} at the peak, {after} afterwards")?;
        Ok(())
    }

    /// The server's resident memory, in MiB.
    fn resident(&self) -> Outcome<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
        Ok(line.trim().trim_end_matches(" kB").parse::<u64>()? >> 10)
    }

    async fn pictures(&self) -> Outcome<()> {
        for (what, width, height) in [
            ("4 pictures of 33170000 x 1 pixels", 33_170_000, 1),
            ("4 pictures of 1 x 33170000 pixels", 1, 33_170_000),
            ("4 pictures of 7680 x 4320 pixels", 7680, 4320),
            ("4 pictures of 1012 x 32768 pixels", 1012, 32_768),
            ("4 photographs of 4000 x 3000 pixels", 4000, 3000),
        ] {
            let file = png(width, height)?;
            let uploads = async {
                let path = self.url(&format!("files?channel_id={}&filename=a.png", self.channel));
                let upload = |_| self.client.post(&path).bearer_auth(&self.token).body(file.clone()).send();
                for answer in try_join_all((0..4).map(upload)).await? {
                    answer.error_for_status()?;
                }
                Ok(())
            };
            self.measure(&format!("{what} ({} kB each)", file.len() / 1000), uploads).await?;
        }
        Ok(())
    }

    async fn events(&self) -> Outcome<()> {
        let mut sockets = Vec::new();
        for n in 0..5 {
            let token = self.enter(&format!("reader{n}")).await?;
            let path = format!("teams/members/invite?invite_id={}", self.invite);
            self.ask(&token, "POST", &path, &json!({})).await?;
            for _ in 0..SOCKETS {
                let mut request = format!("ws://{}/api/v4/websocket", self.address).into_client_request()?;
                request.headers_mut().insert("authorization", format!("Bearer {token}").parse()?);
                let (mut socket, _) = tokio_tungstenite::connect_async(request).await?;
                socket.next().await.ok_or("no hello")??;
                sockets.push(socket);
            }
        }
        let props = json!({"text": "x".repeat(280_000)});
        let post = json!({"channel_id": self.channel, "message": "large", "props": props});
        let posts = async {
            for sent in join_all((0..40).map(|_| self.ask(&self.token, "POST", "posts", &post))).await {
                sent?;
            }
            Ok(())
        };
        self.measure("40 posts of 280 kB to 1000 websockets that do not read", posts).await?;
        drop(sockets);
        self.measure("the same websockets closed", async { Ok(()) }).await
    }
}

fn text(value: &Value) -> Outcome<String> {
    Ok(value.as_str().ok_or("no text")?.to_owned())
}

fn png(width: u32, height: u32) -> Outcome<Vec<u8>> {
    let mut bytes = Cursor::new(Vec::new());
    let pixels = vec![0_u8; width as usize * height as usize * 4];
    image::codecs::png::PngEncoder::new(&mut bytes).write_image(
        &pixels,
        width,
        height,
        ExtendedColorType::Rgba8,
    )?;
    Ok(bytes.into_inner())
}

//! Acknowledged writes survive when the process is killed in the middle of its work.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::Mutex;

use futures_util::future::join_all;
use serde_json::{Value, json};
use server::ServerError;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::engine;
use crate::site::{PASSWORD, Site, account, client, config, text};

const DIRECTORY: &str = "MAINSTAY_TEST_DIRECTORY";

/// How many posts must be acknowledged before the kill.
const ENOUGH: usize = 400;

/// Runs the server in a child process: this test's own executable, started with a directory in its environment.
async fn serve(directory: &Path) -> Result<(), ServerError> {
    let listener = TcpListener::bind("127.0.0.1:0").await.map_err(ServerError::Listener)?;
    let port = listener.local_addr().map_err(ServerError::Listener)?.port();
    writeln!(std::io::stdout(), "port {port}").map_err(ServerError::Listener)?;
    server::serve(config(directory, &json!({})), listener, CancellationToken::new()).await
}

#[expect(
    clippy::disallowed_methods,
    reason = "the test tells its other process in the environment that it is the server"
)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn acknowledged_posts_survive_a_kill() {
    if let Ok(directory) = std::env::var(DIRECTORY) {
        serve(Path::new(&directory)).await.expect("it serves until it is killed");
        return;
    }
    let directory = TempDir::new().expect("a temporary directory");
    engine::prepare(directory.path()).await;
    let mut child = Command::new(std::env::current_exe().expect("this executable"))
        .args(["durability::acknowledged_posts_survive_a_kill", "--exact", "--nocapture"])
        .env(DIRECTORY, directory.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("the executable starts");
    let lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
    let port = lines
        .map_while(Result::ok)
        .find_map(|line| line.split_once("port ").map(|(_, port)| port.to_owned()))
        .expect("the child names its port");

    let client = client();
    let url = format!("http://127.0.0.1:{port}/api/v4");
    let send = async |method: &str, path: &str, token: &str, body: Value| {
        let method = method.parse().expect("a method");
        client.request(method, format!("{url}/{path}")).bearer_auth(token).json(&body).send().await
    };
    let made = send("POST", "users", "", account("ada")).await.expect("an answer");
    assert_eq!(made.status(), 201);
    let login = send("POST", "users/login", "", json!({"login_id": "ada", "password": PASSWORD})).await;
    let login = login.expect("an answer");
    let token = login.headers()["token"].to_str().expect("ASCII").to_owned();
    let team =
        send("POST", "teams", &token, json!({"name": "harbour", "display_name": "H", "type": "O"})).await;
    let team: Value = team.expect("an answer").json().await.expect("JSON");
    let square = format!("teams/{}/channels/name/town-square", text(&team["id"]));
    let square = send("GET", &square, &token, json!({})).await.expect("an answer");
    let square = text(&square.json::<Value>().await.expect("JSON")["id"]);

    let acknowledged = Arc::new(Mutex::new(Vec::new()));
    let child = Arc::new(Mutex::new(child));
    let posters = (0..16).map(|poster| {
        let (acknowledged, child, client, url) =
            (Arc::clone(&acknowledged), Arc::clone(&child), client.clone(), url.clone());
        let (token, square) = (token.clone(), square.clone());
        async move {
            for n in 0.. {
                let body = json!({"channel_id": square, "message": format!("{poster}/{n}")});
                let sent = client.post(format!("{url}/posts")).bearer_auth(&token).json(&body).send().await;
                // A truncated answer does not count as an acknowledgement.
                let Ok(answer) = sent else { return };
                let Ok(post) = answer.json::<Value>().await else { return };
                let mut acknowledged = acknowledged.lock().expect("no poster panicked");
                acknowledged.push(text(&post["id"]));
                if acknowledged.len() == ENOUGH {
                    // SIGKILL, while fifteen other posts are being sent.
                    child.lock().expect("no poster panicked").kill().expect("the child was there");
                }
            }
        }
    });
    join_all(posters).await;
    child.lock().expect("no poster panicked").wait().expect("the child is ours");

    let acknowledged = acknowledged.lock().expect("no poster panicked").clone();
    assert!(acknowledged.len() >= ENOUGH);
    let site = Site::in_directory(directory, json!({})).await;
    let ada = site.log_in("ada").await;
    for some in acknowledged.chunks(100) {
        let found = ada.post("posts/ids", json!(some)).await;
        assert_eq!(found.as_array().map(Vec::len), Some(some.len()), "an acknowledged post is lost");
    }
    let channel = ada.get(&format!("channels/{square}")).await;
    let count =
        format!("SELECT cast(count(*) AS text) FROM posts WHERE channelid = '{square}' and type = ''");
    let rows = engine::ask(site.directory(), &count).await;
    assert_eq!(
        channel["total_msg_count"].to_string(),
        rows,
        "the counter and the rows were committed together"
    );
}

#[tokio::test]
async fn the_error_names_a_directory_that_cannot_be_created() {
    let directory = TempDir::new().expect("a temporary directory");
    engine::prepare(directory.path()).await;
    std::fs::write(directory.path().join("file"), b"").expect("a file");
    let path = directory.path().join("file/data");
    let settings = json!({"FileSettings": {"Directory": path}});
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let served = server::serve(config(directory.path(), &settings), listener, CancellationToken::new()).await;
    let text = served.expect_err("a file is no directory").to_string();
    assert!(text.contains("file/data"), "{text}");
}

#[tokio::test]
async fn migrating_twice_changes_nothing() {
    let site = Site::new().await;
    let ada = site.sign_up("ada").await;
    let directory = site.end().await;
    server::migrate(&config(directory.path(), &json!({}))).await.expect("it is safe to run again");
    let site = Site::in_directory(directory, json!({})).await;
    assert_eq!(site.log_in("ada").await.id, ada.id);
}

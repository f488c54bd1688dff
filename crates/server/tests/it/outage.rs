//! The database server stops and starts again.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use serde_json::{Value, json};
use testbed::postgres::{Cluster, Kind, url};

use crate::engine;
use crate::site::{Site, TIMEOUT, text};

const HEALTH: &str = "system/ping?get_server_status=true";

async fn database_status(site: &Site) -> (u16, String) {
    let answer = site.request("GET", HEALTH).send().await.expect("the server answers all the time");
    let status = answer.headers()["database_status"].to_str().expect("ASCII").to_owned();
    (answer.status().as_u16(), status)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_server_keeps_running_while_its_database_is_down() {
    let mut cluster = Cluster::new(&Kind::default());
    cluster.start();
    cluster.execute("postgres", "create database chat").await;
    let url = url(&cluster.admin("chat"));
    let site = Site::with(json!({"SqlSettings": {"DataSource": url}})).await;
    let ada = site.sign_up("ada").await;
    let (_, square) = ada.team("harbour").await;
    let before = ada.say(&square, "before").await;
    assert_eq!(database_status(&site).await, (200, "OK".to_owned()));

    cluster.stop();
    assert_eq!(database_status(&site).await, (500, "UNHEALTHY".to_owned()));
    assert_eq!(site.request("GET", "system/ping").send().await.expect("an answer").status(), 200);
    // Writing and reading: nothing was done, and it may be tried again.
    let lost = json!({"channel_id": square, "message": "meanwhile"});
    let posts = format!("channels/{square}/posts");
    for request in [ada.request("POST", "posts").json(&lost), ada.request("GET", &posts)] {
        let answer = request.send().await.expect("an answer");
        assert_eq!(answer.status(), 503);
        assert_eq!(answer.headers()["retry-after"], "5");
        let body: Value = answer.json().await.expect("JSON");
        assert_eq!(body["id"], "app.database.away.app_error");
    }

    cluster.start();
    let deadline = Instant::now() + TIMEOUT;
    while database_status(&site).await.0 != 200 {
        assert!(Instant::now() < deadline, "it stays unhealthy");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let after = ada.say(&square, "after").await;
    let page = ada.get(&format!("channels/{square}/posts")).await;
    let order: Vec<String> = page["order"].as_array().expect("a list").iter().map(text).collect();
    assert_eq!(order[..2], [text(&after["id"]), text(&before["id"])], "the refused post must not be stored");
    site.end().await;
}

/// How many posts must be acknowledged before connections are cut again.
const BETWEEN: usize = 60;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn acknowledged_posts_survive_when_connections_are_cut() {
    let site = Site::new().await;
    let ada = site.sign_up("ada").await;
    let (_, square) = ada.team("harbour").await;
    let acknowledged = Mutex::new(Vec::new());
    let count = || acknowledged.lock().expect("no poster panicked").len();
    let posters = async {
        join_all((0..8).map(|poster| {
            let (ada, square, acknowledged) = (&ada, &square, &acknowledged);
            async move {
                while acknowledged.lock().expect("no poster panicked").len() < 5 * BETWEEN {
                    let body = json!({"channel_id": square, "message": format!("of {poster}")});
                    let answer = ada.request("POST", "posts").json(&body).send().await.expect("an answer");
                    // All posts of an interrupted batch are refused.
                    if answer.status() == 201 {
                        let post: Value = answer.json().await.expect("JSON");
                        acknowledged.lock().expect("no poster panicked").push(text(&post["id"]));
                    }
                }
            }
        }))
        .await
    };
    let cuts = async {
        let name = engine::name(site.directory());
        let cut = format!("select pg_terminate_backend(pid) from pg_stat_activity where datname = '{name}'");
        for number in 1..=4 {
            while count() < number * BETWEEN {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            engine::CLUSTER.execute("postgres", &cut).await;
        }
    };
    tokio::time::timeout(4 * TIMEOUT, async { tokio::join!(posters, cuts) })
        .await
        .expect("no poster waits for ever");
    let acknowledged = acknowledged.into_inner().expect("no poster panicked");
    for some in acknowledged.chunks(100) {
        let found = ada.post("posts/ids", json!(some)).await;
        assert_eq!(found.as_array().map(Vec::len), Some(some.len()), "an acknowledged post is lost");
    }
    let rows = format!("select count(*)::text from posts where channelid = '{square}' and type = ''");
    let channel = ada.get(&format!("channels/{square}")).await;
    assert_eq!(channel["total_msg_count"].to_string(), engine::ask(site.directory(), &rows).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_limit_is_kept() {
    let directory = tempfile::TempDir::new().expect("a temporary directory");
    engine::prepare(directory.path()).await;
    let name = engine::name(directory.path());
    // Two connections of the server's, and one for the question below.
    engine::CLUSTER.execute("postgres", &format!("alter database \"{name}\" connection limit 3")).await;
    let settings = json!({"SqlSettings": {"MaxOpenConns": 2}});
    let site = Site::in_directory(directory, settings).await;
    let ada = site.sign_up("ada").await;
    let reads = (0..200).map(|_| ada.get("users/me/preferences"));
    let count = "select count(*)::text from pg_stat_activity where application_name = 'mattermost' and datname = \
                 current_database()";
    let (_, open) = tokio::join!(join_all(reads), engine::ask(site.directory(), count));
    assert!(open == "1" || open == "2", "{open} connections");
}

//! What is wrong with files.

use serde_json::json;
use tempfile::TempDir;

use crate::site::config;

#[tokio::test]
async fn a_database_that_is_none_is_named_with_the_way_out() {
    let directory = TempDir::new().expect("a temporary directory");
    std::fs::write(
        directory.path().join("mattermost.db"),
        b"this is no database, but it is long enough to look at".repeat(50),
    )
    .expect("a file");
    let error = server::migrate(&config(directory.path(), &json!({}))).await.expect_err("it is damaged");
    let text = error.to_string();
    assert!(text.contains("mattermost.db") && text.contains("restore a backup"), "{text}");
}

#[tokio::test]
async fn a_file_whose_directory_cannot_be_made_is_named() {
    let directory = TempDir::new().expect("a temporary directory");
    std::fs::write(directory.path().join("file"), b"").expect("a file");
    let settings = json!({"SqlSettings": {"DataSource": directory.path().join("file/x.db")}});
    let text =
        server::migrate(&config(directory.path(), &settings)).await.expect_err("no directory").to_string();
    assert!(text.contains("file"), "{text}");
}

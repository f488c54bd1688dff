//! Unusable SQLite files.

use serde_json::json;
use tempfile::TempDir;

use crate::site::config;

#[tokio::test]
async fn the_error_for_a_damaged_file_has_its_name_and_a_hint() {
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
async fn the_error_for_a_directory_that_cannot_be_created_names_it() {
    let directory = TempDir::new().expect("a temporary directory");
    std::fs::write(directory.path().join("file"), b"").expect("a file");
    let settings = json!({"SqlSettings": {"DataSource": directory.path().join("file/x.db")}});
    let text =
        server::migrate(&config(directory.path(), &settings)).await.expect_err("no directory").to_string();
    assert!(text.contains("file"), "{text}");
}

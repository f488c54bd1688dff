//! How the web client is served: the page, its policy, its assets, and Markdown.

use reqwest::{Response, StatusCode};
use serde_json::{Value, json};

use crate::site::Site;

type Outcome = Result<(), Box<dyn std::error::Error>>;

fn header<'a>(answer: &'a Response, name: &str) -> &'a str {
    answer.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

#[tokio::test]
async fn every_path_outside_the_api_returns_the_page() -> Outcome {
    let site = Site::with(json!({"TeamSettings": {"SiteName": "Harbour <Works>"}})).await;
    for path in
        ["/", "/login", "/signup_user_complete/?id=x", "/harbour/channels/town-square", "/a/messages/@b"]
    {
        let answer = reqwest::get(format!("{}{path}", site.url())).await?;
        assert_eq!(
            (answer.status(), header(&answer, "content-type")),
            (StatusCode::OK, "text/html; charset=utf-8")
        );
        assert_eq!(header(&answer, "cache-control"), "no-cache");
        assert!(answer.text().await?.contains("<title>Harbour &lt;Works&gt;</title>"), "{path}");
    }
    let unknown = reqwest::get(format!("{}/api/v4/nothing/here", site.url())).await?;
    assert_eq!(
        (unknown.status(), header(&unknown, "content-type")),
        (StatusCode::NOT_FOUND, "application/json")
    );
    Ok(())
}

#[tokio::test]
async fn the_policy_forbids_everything_that_the_page_does_not_need() -> Outcome {
    let site = Site::with(json!({})).await;
    let answer = reqwest::get(site.url()).await?;
    let policy = header(&answer, "content-security-policy").to_owned();
    for rule in [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
    ] {
        assert!(policy.split("; ").any(|part| part == rule), "{rule} is not in {policy}");
    }
    assert!(!policy.contains("unsafe"), "{policy}");
    let page = answer.text().await?;
    assert!(!page.contains("<style") && !page.contains(" style=") && !page.contains(" onclick"), "{page}");
    assert!(
        page.split("<script").skip(1).all(|script| script.contains("></script>")),
        "inline script: {page}"
    );
    Ok(())
}

#[tokio::test]
async fn all_files_that_the_page_names_are_served_and_cacheable_for_ever() -> Outcome {
    let site = Site::with(json!({})).await;
    let page = reqwest::get(site.url()).await?.text().await?;
    let named: Vec<_> = page.split('"').filter(|text| text.starts_with("/static/")).collect();
    assert!(named.len() > 20, "{page}");
    let client = reqwest::Client::new();
    for path in &named {
        let url = format!("{}{path}", site.url());
        let plain = reqwest::get(&url).await?;
        assert_eq!(plain.status(), StatusCode::OK, "{path}");
        assert_eq!(header(&plain, "cache-control"), "public, max-age=31536000, immutable");
        let zipped = client.get(&url).header("accept-encoding", "br, gzip;q=0.8").send().await?;
        assert_eq!(header(&zipped, "content-encoding"), "gzip");
        assert!(zipped.bytes().await?.len() < plain.bytes().await?.len(), "{path}");
    }
    let old = reqwest::get(format!("{}/static/0123456789abcdef/main.js", site.url())).await?;
    assert_eq!(old.status(), StatusCode::NOT_FOUND);
    Ok(())
}

#[tokio::test]
async fn only_logged_in_users_get_markdown_parsed() -> Outcome {
    let site = Site::with(json!({})).await;
    let url = format!("{}/mainstay/markdown", site.url());
    let texts = json!(["plain", "**b** <script>alert(1)</script> [x](javascript:y)"]);
    let client = reqwest::Client::new();
    let stranger = client.post(&url).json(&texts).send().await?;
    assert_eq!(stranger.status(), StatusCode::UNAUTHORIZED);

    let ada = site.sign_up("ada").await;
    let answer = client.post(&url).bearer_auth(&ada.token).json(&texts).send().await?;
    assert_eq!(header(&answer, "content-type"), "application/json");
    let trees: Value = answer.json().await?;
    assert_eq!(
        trees,
        json!([
            [{"tag": "p", "children": ["plain"]}],
            [{"tag": "p", "children": [{"tag": "strong", "children": ["b"]}, " <script>alert(1)</script> x"]}],
        ])
    );
    let many = vec!["x"; 101];
    let refused = client.post(&url).bearer_auth(&ada.token).json(&many).send().await?;
    assert_eq!(refused.status(), StatusCode::BAD_REQUEST);
    Ok(())
}

#[tokio::test]
async fn a_site_url_with_a_path_puts_everything_below_it() -> Outcome {
    let site = Site::with(json!({"ServiceSettings": {"SiteURL": "http://chat.example.com/chat/"}})).await;
    let top = format!("http://{}", site.address());
    let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build()?;
    let get = async |path: &str| client.get(format!("{top}{path}")).send().await;
    let root = get("/").await?;
    assert_eq!((root.status(), header(&root, "location")), (StatusCode::TEMPORARY_REDIRECT, "/chat/"));
    for path in ["/chat", "/chat/", "/chat/login?a=1"] {
        let page = get(path).await?;
        assert_eq!(page.status(), StatusCode::OK, "{path}");
        let text = page.text().await?;
        let script = text.split('"').find(|part| part.ends_with("/main.js")).expect("the script");
        assert!(script.starts_with("/chat/static/"), "{script}");
        assert_eq!(get(script).await?.status(), StatusCode::OK);
    }
    assert_eq!(get("/chat/api/v4/system/ping").await?.status(), StatusCode::OK);
    for beside in ["/login", "/api/v4/system/ping", "/chatter"] {
        assert_eq!(get(beside).await?.status(), StatusCode::NOT_FOUND, "{beside}");
    }
    let person = json!({"email": "ann@example.com", "username": "ann", "password": "correct horse 1"});
    let made = client.post(format!("{top}/chat/api/v4/users")).json(&person).send().await?;
    assert_eq!(made.status(), StatusCode::CREATED);
    let login = json!({"login_id": "ann", "password": "correct horse 1"});
    // As a browser: it gets cookies.
    let browser = ("x-requested-with", "XMLHttpRequest");
    let login = client.post(format!("{top}/chat/api/v4/users/login")).json(&login);
    let answer = login.header(browser.0, browser.1).send().await?;
    assert!(header(&answer, "set-cookie").contains("; Path=/chat;"), "{:?}", answer.headers());
    Ok(())
}

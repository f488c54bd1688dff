//! Uploads and downloads: forms, names, limits, previews, permissions.

use std::io::Cursor;
use std::path::{Path, PathBuf};

use image::{GenericImageView, ImageFormat, RgbImage};
use reqwest::multipart::{Form, Part};
use reqwest::{Response, StatusCode};
use serde_json::{Value, json};

use crate::site::{Person, Site, refused};

type Outcome = Result<(), Box<dyn std::error::Error>>;

/// A site with one user, who is in Town Square of one team.
struct Place {
    site: Site,
    ada: Person,
    team: Value,
    channel: String,
}

async fn place(settings: Value) -> Result<Place, Box<dyn std::error::Error>> {
    let site = Site::with(settings).await;
    let ada = site.sign_up("ada").await;
    let (team, channel) = ada.team("harbour").await;
    Ok(Place { site, ada, team, channel })
}

impl Place {
    fn form(&self) -> Form {
        Form::new().text("channel_id", self.channel.clone())
    }

    async fn upload(&self, name: &str, bytes: &[u8]) -> Result<Value, Box<dyn std::error::Error>> {
        let part = Part::bytes(bytes.to_vec()).file_name(name.to_owned());
        let answer =
            self.ada.request("POST", "files").multipart(self.form().part("files", part)).send().await?;
        assert_eq!(answer.status(), StatusCode::CREATED, "{name}");
        Ok(answer.json::<Value>().await?["file_infos"][0].clone())
    }

    fn stored(&self) -> Vec<PathBuf> {
        let mut files = Vec::new();
        collect(&self.site.files(), &mut files);
        files
    }
}

fn collect(directory: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() { collect(&path, files) } else { files.push(path) }
    }
}

fn png(width: u32, height: u32) -> Result<Vec<u8>, image::ImageError> {
    let picture = RgbImage::from_fn(width, height, |x, y| image::Rgb([x as u8, y as u8, 90]));
    let mut bytes = Cursor::new(Vec::new());
    picture.write_to(&mut bytes, ImageFormat::Png)?;
    Ok(bytes.into_inner())
}

fn header<'a>(answer: &'a Response, name: &str) -> &'a str {
    answer.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

#[tokio::test]
async fn files_uploaded_in_a_form_are_downloaded_unchanged() -> Outcome {
    let place = place(json!({})).await?;
    let contents: Vec<Vec<u8>> = (0..10_u8).map(|n| vec![n; usize::from(n) * 70_001]).collect();
    let mut form = place.form();
    for n in 0..contents.len() {
        form = form.text("client_ids", format!("client-{n}"));
    }
    for (n, content) in contents.iter().enumerate() {
        form = form.part("files", Part::bytes(content.clone()).file_name(format!("{n}.bin")));
    }
    let answer = place.ada.request("POST", "files").multipart(form).send().await?;
    assert_eq!(answer.status(), StatusCode::CREATED);
    assert_eq!(header(&answer, "content-type"), "application/json");
    let body: Value = answer.json().await?;
    assert_eq!(body["client_ids"].as_array().map(Vec::len), Some(10));
    for (n, content) in contents.iter().enumerate() {
        let info = &body["file_infos"][n];
        assert_eq!((&info["name"], &info["size"]), (&json!(format!("{n}.bin")), &json!(content.len())));
        assert_eq!((&info["extension"], &info["mini_preview"]), (&json!("bin"), &Value::Null));
        let id = info["id"].as_str().unwrap_or_default();
        let answer = place.ada.request("GET", &format!("files/{id}")).send().await?;
        assert_eq!(header(&answer, "x-content-type-options"), "nosniff");
        assert_eq!(header(&answer, "cache-control"), "private, max-age=86400");
        assert!(header(&answer, "content-disposition").starts_with("attachment;"));
        assert_eq!(&answer.bytes().await?[..], &content[..]);
        assert_eq!(&place.ada.get(&format!("files/{id}/info")).await, info);
    }
    Ok(())
}

#[tokio::test]
async fn a_raw_body_is_one_file() -> Outcome {
    let place = place(json!({})).await?;
    let path = format!("files?channel_id={}&filename=note.txt&client_id=c1", place.channel);
    let answer = place.ada.request("POST", &path).body("hello").send().await?;
    assert_eq!(answer.status(), StatusCode::CREATED);
    let body: Value = answer.json().await?;
    assert_eq!(body["client_ids"], json!(["c1"]));
    assert_eq!(body["file_infos"][0]["mime_type"], "text/plain");
    assert_eq!(body["file_infos"][0]["size"], 5);
    let nameless = format!("files?channel_id={}", place.channel);
    assert_eq!(refused(place.ada.request("POST", &nameless).body("x")).await.0, 400);
    Ok(())
}

#[tokio::test]
async fn file_names_do_not_lead_out_of_the_directory() -> Outcome {
    let place = place(json!({})).await?;
    for (name, shown) in [
        ("../../x", "x"),
        ("..\\..\\boot.ini", "boot.ini"),
        ("/etc/passwd", "passwd"),
        ("…ünïcode 日本.txt", "…ünïcode 日本.txt"),
        (".", "file"),
    ] {
        let info = place.upload(name, b"content").await?;
        assert_eq!(info["name"], shown, "{name}");
        let id = info["id"].as_str().unwrap_or_default();
        let answer = place.ada.request("GET", &format!("files/{id}?download=1")).send().await?;
        assert_eq!(answer.text().await?, "content");
    }
    let files = place.stored();
    assert_eq!(files.len(), 5, "{files:?}");
    for file in files {
        let relative = file.strip_prefix(place.site.files())?.to_owned();
        let parts: Vec<_> = relative.iter().map(|part| part.to_string_lossy().into_owned()).collect();
        assert_eq!((parts.len(), &*parts[1], &*parts[3]), (9, "teams", "channels"), "{relative:?}");
        assert!(parts[8].bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte)));
    }
    Ok(())
}

#[tokio::test]
async fn refused_uploads_leave_no_files() -> Outcome {
    let place = place(json!({"FileSettings": {"MaxFileSize": 1000}})).await?;
    let post = || place.ada.request("POST", "files");
    let file = |size: usize| Part::bytes(vec![7; size]).file_name("a.bin");

    // The second file is too large, so the first one is deleted too.
    let form = place.form().part("files", file(10)).part("files", file(2_000_000));
    let too_large = "api.file.upload_file.too_large_detailed.app_error".to_owned();
    assert_eq!(refused(post().multipart(form)).await, (413, too_large));

    let mut form = place.form();
    for _ in 0..11 {
        form = form.part("files", file(1));
    }
    assert_eq!(refused(post().multipart(form)).await.0, 400);

    let form = place.form().part("files", file(3)).text("surprise", "x");
    assert_eq!(refused(post().multipart(form)).await.1, "api.file.upload_file.unknown_field.app_error");
    let form = Form::new().part("files", file(3)).text("channel_id", place.channel.clone());
    assert_eq!(refused(post().multipart(form)).await.0, 400);
    assert_eq!(refused(post().multipart(place.form())).await.0, 400);
    assert_eq!(refused(post().multipart(Form::new().text("channel_id", "no-id"))).await.0, 400);

    // A form that ends in the middle of a file, one without a boundary, and a body that is not a form.
    let start = format!(
        "--b\r\nContent-Disposition: form-data; name=\"channel_id\"\r\n\r\n{}\r\n--b\r\nContent-Disposition: form-data; \
         name=\"files\"; filename=\"a\"\r\n\r\nhalf a fi",
        place.channel
    );
    let read_request = (400, "api.file.upload_file.read_request.app_error".to_owned());
    let typed = |kind: &'static str| post().header("content-type", kind);
    assert_eq!(refused(typed("multipart/form-data; boundary=b").body(start)).await, read_request);
    assert_eq!(refused(typed("multipart/form-data; boundary=b").body(vec![0xff; 500])).await, read_request);
    assert_eq!(refused(typed("multipart/form-data").body("x")).await.0, 400);
    assert_eq!(refused(typed("application/json").body("{}")).await.0, 400);

    assert_eq!(place.stored(), Vec::<PathBuf>::new());
    Ok(())
}

#[tokio::test]
async fn attachments_can_be_disabled() -> Outcome {
    let place = place(json!({"FileSettings": {"EnableFileAttachments": false}})).await?;
    let form = place.form().part("files", Part::bytes(vec![1]).file_name("a"));
    let (status, id) = refused(place.ada.request("POST", "files").multipart(form)).await;
    assert_eq!((status, &*id), (403, "api.file.attachments.disabled.app_error"));
    Ok(())
}

#[tokio::test]
async fn images_get_thumbnails_and_previews() -> Outcome {
    let place = place(json!({})).await?;
    let original = png(2400, 1200)?;
    let info = place.upload("crane.png", &original).await?;
    assert_eq!((&info["width"], &info["height"]), (&json!(2400), &json!(1200)));
    assert_eq!((&info["has_preview_image"], &info["mime_type"]), (&json!(true), &json!("image/png")));
    assert!(info["mini_preview"].as_str().is_some_and(|text| text.starts_with("/9j/")), "a JPEG in base64");
    let id = info["id"].as_str().unwrap_or_default();
    for (form, expected) in [("thumbnail", (120, 60)), ("preview", (1920, 960))] {
        let answer = place.ada.request("GET", &format!("files/{id}/{form}")).send().await?;
        assert_eq!((answer.status().as_u16(), header(&answer, "content-type")), (200, "image/jpeg"));
        assert!(header(&answer, "content-disposition").starts_with("inline;"));
        assert_eq!(image::load_from_memory(&answer.bytes().await?)?.dimensions(), expected);
    }
    let answer = place.ada.request("GET", &format!("files/{id}")).send().await?;
    assert_eq!(&answer.bytes().await?[..], &original[..]);
    Ok(())
}

/// The two decoders need more memory than there is for both at once.
#[tokio::test]
async fn an_upload_is_answered_although_the_decoders_are_busy_and_its_previews_follow() -> Outcome {
    let place = place(json!({})).await?;
    let mut large = Cursor::new(Vec::new());
    RgbImage::new(4600, 4600).write_to(&mut large, ImageFormat::Png)?;
    let large = large.into_inner();
    let small = png(300, 200)?;
    let (one, two, quick) = tokio::join!(
        place.upload("one.png", &large),
        place.upload("two.png", &large),
        place.upload("quick.png", &small),
    );
    assert_eq!(quick?["has_preview_image"], true, "a small image has memory for its own kind");
    let infos = [one?, two?];
    assert!(infos.iter().any(|info| info.get("has_preview_image").is_none()), "none had to wait: {infos:?}");
    for info in infos {
        let id = info["id"].as_str().unwrap_or_default();
        let begun = std::time::Instant::now();
        let now = loop {
            let now = place.ada.get(&format!("files/{id}/info")).await;
            if now["has_preview_image"] == true {
                break now;
            }
            assert!(begun.elapsed() < crate::site::TIMEOUT, "{now}");
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        };
        assert_eq!((&now["width"], &now["height"]), (&json!(4600), &json!(4600)));
        let preview = place.ada.request("GET", &format!("files/{id}/preview")).send().await?;
        assert_eq!(image::load_from_memory(&preview.bytes().await?)?.dimensions(), (1920, 1920));
    }
    Ok(())
}

#[tokio::test]
async fn damaged_and_too_large_images_are_stored_without_previews() -> Outcome {
    let place = place(json!({})).await?;
    // A header that claims 65 000 x 65 000 pixels.
    let mut bomb = png(1, 1)?;
    bomb[16..20].copy_from_slice(&65_000_u32.to_be_bytes());
    bomb[20..24].copy_from_slice(&65_000_u32.to_be_bytes());
    let mut cut = png(300, 300)?;
    cut.truncate(80);
    for (name, bytes) in
        [("bomb.png", bomb), ("cut.png", cut), ("text.png", b"no image".to_vec()), ("empty.png", Vec::new())]
    {
        let info = place.upload(name, &bytes).await?;
        assert!(info.get("has_preview_image").is_none(), "{info}");
        let id = info["id"].as_str().unwrap_or_default();
        let answer = place.ada.request("GET", &format!("files/{id}")).send().await?;
        assert_eq!(&answer.bytes().await?[..], &bytes[..], "{name}");
        for form in ["thumbnail", "preview"] {
            let (status, id) = refused(place.ada.request("GET", &format!("files/{id}/{form}"))).await;
            assert_eq!((status, &*id), (400, &*format!("api.file.get_file_{form}.no_{form}.app_error")));
        }
    }
    Ok(())
}

#[tokio::test]
async fn files_that_a_browser_would_run_are_served_as_text() -> Outcome {
    let place = place(json!({})).await?;
    for name in ["page.html", "drawing.svg", "code.js"] {
        let info = place.upload(name, b"<svg onload='alert(1)'/>").await?;
        let id = info["id"].as_str().unwrap_or_default();
        let answer = place.ada.request("GET", &format!("files/{id}")).send().await?;
        assert_eq!(header(&answer, "content-type"), "text/plain", "{name}");
        assert!(header(&answer, "content-disposition").starts_with("attachment;"), "{name}");
        assert_eq!(header(&answer, "content-security-policy"), "default-src 'none'; sandbox");
    }
    Ok(())
}

#[tokio::test]
async fn range_and_head_requests_are_answered() -> Outcome {
    let place = place(json!({})).await?;
    let info = place.upload("digits.txt", b"0123456789").await?;
    let path = format!("files/{}", info["id"].as_str().unwrap_or_default());
    let answer = place.ada.request("HEAD", &path).send().await?;
    assert_eq!((answer.status().as_u16(), header(&answer, "content-length")), (200, "10"));
    let part = place.ada.request("GET", &path).header("range", "bytes=2-4").send().await?;
    assert_eq!((part.status().as_u16(), header(&part, "content-range")), (206, "bytes 2-4/10"));
    assert_eq!(part.text().await?, "234");
    let outside = place.ada.request("GET", &path).header("range", "bytes=10-").send().await?;
    assert_eq!((outside.status().as_u16(), header(&outside, "content-range")), (416, "bytes */10"));
    Ok(())
}

#[tokio::test]
async fn only_members_of_the_channel_get_its_files() -> Outcome {
    let place = place(json!({})).await?;
    let stranger = place.site.sign_up("eve").await;
    let colleague = place.site.sign_up("bob").await;
    colleague.join(&place.team).await;

    let form = place.form().part("files", Part::bytes(vec![1]).file_name("a"));
    assert_eq!(refused(stranger.request("POST", "files").multipart(form)).await.0, 403);

    let info = place.upload("secret.txt", b"harbour plans").await?;
    let id = info["id"].as_str().unwrap_or_default();
    let path = format!("files/{id}");
    assert_eq!(refused(stranger.request("GET", &path)).await.0, 403);
    assert_eq!(refused(place.site.request("GET", &path)).await.0, 401);
    let unknown = format!("files/{}", "a".repeat(26));
    assert_eq!(refused(place.ada.request("GET", &unknown)).await.0, 404);
    assert_eq!(refused(place.ada.request("GET", "files/short")).await.0, 400);

    let post = json!({"channel_id": place.channel, "message": "", "file_ids": [id]});
    let post = place.ada.post("posts", post).await;
    assert_eq!(post["metadata"]["files"][0]["name"], "secret.txt", "{post}");
    let answer = colleague.request("GET", &path).send().await?;
    assert_eq!(answer.text().await?, "harbour plans");
    assert_eq!(refused(stranger.request("GET", &path)).await.0, 403);
    Ok(())
}

#[tokio::test]
async fn public_links_need_their_hash() -> Outcome {
    let settings = json!({"FileSettings": {"EnablePublicLink": true, "PublicLinkSalt": "salt"}});
    let place = place(settings).await?;
    let info = place.upload("plan.txt", b"public plan").await?;
    let id = info["id"].as_str().unwrap_or_default().to_owned();
    let link = || place.ada.request("GET", &format!("files/{id}/link"));
    assert_eq!(refused(link()).await.0, 400, "not attached to a post yet");
    place.ada.post("posts", json!({"channel_id": place.channel, "message": "", "file_ids": [id]})).await;
    let answer: Value = link().send().await?.json().await?;
    let url = answer["link"].as_str().unwrap_or_default();
    assert_eq!(reqwest::get(url).await?.text().await?, "public plan");
    let wrong = reqwest::get(format!("{url}x")).await?;
    assert_eq!(wrong.status(), StatusCode::BAD_REQUEST);

    let closed = self::place(json!({})).await?;
    let info = closed.upload("plan.txt", b"x").await?;
    let path = format!("files/{}/link", info["id"].as_str().unwrap_or_default());
    assert_eq!(refused(closed.ada.request("GET", &path)).await.0, 403);
    Ok(())
}

//! The picture that the first user attaches: sent, downloaded by the second one, and looked at small.

use reqwest::multipart::{Form, Part as FormPart};

use crate::answer::one_line;
use crate::checks;
use crate::log::Log;
use crate::person::Person;
use crate::picture;
use crate::posting::post;
use crate::site::Site;
use crate::symptom::{Fault, Symptom};
use crate::wire::{ClientConfig, Post, Upload};

/// Pixels per side where a large picture has passed by another way.
const SMALL: u32 = 128;

/// The picture that was posted.
pub(crate) struct Image {
    pub post: Post,
    file: String,
    bytes: Vec<u8>,
}

/// Replies with a picture. Bodies of its size must get through: it is larger than nginx's limit, unless the server's own is lower. `reuses`:
/// what is attached stays on the server for good, so that the picture is small where a large one can be sent as a profile picture, which
/// the next test replaces.
pub(crate) async fn image_reply(
    site: &Site,
    first: &Person,
    (channel, root): (&str, &str),
    config: &ClientConfig,
    reuses: bool,
    log: &Log<'_>,
) -> Result<Image, Fault> {
    let mut side = picture::side(config.get("MaxFileSize").and_then(|size| size.parse().ok()));
    if reuses && sent_as_profile_picture(site, first, side).await? {
        log.note(checks::IMAGE_REPLY, "a large picture passed as a profile picture; the one that is attached is small, because it stays");
        side = side.min(SMALL);
    }
    let bytes = noise(side).await?;
    let part = png(&bytes, &first.name)?;
    // The server reads the form as a stream: the channel must come first.
    let form = Form::new()
        .text("channel_id", channel.to_owned())
        .text("client_ids", first.name.clone())
        .part("files", part);
    let upload: Upload = site.post("files").by(first.token()?).form(form).json().await?;
    let Some(file) = upload.file_infos.into_iter().next().filter(|file| !file.id.is_empty()) else {
        let what = "the upload's answer names no file".to_owned();
        return Err(Fault { during: "POST /api/v4/files".to_owned(), symptom: Symptom::Wrong { what } });
    };
    let post = post(site, first, channel, root, &[&file.id]).await?;
    Ok(Image { post, file: file.id, bytes })
}

pub(crate) async fn identical(site: &Site, reader: &Person, image: &Image) -> Result<(), Fault> {
    let path = format!("files/{}", image.file);
    let received = site.get(&path).by(reader.token()?).bytes().await?;
    if received == image.bytes {
        return Ok(());
    }
    let same = received.iter().zip(&image.bytes).take_while(|(one, two)| one == two).count();
    let symptom = Symptom::Bytes { sent: image.bytes.len(), received: received.len(), at: same };
    Err(Fault { during: format!("GET /api/v4/{path}"), symptom })
}

pub(crate) async fn previews(site: &Site, reader: &Person, image: &Image) -> Result<(), Fault> {
    for which in ["thumbnail", "preview"] {
        let path = format!("files/{}/{which}", image.file);
        let bytes = site.get(&path).by(reader.token()?).bytes().await?;
        if let Err(why) = picture::dimensions(&bytes) {
            let why = one_line(&why);
            let symptom = Symptom::NotPicture { which, why };
            return Err(Fault { during: format!("GET /api/v4/{path}"), symptom });
        }
    }
    Ok(())
}

fn machine(why: String) -> Fault {
    Fault { during: "creating a picture".to_owned(), symptom: Symptom::Machine(why) }
}

async fn noise(side: u32) -> Result<Vec<u8>, Fault> {
    let made = tokio::task::spawn_blocking(move || picture::noise(side)).await;
    made.map_err(|error| machine(error.to_string()))?.map_err(|error| machine(error.to_string()))
}

fn png(bytes: &[u8], name: &str) -> Result<FormPart, Fault> {
    let part = FormPart::bytes(bytes.to_vec()).file_name(format!("{name}.png")).mime_str("image/png");
    part.map_err(|error| machine(error.to_string()))
}

/// Sets a large profile picture and removes it. A server that does not take one says so.
async fn sent_as_profile_picture(site: &Site, person: &Person, side: u32) -> Result<bool, Fault> {
    let path = format!("users/{}/image", person.id.as_deref().unwrap_or_default());
    let send = async |side| {
        let form = Form::new().part("image", png(&noise(side).await?, &person.name)?);
        site.post(&path).by(person.token()?).form(form).done().await
    };
    // A small one first: a server that does not take any need not read a large one to the end.
    match send(8).await {
        Ok(()) => send(side).await?,
        Err(Fault { symptom: Symptom::Answer(answer), .. })
            if answer.from_mattermost && matches!(answer.status, 403..=405 | 501) =>
        {
            return Ok(false);
        }
        Err(fault) => return Err(fault),
    }
    let _ = site.delete(&path).by(person.token()?).done().await;
    Ok(true)
}

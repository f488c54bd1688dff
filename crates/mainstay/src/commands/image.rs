//! `mainstay image`

use std::path::Path;

use container_contract::VOLUME;
use container_image::{Built, Output, Recipe, Scratch, Stage, parse_name};
use deploy::{Error, World};
use oci::{Compression, Credentials, Meter};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::secret_text;
use crate::cli::{self, IMAGE_DIR, ImageCompression, ImageFormat};
use crate::printer::Printer;
use crate::terminal::Bar;
use finding::Exit;

/// The longest password or token that is read, in bytes.
const PASSWORD_LIMIT: u64 = 64 * 1024;

pub(super) async fn run(
    printer: Printer,
    world: &World,
    command: cli::Image,
    cancel: CancellationToken,
) -> Result<Exit, Error> {
    match command {
        cli::Image::Build(args) => build(printer, world, args, &cancel).await,
        cli::Image::Push(args) => push(printer, world, args, &cancel).await,
    }
}

fn interrupted(consequence: &str) -> Error {
    Error::new(Exit::Undone, format!("interrupted; {consequence}"))
}

/// An error about an image, as the command line's error.
pub(super) fn operation_error(error: container_image::Error) -> Error {
    Error { exit: error.exit, what: error.what, hint: error.hint.map(Into::into), detail: None }
}

async fn build(
    printer: Printer,
    world: &World,
    args: cli::ImageBuild,
    cancel: &CancellationToken,
) -> Result<Exit, Error> {
    if let Some(base) = &args.base {
        check_base(base, args.format)?;
    }
    let output = output(&args);
    let name = args.tag.as_deref().map(parse_name).transpose().map_err(operation_error)?;
    let recipe = Recipe {
        mainstay: container_image::static_mainstay(args.mainstay.as_deref(), &world.mainstay)
            .map_err(operation_error)?,
        release: release::Origin::file_or_builtin(args.release),
        certificates: args.certificates,
        name,
        compression: match args.compression {
            ImageCompression::Fast => Compression::Fast,
            ImageCompression::Balanced => Compression::Balanced,
            ImageCompression::Small => Compression::Small,
        },
    };
    output.check().map_err(operation_error)?;
    // /tmp may be in memory, and too small for an image.
    let temporary = world.variables.get("TMPDIR").filter(|dir| !dir.is_empty());
    let temporary = temporary.map_or(Path::new("/var/tmp"), Path::new);
    let scratch = Scratch::within(&output.workplace(temporary)).map_err(operation_error)?;
    let built = work(printer, recipe, &scratch, output, cancel).await?;
    drop(scratch);
    printer.data(&built);
    printer.show(&summary(&built));
    Ok(Exit::Done)
}

/// Builds on a separate thread, so that Ctrl-C works. After Ctrl-C the thread is not joined, because the process ends.
async fn work(
    printer: Printer,
    recipe: Recipe,
    scratch: &Scratch,
    output: Output,
    cancel: &CancellationToken,
) -> Result<Built, Error> {
    let (stages, mut reported) = tokio::sync::mpsc::unbounded_channel();
    let (answer, mut answered) = tokio::sync::oneshot::channel();
    let path = scratch.path().to_owned();
    std::thread::spawn(move || {
        let built = container_image::build(&recipe, &path, &output, &|stage| drop(stages.send(stage)));
        // The receiver is gone when the command was interrupted.
        let _ = answer.send(built);
    });
    let mut bar = Bar::new(printer);
    let mut counted: Option<(Meter, u64)> = None;
    let mut tick = tokio::time::interval(Bar::INTERVAL);
    loop {
        tokio::select! {
            Some(stage) = reported.recv() => {
                counted = None;
                match stage {
                    Stage::Unpacking => bar.begin("Unpack the release"),
                    Stage::Packing(meter, total) => {
                        bar.begin("Compress the layers");
                        counted = Some((meter, total));
                    }
                    Stage::Delivering => bar.begin("Deliver the image"),
                }
            }
            _ = tick.tick() => {
                if let Some((meter, total)) = &counted {
                    bar.bytes(meter.bytes(), *total);
                }
            }
            built = &mut answered => {
                bar.end(built.as_ref().is_ok_and(Result::is_ok));
                let built = built.map_err(|_| Error::new(Exit::Bug, "the build panicked"))?;
                return built.map_err(operation_error);
            }
            () = cancel.cancelled() => return Err(interrupted("the unfinished image was removed")),
        }
    }
}

/// Refuses a base that the Dockerfile cannot name.
fn check_base(base: &str, format: Option<ImageFormat>) -> Result<(), Error> {
    if format != Some(ImageFormat::Context) {
        return Err(Error::new(
            Exit::Usage,
            "`--base` is for `--format context`: Docker builds on the other image",
        ));
    }
    if base.contains(|c: char| !c.is_ascii_graphic()) || base.starts_with('-') {
        let what = format!("`{}` is not the name of an image", base.escape_debug());
        return Err(Error::new(Exit::Usage, what).hint("allowed: NAME:TAG, as in postgres:17"));
    }
    Ok(())
}

fn output(args: &cli::ImageBuild) -> Output {
    let path = args.output.clone().unwrap_or_else(|| IMAGE_DIR.into());
    let archive = path.extension().is_some_and(|extension| extension == "tar");
    match args.format {
        _ if args.load => Output::Docker,
        Some(ImageFormat::Layout) => Output::Layout(path),
        Some(ImageFormat::Docker) => Output::Archive(path),
        Some(ImageFormat::Context) => Output::Context { dir: path, base: args.base.clone() },
        None if archive => Output::Archive(path),
        None => Output::Layout(path),
    }
}

fn summary(built: &Built) -> String {
    let (place, next) = match &built.output {
        Output::Layout(dir) => {
            let from = if dir == Path::new(IMAGE_DIR) {
                String::new()
            } else {
                format!(" --from {}", dir.display())
            };
            (dir.display().to_string(), format!("`mainstay image push HOST/PATH:TAG{from}`"))
        }
        Output::Context { dir, .. } => {
            (dir.display().to_string(), format!("`docker build --tag {} {}`", built.name, dir.display()))
        }
        Output::Archive(file) => {
            (file.display().to_string(), format!("`docker load --input {}`", file.display()))
        }
        Output::Docker => (
            "Docker".to_owned(),
            format!(
                "`docker run --detach --publish 127.0.0.1:8080:80 --volume mattermost:{VOLUME} {}`",
                built.name
            ),
        ),
    };
    let size = built.bytes.div_ceil(1_000_000);
    format!(
        "\n  Image     {}\n  Digest    {}\n  Release   {}\n  Size      {size} MB compressed\n  Place     {place}\n\nNext: {next}",
        built.name, built.digest, built.release
    )
}

async fn push(
    printer: Printer,
    world: &World,
    args: cli::ImagePush,
    cancel: &CancellationToken,
) -> Result<Exit, Error> {
    let to = parse_name(&args.to).map_err(operation_error)?;
    let layout = container_image::open(&args.from).map_err(|error| no_image(&args.from, error))?;
    let credentials = match (args.username, args.password_file) {
        (Some(user), Some(file)) => {
            let password = secret_text(&file, PASSWORD_LIMIT, "password")?.into();
            Some(Credentials { user, password })
        }
        _ => container_image::login_for(to.registry(), &world.variables).map_err(operation_error)?,
    };
    let total = layout.bytes();
    let push = container_image::Push { layout, to, credentials, plain_http: args.plain_http };
    let meter = Meter::default();
    let mut bar = Bar::new(printer);
    bar.begin(&format!("Push to {}", push.to));
    let mut tick = tokio::time::interval(Bar::INTERVAL);
    let pushing = container_image::push(&push, &meter);
    tokio::pin!(pushing);
    let pushed = loop {
        tokio::select! {
            pushed = &mut pushing => {
                bar.end(pushed.is_ok());
                break pushed.map_err(operation_error)?;
            }
            _ = tick.tick() => bar.bytes(meter.bytes(), total),
            () = cancel.cancelled() => return Err(interrupted("the image in the registry is not complete")),
        }
    };
    let digest = pushed.digest.to_string();
    printer.data(
        &json!({"name": push.to.to_string(), "digest": digest, "sent": pushed.sent, "present": pushed.present}),
    );
    printer.show(&format!(
        "Pushed {} ({digest}): {} layers sent, {} already in the registry",
        push.to, pushed.sent, pushed.present
    ));
    Ok(Exit::Done)
}

fn no_image(dir: &Path, error: container_image::Error) -> Error {
    if dir.exists() {
        return operation_error(error);
    }
    Error::not_ready(format!("there is no image at {}", dir.display()))
        .hint("build one with `mainstay image build`, and name its directory with `--from DIR`")
}

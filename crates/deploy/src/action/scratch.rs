//! A scratch deployment, in which a drill restores a snapshot: made, compared, removed.
//!
//! It is a deployment of its own with its own journal. `mainstay` itself makes and removes it, as a program that ends with this one, so
//! that whatever kills a drill leaves a deployment that `uninstall` can remove.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use backup::Watch;
use host::Tool;
use plan::{Lock, Progress, Step, Undo, Unit};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::{Action, blocking, endable, step};
use crate::error::{Error, Exit};
use crate::place::layout::Layout;
use crate::place::machine::make_dir;
use crate::state::backups::access::{Access, Elsewhere, told};
use crate::state::backups::choice;
use crate::state::backups::set::Subject;
use crate::state::identity::Identity;
use crate::state::restoring::short;
use crate::world::World;

/// How long the scratch database may take to say when its newest message was written.
const PATIENCE: Duration = Duration::from_secs(30);

/// Restores a snapshot into a deployment of its own on loopback, which is started and tested.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scratch {
    /// The repository.
    pub repository: String,
    /// The file with its key.
    pub key_file: PathBuf,
    /// The snapshot's id, in full.
    pub snapshot: String,
    /// A port that is free.
    pub port: u16,
    /// The user that the server runs as; `None` = whoever runs the plan.
    pub user: Option<String>,
    /// Whether it gets a PostgreSQL of its own.
    pub managed: bool,
    /// Whether it runs from the releases of this deployment.
    pub shares_releases: bool,
    /// The tarball of another release that it gets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release: Option<PathBuf>,
    /// The edition of that release, where it is another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub edition: Option<String>,
    /// Tables and columns that the release may remove with what people have in them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub may_lose: Vec<String>,
    /// The release that it is brought to, where an upgrade is rehearsed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rehearses: Option<String>,
    /// The directory on another disk that it lies in; `None` = the deployment's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<PathBuf>,
}

impl Scratch {
    pub(crate) fn step(self, ms: u64) -> Step<Action> {
        let into = format!("Restore snapshot {} into a scratch deployment", short(&self.snapshot));
        let title = match &self.rehearses {
            Some(release) => format!("{into}, bring it to {release}, start it and test it"),
            None => format!("{into}, start it and test it"),
        };
        step("scratch", title, Undo::by("Remove the scratch deployment"), ms, self)
    }

    pub(super) async fn apply(&self, world: &World, progress: &Progress) -> Result<Value, Error> {
        // What an earlier drill has left, or this one before it was killed.
        remove(world).await?;
        let began = Instant::now();
        let root = world.layout.drill();
        if let Some(place) = &self.place {
            link_to(&world.layout, place)?;
        }
        make_dir(&root, crate::place::machine::ROOT_MODE, None)?;
        if self.shares_releases {
            let link = root.join("releases");
            std::os::unix::fs::symlink(world.layout.releases(), &link)
                .map_err(|error| Error::path("make", &link, &error))?;
        }
        let address = format!("127.0.0.1:{}", self.port);
        let mut args = ["restore", &self.snapshot, "--scratch", "--yes", "--listen", &address]
            .map(str::to_owned)
            .to_vec();
        args.extend([
            "--site-url".to_owned(),
            format!("http://{address}"),
            "--repository".to_owned(),
            self.repository.clone(),
        ]);
        args.extend(["--key-file".to_owned(), self.key_file.display().to_string()]);
        if let Some(user) = &self.user {
            args.extend(["--user".to_owned(), user.clone()]);
        }
        if self.managed {
            args.extend(["--database".to_owned(), "managed".to_owned()]);
        }
        if let Some(release) = &self.release {
            args.extend(["--release".to_owned(), release.display().to_string()]);
        }
        if let Some(edition) = &self.edition {
            args.extend(["--edition".to_owned(), edition.clone()]);
        }
        args.extend(self.may_lose.iter().flat_map(|name| ["--may-lose".to_owned(), name.clone()]));
        let said = progress.clone();
        let ended = mainstay(world, &args)?.on_line(move |line| say(&said, line)).run().await;
        ended.map_err(|error| failed(&error, "the restored deployment is not verified"))?;
        let ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        Ok(json!({ "ms": ms }))
    }

    pub(super) async fn undo(&self, world: &World, _: Option<&Value>) -> Result<(), Error> {
        remove(world).await
    }
}

/// Tells a line of the other program, if it is one that a person would read.
fn say(progress: &Progress, line: &str) {
    if !line.starts_with('{') && !line.trim().is_empty() {
        progress.say(line.trim());
    }
}

/// Compares the files of the scratch deployment with the snapshot, by their hashes. Its rows were compared when they were loaded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScratchComparison {
    /// The repository.
    pub repository: String,
    /// The file with its key.
    pub key_file: PathBuf,
    /// The snapshot's id, in full.
    pub snapshot: String,
    /// The folders of the snapshot, each with its directory in the scratch deployment.
    pub folders: Vec<(String, String)>,
    /// When the snapshot was taken, in ms since the epoch; 0 = nobody asks for its newest message.
    #[serde(default)]
    pub taken: i64,
}

impl ScratchComparison {
    pub(crate) fn step(self, ms: u64) -> Step<Action> {
        let title = "Compare every restored file with the snapshot";
        step("comparison", title, Undo::Nothing, ms, self)
    }

    pub(super) async fn apply(&self, world: &World, progress: &Progress) -> Result<Value, Error> {
        let cancel = CancellationToken::new();
        let watch = Arc::new(Comparing { progress: progress.clone(), cancel: cancel.clone() });
        let newest = self.newest_message(world).await?;
        let (this, world) = (self.clone(), world.clone());
        let work = move || {
            let from = Elsewhere { repository: Some(this.repository), key_file: Some(this.key_file) };
            let repository = Access::of(&world, &from)?.open()?;
            let root = world.layout.drill();
            let mark = Layout::new(&root).data_mark();
            let (mut files, mut bytes, mut differing) = (0, 0, Vec::new());
            for (folder, directory) in &this.folders {
                let compared =
                    repository.compare(&this.snapshot, folder, &root.join(directory), watch.as_ref());
                let compared = compared.map_err(told)?;
                (files, bytes) = (files + compared.files, bytes + compared.bytes);
                // The scratch deployment has an id of its own.
                let is_mark = |path: &Path| root.join(directory).join(path) == mark;
                let differs = compared.differing.iter().filter(|(path, _)| !is_mark(path));
                differing.extend(differs.map(|(path, why)| format!("{directory}/{}: {why}", path.display())));
            }
            match differing.first() {
                None => Ok(json!({ "files": files, "bytes": bytes, "newest": newest })),
                Some(first) => {
                    let what = format!(
                        "{} of {files} restored files are not what snapshot {} has; the first: {first}",
                        differing.len(),
                        short(&this.snapshot)
                    );
                    Err(Error::new(Exit::NotVerified, what).hint(
                        "`mainstay backup check --read-data 100` says whether the repository is damaged",
                    ))
                }
            }
        };
        endable(work, || cancel.cancel()).await
    }

    /// When the newest message of the snapshot was written. Those of the acceptance test are newer than the snapshot.
    async fn newest_message(&self, world: &World) -> Result<Option<i64>, Error> {
        if self.taken == 0 {
            return Ok(None);
        }
        let scratch = World { layout: Layout::new(world.layout.drill()), ..world.clone() };
        let source = blocking(move || Ok(Subject::of(&scratch)?.source)).await?;
        let times = database::post_times(&source, self.taken, self.taken, PATIENCE).await?;
        Ok((times.newest > 0).then_some(times.newest))
    }

    pub(super) async fn undo(&self, _: &World, _: Option<&Value>) -> Result<(), Error> {
        Ok(())
    }
}

/// Removes the scratch deployment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScratchRemoval {}

impl ScratchRemoval {
    pub(crate) fn step() -> Step<Action> {
        step("scratch-removal", "Remove the scratch deployment", Undo::Nothing, 1500, Self {})
    }

    pub(super) async fn apply(&self, world: &World, _: &Progress) -> Result<Value, Error> {
        remove(world).await.map(|()| Value::Null)
    }

    pub(super) async fn undo(&self, _: &World, _: Option<&Value>) -> Result<(), Error> {
        Ok(())
    }
}

/// Removes the scratch deployment, and looks that nothing of it is left.
async fn remove(world: &World) -> Result<(), Error> {
    let root = world.layout.drill();
    if root.symlink_metadata().is_err() {
        return Ok(());
    }
    let args = ["uninstall", "--yes"].map(str::to_owned);
    let ended = mainstay(world, &args)?.run().await;
    let layout = Layout::new(&root);
    let runs = Lock::present_holder(&layout.agent_lock()).is_ok_and(|holder| holder.is_some());
    if runs {
        return Err(match ended {
            Err(error) => failed(&error, "the scratch deployment cannot be stopped"),
            Ok(_) => Error::not_ready(format!(
                "the agent of the scratch deployment in {} still runs",
                root.display()
            )),
        });
    }
    // Where it was only begun there is no deployment to uninstall.
    blocking(move || {
        if let Some(directory) = std::fs::read_link(&root).ok().filter(|directory| is_ours(directory)) {
            host::disk::remove_tree(&directory)?;
        }
        Ok(host::disk::remove_tree(&root)?)
    })
    .await
}

/// What a directory on another disk begins with; the deployment's id follows.
const DIRECTORY: &str = "mainstay-drill-";

fn is_ours(directory: &Path) -> bool {
    directory.file_name().is_some_and(|name| name.to_string_lossy().starts_with(DIRECTORY))
}

/// Makes an empty directory in `place` and, in its usual place, the link by which all else finds it. The link is there first: what
/// a kill leaves is found and removed by it.
fn link_to(layout: &Layout, place: &Path) -> Result<(), Error> {
    let id = Identity::read(layout)?.map(|own| own.id).unwrap_or_default();
    let (root, directory) = (layout.drill(), place.join(format!("{DIRECTORY}{id}")));
    if directory.symlink_metadata().is_ok() {
        let what = format!("{} is there already", directory.display());
        return Err(Error::new(Exit::Refused, what)
            .hint("it is what an earlier drill has left: remove it, and run the command again"));
    }
    std::os::unix::fs::symlink(&directory, &root).map_err(|error| Error::path("make", &root, &error))?;
    make_dir(&directory, crate::place::machine::ROOT_MODE, None)
}

/// This program at work on the scratch deployment. It ends with this one, and inherits no setting of the real deployment.
fn mainstay(world: &World, args: &[String]) -> Result<Tool<'static>, Error> {
    const PASSED: [&str; 8] =
        ["PATH", "HOME", "LANG", "TZ", "XDG_CACHE_HOME", "MAINSTAY_CACHE", "HTTPS_PROXY", "NO_PROXY"];
    let is_passed = |name: &str| PASSED.contains(&name) || name.starts_with("AWS_");
    let passed = world.variables.iter().filter(|(name, _)| is_passed(name));
    let mut variables: BTreeMap<String, String> =
        passed.map(|(name, value)| (name.clone(), value.clone())).collect();
    variables.extend(choice::as_variables(world)?);
    let held: [OsString; 4] =
        ["hold-to".into(), std::process::id().to_string().into(), "--".into(), world.mainstay.clone().into()];
    let of_scratch: [OsString; 3] = ["--json".into(), "--dir".into(), world.layout.drill().into()];
    let args = held.into_iter().chain(of_scratch).chain(args.iter().map(OsString::from));
    Ok(Tool::new(&world.mainstay, host::tool::NO_LIMIT).args(args).envs(variables))
}

/// Why the other program failed: what it said itself.
fn failed(error: &host::ToolError, otherwise: &str) -> Error {
    let said = error.output.text();
    let documents = said.lines().rev().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let told = documents.into_iter().find(|document| document["type"] == "error").unwrap_or_default();
    let text = |key: &str| told[key].as_str().map(of_this_deployment);
    let failed =
        Error::new(Exit::NotVerified, text("what").unwrap_or_else(|| otherwise.to_owned())).detail(said);
    match text("hint") {
        Some(hint) => failed.hint(hint),
        None => failed,
    }
}

/// What it says of the scratch deployment, which is gone when anybody reads it, said of this one.
fn of_this_deployment(text: &str) -> String {
    const DIR: &str = "`mainstay --dir ";
    let text = text.strip_suffix("; everything is as before").unwrap_or(text);
    let text = text.replace(
        "name a directory on another disk with `--dir`",
        "name a directory on another disk in `[backup] scratch`",
    );
    let mut parts = text.split(DIR);
    let first = parts.next().unwrap_or_default().to_owned();
    let ends = [format!("/{} ", Layout::DRILL), format!("/{}' ", Layout::DRILL)];
    let of_part = |part: &str| {
        let found = ends.iter().filter_map(|end| part.split_once(end)).min_by_key(|(dir, _)| dir.len());
        found.map_or_else(|| format!("{DIR}{part}"), |(_, command)| format!("`mainstay {command}"))
    };
    parts.fold(first, |said, part| said + &of_part(part))
}

/// Tells the progress of a comparison, and ends with the step.
struct Comparing {
    progress: Progress,
    cancel: CancellationToken,
}

impl Watch for Comparing {
    fn bytes(&self, done: u64, total: Option<u64>) {
        self.progress.at(done, total, Unit::Bytes);
    }

    fn cancelled(&self) -> bool {
        self.cancel.is_cancelled()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_of_the_scratch_deployment_is_said_of_this_one() {
        for (said, expected) in [
            ("it is damaged; everything is as before", "it is damaged"),
            (
                "`mainstay --dir /srv/chat/drill backup check` says what; then `mainstay --dir /srv/chat/drill backup repair`",
                "`mainstay backup check` says what; then `mainstay backup repair`",
            ),
            (
                "free some space there, or name a directory on another disk with `--dir`",
                "free some space there, or name a directory on another disk in `[backup] scratch`",
            ),
            ("`mainstay --dir '/srv/our chat/drill' status`", "`mainstay status`"),
            ("`mainstay --dir x status`", "`mainstay --dir x status`"),
        ] {
            assert_eq!(of_this_deployment(said), expected);
        }
    }
}

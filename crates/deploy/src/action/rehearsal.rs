//! What a rehearsed upgrade came to, read from the scratch deployment before that is removed.

use std::collections::BTreeMap;
use std::path::Path;

use plan::{Journal, Progress, Run, Step, Undo};
use release::{Edition, ReleaseId};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Action, step};
use crate::error::{Error, Exit};
use crate::place::layout::{FILE_LIMIT, Layout};
use crate::state::config_file;
use crate::state::rehearsal::PluginTrouble;
use crate::state::run_times::step_ms;
use crate::world::World;

/// Reads what the scratch deployment's journal says of its runs, and which of its plugins the release does not load.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rehearsal {
    /// The release that was rehearsed.
    pub release: ReleaseId,
}

/// No scratch deployment has more runs.
const RUNS: u32 = 50;

impl Rehearsal {
    /// The step's name.
    pub(crate) const STEP: &'static str = "measure";

    pub(crate) fn step(self) -> Step<Action> {
        step(Self::STEP, "Read what was measured", Undo::Nothing, 50, self)
    }

    pub(super) async fn apply(&self, world: &World, _: &Progress) -> Result<Value, Error> {
        let scratch = Layout::new(world.layout.drill());
        let journal = Journal::open_read_only(&scratch.journal()).await?;
        let mut runs = journal.runs(RUNS).await?;
        runs.reverse();
        let mut steps: BTreeMap<String, u64> = BTreeMap::new();
        for run in &runs {
            for of_plan in &run.plan.steps {
                let ms = step_ms(run, &of_plan.name).and_then(|ms| u64::try_from(ms).ok());
                *steps.entry(of_plan.name.clone()).or_default() += ms.unwrap_or(0);
            }
        }
        let plugins = plugins(&scratch, &self.release)?;
        Ok(json!({
            "steps": steps,
            "migrations": outputs(&runs, "migration"),
            "comparisons": outputs(&runs, super::Comparison::STEP),
            "tests": outputs(&runs, "acceptance"),
            "plugins": plugins,
        }))
    }

    pub(super) async fn undo(&self, _: &World, _: Option<&Value>) -> Result<(), Error> {
        Ok(())
    }
}

/// What the steps of that name came to, oldest first.
fn outputs(runs: &[Run], step: &str) -> Vec<Value> {
    let of_run = |run: &Run| {
        let at = run.plan.steps.iter().position(|of_plan| of_plan.name == step)?;
        run.state.outputs.get(at).cloned()
    };
    runs.iter().filter_map(of_run).collect()
}

/// What a plugin says of itself.
#[derive(Debug, Default, Deserialize)]
struct Manifest {
    #[serde(default)]
    id: String,
    #[serde(default)]
    min_server_version: String,
    #[serde(default)]
    server: Option<Executables>,
}

#[derive(Debug, Default, Deserialize)]
struct Executables {
    #[serde(default)]
    executable: String,
    #[serde(default)]
    executables: BTreeMap<String, String>,
}

/// The plugins that are on and that the release will not load. They do not run in a scratch deployment, because they speak to the world
/// outside: this is what their manifests say.
fn plugins(scratch: &Layout, release: &ReleaseId) -> Result<Vec<PluginTrouble>, Error> {
    let config = config_file::read(&scratch.config())?;
    let root = scratch.root().join("plugins");
    let is_on = |id: &str| config["PluginSettings"]["PluginStates"][id]["Enable"] == true;
    let mut found = Vec::new();
    for entry in std::fs::read_dir(&root).into_iter().flatten().flatten() {
        let dir = entry.path();
        let Ok(text) = host::disk::read_named(&dir.join("plugin.json"), FILE_LIMIT) else { continue };
        let read: Result<Manifest, _> = serde_json::from_slice(&text);
        let name = entry.file_name().to_string_lossy().into_owned();
        let (id, why) = match read {
            Ok(manifest) => {
                let id = if manifest.id.is_empty() { name } else { manifest.id.clone() };
                (id, not_loaded(&manifest, release, &dir))
            }
            Err(error) => (name, Some(format!("its plugin.json cannot be read: {error}"))),
        };
        if let Some(why) = why.filter(|_| is_on(&id)) {
            found.push(PluginTrouble { id, why });
        }
    }
    found.sort_by(|one, other| one.id.cmp(&other.id));
    Ok(found)
}

/// Why a release does not load a plugin.
fn not_loaded(manifest: &Manifest, release: &ReleaseId, dir: &Path) -> Option<String> {
    if release.edition == Edition::Builtin {
        return Some("the built-in server runs no plugins".to_owned());
    }
    let least: Option<version::Version> = manifest.min_server_version.parse().ok();
    if let Some(least) = least.filter(|least| *least > release.version) {
        return Some(format!("it needs Mattermost {least} or newer"));
    }
    let server = manifest.server.as_ref()?;
    let arch = if cfg!(target_arch = "aarch64") { "linux-arm64" } else { "linux-amd64" };
    let program = server.executables.get(arch).unwrap_or(&server.executable);
    match program.is_empty() || !dir.join(program).is_file() {
        true => Some(format!("it has no program for {arch}")),
        false => None,
    }
}

/// What a rehearsal cannot know is missing in the output of an interrupted one.
pub(crate) fn unreadable() -> Error {
    Error::new(Exit::Bug, "the rehearsal did not say what it measured")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plugin_that_the_release_does_not_load_is_named_with_why() {
        let dir = tempfile::tempdir().expect("a directory");
        std::fs::write(dir.path().join("run"), "").expect("written");
        let manifest = |least: &str, program: &str| Manifest {
            id: "a".to_owned(),
            min_server_version: least.to_owned(),
            server: (!program.is_empty())
                .then(|| Executables { executable: program.to_owned(), ..Executables::default() }),
        };
        let release: ReleaseId = "10.11.0-team".parse().expect("a release");
        let why = |manifest: &Manifest| not_loaded(manifest, &release, dir.path());
        assert_eq!(why(&manifest("10.5.0", "run")), None);
        assert_eq!(why(&manifest("", "")), None, "one without a server part");
        assert_eq!(why(&manifest("11.0.0", "run")).as_deref(), Some("it needs Mattermost 11.0.0 or newer"));
        assert!(why(&manifest("", "gone")).expect("no program").contains("no program for linux-"));
        let builtin = not_loaded(&manifest("", ""), &release::builtin(), dir.path());
        assert!(builtin.expect("why").contains("built-in"));
    }
}

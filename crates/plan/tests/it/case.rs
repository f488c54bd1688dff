//! Random plans over a directory of files, with what they must lead to.

use crate::world::{Deed, Work};
use plan::{Plan, Step, Undo};
use rand::{Rng, SeedableRng, rngs::StdRng, seq::IteratorRandom};
use std::{collections::BTreeMap, fs, io, path::Path, time::Duration};

/// File name to content.
pub(crate) type Files = BTreeMap<String, String>;

/// A plan, and the files before and after it.
pub(crate) struct Case {
    pub(crate) plan: Plan<Work>,
    pub(crate) old: Files,
    /// `None`: the plan has a step that fails.
    pub(crate) new: Option<Files>,
}

impl Case {
    /// The case of a seed, always the same.
    pub(crate) fn random(seed: u64) -> Self {
        let random = &mut StdRng::seed_from_u64(seed);
        let text = |random: &mut StdRng| format!("{:032x}", random.random::<u128>());
        let old: Files =
            (0..random.random_range(2..=4)).map(|n| (format!("old-{n}"), text(random))).collect();
        let count = random.random_range(3..=6);
        let spoilt = random.random_bool(0.4).then(|| random.random_range(1..count));
        let mut files = old.clone();
        let mut steps = Vec::new();
        for n in 0..count {
            let file = files.keys().choose(random).expect("a plan never removes the last file").clone();
            let (new, text) = (format!("new-{n}"), text(random));
            let deed = match random.random_range(0..7) {
                _ if spoilt == Some(n) => Deed::Spoil { file },
                0 => Deed::Overwrite { file, text },
                1 => Deed::Append { file, text },
                2 if files.len() > 1 => Deed::Remove { file },
                3 => Deed::Rename { from: file, to: new },
                4 => Deed::Balk,
                5 => Deed::Look,
                _ => Deed::Create { file: new, text },
            };
            let work = Work { key: format!("step-{n}"), deed };
            perform(&work.deed, &mut files);
            steps.push(Step {
                name: work.key.clone(),
                title: format!("{:?}", work.deed),
                undo: if matches!(work.deed, Deed::Look) { Undo::Nothing } else { Undo::by("Take it back") },
                snapshot: false,
                checkpoint: false,
                estimate: Duration::from_millis(1),
                action: work,
            });
        }
        let plan = Plan::new("change", format!("Case {seed}"), steps);
        Self { plan, old, new: spoilt.is_none().then_some(files) }
    }
    /// Makes the old state in `root`.
    pub(crate) fn create(&self, root: &Path) {
        fs::create_dir(root.join("attic")).expect("create the attic");
        fs::create_dir(root.join("files")).expect("create the files");
        for (name, text) in &self.old {
            fs::write(root.join("files").join(name), text).expect("write a file");
        }
    }
}

/// The state that `root` is in.
pub(crate) fn files(root: &Path) -> Files {
    let entries = fs::read_dir(root.join("files")).expect("list the files");
    let read = |entry: io::Result<fs::DirEntry>| {
        let path = entry.expect("list the files").path();
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        (name, fs::read_to_string(path).expect("read a file"))
    };
    entries.map(read).collect()
}

/// What a deed makes of the files: the model that reality is held against.
fn perform(deed: &Deed, files: &mut Files) {
    match deed.clone() {
        Deed::Create { file, text } | Deed::Overwrite { file, text } => {
            files.insert(file, text);
        }
        Deed::Append { file, text } => *files.get_mut(&file).expect("the file exists") += &text,
        Deed::Remove { file } => {
            files.remove(&file);
        }
        Deed::Rename { from, to } => {
            let text = files.remove(&from).expect("the file exists");
            files.insert(to, text);
        }
        Deed::Balk | Deed::Look | Deed::Spoil { .. } => {}
    }
}

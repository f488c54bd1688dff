//! What earlier operations have moved away and not deleted: nobody should have to find it by chance.

use std::path::Path;

use finding::hint;

use crate::place::layout::Layout;
use crate::state::edited::EDITED;

/// A sentence for each directory that something was left in, with the way to get it back.
pub(crate) fn left_behind(layout: &Layout) -> Vec<String> {
    let root = layout.root().display();
    let aside = names(&layout.aside()).into_iter().map(|name| {
        let dir = layout.aside().join(name);
        let held = names(&dir).join(", ");
        let dir = dir.display();
        hint!(
            "an `uninstall` that was given up left {} in {}: `mv {}/NAME {}/` brings one back while the deployment is down \
             and has none of that name, `rm -r {}` deletes it",
            held, dir, dir, root, dir
        )
        .to_string()
    });
    let undone = names(&layout.undone()).into_iter().map(|name| {
        let (operation, what) = match &*name {
            name if name.starts_with("postgres-") => ("an `up`", "its PostgreSQL cluster"),
            name if name.starts_with("restored-") => ("a `restore`", "what its server had worked with"),
            name if name.starts_with(EDITED) => {
                ("an operation", "what was changed meanwhile, by hand or by the server,")
            }
            _ => ("an `up`", "the data of its server"),
        };
        let dir = layout.undone().join(name);
        let dir = dir.display();
        hint!(
            "{} that was undone left {} in {}: copy out what you need, `rm -r {}` deletes it",
            operation,
            what,
            dir,
            dir
        )
        .to_string()
    });
    aside.chain(undone).collect()
}

fn names(dir: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(dir) else { return Vec::new() };
    let mut names: Vec<_> =
        entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_left_is_named_with_the_way_back() {
        let dir = tempfile::tempdir().expect("a directory");
        let layout = Layout::new(dir.path());
        assert_eq!(left_behind(&layout), Vec::<String>::new());
        std::fs::create_dir_all(layout.aside().join("0123/data")).expect("made");
        std::fs::create_dir_all(layout.undone().join("data-1")).expect("made");
        let [aside, undone] = &left_behind(&layout)[..] else { panic!("two sentences") };
        assert!(aside.contains("left data in") && aside.contains("run/aside/0123/NAME"), "{aside}");
        assert!(undone.contains("run/undone/data-1"), "{undone}");
    }
}

//! The journal of a deployment that was used, and that is gone.

use crate::place::layout::Layout;

/// That it is gone, and what that means; `None` = it is there, or there never was one.
pub fn lost_journal(layout: &Layout) -> Option<String> {
    let journal = layout.journal();
    // A deployment is recorded at the end of its first run, which the journal was there for.
    let is_used = layout.identity().symlink_metadata().is_ok();
    // One that was damaged was moved aside, which was told.
    (is_used && journal.symlink_metadata().is_err() && !has_set_aside(layout)).then(|| {
        format!(
            "{} is gone: with it the history, and whether an operation was interrupted. Put it back from a backup while no operation \
             runs; otherwise the next operation begins a new one",
            journal.display()
        )
    })
}

fn has_set_aside(layout: &Layout) -> bool {
    let entries = std::fs::read_dir(layout.root()).into_iter().flatten().flatten();
    let mut names = entries.map(|entry| entry.file_name());
    names.any(|name| name.to_string_lossy().starts_with("state.db.corrupt-"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_journal_that_never_was_is_not_lost() {
        let dir = tempfile::tempdir().expect("a directory");
        let layout = Layout::new(dir.path());
        assert_eq!(lost_journal(&layout), None);
        std::fs::write(layout.identity(), "{}").expect("written");
        assert!(lost_journal(&layout).is_some_and(|told| told.contains("state.db is gone")));
        std::fs::write(dir.path().join("state.db.corrupt-20261127T090000Z"), "").expect("written");
        assert_eq!(lost_journal(&layout), None);
        std::fs::remove_file(dir.path().join("state.db.corrupt-20261127T090000Z")).expect("removed");
        std::fs::write(layout.journal(), "").expect("written");
        assert_eq!(lost_journal(&layout), None);
    }
}

//! Whether a deployment is installed, and what of its release is missing.

use crate::error::Error;
use crate::place::layout::Layout;

/// Whether a deployment is installed, however damaged.
pub(crate) fn is_installed(layout: &Layout) -> bool {
    layout.current().symlink_metadata().is_ok() || layout.identity().symlink_metadata().is_ok()
}

/// What of the release of an installed deployment is missing, and the way on.
///
/// # Errors
/// It is missing.
pub(crate) fn check_release(layout: &Layout) -> Result<(), Error> {
    let current = layout.current();
    if !is_installed(layout) || current.exists() {
        return Ok(());
    }
    let what = match std::fs::read_link(&current) {
        Ok(target) => {
            let release = layout.root().join(target);
            format!("the release of this deployment is missing: {} does not exist", release.display())
        }
        Err(_) => format!("{}, the link to the release of this deployment, is missing", current.display()),
    };
    Err(Error::not_ready(what).hint(layout.place().bring_release_back()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_release_is_no_missing_deployment() {
        let dir = tempfile::tempdir().expect("a directory");
        let layout = Layout::new(dir.path());
        assert!(!is_installed(&layout) && check_release(&layout).is_ok());
        std::os::unix::fs::symlink("releases/11.6.0-builtin", layout.current()).expect("a link");
        let said = check_release(&layout).expect_err("it is missing");
        assert!(is_installed(&layout));
        assert!(said.what.contains("releases/11.6.0-builtin does not exist"), "{said}");
        assert!(said.hint.is_some_and(|hint| hint.contains("`mainstay up`")));
        std::fs::create_dir_all(dir.path().join("releases/11.6.0-builtin")).expect("a release");
        check_release(&layout).expect("it is there");
        std::fs::remove_file(layout.current()).expect("removed");
        assert!(!is_installed(&layout));
        std::fs::write(layout.identity(), "{}").expect("written");
        assert!(check_release(&layout).is_err_and(|said| said.what.contains("current, the link")));
    }
}

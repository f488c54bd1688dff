//! A clippy.toml in a crate replaces the workspace's, so it must repeat every ban of it.

use std::path::PathBuf;

fn bans(path: &PathBuf) -> Vec<String> {
    let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    text.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect()
}

#[test]
fn a_crates_own_lints_include_those_of_the_workspace() {
    let root = xtask::run::root();
    let wanted = bans(&root.join("clippy.toml"));
    let crates = std::fs::read_dir(root.join("crates")).unwrap();
    let own: Vec<PathBuf> =
        crates.map(|entry| entry.unwrap().path().join("clippy.toml")).filter(|path| path.exists()).collect();
    assert!(own.len() >= 5, "the crates that only decide have one: {own:?}");
    for path in own {
        let bans = bans(&path);
        let missing: Vec<&String> = wanted.iter().filter(|line| !bans.contains(line)).collect();
        assert!(missing.is_empty(), "{} lacks {missing:#?}", path.display());
    }
}

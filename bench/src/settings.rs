//! Time to render environment variables to config.json, compared with filling a template by one `sed` process per variable.

use std::path::Path;
use std::process::{Command, Stdio};

use xtask::run::Failure;

use crate::up::wall;
use crate::{Spread, row};

const RUNS: usize = 40;

/// Every variable that docker-mattermost documents, from the golden test.
const ENVIRONMENT: &str = include_str!("../../crates/settings/tests/golden/11.7/full.env");

/// How a shell script does it: one line per variable, replaced in place.
const TEMPLATE: &str = r#"
cd "$1"
for name in $2; do echo "  \"$name\": \"{{$name}}\","; done > config.json
for name in $2; do sed -i "s|{{$name}}|value of $name|" config.json; done
"#;

pub(crate) fn run(mainstay: &Path) -> Result<(), Failure> {
    let variables: Vec<(&str, &str)> = ENVIRONMENT
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split_once('='))
        .collect();
    let names: Vec<&str> = variables.iter().map(|(name, _)| *name).collect();
    let dir = tempfile::tempdir()?;
    let mut render = Command::new(mainstay);
    render.args(["settings", "render", "--for", "11.7", "--dir"]).arg(dir.path().join("none"));
    render.env_clear().envs(variables).stdin(Stdio::null());
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", TEMPLATE, "sh"]).arg(dir.path()).arg(names.join(" "));
    let (mut ours, mut theirs, mut nothing) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..RUNS {
        ours.push(wall(&mut render)?);
        theirs.push(wall(&mut shell)?);
        nothing.push(wall(&mut Command::new("/bin/true"))?);
    }
    let (ours, theirs) = (Spread::of(ours), Spread::of(theirs));
    println!("\n{:<44} {:<34} aim", "median (least to most)", "");
    row(&format!("{} variables to config.json, ms", names.len()), &ours, "<= 10");
    row(&format!("the same number of sed processes, ms ({})", names.len()), &theirs, "");
    row("/bin/true, ms", &Spread::of(nothing), "");
    row("ratio config.json : sed", &format!("{:>10.3}", ours.median / theirs.median), "");
    Ok(())
}

//! Makes an image of a release of 500 MB, and compares with `tar` and `gzip -6` on the same files.

use std::fs::{self, File};
use std::io::{BufWriter, Write as _};
use std::path::Path;
use std::process::Command;

use xtask::run::Failure;

use crate::row;
use crate::up::wall;

pub(crate) const MB: usize = 1_000_000;
/// What a current release consists of: archives of plugins, which are compressed; programs; scripts and texts.
const PLUGINS: usize = 200;
const PROGRAMS: usize = 150;
const TEXTS: usize = 150;

pub(crate) fn run(mainstay: &Path) -> Result<(), Failure> {
    let dir = tempfile::tempdir()?;
    let at = |name: &str| dir.path().join(name);
    println!("making a release of {} MB ...", PLUGINS + PROGRAMS + TEXTS);
    written(mainstay, &at("mattermost"))?;
    shell(dir.path(), "tar -cf - mattermost | gzip -1 > release.tar.gz && rm -rf mattermost")?;
    let build = |to: &str| {
        let mut command = Command::new(mainstay);
        command
            .args(["image", "build", "--mainstay"])
            .arg(mainstay)
            .arg("--release")
            .arg(at("release.tar.gz"));
        wall(command.arg("--output").arg(at(to)))
    };
    let first = build("one")?;
    let second = build("two")?;
    let same = Command::new("diff").arg("-r").arg(at("one")).arg(at("two")).status()?.success();
    let script = "mkdir d && tar -xzf release.tar.gz -C d && tar -cf - d | gzip -6 > out.tar.gz";
    let gzip = wall(Command::new("sh").args(["-c", script]).current_dir(dir.path()))?;
    let size = |path: &Path| fs::metadata(path).map(|meta| meta.len() as f64 / MB as f64);
    let blobs = fs::read_dir(at("one/blobs/sha256"))?;
    let image = blobs.map(|blob| size(&blob?.path())).sum::<std::io::Result<f64>>()?;

    println!("\n{:<44} {:<34} aim", "", "");
    row("image build, s", &format!("{:>10.1}", first / 1000.0), "");
    row("the second one, s", &format!("{:>10.1}", second / 1000.0), "");
    row("tar -x | tar -c | gzip -6, s", &format!("{:>10.1}", gzip / 1000.0), "");
    row("ratio image : tar and gzip", &format!("{:>10.2}", first.min(second) / gzip), "<= 1");
    row("image, MB", &format!("{image:>10.0}"), "");
    row("tar and gzip, MB", &format!("{:>10.0}", size(&at("out.tar.gz"))?), "");
    row("both builds are the same bytes", &same, "true");
    if same { Ok(()) } else { Err(Failure("two builds differ".to_owned())) }
}

/// Writes a release in the official layout, with `program` as its server.
pub(crate) fn written(program: &Path, root: &Path) -> Result<(), Failure> {
    for name in ["bin", "client", "config", "fonts", "i18n", "templates", "prepackaged_plugins"] {
        fs::create_dir_all(root.join(name))?;
    }
    fs::copy(program, root.join("bin/mattermost"))?;
    fs::write(root.join("config/config.json"), "{}")?;
    let mut random = random();
    for plugin in 0..PLUGINS / 10 {
        filled(&root.join(format!("prepackaged_plugins/{plugin}.tar.gz")), 10 * MB, || random.next())?;
    }
    // A few words in random order compress about as well as a program.
    let words: Vec<u64> = (0..4096).map(|_| random.next()).collect();
    let mut word = || words[(random.next() >> 52) as usize];
    filled(&root.join("bin/mmctl"), PROGRAMS * MB, &mut word)?;
    // Fewer words compress about as well as a script.
    for text in 0..TEXTS {
        filled(&root.join(format!("client/{text}.js")), MB, || words[(random.next() >> 57) as usize])?;
    }
    Ok(())
}

pub(crate) fn filled(path: &Path, size: usize, mut next: impl FnMut() -> u64) -> Result<(), Failure> {
    let mut file = BufWriter::new(File::create(path)?);
    for _ in 0..size / 8 {
        file.write_all(&next().to_le_bytes())?;
    }
    Ok(file.flush()?)
}

/// Random numbers that are the same in every run (xorshift64*).
pub(crate) struct Random(u64);

pub(crate) fn random() -> Random {
    Random(0x9e37_79b9_7f4a_7c15)
}

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }
}

pub(crate) fn shell(dir: &Path, script: &str) -> Result<(), Failure> {
    let status = Command::new("sh").args(["-c", script]).current_dir(dir).status()?;
    if status.success() { Ok(()) } else { Err(Failure(format!("`{script}`: {status}"))) }
}

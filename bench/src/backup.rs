//! Backs a deployment of 8 000 files and 300 000 messages up, and compares with what an administrator types: a copy of the database by
//! `sqlite3`, and restic or borg on that and the files.

use std::fs;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use serde_json::Value;
use xtask::run::Failure;

use crate::deployment::Deployment;
use crate::image::random;

/// What is generated: 0.6 GB.
const FILES: usize = 8000;
const LARGEST: u64 = 150_000;
const MESSAGES: usize = 300_000;
/// One of so many files changes, and one of so many messages is new.
const CHANGED: usize = 100;
const SEED: u64 = 0x9e37_79b9_7f4a_7c15;

/// What one command took.
#[derive(Clone, Copy, Default)]
struct Cost {
    wall: f64,
    cpu: f64,
    /// The most that a process of it had, in MB.
    memory: f64,
}

impl std::ops::Add for Cost {
    type Output = Cost;

    fn add(self, other: Cost) -> Cost {
        Cost {
            wall: self.wall + other.wall,
            cpu: self.cpu + other.cpu,
            memory: self.memory.max(other.memory),
        }
    }
}

/// What one program took for each task, and the bytes of its repository after the snapshots.
struct Side {
    name: &'static str,
    costs: Vec<Cost>,
    bytes: Vec<u64>,
}

/// The folder of the files: a day on which no test of the deployment uploads.
const DAY: &str = "20200101";

const TASKS: [&str; 5] = ["first backup", "unchanged", "1 % changed", "restore", "full check"];

pub(crate) fn run(mainstay: &Path) -> Result<(), Failure> {
    let deployment = Deployment::empty(mainstay)?;
    deployment.up()?;
    println!("generating {FILES} files and {MESSAGES} messages, from the seed {SEED:#x} ...");
    let data = deployment.root().join("data");
    let database = data.join("mattermost.db");
    let mut random = random();
    let mut number = move || random.next();
    let paths = generated(&data.join(DAY), &mut number)?;
    insert(&database, 0, MESSAGES, &mut number)?;

    let work = tempfile::tempdir()?;
    let at = |name: &str| work.path().join(name).display().to_string();
    fs::write(at("key"), "a password of a benchmark\n")?;
    let copy = format!("sqlite3 {} '.backup {}'", database.display(), at("mattermost.db"));
    let restic = format!("restic --quiet --no-cache --password-file {} --repo {}", at("key"), at("restic"));
    let borg = format!("env BORG_PASSPHRASE=x BORG_BASE_DIR={} borg", at("borg-base"));
    let skip = ["mattermost.db", "mattermost.db-wal", "mattermost.db-shm"];
    let skip: Vec<String> = skip.iter().map(|name| format!("--exclude {}/{name}", data.display())).collect();
    let (data_text, skip) = (data.display(), skip.join(" "));
    let restic_backup = format!("{copy} && {restic} backup {skip} {data_text} {}", at("mattermost.db"));
    let borg_backup = |name: &str| {
        format!("{copy} && {borg} create {skip} {}::{name} {data_text} {}", at("borg"), at("mattermost.db"))
    };
    let ours = format!("{} --dir {} backup", mainstay.display(), deployment.root().display());
    let ours_restore = |part: &str, into: &str| {
        let program = mainstay.display();
        format!("{program} --dir {} restore --only {part} --into {into}", deployment.root().display())
    };
    cost(&format!("{restic} init"))?;
    cost(&format!("{borg} init --encryption repokey-blake2 {}", at("borg")))?;

    let mut sides =
        ["mainstay", "restic", "borg"].map(|name| Side { name, costs: Vec::new(), bytes: Vec::new() });
    for (n, name) in ["first", "unchanged", "changed"].into_iter().enumerate() {
        if n == 2 {
            for path in paths.iter().step_by(CHANGED) {
                rewritten(path, &mut number)?;
            }
            insert(&database, MESSAGES, MESSAGES / CHANGED, &mut number)?;
        }
        println!("{} ...", TASKS[n]);
        let commands = [format!("{ours} create --json"), restic_backup.clone(), borg_backup(name)];
        let repositories = [deployment.root().join("backups"), at("restic").into(), at("borg").into()];
        for ((side, command), repository) in sides.iter_mut().zip(commands).zip(repositories) {
            side.costs.push(cost(&command)?);
            side.bytes.push(size(&repository)?);
        }
    }
    println!("restore ...");
    let parts = cost(&ours_restore("files", &at("ours")))? + cost(&ours_restore("database", &at("ours")))?;
    sides[0].costs.push(parts);
    sides[1].costs.push(cost(&format!("{restic} restore latest --target {}", at("by-restic")))?);
    fs::create_dir(at("by-borg"))?;
    let extract = format!("cd {} && {borg} extract {}::changed", at("by-borg"), at("borg"));
    sides[2].costs.push(cost(&extract)?);
    same(&data.join(DAY), &Path::new(&at("ours")).join(DAY))?;
    for name in ["ours", "by-restic", "by-borg"] {
        fs::remove_dir_all(at(name))?;
    }
    println!("full check ...");
    sides[0].costs.push(cost(&format!("{ours} check --no-files --read-data 100"))?);
    sides[1].costs.push(cost(&format!("{restic} check --read-data"))?);
    sides[2].costs.push(cost(&format!("{borg} check --verify-data {}", at("borg")))?);
    table(&sides);

    println!("drill, and the restore of a new deployment ...");
    drilled(mainstay, &deployment, work.path())
}

/// A drill may take five seconds more than the restore that it proves.
fn drilled(mainstay: &Path, deployment: &Deployment, work: &Path) -> Result<(), Failure> {
    let began = Instant::now();
    let drill = deployment.run(&["backup", "drill", "--json"])?;
    let drill_s = began.elapsed().as_secs_f64();
    let last = drill.lines().last().unwrap_or_default();
    let drill: Value = serde_json::from_str(last).map_err(|error| Failure(error.to_string()))?;
    let other = Deployment::empty(mainstay)?;
    let (repository, key) = (deployment.root().join("backups"), work.join("backup.key"));
    deployment.run(&["backup", "key", "export", &key.to_string_lossy()])?;
    let listen = format!("127.0.0.1:{}", other.port);
    let site_url = format!("http://{listen}");
    let (repository, key) = (repository.to_string_lossy(), key.to_string_lossy());
    let mut args = vec!["restore", "--yes", "--json", "--repository", &*repository, "--key-file", &*key];
    args.extend(["--listen", &listen, "--site-url", &site_url]);
    args.extend(crate::deployment::user());
    let began = Instant::now();
    other.run(&args)?;
    let restore_s = began.elapsed().as_secs_f64();
    crate::row("restore of a new deployment, s", &format!("{restore_s:>10.1}"), "");
    crate::row("drill, s", &format!("{drill_s:>10.1}"), "<= restore + 5");
    let recovered = drill["recovered_ms"].as_f64().unwrap_or(f64::NAN) / 1000.0;
    crate::row("of that until it was verified, s", &format!("{recovered:>10.1}"), "");
    Ok(())
}

fn table(sides: &[Side]) {
    println!(
        "\n{:<14} {:<10} {:>8} {:>8} {:>11} {:>14}",
        "", "", "wall, s", "CPU, s", "memory, MB", "repository, MB"
    );
    for (n, task) in TASKS.iter().enumerate() {
        for side in sides {
            let Cost { wall, cpu, memory } = side.costs[n];
            let bytes =
                side.bytes.get(n).map(|bytes| format!("{:.1}", *bytes as f64 / 1e6)).unwrap_or_default();
            println!("{task:<14} {:<10} {wall:>8.2} {cpu:>8.2} {memory:>11.0} {bytes:>14}", side.name);
        }
        let best = sides[1..].iter().map(|side| side.costs[n].wall).fold(f64::INFINITY, f64::min);
        let aim = if n == 1 { "< 1" } else { "<= 1" };
        println!("{task:<14} {:<10} {:>8.2} {:>43}", "ratio", sides[0].costs[n].wall / best, aim);
    }
}

/// Files as people upload them: of many sizes; most compress little. Returns their paths.
fn generated(root: &Path, number: &mut impl FnMut() -> u64) -> Result<Vec<PathBuf>, Failure> {
    let mut paths = Vec::with_capacity(FILES);
    for n in 0..FILES {
        let folder = root.join(format!("teams/noteam/channels/c{:02}/users/u{:02}/{n:05}", n % 40, n % 97));
        fs::create_dir_all(&folder)?;
        let path = folder.join("file.bin");
        rewritten(&path, number)?;
        paths.push(path);
    }
    Ok(paths)
}

fn rewritten(path: &Path, number: &mut impl FnMut() -> u64) -> Result<(), Failure> {
    let size = usize::try_from(number() % LARGEST).unwrap_or(0);
    let is_text = number().is_multiple_of(4);
    let mut content = Vec::with_capacity(size + 8);
    while content.len() < size {
        let word = number();
        // A quarter are texts: of 16 letters.
        let bytes = word.to_le_bytes();
        content.extend(bytes.map(|byte| if is_text { b'a' + byte % 16 } else { byte }));
    }
    Ok(fs::write(path, content)?)
}

/// Adds messages to the database, as text of words.
fn insert(
    database: &Path,
    from: usize,
    count: usize,
    number: &mut impl FnMut() -> u64,
) -> Result<(), Failure> {
    const WORDS: [&str; 16] = [
        "the", "release", "is", "ready", "who", "looks", "at", "this", "server", "before", "noon", "please",
        "thanks", "done", "again", "tomorrow",
    ];
    let mut child = Command::new("sqlite3").arg(database).stdin(Stdio::piped()).spawn()?;
    let input = child.stdin.take().ok_or_else(|| Failure("sqlite3 takes no input".to_owned()))?;
    let mut input = BufWriter::new(input);
    writeln!(input, ".timeout 60000\nbegin;")?;
    for n in from..from + count {
        let words: Vec<&str> =
            (0..8 + number() % 24).map(|_| WORDS[usize::try_from(number() % 16).unwrap_or(0)]).collect();
        let at = 1_764_200_000_000_u64 + n as u64 * 1000;
        writeln!(
            input,
            "insert into posts (id, createat, updateat, editat, deleteat, ispinned, userid, channelid, rootid, originalid, message, type, \
             props, hashtags, filenames, fileids, hasreactions) values ('{n:026x}', {at}, {at}, 0, 0, 0, 'u{:025}', 'c{:025}', '', '', \
             '{}', '', '{{}}', '', '[]', '[]', 0);",
            number() % 97,
            number() % 40,
            words.join(" ")
        )?;
    }
    writeln!(input, "commit;")?;
    input.flush()?;
    drop(input);
    let status = child.wait()?;
    if status.success() { Ok(()) } else { Err(Failure(format!("sqlite3: {status}"))) }
}

/// Runs a line of shell under GNU time.
fn cost(line: &str) -> Result<Cost, Failure> {
    let report = tempfile::NamedTempFile::new()?;
    let began = Instant::now();
    let output = Command::new("/usr/bin/time")
        .args(["--format", "%U %S %M", "--output"])
        .arg(report.path())
        .args(["sh", "-c", line])
        .stdin(Stdio::null())
        .output()?;
    let wall = began.elapsed().as_secs_f64();
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        return Err(Failure(format!("`{line}`: {}: {said}", output.status)));
    }
    let text = fs::read_to_string(report.path())?;
    let figures: Vec<f64> = text.split_whitespace().filter_map(|figure| figure.parse().ok()).collect();
    match figures[..] {
        [user, system, memory] => Ok(Cost { wall, cpu: user + system, memory: memory / 1024.0 }),
        _ => Err(Failure(format!("time said {text:?}"))),
    }
}

fn size(path: &Path) -> Result<u64, Failure> {
    let mut sum = 0;
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        let meta = entry.metadata()?;
        sum += if meta.is_dir() { size(&entry.path())? } else { meta.len() };
    }
    Ok(sum)
}

fn same(one: &Path, other: &Path) -> Result<(), Failure> {
    let status = Command::new("diff").arg("-rq").args([one, other]).stdout(Stdio::null()).status()?;
    match status.success() {
        true => Ok(()),
        false => Err(Failure(format!("{} and {} differ", one.display(), other.display()))),
    }
}

//! Runs inside the container: prints its user and directory, and counts its runs in the volume.
use std::os::unix::fs::MetadataExt;
use std::{env, fs, thread};

fn main() {
    let words: Vec<String> = env::args().skip(1).collect();
    match words.join(" ").as_str() {
        "check" => {}
        "wait" => thread::park(),
        _ => report(&words),
    }
}

fn report(words: &[String]) {
    let own = fs::metadata("/proc/self").unwrap();
    let runs = fs::read_to_string("runs").ok().and_then(|text| text.parse().ok()).unwrap_or(0) + 1;
    fs::write("runs", runs.to_string()).unwrap();
    fs::write("/tmp/scratch", "").unwrap();
    println!("args={words:?}");
    println!("owner={}:{}", own.uid(), own.gid());
    println!("dir={}", env::current_dir().unwrap().display());
    println!("greeting={}", env::var("GREETING").unwrap());
    println!("runs={runs}");
    println!("etc={}", fs::write("/etc/passwd", "").is_err());
}

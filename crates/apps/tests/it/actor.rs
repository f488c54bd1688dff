//! This executable as the program that makes guests, which is `mainstay guest` otherwise.

use std::ffi::OsString;

/// How it is called.
pub(crate) fn guest() -> host::Shim {
    let args = ["actor::become_guest", "--exact", "--nocapture", "--quiet", "--test-threads=1"];
    host::Shim { program: "/proc/self/exe".into(), args: args.map(OsString::from).to_vec() }
}

#[test]
#[allow(clippy::disallowed_methods, reason = "here it is the program's end, with the shim's exit code")]
fn become_guest() {
    let args: Vec<OsString> = std::env::args_os().collect();
    let Some(at) = args.iter().position(|arg| arg == "--") else {
        return assert_eq!(host::guest::become_guest("{", 1, &[]).unwrap_err().exit_code(), 124);
    };
    let parent = args[at - 1].to_str().unwrap().parse().unwrap();
    let Err(error) = host::guest::become_guest(args[at - 2].to_str().unwrap(), parent, &args[at + 1..]);
    eprintln!("{error}");
    std::process::exit(error.exit_code().into());
}

//! Stand-ins for newer releases: the packed built-in release with a program before it that migrates further, some of them made to fail.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{LazyLock, Mutex, OnceLock};

use crate::place::MAINSTAY;

/// What the stand-in for the next release does wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// Nothing.
    Good,
    /// Its migration changes the database and fails then.
    FailsToMigrate,
    /// It migrates and does not start.
    DoesNotStart,
    /// It starts, says that it is well, and takes no files.
    TakesNoFiles,
    /// It starts, answers, and ends as soon as somebody makes a team (SQLite alone).
    Crashes,
    /// Nothing, and it leaves the database as it is.
    Dot,
    /// Its migration finds a database that only reads from then on.
    FindsItReadOnly,
    /// Its migration deletes a post, and all else works.
    LosesAPost,
    /// Its migration drops a column that the test does not need.
    LosesAColumn,
    /// Nothing, and it says that it is Mattermost Team Edition 11.7.0.
    Team,
    /// It starts, says that it is well, and ends every websocket.
    EndsWebsockets,
    /// Its migration finds a database that takes nobody any more.
    FindsItClosed,
    /// Its migration fills the disk (SQLite alone).
    FillsTheDisk,
}

impl Next {
    const ALL: [Self; 13] = [
        Self::Good,
        Self::FailsToMigrate,
        Self::DoesNotStart,
        Self::TakesNoFiles,
        Self::Crashes,
        Self::Dot,
        Self::FindsItReadOnly,
        Self::LosesAPost,
        Self::LosesAColumn,
        Self::Team,
        Self::EndsWebsockets,
        Self::FindsItClosed,
        Self::FillsTheDisk,
    ];

    /// The tarball of the release.
    pub(super) fn tarball(self) -> &'static str {
        let at = Self::ALL.iter().position(|next| *next == self).expect("one of them");
        TARBALLS.path(at, self).to_str().expect("a name")
    }

    /// The program that stands before the server's own: it migrates further than that.
    fn program(self) -> String {
        let (migrated, started) = match self {
            Self::Good | Self::Team => ("", "exec"),
            Self::FailsToMigrate => ("echo 'the migration 999 failed' >&2; exit 1", "exec"),
            Self::DoesNotStart => ("", "echo 'the cache cannot be opened' >&2; exit 1; exec"),
            Self::TakesNoFiles => ("", "MM_FILESETTINGS_MAXFILESIZE=1 exec"),
            Self::Crashes => ("", CRASHES),
            Self::Dot | Self::LosesAPost | Self::LosesAColumn => ("", "exec"),
            Self::FindsItReadOnly => (READ_ONLY, "exec"),
            Self::EndsWebsockets => ("", ENDS_WEBSOCKETS),
            Self::FindsItClosed => (CLOSED, "exec"),
            Self::FillsTheDisk => (FILLS, "exec"),
        };
        let (build, pending) = match self {
            Self::Dot => ("0.1.9", "No migrations to apply."),
            _ => ("0.2.0", "One migration: 999."),
        };
        let (version, build, edition) = match self {
            Self::Team => ("11.7.0", "11.7.0", ""),
            _ => ("11.6.0", build, "Edition: builtin\\n"),
        };
        let loses = match self {
            Self::LosesAPost => "; delete from posts where message = 'only the new release has this'",
            Self::LosesAColumn => "; alter table users drop column mfausedtimestamps",
            _ => "",
        };
        format!(
            r#"#!/bin/sh
server="${{0%/*}}/server/mattermost"
case "$*" in
version*) printf 'Version: {version}\nBuild Number: {build}\nBuild Date: -\nBuild Hash: -\nBuild Enterprise Ready: false\n{edition}' ;;
"db migrate --dry-run "*) echo '{pending}' ;;
"db "*)
    "$server" "$@" || exit
    for config; do :; done
    change="create table newer (id int); update posts set message = 'only the new release has this' where message = 'only the old release has this'{loses}"
    database="${{config%/config/config.json}}/data/mattermost.db"
    source=$(sed -n 's/.*"DataSource": *"\(postgres[^"]*\)".*/\1/p' "$config")
    if [ -n "$source" ]; then
        source=$(printf %s "$source" | sed 's/\\u0026/\&/g')
        psql -X -q "$source" -c "$change" >&2 || exit
    else
        sqlite3 "$database" "$change" >&2 || exit
    fi
    {migrated}
    ;;
*) {started} "$server" "$@" ;;
esac
"#
        )
    }
}

/// Ends the server in the middle of its test, however fast that is: when the test has made its team.
const CRASHES: &str = r#"for config; do :; done
    teams() { sqlite3 "${config%/config/config.json}/data/mattermost.db" 'select count(*) from teams'; }
    before=$(teams)
    (while [ "$(teams)" = "$before" ]; do sleep 0.02; done; echo 'panic: out of ideas' >&2; kill -9 $$) & exec"#;

/// Lets sessions of the database that begin from now on only read.
const READ_ONLY: &str = "psql -X -q \"$source\" -c 'do $d$ begin execute format($f$alter database %I set default_transaction_read_only = on$f$, current_database()); end $d$' >&2; echo 'it only reads' >&2; exit 1";

/// Lets no session of the database begin.
const CLOSED: &str = "psql -X -q \"$source\" -c 'do $d$ begin execute format($f$alter database %I connection limit 0$f$, current_database()); end $d$' >&2; echo 'it takes nobody' >&2; exit 1";

/// Writes rows until there is no room.
const FILLS: &str = "sqlite3 \"$database\" 'create table filler as with recursive n(i) as (select 1 union all select i + 1 from n limit 2000) select randomblob(1000000) from n' >&2; exit 1";

/// Stands between the edge and the server, and ends each connection that asks for a websocket.
const ENDS_WEBSOCKETS: &str = r#"front=$MM_SERVICESETTINGS_LISTENADDRESS
    python3 - "$front" $$ <<'END' &
import os, socket, sys, threading
front, server = sys.argv[1], int(sys.argv[2])
if os.path.exists(front):
    os.remove(front)
listener = socket.socket(socket.AF_UNIX)
listener.bind(front)
os.chmod(front, 0o666)
listener.listen(64)
def copy(one, other):
    try:
        while data := one.recv(65536):
            if b'/api/v4/websocket' in data:
                break
            other.sendall(data)
    except OSError:
        pass
    for end in one, other:
        try:
            end.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
def serve(client):
    behind = socket.socket(socket.AF_UNIX)
    try:
        behind.connect(front + '2')
    except OSError:
        client.close()
        return
    threading.Thread(target=copy, args=(behind, client), daemon=True).start()
    copy(client, behind)
def ends_with_the_server():
    import time
    while os.path.exists(f'/proc/{server}'):
        time.sleep(0.1)
    os._exit(0)
threading.Thread(target=ends_with_the_server, daemon=True).start()
while True:
    threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
END
    MM_SERVICESETTINGS_LISTENADDRESS=${front}2 exec"#;

/// The tarballs of the next releases.
static TARBALLS: LazyLock<Tarballs> = LazyLock::new(Tarballs::make);

struct Tarballs {
    /// Each is made when it is needed.
    paths: [OnceLock<PathBuf>; Next::ALL.len()],
    /// Where they are made, one at a time.
    dir: Mutex<tempfile::TempDir>,
}

pub(super) fn ran(command: &mut Command) {
    let output = command.output().expect("it runs");
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// The beginning of the name of a directory of tarballs; the process that made it comes after it.
const DIRECTORY: &str = "mainstay-stand-ins-";

/// Removes what processes that have ended left: nothing drops a static.
fn remove_left() {
    for entry in std::fs::read_dir(std::env::temp_dir()).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let pid = name.strip_prefix(DIRECTORY).and_then(|rest| rest.split('-').next());
        if pid.is_some_and(|pid| !Path::new("/proc").join(pid).exists()) {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

impl Tarballs {
    fn make() -> Self {
        remove_left();
        let name = format!("{DIRECTORY}{}-", std::process::id());
        let dir = tempfile::Builder::new()
            .prefix(&name)
            .permissions(PermissionsExt::from_mode(0o755))
            .tempdir()
            .expect("a directory");
        let packed = dir.path().join("builtin.tar.gz");
        ran(Command::new(MAINSTAY).args(["release", "pack-builtin"]).arg(&packed));
        ran(Command::new("tar").arg("-C").arg(dir.path()).arg("-xf").arg(&packed));
        let root = dir.path().join("mattermost");
        let (program, real) = (root.join("bin/mattermost"), root.join("bin/server"));
        std::fs::create_dir(&real).expect("made");
        std::fs::rename(&program, real.join("mattermost")).expect("moved");
        // Half of a test build is for debuggers.
        ran(Command::new("strip").arg(real.join("mattermost")));
        std::fs::remove_file(root.join("manifest.txt")).expect("removed");
        Self { paths: Default::default(), dir: Mutex::new(dir) }
    }

    fn path(&self, at: usize, next: Next) -> &PathBuf {
        self.paths[at].get_or_init(|| {
            let dir = self.dir.lock().expect("nobody panicked");
            let program = dir.path().join("mattermost/bin/mattermost");
            std::fs::write(&program, next.program()).expect("written");
            std::fs::set_permissions(&program, PermissionsExt::from_mode(0o755)).expect("executable");
            let path = dir.path().join(format!("{next:?}.tar"));
            ran(Command::new("tar").arg("-C").arg(dir.path()).arg("-cf").arg(&path).arg("mattermost"));
            path
        })
    }
}

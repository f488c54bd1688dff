//! The text of the unit.

use std::path::{Path, PathBuf};
use std::time::Duration;

use host::systemd::{Scope, path, quoted};

use crate::place::layout::Layout;
use crate::state::apps;
use crate::state::settled::Settled;
use crate::world::World;

/// The key by which the unit of a directory is known, also after somebody has edited it.
const DIRECTORY: &str = "X-MainstayDirectory=";

/// The key that tells whether somebody has edited it.
const DIGEST: &str = "X-MainstayDigest=";

/// The variable in which the unit gives the agent the id of the boot, without hyphens.
pub const BOOT_ID: &str = "MAINSTAY_BOOT_ID";

/// How long the agent may be silent before systemd replaces it.
const WATCHDOG: Duration = Duration::from_secs(30);

/// How much longer than its parts the agent may take to stop.
const SLACK: Duration = Duration::from_secs(20);

/// What a unit is written from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct UnitText {
    /// Its name.
    pub name: String,
    /// Whose manager runs it.
    pub scope: Scope,
    /// The mainstay program.
    pub program: PathBuf,
    /// The deployment's directory.
    pub dir: PathBuf,
    /// The user that the server runs as.
    pub user: Option<String>,
    /// Directories outside the deployment's in which the server writes.
    pub writes: Vec<PathBuf>,
    /// The directory of the server's sockets, where it is outside the deployment's: it is gone after a reboot.
    pub sockets: Option<PathBuf>,
    /// How long open requests and the server may take to end.
    pub stop: Duration,
    /// Whether it runs apps: their functions are users of their own, who get directories.
    pub apps: bool,
}

/// The settings whose directories the server writes in. Those that Mainstay decides are in the deployment's directory.
const WRITTEN: [(&str, &str); 6] = [
    ("FileSettings", "Directory"),
    ("ComplianceSettings", "Directory"),
    ("ExportSettings", "Directory"),
    ("ImportSettings", "Directory"),
    ("NotificationLogSettings", "FileLocation"),
    ("BleveSettings", "IndexDir"),
];

/// The unit of a deployment.
pub(crate) fn unit_text(world: &World, settled: &Settled, name: &str, scope: Scope) -> UnitText {
    let layout = &world.layout;
    let in_config = |section: &str, key: &str| settled.config.config.as_ref()?[section][key].as_str();
    let said = |(section, key): (&str, &str)| {
        let declared = settled.resolved.setting(section, key).and_then(|setting| setting.value()?.as_str());
        declared.or_else(|| in_config(section, key)).map(PathBuf::from)
    };
    let outside = |path: &PathBuf| path.is_absolute() && !path.starts_with(layout.root());
    let mut writes: Vec<PathBuf> = WRITTEN.into_iter().filter_map(said).filter(outside).collect();
    writes.sort();
    writes.dedup();
    UnitText {
        name: name.to_owned(),
        scope,
        program: world.mainstay.clone(),
        dir: layout.root().to_owned(),
        user: settled.desired.user.clone().filter(|_| scope == Scope::System),
        writes,
        sockets: layout.local_socket().parent().map(Path::to_owned).filter(outside),
        apps: !apps::deployed(layout).current.is_empty(),
        stop: stop_limit(layout, release::Capabilities::of(&settled.release).stop_limit),
    }
}

/// How long everything may take to stop.
fn stop_limit(layout: &Layout, of_release: Duration) -> Duration {
    let drain = layout.place().drain().unwrap_or(edge::Limits::default().drain);
    let grace = layout.place().grace().unwrap_or(of_release);
    drain + grace + SLACK
}

/// What lies in somebody's home is out of sight for a service, unless it is asked for.
fn in_a_home(path: &Path) -> bool {
    ["/home", "/root", "/run/user"].iter().any(|home| path.starts_with(home))
}

impl UnitText {
    /// The file's text.
    pub(crate) fn text(&self) -> String {
        let bare = self.bare();
        let digest = format!("{DIGEST}{:016x}\n", digest(&bare));
        // Behind the key before it, which every unit has.
        let at = bare.find("\n[Service]").unwrap_or(bare.len());
        format!("{}{digest}{}", &bare[..at], &bare[at..])
    }

    fn bare(&self) -> String {
        let dir = text_of(&self.dir);
        let program = quoted(&text_of(&self.program));
        let in_dir = format!("--dir {}", quoted(&dir));
        let edit = match self.scope {
            Scope::System => format!("systemctl edit {}", self.name),
            Scope::User => format!("systemctl --user edit {}", self.name),
        };
        // A path to the end of the line, without quotes.
        let environment = text_of(&self.dir.join(Layout::BOOT_ENVIRONMENT)).replace('%', "%%");
        let (after, target) = match self.scope {
            Scope::System => (AFTER, "multi-user.target"),
            Scope::User => ("", "default.target"),
        };
        // As root it starts the server as another user; a user's manager has no more rights than the user.
        let (root, whole) = match self.scope {
            Scope::System => ("!", "+"),
            Scope::User => ("", ""),
        };
        format!(
            "# Written by Mainstay. Put changes into a drop-in, which stays when Mainstay writes this file anew: `{edit}`.\n\
             # After a change here, Mainstay leaves this file as it is.\n\
             [Unit]\n\
             Description=Mattermost in {description} (Mainstay)\n\
             {after}RequiresMountsFor={requires}\n\
             StartLimitIntervalSec=0\n\
             {DIRECTORY}{requires}\n\
             \n\
             [Service]\n\
             Type=notify\n\
             {sockets}ExecStart={root}{program} agent {in_dir}\n\
             # Starts every part and tests the deployment; it does nothing where another `mainstay` command started the agent.\n\
             ExecStartPost={whole}{program} {in_dir} up --at-boot\n\
             # A container's boot has an id of its own, which the /proc of a service does not show.\n\
             Environment={BOOT_ID}=%b\n\
             EnvironmentFile=-{environment}\n\
             TimeoutStartSec=infinity\n\
             TimeoutStopSec={stop}\n\
             WatchdogSec={watchdog}\n\
             Restart=on-failure\n\
             RestartSec=2\n\
             # The agent stops the server, and the server its plugins; what is left after that is killed.\n\
             KillMode=mixed\n\
             # The agent restarts a server that ran out of memory.\n\
             OOMPolicy=continue\n\
             {limits}\n\
             [Install]\n\
             WantedBy={target}\n",
            description = dir.replace('%', "%%"),
            requires = path(&dir),
            sockets = self.sockets_made(),
            stop = self.stop.as_secs(),
            watchdog = WATCHDOG.as_secs(),
            limits = self.limits(),
        )
    }

    /// Makes the directory of the server's sockets where it does not survive a reboot.
    fn sockets_made(&self) -> String {
        match (&self.sockets, &self.user) {
            (Some(sockets), Some(user)) => format!(
                "ExecStartPre=+/usr/bin/install --directory --mode=0700 --owner={} {}\n",
                quoted(user),
                quoted(&text_of(sockets))
            ),
            _ => String::new(),
        }
    }

    /// What the service must not do.
    fn limits(&self) -> String {
        if self.scope == Scope::User {
            return USER_LIMITS.to_owned();
        }
        let home = if in_a_home(&self.dir) || in_a_home(&self.program) { "read-only" } else { "yes" };
        let writes = std::iter::once(&self.dir).chain(&self.writes).chain(&self.sockets);
        let writes: Vec<String> = writes.map(|dir| path(&format!("-{}", text_of(dir)))).collect();
        let user = self.user.as_deref().unwrap_or("root");
        let chown = if self.apps { " CAP_CHOWN" } else { "" };
        format!(
            "\n# The server runs as this user. The agent starts as root and keeps few of root's rights: to start programs as other users,\n\
             # to end them, to read and write their files, and to listen on ports below 1024.\n\
             User={user}\n\
             RemoveIPC=yes\n\
             CapabilityBoundingSet=CAP_SETUID CAP_SETGID CAP_KILL CAP_DAC_OVERRIDE CAP_FOWNER CAP_NET_BIND_SERVICE{chown}\n\
             ProtectHome={home}\n\
             ReadWritePaths={}\n\
             {SYSTEM_LIMITS}",
            writes.join(" ")
        )
    }
}

/// What must be there first, where the machine has it: networks, and database servers.
const AFTER: &str = "\
Wants=network-online.target
After=network-online.target nss-lookup.target postgresql.service mysql.service mariadb.service
";

const SYSTEM_LIMITS: &str = "\
NoNewPrivileges=yes
ProtectSystem=strict
PrivateTmp=yes
PrivateMounts=yes
PrivateDevices=yes
DevicePolicy=closed
ProtectProc=invisible
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectKernelLogs=yes
ProtectControlGroups=yes
ProtectClock=yes
ProtectHostname=yes
RestrictSUIDSGID=yes
RestrictRealtime=yes
RestrictNamespaces=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6
LockPersonality=yes
KeyringMode=private
SystemCallArchitectures=native
SystemCallFilter=@system-service landlock_create_ruleset landlock_add_rule landlock_restrict_self
SystemCallFilter=~@resources
SystemCallErrorNumber=EPERM
UMask=0077
";

const USER_LIMITS: &str = "\
NoNewPrivileges=yes
RestrictRealtime=yes
LockPersonality=yes
SystemCallArchitectures=native
";

/// Paths of deployments are UTF-8: others are refused.
fn text_of(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// The directory that a unit's text is about.
pub(super) fn directory(text: &str) -> Option<&str> {
    text.lines().find_map(|line| line.trim().strip_prefix(DIRECTORY))
}

/// The same key for a deployment in `root`.
pub(super) fn directory_of(root: &Path) -> String {
    path(&text_of(root))
}

/// Whether the text is as Mainstay wrote it.
pub(super) fn is_unedited(text: &str) -> bool {
    let is_digest = |line: &&str| line.starts_with(DIGEST);
    let told = text.lines().find(is_digest).and_then(|line| line.strip_prefix(DIGEST));
    let bare: String = text.split_inclusive('\n').filter(|line| !is_digest(line)).collect();
    told.is_some_and(|told| told == format!("{:016x}", digest(&bare)))
}

/// Always the same for one text (FNV-1a): it finds edits, and is no protection.
fn digest(text: &str) -> u64 {
    text.bytes()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(crate) fn system() -> UnitText {
        UnitText {
            name: "mainstay-chat.service".to_owned(),
            scope: Scope::System,
            program: "/usr/local/bin/mainstay".into(),
            dir: "/srv/chat".into(),
            user: Some("mainstay-chat".to_owned()),
            writes: vec!["/mnt/exports".into()],
            sockets: None,
            stop: Duration::from_secs(60),
            apps: false,
        }
    }

    fn golden(name: &str, unit: &UnitText) {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/units").join(name);
        let golden = std::fs::read_to_string(&file).unwrap_or_default();
        let text = unit.text();
        assert!(golden == text, "{} must be:\n{text}", file.display());
    }

    #[test]
    fn units_are_written_as_in_the_golden_files() {
        golden("system.service", &system());
        let user = UnitText { scope: Scope::User, user: None, writes: Vec::new(), ..system() };
        golden("user.service", &UnitText { dir: "/home/jo/50% chat".into(), ..user });
        let deep = UnitText {
            dir: "/home/jo/chat".into(),
            sockets: Some("/run/mainstay-0123456789abcdef".into()),
            apps: true,
            ..system()
        };
        golden("odd.service", &deep);
    }

    #[test]
    fn an_edit_is_seen_and_the_directory_is_known_after_it() {
        let text = system().text();
        assert!(is_unedited(&text));
        assert_eq!(directory(&text), Some(&*directory_of("/srv/chat".as_ref())));
        let edited = text.replace("WatchdogSec=30", "WatchdogSec=90");
        assert!(!is_unedited(&edited) && directory(&edited) == directory(&text));
        assert!(!is_unedited("[Service]\nExecStart=/usr/bin/mainstay up --foreground\n"));
    }
}

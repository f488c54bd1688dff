//! The keys of `mainstay.toml` that are Mainstay's own: how it runs the deployment. One with a dot in its name is in a table.

use crate::kind::Kind;

/// One key of `mainstay.toml`.
#[derive(Debug, Clone, Copy)]
pub struct Key {
    /// Its name.
    pub name: &'static str,
    /// What its value may be.
    pub kind: Kind,
    /// Its default, in words.
    pub default: &'static str,
    /// What it means, for the operator.
    pub meaning: &'static str,
}

/// Every key of Mainstay's own, in the order a new file has them: those at the top, then those in tables, each table together.
///
/// The file may also have tables `[mattermost.SECTION]`, whose keys are those of config.json.
pub const KEYS: &[Key] = &[
    Key {
        name: "edition",
        kind: Kind::Word(&["builtin", "team", "entry", "enterprise"]),
        default: "builtin",
        meaning: "Which server: `builtin` needs no download and no database server",
    },
    Key {
        name: "version",
        kind: Kind::Text,
        default: "the one this Mainstay was made for",
        meaning: "Which version of that server",
    },
    Key {
        name: "database",
        kind: Kind::Word(&["managed"]),
        default: "the database that a setting names; without one, the built-in server's own file, and `managed` for other editions",
        meaning: "Who runs the database: `managed` is a PostgreSQL in this directory that Mainstay makes, starts and stops",
    },
    Key {
        name: "listen",
        kind: Kind::Address,
        default: "127.0.0.1:8065",
        meaning: "Where the edge answers; only this machine can reach a loopback address",
    },
    Key {
        name: "site_url",
        kind: Kind::SiteUrl,
        default: "http://localhost and the port of `listen`",
        meaning: "The address people type; links, sign-in and the websocket's Origin check depend on it",
    },
    Key {
        name: "trusted_proxies",
        kind: Kind::Networks,
        default: "for a site URL of https: loopback and the private networks; otherwise none",
        meaning: "Load balancers in front of the edge; it believes the client addresses that they send",
    },
    Key {
        name: "trusted_proxy_users",
        kind: Kind::Text,
        default: "root, the accounts of services (user ids below 1000) and the user that runs Mainstay",
        meaning: "Users of this machine whose programs may be such a load balancer: names separated by commas, or `everybody`",
    },
    Key {
        name: "shared_addresses",
        kind: Kind::Networks,
        default: "none",
        meaning: "Addresses that many people share, such as an office's router: the edge's limit for one address does not hold for them",
    },
    Key {
        name: "user",
        kind: Kind::Text,
        default: "one for each deployment, named after its directory, when started as root; otherwise whoever started it",
        meaning: "The system user that the server runs as",
    },
    Key {
        name: "boot",
        kind: Kind::Bool,
        default: "true",
        meaning: "Whether the deployment starts when the machine does, where systemd runs the machine",
    },
    Key {
        name: "edge.hold",
        kind: Kind::Int(1, 600),
        default: "60",
        meaning: "How many seconds a request waits at most while the server is replaced; after that it gets a 503 with Retry-After",
    },
    Key {
        name: "release.mirror",
        kind: Kind::Sites,
        default: "https://releases.mattermost.com",
        meaning: "Sites that have the releases of Mattermost in the same directories as its makers' own; asked one after the other",
    },
    Key {
        name: "release.fingerprint",
        kind: Kind::Fingerprint,
        default: "that of Mattermost's makers",
        meaning: "The key that signs the releases, where it is your own",
    },
    Key {
        name: "release.signing_key",
        kind: Kind::Path,
        default: "fetched from where Mattermost's makers publish it, and kept",
        meaning: "A file with the public key that signs the releases; `release.fingerprint` says which key it must be",
    },
    Key {
        name: "self_update.source",
        kind: Kind::Line,
        default: "none: `mainstay self-update --from FILE` names a file or an address",
        meaning: "Where newer versions of Mainstay itself are: an http:// or https:// address, or a directory",
    },
    Key {
        name: "self_update.fingerprint",
        kind: Kind::Fingerprint,
        default: "none: no key of Mainstay's makers is published yet",
        meaning: "The key that signs Mainstay's own program",
    },
    Key {
        name: "self_update.signing_key",
        kind: Kind::Path,
        default: "none",
        meaning: "A file with the public key that signs Mainstay's own program; `self_update.fingerprint` says which key it must be",
    },
    Key {
        name: "backup.repository",
        kind: Kind::Repository,
        default: "backups; in a container the volume /backups",
        meaning: "Where backups are kept: a directory, which lies below the deployment's where the path is not absolute, or `s3://BUCKET/PREFIX`",
    },
    Key {
        name: "backup.endpoint",
        kind: Kind::Url,
        default: "Amazon's, for `region`",
        meaning: "The address of the object storage that `s3://` means",
    },
    Key {
        name: "backup.region",
        kind: Kind::Line,
        default: "the one that AWS_REGION or the AWS profile names; us-east-1 with `endpoint`",
        meaning: "The region of the bucket",
    },
    Key {
        name: "backup.path_style",
        kind: Kind::Bool,
        default: "false",
        meaning: "Whether the bucket is in the path of a request and not in the host name, as MinIO and others need it",
    },
    Key {
        name: "backup.credentials",
        kind: Kind::Path,
        default: "AWS's own: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, a profile, the machine's role",
        meaning: "A file with the credentials, in the form of ~/.aws/credentials, that only its owner can read",
    },
    Key {
        name: "backup.keep_last",
        kind: KEPT,
        default: "all snapshots are kept",
        meaning: "How many of the newest snapshots are kept; as soon as one `keep_` key is given, `backup create` removes what none of them keeps",
    },
    Key {
        name: "backup.keep_daily",
        kind: KEPT,
        default: "none for this reason",
        meaning: "For how many days the newest snapshot of the day is kept",
    },
    Key {
        name: "backup.keep_weekly",
        kind: KEPT,
        default: "none for this reason",
        meaning: "For how many weeks the newest snapshot of the week is kept",
    },
    Key {
        name: "backup.keep_monthly",
        kind: KEPT,
        default: "none for this reason",
        meaning: "For how many months the newest snapshot of the month is kept",
    },
    Key {
        name: "backup.keep_yearly",
        kind: KEPT,
        default: "none for this reason",
        meaning: "For how many years the newest snapshot of the year is kept",
    },
    Key {
        name: "backup.with_release",
        kind: Kind::Bool,
        default: "false",
        meaning: "Whether a snapshot also holds the files of the release, so that a restore needs no download",
    },
    Key {
        name: "backup.limit",
        kind: Kind::Rate,
        default: "no limit",
        meaning: "How fast a repository is read and written at most",
    },
    Key {
        name: "backup.scratch",
        kind: Kind::Path,
        default: "the deployment's directory",
        meaning: "A directory on another disk in which a drill and a rehearsal of an upgrade make their copy",
    },
    Key {
        name: "backup.watch",
        kind: Kind::Bool,
        default: "false",
        meaning: "Whether `mainstay status --check` fails while the newest backup, check or drill is one that failed",
    },
    Key {
        name: "updates.policy",
        kind: Kind::Word(::updates::Policy::WORDS),
        default: "none",
        meaning: "Which releases are installed by themselves: `security` the newest of the installed line where it has a missing security fix, `patch` the newest of that line, `esr` the newest extended support release",
    },
    Key {
        name: "updates.window",
        kind: Kind::Windows,
        default: "at any time",
        meaning: "When an update may begin, by the machine's clock",
    },
    Key {
        name: "updates.delay",
        kind: Kind::Delay,
        default: "0d",
        meaning: "How long a release must have been out before it is installed by itself",
    },
    Key {
        name: "updates.freeze",
        kind: Kind::Days,
        default: "no day",
        meaning: "Days on which no update begins by itself",
    },
    Key {
        name: "updates.advisories",
        kind: Kind::Source,
        default: "https://securityupdates.mattermost.com/security_updates.json",
        meaning: "Where the makers' security advisories are read: a mirror's address, or a file on a machine without a network",
    },
    Key {
        name: "updates.releases",
        kind: Kind::Source,
        default: "https://api.github.com/repos/mattermost/mattermost/releases?per_page=100",
        meaning: "Where the makers' list of releases is read, which says which of them have security fixes: a mirror's address, or a file",
    },
    Key {
        name: "updates.mail",
        kind: Kind::Email,
        default: "nobody",
        meaning: "Who is told by mail of missing security fixes and of updates, over the mail server of the settings",
    },
    Key {
        name: "updates.webhook",
        kind: Kind::Path,
        default: "none",
        meaning: "A file with the address of an incoming webhook of a Mattermost, which is told the same",
    },
    Key {
        name: "updates.watch",
        kind: Kind::Bool,
        default: "false",
        meaning: "Whether `mainstay status --check` fails while a security fix is over-due or the last update by itself failed",
    },
];

/// How many snapshots can be kept.
const KEPT: Kind = Kind::Int(0, 10_000);

/// The tables that have keys of Mainstay's own.
pub(crate) fn tables() -> impl Iterator<Item = &'static str> {
    let mut last = "";
    let tables = KEYS.iter().filter_map(|key| Some(key.name.split_once('.')?.0));
    tables.filter(move |table| std::mem::replace(&mut last, table) != *table)
}

/// The row named `name`.
pub(crate) fn key(name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.name == name)
}

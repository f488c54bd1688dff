//! Every command of the README and the pages for operators is run, in the order of the page, as root on a machine of its own: its
//! network and files are separate (`machine.sh`), so that names such as `chat.example.com`, port 443 and `/var/lib/mainstay` are what
//! the page says. Blocks of TOML go into `mainstay.toml`, blocks for nginx into its configuration.
//!
//! Not run here: commands of Docker, which `full/docker.rs` runs, and those in [`ELSEWHERE`].

mod apps;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::place::MAINSTAY;
use crate::shown::{Shown, shown};

/// A page, and what there has to be before a reader types its commands.
#[derive(Default)]
struct Page {
    /// From the root of the repository.
    path: &'static str,
    /// Functions of `machine.sh`.
    services: &'static str,
    /// What happens before a command, which is found by how it begins.
    before: &'static [(&'static str, &'static str)],
    /// Commands that another page shows too, with what they need.
    on_another_page: &'static [&'static str],
}

/// Commands that do not run here: how they begin, and why.
const ELSEWHERE: [(&str, &str); 22] = [
    ("gpg", "needs the key of whoever builds Mainstay; full/self_update.rs signs with one"),
    ("mainstay rollback", "needs an upgrade to another release; full/upgrade.rs runs it"),
    ("docker", "Docker's own tests run it"),
    ("cargo", "builds or tests Mainstay itself"),
    ("mainstay image build --load", "Docker's own tests run it"),
    ("mainstay image build --release mattermost-team", "needs a release of Mattermost's"),
    ("mainstay verify --url http://localhost:8080", "Docker's own tests run it"),
    (
        "mainstay apps install",
        "needs Mattermost's Apps plugin; full/apps_mattermost.rs runs it with a server that has one",
    ),
    ("mainstay up --edition", "needs the makers' site; full/fetch.rs runs it with a site of its own"),
    ("mainstay up --release mattermost-team", "needs a release of Mattermost's; full/official.rs runs it"),
    ("mainstay release verify FILE", "as `mainstay up --edition`"),
    ("mainstay release refresh", "as `mainstay up --edition`"),
    ("mainstay release fetch", "as `mainstay up --edition`"),
    ("./mainstay release verify", "as `mainstay up --edition`"),
    ("./mainstay up --edition", "as `mainstay up --edition`"),
    ("mysql --default-character-set", "needs a MariaDB; the tests of `database` load a dump into one"),
    (
        "mainstay settings secrets rotate database_password",
        "needs a managed database; full/managed_killed.rs runs it",
    ),
    ("mainstay database move --to address", "needs another PostgreSQL; full/moves.rs runs it"),
    ("mainstay self-update", "needs a program that somebody has signed; full/self_update.rs runs it"),
    ("mainstay apps enable", "as `mainstay apps install`"),
    ("mainstay apps disable", "as `mainstay apps install`"),
    ("mainstay apps uninstall", "as `mainstay apps install`"),
];

/// Words that stand for another, and the one that is typed here.
const PLACEHOLDERS: [(&str, &str); 14] = [
    ("history RUN", "history 1"),
    ("restore ID --only files --into DIR", "restore latest --only files --into mended"),
    ("--user NAME", "--user nobody"),
    ("explain NAME", "explain MATTERMOST_NAME"),
    ("explain SECTION.KEY", "explain TeamSettings.SiteName"),
    ("OPERATION --json --dir DIR", "verify --json --dir /var/lib/mainstay"),
    ("--create-database FILE", "--create-database admin"),
    ("--from DIR", "--from mattermost-image"),
    ("--repository /mnt/backups", "--repository /srv/backups"),
    ("--into /tmp/found", "--into found"),
    ("apps logs ID", "apps logs com.example.hello"),
    ("restore 1a2b3c4d", "restore latest"),
    ("restore 2026-11-27T14:30", "restore 2100-01-01T00:00"),
    ("--bucket BUCKET", "--bucket mattermost-apps-bucket"),
];

/// What is typed at the questions of commands.
fn typed(command: &str) -> &'static str {
    if command == "mainstay shell" { "exit 0\\n" } else { "y\\n" }
}

/// How `machine.sh` runs a command.
fn manner(command: &str) -> &'static str {
    let stays = command.starts_with("mainstay apps run") || command.starts_with("mainstay apps serve");
    let never_ends = (stays && !command.contains("--unit"))
        || command.contains(" -f")
        || command.contains(" --follow")
        || command.contains(" --every")
        || command.contains(" --foreground");
    match command {
        _ if never_ends => "interrupted",
        _ if command.starts_with("mainstay ") && !command.contains('>') => "terminal",
        _ => "here",
    }
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the repository")
}

impl Page {
    /// The part of the script that runs the page's commands.
    fn script(&self, shown: &[Shown], work: &Path) -> String {
        let mut script = String::new();
        let mut run = BTreeSet::new();
        for (number, Shown { line, language, text }) in shown.iter().enumerate() {
            if language == "toml" {
                let file = work.join(format!("{number}.toml"));
                std::fs::write(&file, text).expect("a block");
                let _ = writeln!(script, "up; toml {}", quoted(&file.display().to_string()));
            }
            let elsewhere = ELSEWHERE.iter().any(|(start, _)| text.starts_with(start))
                || self.on_another_page.contains(&text.as_str());
            if language != "sh" || elsewhere || !run.insert(text) {
                continue;
            }
            for (_, before) in self.before.iter().filter(|(start, _)| text.starts_with(start)) {
                let _ =
                    writeln!(script, "{{ {before}; }} > out/before 2>&1 || {{ cat out/before; exit 92; }}");
            }
            let typed_text =
                PLACEHOLDERS.iter().fold(text.clone(), |text, (name, value)| text.replace(name, value));
            // What makes a deployment finds none, or its own.
            let makes_one = ["mainstay up", "mainstay restore --repository"].iter().any(|start| {
                text.strip_prefix(start).is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
            });
            if text.starts_with("mainstay ") && !makes_one {
                script.push_str("up\n");
            }
            let _ = writeln!(
                script,
                "command {line}.{number} {} {} {}",
                manner(text),
                quoted(typed(text)),
                quoted(&typed_text)
            );
        }
        script.push_str("exit $failed\n");
        script
    }

    /// Runs the page's commands.
    fn run(&self) {
        let work = tempfile::Builder::new().prefix("mainstay-page-").tempdir().expect("a directory");
        std::os::unix::fs::chown(work.path(), Some(0), Some(0)).expect("root");
        let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(work.path(), open).expect("open to the server's user");
        let names = ["chat", "smtp", "git", "registry", "db"].map(|name| format!("{name}.example.com"));
        testbed::certificate::write(work.path(), &names.each_ref().map(String::as_str), false);
        let text = std::fs::read_to_string(root().join(self.path)).expect("the page");
        let shown = shown(&text);
        let balancer = std::fs::read_to_string(root().join("docs/https.md")).expect("the page about HTTPS");
        std::fs::write(work.path().join("nginx.conf"), nginx(&balancer, work.path())).expect("nginx.conf");
        let script = format!("{}\n{}", include_str!("machine.sh"), self.script(&shown, work.path()));
        let file = work.path().join("script.sh");
        std::fs::write(&file, script).expect("the script");
        let ran = Command::new("unshare")
            .args(["--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "sh"])
            .arg(&file)
            .env("WORK", work.path())
            .env("MAINSTAY", MAINSTAY)
            .env("STATIC", super::docker::static_mainstay())
            .env("CLIENTS", root().join("target/clients"))
            .env("FIXTURES", root().join("crates/services/tests/it"))
            .env("SERVICES", self.services)
            .env_remove("RUST_BACKTRACE")
            .stdin(Stdio::null())
            .output()
            .expect("unshare runs");
        let printed =
            format!("{}{}", String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
        assert!(ran.status.success(), "{}: {printed}", self.path);
    }
}

/// nginx with the lines that a page says, in front of the deployment; and in front of the GitLab and the registry.
fn nginx(page: &str, work: &Path) -> String {
    let lines =
        shown(page).into_iter().find(|shown| shown.language == "nginx").expect("lines for nginx").text;
    let map = page.split('`').find(|span| span.starts_with("map ")).expect("the map that the page names");
    let work = work.display();
    let tls =
        |name: &str, inside: &str| format!("server {{ listen 443 ssl; server_name {name}; {inside} }}\n");
    let pass = |port: u16, path: &str| {
        format!("proxy_pass http://127.0.0.1:{port}{path}; proxy_set_header Host $http_host;")
    };
    let git = [("/oauth/authorize", "/authorize"), ("/oauth/token", "/token"), ("/api/v4/user", "/userinfo")]
        .map(|(there, here)| format!("location {there} {{ {} }}", pass(9000, here)))
        .join(" ");
    format!(
        "daemon off; master_process off; pid {work}/machine/nginx.pid; error_log stderr;\nevents {{}}\nhttp {{\naccess_log off;\n\
         client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi; scgi_temp_path scgi;\n\
         ssl_certificate {work}/server.pem; ssl_certificate_key {work}/server.key;\n{map}\n\
         server {{ listen 80; return 301 https://$host$request_uri; }}\n{}{}{}}}\n",
        tls("chat.example.com", &lines),
        tls("git.example.com", &git),
        tls(
            "registry.example.com",
            &format!(
                "client_max_body_size 0; location / {{ {} proxy_set_header X-Forwarded-Proto https; }}",
                pass(5000, "")
            )
        )
    )
}

/// Mainstay behind the load balancer, as the page about HTTPS says.
const PUBLIC: &str = "mainstay up --listen 10.0.0.5:8065 --site-url https://chat.example.com";

/// Mainstay as it is at first.
const LOCAL: &str = "mainstay up --listen 127.0.0.1:8065 --site-url http://localhost:8065";

#[test]
fn readme() {
    Page {
        path: "README.md",
        services: "",
        on_another_page: &[
            "mainstay settings test-mail you@example.com",
            "mainstay verify --url https://chat.example.com",
            "mainstay image push",
            "mainstay backup check",
            "mainstay up --release FILE --take-over /opt/mattermost/config/config.json",
        ],
        ..Page::default()
    }
    .run();
}

#[test]
fn quick_start() {
    Page {
        path: "docs/quick-start.md",
        services: "balancer",
        before: &[("mainstay verify --browser", LOCAL)],
        ..Page::default()
    }
    .run();
}

#[test]
fn verify() {
    const OPEN: &str = "grep -q EnableOpenServer /var/lib/mainstay/mainstay.toml || printf '[mattermost.TeamSettings]\\nEnableOpenServer = true\\nEnableUserDeactivation = true\\n' >> /var/lib/mainstay/mainstay.toml";
    Page {
        path: "docs/verify.md",
        services: "balancer",
        before: &[
            ("mainstay verify --url https://chat.example.com", OPEN),
            ("mainstay verify --url https://chat.example.com", PUBLIC),
            ("mainstay verify --url https://chat.example.com --admin-token", "token"),
            ("mainstay verify --browser", LOCAL),
        ],
        ..Page::default()
    }
    .run();
}

#[test]
fn https() {
    Page {
        path: "docs/https.md",
        services: "balancer",
        before: &[("mainstay up", PUBLIC)],
        ..Page::default()
    }
    .run();
}

#[test]
fn databases() {
    const MAKE: &str = "psql -U postgres -c \"create role mattermost login password 'PASSWORD'\" -c 'create database mattermost owner mattermost'";
    const DROP: &str =
        "mainstay uninstall --yes; psql -U postgres -c 'drop database mattermost' -c 'drop role mattermost'";
    Page {
        path: "docs/databases.md",
        services: "postgres",
        // What is about the database that Mainstay runs is in `full/managed.rs`; `psql` waits at its prompt and its pager.
        on_another_page: &[
            "mainstay up --database managed",
            "mainstay shell database",
            "mainstay shell database -- -c 'select 1'",
            "mainstay restart database",
            "mainstay logs database",
            "mainstay database upgrade",
        ],
        before: &[("export", MAKE), ("psql", DROP), ("mainstay up --create-database admin", DROP)],
    }
    .run();
}

#[test]
fn apps_write() {
    const OLD: &str = r#"echo '{"app_id": "com.example.old", "app_type": "http", "root_url": "https://example.com/app", "homepage_url": "https://example.com"}' > old.json"#;
    Page { path: "docs/apps-write.md", before: &[("mainstay apps convert", OLD)], ..Page::default() }.run();
}

#[test]
fn releases() {
    const OLD: &str = "mkdir -p /opt/mattermost/config && echo '{}' > /opt/mattermost/config/config.json";
    Page { path: "docs/releases.md", before: &[("mainstay release path 10.5.14", OLD)], ..Page::default() }
        .run();
}

#[test]
fn upgrade() {
    Page { path: "docs/upgrade.md", before: &[("mainstay upgrade --plan", LOCAL)], ..Page::default() }.run();
    let before = &[("mainstay upgrade --rehearse --plan", LOCAL)];
    Page { path: "docs/rehearse.md", before, ..Page::default() }.run();
}

#[test]
fn rollback() {
    Page { path: "docs/rollback.md", ..Page::default() }.run();
}

#[test]
fn security() {
    Page { path: "docs/security.md", before: &[("mainstay security watch", "up")], ..Page::default() }.run();
}

#[test]
fn backup() {
    Page { path: "docs/backup.md", ..Page::default() }.run();
}

#[test]
fn backup_check() {
    const KEPT: &str = "[ -e /root/mattermost-backup.key ] || { up && mainstay backup create && mainstay backup key export /root/mattermost-backup.key; }";
    Page { path: "docs/backup-check.md", before: &[("mainstay backup check", KEPT)], ..Page::default() }
        .run();
}

#[test]
fn restore() {
    const AWAY: &str = "mainstay backup key export backup.key && mkdir /srv/backups && cp -a /var/lib/mainstay/backups/. /srv/backups/ && mainstay uninstall --yes";
    const AGAIN: &str = "[ -e /var/lib/mainstay/backups/config ] || mainstay backup create; rm -rf found";
    Page {
        path: "docs/restore.md",
        before: &[
            ("mainstay backup create", "up && picture"),
            ("mainstay restore --repository", AWAY),
            ("mainstay restore --only", AGAIN),
        ],
        ..Page::default()
    }
    .run();
}

#[test]
fn mail() {
    Page { path: "docs/mail.md", services: "mailserver", ..Page::default() }.run();
}

#[test]
fn gitlab_sign_in() {
    Page {
        path: "docs/gitlab-sign-in.md",
        services: "gitlab balancer",
        before: &[("mainstay settings test-gitlab", PUBLIC)],
        ..Page::default()
    }
    .run();
}

#[test]
fn images() {
    Page {
        path: "docs/images.md",
        services: "registry balancer",
        before: &[("mainstay image push registry.example.com/team/chat:1 --from", "echo token > token.txt")],
        ..Page::default()
    }
    .run();
}

#[test]
fn accounts() {
    Page {
        path: "docs/accounts.md",
        before: &[(
            "mainstay admin reset-password anna --password-file",
            "echo 'a horse 7 of battery' > FILE",
        )],
        ..Page::default()
    }
    .run();
}

#[test]
fn operate() {
    // The page has removed the deployment before, and its history with it.
    Page {
        path: "docs/operate.md",
        before: &[
            ("mainstay --dir /srv/chat down", "mainstay --dir /srv/chat up --listen 127.0.0.1:8070"),
            ("mainstay --dir /srv/new up", "mv /srv/chat /srv/new"),
            ("mainstay history 2", "up && mainstay restart"),
        ],
        on_another_page: &["mainstay restart database"],
        ..Page::default()
    }
    .run();
}

#[test]
fn take_over() {
    Page {
        path: "docs/take-over.md",
        on_another_page: &["mainstay admin reset-password NAME"],
        ..Page::default()
    }
    .run();
}

/// The pages that need nothing but Mainstay.
#[test]
fn other_pages() {
    let source = concat!(include_str!("pages.rs"), include_str!("pages/apps.rs"));
    for entry in std::fs::read_dir(root().join("docs")).expect("docs") {
        let name = entry.expect("an entry").file_name().into_string().expect("text");
        let path = format!("docs/{name}");
        // The page about the start at boot runs where systemd does: see `full::boot`.
        if name.ends_with(".md")
            && name != "start-at-boot.md"
            && !source.contains(&format!("path: \"{path}\""))
        {
            Page { path: path.leak(), ..Page::default() }.run();
        }
    }
}

//! Settings made from other settings: the site URL and the database address, and documented defaults that follow from a declared
//! value.

use std::path::PathBuf;

use dsn::{Engine, Host, Part, Server, Tls, TlsMode, Unwritable};
use secrecy::ExposeSecret as _;
use serde_json::Value;

use crate::capability;
use crate::finding::{Finding, HIDDEN, Notice};
use crate::kind::Kind;
use crate::layering::Layering;
use crate::origin::Origin;

const SITE_URL: (&str, &str) = ("ServiceSettings", "SiteURL");

impl Layering {
    /// Builds the site URL and the database address from their parts.
    pub(crate) fn compose(&mut self, default_site_url: Option<&str>) {
        self.compose_site_url();
        self.settle_site_url(default_site_url);
        self.compose_data_source();
    }

    fn compose_site_url(&mut self) {
        let Some(host) = self.input("MATTERMOST_HOST").map(str::to_owned) else {
            let lone = ["MATTERMOST_HTTPS", "MATTERMOST_PORT"]
                .into_iter()
                .filter_map(|name| Some((name, self.inputs.get(name)?.origin.clone())));
            for (name, origin) in lone.collect::<Vec<_>>() {
                if self.text("ServiceSettings", "SiteURL").is_none() {
                    self.notice(&origin, name, "it only counts together with MATTERMOST_HOST");
                }
            }
            return;
        };
        let https = self.inputs.get("MATTERMOST_HTTPS").is_some_and(|layer| layer.value == true);
        let scheme = if https { "https" } else { "http" };
        let host = if host.contains(':') { format!("[{host}]") } else { host };
        let port = self.input("MATTERMOST_PORT").filter(|port| *port != if https { "443" } else { "80" });
        let url = match port {
            Some(port) => format!("{scheme}://{host}:{port}"),
            None => format!("{scheme}://{host}"),
        };
        let from = self.said(&["MATTERMOST_HOST", "MATTERMOST_HTTPS", "MATTERMOST_PORT"]);
        self.lay_at("ServiceSettings", "SiteURL", Origin::Composed { from }, url);
    }

    /// Brings every layer of the site URL to one form, so that it is the same text wherever it was given. Where `default` is there,
    /// an empty one is none.
    fn settle_site_url(&mut self, default: Option<&str>) {
        if let Some(setting) = self.settings.get_mut(&SITE_URL) {
            setting.change_texts(|text| match Kind::SiteUrl.read(text) {
                _ if text.is_empty() && default.is_some() => None,
                Ok(url) => Some(url),
                // What is wrong with it is told by the check that follows.
                Err(_) => Some(text.into()),
            });
        }
        if let Some(url) = default {
            self.lay_at(SITE_URL.0, SITE_URL.1, Origin::Derived { from: "listen".to_owned() }, url);
        }
    }

    fn compose_data_source(&mut self) {
        const PARTS: [&str; 9] = [
            "DB_HOST",
            "DB_ADAPTER",
            "DB_PORT",
            "DB_NAME",
            "DB_USER",
            "DB_PASS",
            "DB_ENCODING",
            "DB_SSLMODE",
            "DB_SSLROOTCERT",
        ];
        let from = self.said(&PARTS);
        let Some(host_text) = self.input("DB_HOST").map(str::to_owned) else {
            // A name or a password alone would have no effect, and no one would notice.
            let lone = PARTS.iter().find_map(|name| Some((*name, self.inputs.get(name)?.origin.clone())));
            if let Some((name, origin)) = lone {
                self.findings.push(
                    Finding::new(origin, name, "is given without DB_HOST")
                        .allowed("give DB_HOST as well, or leave it out"),
                );
            }
            return;
        };
        let engine = match self.input("DB_ADAPTER") {
            Some("postgres") => Engine::Postgres,
            _ => Engine::MySql,
        };
        let Ok(host) = Host::parse(&host_text) else {
            let allowed = "a name of the letters a to z, digits, - _ and dots, or an IP address";
            return self.unwritable(engine, "DB_HOST", &host_text, allowed);
        };
        let text = |name: &str, default: &str| self.input(name).unwrap_or(default).to_owned();
        let mut server = Server::new(engine, host);
        server.port = self.input("DB_PORT").and_then(|port| port.parse().ok()).unwrap_or(server.port);
        server.name = text("DB_NAME", "mattermost");
        server.user = text("DB_USER", engine.default_user());
        server.password = text("DB_PASS", "").into();
        server.tls.ca = self.input("DB_SSLROOTCERT").filter(|path| !path.is_empty()).map(PathBuf::from);
        // Whoever names an authority wants it to be asked.
        let unsaid = if server.tls.ca.is_some() { TlsMode::VerifyFull } else { TlsMode::Disable };
        server.tls.mode = TlsMode::of_sslmode(&text("DB_SSLMODE", "")).unwrap_or(unsaid);
        // Without a limit the server waits for ever when a connection is cut without a word from the other end.
        server.parameters = match engine {
            Engine::Postgres => [("connect_timeout".to_owned(), "10".to_owned())].into(),
            Engine::MySql => [
                ("charset".to_owned(), text("DB_ENCODING", "utf8mb4,utf8")),
                ("readTimeout".to_owned(), "30s".to_owned()),
                ("writeTimeout".to_owned(), "30s".to_owned()),
            ]
            .into(),
        };
        self.check_encoding(engine);
        self.check_authority(engine, &server.tls);
        for bad in server.unwritable() {
            let (part, allowed) = match bad {
                Unwritable::Characters { part, without } => (part, format!("text without {without:?}")),
                Unwritable::Nul(part) => (part, "text without a NUL character".to_owned()),
                // Said by `check_authority`.
                Unwritable::Authorities => continue,
            };
            let (row, value) = match part {
                Part::User => ("DB_USER", &*server.user),
                Part::Name => ("DB_NAME", &*server.name),
                Part::Socket => ("DB_HOST", &*host_text),
                Part::Password => ("DB_PASS", HIDDEN),
            };
            self.unwritable(engine, row, value, &allowed);
        }
        self.lay_at(
            "SqlSettings",
            "DriverName",
            Origin::Composed { from: from.clone() },
            engine.driver_name(),
        );
        if let Ok(data_source) = server.data_source() {
            self.lay_at("SqlSettings", "DataSource", Origin::Composed { from }, data_source.expose_secret());
        }
    }

    /// Refuses a value that cannot be written into a database address.
    fn unwritable(&mut self, engine: Engine, row: &'static str, value: &str, allowed: &str) {
        let origin = self.inputs.get(row).map_or(Origin::Default, |layer| layer.origin.clone());
        let problem = format!("is `{value}`, which cannot be written into a {engine} address");
        self.findings.push(Finding::new(origin, row, problem).allowed(format!("allowed: {allowed}")));
    }

    /// Checks the file of authorities.
    fn check_authority(&mut self, engine: Engine, tls: &Tls) {
        const ROW: &str = "DB_SSLROOTCERT";
        let (Some(path), Some(layer)) = (&tls.ca, self.inputs.get(ROW)) else { return };
        let origin = layer.origin.clone();
        if engine == Engine::MySql {
            let problem = "is given, and Mattermost's MySQL driver takes no file of authorities";
            let finding = Finding::new(origin, ROW, problem);
            self.findings.push(
                finding.allowed("add the authority to this machine's trusted certificates, and leave it out"),
            );
        } else if !path.is_absolute() {
            let problem = format!("is `{}`, which is no absolute path", path.display());
            self.findings.push(
                Finding::new(origin, ROW, problem).allowed("allowed: the path of a PEM file, from `/` on"),
            );
        } else if tls.mode == TlsMode::Disable {
            self.notice(&origin, ROW, "DB_SSLMODE is disable, so the certificate is not verified");
        }
    }

    /// Checks the character sets that are given to MySQL's driver.
    fn check_encoding(&mut self, engine: Engine) {
        const ROW: &str = "DB_ENCODING";
        let Some(origin) = self.inputs.get(ROW).map(|layer| layer.origin.clone()) else { return };
        let text = self.input(ROW).unwrap_or_default().to_owned();
        if engine == Engine::Postgres {
            return self.notice(&origin, ROW, "PostgreSQL's databases are in UTF8; leave it out");
        }
        let is_name =
            |set: &str| !set.is_empty() && set.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        if !text.split(',').all(is_name) {
            let finding =
                Finding::new(origin, ROW, format!("is `{text}`, which is not a list of character sets"));
            self.findings.push(finding.allowed("allowed: utf8mb4,utf8 or utf8mb4"));
        } else if !text.starts_with("utf8mb4") {
            let what = "it cannot hold every character, and posts with emoji fail; leave it out";
            self.notices.push(Notice::about(origin, ROW, what));
        }
    }

    /// Adds the documented defaults that follow from declared values.
    pub(crate) fn derive(&mut self) {
        let text = |value: &Value| value.as_str().filter(|text| !text.is_empty()).map(Value::from);
        let address = |value: &Value| Kind::Email.read(value.as_str()?).ok();
        let yes = |value: &Value| text(value).map(|_| Value::from(true));
        // The order matters: some follow from values that follow from others.
        self.follow(("TeamSettings", "SiteName"), ("EmailSettings", "FeedbackName"), text);
        self.follow(("EmailSettings", "SMTPUsername"), ("EmailSettings", "FeedbackEmail"), address);
        self.follow(("EmailSettings", "FeedbackEmail"), ("EmailSettings", "ReplyToAddress"), text);
        self.follow(("EmailSettings", "SMTPUsername"), ("EmailSettings", "EnableSMTPAuth"), yes);
        self.follow(("EmailSettings", "SMTPServer"), ("EmailSettings", "SendEmailNotifications"), yes);
        self.follow(("EmailSettings", "SMTPServer"), ("EmailSettings", "RequireEmailVerification"), yes);
        self.follow(
            ("EmailSettings", "PushNotificationServer"),
            ("EmailSettings", "SendPushNotifications"),
            yes,
        );
        self.follow(("FileSettings", "PublicLinkSalt"), ("FileSettings", "EnablePublicLink"), yes);
        self.follow(("GitLabSettings", "Secret"), ("GitLabSettings", "Enable"), yes);
        if self.text("ServiceSettings", "SiteURL").is_some() {
            let sent = |value: &Value| (*value == true).then(|| Value::from(true));
            self.follow(
                ("EmailSettings", "SendEmailNotifications"),
                ("EmailSettings", "EnableEmailBatching"),
                sent,
            );
        }
    }

    /// Where `source` is declared, or follows from a declared value, `target` follows from it.
    fn follow(
        &mut self,
        source: (&str, &str),
        target: (&str, &str),
        value: impl Fn(&Value) -> Option<Value>,
    ) {
        let said = self.at(source.0, source.1).and_then(|setting| {
            let origin = setting
                .origin()
                .filter(|origin| origin.is_given() || matches!(origin, Origin::Derived { .. }))?;
            let from = match origin {
                Origin::Derived { from } => from.clone(),
                _ => setting.name(),
            };
            Some((from, value(setting.value()?)?))
        });
        // Nothing follows that locks people out, or that the server would promise and not do.
        if let Some((from, value)) = said
            && capability::may_follow(self.server, target.0, target.1, &value)
        {
            self.lay_at(target.0, target.1, Origin::Derived { from }, value);
        }
    }

    /// Which of these rows are given, each by the variable that gives it.
    fn said(&self, rows: &[&'static str]) -> Vec<String> {
        let said = rows.iter().filter_map(|row| Some((row, self.inputs.get(row)?)));
        let names = said.map(|(row, layer)| match &layer.origin {
            Origin::Variable { name, .. } => name.clone(),
            _ => (*row).to_owned(),
        });
        // The variable of a link's address gives the adapter as well.
        let mut names: Vec<String> = names.collect();
        names.dedup();
        names
    }
}

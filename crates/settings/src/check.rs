//! Checks that need more than one value: missing partners, contradictions, rules of a release.

use dsn::DataSource;
use serde_json::Value;
use url::Url;
use version::Series;

use crate::capability::{self, Effect};
use crate::finding::{Finding, Notice};
use crate::kind::Kind;
use crate::layering::Layering;
use crate::origin::Origin;
use crate::placeholder;
use crate::published;
use crate::required::{self, At, Said};
use crate::resolved::Setting;
use crate::server::Line;

/// The first release without MySQL (upgrade notes of 11.0).
const WITHOUT_MYSQL: Series = Series::new(11, 0);

/// What a value of that setting may be in that version, where that is more than its type.
fn kind_of(setting: &Setting, version: Series) -> Option<Kind> {
    required::kind(setting.section, setting.key, setting.row, version)
}

impl Layering {
    /// Writes words as the server does, which compares them letter by letter.
    pub(crate) fn settle_words(&mut self) {
        for setting in self.settings.values_mut() {
            let Some(Kind::Word(_)) = kind_of(setting, self.version) else { continue };
            let (kind, row) = (kind_of(setting, self.version), setting.row);
            setting.change_texts(|text| {
                // A row has synonyms too. What is no word is told by the check that follows.
                let read = match row {
                    Some(row) if matches!(row.kind, Kind::Word(_)) => row.read(text),
                    _ => kind.map_or(Ok(text.into()), |kind| kind.read(text)),
                };
                Some(read.unwrap_or_else(|_| text.into()))
            });
        }
    }

    /// Finds what is wrong between settings.
    pub(crate) fn check(&mut self) {
        self.check_ranges();
        self.check_effects();
        self.check_published();
        self.check_origins();
        self.check_partners();
        self.check_site_url();
        self.check_locales();
        self.check_database();
        self.check_data_source();
    }

    /// Checks the values that were not given by a row's name against the row as well, and reports every value that the server would
    /// refuse to start with, alone or together with others.
    fn check_ranges(&mut self) {
        let mut findings = Vec::new();
        for setting in self.settings.values() {
            let (Some(value), Some(origin)) = (setting.value(), setting.origin()) else { continue };
            let Some(kind) = kind_of(setting, self.version) else { continue };
            // What it follows from is told.
            if matches!(origin, Origin::Derived { .. }) {
                continue;
            }
            if let Some(problem) = kind.problem_of(value) {
                let finding = Finding::new(origin.clone(), setting.name(), problem).allowed(kind.allowed());
                findings.push(finding.value(&setting.shown(value), setting.secret));
            }
        }
        let said = |section: &str, key: &str| {
            let setting = self.at(section, key)?;
            let given = setting.origin().is_some_and(Origin::is_given);
            Some(Said { value: setting.value()?.clone(), given })
        };
        for (at, problem, allowed) in required::together(self.server, &said) {
            self.find_at(at, problem, allowed.to_owned());
        }
        self.findings.append(&mut findings);
    }

    /// Says what the server does not do, and refuses what must not be missing.
    fn check_effects(&mut self) {
        let given = self.settings.values().filter_map(|setting| {
            let origin = setting.origin().filter(|origin| origin.is_given())?;
            let effect = capability::effect(self.server, setting.section, setting.key, setting.value()?);
            // What several variables make is said of each.
            let names = match origin {
                Origin::Composed { from } => from.clone(),
                _ => vec![setting.name()],
            };
            Some((origin.clone(), names, setting.shown(setting.value()?), effect))
        });
        for (origin, names, shown, effect) in given.collect::<Vec<_>>() {
            match effect {
                Effect::Followed => {}
                Effect::Nothing { why } => {
                    for name in names {
                        // It says more than what some release changed.
                        self.notices.retain(|notice| {
                            notice.name != name || notice.effective == (notice.since.is_none())
                        });
                        self.notice(&origin, &name, why.clone());
                    }
                }
                Effect::Refused { why, instead } => {
                    let name = names.into_iter().next().unwrap_or_default();
                    let problem = format!("is {shown}: {why}");
                    self.findings.push(Finding::new(origin, name, problem).allowed(instead));
                }
            }
        }
    }

    /// Says which keys everybody knows.
    fn check_published(&mut self) {
        let known = self.settings.values().filter_map(|setting| {
            let (row, text) = (setting.row?, setting.value()?.as_str()?);
            let (origin, name) = (setting.origin()?.clone(), setting.name());
            let found = published::published_row(row, text)?;
            if self.effect(setting.section, setting.key, setting.value()?) != Effect::Followed {
                return None;
            }
            let given_by = match &origin {
                Origin::Secrets | Origin::Default | Origin::Derived { .. } => None,
                Origin::File { path, line } => Some(format!("line {line} out of {}", path.display())),
                Origin::Flag => Some(format!("{name} out of the command line")),
                _ => Some(format!("{name} out of the environment")),
            };
            let what = format!("{}. {}", found.danger(), found.fix(given_by.as_deref()));
            Some(Notice::warning(origin, name, what))
        });
        let known: Vec<_> = known.collect();
        self.notices.extend(known);
    }

    /// Says what `*` opens.
    fn check_origins(&mut self) {
        const ORIGINS: At = ("ServiceSettings", "AllowCorsFrom");
        let any =
            self.text(ORIGINS.0, ORIGINS.1).is_some_and(|text| text.split_whitespace().any(|one| one == "*"));
        let Some(setting) = self.at(ORIGINS.0, ORIGINS.1).filter(|_| any) else { return };
        let Some(origin) = setting.origin().filter(|origin| origin.is_given()).cloned() else { return };
        let danger =
            "is `*`: any web page can use the session of a user who visits it; name the origins instead";
        self.notices.push(Notice::warning(origin, setting.name(), danger));
    }

    fn check_partners(&mut self) {
        const PARTNERS: [(At, At, &str); 6] = [
            (("EmailSettings", "SMTPPassword"), ("EmailSettings", "SMTPUsername"), "SMTP_USER"),
            (("GitLabSettings", "Secret"), ("GitLabSettings", "Id"), "GITLAB_ID"),
            (("GitLabSettings", "Id"), ("GitLabSettings", "Secret"), "GITLAB_SECRET"),
            (("GitLabSettings", "Secret"), ("GitLabSettings", "AuthEndpoint"), "GITLAB_AUTH_ENDPOINT"),
            (("GitLabSettings", "Secret"), ("GitLabSettings", "TokenEndpoint"), "GITLAB_TOKEN_ENDPOINT"),
            (("GitLabSettings", "Secret"), ("GitLabSettings", "UserAPIEndpoint"), "GITLAB_API_ENDPOINT"),
        ];
        for (one, partner, variable) in PARTNERS {
            if self.is_given(one.0, one.1) && self.text(partner.0, partner.1).is_none() {
                self.find_at(
                    one,
                    format!("is given without {variable}"),
                    format!("give {variable} as well, or leave it out"),
                );
            }
        }
        const NEEDS: [(At, At, &str, &str); 2] = [
            (
                ("EmailSettings", "RequireEmailVerification"),
                ("EmailSettings", "SMTPServer"),
                "SMTP_HOST",
                "no one could verify an address and sign in",
            ),
            (
                ("EmailSettings", "SendPushNotifications"),
                ("EmailSettings", "PushNotificationServer"),
                "MATTERMOST_PUSH_SERVER",
                "there is nowhere to send them",
            ),
        ];
        for (flag, partner, variable, why) in NEEDS {
            if self.is_on(flag) && self.text(partner.0, partner.1).is_none() {
                let problem = format!("is true without {variable}: {why}");
                self.find_at(flag, problem, format!("give {variable} as well, or leave it out"));
            }
        }
        let mails = ("EmailSettings", "SendEmailNotifications");
        if self.is_on(mails) && self.text("EmailSettings", "SMTPServer").is_none() {
            self.notice_at(
                mails,
                match self.server.line {
                    Line::Builtin => "no mail server is named, so no mail is sent; give SMTP_HOST",
                    _ => {
                        "no mail server is named, so the server looks for one on its own host; give SMTP_HOST"
                    }
                },
            );
        }
    }

    /// Whether this switch is declared true.
    fn is_on(&self, (section, key): At) -> bool {
        let setting = self.at(section, key).filter(|setting| setting.value() == Some(&Value::Bool(true)));
        setting.and_then(Setting::origin).is_some_and(Origin::is_given)
    }

    fn notice_at(&mut self, (section, key): At, what: &str) {
        let Some(setting) = self.at(section, key) else { return };
        let (Some(origin), name) = (setting.origin().cloned(), setting.name()) else { return };
        self.notices.push(Notice::about(origin, name, what));
    }

    fn check_site_url(&mut self) {
        let Some(url) = self.text("ServiceSettings", "SiteURL").and_then(|url| Url::parse(url).ok()) else {
            return;
        };
        let composed = self.at("ServiceSettings", "SiteURL").and_then(|setting| setting.origin());
        if matches!(composed, Some(Origin::Composed { .. })) {
            return;
        }
        let way_out = || format!("say one of the two; the site URL is {url}");
        let https = self.inputs.get("MATTERMOST_HTTPS");
        if let Some(layer) = https.filter(|layer| (layer.value == true) != (url.scheme() == "https")) {
            let problem = format!("is {}, and the site URL begins with {}://", layer.value, url.scheme());
            self.findings
                .push(Finding::new(layer.origin.clone(), "MATTERMOST_HTTPS", problem).allowed(way_out()));
        }
        let host = self.inputs.get("MATTERMOST_HOST");
        let other = |host: &str| {
            url.host_str().is_none_or(|of_url| !of_url.trim_matches(['[', ']']).eq_ignore_ascii_case(host))
        };
        if let Some(layer) = host.filter(|layer| layer.value.as_str().is_some_and(other)) {
            let problem = format!(
                "is `{}`, and the site URL has another host",
                layer.value.as_str().unwrap_or_default()
            );
            self.findings
                .push(Finding::new(layer.origin.clone(), "MATTERMOST_HOST", problem).allowed(way_out()));
        }
    }

    fn check_locales(&mut self) {
        let at = ("LocalizationSettings", "AvailableLocales");
        let (Some(all), Some(chosen)) = (self.text(at.0, at.1), self.text(at.0, "DefaultClientLocale"))
        else {
            return;
        };
        if all.split(',').any(|locale| locale.trim() == chosen) {
            return;
        }
        if self.is_given(at.0, at.1) {
            let problem = format!("is `{all}`, without the client's own `{chosen}`");
            self.find_at(at, problem, format!("add `{chosen}`, or leave it out: then all can be chosen"));
        } else {
            // A declared value outranks a default.
            self.settings.remove(&at);
        }
    }

    fn check_database(&mut self) {
        if self.version < WITHOUT_MYSQL || self.text("SqlSettings", "DriverName") != Some("mysql") {
            return;
        }
        let Some(setting) = self.at("SqlSettings", "DriverName") else { return };
        let origin = setting.origin().cloned().unwrap_or(Origin::Default);
        let linked = self.inputs.get("DB_ADAPTER").and_then(|layer| match &layer.origin {
            Origin::Variable { name, .. } if name != "DB_ADAPTER" => Some(name.clone()),
            _ => None,
        });
        let (name, problem) = match (linked, self.inputs.get("DB_ADAPTER")) {
            (Some(variable), _) => (variable, "links a mysql container"),
            (None, Some(_)) => ("DB_ADAPTER".to_owned(), "is mysql"),
            (None, None) if matches!(origin, Origin::Composed { .. }) => {
                ("DB_ADAPTER".to_owned(), "is not given, which means mysql")
            }
            (None, None) => (setting.name(), "is mysql"),
        };
        let problem = format!("{problem}, and server {} runs on PostgreSQL alone", self.version);
        self.findings.push(
            Finding::new(origin, name, problem)
                .allowed(
                    "set DB_ADAPTER=postgres for a PostgreSQL database; a MySQL one is moved while it runs a release \
                     up to 10.11 (docs/move-database.md), and upgraded then",
                )
                .policy(),
        );
    }

    /// Refuses an address of a database with a user or a name that nobody filled in. A password may look like a placeholder.
    fn check_data_source(&mut self) {
        const ADDRESS: At = ("SqlSettings", "DataSource");
        let Some(Ok(DataSource::Server(server))) = self.text(ADDRESS.0, ADDRESS.1).map(str::parse) else {
            return;
        };
        for (part, text) in [("user", &server.user), ("database name", &server.name)] {
            if let Some(found) = placeholder::likely(text).filter(|_| self.is_given(ADDRESS.0, ADDRESS.1)) {
                let problem = format!("names a {part} that {}", placeholder::problem(found));
                self.find_at(ADDRESS, problem, format!("write the {part} itself"));
            }
        }
    }

    fn find_at(&mut self, place: At, problem: String, allowed: String) {
        let Some(setting) = self.at(place.0, place.1) else { return };
        let origin = setting.origin().cloned().unwrap_or(Origin::Default);
        let name = setting.name();
        self.findings.push(Finding::new(origin, name, problem).allowed(allowed));
    }
}

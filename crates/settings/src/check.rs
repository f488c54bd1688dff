//! What single values cannot show: missing partners, contradictions, rules of a release.

use serde_json::Value;
use url::Url;

use crate::finding::Finding;
use crate::kind::Kind;
use crate::origin::Origin;
use crate::resolve::Layering;
use crate::row::Form;
use crate::version::Version;

/// The first release without MySQL (upgrade notes of 11.0).
const WITHOUT_MYSQL: Version = Version::new(11, 0);

/// A section and a key in it.
type At = (&'static str, &'static str);

impl Layering {
    /// Finds what is wrong between settings.
    pub(crate) fn check(&mut self) {
        self.check_ranges();
        self.check_partners();
        self.check_site_url();
        self.check_locales();
        self.check_database();
    }

    /// What came by another name than a row's must still suit the row.
    fn check_ranges(&mut self) {
        for setting in self.settings.values() {
            let (Some(row), Some(value), Some(origin)) = (setting.row, setting.value(), setting.origin())
            else {
                continue;
            };
            let form = row.place(self.version).map(|place| place.form);
            // A place with a form of its own has other words than the row.
            if form.is_some_and(|form| form != Form::Same) && !value.is_number() {
                continue;
            }
            if matches!(row.kind, Kind::Int(..)) && form == Some(Form::Hours) {
                if value.as_i64().is_some_and(|hours| hours < 1) {
                    let finding = Finding::new(
                        origin.clone(),
                        setting.name(),
                        format!("is {value}, which is out of its range"),
                    );
                    self.findings.push(
                        finding
                            .allowed("allowed: 1 hour or more")
                            .value(setting.shown(value), setting.secret),
                    );
                }
                continue;
            }
            if let Some(problem) = row.kind.problem_of(value) {
                let finding =
                    Finding::new(origin.clone(), setting.name(), problem).allowed(row.kind.allowed());
                self.findings.push(finding.value(setting.shown(value), setting.secret));
            }
        }
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
        const NEEDS: [(At, At, &str, &str); 3] = [
            (
                ("EmailSettings", "RequireEmailVerification"),
                ("EmailSettings", "SMTPServer"),
                "SMTP_HOST",
                "nobody could verify an address and sign in",
            ),
            (
                ("EmailSettings", "SendPushNotifications"),
                ("EmailSettings", "PushNotificationServer"),
                "MATTERMOST_PUSH_SERVER",
                "there is nowhere to send them",
            ),
            (
                ("EmailSettings", "EnableEmailBatching"),
                ("ServiceSettings", "SiteURL"),
                "MATTERMOST_HOST or a site URL",
                "the server refuses to start",
            ),
        ];
        for (flag, partner, variable, why) in NEEDS {
            let on =
                self.at(flag.0, flag.1).is_some_and(|setting| setting.value() == Some(&Value::Bool(true)));
            let said =
                self.at(flag.0, flag.1).and_then(|setting| setting.origin()).is_some_and(Origin::is_given);
            if on && said && self.text(partner.0, partner.1).is_none() {
                self.find_at(
                    flag,
                    format!("is true without {variable}: {why}"),
                    format!("give {variable} as well, or leave it out"),
                );
            }
        }
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
            let problem = format!("is {}, and the site URL has another host", layer.value);
            self.findings
                .push(Finding::new(layer.origin.clone(), "MATTERMOST_HOST", problem).allowed(way_out()));
        }
    }

    fn check_locales(&mut self) {
        let (Some(all), Some(chosen)) = (
            self.text("LocalizationSettings", "AvailableLocales"),
            self.text("LocalizationSettings", "DefaultClientLocale"),
        ) else {
            return;
        };
        if all.split(',').all(|locale| locale.trim() != chosen) {
            let problem = format!("is `{all}`, without the client's own `{chosen}`");
            self.find_at(
                ("LocalizationSettings", "AvailableLocales"),
                problem,
                format!("add {chosen}, or leave it out: then all can be chosen"),
            );
        }
    }

    fn check_database(&mut self) {
        if self.version < WITHOUT_MYSQL || self.text("SqlSettings", "DriverName") != Some("mysql") {
            return;
        }
        let Some(setting) = self.at("SqlSettings", "DriverName") else { return };
        let origin = setting.origin().cloned().unwrap_or(Origin::Default);
        let (name, problem) = match self.inputs.get("DB_ADAPTER") {
            Some(_) => ("DB_ADAPTER".to_owned(), "is mysql"),
            None if matches!(origin, Origin::Composed { .. }) => {
                ("DB_ADAPTER".to_owned(), "is not given, which means mysql")
            }
            None => (setting.name(), "is mysql"),
        };
        let problem = format!("{problem}, and server {} runs on PostgreSQL alone", self.version);
        self.findings.push(
            Finding::new(origin, name, problem)
                .allowed(
                    "set DB_ADAPTER=postgres for a PostgreSQL database; move a MySQL one on a release up to 10.11 \
                     with `mainstay database migrate`, and upgrade then",
                )
                .policy(),
        );
    }

    fn find_at(&mut self, place: At, problem: String, allowed: String) {
        let Some(setting) = self.at(place.0, place.1) else { return };
        let origin = setting.origin().cloned().unwrap_or(Origin::Default);
        let name = setting.name();
        self.findings.push(Finding::new(origin, name, problem).allowed(allowed));
    }
}

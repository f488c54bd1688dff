//! The values that Mainstay does not start a server with.

use serde_json::Value;
use version::Series;

use crate::server::{Line, Server};

/// Which values of a key.
pub(super) enum Values {
    /// true
    True,
    /// Every text but this one and the empty one.
    OtherThan(&'static str),
}

impl Values {
    pub(super) fn hold(&self, value: &Value) -> bool {
        match self {
            Self::True => *value == true,
            Self::OtherThan(word) => {
                value.as_str().is_some_and(|text| !text.is_empty() && !text.eq_ignore_ascii_case(word))
            }
        }
    }

    pub(super) fn in_words(&self) -> String {
        match self {
            Self::True => "`true`".to_owned(),
            Self::OtherThan(word) => format!("every value but `{word}`"),
        }
    }
}

/// A value with which people would be locked out, a protection would be missing, or data would be elsewhere.
pub(super) struct Refusal {
    pub(super) section: &'static str,
    key: &'static str,
    pub(super) values: Values,
    /// The servers that cannot do it.
    lines: &'static [Line],
    /// The first version that cannot.
    since: Series,
    /// What the server lacks, after its name.
    lacks: &'static str,
    /// What would happen.
    so: &'static str,
    /// Whether the other keys of the section depend on this one.
    pub(super) whole_section: bool,
}

impl Refusal {
    const fn section(mut self) -> Self {
        self.whole_section = true;
        self
    }

    const fn since(mut self, major: u32, minor: u32) -> Self {
        self.since = Series::new(major, minor);
        self
    }

    const fn values(mut self, values: Values) -> Self {
        self.values = values;
        self
    }

    pub(super) fn holds_for(&self, server: Server) -> bool {
        self.lines.contains(&server.line) && server.version >= self.since
    }

    pub(super) fn is_about(&self, server: Server, section: &str, key: &str) -> bool {
        self.holds_for(server)
            && self.section.eq_ignore_ascii_case(section)
            && self.key.eq_ignore_ascii_case(key)
    }

    /// What the server lacks.
    pub(super) fn lacking(&self, line: Line) -> String {
        let since = if self.since > Series::new(0, 0) && line != Line::Builtin {
            format!(" from {} on", self.since)
        } else {
            String::new()
        };
        format!("{} {}{since}", line.name(), self.lacks)
    }

    /// The same, and what would happen.
    pub(super) fn why(&self, line: Line) -> String {
        format!("{}, so {}", self.lacking(line), self.so)
    }

    pub(super) fn instead(&self, line: Line) -> String {
        let other = match line {
            Line::Builtin if self.lines.contains(&Line::Team) => "`entry` or `enterprise`",
            Line::Builtin => "`team`, `entry` or `enterprise`",
            Line::Team | Line::Enterprise => "`entry` or `enterprise`",
        };
        format!("leave it out, or install an edition that does it: {other}")
    }
}

/// Neither the built-in server nor the Team Edition.
const FREE: &[Line] = &[Line::Builtin, Line::Team];
const BUILTIN: &[Line] = &[Line::Builtin];
const TEAM: &[Line] = &[Line::Team];

const fn refuse(
    lines: &'static [Line],
    section: &'static str,
    key: &'static str,
    lacks: &'static str,
    so: &'static str,
) -> Refusal {
    let since = Series::new(0, 0);
    Refusal { section, key, values: Values::True, lines, since, lacks, so, whole_section: false }
}

const CANNOT_SIGN_IN: &str = "people who sign in that way would be locked out";
const UNPROTECTED: &str = "the protection would be missing";

/// Sources: the built-in server's code; the editions' comparison in Mattermost's documentation; the upgrade notes of 11.0.
pub(super) const REFUSALS: &[Refusal] = &[
    refuse(
        BUILTIN,
        "FileSettings",
        "DriverName",
        "keeps files in the deployment's directory alone",
        "nothing would be in the file store",
    )
    .values(Values::OtherThan("local")),
    refuse(
        BUILTIN,
        "ServiceSettings",
        "EnforceMultifactorAuthentication",
        "has no sign-in with a second factor",
        UNPROTECTED,
    ),
    refuse(
        TEAM,
        "ServiceSettings",
        "EnforceMultifactorAuthentication",
        "does not enforce a second factor",
        UNPROTECTED,
    ),
    refuse(FREE, "LdapSettings", "Enable", "has no sign-in with LDAP", CANNOT_SIGN_IN).section(),
    refuse(FREE, "SamlSettings", "Enable", "has no sign-in with SAML", CANNOT_SIGN_IN).section(),
    refuse(TEAM, "GitLabSettings", "Enable", "has no sign-in with GitLab", CANNOT_SIGN_IN)
        .since(11, 0)
        .section(),
    refuse(FREE, "GoogleSettings", "Enable", "has no sign-in with Google", CANNOT_SIGN_IN).section(),
    refuse(FREE, "Office365Settings", "Enable", "has no sign-in with Microsoft 365", CANNOT_SIGN_IN)
        .section(),
    refuse(FREE, "OpenIdSettings", "Enable", "has no sign-in with OpenID Connect", CANNOT_SIGN_IN).section(),
    refuse(
        FREE,
        "ClusterSettings",
        "Enable",
        "runs alone",
        "a second server on the same database would not see what the first one changes",
    )
    .section(),
    refuse(FREE, "ComplianceSettings", "Enable", "writes no compliance reports", "none would be kept")
        .section(),
    refuse(FREE, "MessageExportSettings", "EnableExport", "exports no messages", "none would be kept")
        .section(),
    refuse(
        FREE,
        "DataRetentionSettings",
        "EnableMessageDeletion",
        "deletes no messages by their age",
        "they would stay",
    ),
    refuse(
        FREE,
        "DataRetentionSettings",
        "EnableFileDeletion",
        "deletes no files by their age",
        "they would stay",
    ),
    refuse(
        FREE,
        "AccessControlSettings",
        "EnableAttributeBasedAccessControl",
        "has no access control by attributes",
        UNPROTECTED,
    ),
    refuse(
        BUILTIN,
        "ExperimentalAuditSettings",
        "FileEnabled",
        "writes no audit log",
        "nothing would be recorded",
    ),
    refuse(
        BUILTIN,
        "ExperimentalSettings",
        "RestrictSystemAdmin",
        "lets administrators do everything",
        UNPROTECTED,
    ),
    refuse(BUILTIN, "ServiceSettings", "ExperimentalEnableHardenedMode", "has no hardened mode", UNPROTECTED),
    refuse(
        BUILTIN,
        "ServiceSettings",
        "TLSStrictTransport",
        "sends no Strict-Transport-Security header",
        "the proxy that ends TLS must send it",
    ),
    refuse(
        BUILTIN,
        "NativeAppSettings",
        "MobileEnableBiometrics",
        "tells mobile clients nothing of it",
        UNPROTECTED,
    ),
    refuse(
        BUILTIN,
        "NativeAppSettings",
        "MobileJailbreakProtection",
        "tells mobile clients nothing of it",
        UNPROTECTED,
    ),
    refuse(
        BUILTIN,
        "NativeAppSettings",
        "MobilePreventScreenCapture",
        "tells mobile clients nothing of it",
        UNPROTECTED,
    ),
];

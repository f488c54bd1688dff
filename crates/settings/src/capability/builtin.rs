//! What the built-in server does with the server's keys.

use serde_json::Value;

/// The keys that the built-in server reads and follows, by section.
const FOLLOWED: &[(&str, &[&str])] = &[
    (
        "ServiceSettings",
        &[
            "SiteURL",
            "ListenAddress",
            "EnableLocalMode",
            "LocalModeSocketLocation",
            "EnableDeveloper",
            "MaximumLoginAttempts",
            "MaximumPayloadSizeBytes",
            "MaximumURLLength",
            "SessionLengthWebInHours",
            "SessionLengthMobileInHours",
            "SessionLengthSSOInHours",
            "SessionIdleTimeoutInMinutes",
            "ExtendSessionLengthWithActivity",
            "TerminateSessionsOnPasswordChange",
            "ExperimentalStrictCSRFEnforcement",
            "AllowCorsFrom",
            "CorsExposedHeaders",
            "CorsAllowCredentials",
            "AllowCookiesForSubdomains",
            "WebsocketURL",
            "WebsocketPort",
            "WebsocketSecurePort",
            "GoogleDeveloperKey",
            "CollapsedThreads",
            "ThreadAutoFollow",
            "AllowSyncedDrafts",
            "EnableAPIChannelDeletion",
            "EnableAPIPostDeletion",
            "EnableAPITeamDeletion",
            "EnableAPIUserDeletion",
            "EnableUserAccessTokens",
            "EnableUserTypingMessages",
            "EnableUserStatuses",
            "EnableEmailInvitations",
            "EnableTutorial",
            "EnableOnboardingFlow",
            "EnableDesktopLandingPage",
            "PostEditTimeLimit",
            "UniqueEmojiReactionLimitPerPost",
            "TimeBetweenUserTypingUpdatesMilliseconds",
            "EnableIncomingWebhooks",
            "EnableOutgoingWebhooks",
            "EnableCommands",
            "EnablePostUsernameOverride",
            "EnablePostIconOverride",
            "EnableInsecureOutgoingConnections",
            "AllowedUntrustedInternalConnections",
            "OutgoingIntegrationRequestsTimeout",
        ],
    ),
    (
        "RateLimitSettings",
        &[
            "Enable",
            "PerSec",
            "MaxBurst",
            "MemoryStoreSize",
            "VaryByRemoteAddr",
            "VaryByUser",
            "VaryByHeader",
        ],
    ),
    (
        "GitLabSettings",
        &["Enable", "Id", "Secret", "Scope", "AuthEndpoint", "TokenEndpoint", "UserAPIEndpoint"],
    ),
    ("ExperimentalSettings", &["UsersStatusAndProfileFetchingPollIntervalMilliseconds"]),
    (
        "TeamSettings",
        &[
            "SiteName",
            "MaxUsersPerTeam",
            "MaxChannelsPerTeam",
            "EnableUserCreation",
            "EnableOpenServer",
            "EnableUserDeactivation",
            "RestrictCreationToDomains",
            "RestrictDirectMessage",
            "TeammateNameDisplay",
            "CustomDescriptionText",
        ],
    ),
    (
        "SqlSettings",
        &[
            "DriverName",
            "DataSource",
            "MaxOpenConns",
            "MaxIdleConns",
            "ConnMaxLifetimeMilliseconds",
            "ConnMaxIdleTimeMilliseconds",
        ],
    ),
    (
        "FileSettings",
        &["Directory", "EnableFileAttachments", "MaxFileSize", "EnablePublicLink", "PublicLinkSalt"],
    ),
    (
        "EmailSettings",
        &[
            "EnableSignUpWithEmail",
            "EnableSignInWithEmail",
            "EnableSignInWithUsername",
            "RequireEmailVerification",
            "SendEmailNotifications",
            "FeedbackName",
            "FeedbackEmail",
            "FeedbackOrganization",
            "ReplyToAddress",
            "SMTPServer",
            "SMTPPort",
            "SMTPServerTimeout",
            "EnableSMTPAuth",
            "SMTPUsername",
            "SMTPPassword",
            "ConnectionSecurity",
            "SkipServerCertificateVerification",
            "EnableEmailBatching",
            "EmailBatchingBufferSize",
            "EmailBatchingInterval",
            "EmailNotificationContentsType",
            "UseChannelInEmailNotifications",
        ],
    ),
    ("PasswordSettings", &["MinimumLength", "Lowercase", "Uppercase", "Number", "Symbol"]),
    ("PrivacySettings", &["ShowEmailAddress", "ShowFullName"]),
    (
        "SupportSettings",
        &[
            "TermsOfServiceLink",
            "PrivacyPolicyLink",
            "AboutLink",
            "HelpLink",
            "ReportAProblemLink",
            "SupportEmail",
        ],
    ),
    ("LocalizationSettings", &["DefaultServerLocale", "DefaultClientLocale", "AvailableLocales"]),
    ("NativeAppSettings", &["AppDownloadLink"]),
];

/// Why keys that it does not follow do nothing: section, how the key begins (the first that suits counts), why.
const REASONS: &[(&str, &str, &str)] = &[
    ("EmailSettings", "Push", "sends no push notifications"),
    ("EmailSettings", "SendPush", "sends no push notifications"),
    ("FileSettings", "", "keeps files as they are, in the deployment's directory"),
    ("GitLabSettings", "", "asks GitLab at the addresses of the other keys"),
    ("GoogleSettings", "", "has no sign-in with Google"),
    ("Office365Settings", "", "has no sign-in with Microsoft 365"),
    ("OpenIdSettings", "", "has no sign-in with OpenID Connect"),
    ("LdapSettings", "", "has no sign-in with LDAP"),
    ("SamlSettings", "", "has no sign-in with SAML"),
    ("GuestAccountsSettings", "", "has no guest accounts"),
    ("PluginSettings", "", "runs no plugins"),
    ("ClusterSettings", "", "runs alone"),
    ("ElasticsearchSettings", "", "searches in its own database"),
    ("BleveSettings", "", "searches in its own database"),
    ("ServiceSettings", "EnableOAuth", "lets no other programs sign people in"),
    ("ServiceSettings", "EnableBot", "has no bot accounts"),
    ("ServiceSettings", "EnableSecurityFixAlert", "asks nobody about security fixes"),
    ("ServiceSettings", "EnableCustomEmoji", "has no emoji of one's own"),
    ("ServiceSettings", "EnableMultifactor", "has no sign-in with a second factor"),
    ("ServiceSettings", "SessionCache", "keeps every session in memory while it lasts"),
    ("ServiceSettings", "WebserverMode", "serves its static files compressed where the browser takes that"),
    ("SqlSettings", "AtRestEncryptKey", "encrypts nothing in its database"),
    ("LogSettings", "", "writes one log, which `mainstay logs` shows"),
];

/// Switches that are on whatever the key says; every other one that it does not follow is off.
const ALWAYS_ON: &[(&str, &str)] = &[
    ("ServiceSettings", "EnableEmojiPicker"),
    ("ServiceSettings", "EnablePostSearch"),
    ("FileSettings", "EnableMobileUpload"),
    ("FileSettings", "EnableMobileDownload"),
    ("LogSettings", "EnableConsole"),
];

fn lists(table: &[(&str, &[&str])], section: &str, key: &str) -> bool {
    table.iter().any(|(of, keys)| {
        of.eq_ignore_ascii_case(section) && keys.iter().any(|known| known.eq_ignore_ascii_case(key))
    })
}

/// Every key that the built-in server reads and follows: section and key.
pub fn followed() -> impl Iterator<Item = (&'static str, &'static str)> {
    FOLLOWED.iter().flat_map(|(section, keys)| keys.iter().map(|key| (*section, *key)))
}

/// Why a key does nothing, if it does nothing.
pub(super) fn why_nothing(section: &str, key: &str) -> Option<String> {
    if lists(FOLLOWED, section, key) {
        return None;
    }
    let begins = |start: &str| key.get(..start.len()).is_some_and(|head| head.eq_ignore_ascii_case(start));
    let reason = REASONS.iter().find(|(of, start, _)| of.eq_ignore_ascii_case(section) && begins(start));
    Some(format!("the built-in server {}", reason.map_or("does not use it", |(_, _, why)| why)))
}

/// Whether it does what the value says, without reading it.
pub(super) fn does_so_anyway(section: &str, key: &str, value: &Value) -> bool {
    let on =
        || ALWAYS_ON.iter().any(|(of, k)| of.eq_ignore_ascii_case(section) && k.eq_ignore_ascii_case(key));
    match value {
        Value::Bool(flag) => *flag == on(),
        Value::String(text) => text.is_empty() || (key == "DriverName" && text == "local"),
        Value::Array(items) => items.is_empty(),
        Value::Object(keys) => keys.is_empty(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use version::Series;

    use super::*;
    use crate::known;

    #[test]
    fn every_key_of_the_table_is_a_key_of_the_version_that_the_built_in_server_follows() {
        let version = Series::new(11, 6);
        let reasons = REASONS.iter().filter(|(_, start, _)| start.is_empty());
        for (section, key) in followed() {
            assert!(known::find(section, key, version).is_some(), "{section}.{key}");
        }
        for (section, key) in ALWAYS_ON {
            assert!(known::find(section, key, version).is_some(), "{section}.{key}");
        }
        for (section, ..) in reasons {
            assert!(
                known::of(Series::new(5, 37)).chain(known::of(version)).any(|k| k.section == *section),
                "{section}"
            );
        }
    }
}

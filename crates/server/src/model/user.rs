//! User accounts.

use super::maps::{StringMap, string_map};
use super::record::{is_zero, record};
use crate::config::Config;
use crate::id::Id;
use crate::sql::Column;

record! {
    /// An account.
    struct User in "users" {
        id id: Id,
        create_at createat: i64,
        update_at updateat: i64,
        delete_at deleteat: i64,
        username username: String,
        #[serde(skip)]
        password password: String,
        /// NULL for accounts with a password; JSON then has the empty string.
        #[serde(serialize_with = "text_or_empty")]
        auth_data authdata: Option<String>,
        auth_service authservice: String,
        email email: String,
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        email_verified emailverified: bool,
        nickname nickname: String,
        first_name firstname: String,
        last_name lastname: String,
        position position: String,
        roles roles: String,
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        allow_marketing allowmarketing: bool,
        #[serde(skip_serializing_if = "no_entries")]
        props props: Column<StringMap>,
        #[serde(skip_serializing_if = "no_entries")]
        notify_props notifyprops: Column<StringMap>,
        #[serde(skip_serializing_if = "is_zero")]
        last_password_update lastpasswordupdate: i64,
        #[serde(skip_serializing_if = "is_zero")]
        last_picture_update lastpictureupdate: i64,
        #[serde(skip_serializing_if = "is_zero")]
        failed_attempts failedattempts: i64,
        locale locale: String,
        timezone timezone: Column<StringMap>,
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        mfa_active mfaactive: bool,
        #[serde(skip)]
        mfa_secret mfasecret: String,
        #[serde(skip)]
        last_login lastlogin: i64,
    }
    computed {
        disable_welcome_email: bool,
    }
}

impl User {
    /// The account as another user may see it. An `administrator` always sees email addresses and names.
    pub(crate) fn as_seen_by_others(&self, config: &Config, administrator: bool) -> User {
        let mut seen = User {
            notify_props: Column::default(),
            email_verified: false,
            last_password_update: 0,
            failed_attempts: if administrator { self.failed_attempts } else { 0 },
            allow_marketing: false,
            ..self.clone()
        };
        if !config.privacy.show_email_address && !administrator {
            seen.email.clear();
        }
        if !config.privacy.show_full_name && !administrator {
            seen.first_name.clear();
            seen.last_name.clear();
        }
        seen
    }
}

/// The notification settings of a new account.
pub(crate) fn default_notify_props() -> StringMap {
    string_map(&[
        ("email", "true"),
        ("push", "mention"),
        ("desktop", "mention"),
        ("desktop_sound", "true"),
        ("mention_keys", ""),
        ("channel", "true"),
        ("push_status", "online"),
        ("comments", "never"),
        ("first_name", "false"),
        ("desktop_threads", "all"),
        ("email_threads", "all"),
        ("push_threads", "all"),
    ])
}

/// The time zone settings of a new account.
pub(crate) fn default_timezone() -> StringMap {
    string_map(&[("automaticTimezone", ""), ("manualTimezone", ""), ("useAutomaticTimezone", "true")])
}

fn text_or_empty<S: serde::Serializer>(text: &Option<String>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(text.as_deref().unwrap_or_default())
}

fn no_entries(map: &Column<StringMap>) -> bool {
    map.is_empty()
}

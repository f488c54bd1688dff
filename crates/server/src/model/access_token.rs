//! Personal access tokens.

use super::record::record;
use crate::id::Id;

record! {
    /// A token with which a program acts for an account. The table has it in clear text, as Mattermost's does.
    struct AccessToken in "useraccesstokens" {
        id id: Id,
        #[serde(skip_serializing_if = "String::is_empty")]
        token token: String,
        user_id userid: Id,
        description description: String,
        is_active isactive: bool,
    }
}

impl AccessToken {
    /// The token as lists show it.
    pub(crate) fn without_secret(self) -> AccessToken {
        AccessToken { token: String::new(), ..self }
    }
}

//! Preferences.

use serde::Deserialize;

use super::record::record;
use crate::id::Id;

record! {
    /// One setting of a user.
    #[derive(Deserialize)]
    #[serde(default)]
    struct Preference in "preferences" {
        user_id userid: Id,
        category category: String,
        name name: String,
        value value: String,
    }
}

//! The request bodies that set a member's roles in a channel or a team.

use serde::Deserialize;

use crate::bounds::MEMBER_ROLES;
use crate::error::{AppError, Result};
use crate::json::StringMapBody;
use crate::rules;
use crate::session::Caller;

/// The body of a `schemeRoles` route.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct SchemeRoles {
    scheme_admin: bool,
    scheme_user: bool,
}

impl SchemeRoles {
    /// Whether the member becomes an administrator. Every member must stay a user.
    pub(super) fn admin(&self) -> Result<bool> {
        if self.scheme_user { Ok(self.scheme_admin) } else { Err(AppError::body("scheme_user")) }
    }
}

/// The roles in the body of a `roles` route.
pub(super) struct MemberRoles {
    pub(super) admin: bool,
    /// The roles other than user and administrator, separated by spaces.
    pub(super) explicit: String,
}

impl MemberRoles {
    /// Reads the roles of a member of a `scope` (`channel`, `team`). Refuses explicit roles that do not exist or are not
    /// `allowed`.
    pub(super) async fn read(
        caller: &Caller,
        body: &StringMapBody,
        scope: &str,
        allowed: fn(&str) -> bool,
    ) -> Result<MemberRoles> {
        let (user, admin) = (format!("{scope}_user"), format!("{scope}_admin"));
        let roles: Vec<&str> = body.get("roles").split_whitespace().collect();
        let explicit: Vec<&str> =
            roles.iter().copied().filter(|role| *role != user && *role != admin).collect();
        for role in &explicit {
            if !allowed(role) || caller.app.store.role(role).await?.is_none() {
                return Err(AppError::body("roles"));
            }
        }
        rules::at_most(MEMBER_ROLES, &explicit.join(" "), "roles")?;
        Ok(MemberRoles { admin: roles.contains(&admin.as_str()), explicit: explicit.join(" ") })
    }
}

//! Teams and their members.

use super::record::{is_zero, record};
use crate::id::Id;

record! {
    /// A team. `kind` is `O` (open) or `I` (by invitation).
    struct Team in "teams" {
        id id: Id,
        create_at createat: i64,
        update_at updateat: i64,
        delete_at deleteat: i64,
        display_name displayname: String,
        name name: String,
        description description: String,
        email email: String,
        #[serde(rename = "type")]
        kind type: String,
        company_name companyname: String,
        allowed_domains alloweddomains: String,
        invite_id inviteid: String,
        allow_open_invite allowopeninvite: bool,
        #[serde(skip_serializing_if = "is_zero")]
        last_team_icon_update lastteamiconupdate: i64,
        scheme_id schemeid: Option<Id>,
        group_constrained groupconstrained: Option<bool>,
        cloud_limits_archived cloudlimitsarchived: bool,
    }
    computed {
        policy_id: Option<Id>,
    }
}

record! {
    /// A membership in a team. The table keeps only explicit roles; [`TeamMember::with_roles`] adds the others.
    struct TeamMember in "teammembers" {
        team_id teamid: Id,
        user_id userid: Id,
        explicit_roles roles: String,
        delete_at deleteat: i64,
        scheme_user schemeuser: bool,
        scheme_admin schemeadmin: bool,
        scheme_guest schemeguest: bool,
        #[serde(skip)]
        create_at createat: i64,
    }
    computed {
        roles: String,
    }
}

impl Team {
    /// The team as seen by members who may neither manage it nor invite.
    pub(crate) fn without_secrets(mut self) -> Team {
        self.email.clear();
        self.invite_id.clear();
        self
    }
}

impl TeamMember {
    /// Fills `roles` from the flags and the explicit roles.
    pub(crate) fn with_roles(mut self) -> TeamMember {
        self.roles = effective_roles(
            "team",
            self.scheme_guest,
            self.scheme_user,
            self.scheme_admin,
            &self.explicit_roles,
        );
        self
    }
}

/// The space-separated roles of a membership in a `scope` (`team`, `channel`).
pub(super) fn effective_roles(scope: &str, guest: bool, user: bool, admin: bool, explicit: &str) -> String {
    let mut roles: Vec<String> = explicit.split_whitespace().map(str::to_owned).collect();
    for (flag, role) in [(guest, "guest"), (user, "user"), (admin, "admin")] {
        if flag {
            roles.push(format!("{scope}_{role}"));
        }
    }
    roles.join(" ")
}

//! What goes when a deployment changes to an edition that can do less.

use release::{Edition, ReleaseId};

use crate::error::{Error, Exit};

/// What the Team edition does not have, of what Entry and Enterprise have. Source: the makers' comparison of editions, and the upgrade
/// notes of 11.0.
const NOT_IN_TEAM: [&str; 5] = [
    "sign-in by SAML, LDAP, GitLab, Google, Entra ID or OpenID (from 11.0 on): those people need a password",
    "Playbooks, and calls in channels",
    "more than 250 active people (from 11.0 on): the others cannot sign in",
    "compliance exports, data retention and delegated administration: their rules are not followed any more",
    "clusters, and search by Elasticsearch or OpenSearch",
];

/// What is lost; empty where nothing is.
pub(super) fn lost(from: Edition, to: Edition) -> &'static [&'static str] {
    match (from, to) {
        (Edition::Entry | Edition::Enterprise, Edition::Team) => &NOT_IN_TEAM,
        _ => &[],
    }
}

/// Refuses a change that loses something, unless somebody accepts that.
///
/// # Errors
/// What would be lost.
pub(super) fn refuse_loss(from: &ReleaseId, to: &ReleaseId, accepted: bool) -> Result<(), Error> {
    if from.edition != Edition::Builtin && to.edition == Edition::Builtin {
        let what = format!("{to} keeps what {from} has made of the database, and does not follow most of it");
        return Err(Error::new(Exit::Refused, what).hint(
            "there is no way from an official edition to the built-in server; install one beside it with `--dir`, or go back \
             with `mainstay rollback`; nothing has been changed",
        ));
    }
    let lost = lost(from.edition, to.edition);
    if lost.is_empty() || accepted {
        return Ok(());
    }
    let lines = lost.iter().map(|line| format!("  - {line}")).collect::<Vec<_>>().join("\n");
    Err(Error::new(Exit::Refused, format!("the {} edition does not have what {} has:\n{lines}", to.edition, from.edition))
        .hint("nothing of it is deleted from the database; if you can do without it, say `--accept-loss`; nothing has been changed"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_way_to_less_is_refused() {
        let id = |name: &str| name.parse().expect("a release");
        for (from, to, is_refused) in [
            ("11.6.0-team", "11.7.0-team", false),
            ("11.6.0-team", "11.7.0-enterprise", false),
            ("11.6.0-team", "11.7.0-entry", false),
            ("11.6.0-enterprise", "11.7.0-enterprise", false),
            ("11.6.0+0.1.0-builtin", "11.7.0-team", false),
            ("11.6.0-enterprise", "11.7.0-team", true),
            ("11.6.0-entry", "11.6.0-team", true),
        ] {
            assert_eq!(refuse_loss(&id(from), &id(to), false).is_err(), is_refused, "{from} to {to}");
            refuse_loss(&id(from), &id(to), true).expect("it was accepted");
        }
        refuse_loss(&id("11.6.0-team"), &id("11.6.0+0.1.0-builtin"), true).expect_err("there is no such way");
    }
}

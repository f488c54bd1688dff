//! Who may come in, how, and for how long.

use super::{Area, LATER};
use crate::kind::Kind;
use crate::row::{Form, Place, Row, at, row};

pub(super) const AREA: Area = Area { title: "Accounts, teams and sessions", rows: ROWS };

/// Sessions were counted in days until 7.0, in hours since (upgrade notes of 7.0).
const fn session(days: &'static str, hours: &'static str) -> [Place; 2] {
    [at("ServiceSettings", days).until(7, 0), at("ServiceSettings", hours).since(7, 0).form(Form::Hours)]
}

const WEB: &[Place] = &session("SessionLengthWebInDays", "SessionLengthWebInHours");
const MOBILE: &[Place] = &session("SessionLengthMobileInDays", "SessionLengthMobileInHours");
const SSO: &[Place] = &session("SessionLengthSSOInDays", "SessionLengthSSOInHours");
const DAYS: Kind = Kind::Int(1, 36_500);

const ROWS: &[Row] = &[
    row("MATTERMOST_CREATE_USERS", Kind::Bool, "Let people make accounts")
        .places(&[at("TeamSettings", "EnableUserCreation")])
        .always("true"),
    row("MATTERMOST_OPEN_SERVER", Kind::Bool, "Let people make accounts without an invitation")
        .places(&[at("TeamSettings", "EnableOpenServer")])
        .always("false")
        .source(LATER),
    row("MATTERMOST_USER_DOMAINS", Kind::Domains, "Mail domains, separated by commas, that accounts must belong to")
        .places(&[at("TeamSettings", "RestrictCreationToDomains")])
        .now("any"),
    row("MATTERMOST_ENABLE_EMAIL_SIGNUP", Kind::Bool, "Let people sign up with mail address and password")
        .places(&[at("EmailSettings", "EnableSignUpWithEmail")])
        .always("true"),
    row("MATTERMOST_EMAIL_SIGNIN", Kind::Bool, "Let people sign in with their mail address")
        .places(&[at("EmailSettings", "EnableSignInWithEmail")])
        .always("true"),
    row("MATTERMOST_USERNAME_SIGNIN", Kind::Bool, "Let people sign in with their user name")
        .places(&[at("EmailSettings", "EnableSignInWithUsername")])
        .then("false")
        .now("true"),
    row("MATTERMOST_MAX_LOGIN_ATTEMPTS", Kind::Int(1, i32::MAX as i64), "Wrong passwords before a reset is needed")
        .places(&[at("ServiceSettings", "MaximumLoginAttempts")])
        .always("10"),
    row("MATTERMOST_WEB_SESSION_DAYS", DAYS, "Days until a browser must sign in again")
        .places(WEB)
        .always("30"),
    row("MATTERMOST_MOBILE_SESSION_DAYS", DAYS, "Days until a mobile client must sign in again")
        .places(MOBILE)
        .always("30"),
    row("MATTERMOST_SSO_SESSION_DAYS", DAYS, "Days until a single sign-on must be repeated")
        .places(SSO)
        .always("30"),
    row("MATTERMOST_SESSION_CACHE", Kind::Int(0, 525_600), "Minutes that a session is kept in memory")
        .places(&[at("ServiceSettings", "SessionCacheInMinutes")])
        .always("10"),
    row("MATTERMOST_MAX_USERS", Kind::Int(1, i32::MAX as i64), "Most members of a team")
        .places(&[at("TeamSettings", "MaxUsersPerTeam")])
        .always("50"),
    row("MATTERMOST_CREATE_TEAMS", Kind::Bool, "Let members make teams")
        .places(&[at("TeamSettings", "EnableTeamCreation").until(6, 0)])
        .change(
            4,
            9,
            "the permission `create_team` decides (up to 6.0 a database made new still read this once); \
             change it under System Console > Permissions",
        )
        .always("true"),
    row("MATTERMOST_RESTRICT_TEAM_NAMES", Kind::Bool, "Refuse reserved words as names of teams")
        .places(&[at("TeamSettings", "RestrictTeamNames").until(3, 5)])
        .change(3, 5, "reserved words are always refused; leave it out")
        .always("true"),
    row("MATTERMOST_TEAM_DIRECTORY", Kind::Bool, "List the teams that agreed to it on the main page")
        .change(
            3,
            0,
            "each team says itself whether anybody may join it; MATTERMOST_OPEN_SERVER lets people in without an invitation",
        )
        .always("false"),
    row("MATTERMOST_RESTRICT_DIRECT_MESSAGE", Kind::Word(&["any", "team"]), "Whom members may message directly")
        .places(&[at("TeamSettings", "RestrictDirectMessage")])
        .always("any")
        .source(LATER),
];

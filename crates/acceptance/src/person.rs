//! The test's users: made for one test, or [standing](crate::standing).

use rand::seq::{IndexedRandom, SliceRandom};
use serde_json::json;

use crate::authority::Authority;
use crate::secret::Secret;
use crate::site::{Reply, Site};
use crate::symptom::{Fault, Symptom};
use crate::wire::User;

/// One account, from before it is created until it is deactivated.
#[derive(Debug)]
pub(crate) struct Person {
    /// `first` or `second`.
    pub which: &'static str,
    /// The user name.
    pub name: String,
    password: Secret,
    /// The password was made for this test: an account that was there before has another one.
    pub is_new_password: bool,
    /// The account stays for the next test.
    pub standing: bool,
    /// A sign-up was sent: the account may exist, even if no answer came.
    pub attempted: bool,
    pub id: Option<String>,
    pub token: Option<Secret>,
    /// The id of the personal access token that stands in for a session, to revoke it.
    pub token_id: Option<String>,
}

impl Person {
    pub(crate) fn new(which: &'static str) -> Self {
        Self {
            which,
            name: fresh_name(),
            password: fresh_password(),
            is_new_password: true,
            standing: false,
            attempted: false,
            id: None,
            token: None,
            token_id: None,
        }
    }

    /// The owner of a standing account. `password`: the one that it had in earlier tests, if that is known.
    pub(crate) fn standing(which: &'static str, password: Option<&Secret>) -> Self {
        let new = Self::new(which);
        Self {
            name: format!("acceptance-{which}"),
            password: password.cloned().unwrap_or(new.password),
            is_new_password: password.is_none(),
            ..new
        }
    }

    /// Somebody in place of this one, with an account of their own.
    pub(crate) fn replaced(&self) -> Self {
        Self { password: self.password.clone(), ..Self::new(self.which) }
    }

    /// Creates the account, by sign-up or with an administrator's token, and logs in.
    pub(crate) async fn sign_up(
        &mut self,
        site: &Site,
        domain: &str,
        admin: Option<&Authority>,
    ) -> Result<(), Fault> {
        let mut account = json!({
            "email": format!("{}@{domain}", self.name),
            "username": self.name,
            "password": self.password.expose(),
        });
        let mut call = site.post("users");
        if let Some(admin) = admin {
            account["email_verified"] = true.into();
            account["disable_welcome_email"] = true.into();
            call = admin.post(site, "users");
        }
        self.attempted = true;
        let user: User = call.body(&account).json().await?;
        self.id = Some(user.id);
        self.log_in(site).await
    }

    /// Logs in with the account's id, as the web client does after a sign-up: this works whichever kind of login is switched on.
    /// Without a known id, logs in with the user name.
    pub(crate) async fn log_in(&mut self, site: &Site) -> Result<(), Fault> {
        let who = match &self.id {
            Some(id) => Login::Id(id),
            None => Login::Name(&self.name),
        };
        let (user, token) = log_in(site, who, &self.password).await?;
        self.id = Some(user.id);
        self.token = Some(token);
        Ok(())
    }

    /// The session; a fault if there is none, which an earlier check has reported.
    pub(crate) fn token(&self) -> Result<&Secret, Fault> {
        self.token.as_ref().ok_or_else(|| Fault {
            during: format!("the {} user", self.which),
            symptom: Symptom::Wrong { what: "there is no session".to_owned() },
        })
    }

    /// A password of 72 characters, of the same kinds.
    pub(crate) fn lengthen_password(&mut self) {
        let password = self.password.expose().repeat(2);
        self.password = Secret::new(password.chars().take(72).collect::<String>());
    }

    pub(crate) fn password(&self) -> &Secret {
        &self.password
    }
}

/// How a login names the account.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Login<'n> {
    Id(&'n str),
    /// A user name or an e-mail address.
    Name(&'n str),
}

/// Opens a session for an account.
pub(crate) async fn log_in(site: &Site, who: Login<'_>, password: &Secret) -> Result<(User, Secret), Fault> {
    // `token` is the second factor: none.
    let mut credentials = json!({ "password": password.expose(), "token": "" });
    match who {
        Login::Id(id) => credentials["id"] = id.into(),
        Login::Name(name) => credentials["login_id"] = name.into(),
    }
    let (reply, during) = site.post("users/login").body(&credentials).reply().await?;
    let fault = |symptom| Fault { during: during.clone(), symptom };
    let user: User = reply.json().map_err(fault)?;
    let token = session_token(&reply).ok_or_else(|| {
        fault(Symptom::Wrong {
            what: "the login's answer has no Token header: a proxy removed it".to_owned(),
        })
    })?;
    Ok((user, token))
}

fn session_token(reply: &Reply) -> Option<Secret> {
    let token = reply.headers.get("token")?.to_str().ok()?;
    (!token.is_empty()).then(|| Secret::new(token))
}

const LOWER: &[u8] = b"abcdefghijkmnopqrstuvwxyz";
const UPPER: &[u8] = b"ABCDEFGHJKLMNPQRSTUVWXYZ";
const DIGIT: &[u8] = b"23456789";
const SYMBOL: &[u8] = b"!#$%*+-.=?@^_~";

/// `accept-` and eight random characters: also a valid team name, and not the beginning of a reserved word.
pub(crate) fn fresh_name() -> String {
    let mut rng = rand::rng();
    let random: String =
        (0..8).filter_map(|_| [LOWER, DIGIT].concat().choose(&mut rng).copied()).map(char::from).collect();
    format!("accept-{random}")
}

/// Whether a name may be one that [`fresh_name`] made.
pub(crate) fn is_fresh(name: &str) -> bool {
    name.strip_prefix("accept-").is_some_and(|rest| rest.len() == 8)
}

/// 64 characters of all four classes: long enough for the strictest rule, and below the 72 bytes that bcrypt reads.
fn fresh_password() -> Secret {
    let mut rng = rand::rng();
    let all = [LOWER, UPPER, DIGIT, SYMBOL].concat();
    let one_of_each = [LOWER, UPPER, DIGIT, SYMBOL].into_iter();
    let classes = one_of_each.chain(std::iter::repeat_n(all.as_slice(), 60));
    let mut password: Vec<u8> = classes.filter_map(|class| class.choose(&mut rng).copied()).collect();
    password.shuffle(&mut rng);
    Secret::new(password.into_iter().map(char::from).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_satisfy_the_strictest_rules() {
        for _ in 0..50 {
            let password = fresh_password();
            let text = password.expose();
            assert_eq!(text.len(), 64);
            for class in [LOWER, UPPER, DIGIT, SYMBOL] {
                assert!(text.bytes().any(|byte| class.contains(&byte)));
            }
        }
    }

    #[test]
    fn names_are_random_and_valid_for_users_and_teams() {
        let (one, two) = (fresh_name(), fresh_name());
        assert_ne!(one, two);
        assert!(is_fresh(&one) && !is_fresh("accept-me") && !is_fresh("acceptance-first"));
        assert_eq!(one.len(), "accept-".len() + 8);
        assert!(one.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'));
    }
}

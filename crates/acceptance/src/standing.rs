//! The test's two standing accounts: made once by an administrator, active only while a test runs, used again by the next one.
//!
//! An account is known by its mail address, which is reserved for the test and reaches nobody. Whatever happened to it meanwhile - it was
//! deactivated, promoted, renamed, locked, got another password, or a stranger took the address - it is brought back to what the test
//! needs: whoever held it is signed out and loses it. An account that cannot be brought back is left alone, and a new one is made.

use reqwest::Method;
use serde_json::{Value, json};

use crate::authority::Authority;
use crate::made::SignUp;
use crate::person::{Person, fresh_name, is_fresh};
use crate::site::Site;
use crate::symptom::{Fault, Symptom};
use crate::wire::{Token, User};

/// Brings the account of this person into a state in which it can sign in, and signs in. Answers what had to be repaired.
pub(crate) async fn enter(
    site: &Site,
    admin: &Authority,
    sign_up: &SignUp,
    person: &mut Person,
) -> Result<Vec<String>, Fault> {
    person.attempted = true;
    person.standing = true;
    let mut repairs = Vec::new();
    let email = sign_up.email(person);
    let known = find(site, admin, &email).await?;
    if let Some(user) = known {
        match restore(site, admin, sign_up, person, user, &mut repairs).await {
            Ok(()) => return Ok(repairs),
            Err(fault) if !is_beyond_repair(&fault) => return Err(fault),
            Err(fault) => {
                repairs.push(format!(
                    "the account with the address {email} cannot be used ({fault}): a new one was made"
                ));
                *person = person.replaced();
                person.attempted = true;
            }
        }
    }
    create(site, admin, sign_up, person).await?;
    if sign_up.by_password {
        person.log_in(site).await?;
    } else {
        take_token(site, admin, person).await?;
    }
    Ok(repairs)
}

async fn find(site: &Site, admin: &Authority, email: &str) -> Result<Option<User>, Fault> {
    match admin.get(site, &format!("users/email/{email}")).json::<User>().await {
        Ok(user) => Ok(Some(user)),
        Err(Fault { symptom: Symptom::Answer(answer), .. }) if answer.status == 404 => Ok(None),
        Err(fault) => Err(fault),
    }
}

/// Whether the account itself is what refuses, and not the server or the way to it.
fn is_beyond_repair(fault: &Fault) -> bool {
    matches!(&fault.symptom, Symptom::Answer(answer) if answer.from_mattermost && (400..500).contains(&answer.status) && answer.status != 429)
}

async fn restore(
    site: &Site,
    admin: &Authority,
    sign_up: &SignUp,
    person: &mut Person,
    user: User,
    repairs: &mut Vec<String>,
) -> Result<(), Fault> {
    if user.username != person.name {
        // Where the name was taken, the account got another one when it was made.
        if !is_fresh(&user.username) {
            repairs.push(format!(
                "the account `{}` was renamed to `{}` and is used as it is",
                person.name, user.username
            ));
        }
        person.name = user.username;
    }
    let id = user.id;
    person.id = Some(id.clone());
    if user.roles.split_whitespace().any(|role| role != "system_user") {
        repairs.push(format!("`{}` had the roles `{}`, which the test took away", person.name, user.roles));
        admin.put(site, &format!("users/{id}/roles")).body(&json!({ "roles": "system_user" })).done().await?;
    }
    if user.delete_at == 0 {
        // Nobody but a test signs in with it: sessions that are open are an interrupted test's, or a stranger's.
        set_active(site, admin, &id, false).await?;
    }
    set_active(site, admin, &id, true).await?;
    if !user.email_verified {
        verify_address(site, admin, &id).await;
    }
    sign_in(site, admin, sign_up, person, repairs).await
}

pub(crate) async fn set_active(site: &Site, admin: &Authority, id: &str, active: bool) -> Result<(), Fault> {
    admin.put(site, &format!("users/{id}/active")).body(&json!({ "active": active })).done().await
}

/// A server that does not know the route has made the account with a verified address.
async fn verify_address(site: &Site, admin: &Authority, id: &str) {
    let _ = admin.post(site, &format!("users/{id}/email/verify/member")).done().await;
}

async fn create(site: &Site, admin: &Authority, sign_up: &SignUp, person: &mut Person) -> Result<(), Fault> {
    let account = |person: &Person| {
        json!({
            "email": sign_up.email(person),
            "username": person.name,
            "password": person.password().expose(),
            "email_verified": true,
            "disable_welcome_email": true,
            "position": "Mainstay's acceptance test",
            "notify_props": quiet(),
        })
    };
    let made: User = match admin.post(site, "users").body(&account(person)).json().await {
        Ok(made) => made,
        // Somebody else has the name. The address is what counts.
        Err(Fault { symptom: Symptom::Answer(answer), .. }) if answer.id.contains("username_exists") => {
            let email = sign_up.email(person);
            person.name = fresh_name();
            let mut account = account(person);
            account["email"] = email.into();
            admin.post(site, "users").body(&account).json().await?
        }
        Err(fault) => return Err(fault),
    };
    verify_address(site, admin, &made.id).await;
    person.id = Some(made.id);
    Ok(())
}

/// No notifications: nobody reads them.
fn quiet() -> Value {
    json!({
        "email": "false", "push": "none", "desktop": "none", "desktop_sound": "false", "channel": "false", "first_name": "false",
        "mention_keys": "", "comments": "never"
    })
}

/// Signs in, after setting the password where the account has another one or is locked.
async fn sign_in(
    site: &Site,
    admin: &Authority,
    sign_up: &SignUp,
    person: &mut Person,
    repairs: &mut Vec<String>,
) -> Result<(), Fault> {
    if !sign_up.by_password {
        return take_token(site, admin, person).await;
    }
    let id = person.id.clone().unwrap_or_default();
    if person.is_new_password {
        set_password(site, admin, person, &id).await?;
        return person.log_in(site).await;
    }
    let Err(fault) = person.log_in(site).await else { return Ok(()) };
    let refused = matches!(&fault.symptom, Symptom::Answer(answer) if answer.from_mattermost && matches!(answer.status, 400 | 401 | 403));
    if !refused {
        return Err(fault);
    }
    // Setting the password ends a lock as well.
    set_password(site, admin, person, &id).await?;
    person.log_in(site).await?;
    repairs
        .push(format!("`{}` was locked or had another password, which the test has set again", person.name));
    Ok(())
}

async fn set_password(site: &Site, admin: &Authority, person: &Person, id: &str) -> Result<(), Fault> {
    let new = json!({ "new_password": person.password().expose() });
    admin.put(site, &format!("users/{id}/password")).body(&new).done().await?;
    // Where the server has the route; elsewhere a new password ends the lock.
    let _ = admin.post(site, &format!("users/{id}/reset_failed_attempts")).done().await;
    Ok(())
}

/// A personal access token, for a server on which nobody signs in with a password.
async fn take_token(site: &Site, admin: &Authority, person: &mut Person) -> Result<(), Fault> {
    let id = person.id.clone().unwrap_or_default();
    let description = json!({ "description": "Mainstay's acceptance test" });
    let token: Token = admin.post(site, &format!("users/{id}/tokens")).body(&description).json().await?;
    if token.token.is_empty() {
        let symptom = Symptom::Wrong { what: "the answer holds no token".to_owned() };
        return Err(Fault { during: format!("{} /api/v4/users/{id}/tokens", Method::POST), symptom });
    }
    person.token = Some(crate::secret::Secret::new(token.token));
    person.token_id = Some(token.id);
    Ok(())
}

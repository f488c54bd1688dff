//! Passwords: their rules and hashes.
//!
//! Hashes are written as Mattermost 11 writes them: `$pbkdf2$f=SHA256,w=600000,l=32$SALT$HASH`. The bcrypt hashes of
//! earlier versions are read too.

use std::num::NonZeroU32;

use aws_lc_rs::pbkdf2;
use base64::Engine;
use base64::prelude::BASE64_STANDARD_NO_PAD;

use crate::app::App;
use crate::config;
use crate::error::{AppError, Result};

const ITERATIONS: u32 = iterations(cfg!(debug_assertions));

/// What Mattermost 11 does. Tests hash thousands of passwords, so a debug build does a sixtieth of it.
const fn iterations(is_debug_build: bool) -> u32 {
    if is_debug_build { 10_000 } else { 600_000 }
}

const KEY_LENGTH: usize = 32;
const SALT_LENGTH: usize = 16;

/// The most iterations of a stored hash. An imported database must not be able to stall the server.
const MOST_ITERATIONS: u32 = 10_000_000;

/// The longest password, in bytes: bcrypt ignores the rest.
pub(crate) const LONGEST: usize = 72;

/// A hash of today's strength that matches no password: what the password of an unknown name is compared with.
pub(crate) fn unmatched() -> String {
    written(&[0; SALT_LENGTH], &[0; KEY_LENGTH])
}

/// The result of comparing a password with a stored hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Wrong,
    Right,
    /// Right, but the hash is of an old kind or strength and should be replaced.
    RightButOutdated,
}

impl App {
    /// Hashes a password outside the async threads. Only a limited number of hashes runs at once.
    pub(crate) async fn hash_password(&self, password: String) -> Result<String> {
        let _slot = self.hashing.acquire().await.map_err(AppError::internal)?;
        tokio::task::spawn_blocking(move || hash(&password)).await.map_err(AppError::internal)
    }

    /// Compares a password with a hash, outside the async threads and with the same limit.
    pub(crate) async fn verify_password(&self, password: String, stored: String) -> Result<Verdict> {
        let _slot = self.hashing.acquire().await.map_err(AppError::internal)?;
        tokio::task::spawn_blocking(move || verify(&password, &stored)).await.map_err(AppError::internal)
    }
}

fn hash(password: &str) -> String {
    let salt: [u8; SALT_LENGTH] = rand::random();
    let mut key = [0; KEY_LENGTH];
    let iterations = NonZeroU32::new(ITERATIONS).unwrap_or(NonZeroU32::MIN);
    pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, iterations, &salt, password.as_bytes(), &mut key);
    written(&salt, &key)
}

/// A hash in Mattermost's format.
fn written(salt: &[u8], key: &[u8]) -> String {
    let encode = |bytes: &[u8]| BASE64_STANDARD_NO_PAD.encode(bytes);
    format!("$pbkdf2$f=SHA256,w={ITERATIONS},l={KEY_LENGTH}${}${}", encode(salt), encode(key))
}

fn verify(password: &str, stored: &str) -> Verdict {
    let Some((iterations, salt, key)) = parse(stored) else {
        return match bcrypt::verify(password, stored) {
            Ok(true) => Verdict::RightButOutdated,
            _ => Verdict::Wrong,
        };
    };
    let same = pbkdf2::verify(pbkdf2::PBKDF2_HMAC_SHA256, iterations, &salt, password.as_bytes(), &key);
    match same {
        Err(_) => Verdict::Wrong,
        Ok(()) if iterations.get() < ITERATIONS => Verdict::RightButOutdated,
        Ok(()) => Verdict::Right,
    }
}

/// The iterations, salt and key of a hash in Mattermost's format.
fn parse(stored: &str) -> Option<(NonZeroU32, Vec<u8>, Vec<u8>)> {
    let mut parts = stored.strip_prefix("$pbkdf2$")?.split('$');
    let (parameters, salt, key) = (parts.next()?, parts.next()?, parts.next()?);
    let parameter =
        |name: &str| parameters.split(',').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
    if parameter("f")? != "SHA256" || parts.next().is_some() {
        return None;
    }
    let iterations: NonZeroU32 = parameter("w")?.parse().ok()?;
    let salt = BASE64_STANDARD_NO_PAD.decode(salt).ok()?;
    let key = BASE64_STANDARD_NO_PAD.decode(key).ok()?;
    let length: usize = parameter("l")?.parse().ok()?;
    (iterations.get() <= MOST_ITERATIONS && key.len() == length && length >= 16)
        .then_some((iterations, salt, key))
}

/// Refuses a new password that breaks the rules. As in Mattermost, the error's id lists the rules that are enabled.
pub(crate) fn check(rules: &config::Password, password: &str) -> Result<()> {
    let has = |class: fn(char) -> bool| password.chars().any(class);
    let classes = [
        (rules.lowercase, "_lowercase", has(|c| c.is_ascii_lowercase())),
        (rules.uppercase, "_uppercase", has(|c| c.is_ascii_uppercase())),
        (rules.number, "_number", has(|c| c.is_ascii_digit())),
        (rules.symbol, "_symbol", has(|c| " !\"\\#$%&'()*+,-./:;<=>?@[]^_`|~".contains(c))),
    ];
    let too_short = password.len() < rules.minimum_length as usize;
    if password.len() > LONGEST {
        return Err(AppError::bad_request(
            "model.user.is_valid.pwd_max_length.app_error",
            format!("Must be at most {LONGEST} bytes long."),
        ));
    }
    if !too_short && classes.iter().all(|(wanted, _, present)| !wanted || *present) {
        return Ok(());
    }
    let mut id = "model.user.is_valid.pwd".to_owned();
    id.extend(too_short.then_some("_min_length"));
    id.extend(classes.iter().filter(|(wanted, ..)| *wanted).map(|(_, name, _)| *name));
    let wanted: Vec<&str> = classes
        .iter()
        .filter(|(wanted, ..)| *wanted)
        .map(|(_, name, _)| name.trim_start_matches('_'))
        .collect();
    let mut message = format!("Your password must contain at least {} characters", rules.minimum_length);
    if !wanted.is_empty() {
        message += &format!(", with at least one of each: {}", wanted.join(", "));
    }
    Err(AppError::new(http::StatusCode::BAD_REQUEST, id + ".app_error", message + "."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_matches_only_its_password() {
        let stored = hash("correct horse");
        let kind = format!("$pbkdf2$f=SHA256,w={ITERATIONS},l=32$");
        assert!(stored.starts_with(&kind) && stored.len() <= 128);
        assert_eq!(iterations(false), 600_000, "what is shipped does what Mattermost 11 does");
        assert_eq!(verify("correct horse", &stored), Verdict::Right);
        assert_eq!(verify("wrong horse", &stored), Verdict::Wrong);
    }

    #[test]
    fn the_unmatched_hash_takes_as_long_as_a_real_one() {
        let iterations = parse(&unmatched()).map(|(iterations, ..)| iterations.get());
        assert_eq!(iterations, Some(ITERATIONS));
        assert_eq!(verify("", &unmatched()), Verdict::Wrong);
    }

    #[test]
    fn bcrypt_hashes_match_and_are_outdated() -> Result<(), bcrypt::BcryptError> {
        let stored = bcrypt::hash("old secret", 4)?;
        assert_eq!(verify("old secret", &stored), Verdict::RightButOutdated);
        assert_eq!(verify("other", &stored), Verdict::Wrong);
        Ok(())
    }

    #[test]
    fn malformed_hashes_match_no_password() {
        for stored in
            ["", "$", "$pbkdf2$", "$pbkdf2$f=SHA256,w=0,l=32$AA$AA", "$pbkdf2$f=MD5,w=1,l=1$AA$AA", "x"]
        {
            assert_eq!(verify("", stored), Verdict::Wrong, "{stored}");
        }
    }

    #[test]
    fn the_error_id_lists_the_rules() {
        let mut rules = config::Password::default();
        assert!(check(&rules, "12345678").is_ok());
        let id = |rules: &config::Password, password: &str| {
            check(rules, password).err().map(|e| e.id().to_owned())
        };
        assert_eq!(id(&rules, "short").as_deref(), Some("model.user.is_valid.pwd_min_length.app_error"));
        assert_eq!(
            id(&rules, &"x".repeat(73)).as_deref(),
            Some("model.user.is_valid.pwd_max_length.app_error")
        );
        rules.number = true;
        rules.uppercase = true;
        assert_eq!(
            id(&rules, "longenough").as_deref(),
            Some("model.user.is_valid.pwd_uppercase_number.app_error")
        );
        assert!(check(&rules, "Longenough1").is_ok());
    }
}

//! How Mattermost proves that a call comes from it: a token signed with the app's secret (JWT, HS256).

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;

/// The header that carries it.
pub const HEADER: &str = "Mattermost-App-Authorization";
/// How far the clocks of two machines may differ, in seconds.
const CLOCKS: i64 = 60;
/// The shortest secret that is used, in bytes.
pub const SECRET_MIN: usize = 16;
/// How long a token may be, in bytes.
const TOKEN_MAX: usize = 8192;

/// The app's secret. It is never empty, and prints itself masked.
#[derive(Clone)]
pub struct Secret(hmac::Key);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(***)")
    }
}

impl Secret {
    /// A secret of this text; None where it is shorter than [`SECRET_MIN`].
    pub fn new(text: &str) -> Option<Self> {
        let text = text.trim();
        (text.len() >= SECRET_MIN).then(|| Self(hmac::Key::new(hmac::HMAC_SHA256, text.as_bytes())))
    }

    /// A token of this secret that is valid until `expires`, in seconds since the epoch.
    pub fn sign(&self, expires: i64) -> String {
        let head = URL_SAFE_NO_PAD.encode(r#"{"alg":"HS256","typ":"JWT"}"#);
        let claims = URL_SAFE_NO_PAD.encode(format!(r#"{{"exp":{expires}}}"#));
        let signed = format!("{head}.{claims}");
        let signature = URL_SAFE_NO_PAD.encode(hmac::sign(&self.0, signed.as_bytes()));
        format!("{signed}.{signature}")
    }

    /// Checks the value of the header at `now`, in seconds since the epoch.
    ///
    /// # Errors
    /// Why the call is not answered, in words.
    pub fn check(&self, header: Option<&str>, now: i64) -> Result<(), &'static str> {
        let header = header.ok_or("the call has no token in Mattermost-App-Authorization")?;
        let token = header.strip_prefix("Bearer ").ok_or("the token does not begin with `Bearer `")?.trim();
        if token.len() > TOKEN_MAX {
            return Err("the token is too long");
        }
        let (signed, signature) = token.rsplit_once('.').ok_or("the token is not a JWT")?;
        let (head, claims) = signed.split_once('.').ok_or("the token is not a JWT")?;
        let head: Head = part(head)?;
        if head.alg != "HS256" {
            return Err("the token is not signed with HS256");
        }
        let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|_| "the token is not a JWT")?;
        hmac::verify(&self.0, signed.as_bytes(), &signature)
            .map_err(|_| "the token is not signed with the app's secret")?;
        let claims: Claims = part(claims)?;
        let expires = claims.exp.ok_or("the token does not say when it expires")?;
        if expires <= (now - CLOCKS) as f64 {
            return Err("the token has expired");
        }
        if claims.nbf.is_some_and(|from| from > (now + CLOCKS) as f64) {
            return Err("the token is not valid yet");
        }
        Ok(())
    }
}

#[derive(Deserialize)]
struct Head {
    alg: String,
}

#[derive(Deserialize)]
struct Claims {
    exp: Option<f64>,
    nbf: Option<f64>,
}

fn part<T: for<'a> Deserialize<'a>>(text: &str) -> Result<T, &'static str> {
    let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| "the token is not a JWT")?;
    serde_json::from_slice(&bytes).map_err(|_| "the token is not a JWT")
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_700_000_000;

    fn secret() -> Secret {
        Secret::new("a secret of enough length").unwrap()
    }

    #[test]
    fn a_token_of_the_secret_passes_until_it_expires() {
        let check = |token: &str| secret().check(Some(token), NOW);
        let bearer = |expires| format!("Bearer {}", secret().sign(expires));
        assert_eq!(check(&bearer(NOW + 900)), Ok(()));
        assert_eq!(check(&bearer(NOW - 30)), Ok(()), "clocks differ");
        assert_eq!(check(&bearer(NOW - 61)), Err("the token has expired"));
    }

    #[test]
    fn everything_else_is_refused() {
        let token = secret().sign(NOW + 900);
        let check = |header: Option<&str>| secret().check(header, NOW).unwrap_err();
        assert!(check(None).contains("no token"));
        assert!(check(Some(&token)).contains("`Bearer `"));
        for broken in ["Bearer ", "Bearer a.b", "Bearer a.b.c", "Bearer ..", "Bearer \u{e9}.x.y"] {
            assert_eq!(check(Some(broken)), "the token is not a JWT", "{broken}");
        }
        let other = Secret::new("another secret of that kind").unwrap().sign(NOW + 900);
        assert!(check(Some(&format!("Bearer {other}"))).contains("not signed with the app's secret"));
        // Neither unsigned tokens nor tokens whose claims were exchanged.
        let parts: Vec<&str> = token.split('.').collect();
        let none = URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#);
        assert!(check(Some(&format!("Bearer {none}.{}.", parts[1]))).contains("HS256"));
        let claims = URL_SAFE_NO_PAD.encode(format!(r#"{{"exp":{}}}"#, NOW + 90_000));
        assert!(check(Some(&format!("Bearer {}.{claims}.{}", parts[0], parts[2]))).contains("not signed"));
        let endless = URL_SAFE_NO_PAD.encode("{}");
        let signed = format!("{}.{endless}", parts[0]);
        let signature = URL_SAFE_NO_PAD.encode(hmac::sign(&secret().0, signed.as_bytes()));
        assert!(check(Some(&format!("Bearer {signed}.{signature}"))).contains("when it expires"));
    }

    #[test]
    fn a_secret_is_never_empty_and_never_shown() {
        assert!(
            Secret::new("").is_none() && Secret::new("   \n").is_none() && Secret::new("short").is_none()
        );
        assert_eq!(format!("{:?}", secret()), "Secret(***)");
    }

    /// The example of RFC 7515, appendix A.1: its key, its token.
    #[test]
    fn tokens_of_others_are_understood() {
        let key = URL_SAFE_NO_PAD
            .decode("AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow")
            .unwrap();
        let secret = Secret(hmac::Key::new(hmac::HMAC_SHA256, &key));
        let token = "Bearer eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
        assert_eq!(secret.check(Some(token), 1_300_819_000), Ok(()));
        assert_eq!(secret.check(Some(token), 1_400_000_000), Err("the token has expired"));
    }
}

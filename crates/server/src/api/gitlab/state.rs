//! The state of a sign-in on its way through the provider.

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use crate::id::{self, LENGTH};

/// How long a sign-in may take, in milliseconds: as long as the cookie lasts.
const TIME: i64 = 30 * 60_000;

/// A sign-in that was begun.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Flow {
    nonce: String,
    redirect_to: String,
    invite: String,
    until: i64,
}

impl Flow {
    pub(super) fn new(redirect_to: &str, invite: &str, now: i64) -> Flow {
        Flow {
            nonce: id::random_text(LENGTH),
            redirect_to: redirect_to.to_owned(),
            invite: invite.to_owned(),
            until: now + TIME,
        }
    }

    /// What the browser keeps.
    pub(super) fn cookie(&self) -> &str {
        &self.nonce
    }

    pub(super) fn redirect_to(&self) -> &str {
        &self.redirect_to
    }

    pub(super) fn invite(&self) -> &str {
        &self.invite
    }

    /// The state with its signature. The nonce is not in it: it is in the signature alone, so that who sees the state has no cookie.
    pub(super) fn sealed(&self, key: &hmac::Key) -> String {
        let shown = Flow {
            nonce: String::new(),
            redirect_to: self.redirect_to.clone(),
            invite: self.invite.clone(),
            until: self.until,
        };
        let text = serde_json::to_string(&shown).unwrap_or_default();
        let tag = hmac::sign(key, signed(&text, &self.nonce).as_bytes());
        format!("{}.{}", URL_SAFE_NO_PAD.encode(text), URL_SAFE_NO_PAD.encode(tag.as_ref()))
    }

    /// The state of a sign-in that was begun with this cookie, if its time is not over.
    pub(super) fn open(sealed: &str, key: &hmac::Key, cookie: &str, now: i64) -> Option<Flow> {
        let (text, tag) = sealed.split_once('.')?;
        let text = String::from_utf8(URL_SAFE_NO_PAD.decode(text).ok()?).ok()?;
        let tag = URL_SAFE_NO_PAD.decode(tag).ok()?;
        hmac::verify(key, signed(&text, cookie).as_bytes(), &tag).ok()?;
        let flow: Flow = serde_json::from_str(&text).ok()?;
        (flow.until >= now && cookie.len() == LENGTH).then(|| Flow { nonce: cookie.to_owned(), ..flow })
    }
}

fn signed(text: &str, nonce: &str) -> String {
    format!("{nonce}.{text}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_opened_in_its_browser_and_in_time_alone() {
        let key = |byte: u8| hmac::Key::new(hmac::HMAC_SHA256, &[byte; 32]);
        let flow = Flow::new("/a", "invite", 1_000);
        let sealed = flow.sealed(&key(1));
        assert!(!sealed.contains(flow.cookie()));
        assert_eq!(Flow::open(&sealed, &key(1), flow.cookie(), 2_000).as_ref(), Some(&flow));
        assert_eq!(Flow::open(&sealed, &key(2), flow.cookie(), 2_000), None, "another key");
        assert_eq!(Flow::open(&sealed, &key(1), &"a".repeat(LENGTH), 2_000), None, "another browser");
        assert_eq!(Flow::open(&sealed, &key(1), "", 2_000), None, "no cookie");
        assert_eq!(Flow::open(&sealed, &key(1), flow.cookie(), 1_001 + TIME), None, "too late");
        let other = Flow::new("/b", "", 1_000).sealed(&key(1));
        let (text, _) = other.split_once('.').expect("two parts");
        let (_, tag) = sealed.split_once('.').expect("two parts");
        assert_eq!(Flow::open(&format!("{text}.{tag}"), &key(1), flow.cookie(), 2_000), None, "mixed");
        for hostile in ["", ".", "a.b", "%", "ä.ä"] {
            assert_eq!(Flow::open(hostile, &key(1), flow.cookie(), 2_000), None, "{hostile}");
        }
    }
}

//! What is worth telling, each thing once: decided from what is known.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::look::Security;

/// Something to tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct News {
    /// By which it is known that it was told.
    pub keys: Vec<String>,
    /// In a few words.
    pub subject: String,
    /// In full.
    pub text: String,
}

/// What was not told yet. `in_container`: an image decides which release runs.
pub(super) fn news(
    security: &Security,
    told: &BTreeMap<String, Timestamp>,
    in_container: bool,
) -> Option<News> {
    let (mut keys, mut subjects, mut lines) = (Vec::new(), Vec::new(), Vec::new());
    let is_new = |key: &String| !told.contains_key(key);
    if let Some(last) = &security.last
        && last.ended.is_some_and(|_| last.resumed.is_none())
    {
        let key = format!(
            "update {} of {:.0}: {}",
            last.to,
            last.began,
            last.failure.as_ref().map_or(0, |failure| failure.exit)
        );
        // What is refused in every window is told once.
        let again = format!("update {}: {}", last.to, last.why());
        let untouched = last.failure.is_some() && !last.latches();
        let key = if untouched { again } else { key };
        if is_new(&key) {
            match &last.failure {
                None => {
                    subjects.push(format!("updated to {}", last.to));
                    lines.push(format!("The update from {} to {} is done and verified.", last.from, last.to));
                }
                Some(failure) => {
                    subjects.push(format!("the update to {} failed", last.to));
                    lines.push(format!(
                        "The update from {} to {} failed: {}",
                        last.from, last.to, failure.what
                    ));
                    lines.extend(failure.hint.clone());
                    lines.push(match untouched {
                        true => "Nothing was changed. It is tried again in the next window.".to_owned(),
                        false => "It is not tried again until `mainstay security resume`, or until a newer release is out. \
                                  `mainstay history` has the run."
                            .to_owned(),
                    });
                }
            }
            keys.push(key);
        }
    } else if let Some(latched) = &security.latched {
        let key = format!("update {} of {:.0}: killed", latched.to, latched.began);
        if is_new(&key) {
            subjects.push(format!("the update to {} did not end", latched.to));
            lines.push(format!(
                "The update from {} to {} did not come to its end. `mainstay up` brings the deployment to its end or back; \
                 `mainstay security resume` lets the update be tried again.",
                latched.from, latched.to
            ));
            keys.push(key);
        }
    }
    let missing: Vec<_> = security.exposure.certain().collect();
    let of = |overdue: bool| {
        let key = move |id: &str| if overdue { format!("over-due {id}") } else { id.to_owned() };
        let chosen = missing.iter().filter(move |missing| missing.is_overdue() || !overdue);
        chosen
            .map(move |missing| (key(&missing.id), *missing))
            .filter(|(key, _)| is_new(key))
            .collect::<Vec<_>>()
    };
    let (new, overdue) = (of(false), of(true));
    if !new.is_empty() {
        subjects.push(finding::counted(new.len(), "security fix is missing", "security fixes are missing"));
    }
    if !overdue.is_empty() {
        subjects.push(finding::counted(
            overdue.len(),
            "security fix is over-due",
            "security fixes are over-due",
        ));
    }
    let mut shown: Vec<&str> = Vec::new();
    for (_, missing) in new.iter().chain(&overdue) {
        if !shown.contains(&&*missing.id) {
            shown.push(&missing.id);
            lines.push(format!("{} ({}): {}", missing.id, missing.severity, missing.left()));
        }
    }
    if !shown.is_empty() {
        lines.push(match in_container {
            true => format!("{} runs. Replace the container by one of a newer image.", security.release),
            false => format!("{} is installed. `mainstay security status` says which release has the fixes; `mainstay upgrade` installs it.", security.release),
        });
    }
    keys.extend(new.into_iter().chain(overdue).map(|(key, _)| key));
    (!keys.is_empty()).then(|| News { keys, subject: subjects.join(", "), text: lines.join("\n") })
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;
    use updates::{Exposure, Published, Severity, Support};

    use super::super::look::{Known, KnownSource};
    use super::*;
    use crate::state::updates::record::{FailedUpdate, UpdateAttempt};

    fn seen(installed: &str, last: Option<UpdateAttempt>) -> Security {
        let release = |version: &str, day| Published {
            version: version.parse().expect("a version"),
            published: Some(day),
            security: Some(Severity::High),
        };
        let releases = [release("11.7.16", date(2026, 11, 26)), release("11.7.15", date(2026, 11, 5))];
        let source = || KnownSource { read: None, failed: None };
        let today = date(2026, 11, 27);
        let version = installed.parse().expect("a version");
        Security {
            release: format!("{installed}-team"),
            builtin: false,
            today,
            exposure: Exposure::of(&version, &[], &releases, &Support::default(), today),
            known: Known { advisories: source(), releases: source(), catalogue: today },
            policy: updates::Policy::Security,
            latched: last.clone().filter(UpdateAttempt::latches),
            last,
            not_told: Vec::new(),
            watched: false,
        }
    }

    fn attempt(ended: bool, exit: Option<u8>) -> UpdateAttempt {
        UpdateAttempt {
            from: "11.7.15-team".to_owned(),
            to: version::Version::new(11, 7, 16),
            began: Timestamp::UNIX_EPOCH,
            ended: ended.then_some(Timestamp::UNIX_EPOCH),
            failure: exit.map(|exit| FailedUpdate { what: "it broke".to_owned(), hint: None, exit }),
            resumed: None,
        }
    }

    #[test]
    fn each_thing_is_told_once() {
        let mut told = BTreeMap::new();
        let mut tell = |security: &Security| {
            let news = news(security, &told, false)?;
            told.extend(news.keys.into_iter().map(|key| (key, Timestamp::UNIX_EPOCH)));
            Some((news.subject, news.text))
        };
        let (subject, text) = tell(&seen("11.7.14", None)).expect("news");
        assert_eq!(subject, "2 security fixes are missing, 1 security fix is over-due");
        assert!(
            text.starts_with("11.7.15 (high): 12 days over-due\n11.7.16 (high): 9 days left\n"),
            "{text}"
        );
        assert_eq!(tell(&seen("11.7.14", None)), None);
        let failed = seen("11.7.15", Some(attempt(true, Some(6))));
        let (subject, text) = tell(&failed).expect("news");
        assert_eq!(subject, "the update to 11.7.16 failed");
        assert!(text.contains("it broke") && text.contains("security resume"), "{text}");
        assert_eq!(tell(&failed), None);
        let refused = seen("11.7.15", Some(attempt(true, Some(4))));
        assert!(tell(&refused).expect("news").1.contains("tried again in the next window"));
        let later = UpdateAttempt { began: Timestamp::MAX, ..attempt(true, Some(4)) };
        assert_eq!(tell(&seen("11.7.15", Some(later))), None, "the same, in the next window");
        assert!(tell(&seen("11.7.15", Some(attempt(false, None)))).expect("news").0.contains("did not end"));
        assert_eq!(tell(&seen("11.7.16", Some(attempt(true, None)))).expect("news").0, "updated to 11.7.16");
        let again = news(&seen("11.7.14", None), &BTreeMap::new(), true).expect("news");
        assert!(again.text.contains("newer image"), "{}", again.text);
    }
}

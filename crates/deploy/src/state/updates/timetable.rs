//! When the agent looks for security fixes, and when it may install them: entries of its schedule that `[updates]` makes.

use settings::Wanted;
use updates::Policy;

use crate::control::protocol::ScheduleEntry;
use crate::place::Place;

/// Every entry that `mainstay.toml` wants: those of `[schedule]`, and those of `[updates]`. Where an image decides the release, nothing is
/// installed by itself.
pub(crate) fn entries(wanted: &Wanted, place: Place) -> Vec<ScheduleEntry> {
    let mut entries = crate::control::protocol::entries(&wanted.schedule);
    let rules = wanted.update_rules();
    let tells = ["updates.mail", "updates.webhook"].into_iter().any(|key| wanted.get(key).is_some());
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    // Without a word of the administrator nobody is asked for anything.
    if rules.policy != Policy::None || tells {
        entries.push(ScheduleEntry {
            name: "security-watch".to_owned(),
            cron: "17 5 * * *".to_owned(),
            jitter: 3600,
            catch_up: true,
            arguments: words(&["security", "watch", "--once"]),
        });
    }
    if rules.policy != Policy::None && !place.image_decides_release() {
        let updates = rules.windows.crons().into_iter().enumerate().map(|(at, cron)| ScheduleEntry {
            name: if at == 0 { "security-update".to_owned() } else { format!("security-update-{}", at + 1) },
            cron,
            jitter: 0,
            // What is missed waits for the next window.
            catch_up: false,
            arguments: words(&["security", "update"]),
        });
        entries.extend(updates);
    }
    entries
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn nothing_begins_by_itself_unless_the_file_says_so() {
        let of = |text: &str| {
            let wanted = settings::parse(Path::new("x"), text).expect("valid");
            entries(&wanted, Place::Machine)
                .iter()
                .map(|entry| format!("{}: {}", entry.name, entry.cron))
                .collect::<Vec<_>>()
        };
        assert_eq!(of(""), Vec::<String>::new());
        assert_eq!(of("[updates]\npolicy = \"none\"\nwindow = \"Sat 02:00-03:00\"\n"), Vec::<String>::new());
        assert_eq!(of("[updates]\nmail = \"ops@example.com\"\n"), ["security-watch: 17 5 * * *"]);
        assert_eq!(
            of(
                "[updates]\npolicy = \"security\"\nwindow = [\"Sat 02:00-04:00\", \"Sun 03:00-04:00\"]\n[schedule]\nverify = \"0 3 * * *\"\n"
            ),
            [
                "verify: 0 3 * * *",
                "security-watch: 17 5 * * *",
                "security-update: 0 2,3 * * SAT",
                "security-update-2: 0 3 * * SUN"
            ]
        );
        let text = "[updates]\npolicy = \"patch\"\n";
        let wanted = settings::parse(Path::new("x"), text).expect("valid");
        assert_eq!(entries(&wanted, Place::Container).len(), 1, "an image decides");
        let crons = of("[updates]\npolicy = \"patch\"\nwindow = \"Fri 23:30-01:00\"\n");
        for cron in crons.iter().filter_map(|entry| entry.split_once(": ")) {
            settings::check_cron(cron.1).expect("a cron expression");
        }
    }
}

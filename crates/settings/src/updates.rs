//! `[updates]` of `mainstay.toml`: which releases are installed by themselves, and when.

use ::updates::{Freeze, Policy, Rules, Windows};

use crate::wanted::Wanted;

impl Wanted {
    /// What it says of updates. Its values are right: a wrong one is refused when the file is read.
    pub fn update_rules(&self) -> Rules {
        let said = |key: &str| self.get(key).unwrap_or_default();
        Rules {
            policy: Policy::of_word(said("updates.policy")),
            windows: Windows::read(said("updates.window")).unwrap_or_default(),
            delay: ::updates::days(said("updates.delay")).unwrap_or_default(),
            freeze: Freeze::read(said("updates.freeze")).unwrap_or_default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::wanted::parse;

    #[test]
    fn what_the_table_says_are_the_rules() {
        let text = "[updates]\npolicy = \"Security\"\nwindow = \"Sat 02:00-05:00\"\ndelay = \"2d\"\n";
        let rules = parse(Path::new("x"), text).expect("valid").update_rules();
        assert_eq!((rules.policy, rules.delay), (Policy::Security, 2));
        assert_eq!(rules.windows.crons(), ["0 2,3,4 * * SAT"]);
        assert_eq!(parse(Path::new("x"), "").expect("valid").update_rules(), Rules::default());
    }
}

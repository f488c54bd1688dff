//! Sample keys that were published: the server starts with them, and says so until they are gone.

use crate::place::{Place, Ran};

const SAMPLE: (&str, &str) = ("MATTERMOST_LINK_SALT", "long-and-random-alphanumeric-string");

fn with_the_sample(place: &Place, args: &[&str]) -> Ran {
    place.command(args).env(SAMPLE.0, SAMPLE.1).output().expect("the binary runs").into()
}

#[test]
fn a_published_key_starts_is_told_everywhere_and_is_gone_after_a_rotation() {
    let place = Place::new();
    let args = place.up_args();
    let up = with_the_sample(&place, &args.iter().map(String::as_str).collect::<Vec<_>>()).expect(0);
    let told = "settings secrets rotate link_salt";
    assert!(up.stderr.contains("warning: ") && up.stderr.contains(told), "{}", up.stderr);
    assert!(!up.stderr.contains(SAMPLE.1) && !up.stdout.contains(SAMPLE.1), "the key itself was printed");
    let status = place.run(&["status"]).expect(0).stdout;
    assert!(status.contains("Warning") && status.contains(told), "{status}");

    // Where the environment gives it, a new one in secrets.toml would change nothing.
    let rotate = ["settings", "secrets", "rotate", "link_salt", "--yes"];
    let refused = with_the_sample(&place, &rotate).expect(3);
    assert!(refused.stderr.contains("MATTERMOST_LINK_SALT"), "{}", refused.stderr);

    place.run(&rotate).expect(0);
    assert_eq!(place.status()["warnings"], serde_json::json!([]));
}

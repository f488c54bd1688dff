//! One server at a time works on a database, also where its directory was moved or is taken over.

use std::fs;

use crate::place::{Place, eventually, processes_of};

#[test]
fn a_directory_that_was_moved_while_it_runs_is_stopped_under_its_new_name() {
    let place = Place::new();
    place.up(&[]).expect(0);
    let server = place.status()["agent"]["server"]["pid"].clone();
    let mut moved = Place::new();
    let (old, new) = (place.root.clone(), moved.root.with_file_name("moved"));
    fs::rename(&old, &new).expect("moved");
    moved.root.clone_from(&new);

    let told = moved.run(&["status"]).expect(0).stdout.replace('\n', " ");
    assert!(told.contains("refused") && told.contains(&format!("from {}", old.display())), "{told}");
    moved.run(&["status", "--check"]).expect(7);
    for command in [&["up", "--yes"][..], &["up", "--plan"], &["restart", "--yes"], &["uninstall", "--yes"]] {
        let refused = moved.run(command).expect(8).stderr;
        assert!(refused.contains("while it ran") && refused.contains("down` stops them"), "{refused}");
    }
    let status = moved.run(&["status", "--json"]).expect(0).json();
    assert_eq!(status["agent"]["server"]["pid"], server, "it still runs");
    let away = place.run(&["status"]).expect(0).stdout.replace('\n', " ");
    assert!(away.contains("was moved to") && away.contains(&*new.to_string_lossy()), "{away}");

    // Another deployment under the old name is not taken for the one that is away, nor its agent for this one's.
    let mut place = place;
    place.port = moved.port;
    place.up(&[]).expect(0);
    place.run(&["down"]).expect(0);
    assert_eq!(moved.run(&["status", "--json"]).expect(0).json()["agent"]["server"]["pid"], server);
    place.run(&["uninstall", "--yes"]).expect(0);

    // The agent is found also without its socket.
    fs::remove_file(new.join("run/agent.sock")).expect("removed");
    moved.run(&["down"]).expect(0);
    eventually("nothing runs", || processes_of(&old).is_empty() && processes_of(&new).is_empty());
    moved.run(&["up", "--yes"]).expect(0);
    assert_eq!(moved.run(&["up", "--json"]).expect(0).json()["changed"], false);
}

#[test]
fn a_built_in_server_that_runs_is_not_taken_over() {
    let old = Place::new();
    old.up(&[]).expect(0);
    let new = Place::new();
    let config = old.root.join("config/config.json");
    let url = new.url();
    let take_over = ["--take-over", config.to_str().expect("text"), "--site-url", &url];
    let running = new.up(&take_over).expect(9).stderr;
    assert!(
        running.contains("which runs: `agent`") && running.contains("down`, then run this again"),
        "{running}"
    );
    old.run(&["down"]).expect(0);

    // Somebody else has its file open.
    let file = fs::File::open(old.root.join("data/mattermost.db")).expect("the database");
    let used = new.up(&take_over).expect(9).stderr;
    assert!(
        used.contains(&format!("process {}", std::process::id())) && used.contains("mattermost.db open"),
        "{used}"
    );
    drop(file);
    assert_eq!(new.names(), Vec::<String>::new());

    let taken = new.up(&[&take_over[..], &["--json"]].concat()).expect(0).json();
    assert_eq!(taken["administrators_kept"], serde_json::json!(["admin"]), "{taken}");
    new.run(&["verify"]).expect(0);
    old.run(&["up", "--yes"]).expect(0);
}

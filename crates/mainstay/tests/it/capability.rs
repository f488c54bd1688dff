//! The table of what the built-in server does with settings, and the built-in server itself.

use std::collections::BTreeSet;

/// Keys of a socket or a path that Mainstay alone decides are in the table as well: nobody is told that they have no effect.
#[test]
fn the_table_of_the_built_in_server_names_the_keys_that_it_reads() {
    let name = |(section, key): (&str, &str)| format!("{section}.{key}");
    let read: BTreeSet<String> = server::Config::keys().map(name).collect();
    let table: BTreeSet<String> = settings::capability::followed_by_builtin().map(name).collect();
    let missing: Vec<_> = read.difference(&table).collect();
    let stale: Vec<_> = table.difference(&read).collect();
    assert!(
        missing.is_empty() && stale.is_empty(),
        "crates/settings/src/capability/builtin.rs lacks {missing:?}, and has {stale:?}, which the server does not read"
    );
}

//! What the files of a managed cluster say.

use super::{MATTERMOST, SUPERUSER};

/// What the settings depend on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Machine {
    /// Its memory in bytes.
    pub memory: u64,
    /// How many connections the server opens at most.
    pub connections: u32,
    /// Whether the library for the statistics of statements is there.
    pub statements: bool,
}

const MIB: u64 = 1 << 20;

/// The name of the map from system users to roles.
const MAP: &str = "mainstay";

/// Connections beside the server's: Mainstay, an administrator, a backup, plugins of the server.
const SPARE: u32 = 30;

/// The settings: `postgresql.conf`. The socket, and that there is no other address, is said on the command line, which outranks it.
pub fn settings(machine: &Machine) -> String {
    let memory = class(machine.memory);
    let connections = machine.connections.clamp(50, 1000) + SPARE;
    // The server runs on the same machine and needs most of its memory.
    let shared = (memory / 8).clamp(64 * MIB, 8192 * MIB);
    let work = (memory / 4 / u64::from(connections)).clamp(4 * MIB, 32 * MIB);
    let maintenance = (memory / 32).clamp(64 * MIB, 1024 * MIB);
    let mut text = format!(
        "# `mainstay up` writes this file. For settings of your own: `mainstay shell database`, then ALTER SYSTEM.\n\
         max_connections = {connections}\n\
         shared_buffers = {}MB\n\
         effective_cache_size = {}MB\n\
         work_mem = {}MB\n\
         maintenance_work_mem = {}MB\n\
         random_page_cost = 1.1\n\
         jit = off\n\
         max_wal_size = 1GB\n\
         wal_compression = on\n\
         fsync = on\n\
         full_page_writes = on\n\
         synchronous_commit = on\n\
         password_encryption = 'scram-sha-256'\n\
         log_destination = 'stderr'\n\
         logging_collector = off\n\
         log_line_prefix = '%m [%p] %q%u@%d '\n\
         log_timezone = 'UTC'\n\
         timezone = 'UTC'\n\
         lc_messages = 'C'\n\
         log_lock_waits = on\n\
         log_temp_files = 100MB\n\
         track_io_timing = on\n",
        shared / MIB,
        memory / 2 / MIB,
        work / MIB,
        maintenance / MIB,
    );
    if machine.statements {
        text.push_str("shared_preload_libraries = 'pg_stat_statements'\npg_stat_statements.max = 2000\n");
    }
    text
}

/// The nearest power of two: the kernel keeps some memory for itself, and not always the same amount.
fn class(memory: u64) -> u64 {
    let memory = memory.max(256 * MIB);
    let below = 1_u64 << memory.ilog2();
    // The geometric mean of both: 1.41 times the lower one.
    if memory > below / 100 * 141 { below * 2 } else { below }
}

/// Who may log in, and how: `pg_hba.conf`. Everybody else is refused.
pub fn access() -> String {
    format!(
        "# `mainstay up` writes this file.\n\
         local all {SUPERUSER} peer map={MAP}\n\
         local {MATTERMOST} {MATTERMOST} scram-sha-256\n"
    )
}

/// Which system users are the superuser: `pg_ident.conf`. `owner` is the one that PostgreSQL runs as.
pub fn identities(owner: &str) -> String {
    let line = |user: &str| format!("{MAP} \"{user}\" {SUPERUSER}\n");
    let mut text = format!("# `mainstay up` writes this file.\n{}", line("root"));
    if owner != "root" {
        text.push_str(&line(owner));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: u64 = 1 << 30;

    #[test]
    fn the_settings_follow_the_memory_and_the_connections() {
        let of = |memory, connections| settings(&Machine { memory, connections, statements: false });
        let small = of(GIB, 11);
        for line in ["max_connections = 80", "shared_buffers = 128MB", "work_mem = 4MB", "fsync = on"] {
            assert!(small.lines().any(|said| said == line), "{line} in:\n{small}");
        }
        assert!(!small.contains("pg_stat_statements"));
        let large = of(64 * GIB, 300);
        for line in ["max_connections = 330", "shared_buffers = 8192MB", "effective_cache_size = 32768MB"] {
            assert!(large.lines().any(|said| said == line), "{line} in:\n{large}");
        }
        let with = settings(&Machine { memory: GIB, connections: 11, statements: true });
        assert!(with.contains("shared_preload_libraries = 'pg_stat_statements'"));
    }

    #[test]
    fn what_the_kernel_keeps_for_itself_changes_nothing() {
        // An "8 GB" machine before and after a new kernel.
        assert_eq!(class(7_900 * MIB), 8 * GIB);
        assert_eq!(class(7_600 * MIB), 8 * GIB);
        assert_eq!(class(11_900 * MIB), 16 * GIB);
        assert_eq!(class(0), 256 * MIB);
    }

    #[test]
    fn the_superuser_is_a_system_user_and_the_server_has_a_password() {
        assert!(access().ends_with("local mattermost mattermost scram-sha-256\n"));
        assert!(!access().contains("host"));
        assert!(
            identities("mainstay-db")
                .ends_with("mainstay \"root\" postgres\nmainstay \"mainstay-db\" postgres\n")
        );
    }
}

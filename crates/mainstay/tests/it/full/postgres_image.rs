//! An image that stands in for `postgres`: the machine's own PostgreSQL with its libraries, configured by the same variables.

use std::path::Path;
use std::process::Command;

use testbed::docker::Docker;
use testbed::postgres::program;

/// What the official image's entrypoint does, as far as these tests ask for it.
const ENTRYPOINT: &str = r#"#!/bin/sh
set -e
if [ ! -s "$PGDATA/PG_VERSION" ]; then
    printf %s "$POSTGRES_PASSWORD" > /tmp/password
    initdb -D "$PGDATA" -U "$POSTGRES_USER" -A scram-sha-256 --pwfile=/tmp/password -E UTF8 --locale=C --no-sync
    echo "host all all all scram-sha-256" >> "$PGDATA/pg_hba.conf"
    echo "CREATE DATABASE \"$POSTGRES_DB\"" | postgres --single -D "$PGDATA" postgres
fi
exec postgres -D "$PGDATA" -c listen_addresses='*' -c unix_socket_directories=/tmp -c fsync=off
"#;

const BUILD: &str = r#"
set -e
bin=$(dirname "$1") root=$2
home=$(dirname "$bin") share=$("$bin/pg_config" --sharedir)
mkdir -p "$root/etc" "$root/tmp" "$root/bin" "$root$home" "$root$share" "$root/var/lib/postgresql/data"
cp -a "$home/." "$root$home/"; cp -a "$share/." "$root$share/"
mkdir -p "$root/usr/share/zoneinfo"; cp -aL /usr/share/zoneinfo/Etc /usr/share/zoneinfo/UTC "$root/usr/share/zoneinfo/"
rm -rf "$root$home/lib/bitcode"
cp -L /bin/sh "$root/bin/sh"
for lib in $(ldd /bin/sh "$bin/postgres" "$bin/initdb" "$bin/pg_isready" "$bin/psql" "$bin/pg_dump" "$bin/pg_restore" | grep -o '/[^ ]*' | grep -v ':$' | sort -u); do
    mkdir -p "$root$(dirname "$lib")"; cp -L "$lib" "$root$lib"
done
printf 'root:x:0:0::/:/bin/sh\npostgres:x:26:26::/tmp:/bin/sh\n' > "$root/etc/passwd"
chmod 1777 "$root/tmp"; chown -R 26:26 "$root/var/lib/postgresql"; chmod 700 "$root/var/lib/postgresql/data"
cp "$3" "$root/entrypoint"; chmod 755 "$root/entrypoint"
"#;

/// Makes it under this name.
pub(crate) fn make(docker: &Docker, name: &str) {
    let dir = tempfile::tempdir().expect("a directory");
    let (root, entrypoint) = (dir.path().join("root"), dir.path().join("entrypoint"));
    std::fs::write(&entrypoint, ENTRYPOINT).expect("written");
    let postgres = program("postgres");
    let built =
        Command::new("sh").args(["-c", BUILD, "sh"]).arg(&postgres).arg(&root).arg(&entrypoint).output();
    let built = built.expect("sh runs");
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    let tar = dir.path().join("root.tar");
    let packed = Command::new("tar").arg("-cf").arg(&tar).arg("-C").arg(&root).arg(".").status();
    assert!(packed.expect("tar runs").success());
    let path = format!("ENV PATH={}:/bin", postgres.parent().unwrap_or(Path::new("/")).display());
    let changes = [
        path.as_str(),
        "ENV PGDATA=/var/lib/postgresql/data",
        "VOLUME /var/lib/postgresql/data",
        "USER 26:26",
        "EXPOSE 5432",
        r#"ENTRYPOINT ["/entrypoint"]"#,
    ];
    let mut args = vec!["import"];
    args.extend(changes.iter().flat_map(|change| ["--change", *change]));
    let tar = tar.display().to_string();
    args.extend([tar.as_str(), name]);
    docker.run(&args);
}

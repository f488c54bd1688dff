//! The PostgreSQL cluster that the tests share: with TLS, and everything in it that they need.

use std::sync::LazyLock;

use testbed::postgres::{Cluster, Kind};

pub(crate) async fn shared() -> &'static Cluster {
    static CLUSTER: LazyLock<Cluster> = LazyLock::new(|| {
        let mut cluster = Cluster::new(&Kind { certificate: Some(false), ..Kind::default() });
        cluster.start();
        cluster
    });
    static READY: tokio::sync::OnceCell<()> = tokio::sync::OnceCell::const_new();
    READY
        .get_or_init(|| async {
            for sql in [
                "CREATE ROLE mm LOGIN PASSWORD 'mm'",
                "CREATE DATABASE chat OWNER mm",
                "CREATE DATABASE tlsonly OWNER mm",
                "CREATE ROLE guest LOGIN PASSWORD 'guest'",
                "CREATE DATABASE closed",
                "REVOKE CONNECT ON DATABASE closed FROM PUBLIC",
                "CREATE ROLE busy LOGIN PASSWORD 'busy' CONNECTION LIMIT 0",
                "CREATE DATABASE latin OWNER mm ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0",
                "CREATE DATABASE plain OWNER mm LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0",
                "ALTER DATABASE plain SET default_text_search_config = 'pg_catalog.german'",
                "CREATE DATABASE frozen OWNER mm",
                "ALTER DATABASE frozen SET default_transaction_read_only = on",
            ] {
                CLUSTER.execute("postgres", sql).await;
            }
        })
        .await;
    &CLUSTER
}

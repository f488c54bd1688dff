PRAGMA foreign_keys=OFF;
BEGIN TRANSACTION;
PRAGMA user_version=1;
CREATE TABLE runs (
    id integer primary key,
    operation text not null,
    title text not null,
    who text not null,
    why text not null,
    plan text not null,
    started_at integer not null,
    finished_at integer,
    outcome text check (outcome in ('done', 'undone', 'needs-you'))
) strict;
INSERT INTO runs VALUES(1,'up','Install 11.6.0+0.1.0-builtin in /fixture/deployment','root','asked for on the command line','{"operation":"up","title":"Install 11.6.0+0.1.0-builtin in /fixture/deployment","steps":[{"name":"system-user","title":"Create the system user mainstay","undo":"Delete the user","estimate_ms":100,"action":{"action":"system-user","name":"mainstay"}},{"name":"directories","title":"Create the directories in /fixture/deployment","undo":"Remove them","estimate_ms":10,"action":{"action":"directories","user":"mainstay","missing":["logs","releases","config","logs/mattermost","plugins","client-plugins","data"]}},{"name":"mainstay-toml","title":"Write mainstay.toml","undo":"Put it back as it was","estimate_ms":10,"action":{"action":"wanted-file","changes":{"edition":"builtin","listen":"127.0.0.1:18993","site_url":"http://localhost:18993","user":"mainstay"},"replaces":false}},{"name":"secrets","title":"Generate the secrets","undo":"Remove them","estimate_ms":10,"action":{"action":"secrets","admin_name":"admin"}},{"name":"release","title":"Unpack 11.6.0+0.1.0-builtin","undo":"Remove it","estimate_ms":300,"action":{"action":"unpacking","release":"11.6.0+0.1.0-builtin","tarball":null}},{"name":"configuration","title":"Write config.json","undo":"Put it back as it was","estimate_ms":10,"action":{"action":"configuration","release":"11.6.0+0.1.0-builtin","listen":"127.0.0.1:20715","user":"mainstay","replaces":false}},{"name":"database","title":"Create the database","undo":"Move it aside","estimate_ms":100,"action":{"action":"database","release":"11.6.0+0.1.0-builtin","user":"mainstay","fresh":true,"external":false}},{"name":"activation","title":"Make 11.6.0+0.1.0-builtin current","undo":"Remove the link","estimate_ms":10,"action":{"action":"activation","release":"11.6.0+0.1.0-builtin","before":null}},{"name":"agent","title":"Start the agent","undo":"Stop it","estimate_ms":50,"action":{"action":"agent","switch":"on"}},{"name":"server","title":"Start the server","undo":"Stop it","estimate_ms":300,"action":{"action":"server","switch":"on","spec":{"release":"/fixture/deployment/releases/11.6.0+0.1.0-builtin","user":"mainstay","listen":"127.0.0.1:20715","overrides":{}}}},{"name":"administrator","title":"Look after the administrator","estimate_ms":300,"action":{"action":"administrator","listen":"127.0.0.1:20715","email":"admin@localhost"}},{"name":"edge","title":"Open the edge at 127.0.0.1:18993","undo":"Close it","estimate_ms":10,"action":{"action":"edge","spec":{"listen":"127.0.0.1:18993","https":false,"proxies":[]},"before":null}},{"name":"acceptance","title":"Test it as http://localhost:18993","estimate_ms":1500,"action":{"action":"acceptance-test","site_url":"http://localhost:18993/","edge":"127.0.0.1:18993"}}]}',1795733298994,NULL,NULL);
CREATE TABLE entries (
    run integer not null references runs (id),
    seq integer not null,
    step text not null,
    kind text not null check (kind in
        ('started', 'succeeded', 'failed', 'undo-started', 'undo-finished', 'undo-failed')),
    at integer not null,
    detail text,
    primary key (run, seq)
) strict, without rowid;
INSERT INTO entries VALUES(1,0,'system-user','started',1795733299001,NULL);
INSERT INTO entries VALUES(1,1,'system-user','succeeded',1795733299170,'true');
INSERT INTO entries VALUES(1,2,'directories','started',1795733299176,NULL);
CREATE UNIQUE INDEX one_unfinished_run on runs ((1)) where finished_at is null;
COMMIT;

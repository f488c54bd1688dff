//! Every message that an agent was ever sent or gave, read back: see `tests/golden/agent`. A file there is never edited; a message
//! that changes gets another one beside it.

use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use super::client::answer;
use super::first::FirstAsk;
use super::program::{Age, Program};
use super::protocol::{Answer, Ask, PartSpec, Status};
use crate::error::{Error, Exit};

macro_rules! golden {
    ($name:literal) => {
        serde_json::from_str::<Value>(include_str!(concat!("../../tests/golden/agent/", $name, ".json")))
            .expect("JSON")
    };
}

/// It is read, and written as it was.
fn both_ways<T: DeserializeOwned + Serialize>(golden: &Value) -> T {
    let read: T = serde_json::from_value(golden.clone()).unwrap_or_else(|error| panic!("{error}: {golden}"));
    assert_eq!(&serde_json::to_value(&read).expect("it is written"), golden);
    read
}

/// A program of this version whose build is not known.
fn of(version: &str) -> Program<'_> {
    Program { version, build: "" }
}

fn status(line: Value) -> Status {
    match answer(line).expect("an answer") {
        Answer::Done(status) => *status,
        Answer::Refused(refusal) => panic!("{refusal:?}"),
    }
}

#[test]
fn a_managed_database_is_told_and_comes_first() {
    let told = status(golden!("done-postgres-2"));
    assert_eq!(told.postgres().map(|postgres| (postgres.pid, postgres.restarts)), Some((Some(4713), 1)));
    let names: Vec<_> = told.specs().into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["database", "server", "edge"]);
}

#[test]
fn what_protocol_2_asks() {
    assert_eq!(both_ways::<Ask>(&golden!("status-2")), Ask::Status);
    let Ask::Start { part, spec: PartSpec::Server(server) } = both_ways(&golden!("start-server-2")) else {
        panic!("another ask")
    };
    assert_eq!((&*part, server.overrides.len()), ("server", 1));
    assert_eq!(server.upstream().to_string(), "127.0.0.1:18065");
    let Ask::Start { spec: PartSpec::Server(server), .. } = both_ways(&golden!("start-server-2-socket"))
    else {
        panic!("another ask")
    };
    assert_eq!(server.upstream().to_string(), "/srv/chat/local/http.sock");
    let Ask::Start { part, spec: PartSpec::Postgres(postgres) } = both_ways(&golden!("start-postgres-2"))
    else {
        panic!("another ask")
    };
    assert_eq!((&*part, postgres.reader.as_deref()), ("database", Some("mainstay-chat")));
    let Ask::Start { spec: PartSpec::Edge(edge), .. } = both_ways(&golden!("start-edge-2")) else {
        panic!("another ask")
    };
    assert!(edge.https && edge.proxies.len() == 1);
    let Ask::Start { spec: PartSpec::Edge(edge), .. } = both_ways(&golden!("start-edge-2-hold")) else {
        panic!("another ask")
    };
    assert_eq!(edge.hold, Some(90));
    let Ask::Start { spec: PartSpec::App(app), .. } = both_ways(&golden!("start-app-2")) else {
        panic!("another ask")
    };
    assert_eq!((&*app.part(), app.memory), ("app:com.example.hello", 256));
    assert_eq!(both_ways::<Ask>(&golden!("stop-2")), Ask::stop("edge"));
    let Ask::Schedule { entries } = both_ways(&golden!("schedule-2")) else { panic!("another ask") };
    assert_eq!((entries[0].jitter, entries[0].catch_up), (600, true));
    assert_eq!(both_ways::<Ask>(&golden!("shut-down-2")), Ask::ShutDown);
    assert_eq!(both_ways::<Ask>(&golden!("hold-2")), Ask::Hold { on: true });
    let program = "/usr/local/bin/mainstay".into();
    assert_eq!(both_ways::<Ask>(&golden!("hand-over-2")), Ask::HandOver { program, older: false });
    let program = "/usr/local/bin/mainstay".into();
    assert_eq!(both_ways::<Ask>(&golden!("hand-over-2-older")), Ask::HandOver { program, older: true });
}

#[test]
fn what_protocol_2_answers() {
    both_ways::<Answer>(&golden!("done-2"));
    let status = status(golden!("done-2"));
    assert_eq!((status.protocol, status.version.as_deref(), status.parts.len()), (2, Some("0.1.0"), 2));
    assert_eq!(status.server().and_then(|server| server.pid), Some(4712));
    assert_eq!(status.edge().map(|edge| edge.requests), Some(70));
    let names: Vec<String> = status.specs().into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["server", "edge"], "an edge is opened after its server");

    both_ways::<Answer>(&golden!("done-schedule-2"));
    both_ways::<Answer>(&golden!("done-2-socket"));
    both_ways::<Answer>(&golden!("done-2-build"));
    both_ways::<Answer>(&golden!("done-2-app"));
    assert_eq!(self::status(golden!("done-2-app")).apps().next().and_then(|app| app.pid), Some(4790));

    let Answer::Refused(refusal) = both_ways(&golden!("refused-2")) else { panic!("not refused") };
    let error = Error::from(refusal);
    assert_eq!((error.exit, error.hint.as_deref()), (Exit::Refused, Some("use it")));
}

#[test]
fn an_agent_of_protocol_1_is_recognised_and_stopped() {
    let asks = [
        (Ask::Status, golden!("status-1")),
        (Ask::stop("server"), golden!("stop-server-1")),
        (Ask::stop("edge"), golden!("close-edge-1")),
        (Ask::ShutDown, golden!("stop-1")),
    ];
    for (ask, first) in asks {
        assert_eq!(FirstAsk::of(&ask), Some(both_ways(&first)));
    }
    assert_eq!(FirstAsk::of(&Ask::HandOver { program: "/x".into(), older: false }), None);

    let status = status(golden!("done-1"));
    assert_eq!((status.protocol, status.version.as_ref(), status.age(of("0.1.0"))), (1, None, Age::Older));
    assert_eq!(status.server().map(|server| server.restarts), Some(4));
    assert_eq!(status.edge().map(|edge| edge.spec.listen.port()), Some(8065));
    match answer(golden!("refused-1")).expect("an answer") {
        Answer::Refused(refusal) => assert_eq!(Error::from(refusal).exit, Exit::NotReady),
        Answer::Done(status) => panic!("{status:?}"),
    }
}

#[test]
fn a_status_of_a_later_version_is_read() {
    let mut later = golden!("done-2");
    later["done"]["version"] = "0.10.0".into();
    later["done"]["mood"] = Value::Null;
    let server = &mut later["done"]["server"];
    server["since"] = 1.into();
    later["done"]["database"] = serde_json::json!({"kind": "of-tomorrow", "pid": 1});
    let status = status(later);
    assert_eq!(status.parts.len(), 2, "what is not known is left out: {:?}", status.parts);
    assert_eq!(status.age(of("0.9.9")), Age::Newer);
    assert_eq!(status.age(of("0.10.0")), Age::Same);
    assert_eq!(status.age(of("1.0.0")), Age::Older);
    let refused = status.refuse_newer(of("0.9.9")).expect_err("refused");
    assert!(refused.what.contains("0.10.0") && refused.what.contains("0.9.9"), "{refused}");
    status.refuse_newer(of("0.10.0")).expect("allowed");
}

#[test]
fn a_refusal_keeps_its_kind() {
    for kind in [Exit::Usage, Exit::Settings, Exit::NotReady, Exit::Refused, Exit::Busy, Exit::Bug] {
        let sent = Error::new(kind, "no").hint("do that");
        let received = Error::from(super::protocol::Refusal::from(sent));
        assert_eq!((received.exit, &*received.what, received.hint.as_deref()), (kind, "no", Some("do that")));
    }
}

#[test]
fn two_builds_of_one_version_are_told_apart() {
    let program = |build| Program { version: "0.1.0", build };
    let tells = status(golden!("done-2-build"));
    let build = tells.build.clone().expect("it tells its build");
    assert_eq!(tells.age(program(&build)), Age::Same);
    assert_eq!(tells.age(program("fedcba98")), Age::OtherBuild);
    // A program that cannot read itself goes by the version, as every program did before.
    assert_eq!(tells.age(program("")), Age::Same);
    assert_eq!(
        status(golden!("done-2")).age(program(&build)),
        Age::OtherBuild,
        "an agent that tells no build"
    );
    tells.refuse_newer(program("fedcba98")).expect("nobody knows which is newer");
    let refused = tells.refuse_other_build(program("fedcba98")).expect_err("refused");
    assert!(refused.exit == Exit::Refused && refused.what.contains("(01234567)"), "{refused}");
    assert!(refused.what.contains("(fedcba98)"), "{refused}");
    tells.refuse_other_build(program(&build)).expect("it is the same");
}

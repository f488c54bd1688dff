//! `kill -9` of the real binary at calls of AWS: the next run converges, and no function, object or line of the policy is left over.

use std::fs;
use std::path::PathBuf;
use std::process::Stdio;

use crate::place::{Place, Ran};
use testbed_aws::Emulator;
use testbed_aws::{Fault, Proxy};

const BUCKET: &str = "mattermost-apps-bucket";

/// An account of AWS behind a proxy that holds a call back, and an app in two states.
struct Cloud {
    emulator: Emulator,
    proxy: Proxy,
    place: Place,
    first: String,
    second: String,
}

impl Cloud {
    async fn start() -> Self {
        let emulator = Emulator::start().await;
        let proxy = Proxy::start(emulator.port).await;
        let place = Place::new();
        let mut cloud = Self { emulator, proxy, place, first: String::new(), second: String::new() };
        let app = cloud.path("app").display().to_string();
        cloud.run(&["init", "python", &app, "--id", "com.example.killed"]);
        cloud.first = cloud.bundle(&app, "first");
        let code = cloud.path("app").join("hello/app.py");
        let text = fs::read_to_string(&code).expect("the code");
        fs::write(&code, format!("{text}\n# Changed.\n")).expect("written");
        fs::write(cloud.path("app").join("static/more.txt"), "more").expect("written");
        cloud.second = cloud.bundle(&app, "second");
        cloud
    }

    fn path(&self, name: &str) -> PathBuf {
        self.place.root.with_file_name(name)
    }

    fn bundle(&self, app: &str, name: &str) -> String {
        let output = self.path(&format!("{name}.zip")).display().to_string();
        self.run(&["bundle", app, "--output", &output]);
        output
    }

    fn command(&self, args: &[&str]) -> std::process::Command {
        let mut command = self.place.command(&[&["apps"], args].concat());
        let endpoint = format!("http://127.0.0.1:{}", self.proxy.port);
        command.env("AWS_ENDPOINT_URL", endpoint).env("AWS_REGION", "eu-central-1");
        command.env("AWS_ACCESS_KEY_ID", "test").env("AWS_SECRET_ACCESS_KEY", "test");
        command
    }

    /// Runs a command to its good end.
    fn run(&self, args: &[&str]) -> Ran {
        Ran::from(self.command(args).output().expect("it runs")).expect(0)
    }

    /// What stands in the account; the record's times, and the lease of a run that was killed, differ at each run.
    async fn state(&self) -> Vec<String> {
        let lines = self.emulator.holds(BUCKET).await.into_iter();
        let lines = lines.filter(|line| !line.contains(" mainstay/policies/"));
        lines
            .map(|line| match line.starts_with("object mainstay/apps/") && line.contains(".json ") {
                true => line.split(' ').take(2).collect::<Vec<_>>().join(" "),
                false => line,
            })
            .collect()
    }

    /// The calls of a command that change something, by their places in the order of all its calls.
    fn writing(&self, args: &[&str]) -> Vec<usize> {
        self.proxy.reset(None);
        self.run(args);
        let calls = self.proxy.calls();
        let is_writing = |call: &str| {
            let (method, rest) = call.split_once(' ').unwrap_or_default();
            let action = rest.split(' ').nth(1).unwrap_or_default();
            !["GET", "HEAD"].contains(&method)
                && !rest.contains("/invocations")
                && !["Get", "List"].iter().any(|reads| action.starts_with(reads))
        };
        (0..calls.len()).filter(|at| is_writing(&calls[*at])).collect()
    }

    /// Runs a command, and kills it with SIGKILL before or after the effect of a call. If it makes fewer calls, it ends.
    async fn kill(&self, args: &[&str], at: usize, fault: Fault) {
        self.proxy.reset(Some((at, fault)));
        let mut command = self.command(args);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts");
        let ended = async {
            while child.try_wait().expect("it is ours").is_none() {
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
        };
        tokio::select! {
            () = self.proxy.killed.notified() => {}
            () = ended => {}
        }
        let _ = child.kill();
        child.wait().expect("it ends");
        self.proxy.reset(None);
    }
}

/// Which of the writing calls are tried: all with `MAINSTAY_TEST_EVERY_FAULT`, otherwise every second; before and after its effect in turn.
fn tried(writing: &[usize]) -> Vec<(usize, Fault)> {
    #[expect(clippy::disallowed_methods, reason = "a switch of the developer")]
    let all = std::env::var_os("MAINSTAY_TEST_EVERY_FAULT").is_some();
    let faults = [Fault::KilledAfter, Fault::KilledBefore];
    if all {
        return writing.iter().flat_map(|at| faults.map(|fault| (*at, fault))).collect();
    }
    let some = writing.iter().step_by(2).enumerate();
    some.map(|(index, at)| (*at, faults[index % 2])).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_deployment_and_undeployment_are_completed_by_the_next() {
    let cloud = Cloud::start().await;
    cloud.run(&["aws", "init"]);
    let nothing = cloud.state().await;
    let deploy = ["deploy", cloud.first.as_str()];
    let undeploy = ["undeploy", "com.example.killed", "--yes"];
    let writing = cloud.writing(&deploy);
    let deployed = cloud.state().await;
    let removing = cloud.writing(&undeploy);
    assert_eq!(cloud.state().await, nothing);
    assert!(writing.len() >= 8 && removing.len() >= 5, "{writing:?} {removing:?}");
    let removed = tried(&removing);
    for (index, (at, fault)) in tried(&writing).into_iter().enumerate() {
        cloud.kill(&deploy, at, fault).await;
        cloud.run(&deploy);
        assert_eq!(cloud.state().await, deployed, "deploy, {fault:?} {at}");
        let (at, fault) = removed[index % removed.len()];
        cloud.kill(&undeploy, at, fault).await;
        cloud.run(&undeploy);
        assert_eq!(cloud.state().await, nothing, "undeploy, {fault:?} {at}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_update_and_rollback_are_completed_by_the_next() {
    let cloud = Cloud::start().await;
    cloud.run(&["aws", "init"]);
    let nothing = cloud.state().await;
    let (first, second) = (["deploy", cloud.first.as_str()], ["deploy", cloud.second.as_str()]);
    let rollback = ["rollback", "com.example.killed"];
    cloud.run(&first);
    let writing = cloud.writing(&second);
    let after = cloud.state().await;
    let back = cloud.writing(&rollback);
    let before = cloud.state().await;
    assert!(writing.len() >= 5 && back.len() >= 4, "{writing:?} {back:?}");
    let back = tried(&back);
    for (index, (at, fault)) in tried(&writing).into_iter().enumerate() {
        cloud.kill(&second, at, fault).await;
        cloud.run(&second);
        assert_eq!(cloud.state().await, after, "deploy, {fault:?} {at}");
        let (at, fault) = back[index % back.len()];
        cloud.kill(&rollback, at, fault).await;
        // Killed after its end was recorded, there is nothing more to take back.
        let again = Ran::from(cloud.command(&rollback).output().expect("it runs"));
        assert!([0, 8].contains(&again.code), "{}", again.stderr);
        assert_eq!(cloud.state().await, before, "rollback, {fault:?} {at}: {}", again.stderr);
    }
    cloud.run(&["undeploy", "com.example.killed", "--yes"]);
    assert_eq!(cloud.state().await, nothing);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_init_is_completed_by_the_next() {
    let cloud = Cloud::start().await;
    let init = ["aws", "init"];
    let writing = cloud.writing(&init);
    assert_eq!(writing.len(), 10);
    let complete = cloud.run(&["aws", "test", "--json"]).stdout;
    for (at, fault) in tried(&writing) {
        cloud.run(&["aws", "clean", "--yes"]);
        cloud.kill(&init, at, fault).await;
        cloud.run(&init);
        assert_eq!(cloud.run(&["aws", "test", "--json"]).stdout, complete, "{fault:?} {at}");
    }
}

//! Apps made up for the tests, and what of them the emulator holds.

use std::collections::BTreeMap;
use std::time::Duration;

use apps::{AwsLambda, Error, Function, Manifest};
use apps_aws::{
    Aws, Contents, Deployed, Deployment, Desired, Done, Flags, Holder, Init, Item, Names, Options, Package,
    Settings, Shown, Step, Turn,
};

use testbed_aws::Emulator;
use testbed_aws::Proxy;

/// An account with everything that `apps aws init` makes.
pub(crate) struct Account {
    pub(crate) emulator: Emulator,
    pub(crate) proxy: Proxy,
    pub(crate) aws: Aws,
    /// Past the proxy.
    pub(crate) direct: Aws,
}

pub(crate) const BUCKET: &str = "apps-of-tests";

pub(crate) async fn connect(port: u16, keys: (&str, &str), attempts: u32) -> Aws {
    let variables = [
        ("MM_APPS_DEPLOY_AWS_ACCESS_KEY", keys.0.to_owned()),
        ("MM_APPS_DEPLOY_AWS_SECRET_KEY", keys.1.to_owned()),
        ("MM_APPS_AWS_REGION", "eu-central-1".to_owned()),
        ("MM_APPS_S3_BUCKET", BUCKET.to_owned()),
        ("AWS_ENDPOINT_URL", format!("http://127.0.0.1:{port}")),
    ];
    let variables: BTreeMap<String, String> = variables.map(|(name, value)| (name.to_owned(), value)).into();
    let mut settings = Settings::read(&Flags::default(), &variables).unwrap();
    settings.attempts = attempts;
    settings.patience = Duration::from_secs(2);
    Aws::new(&settings).await.unwrap()
}

/// AWS's own client, past everything of ours.
pub(crate) async fn sdk(port: u16, keys: (&str, &str)) -> aws_config::SdkConfig {
    aws_config::defaults(aws_config::BehaviorVersion::latest())
        .region(aws_config::Region::new("eu-central-1"))
        .endpoint_url(format!("http://127.0.0.1:{port}"))
        .credentials_provider(aws_credential_types::Credentials::new(keys.0, keys.1, None, None, "test"))
        .load()
        .await
}

impl Account {
    pub(crate) async fn bare(attempts: u32) -> Self {
        let emulator = Emulator::start().await;
        let proxy = Proxy::start(emulator.port).await;
        let aws = connect(proxy.port, ("test", "test"), attempts).await;
        let direct = connect(emulator.port, ("test", "test"), 3).await;
        Self { emulator, proxy, aws, direct }
    }

    pub(crate) async fn ready() -> Self {
        let account = Self::bare(3).await;
        let init = Init::look(&account.direct, Names::default(), false).await.unwrap();
        init.run(&|_| {}).await.unwrap();
        account
    }

    /// Everything that the emulator holds: objects, functions with their code, and the invoke policy's functions.
    pub(crate) async fn holds(&self) -> Vec<String> {
        self.emulator.holds(BUCKET).await
    }
}

/// An app of functions and files.
#[derive(Clone)]
pub(crate) struct App {
    pub(crate) id: String,
    pub(crate) version: String,
    pub(crate) functions: Vec<(String, Vec<u8>)>,
    pub(crate) files: Vec<(String, Vec<u8>)>,
    pub(crate) handler: String,
    pub(crate) homepage: String,
}

impl App {
    pub(crate) fn new(id: &str, version: &str, functions: &[(&str, &str)], files: &[(&str, &str)]) -> Self {
        let owned = |pairs: &[(&str, &str)]| -> Vec<(String, Vec<u8>)> {
            pairs.iter().map(|(name, bytes)| ((*name).to_owned(), bytes.as_bytes().to_vec())).collect()
        };
        Self {
            id: id.into(),
            version: version.into(),
            functions: owned(functions),
            files: owned(files),
            handler: "bootstrap".into(),
            homepage: "https://example.org".into(),
        }
    }

    fn manifest(&self) -> Manifest {
        let function = |(name, _): &(String, Vec<u8>)| Function {
            path: if *name == self.functions[0].0 { "/".into() } else { format!("/{name}") },
            name: name.clone(),
            handler: self.handler.clone(),
            runtime: "provided.al2023".into(),
        };
        Manifest {
            app_id: self.id.clone(),
            version: self.version.clone(),
            display_name: "App".into(),
            homepage_url: self.homepage.clone(),
            aws_lambda: Some(AwsLambda { functions: self.functions.iter().map(function).collect() }),
            ..Manifest::default()
        }
    }

    pub(crate) fn desired(&self) -> Desired {
        let item = |(name, bytes): &(String, Vec<u8>)| Item {
            name: name.clone(),
            sha256: sha256(bytes),
            size: bytes.len() as u64,
        };
        let archives: Vec<Item> = self.functions.iter().map(item).collect();
        let files: Vec<Item> = self.files.iter().map(item).collect();
        Desired::new(&self.manifest(), &archives, &files).unwrap()
    }

    pub(crate) async fn deploy(&self, aws: &Aws) -> Result<Deployed, Error> {
        self.deploy_with(aws, Options::default()).await
    }

    pub(crate) async fn deploy_with(&self, aws: &Aws, options: Options) -> Result<Deployed, Error> {
        let holder = Holder::ended("test");
        let turn = Turn { holder: &holder, take_over: false, only_look: false, watch: &|_| {} };
        let package = Package { desired: self.desired(), contents: self };
        Box::pin(Deployment::look(aws, package, options, &turn)).await?.run(&turn).await
    }

    /// The other app of this id that a deployment would replace.
    pub(crate) async fn replaces(&self, aws: &Aws) -> Option<String> {
        let holder = Holder::ended("test");
        let turn = Turn { holder: &holder, take_over: false, only_look: true, watch: &|_| {} };
        let package = Package { desired: self.desired(), contents: self };
        Box::pin(Deployment::look(aws, package, Options::default(), &turn)).await.unwrap().replaces
    }

    pub(crate) async fn plan(&self, aws: &Aws) -> Result<Vec<Shown>, Error> {
        let holder = Holder::ended("test");
        let turn = Turn { holder: &holder, take_over: false, only_look: true, watch: &|_| {} };
        let package = Package { desired: self.desired(), contents: self };
        Ok(Box::pin(Deployment::look(aws, package, Options::default(), &turn)).await?.calls())
    }
}

pub(crate) async fn undeploy(aws: &Aws, id: &str, version: &str) -> Result<Done, Error> {
    let holder = Holder::ended("test");
    let turn = Turn { holder: &holder, take_over: false, only_look: false, watch: &|_| {} };
    Box::pin(Step::undeploy(aws, id, version, &turn)).await?.run(&turn).await
}

pub(crate) async fn rollback(aws: &Aws, id: &str) -> Result<Done, Error> {
    let holder = Holder::ended("test");
    let turn = Turn { holder: &holder, take_over: false, only_look: false, watch: &|_| {} };
    Box::pin(Step::rollback(aws, id, &turn)).await?.run(&turn).await
}

impl Contents for App {
    fn read(&self, wanted: &str) -> Result<Option<Vec<u8>>, Error> {
        let mut all = self.functions.iter().chain(&self.files);
        Ok(all.find(|(_, bytes)| sha256(bytes) == wanted).map(|(_, bytes)| bytes.clone()))
    }
}

pub(crate) fn sha256(bytes: &[u8]) -> String {
    apps_aws::sha256(bytes)
}

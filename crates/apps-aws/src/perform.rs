//! Makes the calls of a plan. Each is safe to make again: a call whose answer was lost has happened or has not.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use apps::Error;
use aws_sdk_lambda::types::{Architecture, Environment, FunctionCode, LastUpdateStatus, Runtime, State};
use aws_sdk_s3::types::{Delete, ObjectIdentifier};
use finding::Exit;
use futures_util::StreamExt as _;
use secrecy::{ExposeSecret as _, SecretString};
use tokio::time::{Instant, sleep};

use crate::aws::Aws;
use crate::call::{Call, Changes, Shown, Stage};
use crate::desired::Environments;
use crate::failure::{Failure, Kind};
use crate::observed::{TAG_APP, TAG_FUNCTION, TAG_VERSION, owner, refused, tags};
use crate::record::{Function, Object, Record, Release};
use crate::{attach, digest};

/// How many calls are made at once.
const AT_ONCE: usize = 8;
/// How long a function may take to become ready.
const READY: Duration = Duration::from_secs(300);
/// How long Lambda may take to know a new role.
const ROLE_KNOWN: Duration = Duration::from_secs(60);

/// The bytes of a bundle, by their SHA-256.
pub trait Contents: Send + Sync {
    /// The bytes, if the bundle has them.
    ///
    /// # Errors
    /// The bundle cannot be read.
    fn read(&self, sha256: &str) -> Result<Option<Vec<u8>>, Error>;
}

/// Hears of each call that was made.
pub type Watch<'a> = dyn Fn(&Shown) + Send + Sync + 'a;

/// What calls need beside themselves.
pub(crate) struct Performer<'a> {
    pub(crate) aws: &'a Aws,
    pub(crate) app_id: &'a str,
    pub(crate) version: &'a str,
    pub(crate) contents: Option<&'a dyn Contents>,
    pub(crate) environments: &'a Environments,
    /// The process, as records name it.
    pub(crate) holder: &'a str,
    pub(crate) watch: &'a Watch<'a>,
    roles: tokio::sync::Mutex<BTreeMap<String, String>>,
    etags: Mutex<BTreeMap<String, String>>,
}

impl<'a> Performer<'a> {
    pub(crate) fn new(
        aws: &'a Aws,
        (app_id, version): (&'a str, &'a str),
        contents: Option<&'a dyn Contents>,
        environments: &'a Environments,
        holder: &'a str,
        watch: &'a Watch<'a>,
    ) -> Self {
        let (roles, etags) = Default::default();
        Self { aws, app_id, version, contents, environments, holder, watch, roles, etags }
    }

    /// Makes the calls, a stage after the other. After a failure no call is started, and those under way are waited for: what
    /// comes next sees all that they did.
    pub(crate) async fn stages(&self, stages: &[Stage]) -> Result<(), Error> {
        for stage in stages {
            let failed = AtomicBool::new(false);
            let failure = Mutex::new(None);
            futures_util::stream::iter(&stage.calls)
                .for_each_concurrent(AT_ONCE, |call| {
                    let (failed, failure) = (&failed, &failure);
                    async move {
                        if failed.load(Ordering::Relaxed) {
                            return;
                        }
                        match Box::pin(self.call(call)).await {
                            Ok(()) => call.shown().iter().for_each(self.watch),
                            Err(error) => {
                                failed.store(true, Ordering::Relaxed);
                                if let Ok(mut failure) = failure.lock() {
                                    failure.get_or_insert(error);
                                }
                            }
                        }
                    }
                })
                .await;
            if let Some(error) = failure.into_inner().ok().flatten() {
                return Err(error);
            }
        }
        Ok(())
    }

    /// The release with what S3 called each object: newly written, or known from before.
    pub(crate) fn sealed(&self, mut release: Release, known: &[&Release]) -> Release {
        let etags = self.etags.lock().map(|etags| etags.clone()).unwrap_or_default();
        for object in release.objects.iter_mut().chain([&mut release.manifest]) {
            let before = known.iter().flat_map(|release| crate::record::all_objects(release));
            let same = |known: &&Object| known.key == object.key && known.sha256 == object.sha256;
            let before = before.filter(same).map(|known| known.etag.clone()).find(|etag| !etag.is_empty());
            object.etag = etags.get(&object.key).cloned().or(before).unwrap_or_default();
        }
        release
    }

    async fn call(&self, call: &Call) -> Result<(), Error> {
        match call {
            Call::Keep(object) => self.keep(object).await,
            Call::StoreCode { function, sha256, .. } => {
                let key = Record::kept_key(self.app_id, sha256);
                self.write(&key, sha256, function).await
            }
            Call::Write(object) => self.write(&object.key, &object.sha256, &object.key).await,
            Call::Restore(object) => self.restore(object).await,
            Call::Create(function) => self.create(function).await,
            Call::Update(function, changes) => self.update(function, *changes).await,
            Call::Policy { name, add, remove } => {
                attach::policy(self.aws, name, add, remove, (self.app_id, self.holder)).await
            }
            Call::DeleteFunction(name) => self.delete_function(name).await,
            Call::DeleteObjects(keys) => delete_objects(self.aws, keys).await,
        }
    }

    fn wrote(&self, key: &str, etag: Option<&str>) {
        if let (Ok(mut etags), Some(etag)) = (self.etags.lock(), etag) {
            etags.insert(key.to_owned(), etag.to_owned());
        }
    }

    async fn write(&self, key: &str, sha256: &str, what: &str) -> Result<(), Error> {
        let bytes = self.contents.map(|contents| contents.read(sha256)).transpose()?.flatten();
        let bytes =
            bytes.ok_or_else(|| Error::new(Exit::Bug, format!("the bundle has no bytes for `{what}`")))?;
        let aws = self.aws;
        let put = aws.s3.put_object().bucket(&aws.bucket).key(key).body(bytes.into()).send().await;
        let put = put.map_err(|error| Failure::new("s3:PutObject", aws.at(key), &error))?;
        self.wrote(key, put.e_tag());
        Ok(())
    }

    async fn keep(&self, object: &Object) -> Result<(), Error> {
        let to = Record::kept_key(self.app_id, &object.sha256);
        self.copy(&object.key, &to, Some(&object.etag)).await?;
        Ok(())
    }

    async fn restore(&self, object: &Object) -> Result<(), Error> {
        let from = Record::kept_key(self.app_id, &object.sha256);
        let etag = self.copy(&from, &object.key, None).await?;
        self.wrote(&object.key, etag.as_deref());
        Ok(())
    }

    async fn copy(&self, from: &str, to: &str, if_match: Option<&str>) -> Result<Option<String>, Failure> {
        let aws = self.aws;
        let source = encoded(&aws.at(from));
        let copy = aws.s3.copy_object().bucket(&aws.bucket).key(to).copy_source(source);
        let copied = copy.set_copy_source_if_match(if_match.map(str::to_owned)).send().await;
        let copied = copied.map_err(|error| Failure::new("s3:PutObject", aws.at(to), &error))?;
        Ok(copied.copy_object_result().and_then(|result| result.e_tag()).map(str::to_owned))
    }

    /// The ARN of a role, asked for once.
    async fn role(&self, name: &str) -> Result<String, Failure> {
        let mut roles = self.roles.lock().await;
        if let Some(arn) = roles.get(name) {
            return Ok(arn.clone());
        }
        let found = self.aws.iam.get_role().role_name(name).send().await;
        let found = found.map_err(|error| Failure::new("iam:GetRole", name, &error))?;
        let arn = found.role().map(|role| role.arn().to_owned()).unwrap_or_default();
        roles.insert(name.to_owned(), arn.clone());
        Ok(arn)
    }

    fn tags(&self, function: &Function) -> [(&'static str, String); 3] {
        [
            (TAG_APP, self.app_id.to_owned()),
            (TAG_VERSION, self.version.to_owned()),
            (TAG_FUNCTION, function.name.clone()),
        ]
    }

    async fn create(&self, f: &Function) -> Result<(), Error> {
        let aws = self.aws;
        let role = self.role(&f.role).await?;
        let code = FunctionCode::builder()
            .s3_bucket(&aws.bucket)
            .s3_key(Record::kept_key(self.app_id, &f.sha256))
            .build();
        let began = Instant::now();
        let mut pause = Duration::from_secs(1);
        loop {
            let mut create = aws
                .lambda
                .create_function()
                .function_name(&f.lambda)
                .role(&role)
                .runtime(Runtime::from(f.runtime.as_str()))
                .handler(&f.handler)
                .timeout(f.timeout)
                .memory_size(f.memory)
                .architectures(Architecture::from(f.architecture.as_str()))
                .code(code.clone())
                .set_environment(self.environment(&f.lambda));
            for (name, value) in self.tags(f) {
                create = create.tags(name, value);
            }
            let failure = match create.send().await {
                Ok(made) => {
                    let ready = is_ready(made.state(), made.last_update_status());
                    return if ready { Ok(()) } else { self.wait(&f.lambda).await };
                }
                Err(error) => Failure::new("lambda:CreateFunction", &f.lambda, &error),
            };
            match failure.kind {
                Kind::RoleNotReady if began.elapsed() < ROLE_KNOWN => sleep(pause).await,
                // The answer to an earlier try was lost, or somebody made it meanwhile.
                Kind::Exists => {
                    self.refuse_others(f).await?;
                    return Box::pin(
                        self.update(f, Changes { code: true, configuration: true, adopt: false }),
                    )
                    .await;
                }
                _ => return Err(failure.into()),
            }
            pause = (pause * 2).min(Duration::from_secs(10));
        }
    }

    fn environment(&self, lambda: &str) -> Option<Environment> {
        let variables: &BTreeMap<String, SecretString> = self.environments.get(lambda)?;
        let mut environment = Environment::builder().set_variables(Some(Default::default()));
        for (name, value) in variables {
            environment = environment.variables(name, value.expose_secret());
        }
        Some(environment.build())
    }

    async fn refuse_others(&self, f: &Function) -> Result<(), Error> {
        let tags = tags(self.aws, &f.lambda).await?;
        match refused(&f.lambda, &owner(&tags, self.app_id, self.version, &f.name)) {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }

    async fn update(&self, f: &Function, changes: Changes) -> Result<(), Error> {
        let aws = self.aws;
        if changes.adopt {
            let arn = aws.function_arn(&f.lambda).await?;
            let mut tag = aws.lambda.tag_resource().resource(arn);
            for (name, value) in self.tags(f) {
                tag = tag.tags(name, value);
            }
            tag.send().await.map_err(|error| Failure::new("lambda:TagResource", &f.lambda, &error))?;
        } else {
            self.refuse_others(f).await?;
        }
        if changes.code {
            let key = Record::kept_key(self.app_id, &f.sha256);
            let update = || {
                let update = aws
                    .lambda
                    .update_function_code()
                    .function_name(&f.lambda)
                    .s3_bucket(&aws.bucket)
                    .s3_key(&key);
                update.architectures(Architecture::from(f.architecture.as_str())).send()
            };
            let updated = self.settled(&f.lambda, "lambda:UpdateFunctionCode", update).await?;
            let sha256 = digest::from_lambda(updated.code_sha256().unwrap_or_default());
            if sha256 != f.sha256 {
                return Err(Error::new(Exit::NotVerified, format!("the function `{}` has other code than was uploaded", f.lambda))
                    .hint("run the command again; if that does not help, remove the object under `mainstay/apps/` that the plan names"));
            }
            if !is_ready(updated.state(), updated.last_update_status()) {
                self.wait(&f.lambda).await?;
            }
        }
        if changes.configuration {
            let role = self.role(&f.role).await?;
            let update = || {
                let update = aws.lambda.update_function_configuration().function_name(&f.lambda);
                update
                    .role(&role)
                    .runtime(Runtime::from(f.runtime.as_str()))
                    .handler(&f.handler)
                    .timeout(f.timeout)
                    .memory_size(f.memory)
                    .set_environment(self.environment(&f.lambda))
                    .send()
            };
            let updated = self.settled(&f.lambda, "lambda:UpdateFunctionConfiguration", update).await?;
            if !is_ready(updated.state(), updated.last_update_status()) {
                self.wait(&f.lambda).await?;
            }
        }
        Ok(())
    }

    /// Makes a change once the one before it has ended.
    async fn settled<T, E, F>(
        &self,
        lambda: &str,
        action: &'static str,
        make: impl Fn() -> F,
    ) -> Result<T, Error>
    where
        F: Future<Output = Result<T, aws_sdk_lambda::error::SdkError<E>>>,
        E: aws_sdk_lambda::error::ProvideErrorMetadata + std::error::Error + 'static,
    {
        let began = Instant::now();
        loop {
            match make().await {
                Ok(done) => return Ok(done),
                Err(error) => {
                    let failure = Failure::new(action, lambda, &error);
                    match failure.kind {
                        Kind::Unsettled if began.elapsed() < READY => self.wait(lambda).await?,
                        Kind::RoleNotReady if began.elapsed() < ROLE_KNOWN => {
                            sleep(Duration::from_secs(2)).await;
                        }
                        _ => return Err(failure.into()),
                    }
                }
            }
        }
    }

    /// Waits until a function can be called and changed.
    async fn wait(&self, lambda: &str) -> Result<(), Error> {
        let began = Instant::now();
        let mut pause = Duration::from_millis(200);
        loop {
            sleep(pause).await;
            let now = self.aws.lambda.get_function_configuration().function_name(lambda).send().await;
            let now = now.map_err(|error| Failure::new("lambda:GetFunctionConfiguration", lambda, &error))?;
            let failed = |why: Option<&str>| {
                Error::new(
                    Exit::NotVerified,
                    format!(
                        "the function `{lambda}` cannot be used: {}",
                        why.unwrap_or("AWS gives no reason")
                    ),
                )
                .hint("remove the cause that AWS names, then deploy again")
            };
            if now.state() == Some(&State::Failed) {
                return Err(failed(now.state_reason()));
            }
            if now.last_update_status() == Some(&LastUpdateStatus::Failed) {
                return Err(failed(now.last_update_status_reason()));
            }
            if is_ready(now.state(), now.last_update_status()) {
                return Ok(());
            }
            if began.elapsed() > READY {
                return Err(failed(Some("it is not ready after 5 minutes")));
            }
            pause = (pause * 3 / 2).min(Duration::from_secs(5));
        }
    }

    async fn delete_function(&self, lambda: &str) -> Result<(), Error> {
        let tags = match tags(self.aws, lambda).await {
            Ok(tags) => tags,
            Err(failure) if failure.is(&Kind::Missing) => return Ok(()),
            Err(failure) => return Err(failure.into()),
        };
        // Somebody else may have made a function of this name since.
        if tags.get(TAG_APP).is_some_and(|app| app != self.app_id) {
            return Ok(());
        }
        match self.aws.lambda.delete_function().function_name(lambda).send().await {
            Ok(_) => Ok(()),
            Err(error) => match Failure::new("lambda:DeleteFunction", lambda, &error) {
                failure if failure.is(&Kind::Missing) => Ok(()),
                failure => Err(failure.into()),
            },
        }
    }
}

/// Removes objects; those that are gone already are no error.
pub(crate) async fn delete_objects(aws: &Aws, keys: &[String]) -> Result<(), Error> {
    let objects: Vec<ObjectIdentifier> =
        keys.iter().filter_map(|key| ObjectIdentifier::builder().key(key).build().ok()).collect();
    let delete = Delete::builder().set_objects(Some(objects)).quiet(true).build();
    let delete =
        delete.map_err(|error| Error::new(Exit::Bug, format!("objects cannot be named: {error}")))?;
    let deleted = aws.s3.delete_objects().bucket(&aws.bucket).delete(delete).send().await;
    let deleted = deleted.map_err(|error| Failure::new("s3:DeleteObject", &aws.bucket, &error))?;
    match deleted.errors().first() {
        None => Ok(()),
        Some(error) => {
            let key = error.key().unwrap_or_default();
            let kind = if error.code() == Some("AccessDenied") { Kind::Denied } else { Kind::Service };
            let message = error.message().unwrap_or_default().to_owned();
            Err(Failure { action: "s3:DeleteObject", on: aws.at(key), kind, message }.into())
        }
    }
}

fn is_ready(state: Option<&State>, update: Option<&LastUpdateStatus>) -> bool {
    matches!(state, None | Some(State::Active | State::Inactive))
        && matches!(update, None | Some(LastUpdateStatus::Successful))
}

/// The source of a copy goes into a header, encoded.
fn encoded(source: &str) -> String {
    let mut text = String::with_capacity(source.len());
    for byte in source.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            text.push(char::from(byte));
        } else {
            text.push_str(&format!("%{byte:02X}"));
        }
    }
    text
}

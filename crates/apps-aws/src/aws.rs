//! The services of AWS, connected with the settings.

use apps::Error;
use aws_config::profile::{ProfileFileCredentialsProvider, load};
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region};
use aws_runtime::env_config::file::EnvConfigFiles;
use aws_sdk_s3::config::Credentials;
use aws_types::os_shim_internal::{Env, Fs};
use finding::Exit;
use secrecy::ExposeSecret as _;
use std::time::Duration;
use tokio::sync::OnceCell;

use crate::failure::Failure;
use crate::settings::{Settings, partition};

/// Whether AWS's own files have a profile of this name.
async fn known(profile: &str) -> Result<(), Error> {
    let loaded = load(&Fs::real(), &Env::real(), &EnvConfigFiles::default(), None).await;
    let profiles = loaded.map_err(|error| {
        let cause = std::error::Error::source(&error).map_or_else(|| error.to_string(), ToString::to_string);
        Error::new(Exit::Settings, format!("AWS's files of profiles cannot be read: {cause}"))
            .hint("correct ~/.aws/config and ~/.aws/credentials")
    })?;
    if profiles.get_profile(profile).is_some() {
        return Ok(());
    }
    let mut names: Vec<&str> = profiles.profiles().collect();
    names.sort_unstable();
    let hint = match (finding::nearest(profile, names.iter().copied()), names.is_empty()) {
        (_, true) => "~/.aws/config and ~/.aws/credentials have none: `aws configure` makes one".to_owned(),
        (Some(near), _) => format!("did you mean `{near}`? There are: {}", names.join(", ")),
        (None, _) => format!("there are: {}", names.join(", ")),
    };
    Err(Error::new(Exit::Settings, format!("AWS's files have no profile `{profile}`")).hint(hint))
}

/// The services of AWS.
#[derive(Debug)]
pub struct Aws {
    pub(crate) iam: aws_sdk_iam::Client,
    pub(crate) lambda: aws_sdk_lambda::Client,
    pub(crate) s3: aws_sdk_s3::Client,
    sts: aws_sdk_sts::Client,
    /// The bucket of all apps.
    pub(crate) bucket: String,
    /// The region of the functions and of the bucket.
    pub(crate) region: String,
    account: OnceCell<String>,
}

impl Aws {
    /// Connects nothing yet: credentials are looked for at the first call.
    ///
    /// # Errors
    /// No region is known.
    pub async fn new(settings: &Settings) -> Result<Self, Error> {
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(Duration::from_secs(5).min(settings.patience))
            .read_timeout(settings.patience)
            .build();
        let mut loader = aws_config::defaults(BehaviorVersion::latest())
            .retry_config(RetryConfig::standard().with_max_attempts(settings.attempts))
            .timeout_config(timeouts);
        if let Some(region) = &settings.region {
            loader = loader.region(Region::new(region.clone()));
        }
        if let Some(url) = &settings.endpoint {
            loader = loader.endpoint_url(url);
        }
        if let Some(profile) = &settings.profile {
            known(profile).await?;
            loader = loader.profile_name(profile);
            // AWS's chain looks at variables first; who names a profile on the command line means that one.
            if settings.settled.iter().any(|settled| settled.origin == "--profile") {
                let provider = ProfileFileCredentialsProvider::builder().profile_name(profile).build();
                loader = loader.credentials_provider(provider);
            }
        }
        if let Some(keys) = &settings.keys {
            let session = keys.session.as_ref().map(|token| token.expose_secret().to_owned());
            let secret = keys.secret.expose_secret();
            loader =
                loader.credentials_provider(Credentials::new(&keys.id, secret, session, None, "mainstay"));
        }
        let config = loader.load().await;
        let region = config.region().map(ToString::to_string).filter(|region| !region.is_empty());
        let Some(region) = region else {
            return Err(Error::new(Exit::Settings, "no region is set").hint(
                "say it with `--region`, `MM_APPS_AWS_REGION` or `AWS_REGION`, such as `eu-central-1`",
            ));
        };
        // Other implementations have no name for each bucket.
        let s3 =
            aws_sdk_s3::config::Builder::from(&config).force_path_style(settings.endpoint.is_some()).build();
        Ok(Self {
            iam: aws_sdk_iam::Client::new(&config),
            lambda: aws_sdk_lambda::Client::new(&config),
            s3: aws_sdk_s3::Client::from_conf(s3),
            sts: aws_sdk_sts::Client::new(&config),
            bucket: settings.bucket.clone(),
            region,
            account: OnceCell::new(),
        })
    }

    /// The twelve digits of the account.
    pub(crate) async fn account(&self) -> Result<&str, Failure> {
        let ask = || async {
            let identity = self.sts.get_caller_identity().send().await;
            let identity = identity.map_err(|error| Failure::new("sts:GetCallerIdentity", "", &error))?;
            Ok(identity.account().unwrap_or_default().to_owned())
        };
        self.account.get_or_try_init(ask).await.map(String::as_str)
    }

    /// An answer of AWS named the account: it need not be asked for.
    pub(crate) fn know_account(&self, account: &str) {
        // Known already: it is the same.
        let _ = self.account.set(account.to_owned());
    }

    /// Such as `arn:aws:lambda:eu-central-1:123456789012:function:NAME`.
    pub(crate) async fn function_arn(&self, name: &str) -> Result<String, Failure> {
        let (region, account) = (&self.region, self.account().await?);
        Ok(format!("arn:{}:lambda:{region}:{account}:function:{name}", partition(region)))
    }

    /// Such as `arn:aws:iam::123456789012:policy/NAME`.
    pub(crate) async fn iam_arn(&self, kind: &str, name: &str) -> Result<String, Failure> {
        Ok(format!("arn:{}:iam::{}:{kind}/{name}", partition(&self.region), self.account().await?))
    }

    /// `BUCKET/KEY`: how an object is named in messages.
    pub(crate) fn at(&self, key: &str) -> String {
        format!("{}/{key}", self.bucket)
    }
}

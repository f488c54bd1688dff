//! Where a bucket is and who asks.

use std::fs::metadata;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::time::Duration;

use aws_config::profile::ProfileFileCredentialsProvider;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region};
use aws_runtime::env_config::file::{EnvConfigFileKind, EnvConfigFiles};
use aws_sdk_s3::Client;
use aws_sdk_s3::config::interceptors::InterceptorContext;
use aws_sdk_s3::config::retry::{ClassifyRetry, RetryAction};
use aws_sdk_s3::config::{RequestChecksumCalculation, ResponseChecksumValidation};
use backup::StoreError;

/// How often a call is tried.
pub(crate) const ATTEMPTS: u32 = 5;

/// The longest pause between two attempts.
const PAUSE: Duration = Duration::from_secs(10);

/// The region of storage that has none.
const ANY_REGION: &str = "us-east-1";

/// Where a repository is. No secret is in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The bucket.
    pub bucket: String,
    /// What the names of all objects begin with; may be empty.
    pub prefix: String,
    /// The address of the storage; `None` = Amazon's.
    pub endpoint: Option<String>,
    /// The region; `None` = what the environment or the profile says.
    pub region: Option<String>,
    /// Whether the bucket is in the path of an address, and not in its host name.
    pub path_style: bool,
    /// A file with credentials, in the form of `~/.aws/credentials`; `None` = AWS's own chain.
    pub credentials: Option<PathBuf>,
    /// How long a call may go without an answer.
    pub patience: Duration,
}

impl Place {
    /// `s3://BUCKET/PREFIX`
    pub fn location(&self) -> String {
        match self.prefix.is_empty() {
            true => format!("s3://{}", self.bucket),
            false => format!("s3://{}/{}", self.bucket, self.prefix),
        }
    }

    /// A client. Nothing is asked yet: credentials are looked for at the first call.
    pub(crate) async fn client(&self) -> Result<Client, StoreError> {
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(Duration::from_secs(10).min(self.patience))
            .read_timeout(self.patience)
            .operation_attempt_timeout(self.patience.saturating_mul(5))
            .build();
        let retries = RetryConfig::standard()
            .with_max_attempts(ATTEMPTS)
            .with_initial_backoff((self.patience / 60).min(Duration::from_secs(1)))
            .with_max_backoff(PAUSE);
        let mut loader =
            aws_config::defaults(BehaviorVersion::latest()).retry_config(retries).timeout_config(timeouts);
        if let Some(region) = &self.region {
            loader = loader.region(Region::new(region.clone()));
        }
        if let Some(url) = &self.endpoint {
            loader = loader.endpoint_url(url);
        }
        if let Some(file) = &self.credentials {
            self.check(file)?;
            let files = EnvConfigFiles::builder().with_file(EnvConfigFileKind::Credentials, file).build();
            loader = loader.credentials_provider(
                ProfileFileCredentialsProvider::builder()
                    .profile_files(files)
                    .profile_name("default")
                    .build(),
            );
        }
        let config = loader.load().await;
        let region = config.region().map(ToString::to_string).filter(|region| !region.is_empty());
        let region = match (region, &self.endpoint) {
            (Some(region), _) => region,
            (None, Some(_)) => ANY_REGION.to_owned(),
            (None, None) => {
                return Err(self.refused("no region is set: set `region` in `[backup]`, or `AWS_REGION`"));
            }
        };
        let config = aws_sdk_s3::config::Builder::from(&config)
            .region(aws_sdk_s3::config::Region::new(region))
            .force_path_style(self.path_style)
            .retry_classifier(TooMany)
            // The signature covers every byte that is sent; other storage does not know Amazon's newer checksums.
            .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
            .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
            .build();
        Ok(Client::from_conf(config))
    }

    fn check(&self, file: &PathBuf) -> Result<(), StoreError> {
        let meta = metadata(file).map_err(|error| {
            self.refused(&format!(
                "the file of credentials {} cannot be read: {}",
                file.display(),
                finding::disk::explained(&error)
            ))
        })?;
        if meta.permissions().mode() & 0o077 != 0 {
            let file = file.display();
            return Err(self.refused(&format!(
                "others may read the file of credentials {file}: run `chmod 600 {file}`"
            )));
        }
        Ok(())
    }

    fn refused(&self, why: &str) -> StoreError {
        StoreError { action: "use", at: self.location(), why: why.to_owned(), missing: false }
    }
}

/// Status 429 alone, as storage other than Amazon's has it, is tried again, too.
#[derive(Debug)]
struct TooMany;

impl ClassifyRetry for TooMany {
    fn classify_retry(&self, context: &InterceptorContext) -> RetryAction {
        let status = context.response().map(|response| response.status().as_u16());
        if status == Some(429) { RetryAction::throttling_error() } else { RetryAction::NoActionIndicated }
    }

    fn name(&self) -> &'static str {
        "status 429"
    }
}

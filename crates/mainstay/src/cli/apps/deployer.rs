//! The cloud deployer.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use apps::deployer::Environment;
use clap::Args;

#[derive(Debug, Args)]
pub(crate) struct DeployApps {
    /// The bucket that bundles are put into [default: AppsBundleBucketName]
    #[arg(long, value_name = "BUCKET")]
    pub bucket: Option<String>,
    /// Only objects whose keys begin with this
    #[arg(long, value_name = "PREFIX", default_value = "")]
    pub prefix: String,
    /// The name of the environment, which the tags of deployed bundles have [default: the variable Environment, or production]
    #[arg(long, value_name = "NAME")]
    pub environment: Option<Environment>,
    /// The bucket of all apps, which they are deployed to [default: MM_APPS_S3_BUCKET, StaticBucket, or mattermost-apps-bucket]
    #[arg(long, value_name = "BUCKET")]
    pub apps_bucket: Option<String>,
    /// The region [default: MM_APPS_AWS_REGION, AWS_REGION, or the profile's]
    #[arg(long)]
    pub region: Option<String>,
    /// Look again and again, so far apart, such as 1h or 15m; without it, once
    #[arg(long, value_name = "TIME", value_parser = interval)]
    pub every: Option<Duration>,
    /// Look once: the default
    #[arg(long, conflicts_with = "every")]
    pub once: bool,
    /// A file with variables, NAME=VALUE in each line, which come before those of the environment: for a schedule
    #[arg(long, value_name = "FILE")]
    pub settings: Option<PathBuf>,
    /// A file with the address of the webhook that hears of deployed apps [default: MattermostNotificationsHook]
    #[arg(long, value_name = "FILE")]
    pub notifications_hook: Option<PathBuf>,
    /// A file with the address of the webhook that hears of failures [default: MattermostAlertsHook]
    #[arg(long, value_name = "FILE")]
    pub alerts_hook: Option<PathBuf>,
    /// Answer Prometheus at /metrics here, an address of this machine alone
    #[arg(long, value_name = "ADDR:PORT", requires = "every")]
    pub metrics: Option<SocketAddr>,
    /// Print which bundles would be deployed, and do nothing
    #[arg(long, conflicts_with = "every")]
    pub plan: bool,
}

/// A minute to a week.
fn interval(text: &str) -> Result<Duration, String> {
    let allowed = "allowed: 1m to 7d, such as 1h or 15m";
    let (number, unit) =
        text.split_at(text.len().saturating_sub(1).min(text.trim_end_matches(char::is_alphabetic).len()));
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 60 * 60,
        "d" => 24 * 60 * 60,
        _ => return Err(allowed.to_owned()),
    };
    let time =
        number.parse::<u64>().ok().and_then(|number| number.checked_mul(seconds)).map(Duration::from_secs);
    let bounds = Duration::from_secs(60)..=Duration::from_secs(7 * 24 * 60 * 60);
    time.filter(|time| bounds.contains(time)).ok_or_else(|| allowed.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interval_is_a_minute_to_a_week() {
        assert_eq!(interval("1h"), Ok(Duration::from_secs(3600)));
        assert_eq!(interval("90m"), Ok(Duration::from_secs(5400)));
        for bad in ["", "h", "1", "0h", "59s", "8d", "1 h", "-1h", "1hh", "ä", "99999999999999999999d"] {
            assert!(interval(bad).is_err(), "{bad}");
        }
    }
}

//! The image as input for `docker build`: a root file system and a `Dockerfile` that says how to run it.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::BufWriter;
use std::path::Path;

use oci::{Compression, Digest, ImageSpec, Layer, Meter, Protocol};

use crate::error::Error;

/// The file name of what release and Mainstay are, next to the Dockerfile.
const ROOT: &str = "root.tar.gz";
/// The same of what every other base has itself: users, certificates, name lookup.
const BASE: &str = "base.tar.gz";

/// Creates `dir` with three files in it. The first layer is the base. Returns the digest of the others, and the size (bytes) of
/// all. `from`: the image to build on.
pub(super) fn write(
    (spec, from): (&ImageSpec, Option<&str>),
    layers: &[Layer],
    compression: Compression,
    dir: &Path,
    meter: &Meter,
) -> Result<(Digest, u64), Error> {
    fs::create_dir(dir).map_err(|error| Error::path("make", dir, &error))?;
    let (base, ours) = layers.split_at(1);
    let pack = |layers: &[Layer], name: &str| {
        let path = dir.join(name);
        let failed = |error: std::io::Error| Error::path("write", &path, &error);
        let all = Layer::new(layers.iter().flat_map(Layer::entries).cloned())?.compression(compression);
        let out = BufWriter::with_capacity(256 * 1024, File::create_new(&path).map_err(failed)?);
        let (out, digest, bytes) = all.write_alone(out, &path, meter)?;
        out.into_inner().map_err(|error| failed(error.into_error()))?;
        Ok::<_, Error>((digest, bytes))
    };
    let (_, of_base) = pack(base, BASE)?;
    let (digest, bytes) = pack(ours, ROOT)?;
    let bytes = bytes + of_base;
    let recipe = dir.join("Dockerfile");
    fs::write(&recipe, dockerfile(spec, from)).map_err(|error| Error::path("write", &recipe, &error))?;
    Ok((digest, bytes))
}

/// The search path that container engines give where an image says none.
pub(super) const USUAL_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The Dockerfile that makes the same image.
fn dockerfile(spec: &ImageSpec, from: Option<&str>) -> String {
    let words = |words: &[String]| serde_json::Value::from(words.to_vec()).to_string();
    let quoted =
        |text: &str| format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace('$', "\\$"));
    let base = match from {
        Some(image) => format!("FROM {image}\n"),
        None => format!("FROM scratch\nADD {BASE} /\n"),
    };
    let mut text = format!(
        "# Made by `mainstay image build --format context`. Add lines of your own: labels, certificates, settings (ENV).\n\
         # `--base IMAGE` builds on another image, which keeps its own users, certificates and name lookup: {BASE} has those that\n\
         # an empty image needs.\n\
         {base}ADD {ROOT} /\n"
    );
    for (name, value) in &spec.labels {
        let _ = writeln!(text, "LABEL {}={}", quoted(name), quoted(value));
    }
    for (name, value) in &spec.env {
        // Before the base's own path; an empty image has the usual one.
        let value = match value.strip_suffix(USUAL_PATH).filter(|_| name == "PATH") {
            Some(first) => format!("\"{first}$PATH\""),
            None => quoted(value),
        };
        let _ = writeln!(text, "ENV {name}={value}");
    }
    for (port, protocol) in &spec.exposed_ports {
        let protocol = match protocol {
            Protocol::Tcp => "tcp",
            Protocol::Udp => "udp",
        };
        let _ = writeln!(text, "EXPOSE {port}/{protocol}");
    }
    for volume in &spec.volumes {
        let _ = writeln!(text, "VOLUME {}", words(std::slice::from_ref(volume)));
    }
    if let Some(check) = &spec.healthcheck {
        let _ = writeln!(
            text,
            "HEALTHCHECK --interval={}s --timeout={}s --start-period={}s --retries={} CMD {}",
            check.interval.as_secs(),
            check.timeout.as_secs(),
            check.start_period.as_secs(),
            check.retries,
            words(&check.command)
        );
    }
    if let Some(signal) = &spec.stop_signal {
        let _ = writeln!(text, "STOPSIGNAL {signal}");
    }
    let _ = writeln!(text, "USER {}:{}", spec.user.uid, spec.user.gid);
    let _ = writeln!(text, "WORKDIR {}", spec.workdir);
    let _ = writeln!(text, "ENTRYPOINT {}", words(&spec.entrypoint));
    let _ = writeln!(text, "CMD {}", words(&spec.cmd));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_of_another_base_is_kept() {
        let env = [("PATH".to_owned(), format!("/opt/mattermost/bin:{USUAL_PATH}"))].into();
        let text = dockerfile(&ImageSpec { env, ..ImageSpec::default() }, None);
        assert!(text.contains("ENV PATH=\"/opt/mattermost/bin:$PATH\"\n"), "{text}");
        assert!(text.contains("ADD base.tar.gz /\nADD root.tar.gz /\n"), "{text}");
    }

    #[test]
    fn another_base_keeps_its_own_users() {
        let text = dockerfile(&ImageSpec::default(), Some("postgres:17"));
        assert!(text.contains("\nFROM postgres:17\nADD root.tar.gz /\n"), "{text}");
    }

    #[test]
    fn the_value_of_a_variable_is_escaped() {
        let env = [("A".to_owned(), r#"a "b" \c $d"#.to_owned())].into();
        let text = dockerfile(&ImageSpec { env, ..ImageSpec::default() }, None);
        assert!(text.contains(r#"ENV A="a \"b\" \\c \$d""#), "{text}");
    }
}

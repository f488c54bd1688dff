//! The image as input for `docker build`: a root file system and a `Dockerfile` that says how to run it.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::BufWriter;
use std::path::Path;

use oci::{Compression, Digest, ImageSpec, Layer, Meter, Protocol};

use crate::error::Error;

/// The file name of the root file system, next to the Dockerfile.
const ROOT: &str = "root.tar.gz";

/// Creates `dir` with both files in it. Returns the digest and the size (bytes) of the root file system.
pub(super) fn write(
    spec: &ImageSpec,
    layers: &[Layer],
    compression: Compression,
    dir: &Path,
    meter: &Meter,
) -> Result<(Digest, u64), Error> {
    fs::create_dir(dir).map_err(|error| Error::path("make", dir, &error))?;
    let root = dir.join(ROOT);
    let failed = |error: std::io::Error| Error::path("write", &root, &error);
    let all = Layer::new(layers.iter().flat_map(Layer::entries).cloned())?.compression(compression);
    let out = BufWriter::with_capacity(256 * 1024, File::create_new(&root).map_err(failed)?);
    let (out, digest, bytes) = all.write_alone(out, &root, meter)?;
    out.into_inner().map_err(|error| failed(error.into_error()))?;
    let recipe = dir.join("Dockerfile");
    fs::write(&recipe, dockerfile(spec)).map_err(|error| Error::path("write", &recipe, &error))?;
    Ok((digest, bytes))
}

/// The Dockerfile that makes the same image.
fn dockerfile(spec: &ImageSpec) -> String {
    let words = |words: &[String]| serde_json::Value::from(words.to_vec()).to_string();
    let quoted =
        |text: &str| format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace('$', "\\$"));
    let mut text = format!(
        "# Made by `mainstay image build --format context`. Add lines of your own: labels, certificates, settings (ENV), or another FROM for a shell.\n\
         FROM scratch\nADD {ROOT} /\n"
    );
    for (name, value) in &spec.labels {
        let _ = writeln!(text, "LABEL {}={}", quoted(name), quoted(value));
    }
    for (name, value) in &spec.env {
        let _ = writeln!(text, "ENV {name}={}", quoted(value));
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
    fn the_value_of_a_variable_is_escaped() {
        let env = [("A".to_owned(), r#"a "b" \c $d"#.to_owned())].into();
        let text = dockerfile(&ImageSpec { env, ..ImageSpec::default() });
        assert!(text.contains(r#"ENV A="a \"b\" \\c \$d""#), "{text}");
    }
}

//! A test authority, with valid and invalid server certificates.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rcgen::{BasicConstraints, Certificate, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::pki_types::CertificateDer;
use services::Trust;

/// The kinds of server certificates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Good,
    /// Signed by an intermediate authority, which is sent too.
    Chained,
    /// Signed by an intermediate authority, which is not sent.
    Alone,
    Expired,
    /// Valid for this many more days.
    Ending(u32),
    OtherName,
    SelfSigned,
}

/// The files for a server, and the root to trust.
pub(crate) struct Issued {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
    root: CertificateDer<'static>,
}

impl Issued {
    /// The machine's authorities and this one.
    pub(crate) fn trust(&self) -> Trust {
        Trust::SystemAnd(vec![self.root.clone()])
    }
}

fn authority(name: &str) -> CertificateParams {
    let mut params = CertificateParams::new([]).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params
}

/// Writes a certificate for 127.0.0.1 and its key into a directory.
pub(crate) fn issue(dir: &Path, kind: Kind) -> Issued {
    let root = CertifiedIssuer::self_signed(authority("root"), KeyPair::generate().unwrap()).unwrap();
    let middle =
        CertifiedIssuer::signed_by(authority("middle"), KeyPair::generate().unwrap(), &root).unwrap();
    let name = if kind == Kind::OtherName { "other.test" } else { "127.0.0.1" };
    let mut params = CertificateParams::new([name.to_owned()]).unwrap();
    params.distinguished_name.push(DnType::CommonName, "server");
    let day = Duration::from_secs(24 * 60 * 60);
    let now = SystemTime::now();
    params.not_before = (now - 5 * day).into();
    params.not_after = match kind {
        Kind::Expired => now - day,
        // The whole days left are counted a little later.
        Kind::Ending(days) => now + days * day + Duration::from_secs(60 * 60),
        _ => now + 100 * day,
    }
    .into();
    let key = KeyPair::generate().unwrap();
    let own: Certificate = match kind {
        Kind::SelfSigned => params.self_signed(&key).unwrap(),
        Kind::Chained | Kind::Alone => params.signed_by(&key, &middle).unwrap(),
        _ => params.signed_by(&key, &root).unwrap(),
    };
    let mut pem = own.pem();
    if kind == Kind::Chained {
        pem += &middle.pem();
    }
    let issued =
        Issued { certificate: dir.join("server.pem"), key: dir.join("server.key"), root: root.der().clone() };
    std::fs::write(&issued.certificate, pem).unwrap();
    std::fs::write(&issued.key, key.serialize_pem()).unwrap();
    issued
}

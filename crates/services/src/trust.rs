//! Whose certificates are believed.

use std::sync::{Arc, Mutex};

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

use crate::certificate::Certificate;

/// Whose certificates are believed.
#[derive(Debug, Clone, Default)]
pub enum Trust {
    /// The authorities of this machine, as Mattermost does.
    #[default]
    System,
    /// Those, and these.
    SystemAnd(Vec<CertificateDer<'static>>),
    /// Anybody's: what Mattermost does where verification is switched off. Whoever is in between can read along.
    Anything,
}

/// What is wrong with a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Flaw {
    /// Its time is over.
    Expired,
    /// Its time has not come.
    NotYetValid,
    /// Made out to these names.
    OtherName(Vec<String>),
    /// Signed by its own key.
    SelfSigned,
    /// Sent alone, and its issuer is not one we know.
    Alone,
    /// Its chain ends at nobody we know.
    UnknownAuthority,
    /// rustls's words.
    Other(String),
}

/// The certificate that a server has shown, and what we think of it.
#[derive(Debug, Clone)]
pub(crate) struct Shown {
    /// As sent, the server's own first.
    pub(crate) chain: Vec<CertificateDer<'static>>,
    pub(crate) flaw: Option<Flaw>,
}

/// Looks at a server's certificate, keeps it and what was found, and lets the handshake go on: whether the
/// connection may be used is decided by whoever opened it.
#[derive(Debug)]
pub(crate) struct Witness {
    judge: Option<Arc<WebPkiServerVerifier>>,
    provider: Arc<CryptoProvider>,
    shown: Mutex<Option<Shown>>,
}

impl Witness {
    /// A witness and the configuration to connect with, for one handshake.
    ///
    /// # Errors
    /// The machine has no authorities at all, or an extra one is none.
    pub(crate) fn new(trust: &Trust) -> Result<(Arc<Self>, ClientConfig), Error> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let judge = match trust {
            Trust::Anything => None,
            Trust::System => Some(judge(&provider, &[])?),
            Trust::SystemAnd(extra) => Some(judge(&provider, extra)?),
        };
        let witness = Arc::new(Self { judge, provider: Arc::clone(&provider), shown: Mutex::default() });
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .dangerous()
            .with_custom_certificate_verifier(Arc::clone(&witness) as Arc<dyn ServerCertVerifier>)
            .with_no_client_auth();
        Ok((witness, config))
    }

    /// What the server has shown, once the handshake is over.
    pub(crate) fn shown(&self) -> Option<Shown> {
        self.shown.lock().ok()?.take()
    }
}

fn judge(
    provider: &Arc<CryptoProvider>,
    extra: &[CertificateDer<'static>],
) -> Result<Arc<WebPkiServerVerifier>, Error> {
    let mut roots = RootCertStore::empty();
    // What of the machine's store cannot be read is missing there for every other program too.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    for certificate in extra {
        roots.add(certificate.clone())?;
    }
    WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider))
        .build()
        .map_err(|error| Error::General(error.to_string()))
}

impl ServerCertVerifier for Witness {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        stapled: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let refused = self
            .judge
            .as_ref()
            .and_then(|judge| judge.verify_server_cert(certificate, others, name, stapled, now).err());
        let chain: Vec<_> =
            std::iter::once(certificate).chain(others).map(|one| one.clone().into_owned()).collect();
        let flaw = refused.map(|error| flaw(&error, &chain));
        if let Ok(mut shown) = self.shown.lock() {
            *shown = Some(Shown { chain, flaw });
        }
        Ok(ServerCertVerified::assertion())
    }

    // The handshake's signature is always checked: whoever shows the certificate must have its key.
    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

fn flaw(error: &Error, chain: &[CertificateDer<'_>]) -> Flaw {
    let Error::InvalidCertificate(error) = error else { return Flaw::Other(error.to_string()) };
    match error {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => Flaw::Expired,
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => Flaw::NotYetValid,
        CertificateError::NotValidForName => Flaw::OtherName(Vec::new()),
        CertificateError::NotValidForNameContext { presented, .. } => Flaw::OtherName(presented.clone()),
        _ => {
            let own = chain.first().and_then(|der| Certificate::read(der));
            let self_signed = own.is_some_and(|own| own.is_self_signed());
            match error {
                // A self-signed one may also be refused for being an authority's.
                _ if self_signed => Flaw::SelfSigned,
                CertificateError::UnknownIssuer if chain.len() == 1 => Flaw::Alone,
                CertificateError::UnknownIssuer => Flaw::UnknownAuthority,
                other => Flaw::Other(other.to_string()),
            }
        }
    }
}

//! Which certificates are trusted.

use std::sync::{Arc, Mutex};

use finding::CertificateFlaw;
pub use mail::Trust;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

use crate::certificate::Certificate;

/// The certificate that a server presented, and what is wrong with it.
#[derive(Debug, Clone)]
pub(crate) struct Presented {
    /// As sent, the server's own first.
    pub(crate) chain: Vec<CertificateDer<'static>>,
    pub(crate) flaw: Option<CertificateFlaw>,
}

/// Verifies a server's certificate, records it with the result, and lets the handshake go on: whoever opened the connection
/// decides whether to use it.
#[derive(Debug)]
pub(crate) struct Recorder {
    verifier: Option<Arc<WebPkiServerVerifier>>,
    provider: Arc<CryptoProvider>,
    presented: Mutex<Option<Presented>>,
}

impl Recorder {
    /// A recorder for one handshake, and the configuration to connect with.
    ///
    /// # Errors
    /// The machine has no authorities at all, or an extra one is not a certificate.
    pub(crate) fn new(trust: &Trust) -> Result<(Arc<Self>, ClientConfig), Error> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let verifier = match trust {
            Trust::Anything => None,
            Trust::System => Some(verifier(&provider, &[])?),
            Trust::SystemAnd(extra) => Some(verifier(&provider, extra)?),
        };
        let recorder =
            Arc::new(Self { verifier, provider: Arc::clone(&provider), presented: Mutex::default() });
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .dangerous()
            .with_custom_certificate_verifier(Arc::clone(&recorder) as Arc<dyn ServerCertVerifier>)
            .with_no_client_auth();
        Ok((recorder, config))
    }

    /// What the server presented, once the handshake is over.
    pub(crate) fn presented(&self) -> Option<Presented> {
        self.presented.lock().ok()?.take()
    }
}

fn verifier(
    provider: &Arc<CryptoProvider>,
    extra: &[CertificateDer<'static>],
) -> Result<Arc<WebPkiServerVerifier>, Error> {
    let mut roots = RootCertStore::empty();
    // What cannot be read of the machine's store cannot be read by other programs either.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    for certificate in extra {
        roots.add(certificate.clone())?;
    }
    WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider))
        .build()
        .map_err(|error| Error::General(error.to_string()))
}

impl ServerCertVerifier for Recorder {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        stapled: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let refused = self
            .verifier
            .as_ref()
            .and_then(|verifier| verifier.verify_server_cert(certificate, others, name, stapled, now).err());
        let chain: Vec<_> =
            std::iter::once(certificate).chain(others).map(|one| one.clone().into_owned()).collect();
        let flaw = refused.map(|error| flaw(&error, &chain));
        if let Ok(mut presented) = self.presented.lock() {
            *presented = Some(Presented { chain, flaw });
        }
        Ok(ServerCertVerified::assertion())
    }

    // The handshake's signature is always checked: who presents a certificate must have its key.
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

/// What is wrong with the certificate at the front of `chain`. The chain tells more than the verifier's error.
fn flaw(error: &Error, chain: &[CertificateDer<'_>]) -> CertificateFlaw {
    let Error::InvalidCertificate(error) = error else { return CertificateFlaw::Other(error.to_string()) };
    let is_self_signed =
        || chain.first().and_then(|der| Certificate::read(der)).is_some_and(|own| own.is_self_signed());
    match CertificateFlaw::from(error) {
        // A self-signed certificate may also be refused because it is an authority's.
        CertificateFlaw::UnknownAuthority | CertificateFlaw::Other(_) if is_self_signed() => {
            CertificateFlaw::SelfSigned
        }
        CertificateFlaw::UnknownAuthority if chain.len() == 1 => CertificateFlaw::Alone,
        flaw => flaw,
    }
}

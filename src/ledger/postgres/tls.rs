//! TLS to a database: whom it believes, as libpq means it. Does not know which database, and reads no key of ours.

use std::path::PathBuf;
use std::sync::Arc;

use rustls_platform_verifier::BuilderVerifierExt;
use tokio_postgres_rustls::MakeRustlsConnect;
use tokio_rustls::rustls;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

/// What makes a connection.
pub(super) type Tls = MakeRustlsConnect;

/// What is checked of the server's certificate. With a path: against the roots in that file, not against the host's.
pub(super) enum Check {
    /// Nothing: it is encrypted, and may be to anybody. `prefer` and `require` of libpq.
    Nothing,
    /// Who signed it.
    Chain(Option<PathBuf>),
    /// Who signed it, and whether it is of that host.
    Full(Option<PathBuf>),
}

/// Makes connections that check this.
pub(super) fn connector(check: &Check) -> Result<Tls, String> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let failed = |error: Error| format!("cannot prepare TLS: {error}");
    let builder =
        ClientConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions().map_err(failed)?;
    let config = match check {
        Check::Full(None) => builder.with_platform_verifier().map_err(failed)?.with_no_client_auth(),
        Check::Full(Some(path)) => builder.with_root_certificates(roots(path)?).with_no_client_auth(),
        Check::Nothing | Check::Chain(_) => {
            let inner: Option<Arc<dyn ServerCertVerifier>> = match check {
                Check::Chain(Some(path)) => {
                    let built = WebPkiServerVerifier::builder_with_provider(Arc::new(roots(path)?), Arc::clone(&provider)).build();
                    Some(built.map_err(|error| format!("cannot prepare TLS: {error}"))?)
                }
                Check::Chain(None) => {
                    Some(Arc::new(rustls_platform_verifier::Verifier::new(Arc::clone(&provider)).map_err(failed)?))
                }
                Check::Nothing | Check::Full(_) => None,
            };
            let verifier = Arc::new(AnyName { inner, provider });
            builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth()
        }
    };
    Ok(MakeRustlsConnect::new(config))
}

/// The roots in a file.
fn roots(path: &PathBuf) -> Result<RootCertStore, String> {
    let shown = path.display();
    let failed = |why: &dyn std::fmt::Display| format!("`sslrootcert`: cannot read certificates from `{shown}`: {why}");
    let mut store = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(path).map_err(|error| failed(&error))? {
        store.add(certificate.map_err(|error| failed(&error))?).map_err(|error| failed(&error))?;
    }
    if store.is_empty() { Err(failed(&"there is none in it")) } else { Ok(store) }
}

/// Takes a certificate whatever host it is of. Without `inner`, whoever signed it.
#[derive(Debug)]
struct AnyName {
    inner: Option<Arc<dyn ServerCertVerifier>>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for AnyName {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        stapled: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let Some(inner) = &self.inner else { return Ok(ServerCertVerified::assertion()) };
        match inner.verify_server_cert(certificate, between, name, stapled, now) {
            // The name is compared last: all the rest was good.
            Err(Error::InvalidCertificate(CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. })) => {
                Ok(ServerCertVerified::assertion())
            }
            verified => verified,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls12_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls13_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

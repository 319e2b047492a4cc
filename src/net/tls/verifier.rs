//! Verifies the server's certificate: chain, name and revocation, as far as the options say.

use std::sync::Arc;

use rustls::CertificateError::{
    Expired, ExpiredContext, NotValidForName, NotValidForNameContext, NotValidYet, NotValidYetContext, Revoked,
};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, Error, OtherError, RootCertStore, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

use super::{Tls, Verify, der, pem, revocation};
use crate::model::CheckError;

/// The server's certificate is of X.509 version 1. webpki reads none, not even for the signature of a handshake whose
/// certificate is not verified.
#[derive(Debug, thiserror::Error)]
#[error("X.509 version 1")]
pub struct Version1;

/// Verifies the server's certificate in three modes. Where libpq and OpenSSL trust a certificate because it is itself
/// listed, webpki refuses the usual `openssl req -x509` one (an authority used as a server); `listed` trusts it too.
#[derive(Debug)]
pub struct Verifier {
    mode: Verify,
    roots: Arc<RootCertStore>,
    listed: Vec<CertificateDer<'static>>,
    /// Verifies chain, revocation and name, in this order; present if there are revocation lists.
    revocation: Option<Arc<WebPkiServerVerifier>>,
    provider: Arc<CryptoProvider>,
}

impl Verifier {
    /// Blocks on files.
    pub fn new(tls: &Tls, provider: Arc<CryptoProvider>) -> Result<Self, CheckError> {
        let mut roots = RootCertStore::empty();
        let listed = match &tls.ca {
            _ if tls.verify == Verify::Nothing => Vec::new(),
            Some(path) => {
                let listed = pem::certificates(path)?;
                roots.add_parsable_certificates(listed.iter().cloned());
                listed
            }
            None => {
                roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
                if roots.is_empty() {
                    return Err(CheckError::Configuration("this system has no trusted certificates: set `ca`".into()));
                }
                Vec::new()
            }
        };
        let roots = Arc::new(roots);
        let revocation = revocation::verifier(tls, &roots, &provider)?;
        Ok(Self { mode: tls.verify, roots, listed, revocation, provider })
    }

    /// Whether an authority vouches for the certificate, and has not revoked it.
    fn verify_chain(
        &self,
        certificate: &ParsedCertificate<'_>,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        now: UnixTime,
    ) -> Result<(), Error> {
        let Some(verifier) = &self.revocation else {
            let algorithms = self.provider.signature_verification_algorithms.all;
            return verify_server_cert_signed_by_trust_anchor(certificate, &self.roots, intermediates, now, algorithms);
        };
        match verifier.verify_server_cert(end_entity, intermediates, server_name, &[], now) {
            // The name comes last, so that the rest is verified.
            Ok(_) | Err(Error::InvalidCertificate(NotValidForName | NotValidForNameContext { .. })) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if der::is_version_1(end_entity) {
            return Err(CertificateError::Other(OtherError(Arc::new(Version1))).into());
        }
        if self.mode == Verify::Nothing {
            return Ok(ServerCertVerified::assertion());
        }
        let certificate = ParsedCertificate::try_from(end_entity)?;
        match self.verify_chain(&certificate, end_entity, intermediates, server_name, now) {
            // webpki looks at the dates before anything else: a listed certificate with another fault is in date.
            Err(error) if is_out_of_date(&error) || !self.listed.contains(end_entity) => return Err(error),
            Err(Error::InvalidCertificate(Revoked)) => return Err(Revoked.into()),
            // Its lists were not consulted.
            Err(_) if self.revocation.is_some() => return Err(CertificateError::UnknownRevocationStatus.into()),
            _ => {}
        }
        if self.mode == Verify::Full {
            verify_server_name(&certificate, server_name)?;
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

fn is_out_of_date(error: &Error) -> bool {
    matches!(
        error,
        Error::InvalidCertificate(Expired | ExpiredContext { .. } | NotValidYet | NotValidYetContext { .. })
    )
}

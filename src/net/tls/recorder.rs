//! Records the certificates that a server presents in one handshake, whether or not they are accepted.

use std::mem;
use std::sync::{Arc, Mutex};

use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::{ClientConfig, DigitallySignedStruct, Error, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

use super::verifier::Verifier;
use crate::runtime::lock;

/// What a server presented: its own certificate first. Empty where the handshake ended before.
#[derive(Clone, Debug, Default)]
pub struct Presented {
    pub chain: Vec<CertificateDer<'static>>,
    /// Why the chain was refused, if it was.
    pub fault: Option<Error>,
}

/// Where the verifier of one handshake leaves what it saw.
#[derive(Clone, Debug, Default)]
pub struct HandshakeRecord(Arc<Mutex<Presented>>);

impl HandshakeRecord {
    pub fn take(&self) -> Presented {
        mem::take(&mut *lock(&self.0))
    }
}

/// The same configuration for one handshake that leaves in `record` what the server presents. It resumes no session: a
/// resumed one stands for the certificate of an earlier handshake, which may have been renewed since.
pub fn recording(config: &ClientConfig, verifier: Arc<Verifier>, record: HandshakeRecord) -> ClientConfig {
    let mut config = config.clone();
    config.resumption = Resumption::disabled();
    config.dangerous().set_certificate_verifier(Arc::new(Recorder { verifier, record }));
    config
}

#[derive(Debug)]
struct Recorder {
    verifier: Arc<Verifier>,
    record: HandshakeRecord,
}

impl ServerCertVerifier for Recorder {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verified = self.verifier.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        let chain = [end_entity].into_iter().chain(intermediates).map(|one| one.clone().into_owned()).collect();
        *lock(&self.record.0) = Presented { chain, fault: verified.as_ref().err().cloned() };
        verified
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verifier.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verifier.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.verifier.supported_verify_schemes()
    }
}

//! The client's side of SCRAM-SHA-256 (RFC 5802, RFC 7677), whose costly key is derived by the caller off the runtime.

use std::num::NonZeroU32;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::rand::{SecureRandom, SystemRandom};
use ring::{digest, hmac, pbkdf2};

/// More iterations than this are not computed: 5 million take about 2 s, OWASP's advice is 600,000, and the number
/// comes from the server, which may be anyone's.
pub const ITERATION_LIMIT: u32 = 5_000_000;
const NONCE_BYTES: usize = 18;

/// What the key is derived from, beside the password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Salt {
    pub bytes: Vec<u8>,
    pub iterations: NonZeroU32,
}

/// Binds the exchange to the TLS connection.
pub enum Binding {
    /// The client cannot bind.
    Unsupported,
    /// The client can, and the server does not offer it.
    NotOffered,
    /// The hash of the server's certificate.
    EndPoint(Vec<u8>),
}

impl Binding {
    fn header(&self) -> &'static str {
        match self {
            Self::Unsupported => "n,,",
            Self::NotOffered => "y,,",
            Self::EndPoint(_) => "p=tls-server-end-point,,",
        }
    }
}

/// An exchange whose first message is made.
pub struct ClientFirst {
    binding: Binding,
    nonce: String,
}

/// An exchange that has the server's first message.
pub struct ServerFirst {
    binding: Binding,
    nonce: String,
    pub salt: Salt,
    auth_message: String,
}

/// What the server's last message must prove.
pub struct ExpectedProof(hmac::Tag);

impl ClientFirst {
    /// `None` if the system has no randomness.
    pub fn new(binding: Binding) -> Option<Self> {
        let mut bytes = [0; NONCE_BYTES];
        SystemRandom::new().fill(&mut bytes).ok()?;
        Some(Self { binding, nonce: STANDARD.encode(bytes) })
    }

    /// The message; PostgreSQL takes the user from the start-up message.
    pub fn message(&self) -> String {
        format!("{}n=,r={}", self.binding.header(), self.nonce)
    }

    /// Reads the server's first message; `None` if it is not one that answers ours.
    pub fn receive(self, message: &[u8]) -> Option<ServerFirst> {
        let text = std::str::from_utf8(message).ok()?;
        let mut fields = text.split(',');
        let nonce = fields.next()?.strip_prefix("r=")?.to_owned();
        let bytes = STANDARD.decode(fields.next()?.strip_prefix("s=")?).ok()?;
        let iterations = fields.next()?.strip_prefix("i=")?.parse().ok()?;
        if !nonce.starts_with(&self.nonce) || nonce.len() == self.nonce.len() {
            return None;
        }
        let auth_message = format!("n=,r={},{text}", self.nonce);
        Some(ServerFirst { binding: self.binding, nonce, salt: Salt { bytes, iterations }, auth_message })
    }
}

/// The salted password. Takes about 0.4 s for each million of iterations, so it never runs on the runtime's threads.
pub fn derive(password: &str, salt: &Salt) -> [u8; digest::SHA256_OUTPUT_LEN] {
    // PostgreSQL takes a password that SASLprep forbids as it is.
    let password = stringprep::saslprep(password).unwrap_or(password.into());
    let mut key = [0; digest::SHA256_OUTPUT_LEN];
    pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, salt.iterations, &salt.bytes, password.as_bytes(), &mut key);
    key
}

impl ServerFirst {
    /// The client's last message, and the proof that the server owes in return.
    pub fn answer(self, salted_password: &[u8]) -> (String, ExpectedProof) {
        let mut bound = self.binding.header().as_bytes().to_vec();
        if let Binding::EndPoint(hash) = &self.binding {
            bound.extend(hash);
        }
        let without_proof = format!("c={},r={}", STANDARD.encode(bound), self.nonce);
        let auth_message = format!("{},{without_proof}", self.auth_message);
        let sign = |key: &[u8], data: &[u8]| hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), data);
        let client_key = sign(salted_password, b"Client Key");
        let stored_key = digest::digest(&digest::SHA256, client_key.as_ref());
        let signature = sign(stored_key.as_ref(), auth_message.as_bytes());
        let proof: Vec<u8> = client_key.as_ref().iter().zip(signature.as_ref()).map(|(a, b)| a ^ b).collect();
        let server_key = sign(salted_password, b"Server Key");
        let expected = sign(server_key.as_ref(), auth_message.as_bytes());
        (format!("{without_proof},p={}", STANDARD.encode(proof)), ExpectedProof(expected))
    }
}

impl ExpectedProof {
    /// Whether the server's last message proves that it knows the password.
    pub fn is_met(&self, message: &[u8]) -> bool {
        let proof = message.strip_prefix(b"v=").and_then(|proof| STANDARD.decode(proof).ok());
        proof.is_some_and(|proof| subtle::ConstantTimeEq::ct_eq(&*proof, self.0.as_ref()).into())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// RFC 7677's example, whose messages name the user.
    #[test]
    fn exchange_computes_the_proofs_of_the_rfc() {
        let salt = Salt {
            bytes: STANDARD.decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap(),
            iterations: NonZeroU32::new(4096).unwrap(),
        };
        let key = derive("pencil", &salt);
        let nonce = "rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
        let first = ServerFirst {
            binding: Binding::Unsupported,
            nonce: nonce.to_owned(),
            salt,
            auth_message: format!("n=user,r=rOprNGfwEbeRWgbNEkqO,r={nonce},s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"),
        };
        let (message, expected) = first.answer(&key);
        assert_eq!(message, format!("c=biws,r={nonce},p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="));
        assert!(expected.is_met(b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="));
        assert!(!expected.is_met(b"v=7rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="));
        assert!(!expected.is_met(b"e=invalid-proof"));
    }

    #[test]
    fn server_message_that_does_not_answer_ours_is_refused() {
        let nonce = ClientFirst::new(Binding::Unsupported).unwrap().nonce;
        let cases = [
            (format!("r={nonce}x,s=AA==,i=4096"), true),
            (format!("r={nonce}x,s=AA==,i=0"), false),
            (format!("r={nonce}x,s=?,i=4096"), false),
            (format!("r={nonce},s=AA==,i=4096"), false),
            (format!("r={nonce}x,s=AA=="), false),
            ("r=other,s=AA==,i=4096".to_owned(), false),
            (String::new(), false),
        ];
        for (message, accepted) in cases {
            let first = ClientFirst { binding: Binding::Unsupported, nonce: nonce.clone() };
            assert_eq!(first.receive(message.as_bytes()).is_some(), accepted, "{message}");
        }
    }
}

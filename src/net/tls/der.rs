//! As much of DER as it takes to hash a certificate and to know its version.

use ring::digest::{Algorithm, SHA256, SHA384, SHA512, digest};

/// RFC 5929's `tls-server-end-point`: the certificate's hash, by the hash function of its own signature.
pub fn end_point(certificate: &[u8]) -> Option<Vec<u8>> {
    let (fields, _) = element(certificate)?;
    let (_, after_body) = element(fields)?;
    let (algorithm, _) = element(after_body)?;
    let (identifier, _) = element(algorithm)?;
    Some(digest(hash_of(identifier)?, certificate).as_ref().to_vec())
}

/// Whether a certificate has no version: the first field of one of version 2 or 3 is tagged `[0]`.
pub fn is_version_1(certificate: &[u8]) -> bool {
    let body = element(certificate).and_then(|(fields, _)| element(fields)).map(|(body, _)| body);
    body.is_some_and(|body| !body.starts_with(&[0xa0]))
}

/// The content of a DER element, and what follows it.
fn element(der: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = match der {
        [_, short @ ..=0x7f, rest @ ..] => (usize::from(*short), rest),
        [_, 0x81, a, rest @ ..] => (usize::from(*a), rest),
        [_, 0x82, a, b, rest @ ..] => (usize::from(u16::from_be_bytes([*a, *b])), rest),
        _ => return None,
    };
    rest.split_at_checked(length)
}

/// The hash function of a signature algorithm; MD5 and SHA-1 are replaced by SHA-256 there.
fn hash_of(identifier: &[u8]) -> Option<&'static Algorithm> {
    match identifier {
        // 1.2.840.113549.1.1: RSA with MD5, SHA-1, SHA-256, SHA-384, SHA-512.
        [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, hash] => match hash {
            4 | 5 | 11 => Some(&SHA256),
            12 => Some(&SHA384),
            13 => Some(&SHA512),
            _ => None,
        },
        // 1.2.840.10045.4: ECDSA with SHA-1, SHA-256, SHA-384, SHA-512.
        [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x01] | [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 2] => Some(&SHA256),
        [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 3] => Some(&SHA384),
        [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 4] => Some(&SHA512),
        _ => None,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;

    #[test]
    fn end_point_uses_hash_of_signature() {
        let rsa = |hash| vec![0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, hash];
        let certificate = |identifier: &[u8]| {
            let algorithm = [&[0x06, u8::try_from(identifier.len()).unwrap()], identifier].concat();
            let algorithm = [&[0x30, u8::try_from(algorithm.len()).unwrap()], &*algorithm].concat();
            let fields = [&[0x30, 0x81, 0x02, 0xff, 0xff], &*algorithm, &[0x03, 0x01, 0x00]].concat();
            [&[0x30, 0x82, 0x00, u8::try_from(fields.len()).unwrap()], &*fields].concat()
        };
        let cases =
            [(rsa(11), Some(32)), (rsa(5), Some(32)), (rsa(12), Some(48)), (rsa(13), Some(64)), (rsa(10), None)];
        for (identifier, length) in cases {
            assert_eq!(end_point(&certificate(&identifier)).map(|hash| hash.len()), length, "{identifier:?}");
        }
        for cut in 0..certificate(&rsa(11)).len() {
            end_point(&certificate(&rsa(11))[..cut]);
        }
    }
}

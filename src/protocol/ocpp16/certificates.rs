//! What the certificate messages of the security extension share (OCPP 1.6 security white paper §6.1, §6.2).

use super::reader::Fields;
use super::words::{Text, words};
use crate::protocol::ocppj::CallError;
use serde::Serialize;

words!(
    /// CertificateUseEnumType: which trust a root certificate gives.
    CertificateUse { CentralSystemRootCertificate, ManufacturerRootCertificate }
);
words!(
    /// HashAlgorithmEnumType.
    HashAlgorithm { SHA256, SHA384, SHA512 }
);

/// Longest certificate in PEM.
pub const CERTIFICATE_MAX: usize = 5500;

/// Longest chain of certificates in PEM.
pub const CHAIN_MAX: usize = 10_000;

/// CertificateHashDataType: names a certificate without showing it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CertificateHashData {
    /// By what the hashes are made.
    pub hash_algorithm: HashAlgorithm,
    /// Hash of the issuer's distinguished name, hex.
    pub issuer_name_hash: Text<128>,
    /// Hash of the issuer's public key, hex.
    pub issuer_key_hash: Text<128>,
    /// Hex, without leading zeros.
    pub serial_number: Text<40>,
}

pub(crate) const HASH_DATA: &[&str] = &["hashAlgorithm", "issuerNameHash", "issuerKeyHash", "serialNumber"];

pub(crate) fn read_hash_data(f: &Fields<'_, '_>) -> Result<CertificateHashData, CallError> {
    Ok(CertificateHashData {
        hash_algorithm: f.choice("hashAlgorithm", HashAlgorithm::ALLOWED, HashAlgorithm::read)?,
        issuer_name_hash: Text::cut(&f.text("issuerNameHash", 128)?),
        issuer_key_hash: Text::cut(&f.text("issuerKeyHash", 128)?),
        serial_number: Text::cut(&f.text("serialNumber", 40)?),
    })
}

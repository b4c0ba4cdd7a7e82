//! A small certificate authority for chargers' client certificates (security profile 3, white paper use case A02). Owns
//! what a request must show and what the certificate says; never which charger may ask, nor how the answer travels.
//!
//! Invariants: a certificate names the charger that asked, whatever the request says besides; it is good for client
//! authentication alone; nothing is taken over from a request but its public key.

pub mod cli;

use super::tls::{TlsError, failed};
use crate::clock::Timestamp;
use crate::config::tls::Tls as Settings;
use crate::ids::ChargerId;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PublicKeyData as _, SerialNumber, SubjectPublicKeyInfo,
};
use std::time::Duration;
use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::pem::{Pem, parse_x509_pem};
use x509_parser::prelude::{FromDer as _, X509Certificate};
use x509_parser::public_key::PublicKey;

/// Characters of a request that are looked at (the longest of SignCertificate, white paper §6.1).
const CSR_MAX: usize = 5500;

/// Shortest RSA key and curves that are signed (white paper §4: at least 112 bits of strength).
const RSA_BITS_MIN: usize = 2048;

/// How long the authority itself lasts.
const AUTHORITY_YEARS: i32 = 20;

/// Chargers' clocks are behind.
const BACKDATED: Duration = Duration::from_secs(3600);

/// Why a request is not signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It is none.
    #[error("it cannot be read as a certificate request in PEM (PKCS#10)")]
    Unreadable,
    /// Whoever made it has not the key.
    #[error("its signature is not that of its key")]
    Signature,
    /// It is for somebody else.
    #[error("its subject's common name is not the charger's id, or there is more than one")]
    ForeignName,
    /// Its key can be guessed.
    #[error("its key is too weak: RSA of at least 2048 bits, or ECDSA on P-256 or P-384 is needed")]
    WeakKey,
    /// The authority's own certificate has ended, or its key does not work.
    #[error("the authority cannot sign now: its certificate has ended, or its key is of no use")]
    Authority,
}

/// The authority.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    /// Certificates between a charger's and the root.
    between: String,
    organisation: String,
    validity: Duration,
    /// When its own certificate ends, in seconds since 1970.
    pub expires: i64,
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authority").field("expires", &self.expires).finish_non_exhaustive()
    }
}

/// A new authority's certificate and key, both in PEM.
///
/// # Errors
/// When the crypto library refuses.
pub fn make(organisation: &str, now: Timestamp) -> Result<(String, String), rcgen::Error> {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    let mut params = CertificateParams::default();
    params.distinguished_name = name("Chargeline charger CA", organisation);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.not_before = at(now.0) - BACKDATED;
    params.not_after = at(now.0) + Duration::from_secs(u64::from(AUTHORITY_YEARS.unsigned_abs()) * 365 * 86_400);
    params.serial_number = Some(serial());
    Ok((params.self_signed(&key)?.pem(), key.serialize_pem()))
}

fn name(common: &str, organisation: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, common);
    if !organisation.is_empty() {
        name.push(DnType::OrganizationName, organisation);
    }
    name
}

/// The type of rcgen's times has no name here.
fn at(millis: i64) -> time::OffsetDateTime {
    rcgen::date_time_ymd(1970, 1, 1) + time::Duration::milliseconds(millis)
}

/// Random, positive, 127 bits (RFC 5280 §4.1.2.2).
fn serial() -> SerialNumber {
    let mut bytes: [u8; 16] = rand::random();
    bytes[0] = bytes[0] & 0x7f | 0x40;
    SerialNumber::from_slice(&bytes)
}

impl Authority {
    /// Reads the authority's files; `None`: there are none, so nothing is signed.
    ///
    /// # Errors
    /// The file that cannot be used.
    pub fn open(settings: &Settings) -> Result<Option<Authority>, TlsError> {
        let (file, key_file) = (&*settings.authority_certificate_file, &*settings.authority_key_file);
        if file.as_os_str().is_empty() || (!file.exists() && !key_file.exists()) {
            return Ok(None);
        }
        let of_key = |error: &dyn std::fmt::Display| failed("tls.authority_key_file", key_file, error);
        let of_file = |error: &dyn std::fmt::Display| failed("tls.authority_certificate_file", file, error);
        let key = std::fs::read_to_string(key_file).map_err(|error| of_key(&error))?;
        let key = KeyPair::from_pem(&key).map_err(|error| of_key(&error))?;
        let pem = std::fs::read_to_string(file).map_err(|error| of_file(&error))?;
        let public = key.subject_public_key_info();
        let (mut between, mut expires) = (String::new(), i64::MAX);
        for (n, block) in Pem::iter_from_buffer(pem.as_bytes()).enumerate() {
            let block = block.map_err(|error| of_file(&error))?;
            let certificate = block.parse_x509().map_err(|error| of_file(&error))?;
            if n == 0 && certificate.public_key().raw != &*public {
                return Err(of_key(&"it is not the key of the first certificate of tls.authority_certificate_file"));
            }
            expires = expires.min(certificate.validity().not_after.timestamp());
            if certificate.subject() != certificate.issuer() {
                let text = rustls::pki_types::CertificateDer::from(block.contents.clone());
                between.push_str(&pem_of(&text));
            }
        }
        let issuer = Issuer::from_ca_cert_pem(&pem, key).map_err(|error| of_file(&error))?;
        let (organisation, validity) = (settings.organisation.clone(), settings.certificate_validity);
        Ok(Some(Authority { issuer, between, organisation, validity, expires }))
    }

    /// Signs a charger's request: the chain in PEM, its own certificate first, without the root.
    ///
    /// # Errors
    /// Why not.
    pub fn sign(&self, csr: &str, charger: &ChargerId, now: Timestamp) -> Result<String, Refusal> {
        if csr.len() > CSR_MAX {
            return Err(Refusal::Unreadable);
        }
        let (_, pem) = parse_x509_pem(csr.as_bytes()).map_err(|_| Refusal::Unreadable)?;
        let (rest, request) = X509CertificationRequest::from_der(&pem.contents).map_err(|_| Refusal::Unreadable)?;
        if !rest.is_empty() || !pem.label.ends_with("CERTIFICATE REQUEST") {
            return Err(Refusal::Unreadable);
        }
        let info = &request.certification_request_info;
        strong(&info.subject_pki)?;
        request.verify_signature().map_err(|_| Refusal::Signature)?;
        let mut names = info.subject.iter_common_name();
        let (first, second) = (names.next().and_then(|name| name.as_str().ok()), names.next());
        if first != Some(charger.as_str()) || second.is_some() {
            return Err(Refusal::ForeignName);
        }
        let asked = info.subject.iter_organization().next().and_then(|name| name.as_str().ok()).unwrap_or_default();
        let organisation = if self.organisation.is_empty() { asked } else { &self.organisation };
        let ends = now.0.saturating_add(i64::try_from(self.validity.as_millis()).unwrap_or(i64::MAX));
        let ends = ends.min(self.expires.saturating_mul(1000));
        if ends <= now.0 {
            return Err(Refusal::Authority);
        }
        let mut params = CertificateParams::default();
        params.distinguished_name = name(charger.as_str(), organisation);
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyEncipherment];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        params.use_authority_key_identifier_extension = true;
        params.not_before = at(now.0) - BACKDATED;
        params.not_after = at(ends);
        params.serial_number = Some(serial());
        let key = SubjectPublicKeyInfo::from_der(info.subject_pki.raw).map_err(|_| Refusal::WeakKey)?;
        let signed = params.signed_by(&key, &self.issuer).map_err(|_| Refusal::Authority)?;
        Ok(signed.pem() + &self.between)
    }
}

fn pem_of(der: &[u8]) -> String {
    use base64::Engine as _;
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    let lines: Vec<&str> = text.as_bytes().chunks(64).filter_map(|line| std::str::from_utf8(line).ok()).collect();
    format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"))
}

fn strong(key: &x509_parser::x509::SubjectPublicKeyInfo<'_>) -> Result<(), Refusal> {
    const P256: &str = "1.2.840.10045.3.1.7";
    const P384: &str = "1.3.132.0.34";
    match key.parsed().map_err(|_| Refusal::Unreadable)? {
        PublicKey::RSA(rsa) if rsa.key_size() >= RSA_BITS_MIN => Ok(()),
        PublicKey::EC(_) => {
            let curve =
                key.algorithm.parameters.as_ref().and_then(|any| any.as_oid().ok()).map(|oid| oid.to_id_string());
            if matches!(curve.as_deref(), Some(P256 | P384)) { Ok(()) } else { Err(Refusal::WeakKey) }
        }
        _ => Err(Refusal::WeakKey),
    }
}

/// When a certificate in PEM ends, in seconds since 1970, and its subject.
pub(crate) fn about(pem: &str) -> Option<(i64, String)> {
    let (_, pem) = parse_x509_pem(pem.as_bytes()).ok()?;
    let (_, certificate) = X509Certificate::from_der(&pem.contents).ok()?;
    Some((certificate.validity().not_after.timestamp(), certificate.subject().to_string()))
}

#[cfg(test)]
mod tests;

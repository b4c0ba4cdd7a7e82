//! GetInstalledCertificateIds (OCPP 1.6 security white paper §6.1): which root certificates has the charger?

use super::certificates::{CertificateHashData, CertificateUse, HASH_DATA, read_hash_data};
use super::reader::Fields;
use super::words::words;
use crate::protocol::ocppj::CallError;
use serde::Serialize;

words!(
    /// GetInstalledCertificateStatusEnumType.
    GetInstalledCertificateStatus { Accepted, NotFound }
);

/// GetInstalledCertificateIds.req.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Request {
    /// Of which kind.
    pub certificate_type: CertificateUse,
}

/// GetInstalledCertificateIds.conf.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Confirmation {
    /// Whether there are any.
    pub status: GetInstalledCertificateStatus,
    /// Which.
    pub certificate_hash_data: Vec<CertificateHashData>,
}

pub(crate) const FIELDS: &[&str] = &["certificateType"];
pub(crate) const ANSWER: &[&str] = &["status", "certificateHashData"];

pub(crate) fn read(f: &Fields<'_, '_>) -> Result<Request, CallError> {
    Ok(Request { certificate_type: f.choice("certificateType", CertificateUse::ALLOWED, CertificateUse::read)? })
}

pub(crate) fn read_answer(f: &Fields<'_, '_>) -> Result<Confirmation, CallError> {
    let hashes = f.opt_list("certificateHashData", 1, |value, at| {
        read_hash_data(&Fields::open(value, at, f.reading, HASH_DATA)?)
    })?;
    let status = f.choice("status", GetInstalledCertificateStatus::ALLOWED, GetInstalledCertificateStatus::read)?;
    Ok(Confirmation { status, certificate_hash_data: hashes.unwrap_or_default() })
}

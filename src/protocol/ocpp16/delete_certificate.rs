//! DeleteCertificate (OCPP 1.6 security white paper §6.1): the charger forgets a root certificate.

use super::certificates::{CertificateHashData, HASH_DATA, read_hash_data};
use super::reader::Fields;
use super::words::words;
use crate::protocol::ocppj::CallError;
use serde::Serialize;

words!(
    /// DeleteCertificateStatusEnumType.
    DeleteCertificateStatus { Accepted, Failed, NotFound }
);

/// DeleteCertificate.req.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Request {
    /// Which.
    pub certificate_hash_data: CertificateHashData,
}

/// DeleteCertificate.conf.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Confirmation {
    /// Whether it is gone.
    pub status: DeleteCertificateStatus,
}

pub(crate) const FIELDS: &[&str] = &["certificateHashData"];
pub(crate) const ANSWER: &[&str] = &["status"];

pub(crate) fn read(f: &Fields<'_, '_>) -> Result<Request, CallError> {
    let hash = f.opt_object("certificateHashData", HASH_DATA, read_hash_data)?;
    Ok(Request { certificate_hash_data: f.required("certificateHashData", hash)? })
}

pub(crate) fn read_answer(f: &Fields<'_, '_>) -> Result<Confirmation, CallError> {
    Ok(Confirmation { status: f.choice("status", DeleteCertificateStatus::ALLOWED, DeleteCertificateStatus::read)? })
}

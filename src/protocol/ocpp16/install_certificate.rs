//! InstallCertificate (OCPP 1.6 security white paper §6.1): the charger gets a root certificate to trust.

use super::certificates::{CERTIFICATE_MAX, CertificateUse};
use super::reader::Fields;
use super::words::{Text, words};
use crate::protocol::ocppj::CallError;
use serde::Serialize;

words!(
    /// InstallCertificateStatusEnumType.
    InstallCertificateStatus { Accepted, Failed, Rejected }
);

/// InstallCertificate.req.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Request {
    /// What it is trusted for.
    pub certificate_type: CertificateUse,
    /// PEM.
    pub certificate: Text<CERTIFICATE_MAX>,
}

/// InstallCertificate.conf.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Confirmation {
    /// Rejected: it is not valid, or there is no room.
    pub status: InstallCertificateStatus,
}

pub(crate) const FIELDS: &[&str] = &["certificateType", "certificate"];
pub(crate) const ANSWER: &[&str] = &["status"];

pub(crate) fn read(f: &Fields<'_, '_>) -> Result<Request, CallError> {
    Ok(Request {
        certificate_type: f.choice("certificateType", CertificateUse::ALLOWED, CertificateUse::read)?,
        certificate: Text::cut(&f.text("certificate", CERTIFICATE_MAX)?),
    })
}

pub(crate) fn read_answer(f: &Fields<'_, '_>) -> Result<Confirmation, CallError> {
    Ok(Confirmation { status: f.choice("status", InstallCertificateStatus::ALLOWED, InstallCertificateStatus::read)? })
}

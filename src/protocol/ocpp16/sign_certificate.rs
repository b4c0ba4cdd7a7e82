//! SignCertificate (OCPP 1.6 security white paper §6.1): the charger asks for a certificate.

use super::certificates::CERTIFICATE_MAX;
use super::reader::Fields;
use super::words::words;
use crate::protocol::ocppj::CallError;
use serde::Serialize;

words!(
    /// GenericStatusEnumType.
    GenericStatus { Accepted, Rejected }
);

/// SignCertificate.req.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The certificate signing request, PEM.
    pub csr: String,
}

/// SignCertificate.conf.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Confirmation {
    /// Accepted: CertificateSigned follows.
    pub status: GenericStatus,
}

pub(crate) const FIELDS: &[&str] = &["csr"];

pub(crate) fn read(f: &Fields<'_, '_>) -> Result<Request, CallError> {
    Ok(Request { csr: f.text("csr", CERTIFICATE_MAX)? })
}

//! CertificateSigned (OCPP 1.6 security white paper §6.1): the charger gets the certificate that it asked for.

use super::certificates::CHAIN_MAX;
use super::reader::Fields;
use super::words::{Text, words};
use crate::protocol::ocppj::CallError;
use serde::Serialize;

words!(
    /// CertificateSignedStatusEnumType.
    CertificateSignedStatus { Accepted, Rejected }
);

/// CertificateSigned.req.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Request {
    /// The charger's certificate and those up to the root, PEM, one after the other.
    pub certificate_chain: Text<CHAIN_MAX>,
}

/// CertificateSigned.conf.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Confirmation {
    /// Whether the charger will use it.
    pub status: CertificateSignedStatus,
}

pub(crate) const FIELDS: &[&str] = &["certificateChain"];
pub(crate) const ANSWER: &[&str] = &["status"];

pub(crate) fn read(f: &Fields<'_, '_>) -> Result<Request, CallError> {
    Ok(Request { certificate_chain: Text::cut(&f.text("certificateChain", CHAIN_MAX)?) })
}

pub(crate) fn read_answer(f: &Fields<'_, '_>) -> Result<Confirmation, CallError> {
    Ok(Confirmation { status: f.choice("status", CertificateSignedStatus::ALLOWED, CertificateSignedStatus::read)? })
}

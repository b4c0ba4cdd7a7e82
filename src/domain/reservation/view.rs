//! How a reservation is shown to its partner and to operators, as `docs/partner-api.md` describes it. Owns no fact.
//!
//! The user's own name with the partner is personal: who shows the view to somebody allowed opens the seal (OP-9).

use super::state::{Arrival, EndCause, Reservation, Status, Terms};
use crate::clock::Timestamp;
use crate::domain::money::Money;
use crate::ids::{ConnectorId, PartnerId, RequestId, ReservationId, SessionId};
use serde::Serialize;

/// What it costs, as shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TermsView {
    /// Set aside first.
    pub deposit: Money,
    /// Until then giving it up costs nothing.
    pub free_cancel_until: String,
    /// Later it costs this.
    pub late_cancel_fee: Money,
    /// Not coming costs this.
    pub no_show_fee: Money,
}

impl From<Terms> for TermsView {
    fn from(terms: Terms) -> Self {
        TermsView {
            deposit: terms.deposit,
            free_cancel_until: terms.free_until.to_rfc3339(),
            late_cancel_fee: terms.late_cancel_fee,
            no_show_fee: terms.no_show_fee,
        }
    }
}

/// A reservation as shown.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct View {
    /// Which.
    pub reservation_id: ReservationId,
    /// The partner's name of its request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<RequestId>,
    /// Where.
    pub charger_id: String,
    /// Where.
    pub connector_id: ConnectorId,
    /// Whose; for rows and operators, not for the wire.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub partner: Option<PartnerId>,
    /// Pseudonym of the user.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<Box<str>>,
    /// Personal data, sealed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sealed: Option<Box<str>>,
    /// SE-15.
    pub status: Status,
    /// When it was asked for.
    pub created_at: String,
    /// From when on the user may come.
    pub from: String,
    /// Until when.
    pub until: String,
    /// What it costs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub terms: Option<TermsView>,
    /// When the deposit must be there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payment_due: Option<String>,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<String>,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end_cause: Option<EndCause>,
    /// The same, for the user.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text_zh: Option<&'static str>,
    /// The same, for the user.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text_en: Option<&'static str>,
    /// What is taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fee: Option<Money>,
    /// What is given back of the deposit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub returned: Option<Money>,
    /// The session that it became.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session_id: Option<SessionId>,
    /// How the user came.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub arrival: Option<Arrival>,
}

impl Reservation {
    /// The reservation as shown.
    pub fn view(&self, reservation_id: ReservationId, charger_id: &str) -> View {
        let texts = self.cause.map(EndCause::texts);
        View {
            reservation_id,
            request_id: self.request.clone(),
            charger_id: charger_id.to_owned(),
            connector_id: self.connector,
            partner: self.partner.clone(),
            user: self.user.clone(),
            sealed: self.sealed.clone(),
            status: self.status.unwrap_or(Status::Failed),
            created_at: self.created_at.to_rfc3339(),
            from: self.from.to_rfc3339(),
            until: self.until.to_rfc3339(),
            terms: self.terms.map(TermsView::from),
            payment_due: self.payment_due.map(Timestamp::to_rfc3339),
            ended_at: self.ended_at.map(Timestamp::to_rfc3339),
            end_cause: self.cause,
            text_zh: texts.map(|(zh, _)| zh),
            text_en: texts.map(|(_, en)| en),
            fee: self.fee,
            returned: self.returned(),
            session_id: self.session,
            arrival: self.arrival,
        }
    }
}

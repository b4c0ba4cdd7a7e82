//! Payment callbacks (MO-3): believed by their signature, booked once by the gateway's transaction id, and a ticket where there is
//! nothing to book them to. Owns the way of a callback to its account.

use super::{Service, corrupt, refused};
use crate::actors::engine::Refusal as Refused;
use crate::api::catalogue::Code;
use crate::api::port::{Callback, Refusal};
use crate::domain::account::{Action, Outcome, Rejection, Request, payment_cause};
use crate::domain::ledger::PaymentId;
use crate::domain::platform::{Alert, Command, PARTITION, Platform};
use crate::persistence::CreateOnce;
use crate::protocol::payment::{self, PaymentNote, PaymentStatus, Unbelieved};
use std::time::Duration;

/// How long a transaction is known to belong to its intent: as long as the books.
const KEPT: Duration = Duration::from_secs(100 * 365 * 86_400);

fn unbelieved(why: Unbelieved) -> Refusal {
    match why {
        Unbelieved::Malformed(_) => Code::MissingSignature.into(),
        Unbelieved::Untimely => Code::ClockSkew.into(),
        Unbelieved::Wrong => Code::BadSignature.into(),
    }
}

impl Service {
    pub(super) async fn take_callback(&self, callback: Callback) -> Result<(), Refusal> {
        let Some(secret) = &self.payment_secret else { return Err(Code::NotFound.into()) };
        let window = self.configuration.live.current().payments.callback_window;
        let (timestamp, signature) = (callback.timestamp.as_deref(), callback.signature.as_deref());
        payment::verify(secret, timestamp, signature, &callback.body, self.clock.now(), window).map_err(unbelieved)?;
        let note = PaymentNote::parse(&callback.body).map_err(|error| {
            Refusal::field(error.path().to_string(), error.inner().to_string(), "see docs/payments.md")
        })?;
        self.working()?;
        let payment = match (note.status, &note.transaction_id) {
            // Nothing has happened yet: the next one tells.
            (PaymentStatus::Pending, _) => return Ok(()),
            (PaymentStatus::Paid | PaymentStatus::Failed, Some(payment)) => payment.clone(),
            (PaymentStatus::Paid | PaymentStatus::Failed, None) => {
                return Err(Refusal::field("transaction_id", "is missing", "the gateway's own id of the payment"));
            }
        };
        if !self.first_of(&payment, &note).await? {
            return self.stray(&payment, &note, "its transaction belongs to another top-up").await;
        }
        let Some(row) = self.top_up_row(note.top_up_id).await? else {
            return self.stray(&payment, &note, "there is no such top-up").await;
        };
        self.book(&row.account, &payment, &note).await
    }

    /// Whether the transaction is known by no other intent: it is idempotent over all accounts.
    async fn first_of(&self, payment: &PaymentId, note: &PaymentNote) -> Result<bool, Refusal> {
        let (key, intent) = (format!("payment/{payment}"), note.top_up_id.to_string());
        Ok(match self.journal.create_once(&key, intent.as_bytes(), KEPT).await? {
            CreateOnce::Created => true,
            CreateOnce::Exists(first) => first == intent.as_bytes(),
        })
    }

    async fn book(&self, account: &str, payment: &PaymentId, note: &PaymentNote) -> Result<(), Refusal> {
        let cause = payment_cause(payment).map_err(|error| corrupt("payment", payment.as_str(), &error))?;
        let succeeded = note.status == PaymentStatus::Paid;
        let (payment, amount) = (payment.clone(), note.money());
        let action = Action::Payment { payment: payment.clone(), intent: note.top_up_id, amount, succeeded };
        match self.accounts.ask(account, Request::new(cause, action)).await {
            Ok(Outcome::Credited { .. } | Outcome::DoublePayment { .. } | Outcome::TopUpFailed) => Ok(()),
            Ok(other) => {
                tracing::error!(?other, "a payment came to something that it cannot come to");
                Err(Code::Internal.into())
            }
            Err(Refused::Rejected(rejection)) => {
                // Told again it would be refused again: a person must look, and the gateway may stop telling.
                let why = match rejection {
                    Rejection::CauseReused { booked, now, .. } => format!("it was told as `{booked}`, now as `{now}`"),
                    other => other.to_string(),
                };
                self.stray(&payment, note, &why).await
            }
            Err(refusal) => Err(refused(refusal, super::account_rejected)),
        }
    }

    /// Money that came and cannot be booked: a ticket, once for a transaction and reason.
    async fn stray(&self, payment: &PaymentId, note: &PaymentNote, why: &str) -> Result<(), Refusal> {
        let text = format!("payment {payment} of {} for top-up {} is not booked: {why}", note.money(), note.top_up_id);
        let key = format!("payment-stray/{payment}/{}", note.top_up_id);
        if let Some(known) = self.journal.lookup_once(&key).await?
            && known == text.as_bytes()
        {
            return Ok(());
        }
        let alert = Alert {
            code: "payment_stray".to_owned(),
            level: "critical".to_owned(),
            subject: format!("payment/{payment}"),
            text: text.clone(),
            ticket: true,
        };
        crate::actors::alerts::announce(&alert.level, &alert.code, &alert.subject, &alert.text);
        let asked = self.platform.ask(PARTITION, Platform, Command::Raise(alert)).await;
        asked.map_err(|refusal| refused(refusal, |_| Code::Internal.into()))?;
        // Written after the ticket: a crash in between opens it twice, and loses none.
        self.journal.create_once(&key, text.as_bytes(), KEPT).await?;
        Ok(())
    }
}

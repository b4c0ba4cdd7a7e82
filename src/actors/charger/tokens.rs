//! Whose an idTag is. Owns the lookup; never what follows from it.

use crate::actors::partners::Partners;
use crate::clock::SharedClock;
use crate::domain::charger::{Tag, TokenInfo, Verdict, remote_tag};
use crate::domain::platform::{Token, TokenStatus};
use crate::persistence::vault::Vault;
use crate::persistence::{JournalError, SharedJournal};
use std::sync::Arc;

/// The scope of token pseudonyms (OP-9).
pub const SCOPE: &str = "token";

/// The table of tokens, by pseudonym.
pub const TABLE: &str = "token";

/// Looks idTags up.
#[derive(Clone)]
pub struct Tokens {
    /// Makes pseudonyms.
    pub vault: Arc<Vault>,
    /// Has the rows.
    pub journal: SharedJournal,
    /// For expiry.
    pub clock: SharedClock,
    /// Whose users a suspension stops (EM-1).
    pub partners: Arc<Partners>,
}

impl Tokens {
    /// The pseudonym of an idTag. OCPP 1.6 compares idTags without regard to case.
    pub fn reference(&self, id_tag: &str) -> String {
        self.vault.pseudonym(SCOPE, &id_tag.to_uppercase()).to_string()
    }

    /// What is known of an idTag.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn tag(&self, id_tag: &str) -> Result<Tag, JournalError> {
        if remote_tag::looks_like(id_tag) {
            return Ok(Tag::Remote(id_tag.to_uppercase().into()));
        }
        let reference = self.reference(id_tag);
        let row = self.journal.row(TABLE, &reference).await?;
        let token = row
            .map(|row| serde_json::from_slice::<Token>(&row))
            .transpose()
            .map_err(|error| JournalError::Corrupt { key: format!("{TABLE}/{reference}"), why: error.to_string() })?;
        let verdict = token.as_ref().map_or(Verdict::Unknown, |token| self.verdict(token));
        let owner = token.and_then(|token| Some((token.partner?, token.user?.into())));
        Ok(Tag::Token(TokenInfo { reference: reference.into(), verdict, owner }))
    }

    /// Whether the token's partner begins nothing new now.
    fn suspended(&self, token: &Token) -> bool {
        let partner = token.partner.as_ref().and_then(|partner| self.partners.get(partner));
        partner.is_some_and(|known| known.partner.suspended.is_some())
    }

    fn verdict(&self, token: &Token) -> Verdict {
        match token.status {
            TokenStatus::Accepted if token.expires.is_some_and(|at| at <= self.clock.now()) => Verdict::Expired,
            TokenStatus::Accepted if self.suspended(token) => Verdict::Blocked,
            TokenStatus::Accepted => Verdict::Accepted,
            TokenStatus::Blocked => Verdict::Blocked,
            TokenStatus::Expired => Verdict::Expired,
            TokenStatus::Invalid => Verdict::Invalid,
        }
    }
}

//! The door from a charger's partition to users' accounts: asks, and brings the answer back to whoever asked (MO-3). Owns no
//! balance, and remembers nothing: who asks does, and asks again.

use crate::actors::account::{Accounts, DebtListener};
use crate::actors::engine::{HostAddr, Partition, Refusal};
use crate::domain::account::{Action, Owner, Request};
use crate::domain::charging::books;
use crate::domain::charging::purse::{AccountOutcome, AccountRef, AccountRequest};
use crate::domain::charging::{ChargingFamily, Command, Key};
use crate::domain::ledger;
use crate::domain::order;
use crate::ids::{ChargerId, OrderId};
use crate::persistence::SharedJournal;
use futures_util::future::BoxFuture;
use std::rc::Rc;
use std::sync::{Arc, OnceLock};

/// Who keeps the accounts. Each request is idempotent by its cause.
pub trait AccountDesk: Send + Sync + 'static {
    /// Asks an account.
    fn ask<'a>(&'a self, account: &'a AccountRef, request: AccountRequest) -> BoxFuture<'a, AccountOutcome>;
}

/// Asks, and tells the entity what it was answered. An answer that cannot be stored is fetched again: its timer asks.
pub(super) fn ask(
    desk: Option<&Arc<dyn AccountDesk>>,
    partition: &Rc<Partition<ChargingFamily>>,
    key: &Key,
    account: AccountRef,
    request: AccountRequest,
) {
    let cause: Box<str> = request.cause().into();
    let (desk, partition, key) = (desk.cloned(), Rc::clone(partition), *key);
    if desk.is_none() {
        tracing::error!(partner = %account.partner, %cause, "an account was asked, and none are kept here");
    }
    actix_rt::spawn(async move {
        let outcome = match desk {
            Some(desk) => desk.ask(&account, request).await,
            None => AccountOutcome::Unavailable,
        };
        let answered = Command::AccountAnswered { cause: cause.clone(), outcome };
        if let Err(error) = partition.submit(key, answered).await {
            tracing::warn!(%key, %cause, ?error, "an account's answer could not be stored; it is asked again");
        }
    });
}

/// The accounts that this process keeps.
#[derive(Debug, Clone)]
pub struct OwnAccounts(pub Accounts);

impl OwnAccounts {
    /// Says whose account it is before something is booked there that its partner has to be told of: a card may come from a
    /// user whose first top-up is still to come. Tried again with the request it goes before.
    async fn open(&self, account: &AccountRef, request: &AccountRequest) {
        let told = matches!(request, AccountRequest::Charge { .. } | AccountRequest::NoteFailedStart { .. });
        let Some(sealed) = account.sealed.clone().filter(|_| told) else { return };
        let Ok(cause) = "open".parse() else { return };
        if self.0.read(&account.user, |state| state.owner.is_some()).await == Some(false) {
            let owner = Owner { partner: account.partner.clone(), sealed };
            if let Err(refusal) = self.0.ask(&account.user, Request::new(cause, Action::Open(owner))).await {
                tracing::warn!(partner = %account.partner, %refusal, "an account could not be given its owner");
            }
        }
    }
}

impl AccountDesk for OwnAccounts {
    fn ask<'a>(&'a self, account: &'a AccountRef, request: AccountRequest) -> BoxFuture<'a, AccountOutcome> {
        Box::pin(async move {
            let cause: Box<str> = request.cause().into();
            let asked = request.clone();
            let request = match books::request(request) {
                Ok(request) => request,
                Err(error) => {
                    tracing::error!(%cause, %error, "an account was asked by a name that is none");
                    return AccountOutcome::Refused("account_defect".into());
                }
            };
            self.open(account, &asked).await;
            match self.0.ask(&account.user, request).await {
                Ok(outcome) => books::outcome(&outcome),
                Err(Refusal::Rejected(rejection)) => {
                    tracing::warn!(%cause, %rejection, "an account refused for good");
                    books::refusal(&rejection)
                }
                Err(refusal) => {
                    tracing::debug!(%cause, %refusal, "an account could not be asked now");
                    AccountOutcome::Unavailable
                }
            }
        })
    }
}

/// Brings the news that a debt is paid to its order.
pub struct OrdersHear {
    journal: SharedJournal,
    chargers: OnceLock<HostAddr<ChargingFamily>>,
}

impl std::fmt::Debug for OrdersHear {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OrdersHear").finish_non_exhaustive()
    }
}

impl OrdersHear {
    /// Nobody can be told before [`OrdersHear::join`].
    pub fn new(journal: SharedJournal) -> Self {
        OrdersHear { journal, chargers: OnceLock::new() }
    }

    /// Where orders live.
    pub fn join(&self, chargers: HostAddr<ChargingFamily>) {
        // The first one stands: there is one.
        drop(self.chargers.set(chargers));
    }

    async fn tell(&self, name: &str) -> Result<(), String> {
        let Some(id) = name.strip_prefix("order/").and_then(|id| id.parse::<OrderId>().ok()) else { return Ok(()) };
        let row = self.journal.row("order", &id.to_string()).await.map_err(|error| error.to_string())?;
        let Some(row) = row else { return Ok(()) };
        let row: serde_json::Value = serde_json::from_slice(&row).map_err(|error| error.to_string())?;
        let charger = row["charger_id"].as_str().and_then(|id| id.parse::<ChargerId>().ok());
        let charger = charger.ok_or_else(|| format!("order {id} has no charger in its row"))?;
        let chargers = self.chargers.get().ok_or("the chargers are not there yet")?;
        let told = chargers.ask(charger.as_str(), Key::Order(id), order::Command::DebtSettled.into()).await;
        told.map(drop).map_err(|refusal| refusal.to_string())
    }
}

impl DebtListener for OrdersHear {
    fn settled<'a>(&'a self, _: &'a str, order: &'a ledger::OrderId) -> BoxFuture<'a, Result<(), String>> {
        Box::pin(self.tell(order.as_str()))
    }
}

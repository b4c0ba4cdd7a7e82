//! The door from a charger's partition to users' accounts: asks, and brings the answer back to whoever asked (MO-3). Owns no
//! balance, and remembers nothing: who asks does, and asks again.

use crate::actors::engine::Partition;
use crate::domain::charging::purse::{AccountOutcome, AccountRef, AccountRequest};
use crate::domain::charging::{ChargingFamily, Command, Key};
use futures_util::future::BoxFuture;
use std::rc::Rc;
use std::sync::Arc;

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

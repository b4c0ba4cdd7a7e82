//! What the server says of money once all is quiet. Owns the shapes of its answers as far as they are read.

use super::gateway::Gateway;
use crate::partner::PartnerClient;
use anyhow::{Context, bail};
use futures_util::{StreamExt, TryStreamExt, stream};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Questions at once.
const QUESTIONS: usize = 8;
/// Pages of one listing before it counts as endless.
const PAGES_MAX: usize = 10_000;

/// An amount.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Amount {
    /// Minor units.
    pub minor: i64,
}

/// An entry of a user's account.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Entry {
    /// What it was booked for.
    pub cause: String,
    /// What the user can spend more.
    pub available: Amount,
    /// What is frozen more.
    pub frozen: Amount,
    /// What is owed less.
    pub debt: Amount,
}

/// A user's account.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Account {
    /// What can be spent.
    pub available: Amount,
    /// What is frozen.
    pub frozen: Amount,
    /// What is owed.
    pub debt: Amount,
    /// Its entries, newest first.
    #[serde(default)]
    pub entries: Vec<Entry>,
}

/// A bill, as far as it is read.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Bill {
    /// All of it.
    pub total: Amount,
}

/// An order.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Order {
    /// Which.
    pub order_id: String,
    /// `charging` or `occupancy`.
    pub kind: String,
    /// SE-15.
    pub status: String,
    /// Of which session.
    pub session_id: String,
    /// Whose.
    #[serde(default)]
    pub user_id: String,
    /// The reservation that its session ended.
    #[serde(default)]
    pub reservation_id: Option<String>,
    /// Its bill.
    #[serde(default)]
    pub bill: Option<Bill>,
    /// What is to be paid.
    #[serde(default)]
    pub total: Option<Amount>,
    /// What was taken.
    pub taken: Amount,
    /// What is owed.
    pub debt: Amount,
    /// What was given back.
    pub refunded: Amount,
}

/// A reservation.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Reservation {
    /// Which.
    pub reservation_id: String,
    /// The idempotency key.
    #[serde(default)]
    pub request_id: Option<String>,
    /// Where.
    pub charger_id: String,
    /// Where.
    pub connector_id: u16,
    /// Whose.
    #[serde(default)]
    pub user_id: String,
    /// SE-15.
    pub status: String,
    /// From when on.
    pub created_at: String,
    /// Until when it was promised.
    #[serde(default)]
    pub until: Option<String>,
    /// Until when.
    #[serde(default)]
    pub ended_at: Option<String>,
    /// What its end has cost.
    #[serde(default)]
    pub fee: Option<Amount>,
    /// The session that it became.
    #[serde(default)]
    pub session_id: Option<String>,
}

/// All of it.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Books {
    /// By the user's name.
    pub accounts: BTreeMap<String, Account>,
    /// All orders of these users.
    pub orders: Vec<Order>,
    /// All their reservations.
    pub reservations: Vec<Reservation>,
    /// The transactions that the gateway was told to take back.
    pub refunded: BTreeSet<String>,
}

async fn listed(partner: &PartnerClient, path: &str) -> anyhow::Result<Vec<Value>> {
    let (mut all, mut cursor) = (Vec::new(), String::new());
    for _ in 0..PAGES_MAX {
        let page = partner.get(&format!("{path}?limit=100{cursor}")).await?.with_context(|| path.to_owned())?;
        all.extend(page["items"].as_array().cloned().unwrap_or_default());
        match page["next"].as_str() {
            Some(next) => cursor = format!("&cursor={}", next.replace('/', "%2F")),
            None => return Ok(all),
        }
    }
    bail!("the list {path} does not end")
}

async fn account(partner: &PartnerClient, user: &str) -> anyhow::Result<(String, Account)> {
    let shown = partner.get(&format!("/users/{user}/account")).await?.context("no account")?;
    let mut account: Account = serde_json::from_value(shown).context("account")?;
    let entries = listed(partner, &format!("/users/{user}/entries")).await?;
    account.entries = serde_json::from_value(Value::Array(entries)).context("entries")?;
    Ok((user.to_owned(), account))
}

async fn order(partner: &PartnerClient, listed: Value) -> anyhow::Result<Order> {
    let id = listed["order_id"].as_str().context("an order without an id")?;
    let shown = partner.get(&format!("/orders/{id}")).await?.context("a listed order is not there")?;
    serde_json::from_value(shown).context("order")
}

/// Asks for everything.
///
/// # Errors
/// When the server does not answer, or not as documented.
pub(super) async fn collect(partner: &PartnerClient, users: &[String], gateway: &Gateway) -> anyhow::Result<Books> {
    let accounts = stream::iter(users.iter().map(|user| account(partner, user)));
    let orders = stream::iter(listed(partner, "/orders").await?.into_iter().map(|it| order(partner, it)));
    let reservations = listed(partner, "/reservations").await?;
    Ok(Books {
        accounts: accounts.buffered(QUESTIONS).try_collect().await?,
        orders: orders.buffered(QUESTIONS).try_collect().await?,
        reservations: serde_json::from_value(Value::Array(reservations)).context("reservations")?,
        refunded: gateway.refunded(),
    })
}

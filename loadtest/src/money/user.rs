//! The life of one user with an account: pays, charges, reserves, comes or does not. Owns the choices and the history of what was
//! asked; never judges.

use super::Town;
use super::gateway::Payment;
use super::moments::Moment;
use super::record::{Ask, MoneyRecord};
use crate::fleet::World;
use anyhow::Context;
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// Below this the user tops up.
const LOW: i64 = 600;
/// How long the outcome of a start or a reservation is waited for before the user does something else.
const OUTCOME_MAX: Duration = Duration::from_secs(20);
/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// One user.
pub(super) struct User<'a> {
    pub(super) town: &'a Town,
    pub(super) world: &'a World,
    pub(super) name: String,
    rng: SmallRng,
    asked: u64,
}

impl<'a> User<'a> {
    pub(super) fn new(town: &'a Town, world: &'a World, n: usize, seed: u64) -> Self {
        let rng = SmallRng::seed_from_u64(seed.wrapping_mul(7_919).wrapping_add(n as u64));
        User { town, world, name: format!("payer-{n}"), rng, asked: 0 }
    }

    /// Until the load ends. What goes wrong on the way is in the history; the next thing is tried all the same.
    pub(super) async fn live(mut self, mut stop: watch::Receiver<bool>) {
        while !*stop.borrow() {
            if let Err(error) = self.act().await {
                tracing::debug!(user = %self.name, %error, "something could not be done");
            }
            let pause = Duration::from_millis(self.rng.random_range(50..500));
            // Either way it is time for the next look.
            let _ = tokio::time::timeout(pause, stop.changed()).await;
        }
    }

    async fn act(&mut self) -> anyhow::Result<()> {
        let path = format!("/users/{}/account", self.name);
        let account = self.town.partner.get(&path).await?.context("no account")?;
        let available = account["available"]["minor"].as_i64().unwrap_or(0);
        if available < LOW {
            return self.top_up().await;
        }
        match self.rng.random_range(0..100) {
            0..20 => self.top_up().await,
            20..55 => self.charge(None).await.map(drop),
            _ => self.reserve().await,
        }
    }

    fn request_id(&mut self) -> String {
        self.asked += 1;
        format!("{}-{}-{}", self.town.run, self.name, self.asked)
    }

    /// A write under a name of its own, repeated until an answer binds: what it made, if it was taken.
    async fn ask(&mut self, ask: Ask, path: &str, mut body: Value) -> anyhow::Result<Option<String>> {
        let request_id = self.request_id();
        body["request_id"] = request_id.clone().into();
        let history = &self.town.history;
        history.write(MoneyRecord::Asked { ask, request_id: request_id.clone(), user: self.name.clone() });
        let (http, answer) = match self.town.partner.post(path, &body).await {
            Ok(answered) => answered,
            Err(error) => {
                history.write(MoneyRecord::Unknown { ask, request_id, reason: format!("{error:#}") });
                return Err(error);
            }
        };
        let taken = (200..300).contains(&http);
        let names = ["session_id", "reservation_id", "top_up_id", "order_id"];
        let id = names.iter().find_map(|name| answer[*name].as_str()).filter(|_| taken).map(str::to_owned);
        let code = answer["error"]["code"].as_str().map(str::to_owned);
        history.write(MoneyRecord::Answered { ask, request_id, http, id: id.clone(), code });
        Ok(id)
    }

    async fn top_up(&mut self) -> anyhow::Result<()> {
        let minor = self.rng.random_range(300..=1_500);
        let path = format!("/users/{}/top-ups", self.name);
        let body = json!({"amount": {"minor": minor, "currency": "CNY"}});
        let Some(top_up_id) = self.ask(Ask::TopUp, &path, body).await? else { return Ok(()) };
        let silent = self.rng.random_ratio(1, 8);
        self.pay(&top_up_id, minor, false, silent).await;
        if !silent && self.rng.random_ratio(1, 8) {
            self.pay(&top_up_id, minor, true, false).await;
        }
        let path = format!("{path}/{top_up_id}");
        self.until(&path, |top_up| top_up["state"] == "paid").await.map(drop)
    }

    /// The user pays, and the gateway says so: sometimes twice, sometimes to nobody.
    async fn pay(&mut self, top_up_id: &str, minor: i64, second: bool, silent: bool) {
        let transaction = format!("T-{}", self.request_id());
        let payment = Payment { top_up_id: top_up_id.to_owned(), transaction: transaction.clone(), minor };
        let (user, top_up_id) = (self.name.clone(), top_up_id.to_owned());
        self.town.history.write(MoneyRecord::Paid { user, top_up_id, transaction, minor, second, silent });
        self.town.gateway.pay(&payment);
        if silent {
            return;
        }
        for _ in 0..self.rng.random_range(1..=3) {
            let (gateway, moments) = (&self.town.gateway, &self.town.moments);
            gateway.tell(&self.town.callback_url, &payment, moments, &self.town.history).await;
        }
    }

    /// Reads until it is so, for a while; `None` when it is not so in time.
    async fn until(&self, path: &str, holds: impl Fn(&Value) -> bool) -> anyhow::Result<Option<Value>> {
        let begun = Instant::now();
        while begun.elapsed() < OUTCOME_MAX {
            let now = self.town.partner.get(path).await?;
            if now.as_ref().is_some_and(&holds) {
                return Ok(now);
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Ok(None)
    }

    /// A place that looks free.
    fn place(&mut self) -> anyhow::Result<Value> {
        let (charger, connector) = self.world.pick(&mut self.rng).context("no charger")?;
        Ok(json!({"charger_id": charger.identity(), "connector_id": connector, "user": {"id": self.name}}))
    }

    /// A session from its start to its order's end; the order, if one came of it.
    async fn charge(&mut self, reservation: Option<Value>) -> anyhow::Result<Option<Value>> {
        let (ask, body) = match reservation {
            Some(body) => (Ask::Arrive, body),
            None => (Ask::Start, self.place()?),
        };
        let (town, charger) = (self.town, body["charger_id"].as_str().unwrap_or_default().to_owned());
        let under_way = (ask == Ask::Arrive).then(|| town.moments.enter(Moment::Arrival));
        town.moments.mark(Moment::Freeze);
        let Some(id) = self.ask(ask, "/sessions", body).await? else { return Ok(None) };
        let path = format!("/sessions/{id}");
        let _charges = town.charges_at(&charger);
        let begun = self.until(&path, |session| session["status"] != "Starting").await?;
        drop(under_way);
        if begun.as_ref().is_some_and(|session| session["status"] == "Charging") {
            tokio::time::sleep(Duration::from_millis(self.rng.random_range(200..4_000))).await;
            if self.rng.random_ratio(1, 4) {
                let more = json!({"amount": self.rng.random_range(10..100)});
                self.ask(Ask::Extend, &format!("/orders/{id}/extend"), more).await?;
            }
            if self.rng.random_ratio(2, 3) {
                self.ask(Ask::Stop, &format!("/sessions/{id}/stop"), json!({})).await?;
            }
        }
        let over = ["Failed", "Paid", "Unpaid", "AwaitingPayment", "UnderReview"];
        self.until(&format!("/orders/{id}"), |order| over.iter().any(|status| order["status"] == *status)).await
    }

    async fn reserve(&mut self) -> anyhow::Result<()> {
        let body = self.place()?;
        self.town.moments.mark(Moment::Freeze);
        let Some(id) = self.ask(Ask::Reserve, "/reservations", body.clone()).await? else { return Ok(()) };
        let path = format!("/reservations/{id}");
        let held = self.until(&path, |it| it["status"] != "PendingPayment").await?;
        if held.is_none_or(|held| held["status"] != "Reserved") {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(self.rng.random_range(0..3_000))).await;
        match self.rng.random_range(0..10) {
            0..4 => {
                let mut arrival = body;
                arrival["reservation_id"] = id.into();
                self.charge(Some(arrival)).await.map(drop)
            }
            4..8 => {
                self.town.moments.mark(Moment::Release);
                self.ask(Ask::Cancel, &format!("{path}/cancel"), json!({})).await.map(drop)
            }
            8 => {
                self.town.moments.mark(Moment::Release);
                let complaint = json!({"kind": "occupied"});
                self.ask(Ask::Complain, &format!("{path}/complaint"), complaint).await.map(drop)
            }
            // The user does not come.
            _ => self.until(&path, |it| it["status"] != "Reserved").await.map(drop),
        }
    }
}

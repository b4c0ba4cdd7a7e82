//! Performs what the rules of a charger's partition decided: calls to the socket, alerts, and the register's follow-up.

use super::certificates::CertificateDesk;
use super::journey;
use super::purse::{self, AccountDesk};
use super::register::Register;
use crate::actors::alerts::{self, Alerts};
use crate::actors::engine::{Partition, Shell};
use crate::actors::partners::Partners;
use crate::actors::tariffs::Tariffs;
use crate::domain::charger::{self, Call, Outcome, SealedText, Told};
use crate::domain::charging::{ChargingFamily, Effect, Event, Key, Level, Policy, State};
use crate::domain::order;
use crate::domain::reservation;
use crate::gateway::{CloseReason, LinkError};
use crate::ids::{ChargerId, CommandId, PartnerId, SiteId};
use crate::persistence::StreamName;
use crate::persistence::vault::Vault;
use crate::protocol::ocpp16::neutral;
use crate::telemetry::metrics::{account as accounts, reservation as metrics};
use arc_swap::ArcSwap;
use secrecy::ExposeSecret as _;
use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// What the shell works with.
#[derive(Clone)]
pub struct ChargerParts {
    /// Chargers and their connections.
    pub register: Arc<Register>,
    /// Partners, for audiences and nudges.
    pub partners: Arc<Partners>,
    /// Operators.
    pub alerts: Alerts,
    /// Of the journal.
    pub epoch: u64,
    /// The present limits.
    pub policy: Arc<ArcSwap<Policy>>,
    /// Opens what is sealed of commands (OP-9), and new passwords.
    pub vault: Arc<Vault>,
    /// Who signs chargers' certificates; `None`: nobody.
    pub certificates: Option<Arc<dyn CertificateDesk>>,
    /// Who keeps users' accounts; `None`: nobody, and who asks waits.
    pub accounts: Option<Arc<dyn AccountDesk>>,
    /// What charging costs where.
    pub tariffs: Arc<Tariffs>,
}

/// The purpose under which personal text of commands is sealed.
pub const COMMAND_TEXTS: &str = "charger/command";

/// The purpose under which chargers' new passwords are sealed.
pub const CHARGER_KEYS: &str = "charger-key";

impl std::fmt::Debug for ChargerParts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let signer = self.certificates.is_some();
        f.debug_struct("ChargerParts").field("certificates", &signer).finish_non_exhaustive()
    }
}

/// The partners who are told of a site, and of which edition of the directory that is.
type Audience = (u64, Arc<[PartnerId]>);

/// The impure half of [`ChargingFamily`]. One an arbiter.
#[derive(Debug)]
pub struct ChargerShell {
    parts: ChargerParts,
    audiences: RefCell<HashMap<SiteId, Audience>>,
    account_partners: RefCell<Audience>,
    /// How many connectors each charger holds, where any.
    held: RefCell<HashMap<ChargerId, usize>>,
}

impl ChargerShell {
    /// A shell for one arbiter.
    pub fn new(parts: ChargerParts) -> Self {
        // Seen from the start, though nothing may ever be held.
        metrics::HELD.shift(0.0, []);
        ChargerShell {
            parts,
            audiences: RefCell::default(),
            account_partners: RefCell::default(),
            held: RefCell::default(),
        }
    }

    fn audience(&self, id: &ChargerId) -> Arc<[PartnerId]> {
        let Some(site) = self.parts.register.site(id) else { return Arc::default() };
        let edition = self.parts.partners.edition();
        let mut audiences = self.audiences.borrow_mut();
        match audiences.get(&site) {
            Some((of, audience)) if *of == edition => Arc::clone(audience),
            Some(_) | None => {
                let audience = self.parts.partners.audience(&site);
                audiences.insert(site, (edition, Arc::clone(&audience)));
                audience
            }
        }
    }

    /// The partners whose users have accounts, as of the present edition of the directory.
    fn account_partners(&self) -> Arc<[PartnerId]> {
        let edition = self.parts.partners.edition();
        let mut known = self.account_partners.borrow_mut();
        if known.0 != edition {
            let all = self.parts.partners.all();
            let first_party = all.iter().filter(|one| one.partner.profile.as_ref().is_some_and(|it| it.accounts));
            *known = (edition, first_party.map(|one| one.id.clone()).collect());
        }
        Arc::clone(&known.1)
    }

    fn send_call(
        &self,
        partition: &Rc<Partition<ChargingFamily>>,
        (id, generation): (CommandId, u64),
        call: &Call,
        timeout: Duration,
    ) {
        journey::sent(partition, id, call);
        let charger = partition.id().parse::<ChargerId>().ok();
        let link = charger.and_then(|charger| self.parts.register.link_of(&charger, generation));
        let command = match call {
            Call::SetAuthorizationKey { sealed } => self.open_key(sealed).map(|hex| neutral::authorization_key(&hex)),
            call => neutral::command(call, &|sealed| self.open(sealed)),
        };
        let outcome = match (command, link) {
            (Some(command), Some(link)) => {
                let sent = link.call(&id.to_string(), call.action(), &command.payload(), timeout);
                sent.err().map(|error| (Outcome::Offline, error.to_string()))
            }
            (Some(_), None) => Some((Outcome::Offline, LinkError::Closed.to_string())),
            (None, _) => {
                let description = "what was sealed of the command cannot be read back";
                let outcome = Outcome::CallError { code: "InternalError".into(), description: description.into() };
                Some((outcome, description.to_owned()))
            }
        };
        if let Some((outcome, error)) = outcome {
            tracing::debug!(stream = %partition.stream, command = %id, %error, "a command was not sent");
            let told = Told::Nothing;
            let answered = charger::Command::CommandAnswered { command_id: id, generation, outcome, told };
            let partition = Rc::clone(partition);
            // If it cannot be stored, the command's own time-out tells.
            actix_rt::spawn(async move { drop(partition.submit(Key::Charger, answered.into()).await) });
        }
    }

    /// Keeps the gauge of held connectors.
    fn count_holds(&self, id: &ChargerId, now: usize) {
        let mut held = self.held.borrow_mut();
        let before = held.get(id).copied().unwrap_or(0);
        if now != before {
            metrics::HELD.shift(now as f64 - before as f64, []);
            match now {
                0 => drop(held.remove(id)),
                _ => drop(held.insert(id.clone(), now)),
            }
        }
    }

    fn open(&self, sealed: &SealedText) -> Option<String> {
        let plain = self.parts.vault.unseal_secret(COMMAND_TEXTS, &sealed.0).ok()?;
        String::from_utf8(plain.expose_secret().to_vec()).ok()
    }

    /// A charger's new password as hex digits.
    fn open_key(&self, sealed: &str) -> Option<String> {
        match self.parts.vault.unseal_secret(CHARGER_KEYS, sealed) {
            Ok(key) => Some(hex::encode(key.expose_secret())),
            Err(error) => {
                tracing::error!(%error, "a charger's new password cannot be opened; register a password for it");
                None
            }
        }
    }

    /// Asks the signer, and tells the rules what it says.
    fn sign(&self, partition: &Rc<Partition<ChargingFamily>>, csr: Box<str>) {
        let (Some(desk), Ok(charger)) = (self.parts.certificates.clone(), partition.id().parse::<ChargerId>()) else {
            return;
        };
        let partition = Rc::clone(partition);
        actix_rt::spawn(async move {
            let outcome = desk.sign(&charger, &csr).await.map(Into::into).map_err(Into::into);
            let answered = charger::Command::CertificateAnswered { outcome };
            if let Err(error) = partition.submit(Key::Charger, answered.into()).await {
                tracing::warn!(%charger, ?error, "a signed certificate could not be stored; the charger has to ask again");
            }
        });
    }
}

/// Counts what became of a reservation.
fn count_state(event: &reservation::Event) {
    let state = match event {
        reservation::Event::Confirmed { .. } => "reserved",
        reservation::Event::Over(over) if over.cause.is_ours() => "charger_failed",
        reservation::Event::Over(over) => match over.status {
            reservation::Status::Failed => "failed",
            reservation::Status::Fulfilled => "fulfilled",
            reservation::Status::Cancelled => "cancelled",
            reservation::Status::NoShow => "no_show",
            reservation::Status::Disputed => "disputed",
            reservation::Status::PendingPayment | reservation::Status::Reserved => return,
        },
        reservation::Event::Placed(_)
        | reservation::Event::Arriving { .. }
        | reservation::Event::AccountAsked { .. }
        | reservation::Event::AccountAnswered { .. }
        | reservation::Event::WasDown { .. }
        | reservation::Event::Told { .. }
        | reservation::Event::Raised(_) => return,
    };
    metrics::STATES.add(1, [state]);
}

/// Counts what accounts are asked again.
fn count_repeat(event: &Event) {
    let request = match event {
        Event::Order(order::Event::Asked(asked)) if asked.tries > 1 => match asked.ask {
            order::Ask::Freeze => "freeze",
            order::Ask::Extend { .. } => "extend",
            order::Ask::Release => "release",
            order::Ask::Capture => "capture",
            order::Ask::Charge => "charge",
            order::Ask::Pay { .. } => "pay_debt",
            order::Ask::Refund { .. } => "refund",
            order::Ask::NoteFailure => "note_failed_start",
        },
        Event::Reservation(reservation::Event::AccountAsked { deposit, repeat: true, .. }) => match deposit {
            reservation::Deposit::Asked => "deposit",
            reservation::Deposit::Settling => "settle",
            reservation::Deposit::None | reservation::Deposit::Frozen => return,
        },
        Event::Order(_) | Event::Reservation(_) | Event::Session(_) | Event::Charger(_) => return,
    };
    accounts::ASKED_AGAIN.add(1, [request]);
}

impl Shell<ChargingFamily> for ChargerShell {
    fn perform(&self, partition: &Rc<Partition<ChargingFamily>>, key: &Key, effect: Effect) {
        match effect {
            Effect::SendCall { command_id, generation, call, timeout } => {
                self.send_call(partition, (command_id, generation), &call, timeout);
            }
            Effect::CloseLink { generation, why } => {
                let charger = partition.id().parse::<ChargerId>().ok();
                if let Some(link) = charger.and_then(|id| self.parts.register.link_of(&id, generation)) {
                    tracing::info!(stream = %partition.stream, why, "the connection is closed by order");
                    link.close(CloseReason::Ordered);
                }
            }
            Effect::SignCertificate { csr } => self.sign(partition, csr),
            Effect::AskAccount { account, request } => {
                metrics::ACCOUNT_ASKED.add(1, [request.name()]);
                purse::ask(self.parts.accounts.as_ref(), partition, key, account, request);
            }
            Effect::Alert(case) => {
                let level = match case.level {
                    Level::Info => "info",
                    Level::Warning => "warning",
                    Level::Critical => "critical",
                };
                alerts::announce(level, &case.code, &case.subject, &case.text);
            }
        }
    }

    fn refresh(&self, partition: &Partition<ChargingFamily>) {
        let Ok(id) = partition.id().parse::<ChargerId>() else { return };
        let audience = self.audience(&id);
        let site = self.parts.register.site(&id);
        let policy = self.parts.policy.load();
        let alone = if partition.has_quarantine() { partition.quarantine() } else { Vec::new() };
        let reservations = alone.iter().filter_map(|(key, _)| match key {
            Key::Reservation(id) => Some(*id),
            Key::Charger | Key::Session(_) | Key::Order(_) => None,
        });
        let orders = alone.iter().filter_map(|(key, _)| match key {
            Key::Order(id) => Some(*id),
            Key::Charger | Key::Session(_) | Key::Reservation(_) => None,
        });
        let orders = orders.collect();
        let reservations = reservations.collect();
        let quarantined = alone.iter().filter_map(|(key, _)| match key {
            Key::Session(id) => Some(*id),
            Key::Charger | Key::Reservation(_) | Key::Order(_) => None,
        });
        let quarantined = quarantined.collect();
        let (tariffs, account_partners) = (self.parts.tariffs.book(), self.account_partners());
        partition.ambient(|ambient| {
            if !Arc::ptr_eq(&ambient.policy, &policy) {
                ambient.policy = Arc::clone(&policy);
            }
            ambient.epoch = self.parts.epoch;
            ambient.site = site;
            ambient.audience = audience;
            ambient.quarantined = quarantined;
            ambient.quarantined_reservations = reservations;
            ambient.quarantined_orders = orders;
            ambient.tariffs = Some(tariffs);
            ambient.account_partners = account_partners;
            ambient.certificates = self.parts.certificates.is_some();
        });
    }

    fn applied(&self, partition: &Rc<Partition<ChargingFamily>>, _: &Key, state: &State) {
        let (Some(charger), Ok(id)) = (state.charger(), partition.id().parse::<ChargerId>()) else { return };
        self.count_holds(&id, charger.holds.len());
        if let Some(registration) = &charger.registration {
            self.parts.register.put(&id, registration);
        }
        if let Some(link) = self.parts.register.link(&id) {
            link.set_accepted(charger.is_accepted());
        }
    }

    fn recorded(&self, partition: &Rc<Partition<ChargingFamily>>, key: &Key, events: &[Event]) {
        for event in events {
            if let Event::Reservation(event) = event {
                count_state(event);
            }
            count_repeat(event);
        }
        journey::recorded(partition, key, events);
    }

    fn noticed(&self, partners: &BTreeSet<PartnerId>) {
        self.parts.partners.nudge(partners);
    }

    fn quarantined(&self, stream: &StreamName, key: &Key, cause: &str) {
        self.parts.alerts.raise(alerts::quarantined(stream, key, cause));
    }

    fn pinned(&self, partition: &Partition<ChargingFamily>) -> bool {
        partition.id().parse::<ChargerId>().is_ok_and(|id| self.parts.register.is_online(&id))
    }
}

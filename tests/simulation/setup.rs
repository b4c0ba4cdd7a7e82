//! What operators do: register chargers, partners and cards before the run, and act within it.

use crate::product::Product;
use crate::world::World;
use chargeline::actors::partners::PARTNER_SECRETS;
use chargeline::domain::charger::{self, BootPolicy, Call, Registration};
use chargeline::domain::charging::{Key, Reply};
use chargeline::domain::delivery::{PartnerCommand, PartnerKey, PartnerOrder, Profile, QueueCommand, QueueId, Sealed};
use chargeline::domain::platform::{self, PARTITION, Platform, Token, TokenStatus};
use chargeline::ids::{CommandId, ConnectorId, EndpointName};
use std::rc::Rc;
use std::time::Duration;

/// The text of a card.
pub(crate) fn card(n: usize) -> String {
    format!("CARD-{n:04}")
}

/// Registers everything. Nothing goes wrong while this runs.
pub(crate) async fn register(world: &Rc<World>, product: &Rc<Product>, config: &chargeline::config::Config) {
    for charger in &world.plan.chargers {
        let n = world.plan.chargers.iter().position(|it| std::ptr::eq(it, charger)).unwrap_or(0);
        let registration = Registration {
            site: "S-1".parse().expect("a good id"),
            connectors: u16::try_from(charger.len()).unwrap_or(1),
            boot: BootPolicy::Accepted,
            auth: "\"open\"".into(),
            profile: None,
            raising: None,
            rotation: None,
        };
        let command = charger::Command::Register(registration);
        let asked = product.chargers.ask(&format!("CP-{n}"), Key::Charger, command.into()).await;
        asked.expect("a charger can be registered");
    }
    for n in 0..world.plan.partners {
        let profile =
            Profile { name: format!("Partner {n}"), accounts: n == 0 && world.plan.paying, ..Profile::default() };
        let secret = product.vault.seal_secret(PARTNER_SECRETS, b"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
        let url = format!("https://partner-{n}.example/hook");
        let (name, secret) = (EndpointName::default_endpoint(), Some(Sealed(secret)));
        let endpoint = PartnerOrder::SetEndpoint { name, url, secret, wants: None, from: 0, new: true };
        for order in [PartnerOrder::Define(profile), endpoint] {
            let command = PartnerCommand::Partner(order);
            let asked = product.partners.ask(&format!("partner-{n}"), PartnerKey::Partner, command).await;
            asked.expect("a partner can be defined");
        }
    }
    if world.plan.paying {
        crate::money::publish(product, config).await;
        crate::money::pay(world, product, 20_000);
    }
    for n in 0..world.plan.cards {
        product.platform.ask(PARTITION, Platform, token(product, n, false)).await.expect("a card can be registered");
    }
}

fn token(product: &Product, n: usize, blocked: bool) -> platform::Command {
    let status = if blocked { TokenStatus::Blocked } else { TokenStatus::Accepted };
    let reference = product.tokens.reference(&card(n));
    platform::Command::PutToken(Token { reference, status, expires: None, partner: None, user: None })
}

/// Blocks or allows a card. An operator who hears nothing does not try again here.
pub(crate) fn put_card(product: &Rc<Product>, n: usize, blocked: bool) {
    let product = Rc::clone(product);
    actix_rt::spawn(async move {
        let command = token(&product, n, blocked);
        drop(product.platform.ask(PARTITION, Platform, command).await);
    });
}

/// Sends a charger a command; one that is taken must get a result (I12).
pub(crate) fn command(world: &Rc<World>, product: &Rc<Product>, n: usize) {
    let (world, product) = (Rc::clone(world), Rc::clone(product));
    let number = world.commands.borrow().len() as u64 + 1;
    let id = uuid::Uuid::from_u64_pair(
        0x0197_0000_0000_7000 + world.at_ms(),
        0x8000_0000_0000_0000 | number << 20 | n as u64,
    );
    actix_rt::spawn(async move {
        let unlock = Call::UnlockConnector { connector: ConnectorId(1) };
        let call = if number.is_multiple_of(2) { unlock } else { Call::ClearCache };
        let enqueue = charger::Command::Enqueue { command_id: CommandId(id), call, by: "ops".into() };
        let asked = product.chargers.ask(&format!("CP-{n}"), Key::Charger, enqueue.into()).await;
        match asked {
            Ok(Reply::Queued(id)) => {
                world.tell(format!("command {id} for CP-{n} is taken"));
                world.commands.borrow_mut().push((n, id.to_string()));
            }
            other => world.tell(format!("a command for CP-{n} is not taken: {other:?}")),
        }
    });
}

/// The actor of a charger panics four times: it is quarantined (RT-2).
pub(crate) fn poison(world: &Rc<World>, product: &Rc<Product>, n: usize) {
    let (world, product) = (Rc::clone(world), Rc::clone(product));
    world.poisoned.set(world.poisoned.get() + 1);
    actix_rt::spawn(async move {
        let Some(partition) = product.core.partition(&format!("CP-{n}")).await else { return };
        for _ in 0..4 {
            drop(partition.poison(Key::Charger).await);
        }
        if !partition.quarantine().is_empty() {
            world.count("a quarantine");
        }
    });
}

/// An operator puts a charger back to work.
pub(crate) fn release(world: &Rc<World>, product: &Rc<Product>, n: usize) {
    let (world, product) = (Rc::clone(world), Rc::clone(product));
    actix_rt::spawn(async move {
        loop {
            let Some(partition) = product.core.partition(&format!("CP-{n}")).await else { return };
            let held = partition.quarantine();
            let Some((key, _)) = held.into_iter().next() else { return };
            match partition.release(key).await {
                Ok(()) => world.count("a release from quarantine"),
                Err(why) => world.tell(format!("{key} of CP-{n} cannot be released: {why}")),
            }
            tokio::time::sleep(Duration::from_secs(10)).await;
        }
    });
}

/// An operator turns an endpoint on again that had answered 410.
pub(crate) async fn enable_endpoint(product: &Rc<Product>, n: usize) {
    let enable = || PartnerCommand::Partner(PartnerOrder::EnableEndpoint { queue: QueueId::MAIN });
    // One whose challenge nobody answered is asked again.
    let verify = || PartnerCommand::Queue(QueueCommand::Verify);
    let (partner, queue) = (format!("partner-{n}"), PartnerKey::Queue(QueueId::MAIN));
    for _ in 0..5 {
        let enabled = product.partners.ask(&partner, PartnerKey::Partner, enable()).await.is_ok();
        if enabled && product.partners.ask(&partner, queue, verify()).await.is_ok() {
            return;
        }
        tokio::time::sleep(Duration::from_secs(2)).await;
    }
}

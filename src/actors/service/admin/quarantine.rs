//! Entities that failed too often (RT-2): listed, released.

use crate::actors::engine::{HostAddr, HostCore};
use crate::actors::service::Service;
use crate::api::catalogue::Code;
use crate::api::port::Refusal;
use crate::domain::entity::Family;
use std::rc::Rc;

async fn of_family<F: Family>(door: &HostAddr<F>) -> Vec<serde_json::Value> {
    let mut all = Vec::new();
    for index in 0..door.arbiters() {
        let listed = door.run_on(index, |core: Rc<HostCore<F>>| async move {
            let partitions = core.all();
            let each = partitions.iter().flat_map(|partition| {
                let entities = partition.quarantine().into_iter();
                entities.map(|(key, cause)| (format!("{} {key}", partition.stream), cause))
            });
            each.collect::<Vec<_>>()
        });
        let listed = listed.await.unwrap_or_default();
        all.extend(listed.into_iter().map(|(entity, reason)| serde_json::json!({"entity": entity, "reason": reason})));
    }
    all
}

pub(in crate::actors::service) async fn list(service: &Service) -> Vec<serde_json::Value> {
    let mut all = of_family(&service.chargers).await;
    all.extend(of_family(&service.partners).await);
    all.extend(of_family(&service.platform).await);
    all.extend(of_family(&service.office).await);
    all
}

async fn release_in<F: Family>(door: &HostAddr<F>, entity: &str) -> Option<Result<(), String>> {
    for index in 0..door.arbiters() {
        let entity = entity.to_owned();
        let released = door.run_on(index, move |core: Rc<HostCore<F>>| async move {
            for partition in core.all() {
                let named = |key: &F::Key| format!("{} {key}", partition.stream) == entity;
                let found = partition.quarantine().into_iter().find(|(key, _)| named(key));
                if let Some((key, _)) = found {
                    return Some(partition.release(key).await);
                }
            }
            None
        });
        if let Some(outcome) = released.await.flatten() {
            return Some(outcome);
        }
    }
    None
}

pub(in crate::actors::service) async fn release(service: &Service, entity: &str) -> Result<(), Refusal> {
    let outcome = match release_in(&service.chargers, entity).await {
        Some(outcome) => Some(outcome),
        None => match release_in(&service.partners, entity).await {
            Some(outcome) => Some(outcome),
            None => match release_in(&service.platform, entity).await {
                Some(outcome) => Some(outcome),
                None => release_in(&service.office, entity).await,
            },
        },
    };
    match outcome {
        Some(Ok(())) => Ok(()),
        Some(Err(why)) => Err(Refusal::field("entity", why, "an entity whose records this build can fold")),
        None => Err(Code::NotFound.into()),
    }
}

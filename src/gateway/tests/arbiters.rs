//! Sockets on actix arbiters, as the product runs them: the stream changes the thread and its runtime before the upgrade.

use super::*;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

struct OnArbiters(Vec<actix_rt::ArbiterHandle>, Arc<Script>);

impl Placement for OnArbiters {
    fn place(&self, start: SocketStart) -> Result<(), SocketStart> {
        let mut hasher = DefaultHasher::new();
        start.charger().hash(&mut hasher);
        let n = usize::try_from(hasher.finish() % self.0.len() as u64).unwrap();
        let script = self.1.clone();
        self.0[n].spawn_fn(move || {
            actix_rt::spawn(start.run(Rc::new(FakePort(script))));
        });
        Ok(())
    }

    fn is_open(&self) -> bool {
        true
    }

    fn late(&self) -> Duration {
        Duration::ZERO
    }
}

#[test]
fn chargers_are_served_by_the_arbiter_that_they_belong_to() {
    actix_rt::System::new().block_on(async {
        let arbiters = [actix_rt::Arbiter::new(), actix_rt::Arbiter::new()];
        let handles = arbiters.iter().map(actix_rt::Arbiter::handle).collect();
        let rig = rig_on(|_| {}, None, ROOM, |script| Arc::new(OnArbiters(handles, script)));
        let mut chargers = Vec::new();
        for n in 0..20 {
            chargers.push(rig.charger(&format!("CP-{n}")).await);
        }
        for charger in &mut chargers {
            assert!(charger.ask(r#"[2,"1","Heartbeat",{}]"#).await.starts_with("[3,"));
            assert_eq!(charger.ask(r#"[2,"2","Authorize",{"idTag":"a"}]"#).await, r#"[3,"2",{}]"#);
        }
        // An arbiter that stops ends its sockets, and says so.
        arbiters.iter().for_each(|arbiter| assert!(arbiter.stop()));
        for charger in &mut chargers {
            assert_eq!(charger.next().await, Err(None));
        }
        for generation in 1..=20 {
            assert_eq!(rig.script.detached(generation).await, CloseReason::Aborted);
        }
        assert_eq!(rig.handle.connected(), 0);
    });
}

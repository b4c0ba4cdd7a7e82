//! The chargers: `loadtest`'s device, which shares no code with the product, at the end of a simulated line. Owns the mishaps of
//! the line and what the charger knows for certain of its transactions; never what the server thinks of them.

use crate::journal::Lie;
use crate::plan::{Mishap, Way};
use crate::product::Product;
use crate::world::World;
use futures_util::{SinkExt as _, StreamExt as _};
use loadtest::charger::{AtCharger, ChargerSpec, ChargerState, Device, Driver, Out, Profile, ResendId};
use loadtest::history::{ChargerRecord, FactKind};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::DuplexStream;
use tokio::sync::Notify;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::Role;

/// Commands that do harm when they are done twice.
const ONCE: [&str; 3] = ["RemoteStartTransaction", "Reset", "UnlockConnector"];

/// What a charger knows of one of its transactions.
#[derive(Debug, Default, Clone)]
pub(crate) struct Physical {
    pub(crate) connector: u16,
    pub(crate) meter_start: i64,
    pub(crate) meter_stop: Option<i64>,
    /// The server's ids for it: there must never be two.
    pub(crate) ids: BTreeSet<i64>,
    pub(crate) start_acked: bool,
    pub(crate) stop_acked: bool,
}

/// One charger, whatever becomes of the server.
pub(crate) struct Charger {
    pub(crate) id: String,
    pub(crate) device: Device,
    pub(crate) physical: BTreeMap<u64, Physical>,
    /// CALLs of the server by id: how often each arrived, by no mishap of ours.
    pub(crate) calls: BTreeMap<String, u32>,
    pub(crate) up: VecDeque<Mishap>,
    pub(crate) down: VecDeque<Mishap>,
    pub(crate) frozen_until: i64,
    /// Told when someone did something at it.
    pub(crate) poke: Rc<Notify>,
    /// StartTransactions by what they tell, to lie about them.
    starts: BTreeMap<String, u32>,
}

impl Charger {
    pub(crate) fn new(
        n: usize,
        scripts: &[loadtest::charger::Behaviour],
        new_ids: bool,
        seed: u64,
        now_ms: i64,
    ) -> Self {
        let id = format!("CP-{n}");
        let spec = ChargerSpec { scripts: scripts.to_vec(), ..ChargerSpec::normal(&id, None, scripts.len(), seed) };
        let profile = Profile {
            resend_id: if new_ids { ResendId::New } else { ResendId::Same },
            meter_interval: Duration::from_secs(30),
            time_scale: 1.0,
            driver: Driver { leaves_after_stop: Duration::from_secs(4), ..Driver::default() },
            ..Profile::towards("ws://simulated/ocpp")
        };
        let state = ChargerState::new(scripts.len(), 1_000.0 * (n as f64 + 1.0), now_ms);
        Charger {
            device: Device::new(spec, Arc::new(profile), state),
            id,
            physical: BTreeMap::new(),
            calls: BTreeMap::new(),
            up: VecDeque::new(),
            down: VecDeque::new(),
            frozen_until: 0,
            poke: Rc::default(),
            starts: BTreeMap::new(),
        }
    }

    /// Nothing is left to be told.
    pub(crate) fn is_whole(&self) -> bool {
        self.device.is_whole() && self.device.state().queue.is_empty()
    }
}

/// A frame as words.
fn told(text: &str) -> String {
    let value: serde_json::Value = serde_json::from_str(text).unwrap_or_default();
    match value[0].as_u64() {
        Some(2) => format!("{} ({}) {}", value[2].as_str().unwrap_or("?"), value[1].as_str().unwrap_or("?"), value[3]),
        Some(3) => format!("the answer to {}: {}", value[1].as_str().unwrap_or("?"), value[2]),
        _ => format!("the error {text}"),
    }
}

/// Takes in what the device wants to be written and told. `true`: it cuts its link.
fn take(world: &World, n: usize) -> (Vec<String>, bool) {
    let outs = world.chargers[n].borrow_mut().device.take_out();
    let (mut frames, mut cut) = (Vec::new(), false);
    for out in outs {
        match out {
            Out::Frame { text, .. } => frames.push(text),
            Out::Record(record) => note(world, n, &record),
            Out::Cut => cut = true,
            Out::TimedOut => world.count("an answer that did not come"),
            Out::Save | Out::Answered(_) | Out::Refused | Out::Booted | Out::Whole => {}
        }
    }
    (frames, cut)
}

/// Takes a record of the charger's own history, and holds the server to it (I1, I8).
fn note(world: &World, n: usize, record: &ChargerRecord) {
    let mut charger = world.chargers[n].borrow_mut();
    match record {
        ChargerRecord::Fact { connector, local, kind, meter_wh, .. } => {
            let known = charger.physical.entry(*local).or_default();
            known.connector = *connector;
            match kind {
                FactKind::Start => known.meter_start = *meter_wh,
                FactKind::Stop => known.meter_stop = Some(*meter_wh),
                FactKind::Meter => {}
            }
        }
        ChargerRecord::Acked { local, kind, transaction_id, .. } => {
            let taken =
                charger.physical.iter().find(|(other, known)| *other != local && known.ids.contains(transaction_id));
            let taken = taken.map(|(other, _)| *other);
            let id = charger.id.clone();
            let known = charger.physical.entry(*local).or_default();
            known.start_acked |= *kind == FactKind::Start;
            known.stop_acked |= *kind == FactKind::Stop;
            if *kind != FactKind::Start {
                return;
            }
            known.ids.insert(*transaction_id);
            let ids = known.ids.clone();
            drop(charger);
            if *transaction_id <= 0 || taken.is_some() {
                world.fail("I8", format!("{id} got transaction id {transaction_id} for two of its transactions"));
            }
            if ids.len() > 1 {
                world
                    .fail("I1", format!("{id} got the ids {ids:?} for one transaction: its repeat was not recognised"));
            }
        }
        ChargerRecord::Discarded { local, .. } => {
            let text =
                format!("{} gave up a message of its transaction {local}: it was refused again and again", charger.id);
            drop(charger);
            world.fail("I1", text);
        }
        _ => {}
    }
}

/// Someone does something at the charger.
pub(crate) fn at_charger(world: &World, n: usize, what: AtCharger) {
    let now = world.device_ms();
    let poke = {
        let mut charger = world.chargers[n].borrow_mut();
        charger.device.at_charger(what, now);
        Rc::clone(&charger.poke)
    };
    poke.notify_one();
}

/// A charger's life as long as the process lives: connects, speaks, and comes back.
pub(crate) async fn live(world: Rc<World>, product: Rc<Product>, n: usize) {
    let (id, poke) = {
        let charger = world.chargers[n].borrow();
        (charger.id.clone(), Rc::clone(&charger.poke))
    };
    let name = id.parse().expect("a good id");
    loop {
        let now = world.device_ms();
        let from = world.chargers[n].borrow().device.connects_from_ms();
        let wait = Duration::from_millis(u64::try_from((from - now).max(0)).unwrap_or(0) + 300 + 170 * n as u64);
        offline(&world, n, wait, &poke).await;
        let Some(line) = product.gateway.connect(&name) else {
            offline(&world, n, Duration::from_secs(5), &poke).await;
            continue;
        };
        world.tell(format!("{id} connects"));
        let why = serve(&world, n, line, &poke).await;
        world.tell(format!("{id} is disconnected: {why}"));
        let now = world.device_ms();
        world.chargers[n].borrow_mut().device.disconnected(why, now);
        take(&world, n);
    }
}

/// Time passes without a link.
async fn offline(world: &World, n: usize, wait: Duration, poke: &Notify) {
    let until = tokio::time::Instant::now() + wait;
    while tokio::time::Instant::now() < until {
        let now = world.device_ms();
        world.chargers[n].borrow_mut().device.tick(now);
        take(world, n);
        let due = world.chargers[n].borrow().device.next_due_ms(now).max(now + 1);
        let due = Duration::from_millis(u64::try_from(due - now).unwrap_or(1)).min(wait);
        tokio::select! {
            biased;
            () = poke.notified() => {}
            () = tokio::time::sleep(due) => {}
            () = tokio::time::sleep_until(until) => {}
        }
    }
}

struct Line {
    ws: WebSocketStream<DuplexStream>,
    held_up: Option<String>,
    held_down: Option<String>,
}

async fn serve(world: &Rc<World>, n: usize, line: DuplexStream, poke: &Notify) -> &'static str {
    let ws = WebSocketStream::from_raw_socket(line, Role::Client, None).await;
    let mut line = Line { ws, held_up: None, held_down: None };
    let now = world.device_ms();
    world.chargers[n].borrow_mut().device.connected(now);
    loop {
        let (frames, cut) = take(world, n);
        for text in frames {
            if !line.say(world, n, text).await {
                return "the link broke";
            }
        }
        if cut {
            return "it dropped the link";
        }
        let now = world.device_ms();
        let frozen = world.chargers[n].borrow().frozen_until - now;
        if frozen > 0 {
            tokio::time::sleep(Duration::from_millis(frozen.unsigned_abs())).await;
        }
        let now = world.device_ms();
        let due = world.chargers[n].borrow().device.next_due_ms(now).clamp(now + 1, now + 3_600_000);
        let due = Duration::from_millis((due - now).unsigned_abs());
        tokio::select! {
            biased;
            () = poke.notified() => {}
            message = line.ws.next() => match message {
                Some(Ok(Message::Text(text))) => line.hear(world, n, text.to_string()).await,
                Some(Ok(Message::Close(_))) | None | Some(Err(_)) => return "the server closed it",
                Some(Ok(_)) => {}
            },
            () = tokio::time::sleep(due) => {}
        }
        let now = world.device_ms();
        world.chargers[n].borrow_mut().device.tick(now);
    }
}

impl Line {
    /// Writes a frame, if nothing happens to it. `false`: the line has gone.
    async fn say(&mut self, world: &World, n: usize, text: String) -> bool {
        let (id, mishap) = {
            let mut charger = world.chargers[n].borrow_mut();
            (charger.id.clone(), charger.up.pop_front())
        };
        let text = lied(world, n, text);
        let mut copies = vec![text.clone()];
        match mishap {
            None => {}
            Some(Mishap::Lost) => copies.clear(),
            Some(Mishap::Doubled) => copies.push(text.clone()),
            Some(Mishap::Delayed(ms)) => tokio::time::sleep(Duration::from_millis(ms.into())).await,
            Some(Mishap::Swapped) if self.held_up.is_none() => {
                copies.clear();
                self.held_up = Some(text.clone());
            }
            Some(Mishap::Swapped) => {}
        }
        let fate = mishap.map_or(String::new(), |mishap| format!(" [{mishap:?}]"));
        world.tell(format!("{id} says {}{fate}", told(&text)));
        if let Some(mishap) = mishap {
            world.met(Way::Up, mishap);
        }
        if mishap != Some(Mishap::Swapped) {
            copies.extend(self.held_up.take());
        }
        for copy in copies {
            if self.ws.send(Message::text(copy)).await.is_err() {
                return false;
            }
        }
        true
    }

    async fn hear(&mut self, world: &World, n: usize, text: String) {
        let (id, mishap) = {
            let mut charger = world.chargers[n].borrow_mut();
            (charger.id.clone(), charger.down.pop_front())
        };
        let mut copies = vec![text.clone()];
        match mishap {
            None => {}
            Some(Mishap::Lost) => copies.clear(),
            Some(Mishap::Doubled) => copies.push(text.clone()),
            Some(Mishap::Delayed(ms)) => tokio::time::sleep(Duration::from_millis(ms.into())).await,
            Some(Mishap::Swapped) if self.held_down.is_none() => {
                copies.clear();
                self.held_down = Some(text.clone());
            }
            Some(Mishap::Swapped) => {}
        }
        let fate = mishap.map_or(String::new(), |mishap| format!(" [{mishap:?}]"));
        world.tell(format!("{id} is told {}{fate}", told(&text)));
        if let Some(mishap) = mishap {
            world.met(Way::Down, mishap);
        }
        if mishap != Some(Mishap::Swapped) {
            copies.extend(self.held_down.take());
        }
        self.sent_once(world, n, &text);
        let now = world.device_ms();
        for copy in copies {
            world.chargers[n].borrow_mut().device.frame(&copy, now);
        }
    }

    /// What may not be done twice goes out once, whatever becomes of it (I12). Other commands are sent again where a link or the
    /// process was lost with them.
    fn sent_once(&self, world: &World, n: usize, text: &str) {
        let value: serde_json::Value = serde_json::from_str(text).unwrap_or_default();
        let once = value[2].as_str().is_some_and(|action| ONCE.contains(&action));
        if value[0] != 2 || !once {
            return;
        }
        let call = value[1].as_str().unwrap_or_default().to_owned();
        let times = {
            let mut charger = world.chargers[n].borrow_mut();
            let times = charger.calls.entry(call.clone()).or_default();
            *times += 1;
            *times
        };
        if times > 1 {
            world.fail("I12", format!("CP-{n} got the command {call} {times} times"));
        }
    }
}

/// The lie of [`Lie::ForgetsRepeatedStarts`]: what would tell a repeat is changed on its way.
fn lied(world: &World, n: usize, text: String) -> String {
    if world.lie != Some(Lie::ForgetsRepeatedStarts) || !text.contains("\"StartTransaction\"") {
        return text;
    }
    let Ok(mut frame) = serde_json::from_str::<serde_json::Value>(&text) else { return text };
    let mut charger = world.chargers[n].borrow_mut();
    let times = charger.starts.entry(frame[3].to_string()).or_default();
    *times += 1;
    if *times > 1 {
        frame[3]["meterStart"] = (frame[3]["meterStart"].as_i64().unwrap_or(0) + i64::from(*times)).into();
        frame[3]["timestamp"] = loadtest::time::rfc3339(world.device_ms()).into();
    }
    frame.to_string()
}

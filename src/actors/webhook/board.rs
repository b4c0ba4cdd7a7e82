//! What is shown of all queues: depth, age, health. Owns the newest view of each queue that runs in this process, and the gauges
//! made of them; never a queue's state.

use crate::clock::Timestamp;
use crate::domain::delivery::{Disabled, Queue, QueueId, Unverified};
use crate::ids::PartnerId;
use crate::telemetry::metrics::webhook as metrics;
use dashmap::DashMap;
use serde::Serialize;

/// A queue as its driver last saw it (operator API, `GET /webhook`).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct QueueView {
    /// Events in memory that are not settled.
    pub depth: usize,
    /// The window is full: more are waiting in the journal.
    pub more: bool,
    /// When the oldest of them happened.
    pub oldest: Option<Timestamp>,
    /// Tries under way.
    pub in_flight: usize,
    /// Dead letters.
    pub dead: u64,
    /// Why nothing is sent.
    pub disabled: Option<Disabled>,
    /// Held back by a person.
    pub paused: bool,
    /// The URL has not proved itself yet.
    pub unverified: Option<Unverified>,
    /// Nowhere to send to.
    pub no_endpoint: bool,
    /// Failing tries among the newest, in percent.
    pub failing_percent: u8,
}

impl QueueView {
    /// Whether nothing is sent.
    pub fn is_stopped(&self) -> bool {
        self.paused || self.no_endpoint || self.unverified.is_some() || self.disabled.is_some()
    }
}

/// The views of all queues. One in the process, shared by drivers and APIs; bounded by the number of partners.
#[derive(Debug, Default)]
pub struct QueueBoard {
    views: DashMap<(PartnerId, QueueId), QueueView>,
    /// What the journal says of each: a driver hears of it a little later.
    noted: DashMap<(PartnerId, QueueId), Noted>,
}

/// What stops a queue, as journaled.
#[derive(Debug, Clone, Default)]
struct Noted {
    disabled: Option<Disabled>,
    paused: bool,
    unverified: Option<Unverified>,
}

impl QueueBoard {
    /// The newest view of a queue.
    pub fn view(&self, partner: &PartnerId, queue: QueueId) -> Option<QueueView> {
        let at = (partner.clone(), queue);
        let noted = self.noted.get(&at).map(|noted| noted.clone());
        let view = self.views.get(&at).map(|view| view.clone());
        match noted {
            Some(Noted { disabled, paused, unverified }) => {
                Some(QueueView { disabled, paused, unverified, ..view.unwrap_or_default() })
            }
            None => view,
        }
    }

    /// What the journal says of a queue now.
    pub fn note(&self, partner: &PartnerId, id: QueueId, queue: &Queue) {
        let at = (partner.clone(), id);
        if queue.retired {
            self.noted.remove(&at);
            return;
        }
        let (disabled, unverified) = (queue.disabled.clone(), queue.unverified.clone());
        self.noted.insert(at, Noted { disabled, paused: queue.paused, unverified });
    }

    /// All queues, for the operator.
    pub fn all(&self) -> Vec<(PartnerId, QueueId, QueueView)> {
        let mut all: Vec<_> =
            self.views.iter().map(|row| (row.key().0.clone(), row.key().1, row.value().clone())).collect();
        all.sort_by(|a, b| (&a.0, a.1).cmp(&(&b.0, b.1)));
        all
    }

    /// A driver's newest view.
    pub fn put(&self, partner: &PartnerId, queue: QueueId, view: QueueView) {
        self.views.insert((partner.clone(), queue), view);
    }

    /// A driver has ended.
    pub fn remove(&self, partner: &PartnerId, queue: QueueId) {
        self.views.remove(&(partner.clone(), queue));
    }

    /// Sets the gauges. Called at each scrape, or every few seconds.
    pub fn publish(&self, now: Timestamp) {
        let (mut depth, mut in_flight, mut dead, mut stopped, mut full) = (0, 0, 0, 0u32, 0u32);
        let mut unverified = 0u32;
        let mut oldest: Option<Timestamp> = None;
        for row in &self.views {
            let view = row.value();
            depth += view.depth;
            in_flight += view.in_flight;
            dead += view.dead;
            full += u32::from(view.more);
            stopped += u32::from(view.is_stopped());
            unverified += u32::from(view.unverified.is_some());
            if !view.is_stopped() {
                oldest = [oldest, view.oldest].into_iter().flatten().min();
            }
        }
        metrics::DEPTH.set(depth as f64, []);
        metrics::IN_FLIGHT.set(in_flight as f64, []);
        metrics::DEAD.set(dead as f64, []);
        metrics::STOPPED.set(f64::from(stopped), []);
        metrics::UNVERIFIED.set(f64::from(unverified), []);
        metrics::WINDOW_FULL.set(f64::from(full), []);
        metrics::OLDEST_SECONDS.set(oldest.map_or(0.0, |at| now.since(at).as_secs_f64()), []);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_board_shows_the_newest_view_of_each_queue_in_order() {
        let board = QueueBoard::default();
        let (a, b): (PartnerId, PartnerId) = ("a".parse().unwrap(), "b".parse().unwrap());
        let view = |depth| QueueView { depth, ..QueueView::default() };
        board.put(&b, QueueId::MAIN, view(1));
        board.put(&a, QueueId::MAIN, view(2));
        board.put(&b, QueueId::MAIN, view(3));
        let all = board.all();
        assert_eq!(all.iter().map(|(p, _, v)| (p.as_str(), v.depth)).collect::<Vec<_>>(), [("a", 2), ("b", 3)]);
        board.remove(&b, QueueId::MAIN);
        assert_eq!(board.view(&b, QueueId::MAIN), None);
        assert_eq!(board.view(&a, QueueId::MAIN).map(|v| v.depth), Some(2));
        // What the journal says counts before a driver has heard of it.
        board.note(&a, QueueId::MAIN, &Queue { paused: true, ..Queue::default() });
        assert_eq!(board.view(&a, QueueId::MAIN).map(|v| (v.depth, v.paused)), Some((2, true)));
        board.note(&a, QueueId::MAIN, &Queue { retired: true, ..Queue::default() });
        assert_eq!(board.view(&a, QueueId::MAIN).map(|v| v.paused), Some(false));
    }
}

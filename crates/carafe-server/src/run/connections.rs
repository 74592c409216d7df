//! The open connections, and which of them makes room for a new one.
//!
//! A connection is quiet while it has no request in hand: its first head has not arrived whole, or
//! it is kept alive between requests. At [`MAX_CONNECTIONS`] a new connection takes the place of
//! the one that has been quiet for longest. Where all are busy, it is taken into a reserve that
//! answers probes alone, so that a probe tells of the process and not of its clients. The reserve
//! is small and short-lived: it drops its own oldest connection for a new one. So a stranger must
//! open [`RESERVE`] connections between a probe's connection and its request to get in its way.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, watch};

use crate::metrics::ConnectionMetrics;

/// Connections that may have any request.
pub(super) const MAX_CONNECTIONS: usize = 1024;

/// Connections beyond those, for probes alone.
pub(super) const RESERVE: usize = 64;

/// All open connections; clones are the same ones.
#[derive(Clone)]
pub(super) struct Connections(Arc<Shared>);

struct Shared {
    open: Mutex<BTreeMap<u64, Arc<Activity>>>,
    /// Counts what happens, to tell older from newer.
    clock: AtomicU64,
    count: watch::Sender<usize>,
    metrics: ConnectionMetrics,
}

impl Connections {
    pub(super) fn new(metrics: ConnectionMetrics) -> Self {
        let (count, _) = watch::channel(0);
        Self(Arc::new(Shared { open: Mutex::default(), clock: AtomicU64::new(0), count, metrics }))
    }

    /// Takes in a new connection, and drops a quiet one if there are too many.
    pub(super) fn admit(&self) -> Admitted {
        let mut open = self.open();
        let reserved = open.values().filter(|activity| activity.reserved).count();
        let is_full = open.len() - reserved >= MAX_CONNECTIONS;
        let is_reserved = is_full && !self.make_room(&mut open);
        if is_reserved && reserved >= RESERVE {
            self.drop_oldest(&mut open, |it| it.reserved);
        }
        let id = self.tick();
        let activity = Arc::new(Activity::new(is_reserved, id));
        open.insert(id, activity.clone());
        self.publish(&open);
        Admitted { connections: self.clone(), id, activity }
    }

    /// Drops the connection that has been quiet for longest. One that is being closed in stages may
    /// still bring its answer to a client that sends, so it goes last.
    fn make_room(&self, open: &mut BTreeMap<u64, Arc<Activity>>) -> bool {
        let may_go = |it: &Activity| !it.reserved && it.is_quiet();
        self.drop_oldest(open, |it| may_go(it) && !it.lingers()) || self.drop_oldest(open, may_go)
    }

    /// Drops the connection that has been quiet for longest; whether there was one.
    pub(super) fn drop_oldest_quiet(&self) -> bool {
        self.drop_oldest(&mut self.open(), Activity::is_quiet)
    }

    /// Drops every quiet connection but those that are being closed in stages.
    pub(super) fn drop_all_quiet(&self) {
        let mut open = self.open();
        while self.drop_oldest(&mut open, |it| it.is_quiet() && !it.lingers()) {}
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.open().len()
    }

    /// Waits until none is open.
    pub(super) async fn all_closed(&self) {
        // The sender lives as long as `self`.
        let _ = self.0.count.subscribe().wait_for(|count| *count == 0).await;
    }

    fn drop_oldest(&self, open: &mut BTreeMap<u64, Arc<Activity>>, may_go: impl Fn(&Activity) -> bool) -> bool {
        let candidates = open.iter().filter(|(_, activity)| may_go(activity));
        let oldest = candidates.min_by_key(|(_, activity)| activity.since.load(Ordering::Relaxed)).map(|(id, _)| *id);
        let Some(activity) = oldest.and_then(|id| open.remove(&id)) else { return false };
        activity.dropped.store(true, Ordering::Relaxed);
        activity.wake.notify_one();
        self.0.metrics.dropped.inc();
        self.publish(open);
        true
    }

    fn open(&self) -> MutexGuard<'_, BTreeMap<u64, Arc<Activity>>> {
        self.0.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tick(&self) -> u64 {
        self.0.clock.fetch_add(1, Ordering::Relaxed)
    }

    fn publish(&self, open: &BTreeMap<u64, Arc<Activity>>) {
        self.0.metrics.open.set(open.len().cast_signed() as i64);
        self.0.count.send_replace(open.len());
    }
}

/// A connection's entry; dropping it takes the connection off the list.
pub(super) struct Admitted {
    connections: Connections,
    id: u64,
    activity: Arc<Activity>,
}

impl Admitted {
    /// What the connection is doing.
    pub(super) fn activity(&self) -> &Arc<Activity> {
        &self.activity
    }

    /// Counts a request in until the guard is dropped, with the answer's last byte handed over.
    pub(super) fn begin(connections: &Connections, activity: &Arc<Activity>) -> InHand {
        activity.in_hand.fetch_add(1, Ordering::Relaxed);
        InHand { connections: connections.clone(), activity: activity.clone(), body_ended: Arc::default() }
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        let mut open = self.connections.open();
        open.remove(&self.id);
        self.connections.publish(&open);
    }
}

/// What one connection is doing.
pub(super) struct Activity {
    reserved: bool,
    /// Requests whose answers have not been handed over whole.
    in_hand: AtomicUsize,
    /// Whether bytes were read that do not belong to a request that was read to its end.
    unread: AtomicBool,
    /// Whether a write waits for the client to read.
    blocked: AtomicBool,
    lingers: AtomicBool,
    /// When it became quiet, by the list's clock.
    since: AtomicU64,
    dropped: AtomicBool,
    wake: Notify,
}

impl Activity {
    fn new(reserved: bool, since: u64) -> Self {
        Self {
            reserved,
            in_hand: AtomicUsize::new(0),
            unread: AtomicBool::new(false),
            blocked: AtomicBool::new(false),
            lingers: AtomicBool::new(false),
            since: AtomicU64::new(since),
            dropped: AtomicBool::new(false),
            wake: Notify::new(),
        }
    }

    /// Whether only probes are answered.
    pub(super) fn is_reserved(&self) -> bool {
        self.reserved
    }

    /// Resolves when the connection must make room for another.
    pub(super) async fn wait_until_dropped(&self) {
        while !self.is_dropped() {
            self.wake.notified().await;
        }
    }

    pub(super) fn is_dropped(&self) -> bool {
        self.dropped.load(Ordering::Relaxed)
    }

    pub(super) fn note_read(&self) {
        self.unread.store(true, Ordering::Relaxed);
    }

    pub(super) fn note_blocked(&self, blocked: bool) {
        self.blocked.store(blocked, Ordering::Relaxed);
    }

    pub(super) fn note_lingering(&self) {
        self.lingers.store(true, Ordering::Relaxed);
    }

    /// Whether the client may still be sending something that nothing here will read.
    pub(super) fn has_unread(&self) -> bool {
        self.unread.load(Ordering::Relaxed)
    }

    fn lingers(&self) -> bool {
        self.lingers.load(Ordering::Relaxed)
    }

    fn is_quiet(&self) -> bool {
        self.in_hand.load(Ordering::Relaxed) == 0 && !self.blocked.load(Ordering::Relaxed)
    }
}

/// A request in hand.
pub(super) struct InHand {
    connections: Connections,
    activity: Arc<Activity>,
    body_ended: Arc<AtomicBool>,
}

impl InHand {
    /// To be set when the request's body has been read to its end.
    pub(super) fn body_ended(&self) -> &Arc<AtomicBool> {
        &self.body_ended
    }
}

impl Drop for InHand {
    fn drop(&mut self) {
        if self.body_ended.load(Ordering::Relaxed) {
            self.activity.unread.store(false, Ordering::Relaxed);
        }
        self.activity.since.store(self.connections.tick(), Ordering::Relaxed);
        self.activity.in_hand.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connections() -> Connections {
        Connections::new(ConnectionMetrics::default())
    }

    fn admit(connections: &Connections, count: usize) -> Vec<Admitted> {
        (0..count).map(|_| connections.admit()).collect()
    }

    #[test]
    fn a_new_connection_takes_the_place_of_the_one_that_has_been_quiet_for_longest() {
        let connections = connections();
        let first = admit(&connections, MAX_CONNECTIONS);
        let busy = Admitted::begin(&connections, first[0].activity());
        // It has just had a request, so it is the youngest.
        drop(Admitted::begin(&connections, first[1].activity()));
        let new = connections.admit();
        assert!(!new.activity().is_reserved());
        let dropped: Vec<usize> = (0..first.len()).filter(|index| first[*index].activity().is_dropped()).collect();
        assert_eq!((dropped, connections.count()), (vec![2], MAX_CONNECTIONS));
        drop(busy);
    }

    #[test]
    fn a_connection_that_is_being_closed_in_stages_goes_last() {
        let connections = connections();
        let first = admit(&connections, MAX_CONNECTIONS);
        first[0].activity().note_lingering();
        let others = admit(&connections, MAX_CONNECTIONS - 1);
        let dropped = |it: &Admitted| it.activity().is_dropped();
        assert!(!dropped(&first[0]) && first[1..].iter().all(dropped));
        let _busy: Vec<InHand> = others.iter().map(|it| Admitted::begin(&connections, it.activity())).collect();
        assert!(!connections.admit().activity().is_reserved() && dropped(&first[0]));
    }

    #[test]
    fn where_all_are_busy_the_reserve_takes_probes_and_drops_its_own_oldest() {
        let connections = connections();
        let first = admit(&connections, MAX_CONNECTIONS);
        let busy: Vec<InHand> = first.iter().map(|it| Admitted::begin(&connections, it.activity())).collect();
        let reserve = admit(&connections, RESERVE);
        assert!(reserve.iter().all(|it| it.activity().is_reserved() && !it.activity().is_dropped()));
        let last = connections.admit();
        assert!(last.activity().is_reserved() && reserve[0].activity().is_dropped());
        assert!(first.iter().all(|it| !it.activity().is_dropped()), "what works is left alone");
        drop((busy, reserve, last));
        drop(first);
        assert_eq!(connections.count(), 0);
    }
}

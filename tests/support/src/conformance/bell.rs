//! These are the conformance cases of the `Bell` port (notifications).

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use warmup::ports::{Bell, Notification};

/// The longest wait for a notification.
const PATIENCE: Duration = Duration::from_secs(30);

/// The notifications of one fleet.
#[async_trait]
pub trait BellWorld: Send + Sync {
    /// Returns the subscription of another worker.
    fn bell(&self) -> Arc<dyn Bell>;
}

/// Expands to a test of each case, in its own module.
#[macro_export]
macro_rules! bell_conformance {
    ($world:path) => {
        $crate::conformance_cases!(
            $crate::conformance::bell, $world,
            whoever_begins_to_listen_hears_of_orders_first
            a_ring_is_heard_by_everybody
            rings_come_in_order
        );
    };
}

/// Returns the next notification that `bell` receives.
pub async fn hears(bell: &dyn Bell) -> Notification {
    tokio::time::timeout(PATIENCE, bell.next()).await.expect("a ring is heard")
}

pub async fn whoever_begins_to_listen_hears_of_orders_first(world: &dyn BellWorld) {
    let bell = world.bell();
    bell.ring(Notification::Trigger).await.unwrap();
    assert_eq!(hears(&*bell).await, Notification::Ordered, "what was rung before is made up for by a look");
}

pub async fn a_ring_is_heard_by_everybody(world: &dyn BellWorld) {
    let (one, other) = (world.bell(), world.bell());
    assert_eq!((hears(&*one).await, hears(&*other).await), (Notification::Ordered, Notification::Ordered));
    one.ring(Notification::Trigger).await.unwrap();
    assert_eq!((hears(&*one).await, hears(&*other).await), (Notification::Trigger, Notification::Trigger));
}

pub async fn rings_come_in_order(world: &dyn BellWorld) {
    let (one, other) = (world.bell(), world.bell());
    hears(&*one).await;
    for ring in [Notification::Trigger, Notification::Ordered, Notification::Trigger] {
        other.ring(ring).await.unwrap();
    }
    assert_eq!(
        [hears(&*one).await, hears(&*one).await, hears(&*one).await],
        [Notification::Trigger, Notification::Ordered, Notification::Trigger]
    );
}

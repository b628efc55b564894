//! These are the conformance cases of the caps of single mail hosts.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{sync::Barrier, task::JoinSet};
use warmup::{
    domain::{
        caps::{CapLimits, HostCaps},
        hosts::{HostLimits, read},
    },
    ports::{CapKind, CapRequest, Caps, Grant, PortError},
};

use super::{ALICE, CapsWorld, SECOND, START, WIDE, filled};
use crate::asks;

/// The lifetime of a connection slot that is not returned.
const LASTS: Duration = Duration::from_secs(60);
const LASTS_MICROS: i64 = 60 * SECOND;

async fn limited(world: &dyn CapsWorld, lines: &str) -> Arc<dyn Caps> {
    let limits = HostLimits::with(read(lines).unwrap());
    world.limited_caps(WIDE, HostCaps::of(&limits, WIDE.burst, LASTS).unwrap()).await
}

/// Returns requests of one user to one host.
fn to(host: &str, mails: usize) -> Vec<CapRequest> {
    (0..mails).map(|_| asks::ask(ALICE, host)).collect()
}

/// Fills the buckets of a host up to `START`, two days after its first request, and lets unknown connections
/// end.
async fn host_filled(caps: &dyn Caps, host: &str) {
    let refused = caps.grant(Some(START - 48 * 3_600 * SECOND), &to(host, 1), &[]).await.unwrap();
    assert_ne!(refused, [Grant::Granted]);
}

fn granted(answers: &[Grant]) -> usize {
    answers.iter().filter(|grant| **grant == Grant::Granted).count()
}

pub async fn a_host_s_mails_take_from_each_of_its_rates(world: &dyn CapsWorld) {
    let one =
        [("minute", CapKind::HostMinute, 65), ("hour", CapKind::HostHour, 3_605), ("day", CapKind::HostDay, 86_405)];
    for (period, cap, seconds) in one {
        let caps = limited(world, &format!("a.org rate=1/{period}")).await;
        host_filled(&*caps, "a.org").await;
        let short = Grant::Refused { cap, wait: Duration::from_secs(seconds) };
        assert_eq!(caps.grant(Some(START), &to("a.org", 2), &[]).await.unwrap(), [Grant::Granted, short]);
        let promised = START + seconds as i64 * SECOND;
        assert_eq!(granted(&caps.grant(Some(promised - 1), &to("a.org", 1), &[]).await.unwrap()), 0);
        assert_eq!(granted(&caps.grant(Some(promised), &to("a.org", 1), &[]).await.unwrap()), 1);
    }
}

pub async fn a_refused_host_holds_up_nobody_else_and_takes_from_no_bucket(world: &dyn CapsWorld) {
    let limits = HostLimits::with(read("a.org rate=1/minute").unwrap());
    let hosts = HostCaps::of(&limits, 0.05, LASTS).unwrap();
    let caps = world.limited_caps(CapLimits { user_minute: 60, ..WIDE }, hosts).await;
    host_filled(&*caps, "a.org").await;
    let mails = [to("a.org", 4), to("b.org", 2)].concat();
    let answers = caps.grant(Some(START), &mails, &[]).await.unwrap();
    let cap = |answer: &Grant| match answer {
        Grant::Granted => None,
        Grant::Refused { cap, .. } => Some(*cap),
    };
    let host = Some(CapKind::HostMinute);
    assert_eq!(answers.iter().map(cap).collect::<Vec<_>>(), [None, host, host, host, None, None], "its user has three");
}

pub async fn a_host_that_nobody_limits_has_no_bucket(world: &dyn CapsWorld) {
    let caps = limited(world, "*.a.org rate=1/minute connections=1").await;
    filled(&*caps, &[ALICE], START).await;
    assert_eq!(granted(&caps.grant(Some(START), &to("a.org", 9), &[]).await.unwrap()), 9);
    assert!(!caps.counts_connections("a.org") && caps.counts_connections("x.a.org"));
    let answers = caps.grant(Some(START), &[to("x.a.org", 1), to("y.a.org", 1)].concat(), &[]).await.unwrap();
    assert_eq!(granted(&answers), 0, "each host has buckets of its own, and they are cold");
}

pub async fn no_more_connections_are_open_than_the_host_has(world: &dyn CapsWorld) {
    let caps = limited(world, "a.org connections=3").await;
    host_filled(&*caps, "a.org").await;
    let answers = caps.grant(Some(START), &to("a.org", 5), &[]).await.unwrap();
    let short = Grant::Refused { cap: CapKind::HostConnections, wait: LASTS };
    assert_eq!(answers, [Grant::Granted, Grant::Granted, Grant::Granted, short, short]);
    assert_eq!(granted(&caps.grant(Some(START + SECOND), &to("a.org", 5), &[]).await.unwrap()), 0);
}

pub async fn a_connection_ends_by_itself_at_its_time_and_not_before(world: &dyn CapsWorld) {
    let caps = limited(world, "a.org connections=1").await;
    host_filled(&*caps, "a.org").await;
    assert_eq!(granted(&caps.grant(Some(START), &to("a.org", 1), &[]).await.unwrap()), 1);
    let before = START + LASTS_MICROS - 1;
    assert_eq!(granted(&caps.grant(Some(before), &to("a.org", 1), &[]).await.unwrap()), 0);
    assert_eq!(granted(&caps.grant(Some(before + 1), &to("a.org", 1), &[]).await.unwrap()), 1);
}

pub async fn what_is_given_back_is_free_at_once_and_giving_back_is_repeatable(world: &dyn CapsWorld) {
    let caps = limited(world, "a.org connections=2").await;
    host_filled(&*caps, "a.org").await;
    let mails = to("a.org", 2);
    assert_eq!(granted(&caps.grant(Some(START), &mails, &[]).await.unwrap()), 2);
    let first = [mails[0].connection()];
    assert_eq!(caps.grant(Some(START + 1), &[], &first).await.unwrap(), []);
    assert_eq!(granted(&caps.grant(Some(START + 2), &to("a.org", 2), &first).await.unwrap()), 1);
    let elsewhere = [to("b.org", 1)[0].connection()];
    assert_eq!(granted(&caps.grant(Some(START + 3), &to("a.org", 2), &elsewhere).await.unwrap()), 0);
    let both = [mails[1].connection(), mails[1].connection()];
    assert_eq!(granted(&caps.grant(Some(START + 4), &to("a.org", 2), &both).await.unwrap()), 1);
}

pub async fn a_mail_that_is_refused_takes_no_connection(world: &dyn CapsWorld) {
    let caps = limited(world, "a.org connections=1 rate=1/hour").await;
    host_filled(&*caps, "a.org").await;
    let first = to("a.org", 1);
    assert_eq!(granted(&caps.grant(Some(START), &first, &[]).await.unwrap()), 1);
    let answers = caps.grant(Some(START), &to("a.org", 3), &[first[0].connection()]).await.unwrap();
    let wait = Duration::from_secs(3_605);
    assert_eq!(answers, [Grant::Refused { cap: CapKind::HostHour, wait }; 3]);
    let later = START + 3_605 * SECOND;
    assert_eq!(granted(&caps.grant(Some(later), &to("a.org", 3), &[]).await.unwrap()), 1, "it is free");
}

pub async fn after_a_loss_no_connection_is_granted_until_all_have_ended(world: &dyn CapsWorld) {
    let caps = limited(world, "a.org connections=5").await;
    host_filled(&*caps, "a.org").await;
    assert_eq!(granted(&caps.grant(Some(START), &to("a.org", 5), &[]).await.unwrap()), 5);
    world.lose().await;
    caps.grant(Some(START), &to("a.org", 1), &[]).await.unwrap();
    let before = START + LASTS_MICROS - 1;
    assert_eq!(granted(&caps.grant(Some(before), &to("a.org", 5), &[]).await.unwrap()), 0);
    assert_eq!(granted(&caps.grant(Some(before + 1), &to("a.org", 9), &[]).await.unwrap()), 5);
}

pub async fn a_lost_answer_leaves_connections_taken_that_can_be_given_back(world: &dyn CapsWorld) {
    let caps = limited(world, "a.org connections=2").await;
    host_filled(&*caps, "a.org").await;
    world.lose_next_answer().await;
    let mails = to("a.org", 2);
    let error = caps.grant(Some(START), &mails, &[]).await.unwrap_err();
    assert!(matches!(error, PortError::Unknown(_)), "{error:?}");
    world.mend().await;
    assert_eq!(granted(&caps.grant(Some(START), &to("a.org", 2), &[]).await.unwrap()), 0);
    let asked: Vec<_> = mails.iter().map(CapRequest::connection).collect();
    assert_eq!(granted(&caps.grant(Some(START), &to("a.org", 2), &asked).await.unwrap()), 2);
}

pub async fn racing_callers_never_open_too_many_connections(world: &dyn CapsWorld) {
    const MOST: usize = 3;
    const RACERS: usize = 8;
    let caps = limited(world, &format!("a.org connections={MOST}")).await;
    host_filled(&*caps, "a.org").await;
    let open = Arc::new(AtomicUsize::new(0));
    let turn_over = Arc::new(Barrier::new(RACERS));
    let race = |racer: usize| {
        let (caps, open, turn_over) = (caps.clone(), open.clone(), turn_over.clone());
        async move {
            let (mut most, mut held) = (0, Vec::new());
            for turn in 0..60 {
                // One instant for a whole turn: a racer behind the others' clocks is refused for this reason
                // alone. All turns are within a slot's lifetime, so that no slot expires.
                let now = START + turn as i64 * SECOND / 2;
                let mails = if (racer + turn).is_multiple_of(3) { Vec::new() } else { to("a.org", 2) };
                let answers = caps.grant(Some(now), &mails, &held).await.unwrap();
                let granted = mails.iter().zip(answers).filter(|(_, answer)| *answer == Grant::Granted);
                held = granted.map(|(mail, _)| mail.connection()).collect();
                open.fetch_add(held.len(), Ordering::SeqCst);
                turn_over.wait().await;
                most = most.max(open.load(Ordering::SeqCst));
                turn_over.wait().await;
                open.fetch_sub(held.len(), Ordering::SeqCst);
            }
            most
        }
    };
    let mut racers: JoinSet<_> = (0..RACERS).map(race).collect();
    let mut most = 0;
    while let Some(of_one) = racers.join_next().await {
        most = most.max(of_one.unwrap());
    }
    assert_eq!(most, MOST, "as many as the host has, which the first turn takes all, and never more");
}

//! These property tests check the statements about caps against arbitrary histories.

use proptest::prelude::*;

use super::*;

/// An event in the history of one bucket.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// This many requests at once.
    Ask(u32),
    /// This many requests, each at the instant that the last refusal promised: the highest rate that the
    /// bucket allows.
    Chase(u32),
    /// Thousandths of a window without a request.
    Idle(i64),
    /// An unnoticed step of the clock back, in thousandths of a window.
    Back(i64),
    /// A noticed step of the clock ahead, in thousandths of a window.
    Ahead(i64),
    /// A loss of the data.
    Lose,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (1u32..700).prop_map(Step::Ask),
        3 => (1u32..400).prop_map(Step::Chase),
        3 => (0i64..200).prop_map(Step::Idle),
        1 => (0i64..3_000).prop_map(Step::Idle),
        2 => (0i64..1_500).prop_map(Step::Back),
        1 => (100i64..3_000).prop_map(Step::Ahead),
        1 => Just(Step::Lose),
    ]
}

/// Plays a history on one bucket and returns the instants of its grants, by a clock that is never set.
fn instants(rate: Rate, period: Period, steps: &[Step]) -> Vec<i64> {
    // The service's clock is `offset` ahead of the clock that is never set.
    let (mut now, mut offset, mut bucket, mut granted) = (0, 0, Bucket::cold(0), Vec::new());
    let mut ask = |bucket: &mut Bucket, now: i64, offset: i64| {
        *bucket = bucket.filled(rate, now);
        let wait = bucket.wait(rate, now);
        if wait == 0 {
            bucket.take(rate);
            granted.push(now - offset);
        }
        wait
    };
    for step in steps {
        match *step {
            Step::Ask(times) => (0..times).for_each(|_| _ = ask(&mut bucket, now, offset)),
            Step::Chase(times) => (0..times).for_each(|_| now += ask(&mut bucket, now, offset)),
            Step::Idle(share) => now += share * period.micros() / 1_000,
            Step::Back(share) => {
                let by = share * period.micros() / 1_000;
                (now, offset) = (now - by, offset - by);
            }
            Step::Ahead(share) => {
                let by = share * period.micros() / 1_000;
                (now, offset) = (now + by, offset + by);
                bucket = Bucket::cold(now);
            }
            Step::Lose => bucket = Bucket::cold(now),
        }
    }
    granted
}

/// Returns the shortest time with `limit` + 1 grants, or `None` if there are fewer grants.
fn tightest(instants: &mut [i64], limit: u32) -> Option<i64> {
    instants.sort_unstable();
    instants.windows(limit as usize + 1).map(|run| run[run.len() - 1] - run[0]).min()
}

fn limit() -> impl Strategy<Value = u32> {
    prop_oneof![Just(0u32), Just(1), Just(2), Just(5), Just(200), Just(10_000), 0u32..300]
}

fn burst() -> impl Strategy<Value = f64> {
    prop_oneof![Just(0.05), Just(0.0), Just(1.0), 0.0f64..1.0]
}

fn period() -> impl Strategy<Value = Period> {
    prop_oneof![Just(Period::Hour), Just(Period::Minute)]
}

proptest! {
    #[test]
    fn no_rolling_window_ever_sees_more_than_the_limit(
        limit in limit(), period in period(), burst in burst(), steps in prop::collection::vec(step(), 1..60),
    ) {
        let rate = Rate::new(limit, period, burst).unwrap();
        let mut granted = instants(rate, period, &steps);
        if let Some(time) = tightest(&mut granted, limit) {
            prop_assert!(time >= period.micros() + SLACK_MICROS, "{} granted in {time} us", limit + 1);
        }
    }

    #[test]
    fn every_instant_before_the_promised_one_refuses_and_the_promised_one_grants(
        limit in 1u32..10_000, period in period(), burst in burst(),
        steps in prop::collection::vec(0i64..20_000_000, 0..20), back in 0i64..90_000_000, early in 0.0f64..1.0,
    ) {
        let rate = Rate::new(limit, period, burst).unwrap();
        let (mut now, mut bucket) = (0, Bucket::cold(0));
        for step in steps {
            now += step;
            bucket = bucket.filled(rate, now);
            if bucket.wait(rate, now) == 0 {
                bucket.take(rate);
            }
        }
        now -= back;
        let bucket = bucket.filled(rate, now);
        let wait = bucket.wait(rate, now);
        let promised = now + wait;
        prop_assert_eq!(bucket.filled(rate, promised).wait(rate, promised), 0);
        for before in [(wait as f64 * early) as i64, wait - 1] {
            if (0..wait).contains(&before) {
                let instant = now + before;
                prop_assert!(bucket.filled(rate, instant).wait(rate, instant) > 0);
            }
        }
    }
}

#[test]
fn an_undisturbed_minute_carries_at_least_85_percent_of_200() {
    let rate = Rate::new(200, Period::Minute, 0.05).unwrap();
    let granted = instants(rate, Period::Minute, &[Step::Chase(4_000)]);
    for minute in 0..9 {
        let start = minute * 60_000_000;
        let carried = granted.iter().filter(|at| (start..start + 60_000_000).contains(*at)).count();
        assert!(carried >= 170, "{carried} in minute {minute}");
    }
}

#[test]
fn limit_1_grants_one_a_window_and_0_none() {
    let period = Period::Minute;
    let history = [Step::Idle(20_000), Step::Chase(1_000)];
    let one = Rate::new(1, period, 0.05).unwrap();
    let granted = instants(one, period, &history);
    assert!(granted.len() > 400);
    assert!(granted.windows(2).all(|pair| pair[1] - pair[0] == 65_000_000));
    let none = Rate::new(0, period, 0.05).unwrap();
    assert!(instants(none, period, &history).is_empty());
}

#[test]
fn a_bucket_that_was_lost_holds_exactly_nothing() {
    let rate = Rate::new(200, Period::Minute, 0.05).unwrap();
    let granted = instants(rate, Period::Minute, &[Step::Idle(1_000), Step::Ask(20), Step::Lose, Step::Ask(20)]);
    assert_eq!(granted.len(), 10, "the full burst once, and nothing more after the loss");
}

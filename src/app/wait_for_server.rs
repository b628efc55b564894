//! `wait_until_available` waits for a server that is unavailable when a worker starts.
//!
//! It warns at once, then once a minute, and doubles the pause between two attempts up to ten seconds.

use std::{fmt::Display, time::Duration};

use crate::ports::Clock;

/// The pause after the first failed attempt; each further pause is twice as long, up to `LONGEST_REST`.
const FIRST_REST: Duration = Duration::from_millis(250);
const LONGEST_REST: Duration = Duration::from_secs(10);

/// The time between two warnings of a long wait.
const SAY_AGAIN: Duration = Duration::from_secs(60);

/// Repeats `ask` until it returns anything else than an error that `passes`.
pub(super) async fn wait_until_available<T, E: Display>(
    clock: &dyn Clock,
    server: &'static str,
    passes: impl Fn(&E) -> bool,
    ask: impl AsyncFn() -> Result<T, E>,
) -> Result<T, E> {
    let (mut rest, mut said) = (FIRST_REST, None);
    loop {
        match ask().await {
            Err(error) if passes(&error) => {
                let now = clock.machine();
                if said.is_none_or(|said| now.since(said) >= SAY_AGAIN) {
                    tracing::warn!(%error, "{server} is away: waiting for it");
                    said = Some(now);
                }
            }
            answer => {
                if said.is_some() && answer.is_ok() {
                    tracing::info!("{server} is there");
                }
                return answer;
            }
        }
        clock.sleep(rest).await;
        rest = (rest * 2).min(LONGEST_REST);
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::simulation::VirtualClock;

    #[tokio::test(start_paused = true)]
    async fn a_server_that_comes_back_is_noticed_within_the_longest_rest() {
        let clock = VirtualClock::starting_at(Default::default());
        let asked = Cell::new(0);
        let ask = async || {
            asked.set(asked.get() + 1);
            if clock.machine().0 < Duration::from_secs(3600) { Err("away") } else { Ok(()) }
        };
        wait_until_available(&clock, "it", |_| true, ask).await.unwrap();
        assert!(clock.machine().0 <= Duration::from_secs(3600) + LONGEST_REST);
        assert!((360..370).contains(&asked.get()), "{}", asked.get());
    }

    #[tokio::test(start_paused = true)]
    async fn what_will_not_pass_is_not_waited_for() {
        let clock = VirtualClock::starting_at(Default::default());
        let refused: Result<(), &str> = wait_until_available(&clock, "it", |_| false, async || Err("no")).await;
        assert_eq!((refused, clock.machine().0), (Err("no"), Duration::ZERO));
    }
}

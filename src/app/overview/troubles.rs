//! What holds up a part of the fleet, in sentences for `warmup status`: what it is, and what ends it.

use chrono::{DateTime, Utc};
use sqlx::PgPool;

use crate::adapters::postgres::view::{self, PausedPlace, RefusedResults};

/// Returns a sentence for each paused host and domain, and for results that the database refused.
pub(super) async fn troubles(pool: &PgPool, now: DateTime<Utc>) -> Result<Vec<String>, sqlx::Error> {
    let places = view::paused_places(pool, now).await?;
    let refused = view::refused_results(pool, now).await?;
    Ok(places.iter().map(|place| paused(place, now)).chain(refusals(refused)).collect())
}

fn paused(place: &PausedPlace, now: DateTime<Utc>) -> String {
    let PausedPlace { scope, key, reason, until, probing, returning } = place;
    let name = if scope == "host" { "mail host" } else { "domain" };
    let mut text = match *until > now {
        true => format!("{name} {key} is paused until {} ({reason})", until.format("%Y-%m-%d %H:%M UTC")),
        false => format!("{name} {key} lets nobody in ({reason}): one mailbox at a time tries"),
    };
    if *probing && *until > now {
        text += ", then one mailbox at a time tries";
    }
    match returning {
        0 => {}
        1 => text += "; 1 disabled mailbox returns when it lets one in",
        many => text += &format!("; {many} disabled mailboxes return when it lets one in"),
    }
    text + &format!(". To resume it now: `warmup mailbox resume --{scope} {key}`")
}

fn refusals(refused: RefusedResults) -> impl Iterator<Item = String> {
    let RefusedResults { reduced, stuck } = refused;
    let reduced = (reduced > 0).then(|| {
        format!(
            "results of the last 24 hours that were written without the mail host's words, because the database refused them: \
             {reduced}; `warmup events --kind result-reduced`"
        )
    });
    let stuck = (stuck > 0).then(|| {
        format!(
            "mails in flight for more than 15 minutes: {stuck}; the database refuses their results, or their worker is gone: its \
             log says which"
        )
    });
    [reduced, stuck].into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_paused_host_says_until_when_and_what_ends_it() {
        let now: DateTime<Utc> = "2026-11-24T12:00:00Z".parse().unwrap();
        let mut place = PausedPlace {
            scope: "host".into(),
            key: "mail.test".into(),
            reason: "auth-breaker".into(),
            until: now + chrono::TimeDelta::hours(1),
            probing: true,
            returning: 3,
        };
        assert_eq!(
            paused(&place, now),
            "mail host mail.test is paused until 2026-11-24 13:00 UTC (auth-breaker), then one mailbox at a time tries; \
             3 disabled mailboxes return when it lets one in. To resume it now: `warmup mailbox resume --host mail.test`"
        );
        (place.until, place.returning) = (now, 0);
        assert_eq!(
            paused(&place, now),
            "mail host mail.test lets nobody in (auth-breaker): one mailbox at a time tries. To resume it now: `warmup mailbox \
             resume --host mail.test`"
        );
    }

    #[test]
    fn a_fleet_without_refusals_says_nothing() {
        assert_eq!(refusals(RefusedResults::default()).count(), 0);
        assert_eq!(refusals(RefusedResults { reduced: 1, stuck: 2 }).count(), 2);
    }
}

//! `troubles` describes the problems of parts of the fleet for `warmup status`: the problem, and the way to end it.

use chrono::{DateTime, Utc};
use sqlx::PgPool;

use crate::{
    config::Settings,
    reporting::sql::{self, ExpiredGrants, HinderedWorker, PausedPlace, RefusedResults},
};

/// Returns a sentence for each worker that does not do its part or has a slow Postgres. Paused hosts and domains, and
/// results that the database refused, get sentences too.
pub(super) async fn troubles(
    pool: &PgPool,
    settings: &Settings,
    now: DateTime<Utc>,
) -> Result<Vec<String>, sqlx::Error> {
    let workers = sql::hindered_workers(pool, settings.lease_ttl).await?;
    let places = sql::paused_places(pool, now).await?;
    let refused = sql::refused_results(pool, now).await?;
    let expired = sql::expired_grants(pool).await?;
    let places = places.iter().map(|place| paused(place, now));
    Ok(workers.iter().map(hindered).chain(expired.iter().map(slowed)).chain(places).chain(refusals(refused)).collect())
}

fn hindered(worker: &HinderedWorker) -> String {
    let HinderedWorker { worker_id, state, beat_at, is_silent } = worker;
    let what = match state.as_str() {
        _ if *is_silent => {
            let at = beat_at.format("%Y-%m-%d %H:%M:%S UTC");
            return format!(
                "worker {worker_id} wrote its last heartbeat at {at}: it was killed, or it can't reach Postgres or Redis, or \
                 one of them refuses its credentials; its log and its /readyz say which"
            );
        }
        "clock-off" => {
            "takes no shards and closes no day, because its clock disagrees with Redis' or Postgres': check NTP on their \
             machines; its log says by how much"
        }
        "replaced" => "takes no shards, because another worker has its name: give each its own WARMUP_WORKER_ID",
        _ => "takes no shards, because its ticks failed in a row: its log says why, and it tries again by itself",
    };
    format!("worker {worker_id} {what}")
}

fn slowed(expired: &ExpiredGrants) -> String {
    let ExpiredGrants { worker_id, at } = expired;
    let at = at.format("%Y-%m-%d %H:%M:%S UTC");
    format!(
        "worker {worker_id} threw away what the caps had granted, last at {at}: Postgres took longer than 3 s to reserve. The \
         worker asks for fewer mails until Postgres is fast again: look at its load, its locks and its disk \
         (docs/RUNBOOK.md, WarmupGrantsExpired)"
    )
}

fn paused(place: &PausedPlace, now: DateTime<Utc>) -> String {
    let PausedPlace { scope, key, user, reason, until, probing, returning } = place;
    let name = if scope == "host" { "mail host" } else { "domain" };
    let whose = user.as_ref().map(|user| format!(" for {user}")).unwrap_or_default();
    let mut text = match (*until > now, user) {
        (true, _) => format!("{name} {key} is paused{whose} until {} ({reason})", until.format("%Y-%m-%d %H:%M UTC")),
        (false, None) => format!("{name} {key} lets nobody in ({reason}): one mailbox at a time tries"),
        (false, Some(user)) => {
            format!("{name} {key} lets no mailbox of {user} in ({reason}): one mailbox at a time tries")
        }
    };
    if *probing && *until > now {
        text += ", then one mailbox at a time tries";
    }
    match returning {
        0 => {}
        1 => text += "; 1 disabled mailbox returns when it lets one in",
        many => text += &format!("; {many} disabled mailboxes return when it lets one in"),
    }
    let command = match user {
        None => format!("mailbox resume --{scope} {key}"),
        Some(user) => format!("pause end --{scope} {key} --user {user}"),
    };
    text + &format!(". To resume it now: `warmup {command}`")
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
            user: None,
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
        let own = PausedPlace {
            scope: "domain".into(),
            key: "d.test".into(),
            user: Some("ann@x.test".into()),
            probing: false,
            returning: 0,
            ..place.clone()
        };
        assert_eq!(
            paused(&own, now),
            "domain d.test is paused for ann@x.test until 2026-11-24 13:00 UTC (auth-breaker). To resume it now: `warmup \
             pause end --domain d.test --user ann@x.test`"
        );
        let mut login =
            PausedPlace { key: "mail.test:587/starttls".into(), user: Some("ann@x.test".into()), ..place.clone() };
        assert_eq!(
            paused(&login, now),
            "mail host mail.test:587/starttls is paused for ann@x.test until 2026-11-24 13:00 UTC (auth-breaker), then one \
             mailbox at a time tries; 3 disabled mailboxes return when it lets one in. To resume it now: `warmup pause end \
             --host mail.test:587/starttls --user ann@x.test`"
        );
        login.until = now;
        assert!(paused(&login, now).starts_with("mail host mail.test:587/starttls lets no mailbox of ann@x.test in"));
        (place.until, place.returning) = (now, 0);
        assert_eq!(
            paused(&place, now),
            "mail host mail.test lets nobody in (auth-breaker): one mailbox at a time tries. To resume it now: `warmup mailbox \
             resume --host mail.test`"
        );
    }

    #[test]
    fn a_worker_that_takes_no_shards_says_why_and_a_silent_one_since_when() {
        let mut worker = HinderedWorker {
            worker_id: "w1".into(),
            state: "clock-off".into(),
            beat_at: "2026-11-24T12:00:00Z".parse().unwrap(),
            is_silent: false,
        };
        let mut says = |state: &str, is_silent| {
            (worker.state, worker.is_silent) = (state.to_owned(), is_silent);
            hindered(&worker)
        };
        assert!(says("clock-off", false).starts_with("worker w1 takes no shards and closes no day, because its clock"));
        assert!(says("replaced", false).ends_with("another worker has its name: give each its own WARMUP_WORKER_ID"));
        assert!(says("benched", false).contains("its ticks failed in a row"));
        assert!(
            says("running", true).starts_with("worker w1 wrote its last heartbeat at 2026-11-24 12:00:00 UTC: it was")
        );
    }

    #[test]
    fn a_fleet_without_refusals_says_nothing() {
        assert_eq!(refusals(RefusedResults::default()).count(), 0);
        assert_eq!(refusals(RefusedResults { reduced: 1, stuck: 2 }).count(), 2);
    }
}

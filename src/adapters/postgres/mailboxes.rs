//! `PostgresMailboxes` reads the input of a tick and rolls over the mailboxes' days.
//!
//! Each statement reads about as many rows as a worker has mailboxes, a few times an hour. Some of its tables fill and
//! roll over within minutes. So Postgres plans each statement for its actual values and the present tables; no plan is
//! cached.

mod rows;

use async_trait::async_trait;
use chrono::{DateTime, NaiveDate, Utc};
use sqlx::{PgPool, Row, postgres::PgRow};

use self::rows::{StringInterner, candidate, due_reply, member};
use super::{
    classify::classify,
    session::{Session, Statement},
};
use crate::{
    domain::{
        id::ShardId, pairing::RosterEntry, plan::Candidate, reply::DueReply, roster::REMADE_AT_ONE_IN, time::LocalDates,
    },
    ports::{PlanningStore, PortError, Roster},
};

/// The number of mailboxes whose days roll over in one statement and transaction, which takes some tenths of a second.
const TURNED_AT_ONCE: usize = 5_000;

/// The number of mailboxes in the first such statement. Before a fleet's first day the table is empty, so the planner
/// reads it from end to end for each mailbox; after this many rows it is too large for such a plan.
const TURNED_FIRST: usize = 500;

/// `PostgresMailboxes` reads the enrolled mailboxes.
#[derive(Clone, Debug)]
pub struct PostgresMailboxes {
    session: Session,
}

impl PostgresMailboxes {
    /// Creates a reader that works through `pool`.
    pub fn new(pool: PgPool) -> PostgresMailboxes {
        PostgresMailboxes { session: Session::new(pool) }
    }

    /// Returns the mailboxes of `shards` whose days may have to roll over, ordered by id. Each has an open earlier day,
    /// if any; a mailbox with several such days appears once per day.
    async fn unturned(&self, shards: &[ShardId], todays: &LocalDates) -> Result<Vec<Unturned>, PortError> {
        let shards = numbers(shards);
        let build = || {
            planned_anew(include_str!("sql/unturned.sql"))
                .bind(shards.clone())
                .bind(todays.zones.clone())
                .bind(todays.days.clone())
        };
        self.session.read(build, |row| unturned(&row).map_err(classify)).await
    }

    /// Rolls over the days of some mailboxes and returns the number of closed days.
    async fn turn(&self, some: &[Unturned], todays: &LocalDates, now: DateTime<Utc>) -> Result<u64, PortError> {
        let (ids, open): (Vec<i64>, Vec<Option<NaiveDate>>) = some.iter().copied().unzip();
        let build = || {
            planned_anew(include_str!("sql/turn_days.sql"))
                .bind(ids.clone())
                .bind(open.clone())
                .bind(todays.zones.clone())
                .bind(todays.days.clone())
                .bind(now)
        };
        let closed: i64 = self.session.row(build).await?.try_get(0).map_err(classify)?;
        Ok(closed.unsigned_abs())
    }

    /// Rebuilds the roster of `day` if it is outdated. Returns its version afterwards, or `Missing` if no worker has
    /// made the roster.
    async fn refresh_roster(&self, day: NaiveDate, now: DateTime<Utc>) -> Result<Standing, PortError> {
        let build = || planned_anew(REFRESH_ROSTER).bind(day).bind(now).bind(REMADE_AT_ONE_IN as i32);
        let row = self.session.row(build).await?;
        let (seen, made): (Option<i32>, Option<i32>) =
            (row.try_get(0).map_err(classify)?, row.try_get(1).map_err(classify)?);
        let outdated: bool = row.try_get(2).map_err(classify)?;
        Ok(match (made.or(seen), outdated && made.is_none()) {
            (None, _) => Standing::Missing,
            // Another worker rebuilt it first.
            (Some(_), true) => Standing::Newer,
            (Some(version), false) => Standing::At(version),
        })
    }

    /// Reads the roster of `day`, head and members in one snapshot.
    async fn read_roster(&self, day: NaiveDate) -> Result<Option<Roster>, PortError> {
        const READ: &str = "
            SELECT m.mailbox_id, m.user_id, m.domain, m.quota, m.verified, r.version
            FROM rosters r LEFT JOIN roster m ON m.day = r.day WHERE r.day = $1";
        let (mut words, mut version) = (StringInterner::default(), None);
        let read = |row: PgRow| {
            version = Some(row.try_get(5).map_err(classify)?);
            let is_empty = row.try_get::<Option<i64>, _>(0).map_err(classify)?.is_none();
            if is_empty { Ok(None) } else { member(&row, &mut words).map(Some) }
        };
        let rows = self.session.read(|| planned_anew(READ).bind(day), read).await?;
        let mut members: Vec<RosterEntry> = rows.into_iter().flatten().collect();
        members.sort_unstable_by(|a, b| (a.user, &a.domain, a.mailbox).cmp(&(b.user, &b.domain, b.mailbox)));
        Ok(version.map(|version| Roster { version, members }))
    }
}

#[async_trait]
impl PlanningStore for PostgresMailboxes {
    /// Rolls over the days in portions: if the call is cut short, the next tick finds the rest.
    async fn roll_over_days(
        &self,
        shards: &[ShardId],
        todays: &LocalDates,
        now: DateTime<Utc>,
    ) -> Result<u64, PortError> {
        let unturned = self.unturned(shards, todays).await?;
        if shards.is_empty() {
            // A call without shards only checks that the statements work.
            return self.turn(&unturned, todays, now).await;
        }
        let (mut rest, mut most, mut closed) = (&unturned[..], TURNED_FIRST, 0);
        while !rest.is_empty() {
            let some;
            (some, rest) = rest.split_at(whole_mailboxes(rest, most));
            closed += self.turn(some, todays, now).await?;
            most = TURNED_AT_ONCE;
        }
        Ok(closed)
    }

    async fn candidates(
        &self,
        shards: &[ShardId],
        todays: &LocalDates,
        now: DateTime<Utc>,
    ) -> Result<Vec<Candidate>, PortError> {
        let (shards, mut words) = (numbers(shards), StringInterner::default());
        let build = || {
            planned_anew(include_str!("sql/candidates.sql"))
                .bind(shards.clone())
                .bind(todays.zones.clone())
                .bind(todays.days.clone())
                .bind(now)
                .bind(todays.dates())
        };
        let mut candidates = self.session.read(build, |row| candidate(&row, todays, &mut words)).await?;
        candidates.sort_unstable_by_key(|candidate| candidate.id);
        Ok(candidates)
    }

    async fn due_replies(
        &self,
        shards: &[ShardId],
        now: DateTime<Utc>,
        before: DateTime<Utc>,
    ) -> Result<Vec<DueReply>, PortError> {
        let (shards, mut words) = (numbers(shards), StringInterner::default());
        let build = || planned_anew(include_str!("sql/due_replies.sql")).bind(shards.clone()).bind(now).bind(before);
        self.session.read(build, |row| due_reply(&row, &mut words)).await
    }

    async fn roster(
        &self,
        day: NaiveDate,
        now: DateTime<Utc>,
        known: Option<i32>,
    ) -> Result<Option<Roster>, PortError> {
        match self.refresh_roster(day, now).await? {
            Standing::At(version) if Some(version) == known => return Ok(None),
            Standing::At(_) | Standing::Newer => {}
            Standing::Missing => {
                self.session.rows(|| planned_anew(MAKE_ROSTER).bind(day).bind(now)).await?;
            }
        }
        self.read_roster(day).await
    }
}

/// The state of a roster after a refresh.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    Missing,
    /// This version is the newest.
    At(i32),
    /// Another worker made a newer version meanwhile.
    Newer,
}

const MAKE_ROSTER: &str = concat!(include_str!("sql/roster_members.sql"), include_str!("sql/make_roster.sql"));
const REFRESH_ROSTER: &str = concat!(include_str!("sql/roster_members.sql"), include_str!("sql/refresh_roster.sql"));

/// The id of a mailbox, and an open earlier day of it.
type Unturned = (i64, Option<NaiveDate>);

fn unturned(row: &PgRow) -> Result<Unturned, sqlx::Error> {
    Ok((row.try_get(0)?, row.try_get(1)?))
}

/// Returns the number of leading rows to take together: `most`, plus the other rows of the last mailbox, whose days
/// close together.
fn whole_mailboxes(rows: &[Unturned], most: usize) -> usize {
    let last = rows.get(most - 1).map(|last| last.0);
    rows.partition_point(|row| last.is_none_or(|last| row.0 <= last))
}

fn planned_anew(statement: &'static str) -> Statement {
    sqlx::query(statement).persistent(false)
}

fn numbers(shards: &[ShardId]) -> Vec<i32> {
    shards.iter().map(|shard| shard.0).collect()
}

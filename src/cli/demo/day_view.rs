//! `DayView` shows the progress of the day: drawn live on a terminal, or one line per tick in a pipe. It reads
//! only the database.

use std::{io::IsTerminal, sync::Arc, time::Duration};

use chrono::{DateTime, NaiveDate, NaiveTime, TimeDelta, Utc};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use sqlx::PgPool;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::{
    domain::{
        progress::PlannedShare,
        time::{Span, next_tick},
    },
    ports::Clock,
};

/// How often the terminal is drawn anew.
const FRAME: Duration = Duration::from_millis(150);

/// How many mailboxes that are behind are named.
const NAMED: usize = 4;

const QUARTER: TimeDelta = TimeDelta::minutes(15);

pub(super) struct DayView {
    closing: CancellationToken,
    task: JoinHandle<()>,
}

struct Show {
    database: PgPool,
    clock: Arc<dyn Clock>,
    day: NaiveDate,
    mailboxes: u16,
    quota: u16,
}

/// Where the day stands.
#[derive(Default)]
struct Standing {
    sent: u64,
    failed: u64,
    uncertain: u64,
    served: u64,
    behind: Vec<String>,
}

#[derive(sqlx::FromRow)]
struct Row {
    email: String,
    sent: i16,
    failed: i16,
    uncertain: i16,
}

impl DayView {
    /// Begins to show. It goes on until `close`.
    pub(super) fn open(database: PgPool, clock: Arc<dyn Clock>, day: NaiveDate, mailboxes: u16, quota: u16) -> DayView {
        let closing = CancellationToken::new();
        let show = Show { database, clock, day, mailboxes, quota };
        let live = std::io::stdout().is_terminal();
        let closed = closing.clone();
        let task = tokio::spawn(async move { if live { show.draw(closed).await } else { show.print(closed).await } });
        DayView { closing, task }
    }

    /// Shows the end and stops.
    pub(super) async fn close(self) {
        self.closing.cancel();
        let _ = self.task.await;
    }
}

impl Show {
    /// A line a tick.
    async fn print(&self, closing: CancellationToken) {
        loop {
            let tick = next_tick(self.clock.now(), QUARTER);
            let last = tokio::select! {
                biased;
                () = closing.cancelled() => true,
                () = self.clock.sleep_until(tick) => false,
            };
            let now = self.clock.now();
            let standing = self.standing(now).await;
            println!("{}  {}", now.format("%H:%M"), self.line(&standing));
            if last {
                return;
            }
        }
    }

    /// Bars for mailboxes and mails, the mails of each quarter of an hour, and who is behind.
    async fn draw(&self, closing: CancellationToken) {
        let all = MultiProgress::new();
        let bar = |len: u64, name: &str| {
            let style = ProgressStyle::with_template("{prefix:>7} {bar:40} {pos:>5}/{len}  {msg}");
            let bar = all.add(ProgressBar::new(len).with_prefix(name.to_owned()));
            bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
        };
        let line = || {
            all.add(ProgressBar::new(0)).with_style(
                ProgressStyle::with_template("{prefix:>7} {msg}").unwrap_or_else(|_| ProgressStyle::default_bar()),
            )
        };
        let (served, sent) = (bar(u64::from(self.mailboxes), "served"), bar(self.total(), "sent"));
        let (curve, behind) = (line().with_prefix("day"), line().with_prefix("behind"));
        let mut quarters = Quarters::default();
        loop {
            let last = tokio::select! {
                biased;
                () = closing.cancelled() => true,
                () = self.clock.sleep(FRAME) => false,
            };
            let now = self.clock.now();
            let standing = self.standing(now).await;
            quarters.note(now, standing.sent);
            served.set_position(standing.served);
            sent.set_position(standing.sent);
            sent.set_message(format!("failed {} uncertain {}", standing.failed, standing.uncertain));
            curve.set_message(format!("{}  {}", now.format("%H:%M"), quarters.drawn(self.total())));
            behind.set_message(named(&standing.behind));
            if last {
                [served, sent, curve, behind].iter().for_each(ProgressBar::abandon);
                return;
            }
        }
    }

    fn total(&self) -> u64 {
        u64::from(self.mailboxes) * u64::from(self.quota)
    }

    fn line(&self, standing: &Standing) -> String {
        format!(
            "sent {:>4}/{}  served {:>2}/{}  failed {}  uncertain {}  behind: {}",
            standing.sent,
            self.total(),
            standing.served,
            self.mailboxes,
            standing.failed,
            standing.uncertain,
            named(&standing.behind)
        )
    }

    /// Reads where the day stands. A database that does not answer shows nothing new.
    async fn standing(&self, now: DateTime<Utc>) -> Standing {
        const READ: &str = "
            SELECT m.email, d.sent, d.failed, d.uncertain
            FROM mailboxes m JOIN mailbox_days d ON d.mailbox_id = m.id AND d.day = $1 ORDER BY d.sent, m.id";
        let rows: Vec<Row> = sqlx::query_as(READ).bind(self.day).fetch_all(&self.database).await.unwrap_or_default();
        let share = self.share(now);
        let mut standing = Standing::default();
        for row in rows {
            let [sent, failed, uncertain] = [row.sent, row.failed, row.uncertain].map(i16::unsigned_abs);
            standing.sent += u64::from(sent);
            standing.failed += u64::from(failed);
            standing.uncertain += u64::from(uncertain);
            standing.served += u64::from(sent + uncertain >= self.quota);
            if share.is_ahead_of(sent + uncertain, self.quota) {
                standing.behind.push(format!("{} {sent}/{}", row.email, self.quota));
            }
        }
        standing
    }

    /// What should have gone one tick ago: what is due now may still be on its way.
    fn share(&self, now: DateTime<Utc>) -> PlannedShare {
        let at = |hour| self.day.and_time(NaiveTime::from_hms_opt(hour, 0, 0).unwrap_or_default()).and_utc();
        PlannedShare::at(now - QUARTER, Span { start: at(9), end: at(17) })
    }
}

fn named(behind: &[String]) -> String {
    match behind.len() {
        0 => "nobody".to_owned(),
        n if n <= NAMED => behind.join(", "),
        n => format!("{} and {} more", behind[..NAMED].join(", "), n - NAMED),
    }
}

/// The cumulative count at the end of each quarter of an hour.
#[derive(Default)]
struct Quarters {
    counts: Vec<(DateTime<Utc>, u64)>,
}

impl Quarters {
    fn note(&mut self, now: DateTime<Utc>, sent: u64) {
        let quarter = next_tick(now, QUARTER);
        match self.counts.last_mut() {
            Some((at, count)) if *at == quarter => *count = sent,
            _ => self.counts.push((quarter, sent)),
        }
    }

    fn drawn(&self, total: u64) -> String {
        const STEPS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
        let step = |count: u64| STEPS[(count * 7 / total.max(1)).min(7) as usize];
        self.counts.iter().map(|(_, count)| step(*count)).collect()
    }
}

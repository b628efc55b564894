//! These are the conformance cases of the ledger and of the planning store that it reads: a case for each
//! invariant and each refusal.
//!
//! Every mailbox of a world is in shard 0, has its full quota from the first day on, and may send at any
//! hour. The time is noon of [`DAY`].

pub mod blame;
pub mod breaker;
pub mod effects;
pub mod endings;
pub mod in_a_row;
pub mod racing;
pub mod receiving;
pub mod refusals;
pub mod replies;
pub mod set_back;
pub mod standing;
pub mod turning;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use uuid::Uuid;
use warmup::{
    domain::{
        id::{Epoch, FlightId, MailboxId, RunId, ShardId, WorkerId},
        outcome::{Effects, Outcome, OutcomeKind, Reply, Stage},
        ramp::Ramp,
        time::LocalDates,
    },
    ports::{
        Flight, Ledger, LoggedMail, PartnerOption, PlanningStore, Refusal, Reservation, ReserveBatch, ReserveRequest,
        Settlement, SweepReport, SweepRequest,
    },
};

/// A row of a mailbox's day.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DayCounts {
    pub quota: i64,
    pub reserved: i64,
    pub sent: i64,
    pub failed: i64,
    pub uncertain: i64,
    pub attempts: i64,
    pub replied: i64,
    pub reply_attempts: i64,
    pub closed: bool,
    pub late: bool,
}

/// A row of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    pub flight: i64,
    pub mailbox: i64,
    pub partner: i64,
    pub status: String,
    pub reason: Option<String>,
    /// The mail that this reply answers.
    pub answers: Option<i64>,
}

/// A scheduled reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplyLine {
    pub id: i64,
    pub state: String,
    pub reason: Option<String>,
}

/// The state of a mailbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// `active`, `paused`, or `stopped` until the operator resumes it.
    pub sending: String,
    pub sending_reason: Option<String>,
    pub receives: bool,
    pub receive_reason: Option<String>,
}

/// The world of one implementation.
#[async_trait]
pub trait LedgerWorld: Send + Sync {
    fn ledger(&self) -> Arc<dyn Ledger>;
    fn mailboxes(&self) -> Arc<dyn PlanningStore>;
    /// Enrols mailbox `id` of `user` with this quota on `mail.test`; `weekdays` are the bits of its days (Monday
    /// lowest).
    async fn enrol(&self, id: i64, user: i64, quota: u16, domain: &str, weekdays: u8);
    async fn limit(&self, user: i64, limit: u32);
    async fn order(&self, running: bool);
    /// Pauses a mailbox as the operator does.
    async fn pause(&self, mailbox: i64);
    async fn set_quota(&self, mailbox: i64, quota: u16);
    /// Sets the ramp of a mailbox, and the number of days that counted.
    async fn set_ramp(&self, mailbox: i64, ramp: Ramp, grown: u16);
    /// Makes all in-flight mails older by this time.
    async fn age(&self, by: Duration);
    async fn day(&self, mailbox: i64, day: NaiveDate) -> DayCounts;
    async fn grown(&self, mailbox: i64) -> i64;
    async fn logs(&self) -> Vec<LogLine>;
    /// Returns the replies in the order of the mails that they answer.
    async fn replies(&self) -> Vec<ReplyLine>;
    /// Returns (mailbox, partner, round), in order.
    async fn pairs(&self) -> Vec<(i64, i64, i64)>;
    async fn in_flight(&self) -> usize;
    async fn standing(&self, mailbox: i64) -> Standing;
    /// Returns (kind, mailbox, reason), in order.
    async fn events(&self) -> Vec<(String, Option<i64>, String)>;
    /// Returns (processed, sent, failed, uncertain, released, finished) of a batch.
    async fn batch(&self, batch: i64) -> (i64, i64, i64, i64, i64, bool);
    /// Sets the verification of a mailbox.
    async fn set_verified(&self, mailbox: i64, is_verified: bool);
    /// Moves a mailbox to another mail host.
    async fn set_host(&self, mailbox: i64, host: &str);
    /// Moves a mailbox to another port of its host, with STARTTLS.
    async fn set_starttls(&self, mailbox: i64, port: u16);
    /// Resumes a mailbox as the operator does.
    async fn resume(&self, mailbox: i64);
    /// Resumes a host's mailboxes as the operator does.
    async fn resume_host(&self, host: &str);
    /// Copies the database for `restore`.
    async fn backup(&self);
    /// Sets the database back to the backup: later commits are lost, including ids and epochs.
    async fn restore(&self);
    /// Stops the service from this call on.
    async fn go_away(&self);
    /// Runs the next statement and loses its answer.
    async fn lose_next_answer(&self);
    /// Loses the next statement before the service; its caller knows only that no answer came.
    async fn lose_next_request(&self);
}

pub const DAY: NaiveDate = NaiveDate::from_ymd_opt(2026, 11, 24).expect("a date that exists");
pub const SHARD: ShardId = ShardId(0);

/// Returns noon of the day, a Tuesday.
pub fn noon() -> DateTime<Utc> {
    DAY.and_hms_opt(12, 0, 0).expect("noon exists").and_utc()
}

pub fn minutes(minutes: i64) -> TimeDelta {
    TimeDelta::minutes(minutes)
}

/// One run of a worker on a world.
pub struct Life<'a> {
    pub world: &'a dyn LedgerWorld,
    pub ledger: Arc<dyn Ledger>,
    pub worker: WorkerId,
    pub run: RunId,
    pub epoch: Epoch,
}

impl<'a> Life<'a> {
    /// Takes shard 0 and opens the day.
    pub async fn begin(world: &'a dyn LedgerWorld) -> Life<'a> {
        let ledger = world.ledger();
        ledger.prepare(noon()).await.unwrap();
        world.mailboxes().roll_over_days(&[SHARD], &LocalDates::at(noon()), noon()).await.unwrap();
        let worker = WorkerId("conformance".into());
        let read = ledger.epochs(&[SHARD]).await.unwrap()[0];
        let epoch = ledger.raise(&worker, &[(SHARD, read)]).await.unwrap()[0].expect("nobody else raises");
        Life { world, ledger, worker, run: RunId(Uuid::now_v7()), epoch }
    }

    pub fn batch(&self, asks: Vec<ReserveRequest>) -> ReserveBatch {
        self.batch_at(noon(), asks)
    }

    pub fn batch_at(&self, now: DateTime<Utc>, asks: Vec<ReserveRequest>) -> ReserveBatch {
        ReserveBatch { worker: self.worker.clone(), run: self.run, epochs: vec![(SHARD, self.epoch)], now, asks }
    }

    pub async fn reserve(&self, asks: Vec<ReserveRequest>) -> Vec<Reservation> {
        self.ledger.reserve(&self.batch(asks)).await.unwrap()
    }

    /// Reserves one mail, which must succeed.
    pub async fn fly(&self, ask: ReserveRequest) -> Flight {
        self.fly_at(noon(), ask).await
    }

    pub async fn fly_at(&self, now: DateTime<Utc>, ask: ReserveRequest) -> Flight {
        match self.ledger.reserve(&self.batch_at(now, vec![ask])).await.unwrap().remove(0) {
            Reservation::Reserved(flight) => *flight,
            Reservation::Refused(refusal) => panic!("refused: {refusal:?}"),
        }
    }

    /// Requests one mail, which must be refused.
    pub async fn refusal(&self, ask: ReserveRequest) -> Refusal {
        match self.reserve(vec![ask]).await.remove(0) {
            Reservation::Refused(refusal) => refusal,
            Reservation::Reserved(flight) => panic!("reserved: {flight:?}"),
        }
    }

    pub async fn settle(&self, results: &[Settlement]) -> u64 {
        self.ledger.settle(&self.worker, results).await.unwrap()
    }

    pub async fn sweep(&self, run: RunId, running: Vec<String>) -> SweepReport {
        self.ledger.sweep(&self.sweep_of(run, running)).await.unwrap()
    }

    /// Returns a sweep by `run` of shard 0, for mails older than a minute.
    pub fn sweep_of(&self, run: RunId, running: Vec<String>) -> SweepRequest {
        SweepRequest {
            worker: self.worker.clone(),
            run,
            shards: vec![SHARD],
            running,
            unstarted: vec![],
            newest: FlightId(i64::MAX),
            older_than: Duration::from_secs(60),
            now: noon(),
        }
    }

    pub async fn day(&self, mailbox: i64) -> DayCounts {
        self.world.day(mailbox, DAY).await
    }
}

/// Starts the next day of all mailboxes. Returns its noon.
pub async fn open_tomorrow(world: &dyn LedgerWorld) -> DateTime<Utc> {
    let tomorrow = noon() + TimeDelta::days(1);
    world.mailboxes().roll_over_days(&[SHARD], &LocalDates::at(tomorrow), tomorrow).await.unwrap();
    tomorrow
}

/// Returns a request of `mailbox` to the first usable one of `partners`, as its `attempts + 1`-th attempt.
pub fn ask(mailbox: i64, attempts: u16, partners: &[i64]) -> ReserveRequest {
    ReserveRequest {
        mailbox: MailboxId(mailbox),
        shard: SHARD,
        day: DAY,
        attempts,
        choices: partners.iter().map(|partner| PartnerOption { partner: MailboxId(*partner), round: 0 }).collect(),
        message_id: format!("{}@example.test", Uuid::now_v7()),
        subject: "Notes from this morning".into(),
        answers: None,
    }
}

/// Returns the settlement of a flight without effects and without a cooldown.
pub fn end(flight: &Flight, fate: OutcomeKind) -> Settlement {
    let (reason, reply) = match fate {
        OutcomeKind::Sent => ("", Some(Reply { code: 250, enhanced: Some([2, 0, 0]), text: "ok".into() })),
        OutcomeKind::Refused => ("message-refused", Some(Reply { code: 554, enhanced: None, text: "no".into() })),
        OutcomeKind::Uncertain => ("uncertain", None),
        OutcomeKind::Unstarted => ("", None),
    };
    let outcome = Outcome { fate, stage: Stage::Dot, reason, reply, effects: Effects::default(), note: String::new() };
    Settlement {
        flight: flight.id,
        batch: flight.batch,
        mailbox: flight.sender.mailbox,
        partner: flight.recipient.mailbox,
        day: flight.day,
        mail: LoggedMail::from_flight(flight, None),
        at: noon(),
        latency: Duration::from_millis(40),
        next_at: noon(),
        outcome,
        reply: None,
        trace: None,
        is_reduced: false,
    }
}

/// Enrols mailboxes 1 to `count` of user 1 with this quota.
pub async fn enrol(world: &dyn LedgerWorld, count: i64, quota: u16) {
    for id in 1..=count {
        world.enrol(id, 1, quota, &format!("d{}.test", id % 3), 127).await;
    }
}

/// Asserts the invariants of one mailbox's day, which hold after any history.
pub async fn assert_true(world: &dyn LedgerWorld, mailbox: i64, in_flight: i64) {
    let day = world.day(mailbox, DAY).await;
    assert_eq!(day.reserved, day.sent + day.uncertain + in_flight, "reserved = sent + uncertain + in flight: {day:?}");
    assert!(day.reserved <= day.quota, "{day:?}");
    let logs = world.logs().await;
    let count = |status: &str, uncertain: bool| {
        // A reply takes no quota slot: an uncertain reply counts as failed.
        let unknown = |row: &LogLine| row.reason.as_deref() == Some("uncertain") && row.answers.is_none();
        let of_it = |row: &&LogLine| row.mailbox == mailbox && row.status == status && unknown(row) == uncertain;
        logs.iter().filter(of_it).count() as i64
    };
    let rows = (count("SENT", false), count("REPLIED", false), count("FAILED", false), count("FAILED", true));
    assert_eq!((day.sent, day.replied, day.failed, day.uncertain), rows, "counters = rows");
}

/// Expands to the list of cases for one world: `ledger_conformance!(my_world);`.
#[macro_export]
macro_rules! ledger_conformance {
    ($world:ident) => {
        mod refusals {
            $crate::conformance_cases!($crate::conformance::ledger::refusals, super::$world,
                a_reserve_takes_a_place_a_pair_and_opens_a_flight
                a_full_quota_refuses
                a_lowered_quota_applies_from_the_next_reservation
                a_raised_quota_applies_from_the_next_reservation
                a_passed_epoch_reserves_nothing
                a_heartbeat_returns_the_epochs_and_can_be_repeated
                an_epoch_is_raised_by_compare_and_set
                a_stopped_fleet_reserves_nothing
                a_paused_sender_reserves_nothing
                a_cooling_mailbox_reserves_nothing
                a_mailbox_has_one_mail_on_its_way
                other_attempts_than_asked_are_stale
                twice_the_quota_in_attempts_is_the_end
                the_first_partner_that_can_receive_and_is_unused_is_taken
                nobody_writes_to_itself_or_twice_to_a_partner_in_a_round
                a_users_daily_limit_is_kept_in_order_of_urgency
                a_users_daily_limit_holds_over_batches_and_for_one_day
                a_limit_beyond_all_numbers_is_none
                the_room_of_a_daily_limit_is_what_a_reserve_would_still_grant
                a_daily_limit_that_is_reached_is_told_once_a_day
                a_mailbox_s_failures_in_a_row_are_read_with_it_until_one_is_sent
                a_slow_host_is_told_once_for_all_workers_and_so_is_its_end
                a_closed_day_takes_nothing_more
                a_mail_on_its_way_since_yesterday_holds_up_today
                a_cooldown_goes_on_over_midnight
                a_refused_ask_does_not_hold_up_the_others
            );
        }
        mod endings {
            $crate::conformance_cases!($crate::conformance::ledger::endings, super::$world,
                sent_is_one_row_and_keeps_the_place
                a_definite_failure_gives_its_place_back_but_not_its_attempt
                uncertain_is_one_row_and_keeps_the_place
                unstarted_leaves_no_row_and_gives_everything_back
                a_release_leaves_no_row_and_gives_everything_back
                an_abandoned_batch_is_found_by_its_message_ids_and_only_once
                a_settle_that_is_repeated_changes_nothing
                a_late_answer_corrects_its_uncertain_row_to_sent
                a_late_answer_corrects_its_uncertain_row_to_refused
                a_late_answer_moves_the_counts_of_its_batch
                a_late_answer_that_knows_no_more_changes_nothing
                a_late_answer_changes_no_row_that_is_certain
                an_unstarted_mail_does_not_cool_its_mailbox
                only_a_sent_mail_ends_the_silence
                a_sweep_takes_only_old_flights_of_other_runs
                a_sweep_releases_what_its_own_run_never_started
                a_sweep_releases_nothing_that_its_own_run_does_not_know
                a_sweep_leaves_other_shards_alone
                a_sweep_that_comes_late_leaves_what_was_started_since_alone
                a_batch_counts_its_ends
                a_users_place_is_given_back_with_the_mail
            );
        }
        mod replies {
            $crate::conformance_cases!($crate::conformance::ledger::replies, super::$world,
                a_sent_mail_schedules_the_reply_that_was_asked_for
                a_mail_that_did_not_arrive_is_not_answered
                a_mail_that_is_known_late_to_have_arrived_is_answered
                a_reply_is_one_row_and_takes_no_place_and_no_pair
                a_thread_is_answered_once
                a_reply_that_failed_is_a_failed_row_and_is_not_repeated
                an_uncertain_reply_counts_as_failed_until_it_is_known
                a_late_refusal_of_a_reply_is_a_failed_one_still
                a_reply_that_was_never_started_waits_again
                an_orphaned_reply_is_uncertain_and_not_repeated
                half_the_quota_is_answered_a_day
                a_paused_mailbox_lets_its_reply_lapse
                nobody_answers_a_mailbox_that_can_not_be_written_to
                a_reply_goes_neither_early_nor_late
                a_stopped_fleet_answers_nothing_and_lapses_nothing
                a_mailbox_cools_down_between_mails_and_replies
                a_reply_has_its_place_in_the_users_daily_limit
                one_of_many_racers_claims_a_thread
            );
        }
        mod set_back {
            $crate::conformance_cases!($crate::conformance::ledger::set_back, super::$world,
                a_result_that_lost_its_flight_is_written_late_and_once
                the_day_of_a_lost_mail_may_be_lost_too
                a_lost_mail_counts_as_it_ended
                a_lost_mail_takes_its_place_in_the_users_day
                a_lost_mail_counts_as_received_by_its_partner
                a_result_ends_no_other_mail_with_its_id
                a_result_corrects_no_other_mail_with_its_id
                what_the_ledger_knows_is_not_written_again
                a_thread_whose_answer_was_lost_is_not_answered_again
                an_answer_that_was_lost_ends_no_other_thread_with_its_id
            );
        }
        mod blame {
            $crate::conformance_cases!($crate::conformance::ledger::blame, super::$world,
                a_foreign_hosts_word_about_a_partner_concerns_their_pair_alone
                a_pair_is_avoided_for_as_long_as_the_host_says
                a_partners_own_host_is_believed
                the_hosts_of_two_owners_are_believed_and_two_of_one_owner_are_not
                what_two_owners_hosts_say_counts_for_as_long_as_both_say_it
                two_owners_in_one_settle_are_believed
                what_passes_within_the_hour_concerns_the_pair_alone
                what_we_find_ourselves_is_believed
                a_host_that_refuses_most_of_its_partners_rests_for_its_owner
                a_host_that_takes_most_mails_is_no_suspect
                a_domain_rests_for_its_owner_alone
                a_mailbox_that_is_not_verified_exchanges_mails_with_its_owner_alone
            );
        }
        mod effects {
            $crate::conformance_cases!($crate::conformance::ledger::effects, super::$world,
                a_disabled_sender_stops_with_a_reason_and_an_event
                a_paused_sender_stops_until_its_pause_is_over
                an_excluded_partner_is_not_written_to_and_its_sender_goes_on
                a_partners_pause_ends_by_itself
                a_paused_host_stops_all_its_mailboxes_of_that_owner
                a_paused_domain_stops_its_mailboxes_and_no_others
                an_operators_pause_is_not_shortened
                what_changes_nothing_tells_nothing
                a_late_answer_takes_its_measures
                a_mailbox_can_be_one_mails_sender_and_another_ones_partner
                a_cooldown_holds_until_its_end
            );
        }
        mod in_a_row {
            $crate::conformance_cases!($crate::conformance::ledger::in_a_row, super::$world,
                a_sender_that_is_refused_again_and_again_rests_longer_each_time
                a_success_ends_the_refusals_in_a_row
                four_refused_partners_may_be_chance_and_five_in_a_row_rest_their_sender
                what_the_host_did_not_answer_is_no_refusal
                of_a_verdict_and_the_refusals_in_a_row_the_longer_pause_counts
                a_verdict_that_rests_the_sender_for_hours_counts_for_itself_until_the_sixth_failure
                six_failures_of_any_kind_in_a_row_rest_the_sender_for_a_day
                a_sender_whose_host_answers_nobody_else_rests_longer_each_time
                mails_that_stay_without_an_answer_rest_their_sender_too
                a_sender_that_fails_before_auth_rests_while_its_host_takes_other_mails
                a_host_that_is_down_for_everybody_rests_no_sender_of_its_own
                a_resume_forgets_failures_of_any_kind
                a_resumed_mailbox_is_as_if_it_had_never_been_refused
                one_senders_refusals_rest_no_other_sender
            );
        }
        mod standing {
            $crate::conformance_cases!($crate::conformance::ledger::standing, super::$world,
                half_of_those_that_tried_open_the_breaker_and_nobody_more_is_disabled
                those_on_their_way_when_the_breaker_opens_are_not_disabled
                however_far_apart_they_are_refused_the_breaker_opens
                who_is_refused_while_its_neighbours_are_let_in_stays_disabled
                in_one_settle_a_refusal_before_one_that_is_let_in_is_its_own_matter
                a_host_with_two_mailboxes_has_no_breaker_and_of_three_one_is_left
                a_breaker_lets_one_mailbox_try_after_longer_and_longer_pauses_until_one_is_let_in
                a_mail_that_a_breaker_lets_try_and_that_is_let_in_ends_it
                whom_a_breaker_disabled_comes_back_when_the_host_lets_one_in
                a_breaker_concerns_its_own_host_only
                a_resumed_host_is_as_if_nothing_had_been
                a_failure_of_a_host_pauses_nobody_and_five_in_a_row_do
                a_stall_of_one_mailbox_rests_nobody_and_three_pause_their_host
                a_421_at_mail_to_one_sender_rests_nobody_and_to_three_pauses_their_host
                a_host_that_refuses_our_address_is_told_of_and_eases_nobody
                the_stalls_of_one_user_pause_no_host_that_others_share
                the_stalls_of_one_user_leave_those_of_another_in_the_count
                an_alert_of_one_owner_silences_no_other_owners
                an_answer_at_that_step_ends_the_count_of_stalls
                at_a_host_with_two_mailboxes_stalls_of_both_are_failures
                three_strikes_ease_a_sender_and_six_pause_it
                strikes_of_another_day_are_forgotten
                too_much_at_once_pauses_an_hour_and_eases_once_a_day
                what_nobody_pays_for_is_told_once_an_hour
                racing_settles_of_a_wave_disable_four
            );
        }
        mod breaker {
            $crate::conformance_cases!($crate::conformance::ledger::breaker, super::$world,
                the_refusals_of_one_owner_pause_that_owners_mailboxes_only
                the_refusals_of_two_owners_open_the_breaker_of_their_host
                the_breaker_of_a_host_counts_from_the_last_mail_that_was_let_in
                two_refusals_of_each_of_two_owners_open_the_breaker_of_their_host
                many_refusals_of_one_owner_and_a_few_of_another_pause_no_third_owner
                an_owners_breaker_counts_for_one_port_and_security
                what_an_owners_breaker_disabled_comes_back_when_that_owners_probe_is_let_in
                a_mailbox_that_was_let_in_before_tries_first
                failures_before_auth_of_one_owner_rest_that_owners_mailboxes_at_that_port_only
                failures_before_auth_of_two_owners_at_one_port_pause_their_host
                failures_before_auth_of_two_owners_at_two_ports_pause_no_third_owner
                a_greeting_that_refuses_one_owner_rests_no_other_owner
            );
        }
        mod turning {
            $crate::conformance_cases!($crate::conformance::ledger::turning, super::$world,
                a_day_closes_once_and_a_good_one_raises_the_ramp
                a_day_that_is_today_again_is_opened_and_takes_its_growth_back
                a_short_day_is_late_with_an_event
                a_weekday_without_a_window_owes_nothing
                a_roster_is_made_once_and_not_again_for_another_quota
                a_roster_is_remade_when_its_members_change_with_an_event
                a_large_roster_is_remade_when_more_than_a_twentieth_changed
                a_roster_says_who_is_verified_and_follows_it
                a_candidate_is_verified_or_not
                a_roster_without_anybody_is_remade_when_somebody_comes
                racers_remake_a_roster_once
                a_roster_counts_good_days_that_are_not_closed_yet
                a_ramp_of_many_days_ends_at_its_maximum
                candidates_are_those_that_may_send
            );
        }
        mod receiving {
            $crate::conformance_cases!($crate::conformance::ledger::receiving, super::$world,
                a_mailbox_receives_its_quota_and_a_margin_and_no_more
                a_full_partner_is_passed_over
                what_did_not_arrive_for_certain_is_given_back_to_its_partner
                of_one_batch_the_most_urgent_reach_a_partner
                one_batch_alone_passes_no_bound
                racers_for_a_partners_last_mail_pass_no_bound
                a_partner_receives_anew_on_its_own_next_day
                replies_are_not_counted_as_received
            );
        }
        mod racing {
            $crate::conformance_cases!($crate::conformance::ledger::racing, super::$world,
                one_of_many_racers_gets_the_last_place
                racers_on_overlapping_batches_pass_no_quota
                racing_raises_have_one_winner
                a_service_that_is_away_is_unavailable
                a_lost_answer_is_unknown_and_can_be_abandoned
                a_lost_request_is_unknown_and_nothing_happened
                a_settle_whose_answer_was_lost_is_repeated_without_harm
                racing_ends_of_one_flight_write_one_row
            );
        }
    };
}

//! What a run of many seeds must have seen: every kind of fault that can befall the fleet, and every way in which a guard
//! refuses. A kind is a variant, so nobody can count what is not listed, and what is listed and never counted fails.

macro_rules! kinds {
    ($(#[$doc:meta])* $name:ident { $($kind:ident: $sentence:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum $name { $($kind,)* }

        impl $name {
            pub const ALL: &[$name] = &[$($name::$kind,)*];

            pub fn sentence(self) -> &'static str {
                match self { $($name::$kind => $sentence,)* }
            }
        }
    };
}

kinds! {
    /// What befell somebody. Counted when it is felt, not when it is planned.
    Fault {
        Joined: "a worker joined",
        Stopped: "a worker was stopped by SIGTERM",
        StoppedBusy: "a worker was stopped with mails on their way",
        Killed: "a worker was killed",
        KilledFlying: "a worker was killed with mails on their way",
        Restarted: "a worker was started again under its name",
        NameUsedTwice: "a worker was started under a living one's name",
        CountsOtherShards: "a worker was started with another number of shards",
        SoloBesideFleet: "a worker that works alone was started beside a fleet",
        FleetBesideSolo: "a worker of a fleet was started beside one that works alone",
        Frozen: "a worker was stopped in its tracks for a moment",
        FrozenPastLease: "a worker was stopped in its tracks past its lease",
        FrozenPastSweep: "a worker was stopped in its tracks past the sweep's age",
        Suspended: "the machine was suspended",
        RedisGone: "Redis was gone for a call",
        RedisRequestLost: "a request to Redis was lost",
        RedisAnswerLost: "an answer of Redis was lost",
        RedisPaused: "a call waited for a paused Redis",
        RedisForgot: "Redis forgot everything",
        PostgresGone: "Postgres was gone for a call",
        PostgresRequestLost: "a request to Postgres was lost",
        PostgresAnswerLost: "an answer of Postgres was lost",
        PostgresPaused: "a statement waited for a lock",
        PostgresSlow: "a statement took long",
        PostgresReadOnly: "Postgres refused a statement that writes",
        SetBack: "the database was set back by seconds",
        SetBackLostMails: "the database was set back and lost mails that were reserved or sent",
        Fenced: "the operator fenced the database and started the fleet again",
        PostgresLate: "a statement was done after its client had given up",
        CutFromRedis: "one worker was cut off from Redis",
        CutFromPostgres: "one worker was cut off from Postgres",
        ReadOnlyForOne: "one worker's Postgres refused to write",
        ClockALittleOff: "a worker's clock was a little off",
        ClockFarOff: "a worker's clock was more than 30 s off",
        ClockJumpedBack: "a worker's clock jumped back while it worked",
        ClockJumpedAhead: "a worker's clock jumped ahead while it worked, by minutes at most",
        ClockJumpedHours: "a worker's clock jumped ahead while it worked, by hours",
        ClockJumpedAYear: "a worker's clock jumped ahead while it worked, by more than a year",
        ClockReturned: "a worker's clock jumped back to the right time",
        RedisClockBehind: "the clock of Redis jumped back",
        RedisClockAhead: "the clock of Redis jumped ahead",
        RedisClockReturned: "the clock of Redis jumped back to the right time",
        EpochsPassed: "a stranger raised the epochs",
        HandOverInBatch: "a shard was taken over while mails of it were on their way",
        OrderedToStop: "the fleet was ordered to stop",
        OrderedToStart: "the fleet was ordered to start",
        OrderUnheard: "the bell of an order was lost",
        Triggered: "the fleet was triggered",
        MailboxPaused: "the operator paused a mailbox",
        MailboxResumed: "the operator resumed a mailbox",
        MailboxEnrolled: "the operator enrolled a mailbox",
        EnrolledInBulk: "the operator enrolled many mailboxes at once",
        PausedInBulk: "the operator paused all mailboxes at once",
        ResumedInBulk: "the operator resumed all mailboxes at once",
        MailboxMoved: "the operator moved a mailbox to another host",
        QuotaLowered: "the operator lowered a quota",
        UserAtLimit: "a user reached its daily limit",
        FleetOfOne: "a fleet of one mailbox",
        FleetOfTwo: "a fleet of two mailboxes",
        FleetOfThree: "a fleet of three mailboxes",
        FleetOfFive: "a fleet of five mailboxes",
        FleetOfSeventeen: "a fleet of 17 mailboxes",
        FleetOfFortyEight: "a fleet of 48 mailboxes",
        FleetOfSixtyFive: "a fleet of 65 mailboxes",
        OneOwnerHasMost: "a fleet of which one owner has nearly all mailboxes",
        DayTurned: "a mailbox's day turned",
        Storm: "a host refused for a while (4yz)",
        SenderRefused: "a host refused a sender (5yz)",
        PartnerRefused: "a host refused a partner (5yz)",
        LiedUnknown: "a host said falsely that it knows no such partner",
        LiedFull: "a host said falsely that a partner's mailbox is full",
        LiedDisabled: "a host said falsely that a partner's mailbox is disabled",
        LiedDomain: "a host said falsely that it takes no mail of the sender's domain",
        SenderLimitedHourly: "a host refused a sender that had reached its limit of an hour",
        SenderLimitedDaily: "a host refused a sender that had reached its limit of a day",
        LimitedSenderAccepted: "a host accepted mail again of a sender that had reached its limit",
        WrongPassword: "a host that several owners use refused a password of one of them",
        AuthRefused: "a host let a mailbox not in (535)",
        Unreachable: "a host could not be reached",
        Resolving: "a host's name took long",
        SmtpSlow: "a host took seconds to answer the dot",
        SmtpPastDeadline: "a host took longer than the mail's deadline",
        BrokenBeforeDot: "a connection broke before the dot",
        BrokenTaken: "a connection broke after the dot, and the mail was taken",
        BrokenGone: "a connection broke after the dot, and the mail was gone",
        MajorityHostSilent: "a host that has most mailboxes was silent for minutes, and answered again",
        SilentAtConnect: "a host was silent at the connection",
        SilentAtGreeting: "a host was silent at its greeting",
        SilentAtEhlo: "a host was silent at EHLO",
        SilentAtAuth: "a host was silent at AUTH",
        SilentAtMail: "a host was silent at MAIL",
        SilentAtRcpt: "a host was silent at RCPT",
        SilentAtData: "a host was silent at DATA",
        SilentAfterDot: "a host was silent after the dot",
    }
}

kinds! {
    /// What a guard of the worker, or of what it asks, answered.
    Guard {
        RefusedFleetStopped: "reserve: the fleet is stopped",
        RefusedShardLost: "reserve: the epoch has passed",
        RefusedSenderPaused: "reserve: the sender is paused",
        RefusedNotCool: "reserve: the mailbox cools down or has a mail on its way",
        RefusedQuotaFull: "reserve: the quota is reached",
        RefusedStale: "reserve: the attempts are others, or a reply is not due",
        RefusedNoPartner: "reserve: no partner would do",
        RefusedPartnersFull: "reserve: all partners have received what they may",
        RefusedUserDailyLimit: "reserve: the user's daily limit is reached",
        CapGlobalHour: "caps: global hour",
        CapGlobalMinute: "caps: global minute",
        CapUserHour: "caps: user hour",
        CapUserMinute: "caps: user minute",
        CapHostMinute: "caps: host minute",
        CapHostHour: "caps: host hour",
        CapHostDay: "caps: host day",
        CapHostConnections: "caps: host connections",
        GateBeforeConnect: "the gate was closed before the connection",
        GateBeforeDot: "the gate was closed before the dot",
        DrainCancelled: "a drain cancelled a mail",
        LeaseTaken: "a lease was not given: another one has it",
        LeaseNotRenewed: "a lease was not renewed: it was lost",
        RaiseLost: "an epoch was not raised: somebody was quicker",
        RaisedAgain: "an epoch that was passed under a lease was raised again",
        SeatLost: "a worker lost its seat",
        StaleGrant: "a grant was thrown away: the ledger answered too late",
        MovedGivenBack: "a mail was given back: its mailbox has another host",
        UnheardGivenBack: "a stop did not wait for a reserve, and what it opened was given back",
        Abandoned: "a reserve whose answer was lost was abandoned",
        AbandonGaveBack: "an abandon gave places back",
        SweptUncertain: "a sweep settled an orphan as uncertain",
        SweptReleased: "a sweep released what was never started",
        LateAnswer: "a late definite answer corrected its row",
        SettleRepeated: "a settle was repeated and changed nothing",
        ResultsWaited: "results waited for Postgres",
        Benched: "a worker was benched",
        BackFromBench: "a benched worker came back",
        NewcomerWaited: "a new member left to the others what was not its own",
        ShardHandedOver: "a shard was given back by a living worker",
        ClockOff: "a worker whose clock is off took nothing",
        ClockOffTold: "an event told of a worker whose clock was minutes off",
        SetBackRecognized: "a worker stopped the fleet, for the database was set back",
        LoggedLate: "a mail that the database had lost got its row late",
        WritesRefusedTold: "an event told of a worker whose Postgres refused to write",
        BreakerOpened: "a host's breaker opened",
        HalfOpenProbe: "a host whose breaker is open was tried",
        HostRecovered: "a host's breaker or pause was ended by a mail that was let in",
        HostPaused: "a host that failed was paused",
        HostStalled: "a host that did not answer several mailboxes was paused",
        SenderRestored: "a mailbox that a breaker had disabled came back with its host",
        SenderDisabled: "a sender was disabled or paused by an answer",
        PartnerExcluded: "a partner was excluded or paused by an answer",
        PartnerAvoided: "a host got no mail any more for a partner of another owner that it had refused",
        HostSuspected: "a host that refused most partners was paused for its owner",
        DomainRested: "a domain was paused for one owner",
        ReplyLapsed: "a reply lapsed",
        NameTaken: "a worker was not started: its name is taken",
        OtherShards: "a worker was not started: it counts other shards",
        WorksAlone: "a worker was not started: another one works alone",
        AnotherWorker: "a worker that works alone was not started: another one is there",
        LeadershipMoved: "the leadership went to another worker",
        DutiesDoneAlready: "a date's duties were found done",
    }
}

/// How often each kind was seen.
#[derive(Clone, Debug)]
pub struct Tally {
    faults: Vec<u64>,
    guards: Vec<u64>,
}

impl Default for Tally {
    fn default() -> Tally {
        Tally { faults: vec![0; Fault::ALL.len()], guards: vec![0; Guard::ALL.len()] }
    }
}

impl Tally {
    pub fn fault(&mut self, fault: Fault) {
        self.faults[fault as usize] += 1;
    }

    pub fn guard(&mut self, guard: Guard, times: u64) {
        self.guards[guard as usize] += times;
    }

    pub fn add(&mut self, other: &Tally) {
        let into = self.faults.iter_mut().chain(&mut self.guards);
        into.zip(other.faults.iter().chain(&other.guards)).for_each(|(sum, more)| *sum += more);
    }

    /// All kinds with their counts: how often, and what.
    pub fn rows(&self) -> Vec<(u64, &'static str)> {
        let faults = Fault::ALL.iter().map(|fault| (self.faults[*fault as usize], fault.sentence()));
        let guards = Guard::ALL.iter().map(|guard| (self.guards[*guard as usize], guard.sentence()));
        faults.chain(guards).collect()
    }

    /// What was never seen.
    pub fn missing(&self) -> Vec<&'static str> {
        self.rows().into_iter().filter(|(count, _)| *count == 0).map(|(_, sentence)| sentence).collect()
    }
}

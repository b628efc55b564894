//! A `LaneShare` computes when a mail host, or one user of a host, has its next turn at a free lane.
//!
//! Turns are instants of a virtual time that advances with each mail; the earliest turn goes first (stride
//! scheduling). A member with `n` released mails has a turn every 1/`n` of a round. So in a round each member
//! starts as many mails as it had released. No member waits longer than a round for its next turn. A new
//! member has its first turn after half a step. A returning member gets no more than one turn at once. So
//! members that come and go never delay the others for long.

/// The length of one round in units of the virtual time.
const ROUND: u64 = 1 << 32;

/// The position of one member in the round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LaneShare {
    /// The virtual time at which the wait for the turn began.
    since: u64,
    /// The part of a step that the member waits.
    wait: Wait,
    /// The number of its released mails.
    weight: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wait {
    HalfStep,
    WholeStep,
}

impl LaneShare {
    /// Creates a member that joins at the virtual time `now` with nothing released.
    pub fn joined(now: u64) -> LaneShare {
        LaneShare { since: now, wait: Wait::HalfStep, weight: 0 }
    }

    /// Returns the virtual time of the next turn.
    pub fn turn(&self) -> u64 {
        let step = ROUND / self.weight.max(1);
        self.since.saturating_add(match self.wait {
            Wait::HalfStep => step / 2,
            Wait::WholeStep => step,
        })
    }

    /// Sets the number of released mails.
    pub fn weigh(&mut self, mails: usize) {
        self.weight = mails as u64;
    }

    /// Takes the turn and returns its virtual time, which is the current time from then on.
    pub fn take_turn(&mut self) -> u64 {
        (self.since, self.wait) = (self.turn(), Wait::WholeStep);
        self.since
    }

    /// Joins again at `now` after a time without turns. The member keeps the time that it has waited for its
    /// next turn, however often it left meanwhile. Further missed turns are not made up.
    pub fn rejoin(&mut self, now: u64) {
        self.since += now.saturating_sub(self.turn());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lets the earliest of `shares` take each of `turns` turns, and returns the turns of each share.
    fn run(shares: &mut [LaneShare], turns: usize) -> Vec<usize> {
        let mut had = vec![0; shares.len()];
        for _ in 0..turns {
            let next = (0..shares.len()).min_by_key(|n| shares[*n].turn()).unwrap();
            shares[next].take_turn();
            had[next] += 1;
        }
        had
    }

    fn weighing(mails: usize) -> LaneShare {
        let mut share = LaneShare::joined(0);
        share.weigh(mails);
        share
    }

    #[test]
    fn turns_are_in_proportion_to_what_is_released() {
        assert_eq!(run(&mut [weighing(60), weighing(30), weighing(10)], 1_000), [600, 300, 100]);
    }

    #[test]
    fn one_mail_among_a_thousand_waits_for_a_round_at_most() {
        let mut shares = [weighing(1_000), weighing(1)];
        assert_eq!(run(&mut shares, 1_001)[1], 1);
        assert_eq!(run(&mut shares, 1_001)[1], 1);
    }

    #[test]
    fn turns_that_passed_are_not_made_up_for() {
        let mut late = weighing(10);
        late.rejoin(5 * ROUND);
        assert_eq!(late.turn(), 5 * ROUND);
        late.take_turn();
        assert_eq!(late.turn(), 5 * ROUND + ROUND / 10);
    }

    #[test]
    fn a_member_that_leaves_and_returns_goes_on_waiting_where_it_was() {
        let mut planned_anew = weighing(1);
        let turn = planned_anew.turn();
        for now in [ROUND / 4, ROUND / 3] {
            planned_anew.rejoin(now);
            assert_eq!(planned_anew.turn(), turn);
        }
    }
}

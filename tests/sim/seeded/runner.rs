//! Runs seeds side by side, and tells what they came to.

use std::{
    fmt,
    ops::RangeInclusive,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Mutex,
    thread,
};

use super::{
    judge::{CheckReport, Wait},
    kinds::Tally,
    scenario::Scenario,
    stage::play,
};

/// What many seeds came to.
pub struct Run {
    seeds: u64,
    tally: Tally,
    steps: usize,
    taken: usize,
    rows: usize,
    /// The wait that used most of its bound, and its seed.
    longest_wait: Option<(u64, Wait)>,
    most_burned: u64,
    /// Seeds that failed, and how.
    failures: Vec<(u64, Vec<String>)>,
}

impl Run {
    /// Plays all `seeds`, as many at once as the machine has processors.
    pub fn of(seeds: RangeInclusive<u64>) -> Run {
        let count = seeds.end() - seeds.start() + 1;
        let next = Mutex::new(seeds);
        let (tally, longest_wait, failures) = Default::default();
        let empty = Run { seeds: count, tally, steps: 0, taken: 0, rows: 0, longest_wait, most_burned: 0, failures };
        let run = Mutex::new(empty);
        let workers = thread::available_parallelism().map_or(1, |count| count.get());
        thread::scope(|scope| {
            for _ in 0..workers {
                scope.spawn(|| {
                    loop {
                        let Some(seed) = next.lock().unwrap().next() else { return };
                        let verdict = judged(seed);
                        run.lock().unwrap().take(seed, verdict);
                    }
                });
            }
        });
        let mut run = run.into_inner().unwrap();
        run.failures.sort();
        run
    }

    fn take(&mut self, seed: u64, verdict: Result<CheckReport, String>) {
        match verdict {
            Ok(verdict) => {
                self.tally.add(&verdict.tally);
                self.steps += verdict.steps;
                self.taken += verdict.taken;
                self.rows += verdict.rows;
                self.note_wait(seed, verdict.longest_wait);
                self.most_burned = self.most_burned.max(verdict.most_burned);
                if !verdict.violations.is_empty() {
                    self.failures.push((seed, verdict.violations));
                }
            }
            Err(panic) => self.failures.push((seed, vec![panic])),
        }
    }

    /// Keeps the longest wait; of equal ones that of the first seed, so that a run prints what the one before printed.
    fn note_wait(&mut self, seed: u64, wait: Option<Wait>) {
        let Some(wait) = wait else { return };
        let key = |(seed, wait): (u64, Wait)| (wait.share(), std::cmp::Reverse(seed));
        if self.longest_wait.is_none_or(|longest| key(longest) < key((seed, wait))) {
            self.longest_wait = Some((seed, wait));
        }
    }

    pub fn failed(&self) -> Vec<u64> {
        self.failures.iter().map(|(seed, _)| *seed).collect()
    }

    pub fn missing(&self) -> Vec<&'static str> {
        self.tally.missing()
    }
}

/// Plays one seed; a panic is a verdict too.
fn judged(seed: u64) -> Result<CheckReport, String> {
    catch_unwind(AssertUnwindSafe(|| play(&Scenario::of(seed), false))).map_err(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        text.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string)).unwrap_or_else(|| "a panic".into())
    })
}

impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (count, sentence) in self.tally.rows() {
            writeln!(f, "{count:>9}  {sentence}")?;
        }
        writeln!(
            f,
            "{} seeds: {} steps were looked at, {} mails taken by hosts, {} rows written",
            self.seeds, self.steps, self.taken, self.rows
        )?;
        if let Some((seed, wait)) = self.longest_wait {
            let percent = wait.share() / 10;
            writeln!(
                f,
                "the starvation bound: no due mailbox waited longer than {percent} % of it, {wait} that it may take (seed {seed})"
            )?;
        }
        writeln!(
            f,
            "grants of one user at its daily limit that were thrown away on one day: {} at most",
            self.most_burned
        )?;
        for (seed, violations) in &self.failures {
            writeln!(f, "\nseed {seed} failed: make sim SEED={seed}")?;
            violations.iter().take(5).try_for_each(|violation| writeln!(f, "    {violation}"))?;
        }
        Ok(())
    }
}

/// Plays one seed and tells everything about it.
pub fn tell(seed: u64, aloud: bool) {
    let scenario = Scenario::of(seed);
    println!("{scenario:#?}");
    let verdict = play(&scenario, aloud);
    verdict.journal.iter().for_each(|line| println!("{line}"));
    for (count, sentence) in verdict.tally.rows().into_iter().filter(|(count, _)| *count > 0) {
        println!("{count:>9}  {sentence}");
    }
    if let Some(wait) = verdict.longest_wait {
        println!("the longest wait of a due mailbox: mailbox {}, {wait} that it may take", wait.mailbox);
    }
    println!("seed {seed}: {} steps, trace {:016x}", verdict.steps, verdict.trace);
    assert!(verdict.violations.is_empty(), "seed {seed}: {:#?}", verdict.violations);
}

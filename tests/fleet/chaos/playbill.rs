//! Plays the scenarios beside one another, each in a thread and a runtime of its own.
//!
//! A test harness on two cores runs two tests at once, which is right for tests that work and wrong for tests that wait: a
//! lease takes its fifteen seconds. So the first of these tests lets all begin that will be asked for, some at a time, and
//! each test waits for its own.

use std::{
    collections::BTreeMap,
    panic::resume_unwind,
    pin::Pin,
    sync::{Condvar, Mutex},
    thread::JoinHandle,
};

pub type Scenario = (&'static str, fn() -> Pin<Box<dyn Future<Output = ()>>>);

/// How many play at once, each with four workers: as many as leave two cores time to keep what is promised (ten kept a load of
/// 13, and came within a breath of the 25 s, or past them), and one Postgres room for the connections of all their workers.
const AT_ONCE: usize = 5;

static PLAYED: Mutex<Option<BTreeMap<&'static str, JoinHandle<()>>>> = Mutex::new(None);

static PLACES: (Mutex<usize>, Condvar) = (Mutex::new(AT_ONCE), Condvar::new());

/// Waits until the scenario `name` of `bill` was played, and fails as it did.
pub fn went_well(bill: &'static [Scenario], name: &'static str) {
    let mine = {
        let mut played = PLAYED.lock().unwrap();
        let played = played.get_or_insert_with(|| {
            bill.iter().filter(|(name, _)| is_asked_for(name)).map(|scenario| (scenario.0, begin(scenario))).collect()
        });
        let scenario = bill.iter().find(|(known, _)| *known == name).unwrap();
        played.remove(name).unwrap_or_else(|| begin(scenario))
    };
    if let Err(panic) = mine.join() {
        resume_unwind(panic);
    }
}

fn begin((name, scenario): &'static Scenario) -> JoinHandle<()> {
    let play = move || {
        let _place = Place::wait_for_one();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(scenario());
    };
    std::thread::Builder::new().name((*name).to_owned()).spawn(play).unwrap()
}

/// Says whether the harness was told to run this test, as far as that can be told from here: one that was not begun ahead
/// begins when it is run.
fn is_asked_for(name: &str) -> bool {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    words.is_empty() || words.iter().any(|word| format!("chaos::{name}").contains(word.as_str()))
}

struct Place;

impl Place {
    fn wait_for_one() -> Place {
        let mut free = PLACES.1.wait_while(PLACES.0.lock().unwrap(), |free| *free == 0).unwrap();
        *free -= 1;
        Place
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        *PLACES.0.lock().unwrap() += 1;
        PLACES.1.notify_one();
    }
}

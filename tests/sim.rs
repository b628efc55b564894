//! The production worker on memory adapters under virtual time: a day takes a moment, and a failing seed replays.
#![cfg(test)]

#[path = "sim/audited.rs"]
mod audited;
#[path = "sim/clock_jumps.rs"]
mod clock_jumps;
#[path = "sim/conformance.rs"]
mod conformance;
#[path = "sim/duties.rs"]
mod duties;
#[path = "sim/fair_lanes.rs"]
mod fair_lanes;
#[path = "sim/first_plan.rs"]
mod first_plan;
#[path = "sim/fleet.rs"]
mod fleet;
#[path = "sim/grants.rs"]
mod grants;
#[path = "sim/jumping.rs"]
mod jumping;
#[path = "sim/link.rs"]
mod link;
#[path = "sim/living_roster.rs"]
mod living_roster;
#[path = "sim/one_day.rs"]
mod one_day;
#[path = "sim/parts.rs"]
mod parts;
#[path = "sim/planner.rs"]
mod planner;
#[path = "sim/seeded.rs"]
mod seeded;
#[path = "sim/set_back.rs"]
mod set_back;
#[path = "sim/several.rs"]
mod several;
#[path = "sim/sign.rs"]
mod sign;
#[path = "sim/skewed.rs"]
mod skewed;
#[path = "sim/sky.rs"]
mod sky;
#[path = "sim/slow.rs"]
mod slow;
#[path = "sim/suspend.rs"]
mod suspend;
#[path = "sim/trouble.rs"]
mod trouble;
#[path = "sim/unverified.rs"]
mod unverified;
#[path = "sim/zones.rs"]
mod zones;

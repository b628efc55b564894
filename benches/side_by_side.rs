//! Everything that is worth measuring, side by side in one run, against what the machine can do: `make bench`.
//!
//! Each part prints its rows as it ends. A row with a goal says whether it was reached; none of them is a test.

#![expect(clippy::unwrap_used, clippy::disallowed_methods, reason = "a bench measures real time and may fail loudly")]

#[path = "side_by_side/bare.rs"]
mod bare;
#[path = "side_by_side/fleet.rs"]
mod fleet;
#[path = "side_by_side/log.rs"]
mod log;
#[path = "side_by_side/machine.rs"]
mod machine;
#[path = "side_by_side/plan.rs"]
mod plan;
#[path = "side_by_side/rest.rs"]
mod rest;
#[path = "side_by_side/row.rs"]
mod row;
#[path = "side_by_side/send.rs"]
mod send;

use row::Rows;

const BINARY: &str = env!("CARGO_BIN_EXE_warmup");

const PARTS: [&str; 8] = ["send", "submit", "lanes", "plan", "rest", "fleet", "simulate", "log"];

#[tokio::main]
async fn main() {
    let asked: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    if let [child, url] = asked.as_slice()
        && child == plan::CHILD
    {
        return plan::child(url).await;
    }
    let unknown: Vec<&String> = asked.iter().filter(|part| !PARTS.contains(&part.as_str())).collect();
    assert!(unknown.is_empty(), "there is no part {unknown:?}: name some of {PARTS:?}, or none for all");
    println!("{}\n", machine::described());
    let mut rows = Rows::default();
    for part in PARTS.iter().filter(|part| asked.is_empty() || asked.iter().any(|asked| asked == *part)) {
        match *part {
            "send" => send::plain(&mut rows).await,
            "submit" => send::submission(&mut rows).await,
            "lanes" => send::many_lanes(&mut rows).await,
            "plan" => plan::plans(&mut rows).await,
            "rest" => rest::at_rest(&mut rows).await,
            "fleet" => fleet::shards(&mut rows).await,
            "simulate" => fleet::simulated(&mut rows).await,
            _ => log::of_a_large_day(&mut rows).await,
        }
    }
    println!("\n{}", rows.summary());
}

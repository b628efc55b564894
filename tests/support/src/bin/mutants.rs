//! `make mutants` breaks each guard in a copy of the tree and checks that its tests fail.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    process::ExitCode,
};

use anyhow::{bail, ensure};
use warmup_support::mutants::{self, Mutant, copy::Copy, trial};

const USAGE: &str = "usage: mutants [--list | --only PART-OF-A-NAME ...]";

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<ExitCode> {
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../..")).canonicalize()?;
    let mut mutants = mutants::read(&root)?;
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => {}
        ["--list"] => {
            mutants
                .iter()
                .for_each(|Mutant { name, invariant, file, .. }| println!("{invariant:<7} {name:<60} {file}"));
            return Ok(ExitCode::SUCCESS);
        }
        ["--only", ref parts @ ..] if !parts.is_empty() => {
            mutants.retain(|mutant| parts.iter().any(|part| mutant.name.contains(part)));
        }
        _ => bail!("{USAGE}"),
    }
    ensure!(!mutants.is_empty(), "there is no such mutant: --list shows them");
    let faults = mutants::faults_of(&root, &mutants);
    ensure!(faults.is_empty(), "{}", faults.join("\n"));
    let copy = Copy::of(&root)?;
    sound(&copy, &mutants).await?;
    let mut survived = 0;
    for mutant in &mutants {
        let unnoticed = copy.damaged(mutant, attempt(&copy, mutant)).await?;
        survived += usize::from(!unnoticed.is_empty());
        let word = if unnoticed.is_empty() { "caught" } else { "WRONG" };
        println!("{word:<7} {:<7} {}", mutant.invariant, mutant.name);
        unnoticed.iter().for_each(|test| println!("          {test}"));
    }
    println!("{} of {} guards are held by their tests", mutants.len() - survived, mutants.len());
    Ok(if survived == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Checks that every test passes without damage: otherwise a failure would prove nothing.
async fn sound(copy: &Copy, mutants: &[Mutant]) -> anyhow::Result<()> {
    let runs = mutants.iter().flat_map(|mutant| mutant.tests_by_binary().into_keys().map(|run| (run, &mutant.filter)));
    for (binary, filter) in runs.collect::<BTreeSet<(String, &String)>>() {
        let results = trial::run(copy, &binary, filter).await?;
        let failed: Vec<&String> = results.iter().filter(|(_, passed)| !**passed).map(|(test, _)| test).collect();
        ensure!(failed.is_empty(), "{binary} fails without any damage: {failed:?}");
        println!("sound   {binary} {filter}: {} tests", results.len());
    }
    Ok(())
}

/// Runs the affected binaries and returns the listed tests that did not fail.
async fn attempt(copy: &Copy, mutant: &Mutant) -> anyhow::Result<Vec<String>> {
    let wanted: BTreeMap<String, BTreeSet<String>> = mutant.tests_by_binary();
    let mut unnoticed = Vec::new();
    for (binary, tests) in &wanted {
        match trial::run(copy, binary, &mutant.filter).await {
            Ok(results) => unnoticed.extend(trial::unnoticed_by(&results, tests)),
            Err(error) => unnoticed.push(format!("{error:#}")),
        }
    }
    Ok(unnoticed)
}

//! What was measured, line by line.

/// All rows of a run.
#[derive(Default)]
pub struct Rows {
    part: &'static str,
    reached: usize,
    missed: Vec<String>,
}

impl Rows {
    /// Begins a part of the table.
    pub fn part(&mut self, name: &'static str) {
        self.part = name;
        println!("\n{name}");
    }

    /// Adds what has no goal.
    pub fn note(&mut self, what: &str, value: &str) {
        println!("  {what:<58} {value}");
    }

    /// Adds a figure that is to be `most` at most, both in `unit`.
    pub fn at_most(&mut self, what: &str, value: f64, most: f64, unit: &str) {
        self.goal(what, value, &format!("at most {}", figure(most, unit)), unit, value <= most);
    }

    /// Adds a figure that is to be `least` at least.
    pub fn at_least(&mut self, what: &str, value: f64, least: f64, unit: &str) {
        self.goal(what, value, &format!("at least {}", figure(least, unit)), unit, value >= least);
    }

    fn goal(&mut self, what: &str, value: f64, goal: &str, unit: &str, reached: bool) {
        let verdict = if reached { "" } else { "  MISSED" };
        println!("  {what:<58} {:<14} {goal}{verdict}", figure(value, unit));
        if reached {
            self.reached += 1;
        } else {
            self.missed.push(format!("{}: {what}", self.part));
        }
    }

    /// Says how many goals were reached, and which were not.
    pub fn summary(&self) -> String {
        let Rows { reached, missed, .. } = self;
        let head = format!("{reached} of {} goals reached", reached + missed.len());
        missed.iter().fold(head, |text, missed| text + "\n  missed: " + missed)
    }
}

fn figure(value: f64, unit: &str) -> String {
    let number = match value.abs() {
        large if large >= 100.0 => format!("{value:.0}"),
        middle if middle >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    };
    if unit.is_empty() { number } else { format!("{number} {unit}") }
}

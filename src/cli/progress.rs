//! `Bar` shows the progress of work that takes longer than a second, on a terminal only.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

const PATIENCE: Duration = Duration::from_secs(1);

/// How far something is.
pub(super) struct Bar(ProgressBar);

impl Bar {
    /// A bar of `total` things, called `noun`. Nothing is drawn yet.
    pub(super) fn new(total: usize, noun: &str) -> Bar {
        let template = format!("{{bar:40}} {{pos}} of {{len}} {noun}");
        let style = ProgressStyle::with_template(&template).expect("the template is one");
        Bar(ProgressBar::with_draw_target(Some(total as u64), ProgressDrawTarget::hidden()).with_style(style))
    }

    /// So many are done.
    pub(super) fn at(&self, done: usize) {
        if self.0.is_hidden() && self.0.elapsed() > PATIENCE {
            self.0.set_draw_target(ProgressDrawTarget::stderr());
        }
        self.0.set_position(done as u64);
    }

    /// So many are done of `total`, which was not known before.
    pub(super) fn of(&self, done: usize, total: usize) {
        self.0.set_length(total as u64);
        self.at(done);
    }

    /// Takes the bar away.
    pub(super) fn end(&self) {
        self.0.finish_and_clear();
    }
}

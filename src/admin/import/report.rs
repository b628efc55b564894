//! `ImportReport` describes the changes of an import, or of a dry run, and its warnings.

use std::{collections::HashMap, fmt::Write};

use serde::Serialize;
use utoipa::ToSchema;

use super::plan::Plan;
use crate::{
    config::{EnrolledLoad, OwnerLoad, Settings},
    domain::{
        enrolment::{Faults, Profile, Rules},
        partners::{Names, PoolMember, shortages},
    },
};

/// The number of warnings about pasted passwords and user names in one report: as many as a person corrects by
/// hand.
const PASTED_TOLD: usize = 100;

/// The result of an import, or of its dry run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ImportReport {
    pub dry_run: bool,
    /// Addresses that were not known.
    pub new: Vec<String>,
    pub changed: Vec<Changed>,
    /// The number of mailboxes that need no change.
    pub unchanged: usize,
    /// The changed mailboxes that are active again: they were removed, or disabled for an access that is now different.
    pub reactivated: Vec<String>,
    /// Empty in a dry run.
    pub users_created: Vec<String>,
    /// Warnings about legal values that are perhaps not meant.
    pub warnings: Vec<String>,
    /// The mailboxes that `enrolled` covers.
    #[serde(skip)]
    #[schema(ignore)]
    scope: Scope,
    /// The enrolment after this import, for the arithmetic of the caps.
    #[serde(skip)]
    #[schema(ignore)]
    enrolled: EnrolledLoad,
}

/// The `Scope` is the set of mailboxes that the caller of an import may see.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Scope {
    #[default]
    All,
    Own,
}

impl ImportReport {
    /// Adds a warning for each cap of `settings` that cannot carry the enrolment after this import.
    pub fn with_caps(mut self, settings: &Settings) -> ImportReport {
        let short = match self.scope {
            Scope::All => settings.warnings_for(&self.enrolled),
            Scope::Own => settings.warnings_for_owners(&self.enrolled),
        };
        self.warnings.extend(short.iter().map(ToString::to_string));
        self
    }
}

/// A mailbox that the import changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = ChangedMailbox)]
pub struct Changed {
    pub email: String,
    /// The names of the columns that differ, and `verified` if the enrolment by an admin verifies the mailbox.
    pub columns: Vec<&'static str>,
}

/// Returns the report of `plan`; `members` are the mailboxes in `scope` that take part already. Only a caller
/// that may see all mailboxes gets a warning about too few partners.
pub(super) fn report(
    plan: &Plan,
    members: Vec<PoolMember>,
    scope: Scope,
    rules: &Rules,
    dry_run: bool,
) -> ImportReport {
    let members = joined(plan, members);
    let changed = plan.changed.iter();
    let reactivated = changed.clone().filter(|(stored, planned)| planned.reactivates(stored));
    ImportReport {
        dry_run,
        new: plan.new.iter().map(|planned| planned.profile.email.clone()).collect(),
        changed: changed
            .clone()
            .map(|(_, planned)| Changed { email: planned.profile.email.clone(), columns: planned.columns.clone() })
            .collect(),
        unchanged: plan.unchanged.len(),
        reactivated: reactivated.map(|(stored, _)| stored.profile.email.clone()).collect(),
        users_created: Vec::new(),
        warnings: warnings(plan, &members, scope, rules),
        scope,
        enrolled: load(&members),
    }
}

fn load(members: &[PoolMember]) -> EnrolledLoad {
    let of =
        |member: &PoolMember| (member.owner.to_lowercase(), OwnerLoad { mailboxes: 1, quota: member.quota.into() });
    members.iter().map(of).collect()
}

fn warnings(plan: &Plan, members: &[PoolMember], scope: Scope, rules: &Rules) -> Vec<String> {
    let mut warnings = Vec::new();
    let least = rules.daily_max;
    let low: Vec<String> = profiles(plan)
        .filter(|profile| profile.ramp.daily_max < least)
        .map(|profile| format!("{} ({})", profile.email, profile.ramp.daily_max))
        .collect();
    if !low.is_empty() {
        warnings.push(format!("daily_max below WARMUP_MIN_DAILY_QUOTA ({least}) is obeyed: {}", Names(&low)));
    }
    if scope == Scope::All {
        warnings.extend(shortages(members).iter().map(ToString::to_string));
    }
    warnings.extend(still_down(plan));
    warnings.extend(pasted(plan));
    warnings
}

/// Returns the first `PASTED_TOLD` warnings about pasted passwords and user names, and the number of the others.
fn pasted(plan: &Plan) -> impl Iterator<Item = String> {
    let (named, rest) = plan.pasted.split_at(PASTED_TOLD.min(plan.pasted.len()));
    let rest = (!rest.is_empty()).then(|| format!("and {} more passwords or user names that look pasted", rest.len()));
    named.iter().cloned().chain(rest)
}

fn profiles(plan: &Plan) -> impl Iterator<Item = &Profile> {
    let changed = plan.changed.iter().map(|(_, planned)| &planned.profile);
    plan.new.iter().map(|planned| &planned.profile).chain(changed).chain(&plan.unchanged)
}

/// Returns the mailboxes that take part, as they are after the plan. A new mailbox counts as verified: only a
/// caller that may see all mailboxes uses that field, and its enrolment verifies.
fn joined(plan: &Plan, members: Vec<PoolMember>) -> Vec<PoolMember> {
    let mut pool: HashMap<String, PoolMember> =
        members.into_iter().map(|member| (member.email.clone(), member)).collect();
    for (stored, planned) in &plan.changed {
        let takes_part =
            pool.contains_key(&stored.profile.email) || !stored.profile.enabled || planned.reactivates(stored);
        if takes_part && planned.profile.enabled {
            let verified = pool.get(&stored.profile.email).is_none_or(|known| known.verified);
            pool.insert(stored.profile.email.clone(), member(&planned.profile, verified));
        } else {
            pool.remove(&stored.profile.email);
        }
    }
    let new = plan.new.iter().map(|planned| &planned.profile).filter(|profile| profile.enabled);
    pool.extend(new.map(|profile| (profile.email.clone(), member(profile, true))));
    let mut pool: Vec<PoolMember> = pool.into_values().collect();
    pool.sort_unstable_by(|a, b| a.email.cmp(&b.email));
    pool
}

fn member(profile: &Profile, verified: bool) -> PoolMember {
    PoolMember {
        email: profile.email.clone(),
        owner: profile.user.clone(),
        domain: profile.domain(),
        quota: profile.ramp.daily_max,
        verified,
    }
}

fn still_down(plan: &Plan) -> Option<String> {
    let down =
        plan.changed.iter().filter(|(stored, planned)| stored.state == "disabled" && !planned.reactivates(stored));
    let names: Vec<String> = down
        .map(|(stored, _)| format!("{} ({})", stored.profile.email, stored.reason.as_deref().unwrap_or_default()))
        .collect();
    (!names.is_empty()).then(|| format!("changed, but still disabled: {}", Names(&names)))
}

/// Returns the listed errors, one per line, and the number of further errors.
pub(super) fn told(faults: &Faults) -> String {
    let mut text = match faults.total() {
        1 => "the file has a fault, nothing was imported:".to_owned(),
        faults => format!("the file has {faults} faults, nothing was imported:"),
    };
    faults.iter().for_each(|fault| write!(text, "\n  {fault}").expect("a string takes all that is written"));
    if faults.more() > 0 {
        write!(text, "\n  and {} more", faults.more()).expect("a string takes all that is written");
    }
    text
}

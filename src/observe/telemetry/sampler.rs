//! `Sampler` decides which traces are exported. The spans of a mail are created after its outcome is known,
//! so the outcome can decide.

use std::hash::{DefaultHasher, Hash, Hasher};

use opentelemetry::{
    Context, KeyValue,
    trace::{Link, SpanKind, TraceContextExt, TraceId},
};
use opentelemetry_sdk::trace::{SamplingDecision, SamplingResult, ShouldSample};

use super::{TelemetryError, fault};

/// The sampled share of sent mails and of requests.
const REST: f64 = 0.01;

/// The sampled share of successful operations.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sampler {
    rest: f64,
}

impl Sampler {
    /// Reads `OTEL_TRACES_SAMPLER` and its `_ARG`; returns `None` if no span is exported.
    pub(super) fn of(sampler: Option<&str>, arg: Option<&str>) -> Result<Option<Sampler>, TelemetryError> {
        let rest = match sampler {
            None => REST,
            Some("always_on" | "parentbased_always_on") => 1.0,
            Some("always_off" | "parentbased_always_off") => return Ok(None),
            Some("traceidratio" | "parentbased_traceidratio") => share(arg)?,
            Some(other) => {
                let known = "always_on, always_off and traceidratio are known, and each as parentbased_";
                return Err(fault("OTEL_TRACES_SAMPLER", other, known));
            }
        };
        Ok(Some(Sampler { rest }))
    }

    /// Returns true if the spans of a mail are exported.
    pub fn mail(self, went_well: bool, answers_a_kept_one: bool, message_id: &str) -> bool {
        !went_well || answers_a_kept_one || self.draws(message_id)
    }

    /// Returns the decision for `name`, which is equal in every process.
    fn draws(self, name: impl Hash) -> bool {
        let mut hasher = DefaultHasher::new();
        name.hash(&mut hasher);
        // Each hash below the share of the range is sampled: 1.0 samples all.
        (hasher.finish() as f64) < self.rest * 2.0_f64.powi(64)
    }
}

fn share(arg: Option<&str>) -> Result<f64, TelemetryError> {
    let Some(arg) = arg else { return Ok(1.0) };
    match arg.parse() {
        Ok(share) if (0.0..=1.0).contains(&share) => Ok(share),
        _ => Err(fault("OTEL_TRACES_SAMPLER_ARG", arg, "a share from 0 to 1, such as 0.01")),
    }
}

impl ShouldSample for Sampler {
    /// Decides about one span. A child follows its parent. Of the root spans only requests are numerous, so only
    /// requests are sampled by share.
    fn should_sample(
        &self,
        parent: Option<&Context>,
        trace: TraceId,
        _name: &str,
        kind: &SpanKind,
        _attributes: &[KeyValue],
        _links: &[Link],
    ) -> SamplingResult {
        let parent = parent.map(|context| context.span().span_context().clone()).filter(|parent| parent.is_valid());
        let keeps = match &parent {
            Some(parent) => parent.is_sampled(),
            None => *kind != SpanKind::Server || self.draws(trace.to_bytes()),
        };
        SamplingResult {
            decision: if keeps { SamplingDecision::RecordAndSample } else { SamplingDecision::Drop },
            attributes: Vec::new(),
            trace_state: parent.map(|parent| parent.trace_state().clone()).unwrap_or_default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(sampler: Option<&str>, arg: Option<&str>) -> usize {
        let keep = Sampler::of(sampler, arg).unwrap().unwrap();
        (0..10_000).filter(|n| keep.mail(true, false, &format!("{n}@a.test"))).count()
    }

    #[test]
    fn one_in_a_hundred_is_kept_of_what_went_well_or_as_many_as_is_asked() {
        assert!((50..200).contains(&kept(None, None)), "{}", kept(None, None));
        assert_eq!(kept(Some("always_on"), None), 10_000);
        assert_eq!(kept(Some("traceidratio"), Some("0")), 0);
        assert!((4_500..5_500).contains(&kept(Some("parentbased_traceidratio"), Some("0.5"))));
    }

    #[test]
    fn what_failed_and_what_answers_a_kept_mail_is_always_kept() {
        let keep = Sampler::of(Some("traceidratio"), Some("0")).unwrap().unwrap();
        assert!(keep.mail(false, false, "1@a.test") && keep.mail(true, true, "1@a.test"));
        assert!(!keep.mail(true, false, "1@a.test"));
    }

    #[test]
    fn a_share_is_a_number_from_0_to_1() {
        for wrong in ["2", "-1", "much"] {
            let said = Sampler::of(Some("traceidratio"), Some(wrong)).unwrap_err().to_string();
            assert!(said.contains("OTEL_TRACES_SAMPLER_ARG"), "{said}");
        }
    }
}

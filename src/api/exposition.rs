//! This module writes all metrics in Prometheus' text format, for `/metrics` and for the push to a collector.

use crate::{admin::services::Services, observe::fleet, reporting::fleet_gauges};

/// Returns the metrics of the fleet; an empty text while Postgres is unavailable, so that the process metrics
/// still arrive.
pub async fn fleet(desk: &Services) -> String {
    let gauges = async {
        let short = desk.capacity.short(&desk.database, &desk.settings, desk.clock.machine()).await?;
        fleet_gauges(&desk.database, &desk.census, &desk.settings, short, desk.clock.now()).await
    };
    match gauges.await {
        Ok(gauges) => fleet::text(&gauges),
        Err(error) => {
            tracing::warn!(%error, "the metrics go without the fleet's gauges: Postgres does not answer");
            String::new()
        }
    }
}

/// Returns the metrics of this process; an empty text if the settings disable them.
pub fn process(desk: &Services) -> String {
    if desk.settings.enable_detailed_metrics { desk.meters.text() } else { String::new() }
}

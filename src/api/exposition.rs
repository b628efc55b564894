//! All metrics in Prometheus' text format, as `/metrics` tells them and as they are pushed.

use crate::{admin::services::Services, observe::fleet, reporting::fleet_gauges};

/// What concerns the fleet; nothing while Postgres is away, because what the process counts is what one wants to see then.
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

/// What this process counts, where that is wanted.
pub fn process(desk: &Services) -> String {
    if desk.settings.enable_detailed_metrics { desk.meters.text() } else { String::new() }
}

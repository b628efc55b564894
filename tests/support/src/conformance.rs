//! The conformance suites test every implementation of a port with one list of cases. A test binary
//! implements the port's `World` for its service and expands the list into tests of its own:
//! `caps_conformance!(my_world);`.

pub mod bell;
pub mod caps;
pub mod duties;
pub mod leases;
pub mod ledger;
pub mod members;

/// Expands to a test of each named case, with a new world for each.
#[macro_export]
macro_rules! conformance_cases {
    ($suite:path, $world:path, $($case:ident)+) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn $case() {
                use $suite as suite;
                suite::$case(&$world().await).await;
            }
        )+
    };
}

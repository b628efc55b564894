//! `warmup domain verify|revoke`, and what they leave for whoever reads the statistics.

use super::{
    commands::{ok, warmup},
    standing::{run, twelve},
};

const COUNTED: &str = "UPDATE census SET taken_at = clock_timestamp()";

#[tokio::test(flavor = "multi_thread")]
async fn a_domain_that_is_confirmed_or_revoked_marks_the_statistics_as_out_of_date() {
    let database = twelve().await;
    let pool = database.pool();
    let is_marked = async || {
        let query = "SELECT marked_at > taken_at FROM census";
        sqlx::query_scalar::<_, bool>(query).fetch_one(pool).await.unwrap()
    };
    // It counts.
    ok(&warmup(&database, &["status"], ""));
    run(pool, "UPDATE mailboxes SET verified_by = NULL WHERE domain = 'd0.example'").await;
    for command in ["verify", "revoke"] {
        run(pool, COUNTED).await;
        assert!(!is_marked().await);
        ok(&warmup(&database, &["domain", command, "d0.example", "--user", "operator@localhost"], ""));
        assert!(is_marked().await, "{command} changes who receives");
    }
    let unverified = "SELECT count(*) FROM mailboxes WHERE verified_by IS NULL";
    let unverified: i64 = sqlx::query_scalar(unverified).fetch_one(pool).await.unwrap();
    assert_eq!(unverified, 10, "those of the domain");
}

//! What a page shows while it can't know how things are.

use crate::{script::Script, stage::Fixture};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_server_shows_as_lost_and_the_page_goes_on_by_itself_when_it_is_back() {
    let stage = Fixture::of_two(4).await;
    let (admin, worker) = (stage.admin().await, stage.start().await);
    let mut script = Script::start("lost", &[("URL", &stage.url()), ("TOKEN", &admin)]);
    script.comes_to("live").await;
    worker.kill().await;
    script.go_on().await;

    script.comes_to("lost").await;
    let again = stage.start().await;
    script.go_on().await;
    script.comes_to("back").await;

    let id = token_id(&stage).await;
    stage.command(&["token", "revoke", &id]).await;
    script.go_on().await;
    script.ends_well().await;
    again.kill().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_without_redis_says_so_on_the_page() {
    let mut stage = Fixture::of_two(4).await;
    let (admin, worker) = (stage.admin().await, stage.start().await);
    let mut script = Script::start("blind", &[("URL", &stage.url()), ("TOKEN", &admin)]);
    script.comes_to("live").await;
    stage.redis.halt().await;
    script.go_on().await;
    script.comes_to("blind").await;
    stage.redis.start_again().await.unwrap();
    script.go_on().await;
    script.ends_well().await;
    worker.kill().await;
}

async fn token_id(stage: &Fixture) -> String {
    let id: i64 = sqlx::query_scalar("SELECT max(id) FROM tokens").fetch_one(stage.pool()).await.unwrap();
    id.to_string()
}

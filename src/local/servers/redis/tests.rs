use super::*;

async fn set(url: &str, key: &str) -> redis::RedisResult<()> {
    let mut connection = redis::Client::open(url)?.get_multiplexed_async_connection().await?;
    redis::cmd("SET").arg(key).arg(1).query_async(&mut connection).await
}

async fn has(url: &str, key: &str) -> redis::RedisResult<bool> {
    let mut connection = redis::Client::open(url)?.get_multiplexed_async_connection().await?;
    redis::cmd("EXISTS").arg(key).query_async(&mut connection).await
}

#[tokio::test]
async fn an_outage_loses_everything_and_keeps_the_address() {
    let mut redis = PrivateRedis::temporary().await.unwrap();
    let url = redis.url();
    set(&url, "mail").await.unwrap();
    redis.halt().await;
    assert!(ping(&url).await.is_err());
    redis.start_again().await.unwrap();
    assert!(!has(&redis.url(), "mail").await.unwrap());
    assert_eq!(redis.url(), url);
}

#[tokio::test]
async fn a_temporary_redis_vanishes_also_when_it_is_down() {
    let mut redis = PrivateRedis::temporary().await.unwrap();
    let folder = redis.folder().to_owned();
    redis.halt().await;
    assert!(folder.exists());
    drop(redis);
    assert!(!folder.exists());
}

#[tokio::test]
async fn nobody_gets_in_without_the_password() {
    let dir = tempfile::tempdir().unwrap();
    let redis = PrivateRedis::start(dir.path()).await.unwrap();
    let (_, address) = redis.url().rsplit_once('@').map(|(_, a)| ((), a.to_owned())).unwrap();
    let error = ping(&format!("redis://{address}")).await.unwrap_err();
    assert!(error.to_string().to_lowercase().contains("auth"), "{error}");
    redis.stop().await;
}

//! Services that are not there yet when a worker starts are waited for; those that will never do are refused.

use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
};
use warmup_support::{
    day::MASTER_KEY,
    world::{TestDatabase, postgres, redis},
};

use crate::{
    gate::Gate,
    local::place::{Place, Running},
};

/// An operator's environment with these services in it, the database at this release.
async fn operator(database: &TestDatabase, redis_url: &str) -> Place {
    let place = Place::new().with("WARMUP_MASTER_KEY", MASTER_KEY).with("REDIS_URL", redis_url);
    let place = place.with("DATABASE_URL", database.url());
    assert_eq!(place.ran(&["migrate"]).await.0, Some(0));
    place
}

/// `warmup run`, which must end by itself with exit status 1 and `words`.
async fn refuses(place: &Place, words: &[&str]) {
    let mut worker = place.start(&["run"]);
    assert_eq!(worker.ended().await.code(), Some(1), "{}", worker.said());
    for words in words {
        worker.says(words).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn services_that_are_away_at_the_start_are_waited_for() {
    let (database, mut cache) = (postgres().await, redis().await);
    let gate = Gate::before(database.url()).await;
    let place = operator(&database, &cache.url()).await.with("DATABASE_URL", gate.url());
    gate.shut();
    cache.halt().await;
    let worker = place.start(&["run"]);
    worker.says("Postgres is away: waiting for it").await;
    assert_eq!(probe(&worker, "/healthz").await, 200, "it lives");
    assert_eq!(probe(&worker, "/readyz").await, 503, "and is not to be relied on");
    gate.open();
    worker.says("Postgres is there").await;
    worker.says("Redis is away: waiting for it").await;
    cache.start_again().await.unwrap();
    worker.says("Redis is there").await;
    worker.says("acquired shards").await;
    let said = worker.stop().await;
    assert_eq!(said.matches("is away: waiting for it").count(), 2, "each once: {said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_waits_for_a_service_obeys_a_stop() {
    let (database, mut cache) = (postgres().await, redis().await);
    let place = operator(&database, &cache.url()).await;
    cache.halt().await;
    let worker = place.start(&["run"]);
    worker.says("Redis is away").await;
    let said = worker.stop().await;
    assert!(said.contains("stopped before the worker had started"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_postgres_that_knows_no_such_user_is_not_waited_for() {
    let (database, cache) = (postgres().await, redis().await);
    let place = operator(&database, &cache.url()).await;
    let (scheme, rest) = database.url().split_once("warmup:").unwrap();
    let (_, address) = rest.split_once('@').unwrap();
    let place = place.with("DATABASE_URL", format!("{scheme}warmup:another@{address}"));
    refuses(&place, &["refuses: ", "check user, password and database in DATABASE_URL"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_of_another_release_is_refused_with_a_sentence() {
    let (database, cache) = (postgres().await, redis().await);
    let place = operator(&database, &cache.url()).await;
    const NEWER: &str = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
                         VALUES ($1, 'of another release', true, '\\x00', 0)";
    let apply = async |version: i64| sqlx::query(NEWER).bind(version).execute(database.pool()).await.unwrap();
    apply(9_999).await;
    refuses(&place, &["this release is older than the database (migration 9999", "use a newer warmup"]).await;
    sqlx::query("DELETE FROM _sqlx_migrations WHERE version = 9999").execute(database.pool()).await.unwrap();
    apply(0).await;
    refuses(&place, &["migration 0 in the database is not the one of this release"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_older_than_7_is_refused_with_a_sentence() {
    let database = postgres().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("redis://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            tokio::spawn(speak_as_an_old_redis(client));
        }
    });
    let place = operator(&database, &url).await;
    refuses(&place, &["is Redis 6.2.14, and warmup's scripts need 7.0 or newer", "upgrade it"]).await;
}

const INFO: &str = "# Server\r\nredis_version:6.2.14\r\nredis_mode:standalone\r\nos:Linux 6.1.0 x86_64\r\n";

async fn speak_as_an_old_redis(client: TcpStream) -> std::io::Result<()> {
    let mut client = BufReader::new(client);
    loop {
        let command = command(&mut client).await?;
        let answer = match command.first().map(|word| word.to_ascii_uppercase()).as_deref() {
            None => return Ok(()),
            Some("PING") => "+PONG\r\n".to_owned(),
            Some("INFO") => format!("${}\r\n{INFO}\r\n", INFO.len()),
            // What its successors added.
            Some("CLIENT") => "-ERR Unknown subcommand or wrong number of arguments for 'SETINFO'\r\n".to_owned(),
            Some(_) => "+OK\r\n".to_owned(),
        };
        client.get_mut().write_all(answer.as_bytes()).await?;
    }
}

/// Reads a command: an array of strings. Nothing when the client is gone.
async fn command(client: &mut BufReader<TcpStream>) -> std::io::Result<Vec<String>> {
    let mut words = Vec::new();
    for _ in 0..number(client).await? {
        let mut word = vec![0; number(client).await? + 2];
        client.read_exact(&mut word).await?;
        words.push(String::from_utf8_lossy(&word[..word.len() - 2]).into_owned());
    }
    Ok(words)
}

/// Reads the number of a line such as `*2` or `$4`.
async fn number(client: &mut BufReader<TcpStream>) -> std::io::Result<usize> {
    let mut line = String::new();
    client.read_line(&mut line).await?;
    Ok(line.trim_start_matches(['*', '$']).trim().parse().unwrap_or(0))
}

/// Asks a probe at the address that the worker's log tells.
async fn probe(worker: &Running, path: &str) -> u16 {
    worker.says("/readyz are answered").await;
    let said = worker.said();
    let (_, rest) = said.split_once("address=").expect("the line names the address");
    let address = rest.split_whitespace().next().unwrap();
    let mut tcp = TcpStream::connect(address).await.unwrap();
    tcp.write_all(format!("GET {path} HTTP/1.0\r\n\r\n").as_bytes()).await.unwrap();
    let mut answer = String::new();
    tcp.read_to_string(&mut answer).await.unwrap();
    answer.split(' ').nth(1).unwrap().parse().unwrap()
}

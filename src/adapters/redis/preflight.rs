//! `check` examines a Redis before a worker relies on it. The server must be a master and new enough, grant every right
//! that we need, and hold no foreign keys under our names. It reports all missing rights together, before anything is
//! sent.
//!
//! Rights are tried, not read: each command runs once on a trial key, which is deleted afterwards. That detects
//! commands that a server forbids, renames or hides, and needs no further right.

use redis::{Cmd, RedisError, RedisResult, Script, Value, cmd};
use tokio::time::timeout;

use super::{
    Keys, Pool,
    classify::{classify, classify_unsent, tls_fault},
    pool::{self, CALL_TIMEOUT},
};
use crate::{
    domain::{caps::CapKind, shard::all_shards},
    ports::{LeaseKey, PortError},
};

/// The first release with scripts that declare themselves by `#!lua`. If memory is short or the server is a replica,
/// Redis refuses such a script as a whole before it runs, not in the middle.
const OLDEST_VERSION: (u32, u32) = (7, 0);

/// The commands that we or our scripts run. The pool checks an idle connection with PING and UNWATCH.
const COMMANDS: &str = "+evalsha +script|load +get +mget +set +del +pexpire +pexpireat +zadd +zrem +zscore +zrange +hget \
                        +hset +hdel +time +info +ping +unwatch +publish +subscribe";

/// The command that finds the other nodes of a cluster.
const ON_A_CLUSTER: &str = "+cluster|slots";

/// Returns the ACL SETUSER rule that suffices for a fleet under `prefix`; `cluster` if the server is part of a cluster.
pub fn acl_rule(prefix: &str, cluster: bool) -> String {
    let keys = Keys::new(prefix);
    let rule = format!("{} &{} -@all {COMMANDS}", keys.pattern(), keys.bell());
    if cluster { format!("{rule} {ON_A_CLUSTER}") } else { rule }
}

/// Checks the Redis of `pool` for a fleet of `shards` under `prefix`, and returns warnings.
///
/// Returns `Unavailable` or `Unknown` if no server answers now, and `Permanent` with a remedy if this one is
/// unsuitable.
pub async fn check(pool: &Pool, prefix: &str, shards: u16) -> Result<Vec<String>, PortError> {
    let told = server_info(pool).await?;
    if let Some(told) = &told {
        new_enough(told)?;
        a_master(told)?;
    }
    let cluster = told.as_deref().is_some_and(|told| field(told, "redis_mode") == Some("cluster"));
    let missing = missing_rights(pool, &Keys::new(prefix), cluster).await?;
    if !missing.is_empty() {
        return Err(PortError::Permanent(format!(
            "the user of REDIS_URL may not use {}: give it its rights by `ACL SETUSER <user> {}`",
            missing.join(", "),
            acl_rule(prefix, cluster)
        )));
    }
    if cluster {
        pool.refresh_nodes().await;
    }
    check_foreign_keys(pool, &Keys::new(prefix), shards).await?;
    // Read again: on a cluster it may be another node by now.
    Ok(server_info(pool).await?.as_deref().and_then(eviction).into_iter().collect())
}

/// Checks that a Redis answers and is new enough.
pub async fn check_version(pool: &Pool) -> Result<(), PortError> {
    let told: String = pool::query(pool, cmd("INFO").arg("server")).await?;
    new_enough(&told)
}

/// Returns the server's INFO text; `None` if the user has no right to it.
async fn server_info(pool: &Pool) -> Result<Option<String>, PortError> {
    match pool::try_query::<String>(pool, &cmd("INFO")).await {
        Ok(Ok(told)) => Ok(Some(told)),
        Ok(Err(error)) if is_forbidden(&error) => Ok(None),
        Ok(Err(error)) => Err(classify(error)),
        Err(error) => Err(mistaken(pool).await.unwrap_or(error)),
    }
}

/// Returns the cause of a meaningless answer: the server speaks TLS and we do not, or the other way round.
async fn mistaken(pool: &Pool) -> Option<PortError> {
    let at = pool.node().address;
    at.place()?;
    if at.is_encrypted() {
        let plain = at.plain();
        let client = plain.client().ok()?;
        let answered = timeout(CALL_TIMEOUT, client.get_multiplexed_async_connection()).await.ok()?;
        let speaks = match answered {
            Ok(mut connection) => {
                let pong = timeout(CALL_TIMEOUT, cmd("PING").query_async::<Value>(&mut connection)).await.ok()?;
                pong.is_ok() || pong.is_err_and(|error| error.code().is_some())
            }
            Err(error) => error.code().is_some(),
        };
        return speaks.then(|| {
            PortError::Permanent(format!(
                "the Redis at {at} speaks without TLS: write redis:// into REDIS_URL, or rediss:// with its TLS port"
            ))
        });
    }
    let client = at.encrypted().client().ok()?;
    let speaks = match timeout(CALL_TIMEOUT, client.get_multiplexed_async_connection()).await.ok()? {
        Ok(_) => true,
        Err(error) => tls_fault(&error).is_some_and(|fault| matches!(fault, rustls::Error::InvalidCertificate(_))),
    };
    speaks.then(|| PortError::Permanent(format!("the Redis at {at} speaks TLS: write rediss:// into REDIS_URL")))
}

fn field<'a>(told: &'a str, name: &str) -> Option<&'a str> {
    told.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
}

fn new_enough(told: &str) -> Result<(), PortError> {
    let version = field(told, "redis_version").unwrap_or("unknown");
    let mut numbers = version.split('.').map(|part| part.parse().unwrap_or(0));
    let found = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    if found >= OLDEST_VERSION {
        return Ok(());
    }
    Err(PortError::Permanent(format!(
        "the server at REDIS_URL is Redis {version}, and warmup's scripts need 7.0 or newer: upgrade it, or point \
         REDIS_URL at another"
    )))
}

/// Rejects a Sentinel, and a replica outside a cluster. A replica in a cluster names its master.
fn a_master(told: &str) -> Result<(), PortError> {
    let mode = field(told, "redis_mode");
    if mode == Some("sentinel") {
        return Err(PortError::Permanent(
            "the server at REDIS_URL is a Sentinel, which is not asked: name the master that it watches, by an address \
             that moves with it at a failover"
                .into(),
        ));
    }
    if field(told, "role") != Some("slave") || mode == Some("cluster") {
        return Ok(());
    }
    let (host, port) = (field(told, "master_host").unwrap_or("?"), field(told, "master_port").unwrap_or("?"));
    Err(PortError::Permanent(format!(
        "the server at REDIS_URL is a replica of {host}:{port} and does not write: name the master, by an address that \
         moves with it at a failover"
    )))
}

/// Returns a warning if the server evicts keys. Eviction loses leases and buckets, which is safe and slow. All our keys
/// expire, so `volatile-*` evicts them too.
fn eviction(told: &str) -> Option<String> {
    let policy = field(told, "maxmemory_policy").filter(|policy| *policy != "noeviction")?;
    field(told, "maxmemory").filter(|limit| *limit != "0")?;
    Some(format!(
        "this Redis evicts keys when its memory is full (maxmemory-policy {policy}), also our leases and caps: the fleet \
         then stops for a while and its caps begin at nothing; use `noeviction`, or a Redis of our own"
    ))
}

/// Tries every command once. Returns each missing right once, as text for the operator.
async fn missing_rights(pool: &Pool, keys: &Keys, cluster: bool) -> Result<Vec<String>, PortError> {
    let mut missing: Vec<String> = Vec::new();
    let mut lacks = |what: String| {
        if !missing.contains(&what) {
            missing.push(what);
        }
    };
    for command in trials(&keys.trial(), &keys.bell(), cluster) {
        if let Err(error) = pool::try_query::<Value>(pool, &command).await? {
            lacks_of(&error, &name(&command), keys).into_iter().for_each(&mut lacks);
        }
    }
    let node = pool.node();
    let listening = timeout(CALL_TIMEOUT, pool.listen(&keys.bell())).await;
    let listening: RedisResult<()> = match listening {
        Ok(listening) => listening.map(drop),
        Err(_) => return Err(PortError::Unavailable("Redis: SUBSCRIBE is not answered in time".into())),
    };
    if let Err(error) = listening {
        match lacks_of(&error, "SUBSCRIBE", keys) {
            Some(what) => lacks(what),
            None => return Err(classify_unsent(&node.address, error)),
        }
    }
    Ok(missing)
}

/// Returns each command with harmless arguments. The keys that the members' commands leave behind expire by themselves.
fn trials(trial: &str, bell: &str, cluster: bool) -> Vec<Cmd> {
    let of = |words: &[&str]| {
        let mut command = cmd(words[0]);
        command.arg(&words[1..]);
        command
    };
    let script = Script::new("#!lua\nreturn 1");
    let mut all = vec![
        of(&["INFO", "server"]),
        of(&["TIME"]),
        of(&["PING"]),
        of(&["UNWATCH"]),
        of(&["SET", trial, "1", "PX", "1000"]),
        of(&["GET", trial]),
        of(&["MGET", trial]),
        of(&["PEXPIREAT", trial, "0"]),
        of(&["DEL", trial]),
        of(&["ZADD", trial, "1", "one"]),
        of(&["PEXPIRE", trial, "1000"]),
        of(&["ZSCORE", trial, "one"]),
        of(&["ZRANGE", trial, "0", "-1"]),
        of(&["ZREM", trial, "one"]),
        of(&["HSET", trial, "one", "1"]),
        of(&["PEXPIRE", trial, "1000"]),
        of(&["HGET", trial, "one"]),
        of(&["HDEL", trial, "one"]),
        of(&["SCRIPT", "LOAD", "#!lua\nreturn 1"]),
        of(&["EVALSHA", script.get_hash(), "1", trial]),
        // A message that no worker knows.
        of(&["PUBLISH", bell, "hello"]),
    ];
    if cluster {
        all.push(of(&["CLUSTER", "SLOTS"]));
    }
    all
}

/// Returns the command's name, with its first argument if that is a part of the name.
fn name(command: &Cmd) -> String {
    let mut words = command.args_iter().filter_map(|arg| match arg {
        redis::Arg::Simple(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
        _ => None,
    });
    let first = words.next().unwrap_or_default();
    match words.next() {
        Some(second) if ["SCRIPT", "CLUSTER"].contains(&first.as_str()) => format!("{first} {second}"),
        _ => first,
    }
}

fn is_forbidden(error: &RedisError) -> bool {
    let unknown = error.to_string().contains("unknown command") || error.to_string().contains("unknown subcommand");
    error.code() == Some("NOPERM") || unknown
}

/// Returns the missing right that an error reports: the command, the keys or the channel. Returns `None` for other
/// errors.
fn lacks_of(error: &RedisError, command: &str, keys: &Keys) -> Option<String> {
    if !is_forbidden(error) {
        return None;
    }
    let said = error.to_string();
    Some(match (said.contains("channel"), said.contains("key")) {
        (true, _) => format!("the channel {}", keys.bell()),
        (_, true) => format!("the keys {}", keys.pattern()),
        _ => command.to_owned(),
    })
}

/// Checks that no other program has keys under our names.
async fn check_foreign_keys(pool: &Pool, keys: &Keys, shards: u16) -> Result<(), PortError> {
    let script = Script::new(include_str!("../../../lua/strangers.lua"));
    let mut call = script.key(keys.members());
    call.key(keys.statuses()).key(keys.fleet());
    let leases = all_shards(shards).into_iter().map(LeaseKey::Shard);
    for lease in [LeaseKey::Solo, LeaseKey::Leader].into_iter().chain(leases) {
        call.key(keys.lease(lease));
    }
    for kind in [CapKind::GlobalHour, CapKind::GlobalMinute] {
        call.key(keys.fleet_cap(kind));
    }
    let strange: Vec<String> = pool::run(pool, &call).await?;
    match strange.as_slice() {
        [] => Ok(()),
        [key, rest @ ..] => Err(PortError::Permanent(format!(
            "another program keeps something of its own under the key `{key}`{}: choose another WARMUP_REDIS_PREFIX, \
             nothing of it was touched",
            if rest.is_empty() { String::new() } else { format!(" and {} more of our names", rest.len()) }
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_server_is_refused_with_what_to_do() {
        for version in ["7.0.15", "7.2.4", "8.0.0", "10.1"] {
            assert!(new_enough(&format!("# Server\r\nredis_version:{version}\r\nos:Linux\r\n")).is_ok(), "{version}");
        }
        for version in ["6.2.14", "5.0.3", "unstable"] {
            let error = new_enough(&format!("redis_version:{version}\r\n")).unwrap_err().to_string();
            assert!(error.contains(version) && error.contains("upgrade it"), "{error}");
        }
        assert!(new_enough("").is_err());
    }

    #[test]
    fn a_replica_is_refused_unless_its_cluster_knows_the_way() {
        let told = "redis_mode:standalone\r\nrole:slave\r\nmaster_host:one\r\nmaster_port:6379\r\n";
        let error = a_master(told).unwrap_err().to_string();
        assert!(error.contains("replica of one:6379") && error.contains("name the master"), "{error}");
        assert!(a_master(&told.replace("standalone", "cluster")).is_ok());
        assert!(a_master("redis_mode:sentinel\r\n").unwrap_err().to_string().contains("is a Sentinel"));
        assert!(a_master(&told.replace("slave", "master")).is_ok());
    }

    #[test]
    fn only_a_server_that_really_evicts_is_warned_of() {
        let told = |limit: &str, policy: &str| format!("maxmemory:{limit}\r\nmaxmemory_policy:{policy}\r\n");
        assert_eq!(eviction(&told("0", "allkeys-lru")), None);
        assert_eq!(eviction(&told("100", "noeviction")), None);
        for policy in ["allkeys-lru", "volatile-ttl"] {
            assert!(eviction(&told("100", policy)).unwrap().contains(policy));
        }
    }

    #[test]
    fn every_command_of_the_rule_is_tried() {
        let tried: Vec<String> = trials("t", "b", true).iter().map(|trial| name(trial).to_lowercase()).collect();
        let rule = acl_rule("warmup", true);
        let named = rule.split(' ').filter_map(|word| word.strip_prefix('+')).map(|word| word.replace('|', " "));
        for right in named.filter(|right| right != "subscribe") {
            assert!(tried.contains(&right), "{right}");
        }
    }
}

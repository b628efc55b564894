//! This module parses REDIS_URL. It refuses each form that the client accepts but warmup does not support,
//! with a specific error.

use redis::IntoConnectionInfo;
use secrecy::SecretString;

use super::text::{Text, secret};

pub(in crate::config) fn redis_url() -> Text<SecretString> {
    let write = "redis://user:password@host:6379/0, or rediss:// for TLS, with special characters percent-encoded";
    secret("URL", write, |text| match unsupported(text) {
        Some(fault) => Err(fault),
        None => text.into_connection_info().map(|_| text.into()).map_err(|_| "is not the URL of a Redis server"),
    })
}

/// Returns the error for a URL that another client might accept, or `None` if it is supported.
fn unsupported(text: &str) -> Option<&'static str> {
    let (scheme, rest) = text.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let hosts = authority.rsplit('@').next().unwrap_or_default();
    if scheme.contains("sentinel") {
        return Some(
            "names Sentinels, which are not asked: name the one master, by an address that moves with it at a failover",
        );
    }
    if scheme.contains("cluster") {
        return Some("has a scheme of its own for a cluster: write redis:// or rediss:// and any one node");
    }
    if hosts.contains(',') {
        return Some(
            "names several hosts: name one master, or any one node of a cluster, the others are found from it",
        );
    }
    if rest.ends_with("#insecure") {
        return Some(
            "asks not to check the certificate, which is always checked: name its authority in WARMUP_TLS_CA_FILE",
        );
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::kind::Kind;

    fn fault(text: &str) -> &'static str {
        redis_url().read(text).expect_err(text)
    }

    #[test]
    fn plain_and_encrypted_addresses_are_read() {
        for url in [
            "redis://cache",
            "rediss://fleet:p%40ss%2Fword@cache:6380/3",
            "valkey://cache",
            "valkeys://:secret@[::1]:6380",
            "unix:///run/redis.sock",
        ] {
            assert!(redis_url().read(url).is_ok(), "{url}");
        }
        for wrong in ["cache:6379", "http://cache", "redis://cache/first"] {
            assert_eq!(fault(wrong), "is not the URL of a Redis server", "{wrong}");
        }
    }

    #[test]
    fn what_is_not_supported_is_told_apart() {
        for sentinel in ["redis-sentinel://a:26379/mymaster", "redis+sentinel://a,b,c/mymaster", "rediss+sentinel://a"]
        {
            assert!(fault(sentinel).contains("one master"), "{sentinel}");
        }
        assert!(fault("redis://:a@one:6379,two:6379/0").contains("several hosts"));
        assert!(fault("redis-cluster://one:6379").contains("any one node"));
        assert!(fault("rediss://one:6379/0#insecure").contains("WARMUP_TLS_CA_FILE"));
    }
}

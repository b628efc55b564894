//! A client that knows nothing but `/openapi.json` asks whatever that allows, and what it does not: no answer is a fault of
//! ours, and each is as the document says. It is no part of `cargo test`, because it needs schemathesis; `make test-all`
//! installs that and runs this.

#![cfg(test)]

use std::{path::Path, time::Duration};

use tokio::process::Command;
use warmup_support::{process::Binary, world};

const ADMIN: &str = "the-admins-own-token";

/// The same questions each time. Of more there would be more of the same kinds.
const SEED: &str = "20261124";
const EXAMPLES: &str = "12";

/// Far more than it takes.
const PATIENCE: Duration = Duration::from_secs(300);

/// What must hold of each answer. That a refusal is right is for `tests/api` to say.
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,\
                      response_schema_conformance";

const CSV: &str = "email,password,smtp_host,smtp_port,smtp_security\n\
                   a@x.test,secret,127.0.0.1,1,none\nb@y.test,secret,127.0.0.1,1,none\n";

#[tokio::test(flavor = "multi_thread")]
async fn whoever_reads_the_document_finds_no_fault() {
    let (database, redis) = tokio::join!(world::postgres(), world::redis());
    let binary = Binary::new(env!("CARGO_BIN_EXE_warmup"), database.url(), &redis.url())
        .with("WARMUP_HTTP_ADDR", "127.0.0.1:0")
        .with("WARMUP_LOG_FORMAT", "json")
        .with("WARMUP_ADMIN_TOKEN", ADMIN);
    binary.command(&["migrate"], "").await;
    binary.command(&["mailbox", "import", "-"], CSV).await;
    let worker = binary.run();
    let document = format!("http://{}/openapi.json", worker.address().await);
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/schemathesis/bin/schemathesis");
    let folder = tempfile::TempDir::new().unwrap();
    let mut client = Command::new(program);
    client.args(["run", &document, "--header", &format!("Authorization: Bearer {ADMIN}")]);
    client.args(["--checks", CHECKS, "--phases", "examples,coverage,fuzzing", "--mode", "all"]);
    client.args(["--seed", SEED, "--max-examples", EXAMPLES, "--generation-deterministic", "--continue-on-failure"]);
    // A stream has no end.
    client.args(["--exclude-path", "/api/warmup/stream", "--request-timeout", "30", "--warnings", "off"]);
    let asked = client.current_dir(&folder).env("NO_COLOR", "1").kill_on_drop(true).output();
    let asked = tokio::time::timeout(PATIENCE, asked).await.expect("it ends");
    let output = asked.expect("schemathesis is installed: scripts/setup.sh test-all");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}\n{}", worker.log());
    println!("{said}");
}

//! `warmup mailbox test`: the very path of a mail, up to RSET.

use std::process::Output;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    process::Command,
};
use warmup_support::{
    day::MASTER_KEY,
    mailstack::{Accounts, Authority, MailStack},
    smtp::{Act, FaultyHost, Moment, Script},
    world::{self, TestDatabase},
};

use crate::canary::{self, CANARY};

/// The command on a database, with what the mail hosts of these tests need.
struct Operator {
    database: TestDatabase,
    vars: Vec<(&'static str, String)>,
}

impl Operator {
    async fn new() -> Operator {
        let database = world::postgres().await;
        let vars = vec![
            ("DATABASE_URL", database.url().to_owned()),
            ("WARMUP_MASTER_KEY", MASTER_KEY.to_owned()),
            ("WARMUP_ALLOW_PRIVATE_HOSTS", "true".to_owned()),
        ];
        let operator = Operator { database, vars };
        operator.run(&["migrate"], "").await;
        operator
    }

    fn with(mut self, name: &'static str, value: impl ToString) -> Operator {
        self.vars.push((name, value.to_string()));
        self
    }

    async fn run(&self, args: &[&str], input: &str) -> Output {
        self.end(self.command(args), input).await
    }

    /// Runs a command that lacks a setting.
    async fn run_without(&self, name: &str, args: &[&str]) -> Output {
        let mut command = self.command(args);
        command.env_remove(name);
        self.end(command, "").await
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_warmup"));
        command.args(args).env_clear().envs(self.vars.iter().map(|(name, value)| (*name, value))).kill_on_drop(true);
        command
    }

    async fn end(&self, mut command: Command, input: &str) -> Output {
        command.stdin(std::process::Stdio::piped());
        let mut child =
            command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped()).spawn().unwrap();
        // A command that does not read its input may have closed it already.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes()).await;
        let output = child.wait_with_output().await.unwrap();
        canary::assert_absent("what a command prints", &[&output.stdout[..], &output.stderr].concat());
        output
    }

    /// Enrols one mailbox a host, `a0@one.test` on, by port and security.
    async fn enrol(&self, hosts: &[(u16, &str)]) {
        let mut csv = "email,password,smtp_host,smtp_port,smtp_security\n".to_owned();
        for (n, (port, security)) in hosts.iter().enumerate() {
            csv += &format!("a{n}@one.test,{CANARY}-{n},localhost,{port},{security}\n");
        }
        let output = self.run(&["mailbox", "import", "-"], &csv).await;
        assert!(output.status.success(), "{}", text(&output));
    }

    async fn states(&self) -> Vec<String> {
        sqlx::query_scalar("SELECT DISTINCT state FROM mailboxes").fetch_all(self.database.pool()).await.unwrap()
    }
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn json(output: &Output) -> serde_json::Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {}", text(output)))
}

fn steps(checked: &serde_json::Value) -> Vec<String> {
    let steps = checked["steps"].as_array().unwrap().iter();
    steps.map(|step| format!("{} {}", step["step"].as_str().unwrap(), step["code"])).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mailboxes_on_a_real_postfix_are_walked_to_rset_and_no_mail_is_sent() {
    let authority = Authority::new();
    let logins = (0..3).map(|n| (format!("a{n}@one.test"), format!("{CANARY}-{n}"))).collect();
    let stack = MailStack::start(&authority, Accounts { logins, unknown: vec![] }).await;
    let operator = Operator::new().await.with("WARMUP_TLS_CA_FILE", authority.file().display());
    operator.enrol(&[(stack.starttls_port(), "starttls"), (stack.tls_port(), "tls"), (stack.tls_port(), "tls")]).await;

    let tested = operator.run(&["mailbox", "test", "--all", "--json"], "").await;
    assert!(tested.status.success(), "{}", text(&tested));
    let checked = json(&tested);
    assert_eq!(
        steps(&checked[0]),
        [
            "connect null",
            "greeting 220",
            "ehlo 250",
            "starttls 220",
            "tls null",
            "ehlo 250",
            "auth 235",
            "mail 250",
            "rcpt 250",
            "rset 250"
        ]
    );
    assert_eq!(
        steps(&checked[1]),
        ["connect null", "tls null", "greeting 220", "ehlo 250", "auth 235", "mail 250", "rcpt 250", "rset 250"]
    );
    // A wrong password fails alone, and is told with what to do.
    let set = ["mailbox", "set", "a2@one.test", "--password-stdin"];
    assert!(operator.run(&set, "another one").await.status.success());
    let tested = operator.run(&["mailbox", "test", "a1@one.test", "A2@one.test"], "").await;
    let told = text(&tested);
    assert_eq!(tested.status.code(), Some(1), "{told}");
    for part in
        ["failed at auth: auth-refused", "535", "warmup mailbox set a2@one.test --password", "1 can send, 1 failed"]
    {
        assert!(told.contains(part), "{part} is not in {told}");
    }
    assert_eq!(operator.states().await, ["active"], "a test punishes nobody");
    assert_eq!((stack.queued(), stack.delivered().len()), (0, 0));
    canary::assert_absent_from_postgres(operator.database.pool()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_of_nobody_we_trust_is_refused_as_when_sending() {
    let accounts = Accounts { logins: vec![("a0@one.test".to_owned(), format!("{CANARY}-0"))], unknown: vec![] };
    let stack = MailStack::start(&Authority::new(), accounts).await;
    let operator = Operator::new().await;
    operator.enrol(&[(stack.tls_port(), "tls"), (stack.starttls_port(), "starttls")]).await;
    let tested = operator.run(&["mailbox", "test", "--all", "--json"], "").await;
    assert_eq!(tested.status.code(), Some(1));
    for checked in json(&tested).as_array().unwrap() {
        assert_eq!(
            (checked["fault"]["reason"].as_str(), checked["fault"]["stage"].as_str()),
            (Some("certificate-bad"), Some("tls"))
        );
        assert!(checked["fault"]["advice"].as_str().unwrap().contains("WARMUP_TLS_CA_FILE"));
    }
    assert!(!stack.postfix_log().contains("sasl_username"), "nobody logged in");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_step_that_failed_is_named_with_its_code() {
    let refused_sender = "553 5.7.1 Sender address rejected: not owned by user\r\n";
    let scripts = [
        (Script::usual().at(Moment::Mail, [Act::say(refused_sender)]), "mail", 553),
        (Script::usual().at(Moment::Rcpt, [Act::say("550 5.1.1 no such user\r\n")]), "rcpt", 550),
        (Script::usual().at(Moment::Greeting, [Act::say("554 5.7.1 not you\r\n")]), "greeting", 554),
        (Script::usual().at(Moment::Auth, [Act::say(&format!("535 5.7.8 {CANARY}-3 is wrong\r\n"))]), "auth", 535),
    ];
    let operator = Operator::new().await.with("WARMUP_ALLOW_PLAINTEXT", "true");
    let mut hosts = Vec::new();
    for (script, ..) in &scripts {
        hosts.push(FaultyHost::start(script.clone()).await);
    }
    operator.enrol(&hosts.iter().map(|host| (host.port(), "none")).collect::<Vec<_>>()).await;
    let tested = operator.run(&["mailbox", "test", "--all", "--json"], "").await;
    assert_eq!(tested.status.code(), Some(1));
    for (checked, (_, stage, code)) in json(&tested).as_array().unwrap().iter().zip(&scripts) {
        let fault = &checked["fault"];
        assert_eq!((fault["stage"].as_str(), fault["code"].as_u64()), (Some(*stage), Some(*code)), "{checked}");
        assert!(!checked["ok"].as_bool().unwrap());
    }
    assert!(hosts.iter().all(|host| !host.heard().contains("DATA")));
    assert_eq!(operator.states().await, ["active"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_rules_of_sending_hold_and_rset_ends_it() {
    let host = FaultyHost::start(Script::usual()).await;
    let operator = Operator::new().await.with("WARMUP_ALLOW_PLAINTEXT", "true");
    operator.enrol(&[(host.port(), "none")]).await;
    let heard_before = host.heard();
    for (name, reason) in
        [("WARMUP_ALLOW_PLAINTEXT", "plaintext-refused"), ("WARMUP_ALLOW_PRIVATE_HOSTS", "private-host")]
    {
        let tested = operator.run_without(name, &["mailbox", "test", "a0@one.test"]).await;
        assert!(tested.status.code() == Some(1) && text(&tested).contains(reason), "{}", text(&tested));
    }
    assert_eq!(host.heard(), heard_before, "nothing was connected to");
    let usual = operator.run(&["mailbox", "test", "a0@one.test"], "").await;
    let heard = host.heard();
    assert!(heard.contains("MAIL FROM:<a0@one.test>") && heard.contains("RCPT TO:<a0@one.test>"), "{heard}");
    assert!(heard.contains("RSET\r\n") && !heard.contains("DATA"), "{heard}");
    assert!(text(&usual).contains("rset"), "{}", text(&usual));
}

/// The host speaks to nobody until four have come.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_are_tested_at_once() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let serving = tokio::spawn(async move {
        let mut all = Vec::new();
        while all.len() < 4 {
            all.push(listener.accept().await.unwrap().0);
        }
        for mut one in all {
            one.write_all(b"421 4.3.2 all of you at once\r\n").await.unwrap();
            let _ = one.read(&mut [0; 64]).await;
        }
    });
    let operator = Operator::new().await.with("WARMUP_ALLOW_PLAINTEXT", "true");
    operator.enrol(&[(port, "none"); 4]).await;
    let tested = operator.run(&["mailbox", "test", "--all", "--json"], "").await;
    let codes: Vec<u64> =
        json(&tested).as_array().unwrap().iter().filter_map(|checked| checked["fault"]["code"].as_u64()).collect();
    assert_eq!(codes, [421; 4]);
    serving.await.unwrap();
}

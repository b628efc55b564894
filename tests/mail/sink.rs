//! The sink as a process: it journals what it accepts, and does to each scenario's mails what their names say.

use std::{collections::HashSet, path::Path, sync::Arc, time::Duration};

use tokio::task::JoinSet;
use warmup::{
    adapters::smtp::{SmtpConfig, SmtpMailer},
    demo::sink::{Options, SinkHandle, read_journal, scenario, spawn},
    domain::{
        mailbox::Security,
        outcome::{Effects, Outcome, OutcomeKind, Penalty},
    },
    ports::{Mailer, SendPermit, Submission},
};

use crate::world::{PASSWORD, config, mail, mailer};

struct World {
    _folder: tempfile::TempDir,
    sink: SinkHandle,
    mailer: Arc<SmtpMailer>,
}

impl World {
    async fn with(change: impl FnOnce(&mut Options)) -> World {
        let folder = tempfile::tempdir().unwrap();
        let mut options = Options {
            journal: folder.path().join("journal"),
            ca: folder.path().join("ca.pem"),
            faults: 0,
            seed: 1,
            password_file: None,
        };
        change(&mut options);
        if let Some(path) = &mut options.password_file {
            *path = folder.path().join("password");
            std::fs::write(&path, format!("{PASSWORD}\n")).unwrap();
        }
        let sink = spawn(Path::new(env!("CARGO_BIN_EXE_warmup")), &options).await.unwrap();
        let strict = SmtpConfig { tls_ca_file: Some(sink.ca_file().to_owned()), allow_plaintext: false, ..config() };
        World { _folder: folder, sink, mailer: Arc::new(mailer(strict)) }
    }

    fn mail(&self, to: &str) -> Submission {
        let mut mail = mail(self.sink.port(), Security::Starttls);
        mail.flight.recipient.email = to.to_owned();
        mail
    }

    async fn send(&self, mail: &Submission) -> Outcome {
        self.mailer.send(mail, &SendPermit::always()).await.outcome
    }

    fn journaled(&self) -> Vec<String> {
        read_journal(self.sink.journal()).unwrap().into_iter().map(|acceptance| acceptance.message_id).collect()
    }
}

#[tokio::test]
async fn an_accepted_mail_is_in_the_journal() {
    let world = World::with(|_| {}).await;
    let mail = world.mail("ben@two.test");
    assert_eq!(world.send(&mail).await.fate, OutcomeKind::Sent);
    let journal = read_journal(world.sink.journal()).unwrap();
    assert_eq!(journal.len(), 1);
    assert_eq!((journal[0].from.as_str(), journal[0].to.as_str()), ("anna@one.test", "ben@two.test"));
    assert_eq!(journal[0].message_id, mail.flight.message_id);
}

#[tokio::test]
async fn each_scenario_does_what_its_name_says() {
    let world = World::with(|_| {}).await;
    let expected = [
        ("slow-1@two.test", OutcomeKind::Sent, true, None),
        ("temperror-1@two.test", OutcomeKind::Refused, false, None),
        ("permerror-1@two.test", OutcomeKind::Refused, false, None),
        ("drop-before-dot-1@two.test", OutcomeKind::Refused, false, Some(Penalty::Stall)),
        ("drop-after-dot-1@two.test", OutcomeKind::Uncertain, true, Some(Penalty::Stall)),
        ("vanish-after-dot-1@two.test", OutcomeKind::Uncertain, false, Some(Penalty::Stall)),
    ];
    for (to, fate, arrives, host) in expected {
        let mail = world.mail(to);
        let outcome = world.send(&mail).await;
        assert_eq!(outcome.fate, fate, "{to} {outcome:?}");
        let alone = Effects { host, ..Effects::default() };
        assert_eq!(outcome.effects, alone, "{to} punishes nobody by itself");
        assert_eq!(world.journaled().contains(&mail.flight.message_id), arrives, "{to}");
    }
}

#[tokio::test]
async fn faults_by_chance_are_those_that_the_seed_names() {
    let world = Arc::new(World::with(|options| options.faults = 30).await);
    let mut lanes = JoinSet::new();
    for n in 0..60 {
        let world = Arc::clone(&world);
        lanes.spawn(async move {
            let to = format!("ben{n}@two.test");
            let mail = world.mail(&to);
            let outcome = world.send(&mail).await;
            (to, mail.flight.message_id, outcome.fate)
        });
    }
    let sent = lanes.join_all().await;
    let journal: HashSet<String> = world.journaled().into_iter().collect();
    let mut faults = 0;
    for (to, message_id, fate) in sent {
        use scenario::Scenario::*;
        let (wanted, arrives) = match scenario::of_mail(1, 30, "anna@one.test", &to) {
            None | Some(Slow) => (OutcomeKind::Sent, true),
            Some(TempError | PermError | DropBeforeDot) => (OutcomeKind::Refused, false),
            Some(DropAfterDot) => (OutcomeKind::Uncertain, true),
            Some(VanishAfterDot) => (OutcomeKind::Uncertain, false),
        };
        faults += usize::from(wanted != OutcomeKind::Sent);
        assert_eq!((fate, journal.contains(&message_id)), (wanted, arrives), "{to}");
    }
    assert!(faults > 0);
}

#[tokio::test]
async fn a_sink_with_a_password_takes_no_other() {
    let world = World::with(|options| options.password_file = Some("password".into())).await;
    assert_eq!(world.send(&world.mail("ben@two.test")).await.fate, OutcomeKind::Sent);
    let mut wrong = world.mail("ben@two.test");
    wrong.flight.sealed_password = b"guess".to_vec();
    assert_eq!(world.send(&wrong).await.reason, "auth-refused");
    let mut none = world.mail("ben@two.test");
    none.flight.sealed_password = Vec::new();
    assert_eq!(world.send(&none).await.reason, "auth-required");
    assert_eq!(world.journaled().len(), 1);
}

#[tokio::test]
async fn a_sink_whose_parent_lets_go_ends() {
    let world = World::with(|_| {}).await;
    let ended = tokio::time::timeout(Duration::from_secs(30), world.sink.stop()).await.unwrap().unwrap();
    assert!(ended.success());
}

#[tokio::test]
async fn a_sink_ends_on_sigterm() {
    let mut child = tokio::process::Command::new(env!("CARGO_BIN_EXE_warmup"))
        .args(["sink", "--journal", "/dev/null", "--ca", "/dev/null"])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut line = String::new();
    let stdout = child.stdout.take().unwrap();
    tokio::io::AsyncBufReadExt::read_line(&mut tokio::io::BufReader::new(stdout), &mut line).await.unwrap();
    let stdin = child.stdin.take();
    let id = i32::try_from(child.id().unwrap()).unwrap();
    rustix::process::kill_process(rustix::process::Pid::from_raw(id).unwrap(), rustix::process::Signal::TERM).unwrap();
    let ended = tokio::time::timeout(Duration::from_secs(30), child.wait()).await.unwrap().unwrap();
    assert!(ended.success());
    drop(stdin);
}

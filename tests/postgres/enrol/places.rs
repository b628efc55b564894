//! A stored password goes to the mail host that it was given for, whoever changes the mailbox and by whatever way.

use chacha20poly1305::{
    XChaCha20Poly1305, XNonce,
    aead::{Aead, KeyInit, Payload},
};
use secrecy::ExposeSecret;
use warmup::{
    adapters::{
        postgres::keyring::rotate,
        seal::{Opened, SealError},
    },
    domain::mailbox::{Endpoint, Security},
};

use super::{
    commands::{ok, text, warmup},
    *,
};

const ANN: &str = "ann@x.org";

fn at(host: &str, port: u16) -> Endpoint {
    Endpoint { host: host.to_owned(), port, security: Security::of_smtp_port(port).unwrap() }
}

async fn run(pool: &PgPool, statement: &'static str) {
    sqlx::query(statement).execute(pool).await.unwrap();
}

async fn sealed(pool: &PgPool) -> Vec<u8> {
    sqlx::query_scalar("SELECT sealed_password FROM mailboxes").fetch_one(pool).await.unwrap()
}

/// What is sealed of the only mailbox, and what its row says now.
async fn opened(pool: &PgPool, sealer: &Sealer) -> Opened {
    sealer.inspect(id_of(pool, ANN).await, &sealed(pool).await).unwrap()
}

/// Whether a mail of the only mailbox would get its password by its row.
async fn sends(pool: &PgPool, place: &Endpoint) -> Result<String, SealError> {
    let opened = sealer().open(id_of(pool, ANN).await, place, &sealed(pool).await);
    opened.map(|password| password.expose_secret().to_owned())
}

async fn faults(pool: &PgPool, line: &str) -> Vec<String> {
    match import(pool, &csv(&[line])).await {
        Err(ImportError::Faults(faults)) => faults.iter().map(ToString::to_string).collect(),
        other => panic!("{other:?}"),
    }
}

/// A database with one mailbox at mail.x.org:587.
async fn one() -> TestDatabase {
    let database = database().await;
    import(database.pool(), &csv(&[&format!("{ANN},{CANARY},mail.x.org,587")])).await.unwrap();
    database
}

#[tokio::test]
async fn a_host_that_is_written_into_the_row_gets_no_password() {
    let database = one().await;
    let pool = database.pool();
    run(pool, "UPDATE mailboxes SET smtp_host = 'mail.evil.example'").await;
    assert_eq!(sends(pool, &at("mail.evil.example", 587)).await, Err(SealError::Elsewhere));
    // Nor does it by a harmless change, by another port of that host, or by another key.
    import(pool, &csv(&[&format!("{ANN},,,")])).await.unwrap();
    let moved = faults(pool, &format!("{ANN},,,465")).await;
    assert!(moved.len() == 1 && moved[0].starts_with("line 2, smtp_host: the stored password was not"), "{moved:?}");
    let new = Sealer::new(&[12; 32]);
    rotate(pool, &sealer(), &new, now()).await.unwrap();
    assert_eq!(opened(pool, &new).await.endpoints, Some(vec![at("mail.x.org", 587)]));
    rotate(pool, &new, &sealer(), now()).await.unwrap();
    assert_eq!(sends(pool, &at("mail.evil.example", 587)).await, Err(SealError::Elsewhere));
    // The operator's file mends it, and says what it changed.
    let report = import(pool, &csv(&[&format!("{ANN},{CANARY},mail.x.org,587")])).await.unwrap();
    assert_eq!(report.changed[0].columns, ["smtp_host"]);
    assert_eq!(sends(pool, &at("mail.x.org", 587)).await.unwrap(), CANARY);
}

#[tokio::test]
async fn a_file_that_names_another_host_must_hold_the_password() {
    let database = one().await;
    let pool = database.pool();
    let before = dump(pool).await;
    let told = "the stored password was not given for this mail host: give the password again, together with it";
    assert_eq!(faults(pool, &format!("{ANN},,smtp.y.org,587")).await, [format!("line 2, smtp_host: {told}")]);
    assert_eq!(faults(pool, &format!("{ANN},,smtp.y.org,0")).await.len(), 2, "with all that is wrong besides");
    assert_eq!(dump(pool).await, before);
    let report = import(pool, &csv(&[&format!("{ANN},{CANARY},smtp.y.org,587")])).await.unwrap();
    assert_eq!(report.changed[0].columns, ["smtp_host"], "its password is the same");
    assert_eq!(opened(pool, &sealer()).await.endpoints, Some(vec![at("smtp.y.org", 587)]));
    let again = import(pool, &csv(&[&format!("{ANN},{CANARY},smtp.y.org,587")])).await.unwrap();
    assert_eq!((again.changed.len(), again.unchanged), (0, 1));
}

#[tokio::test]
async fn another_port_of_the_same_host_needs_no_password() {
    let database = one().await;
    let pool = database.pool();
    let report = import(pool, &csv(&[&format!("{ANN},,,465")])).await.unwrap();
    assert_eq!(report.changed[0].columns, ["smtp_port", "smtp_security"]);
    assert_eq!(sends(pool, &at("mail.x.org", 465)).await.unwrap(), CANARY);
    assert_eq!(sends(pool, &at("mail.x.org", 587)).await, Err(SealError::Elsewhere));
}

#[tokio::test(flavor = "multi_thread")]
async fn set_asks_for_the_password_with_another_host() {
    let database = one().await;
    let to = ["mailbox", "set", ANN, "--smtp-host", "smtp.y.org"];
    let refused = warmup(&database, &to, "");
    assert_eq!(refused.status.code(), Some(1));
    assert!(text(&refused).contains("--smtp-host: the stored password was not given for"), "{}", text(&refused));
    let told = ok(&warmup(&database, &[&to[..], &["--password-stdin"]].concat(), CANARY));
    assert!(told.starts_with("set: 1 mailbox, 0 new, 1 changed"), "{told}");
    assert_eq!(sends(database.pool(), &at("smtp.y.org", 587)).await.unwrap(), CANARY);
}

/// A password as releases sealed it that knew no places.
fn placeless(mailbox: MailboxId) -> Vec<u8> {
    let context = [&b"warmup mailbox password, version 1"[..], &mailbox.0.to_be_bytes()].concat();
    let payload = Payload { msg: CANARY.as_bytes(), aad: &context };
    let nonce = XNonce::from([7; 24]);
    let ciphertext = XChaCha20Poly1305::new(&KEY.into()).encrypt(&nonce, payload).unwrap();
    [&[1], sealer().key_id().as_bytes(), &nonce[..], &ciphertext].concat()
}

#[tokio::test]
async fn what_an_earlier_release_sealed_opens_and_is_bound_at_the_next_chance() {
    let database = one().await;
    let pool = database.pool();
    let old = placeless(id_of(pool, ANN).await);
    let put = async || {
        sqlx::query("UPDATE mailboxes SET sealed_password = $1, smtp_host = 'mail.x.org', smtp_port = 587, smtp_security = 'starttls'")
            .bind(&old)
            .execute(pool)
            .await
            .unwrap();
    };
    put().await;
    assert_eq!(sends(pool, &at("mail.x.org", 587)).await.unwrap(), CANARY);
    let same = import(pool, &csv(&[&format!("{ANN},{CANARY},mail.x.org,587")])).await.unwrap();
    assert_eq!((same.changed.len(), same.unchanged), (0, 1), "nobody notices anything");
    assert!(faults(pool, &format!("{ANN},,smtp.y.org,587")).await[0].contains("smtp_host: the stored password"));
    import(pool, &csv(&[&format!("{ANN},,,465")])).await.unwrap();
    assert_eq!(opened(pool, &sealer()).await.endpoints, Some(vec![at("mail.x.org", 465)]));
    put().await;
    let new = Sealer::new(&[12; 32]);
    rotate(pool, &sealer(), &new, now()).await.unwrap();
    let opened = opened(pool, &new).await;
    assert_eq!((opened.password.expose_secret(), opened.endpoints), (CANARY, Some(vec![at("mail.x.org", 587)])));
}

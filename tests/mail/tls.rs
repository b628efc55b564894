//! TLS or nothing: no certificate but the host's own, no plain text where TLS was asked for.

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};
use rustls::{ServerConfig, pki_types::PrivatePkcs8KeyDer};
use tokio_rustls::TlsAcceptor;
use warmup::{
    adapters::smtp::SmtpConfig,
    demo::sink::certificate::{Identity, self_signed},
    domain::{
        mailbox::Security,
        outcome::{Outcome, OutcomeKind, Penalty, Stage},
    },
    ports::SendPermit,
};
use warmup_support::smtp::{Act, Moment, Script};

use crate::world::{Seen, ca_file, config, send_with};

fn identity() -> Identity {
    self_signed(&["127.0.0.1"]).unwrap()
}

async fn send_trusting(trusted: &Identity, script: Script, security: Security) -> Seen {
    let (_folder, ca) = ca_file(&trusted.pem);
    let strict = SmtpConfig { tls_ca_file: Some(ca), allow_plaintext: false, ..config() };
    send_with(strict, script, SendPermit::always(), security).await
}

fn assert_certificate_refused(outcome: &Outcome) {
    assert_eq!((outcome.fate, outcome.stage, outcome.reason), (OutcomeKind::Refused, Stage::Tls, "certificate-bad"));
    assert_eq!(outcome.effects.sender, Some(Penalty::Disable));
}

#[tokio::test]
async fn mail_goes_over_tls_and_over_starttls() {
    let host = identity();
    let seen = send_trusting(&host, Script::tls(host.clone()), Security::Tls).await;
    assert_eq!(seen.outcome.fate, OutcomeKind::Sent, "{:?}", seen.outcome);
    let seen = send_trusting(&host, Script::starttls(host.clone()), Security::Starttls).await;
    assert_eq!(seen.outcome.fate, OutcomeKind::Sent, "{:?}", seen.outcome);
    let heard = seen.host.heard();
    assert_eq!(heard.matches("EHLO client.test").count(), 2, "EHLO again after TLS: {heard}");
    assert!(heard.find("STARTTLS") < heard.find("AUTH"));
}

#[tokio::test]
async fn a_certificate_of_nobody_we_trust_is_refused() {
    let (host, other) = (identity(), identity());
    for (script, security) in
        [(Script::tls(host.clone()), Security::Tls), (Script::starttls(host.clone()), Security::Starttls)]
    {
        let seen = send_trusting(&other, script, security).await;
        assert_certificate_refused(&seen.outcome);
        assert!(!seen.host.heard().contains("AUTH"));
    }
}

/// What `openssl req -x509` makes: a self-signed certificate that says CA:TRUE.
fn authority(name: &str) -> Identity {
    let mut params = CertificateParams::new([name.to_owned()]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], PrivatePkcs8KeyDer::from(key.serialize_der()).into())
        .unwrap();
    Identity { pem: certificate.pem(), acceptor: TlsAcceptor::from(Arc::new(config)) }
}

#[tokio::test]
async fn a_self_signed_certificate_of_an_authority_is_trusted_if_the_file_holds_it() {
    let host = authority("127.0.0.1");
    for (script, security) in
        [(Script::tls(host.clone()), Security::Tls), (Script::starttls(host.clone()), Security::Starttls)]
    {
        let seen = send_trusting(&host, script.clone(), security).await;
        assert_eq!(seen.outcome.fate, OutcomeKind::Sent, "{:?}", seen.outcome);
        let seen = send_trusting(&authority("127.0.0.1"), script, security).await;
        assert_certificate_refused(&seen.outcome);
    }
}

#[tokio::test]
async fn a_certificate_of_the_file_is_trusted_for_its_own_names_only() {
    let host = authority("mail.other.test");
    let seen = send_trusting(&host, Script::tls(host.clone()), Security::Tls).await;
    assert_certificate_refused(&seen.outcome);
    assert!(!seen.host.heard().contains("AUTH"));
}

#[tokio::test]
async fn a_certificate_for_another_host_is_refused() {
    let host = self_signed(&["mail.other.test"]).unwrap();
    let seen = send_trusting(&host, Script::tls(host.clone()), Security::Tls).await;
    assert_certificate_refused(&seen.outcome);
}

#[tokio::test]
async fn a_host_without_starttls_gets_no_password() {
    let seen = send_trusting(&identity(), Script::usual(), Security::Starttls).await;
    assert_eq!((seen.outcome.fate, seen.outcome.reason), (OutcomeKind::Refused, "starttls-missing"));
    assert_eq!(seen.outcome.effects.sender, Some(Penalty::Disable));
    assert!(!seen.host.heard().contains("AUTH"));
    assert!(!seen.host.heard().contains("MAIL"));
}

#[tokio::test]
async fn a_host_that_refuses_the_starttls_it_offers_gets_no_password() {
    let host = identity();
    for said in ["454 4.7.0 TLS not available\r\n", "502 5.5.1 no\r\n", "250 fine\r\n"] {
        let script = Script::starttls(host.clone()).at(Moment::Starttls, [Act::say(said)]);
        let seen = send_trusting(&host, script, Security::Starttls).await;
        assert_eq!((seen.outcome.fate, seen.outcome.stage), (OutcomeKind::Refused, Stage::Tls));
        assert_eq!(seen.outcome.effects.sender, None);
        assert!(!seen.host.heard().contains("AUTH"));
    }
}

#[tokio::test]
async fn plain_text_sent_along_with_the_220_of_starttls_is_not_read() {
    let host = identity();
    let injected = "220 2.0.0 Go ahead\r\n250-evil.test\r\n250 AUTH PLAIN\r\n235 2.7.0 Welcome\r\n";
    let script = Script::starttls(host.clone()).at(Moment::Starttls, [Act::say(injected), Act::Tls]);
    let seen = send_trusting(&host, script, Security::Starttls).await;
    assert_eq!((seen.outcome.fate, seen.outcome.stage), (OutcomeKind::Refused, Stage::Tls));
    assert!(!seen.host.heard().contains("AUTH"));
}

#[tokio::test]
async fn no_encryption_needs_the_setting() {
    let seen = send_trusting(&identity(), Script::usual(), Security::None).await;
    assert_eq!((seen.outcome.fate, seen.outcome.reason), (OutcomeKind::Refused, "plaintext-refused"));
    assert_eq!(seen.host.connections(), 0);
}

#[tokio::test]
async fn a_reply_cut_off_inside_tls_is_uncertain() {
    let host = identity();
    let script = Script::tls(host.clone()).at(Moment::Dot, [Act::say("250-Ok\r\n"), Act::Close]);
    let seen = send_trusting(&host, script, Security::Tls).await;
    assert_eq!(seen.outcome.fate, OutcomeKind::Uncertain);
}

//! `advice_for` returns an operator's next step for a reason. A reason has no advice if it passes by itself,
//! or if the server's own words explain it.

use crate::domain::outcome::refusals::{FAILED_IN_A_ROW, REFUSED_IN_A_ROW};

/// Returns the step after which `email` sends again, or `None` if no step is needed.
pub fn advice_for(reason: &str, email: &str) -> Option<String> {
    let set = |what: &str| format!("`warmup mailbox set {email} {what}`");
    Some(match reason {
        "auth-refused" | "auth-required" | "auth-failed" | "password-change-needed" => {
            format!("check user name and password with the provider, then {}", set("--password"))
        }
        "auth-needs-operator" | "auth-method-retired" => {
            format!("the provider wants another login, such as an app password: make one, then {}", set("--password"))
        }
        "auth-missing" => format!("the host takes no login there: check it, then {}", set("--smtp-port PORT")),
        "encryption-required" => format!("the host wants TLS: {}", set("--smtp-security starttls (or tls)")),
        "starttls-missing" => {
            format!("the host speaks no STARTTLS there: {}", set("--smtp-port 465 --smtp-security tls"))
        }
        "certificate-bad" => format!(
            "the certificate is not this host's, or not trusted: {}; or put the certificate of a private authority, or a \
             self-signed one with the host's name as its subjectAltName, into the file of WARMUP_TLS_CA_FILE",
            set("--smtp-host HOST")
        ),
        "tls-failed" | "protocol-error" => {
            format!("the host may speak another kind of TLS on this port: {}", set("--smtp-security tls (or starttls)"))
        }
        "helo-refused" => {
            "the host refuses the name that the workers give in EHLO: set WARMUP_HELO_NAME (in the chart \
                           `settings.WARMUP_HELO_NAME`) to a full host name that leads to their public address, and \
                           restart them"
                .to_owned()
        }
        "no-greeting" => format!(
            "the port may speak TLS from the start, as 465 does: {}; if not, the host is slow and is tried again",
            set("--smtp-security tls")
        ),
        "plaintext-refused" => format!("{}, or WARMUP_ALLOW_PLAINTEXT=true", set("--smtp-security starttls")),
        "private-host" => "use a public mail host, or WARMUP_ALLOW_PRIVATE_HOSTS=true".to_owned(),
        "seal-broken" => format!(
            "its stored password does not open under WARMUP_MASTER_KEY, or was given for another mail host: look whether \
             the host is right, then {}",
            set("--password")
        ),
        "sender-address" => format!("the login may not send from this address: {}", set("--username NAME")),
        "host-unreachable" => {
            format!("check name and port of the mail host: {}", set("--smtp-host HOST --smtp-port PORT"))
        }
        "domain-unauthenticated" => "set up SPF, DKIM and DMARC for the domain".to_owned(),
        "sender-blocked" => "the provider blocked the account: have it unblocked there".to_owned(),
        _ => return None,
    })
}

/// Returns the steps that end the `state` of a mailbox, or `None` if it ends by itself.
pub fn to_come_back(state: &str, reason: Option<&str>, email: &str) -> Option<String> {
    let resume = format!("`warmup mailbox resume {email}`");
    match state {
        "disabled" => Some(match reason.and_then(|reason| advice_for(reason, email)) {
            Some(first) => format!("{first}; then {resume}"),
            None => format!("have it set right at the provider, then {resume}"),
        }),
        "paused" if reason == Some(REFUSED_IN_A_ROW) => Some(format!(
            "read the words of its mail host in the last result, and ask the host's operator why it refuses {email}; it is tried \
             again by itself, at once with {resume}"
        )),
        "paused" if reason == Some(FAILED_IN_A_ROW) => Some(format!(
            "read the last result, and try the mail host with `warmup mailbox test {email}`; the mailbox is tried again by itself, \
             at once with {resume}"
        )),
        "paused" => Some(resume),
        "off" => Some(format!("`warmup mailbox set {email} --enabled true`")),
        "removed" => Some(format!("`warmup mailbox add {email}` enrols it anew")),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::outcome::{
        Penalty, Stage,
        classify::{DialogueEnd, classify_outcome},
        table,
    };

    #[test]
    fn whatever_disables_a_mailbox_for_its_access_says_what_to_do() {
        for reason in crate::domain::enrolment::REASONS_OF_ACCESS {
            assert!(advice_for(reason, "a@x.org").is_some(), "{reason}");
        }
        for evidence in
            [DialogueEnd::CertificateBad(String::new()), DialogueEnd::StarttlsMissing, DialogueEnd::AuthMissing]
        {
            let outcome = classify_outcome(Stage::Tls, evidence);
            assert_eq!(outcome.effects.sender, Some(Penalty::Disable));
            assert!(advice_for(outcome.reason, "a@x.org").is_some(), "{}", outcome.reason);
        }
    }

    #[test]
    fn every_disabled_mailbox_is_told_how_to_come_back() {
        for row in table::rows().filter(|row| row.effects.sender == Some(Penalty::Disable)) {
            let told = to_come_back("disabled", Some(row.reason), "a@x.org").unwrap();
            assert!(told.contains("warmup mailbox resume a@x.org"), "{}: {told}", row.reason);
        }
        assert_eq!(to_come_back("active", None, "a@x.org"), None);
    }

    #[test]
    fn failures_in_a_row_lead_to_the_last_result_and_a_test() {
        let advice = to_come_back("paused", Some(FAILED_IN_A_ROW), "a@x.org").unwrap();
        for part in ["last result", "warmup mailbox test a@x.org", "warmup mailbox resume a@x.org"] {
            assert!(advice.contains(part), "{advice}");
        }
    }

    #[test]
    fn refusals_in_a_row_lead_to_the_words_of_the_host() {
        let advice = to_come_back("paused", Some(REFUSED_IN_A_ROW), "a@x.org").unwrap();
        assert!(advice.contains("last result") && advice.contains("warmup mailbox resume a@x.org"), "{advice}");
    }
}

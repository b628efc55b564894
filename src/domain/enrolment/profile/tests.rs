//! These tests merge a row with nothing, and with a stored profile.

use super::*;
use crate::domain::enrolment::Header;

const RULES: Rules =
    Rules { timezone: chrono_tz::Europe::Berlin, daily_max: 30, allow_plaintext: false, allow_private_hosts: false };

/// Reads `name=value` pairs as a line of a file; missing required columns are filled.
fn row(cells: &[(&str, &str)]) -> Row {
    let mut all =
        vec![("email", "a@example.com"), ("password", "p"), ("smtp_host", "mail.example.com"), ("smtp_port", "587")];
    for (name, value) in cells {
        match all.iter_mut().find(|(known, _)| known == name) {
            Some(cell) => cell.1 = value,
            None => all.push((name, value)),
        }
    }
    let (names, values): (Vec<&str>, Vec<&str>) = all.into_iter().unzip();
    let (row, faults) = Row::read(&Header::read(1, &names).unwrap(), 2, &values);
    assert_eq!(faults, []);
    row.unwrap()
}

fn new(cells: &[(&str, &str)]) -> Result<Profile, Vec<String>> {
    onto(cells, None, &RULES)
}

fn onto(cells: &[(&str, &str)], stored: Option<&Profile>, rules: &Rules) -> Result<Profile, Vec<String>> {
    Profile::resolve(&row(cells), stored, stored.map(Profile::places).as_deref(), rules)
        .map_err(|faults| faults.iter().map(EnrolmentError::to_string).collect())
}

#[test]
fn a_new_mailbox_takes_the_defaults() {
    let profile = new(&[]).unwrap();
    assert_eq!(profile.user, "operator@localhost");
    assert_eq!(profile.username, "a@example.com");
    assert_eq!(profile.smtp.to_string(), "mail.example.com:587 (starttls)");
    assert_eq!(profile.schedule.zone, chrono_tz::Europe::Berlin);
    assert_eq!((profile.schedule.window.to_string(), profile.schedule.days), ("09:00-17:00".to_owned(), Weekdays::ALL));
    assert_eq!(profile.ramp, Ramp { start: 3, step: 3, daily_max: 30 });
    assert_eq!((profile.reply_rate, profile.enabled, profile.imap), (35, true, None));
}

#[test]
fn a_known_mailbox_changes_only_where_the_row_is_filled() {
    let stored =
        new(&[("display_name", "Ann"), ("daily_max", "12"), ("days", "mon-fri"), ("user", "u@x.org")]).unwrap();
    let next = onto(&[("email", "A@EXAMPLE.com"), ("daily_max", "20"), ("days", "")], Some(&stored), &RULES).unwrap();
    assert_eq!(stored.differences(&next), [Column::DailyMax]);
    assert_eq!(next.email, "a@example.com");
    assert_eq!(onto(&[("user", "U@X.org")], Some(&stored), &RULES).unwrap(), stored);
}

#[test]
fn required_cells_may_stay_empty_for_a_known_mailbox_only() {
    let empty = [("password", ""), ("smtp_host", ""), ("smtp_port", "")];
    let stored = new(&[]).unwrap();
    assert_eq!(onto(&empty, Some(&stored), &RULES).unwrap(), stored);
    assert_eq!(
        new(&empty).unwrap_err(),
        [
            "line 2, password: is empty: a new mailbox needs its password",
            "line 2, smtp_host: is empty: write the mail host's name",
            "line 2, smtp_port: is empty: write the port",
        ]
    );
}

#[test]
fn the_security_follows_the_port() {
    let security = |port| new(&[("smtp_port", port)]).map(|profile| profile.smtp.security);
    assert_eq!(security("465"), Ok(Security::Tls));
    assert_eq!(security("587"), Ok(Security::Starttls));
    assert_eq!(
        security("2525").unwrap_err(),
        ["line 2, smtp_security: port 2525 has no usual security: write tls or starttls"]
    );
    let stored = new(&[]).unwrap();
    let moved = onto(&[("smtp_port", "465")], Some(&stored), &RULES).unwrap();
    assert_eq!(stored.differences(&moved), [Column::SmtpPort, Column::SmtpSecurity]);
    let odd = new(&[("smtp_port", "2525"), ("smtp_security", "tls")]).unwrap();
    assert_eq!(onto(&[("smtp_port", "2525")], Some(&odd), &RULES).unwrap(), odd);
}

#[test]
fn plaintext_needs_a_permission() {
    for cells in [&[("smtp_port", "25")][..], &[("smtp_security", "none")]] {
        assert!(new(cells).unwrap_err()[0].contains("WARMUP_ALLOW_PLAINTEXT=true"));
        let rules = Rules { allow_plaintext: true, ..RULES };
        assert_eq!(onto(cells, None, &rules).unwrap().smtp.security, Security::None);
    }
    assert!(new(&[("smtp_port", "25"), ("smtp_security", "starttls")]).is_ok());
}

#[test]
fn private_hosts_need_a_permission() {
    for host in ["127.0.0.1", "localhost", "10.0.0.7", "[::1]"] {
        let cells = [("smtp_host", host), ("imap_host", host), ("imap_port", "993")];
        let told = new(&cells).unwrap_err();
        assert!(
            told.len() == 2 && told.iter().all(|fault| fault.contains("WARMUP_ALLOW_PRIVATE_HOSTS=true")),
            "{told:?}"
        );
        assert!(onto(&cells, None, &Rules { allow_private_hosts: true, ..RULES }).is_ok());
    }
}

#[test]
fn imap_is_whole_or_not_there() {
    assert_eq!(new(&[("imap_port", "993")]).unwrap_err(), ["line 2, imap_host: is empty: write the mail host's name"]);
    assert_eq!(new(&[("imap_host", "imap.example.com")]).unwrap_err(), ["line 2, imap_port: is empty: write the port"]);
    let with = new(&[("imap_host", "imap.example.com"), ("imap_port", "993")]).unwrap();
    assert_eq!(with.imap.as_ref().unwrap().security, Security::Tls);
    assert_eq!(onto(&[], Some(&with), &RULES).unwrap(), with);
}

const SECRETLESS: (&str, &str) = ("password", "");

#[test]
fn a_password_that_is_not_given_again_goes_to_no_other_host() {
    let stored = new(&[]).unwrap();
    let withheld = |cells: &[(&str, &str)]| onto(&[&[SECRETLESS], cells].concat(), Some(&stored), &RULES).unwrap_err();
    let told = "the stored password was not given for this mail host: give the password again, together with it";
    assert_eq!(withheld(&[("smtp_host", "mail.evil.example")]), [format!("line 2, smtp_host: {told}")]);
    assert_eq!(
        withheld(&[("imap_host", "imap.evil.example"), ("imap_port", "993")]),
        [format!("line 2, imap_host: {told}")]
    );
    let with_others = withheld(&[("smtp_host", "mail.evil.example"), ("imap_port", "993")]);
    assert_eq!(with_others.len(), 2, "{with_others:?}");
    assert!(onto(&[("smtp_host", "mail.other.example")], Some(&stored), &RULES).is_ok(), "it was given");
}

#[test]
fn it_goes_to_other_ports_of_its_host_where_they_are_encrypted() {
    let rules = Rules { allow_plaintext: true, ..RULES };
    let stored = new(&[]).unwrap();
    let set = |cells: &[(&str, &str)]| onto(&[&[SECRETLESS], cells].concat(), Some(&stored), &rules);
    assert!(set(&[("smtp_port", "465")]).is_ok());
    assert!(set(&[("smtp_host", "MAIL.example.com"), ("imap_host", "mail.example.com"), ("imap_port", "993")]).is_ok());
    let told = "would send the stored password unencrypted: give the password again, together with it";
    for weaker in [&[("smtp_port", "25")][..], &[("smtp_security", "none")]] {
        assert_eq!(set(weaker).unwrap_err(), [format!("line 2, smtp_security: {told}")]);
    }
    let plain = onto(&[("smtp_port", "25")], None, &rules).unwrap();
    assert!(onto(&[SECRETLESS, ("daily_max", "9")], Some(&plain), &rules).is_ok(), "it goes where it went");
    assert!(onto(&[SECRETLESS, ("smtp_port", "2525"), ("smtp_security", "none")], Some(&plain), &rules).is_err());
}

#[test]
fn what_was_given_counts_and_not_what_somebody_wrote_into_the_row() {
    let given_for = new(&[]).unwrap().places();
    let changed = new(&[("smtp_host", "mail.evil.example")]).unwrap();
    let set = |cells: &[(&str, &str)]| {
        Profile::resolve(
            &row(&[&[SECRETLESS, ("smtp_host", "")], cells].concat()),
            Some(&changed),
            Some(&given_for),
            &RULES,
        )
    };
    assert!(set(&[("daily_max", "9")]).is_ok(), "nothing of where it goes is changed");
    assert!(set(&[("smtp_host", "mail.example.com")]).is_ok(), "back to where it was given for");
    for cells in [&[("smtp_port", "465")][..], &[("imap_host", "mail.example.com"), ("imap_port", "993")]] {
        assert_eq!(set(cells).unwrap_err()[0].column, Some("smtp_host"));
    }
}

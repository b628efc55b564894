//! A `Profile` is the full enrolment of a mailbox: a row merged with the stored values, or with the defaults.

use super::{
    Column, DEFAULT_RAMP_START, DEFAULT_RAMP_STEP, DEFAULT_REPLY_RATE, DEFAULT_USER, DEFAULT_WINDOW, EnrolmentError,
    Row, Rules, host,
};
use crate::domain::{
    mailbox::{Endpoint, Security, domain_of},
    ramp::Ramp,
    time::{Schedule, Weekdays},
};

/// The enrolment of a mailbox, without its password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    pub email: String,
    /// The owner's address.
    pub user: String,
    pub display_name: String,
    pub username: String,
    pub smtp: Endpoint,
    pub imap: Option<Endpoint>,
    pub schedule: Schedule,
    pub ramp: Ramp,
    /// The percentage of received mails that the mailbox answers.
    pub reply_rate: u8,
    pub enabled: bool,
}

impl Profile {
    /// Merges `row` with `stored`, or with the defaults for a new mailbox. `given_for` are the endpoints for
    /// which the stored password was entered, or `None` without a stored password. Another endpoint requires
    /// that the password is entered again.
    pub fn resolve(
        row: &Row,
        stored: Option<&Profile>,
        given_for: Option<&[Endpoint]>,
        rules: &Rules,
    ) -> Result<Profile, Vec<EnrolmentError>> {
        let mut faults = Vec::new();
        if row.password.is_none() && given_for.is_none() {
            faults.push(EnrolmentError::of_cell(
                row.line,
                Column::Password,
                "is empty: a new mailbox needs its password",
            ));
        }
        let smtp = smtp(row, stored, rules, &mut faults);
        let imap = imap(row, stored, rules, &mut faults);
        if let (None, Some(stored), Some(given_for)) = (&row.password, stored, given_for) {
            faults.extend(withheld(row.line, stored, (smtp.as_ref(), imap.as_ref()), given_for));
        }
        match smtp {
            Some(smtp) if faults.is_empty() => Ok(Profile::laid_onto(row, stored, rules, smtp, imap)),
            _ => Err(faults),
        }
    }

    fn laid_onto(
        row: &Row,
        stored: Option<&Profile>,
        rules: &Rules,
        smtp: Endpoint,
        imap: Option<Endpoint>,
    ) -> Profile {
        let base = stored.cloned().unwrap_or_else(|| Profile {
            email: row.email.clone(),
            user: DEFAULT_USER.to_owned(),
            display_name: String::new(),
            username: row.email.clone(),
            smtp: smtp.clone(),
            imap: None,
            schedule: Schedule {
                zone: rules.timezone,
                window: DEFAULT_WINDOW.parse().expect("the default window is a window"),
                days: Weekdays::ALL,
            },
            ramp: Ramp { start: DEFAULT_RAMP_START, step: DEFAULT_RAMP_STEP, daily_max: rules.daily_max },
            reply_rate: DEFAULT_REPLY_RATE,
            enabled: true,
        });
        let user = row.user.clone().filter(|user| !user.eq_ignore_ascii_case(&base.user)).unwrap_or(base.user);
        Profile {
            // Another spelling of a known address is the known mailbox.
            email: base.email,
            user,
            display_name: row.display_name.clone().unwrap_or(base.display_name),
            username: row.username.clone().unwrap_or(base.username),
            smtp,
            imap,
            schedule: Schedule {
                zone: row.timezone.unwrap_or(base.schedule.zone),
                window: row.window.unwrap_or(base.schedule.window),
                days: row.days.unwrap_or(base.schedule.days),
            },
            ramp: Ramp {
                start: row.ramp_start.unwrap_or(base.ramp.start),
                step: row.ramp_step.unwrap_or(base.ramp.step),
                daily_max: row.daily_max.unwrap_or(base.ramp.daily_max),
            },
            reply_rate: row.reply_rate.unwrap_or(base.reply_rate),
            enabled: row.enabled.unwrap_or(base.enabled),
        }
    }

    /// Returns the part after the `@`, in lower case.
    pub fn domain(&self) -> String {
        domain_of(&self.email)
    }

    /// Returns the endpoints to which its password is sent.
    pub fn places(&self) -> Vec<Endpoint> {
        [&self.smtp].into_iter().chain(&self.imap).cloned().collect()
    }

    /// Returns the columns in which `other` differs.
    pub fn differences(&self, other: &Profile) -> Vec<Column> {
        let imap = |profile: &Profile| profile.imap.clone();
        let pairs = [
            (Column::User, self.user != other.user),
            (Column::DisplayName, self.display_name != other.display_name),
            (Column::Username, self.username != other.username),
            (Column::SmtpHost, self.smtp.host != other.smtp.host),
            (Column::SmtpPort, self.smtp.port != other.smtp.port),
            (Column::SmtpSecurity, self.smtp.security != other.smtp.security),
            (Column::ImapHost, imap(self).map(|at| at.host) != imap(other).map(|at| at.host)),
            (Column::ImapPort, imap(self).map(|at| at.port) != imap(other).map(|at| at.port)),
            (Column::ImapSecurity, imap(self).map(|at| at.security) != imap(other).map(|at| at.security)),
            (Column::Timezone, self.schedule.zone != other.schedule.zone),
            (Column::Window, self.schedule.window != other.schedule.window),
            (Column::Days, self.schedule.days != other.schedule.days),
            (Column::RampStart, self.ramp.start != other.ramp.start),
            (Column::RampStep, self.ramp.step != other.ramp.step),
            (Column::DailyMax, self.ramp.daily_max != other.ramp.daily_max),
            (Column::ReplyRate, self.reply_rate != other.reply_rate),
            (Column::Enabled, self.enabled != other.enabled),
        ];
        pairs.into_iter().filter_map(|(column, differs)| differs.then_some(column)).collect()
    }
}

fn smtp(row: &Row, stored: Option<&Profile>, rules: &Rules, faults: &mut Vec<EnrolmentError>) -> Option<Endpoint> {
    let stored = stored.map(|profile| &profile.smtp);
    let filled = Filled { line: row.line, host: &row.smtp_host, port: row.smtp_port, security: row.smtp_security };
    filled.onto(stored, &SMTP, rules, faults)
}

fn imap(row: &Row, stored: Option<&Profile>, rules: &Rules, faults: &mut Vec<EnrolmentError>) -> Option<Endpoint> {
    let stored = stored.and_then(|profile| profile.imap.as_ref());
    let filled = Filled { line: row.line, host: &row.imap_host, port: row.imap_port, security: row.imap_security };
    if stored.is_none() && filled.host.is_none() && filled.port.is_none() && filled.security.is_none() {
        return None;
    }
    filled.onto(stored, &IMAP, rules, faults)
}

/// Returns an error for each endpoint that must not get the stored password, once a changed row moves it. So
/// a user who may change a mailbox can't send its password to a mail host of their own.
fn withheld(
    line: u64,
    stored: &Profile,
    (smtp, imap): (Option<&Endpoint>, Option<&Endpoint>),
    given_for: &[Endpoint],
) -> Vec<EnrolmentError> {
    if smtp.is_none_or(|smtp| smtp.is(&stored.smtp)) && imap == stored.imap.as_ref() {
        return Vec::new();
    }
    let fault = |(protocol, place): (&Protocol, &Endpoint)| {
        if given_for.iter().any(|known| place.inherits_from(known)) {
            return None;
        }
        let (column, what) = match given_for.iter().any(|known| place.is_host_of(known)) {
            true => (protocol.security, "would send the stored password unencrypted"),
            false => (protocol.host, "the stored password was not given for this mail host"),
        };
        Some(EnrolmentError::of_cell(line, column, format!("{what}: give the password again, together with it")))
    };
    let places = smtp.map(|at| (&SMTP, at)).into_iter().chain(imap.map(|at| (&IMAP, at)));
    places.filter_map(fault).collect()
}

/// The three columns of one protocol, and the usual security of its ports.
struct Protocol {
    host: Column,
    port: Column,
    security: Column,
    usual: fn(u16) -> Option<Security>,
}

const SMTP: Protocol = Protocol {
    host: Column::SmtpHost,
    port: Column::SmtpPort,
    security: Column::SmtpSecurity,
    usual: Security::of_smtp_port,
};

const IMAP: Protocol = Protocol {
    host: Column::ImapHost,
    port: Column::ImapPort,
    security: Column::ImapSecurity,
    // RFC 8314 section 3.2, RFC 9051 section 2.1.
    usual: |port| match port {
        993 => Some(Security::Tls),
        143 => Some(Security::Starttls),
        _ => None,
    },
};

struct Filled<'a> {
    line: u64,
    host: &'a Option<String>,
    port: Option<u16>,
    security: Option<Security>,
}

impl Filled<'_> {
    fn onto(
        &self,
        stored: Option<&Endpoint>,
        protocol: &Protocol,
        rules: &Rules,
        faults: &mut Vec<EnrolmentError>,
    ) -> Option<Endpoint> {
        let mut missing = |column, what: &str| {
            faults.push(EnrolmentError::of_cell(self.line, column, format!("is empty: write the {what}")));
        };
        let host = self.host.clone().or_else(|| stored.map(|at| at.host.clone()));
        let port = self.port.or_else(|| stored.map(|at| at.port));
        if host.is_none() {
            missing(protocol.host, "mail host's name");
        }
        if port.is_none() {
            missing(protocol.port, "port");
        }
        if self.host.as_deref().is_some_and(host::is_private) && !rules.allow_private_hosts {
            let message = "is a private address or this machine: write a public mail host, or set \
                           WARMUP_ALLOW_PRIVATE_HOSTS=true";
            faults.push(EnrolmentError::of_cell(self.line, protocol.host, message));
        }
        let security = self.security_of(port?, stored, protocol, rules, faults)?;
        Some(Endpoint { host: host?, port: port?, security })
    }

    /// Returns the security of `port`. It belongs to the port: if the port changes without a security, the
    /// new port's usual one applies.
    fn security_of(
        &self,
        port: u16,
        stored: Option<&Endpoint>,
        protocol: &Protocol,
        rules: &Rules,
        faults: &mut Vec<EnrolmentError>,
    ) -> Option<Security> {
        let kept = stored.filter(|at| at.port == port).map(|at| at.security);
        let security = self.security.or(kept).or_else(|| (protocol.usual)(port));
        let asked = self.port.is_some() || self.security.is_some();
        let message = match security {
            None => format!("port {port} has no usual security: write tls or starttls"),
            Some(Security::None) if asked && !rules.allow_plaintext => {
                "would send the password unencrypted: write tls or starttls, or set WARMUP_ALLOW_PLAINTEXT=true"
                    .to_owned()
            }
            Some(_) => return security,
        };
        faults.push(EnrolmentError::of_cell(self.line, protocol.security, message));
        None
    }
}

#[cfg(test)]
mod tests;

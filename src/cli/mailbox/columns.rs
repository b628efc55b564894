//! This module defines the columns of an enrolment as flags, and names a flag in the errors about its column.

use crate::domain::enrolment::{Column, EnrolmentError};

macro_rules! columns {
    ($($(#[$meta:meta])* $field:ident $column:ident $value:literal)*) => {
        /// What an enrolment says beside address and password.
        #[derive(Clone, Debug, Default, clap::Args)]
        pub(super) struct Columns {
            $($(#[$meta])* #[arg(long, value_name = $value, allow_hyphen_values = true)] $field: Option<String>,)*
        }

        impl Columns {
            /// The flags that are there.
            pub(super) fn given(&self) -> Vec<(Column, &str)> {
                let all = [$((Column::$column, &self.$field)),*];
                all.into_iter().filter_map(|(column, text)| Some((column, text.as_deref()?))).collect()
            }
        }
    };
}

columns! {
    /// The mail host that it submits through.
    smtp_host SmtpHost "HOST"
    /// Its port.
    smtp_port SmtpPort "PORT"
    /// tls, starttls or none (by the port: 465, 587, 25).
    smtp_security SmtpSecurity "SECURITY"
    /// The owner's address; made when new (operator@localhost).
    user User "ADDRESS"
    /// As recipients see it.
    display_name DisplayName "NAME"
    /// For AUTH (the address).
    username Username "NAME"
    /// Checked and kept for later.
    imap_host ImapHost "HOST"
    /// Checked and kept for later.
    imap_port ImapPort "PORT"
    /// tls, starttls or none (by the port: 993, 143).
    imap_security ImapSecurity "SECURITY"
    /// IANA name (WARMUP_TIMEZONE).
    timezone Timezone "ZONE"
    /// When it sends (09:00-17:00).
    window Window "HH:MM-HH:MM"
    /// Weekdays on which it sends (mon-sun).
    days Days "DAYS"
    /// Mails on the first day (3).
    ramp_start RampStart "MAILS"
    /// More on each further one (3).
    ramp_step RampStep "MAILS"
    /// At most (WARMUP_MIN_DAILY_QUOTA).
    daily_max DailyMax "MAILS"
    /// Percent of its mails that are answered (35).
    reply_rate ReplyRate "PERCENT"
    /// true or false (true).
    enabled Enabled "BOOL"
}

/// All faults of flags that were given for `addresses`; a fault's line counts those.
pub(super) fn render_errors(faults: &[EnrolmentError], addresses: &[&str]) -> String {
    let mut lines: Vec<String> = Vec::new();
    for fault in faults {
        let address = addresses.get(fault.line.saturating_sub(1) as usize).copied().unwrap_or_default();
        let line = match fault.column {
            Some("email") => format!("{address}: {}", fault.message),
            Some("password") => format!("{address}: the password {}", fault.message),
            Some(column) => format!("--{}: {}", column.replace('_', "-"), fault.message),
            None => fault.message.clone(),
        };
        // An error in a flag applies to every address, so it is printed once.
        if !lines.contains(&line) {
            lines.push(line);
        }
    }
    format!("nothing was changed:\n  {}", lines.join("\n  "))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        columns: Columns,
    }

    #[test]
    fn every_column_but_address_and_password_has_its_flag() {
        for column in Column::ALL.iter().filter(|column| !matches!(column, Column::Email | Column::Password)) {
            let flag = format!("--{}", column.name().replace('_', "-"));
            let line = Line::try_parse_from(["warmup", &flag, "-1"]).unwrap();
            assert_eq!(line.columns.given(), [(*column, "-1")]);
        }
    }

    #[test]
    fn a_fault_of_a_flag_is_told_once_for_all_addresses() {
        let faults = [
            EnrolmentError::of_cell(1, Column::SmtpPort, "write a number"),
            EnrolmentError::of_cell(2, Column::SmtpPort, "write a number"),
            EnrolmentError::of_cell(2, Column::Email, "is not enrolled"),
        ];
        let told = render_errors(&faults, &["a@x.org", "b@x.org"]);
        assert_eq!(told, "nothing was changed:\n  --smtp-port: write a number\n  b@x.org: is not enrolled");
    }
}

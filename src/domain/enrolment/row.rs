//! A `Row` holds the filled cells of one line of the file, each checked by itself.

use chrono_tz::Tz;
use secrecy::{ExposeSecret, SecretString};

use super::{Column, EnrolmentError, Header, LONGEST_CELL_BYTES, host, value};
use crate::domain::{
    mailbox::Security,
    time::{Weekdays, Window},
};

/// The values of one mailbox. `None` means that the column is missing or not filled.
#[derive(Debug)]
pub struct Row {
    pub line: u64,
    /// The address as written, with its domain in lower case.
    pub email: String,
    pub password: Option<SecretString>,
    /// The owner's address in lower case.
    pub user: Option<String>,
    pub display_name: Option<String>,
    pub username: Option<String>,
    pub smtp_host: Option<String>,
    pub smtp_port: Option<u16>,
    pub smtp_security: Option<Security>,
    pub imap_host: Option<String>,
    pub imap_port: Option<u16>,
    pub imap_security: Option<Security>,
    pub timezone: Option<Tz>,
    pub window: Option<Window>,
    pub days: Option<Weekdays>,
    pub ramp_start: Option<u16>,
    pub ramp_step: Option<u16>,
    pub daily_max: Option<u16>,
    pub reply_rate: Option<u8>,
    pub enabled: Option<bool>,
}

impl Row {
    /// Returns the lookup key of the mailbox: its address in lower case, because any case is one mailbox.
    pub fn key(&self) -> String {
        self.email.to_ascii_lowercase()
    }

    /// Reads the cells of `line` under `header` and returns all errors of the line. The row holds the valid
    /// cells; it is `None` if the cells can't be matched to the columns.
    pub fn read(header: &Header, line: u64, cells: &[&str]) -> (Option<Row>, Vec<EnrolmentError>) {
        let (found, wanted) = (cells.len(), header.columns.len());
        if found != wanted {
            let message = format!("has {found} values, the header {wanted}: put values with a comma in quotes");
            return (None, vec![EnrolmentError::of_line(line, message)]);
        }
        let mut cells = Cells { header, line, cells, faults: Vec::new() };
        (Some(cells.row()), cells.faults)
    }

    /// Reads the values of the command-line flags `given` for one mailbox, and its password, which no flag
    /// holds. `place` replaces the line in errors. An empty flag is an error, because an empty cell in a file
    /// means "unchanged".
    pub fn given(place: u64, given: &[(Column, &str)], password: Option<SecretString>) -> (Row, Vec<EnrolmentError>) {
        let (columns, cells): (Vec<Column>, Vec<&str>) = given.iter().copied().unzip();
        let header = Header { columns };
        let mut cells = Cells { header: &header, line: place, cells: &cells, faults: Vec::new() };
        let mut row = cells.row();
        let mut faults = cells.faults;
        let empty = given.iter().filter(|(column, text)| *column != Column::Email && text.trim().is_empty());
        faults.extend(empty.map(|(column, _)| {
            EnrolmentError::of_cell(place, *column, "is empty: write a value, or leave it out to keep what is stored")
        }));
        match password.map(|password| value::password(password.expose_secret())) {
            Some(Ok(password)) => row.password = Some(password),
            Some(Err(message)) => faults.push(EnrolmentError::of_cell(place, Column::Password, message)),
            None => {}
        }
        (row, faults)
    }
}

struct Cells<'a> {
    header: &'a Header,
    line: u64,
    cells: &'a [&'a str],
    faults: Vec<EnrolmentError>,
}

impl Cells<'_> {
    fn row(&mut self) -> Row {
        Row {
            line: self.line,
            email: self.email(),
            // Blanks at the ends may belong to the password.
            password: self.read_raw(Column::Password, value::password),
            user: self.read(Column::User, value::user),
            display_name: self.read(Column::DisplayName, value::line_of_text),
            username: self.read(Column::Username, value::line_of_text),
            smtp_host: self.read(Column::SmtpHost, host::host),
            smtp_port: self.read(Column::SmtpPort, value::port),
            smtp_security: self.read(Column::SmtpSecurity, value::security),
            imap_host: self.read(Column::ImapHost, host::host),
            imap_port: self.read(Column::ImapPort, value::port),
            imap_security: self.read(Column::ImapSecurity, value::security),
            timezone: self.read(Column::Timezone, value::timezone),
            window: self.read(Column::Window, value::window),
            days: self.read(Column::Days, value::days),
            ramp_start: self.read(Column::RampStart, value::mails),
            ramp_step: self.read(Column::RampStep, value::mails),
            daily_max: self.read(Column::DailyMax, value::mails),
            reply_rate: self.read(Column::ReplyRate, value::percent),
            enabled: self.read(Column::Enabled, value::yes_or_no),
        }
    }

    fn email(&mut self) -> String {
        let faults = self.faults.len();
        let email = self.read(Column::Email, value::email);
        if email.is_none() && self.faults.len() == faults {
            self.faults.push(EnrolmentError::of_cell(
                self.line,
                Column::Email,
                "is empty: write the mailbox's address",
            ));
        }
        email.unwrap_or_default()
    }

    fn read<T>(&mut self, column: Column, parse: impl Fn(&str) -> Result<T, String>) -> Option<T> {
        self.read_raw(column, |cell| parse(cell.trim()))
    }

    fn read_raw<T>(&mut self, column: Column, parse: impl Fn(&str) -> Result<T, String>) -> Option<T> {
        let cell = self.raw(column);
        if cell.len() > LONGEST_CELL_BYTES {
            let message = format!("is longer than {LONGEST_CELL_BYTES} bytes: shorten it, or was a quote left open?");
            self.faults.push(EnrolmentError::of_cell(self.line, column, message));
            return None;
        }
        if cell.trim().is_empty() {
            return None;
        }
        match parse(cell) {
            Ok(value) => Some(value),
            Err(message) => {
                self.faults.push(EnrolmentError::of_cell(self.line, column, message));
                None
            }
        }
    }

    fn raw(&self, column: Column) -> &str {
        self.header.columns.iter().position(|at| *at == column).map_or("", |place| self.cells[place])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: [&str; 6] = ["email", "password", "smtp_host", "smtp_port", "days", "enabled"];

    fn read(cells: &[&str]) -> (Option<Row>, Vec<EnrolmentError>) {
        Row::read(&Header::read(1, &HEADER).unwrap(), 7, cells)
    }

    #[test]
    fn only_what_is_filled_is_set() {
        let (row, faults) = read(&[" a@Example.com ", " pass word ", "mail.example.com", "587", "  ", ""]);
        let row = row.unwrap();
        assert!(faults.is_empty());
        assert_eq!((row.line, row.email.as_str(), row.smtp_port), (7, "a@example.com", Some(587)));
        assert_eq!(row.password.unwrap().expose_secret(), " pass word ");
        assert!(row.days.is_none() && row.enabled.is_none() && row.timezone.is_none());
    }

    #[test]
    fn all_faults_of_a_line_come_at_once_and_repeat_no_cell() {
        let (_, faults) = read(&["", "canary\n", "canary canary", "canary", "canary", "canary"]);
        let columns: Vec<_> = faults.iter().filter_map(|fault| fault.column).collect();
        assert_eq!(columns, ["email", "password", "smtp_host", "smtp_port", "days", "enabled"]);
        assert!(!format!("{faults:?}").contains("canary"));
    }

    #[test]
    fn a_cell_that_is_too_long_is_read_by_no_parser() {
        let long = "a".repeat(LONGEST_CELL_BYTES + 1);
        for (column, name) in [(Column::Timezone, "timezone"), (Column::Days, "days"), (Column::Password, "password")] {
            let (_, faults) = Row::given(1, &[(Column::Email, "a@example.com"), (column, &long)], None);
            assert_eq!(faults.len(), 1, "{faults:?}");
            assert_eq!(faults[0].column, Some(name));
            assert!(faults[0].message.starts_with("is longer than 1024 bytes"), "{faults:?}");
        }
    }

    #[test]
    fn flags_are_read_as_cells_are() {
        let given = [(Column::Email, "A@Example.com"), (Column::SmtpPort, "465"), (Column::DailyMax, "20")];
        let (row, faults) = Row::given(1, &given, Some("pass word".into()));
        assert!(faults.is_empty());
        assert_eq!((row.email.as_str(), row.smtp_port, row.daily_max), ("A@example.com", Some(465), Some(20)));
        assert_eq!(row.password.unwrap().expose_secret(), "pass word");
        let wrong = [(Column::Email, "a@example.com"), (Column::DisplayName, " "), (Column::Days, "never")];
        let (_, faults) = Row::given(2, &wrong, Some("canary\n".into()));
        let told: Vec<_> = faults.iter().map(|fault| (fault.line, fault.column.unwrap())).collect();
        assert_eq!(told, [(2, "days"), (2, "display_name"), (2, "password")]);
        assert!(!format!("{faults:?}").contains("canary"));
    }

    #[test]
    fn a_line_with_another_number_of_values_is_told_so_once() {
        let (row, faults) = read(&["a@example.com", "pass", "word", "mail.example.com", "587", "", ""]);
        assert!(row.is_none() && faults.len() == 1);
        assert_eq!(faults[0].to_string(), "line 7: has 7 values, the header 6: put values with a comma in quotes");
    }
}

//! This module defines the columns of the file and reads the header, which names them in any order.

use super::{EnrolmentError, LONGEST_CELL_BYTES, LONGEST_COMPARED_BYTES, MOST_COLUMNS};

macro_rules! columns {
    ($($variant:ident $name:literal)*) => {
        /// A column of the file.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Column { $($variant),* }

        impl Column {
            /// Every column.
            pub const ALL: &'static [Column] = &[$(Column::$variant),*];

            /// Returns the name of the column in the header.
            pub fn name(self) -> &'static str {
                match self { $(Column::$variant => $name),* }
            }
        }
    };
}

columns! {
    Email "email"
    Password "password"
    SmtpHost "smtp_host"
    SmtpPort "smtp_port"
    User "user"
    DisplayName "display_name"
    Username "username"
    SmtpSecurity "smtp_security"
    ImapHost "imap_host"
    ImapPort "imap_port"
    ImapSecurity "imap_security"
    Timezone "timezone"
    Window "window"
    Days "days"
    RampStart "ramp_start"
    RampStep "ramp_step"
    DailyMax "daily_max"
    ReplyRate "reply_rate"
    Enabled "enabled"
}

impl Column {
    /// The columns that a header must name.
    pub const REQUIRED: [Column; 4] = [Column::Email, Column::Password, Column::SmtpHost, Column::SmtpPort];

    fn named(name: &str) -> Option<Column> {
        Column::ALL.iter().copied().find(|column| column.name() == name)
    }
}

/// The columns of a file in their order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    pub(super) columns: Vec<Column>,
}

impl Header {
    /// Reads the header from the cells of `line`. Names may be written in any case.
    pub fn read(line: u64, cells: &[&str]) -> Result<Header, Vec<EnrolmentError>> {
        if cells.len() > MOST_COLUMNS {
            let message = format!("is no header: it has {} columns, at most {MOST_COLUMNS} may be", cells.len());
            return Err(vec![EnrolmentError::of_line(line, message)]);
        }
        if cells.iter().any(|cell| cell.len() > LONGEST_CELL_BYTES) {
            let message = format!("is no header: a name is longer than {LONGEST_CELL_BYTES} bytes");
            return Err(vec![EnrolmentError::of_line(line, message)]);
        }
        let names: Vec<String> = cells.iter().map(|cell| cell.trim().to_lowercase()).collect();
        let known: Vec<Option<Column>> = names.iter().map(|name| Column::named(name)).collect();
        let mut faults: Vec<EnrolmentError> = Vec::new();
        if known.iter().all(Option::is_none) {
            return Err(vec![no_header(line, cells)]);
        }
        let is_header = known.contains(&Some(Column::Email));
        for (place, (name, column)) in names.iter().zip(&known).enumerate() {
            match column {
                None => faults.push(unknown(line, place, name, is_header)),
                Some(column) if known[..place].contains(&Some(*column)) => {
                    faults.push(EnrolmentError::of_cell(line, *column, "stands in the header twice: keep one"));
                }
                Some(_) => {}
            }
        }
        for column in Column::REQUIRED {
            if !known.contains(&Some(column)) {
                faults.push(EnrolmentError::of_cell(line, column, "is missing in the header: add the column"));
            }
        }
        if faults.is_empty() { Ok(Header { columns: known.into_iter().flatten().collect() }) } else { Err(faults) }
    }
}

/// Returns the error for a first line without any known column. Such a line is data, so the error does not
/// repeat it.
fn no_header(line: u64, cells: &[&str]) -> EnrolmentError {
    let separator = match cells {
        [one] if one.contains(';') => "; the values are separated by semicolons: save the file with commas",
        [one] if one.contains('\t') => "; the values are separated by tabs: save the file with commas",
        _ => "",
    };
    let required = Column::REQUIRED.map(Column::name).join(",");
    EnrolmentError::of_line(
        line,
        format!("is no header: the first line must name the columns, at least {required}{separator}"),
    )
}

/// Returns the error for an unknown column. It repeats the name only in a certain header; otherwise the name
/// may be a password.
fn unknown(line: u64, place: usize, name: &str, is_header: bool) -> EnrolmentError {
    let shown = if is_header { format!(", `{name}`,") } else { String::new() };
    let what = format!("column {} of the header{shown}", place + 1);
    EnrolmentError::of_line(
        line,
        match nearest(name) {
            Some(column) => format!("{what} is unknown: did you mean `{}`?", column.name()),
            None if name.is_empty() => format!("column {} of the header has no name: name it or remove it", place + 1),
            None => {
                let all: Vec<&str> = Column::ALL.iter().map(|column| column.name()).collect();
                format!("{what} is unknown: remove it; known are {}", all.join(", "))
            }
        },
    )
}

fn nearest(name: &str) -> Option<Column> {
    if name.len() > LONGEST_COMPARED_BYTES {
        return None;
    }
    let name: String = name.chars().map(|c| if matches!(c, ' ' | '-' | '.') { '_' } else { c }).collect();
    let distance = |column: &Column| strsim::damerau_levenshtein(&name, column.name());
    Column::ALL.iter().copied().min_by_key(distance).filter(|column| distance(column) <= column.name().len() / 3)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn messages(cells: &[&str]) -> Vec<String> {
        Header::read(1, cells).unwrap_err().iter().map(EnrolmentError::to_string).collect()
    }

    #[test]
    fn columns_stand_in_any_order_and_case() {
        let header = Header::read(1, &["SMTP_Port", " password", "days", "smtp_host", "Email "]).unwrap();
        use Column::*;
        assert_eq!(header.columns, [SmtpPort, Password, Days, SmtpHost, Email]);
    }

    #[test]
    fn every_fault_of_a_header_is_told_at_once() {
        assert_eq!(
            messages(&["e-mail", "passwort", "email", "smtp host", "email", "colour"]),
            [
                "line 1: column 1 of the header, `e-mail`, is unknown: did you mean `email`?",
                "line 1: column 2 of the header, `passwort`, is unknown: did you mean `password`?",
                "line 1: column 4 of the header, `smtp host`, is unknown: did you mean `smtp_host`?",
                "line 1, email: stands in the header twice: keep one",
                "line 1: column 6 of the header, `colour`, is unknown: remove it; known are email, password, \
                 smtp_host, smtp_port, user, display_name, username, smtp_security, imap_host, imap_port, \
                 imap_security, timezone, window, days, ramp_start, ramp_step, daily_max, reply_rate, enabled",
                "line 1, password: is missing in the header: add the column",
                "line 1, smtp_host: is missing in the header: add the column",
                "line 1, smtp_port: is missing in the header: add the column",
            ]
        );
    }

    #[test]
    fn a_file_without_header_does_not_show_its_first_password() {
        for cells in [
            &["a@example.com", "canary", "mail.example.com", "587"][..],
            &["a@example.com;canary;h;587"],
            &["a@example.com", "canary", "smtp_host", "user"],
        ] {
            let told = messages(cells).concat();
            assert!(told.contains("header") && !told.contains("canary"), "{told}");
        }
        assert!(messages(&["email;password;smtp_host;smtp_port"]).concat().contains("semicolons"));
    }
}

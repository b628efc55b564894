//! `File` reads the lines of a CSV file into rows and collects the errors of every line.

use std::{collections::HashMap, io::Read};

use csv::{ByteRecord, ReaderBuilder};

use crate::domain::enrolment::{Column, EnrolmentError, Faults, Header, Row};

/// The largest number of lines of one file, which is some 32 MB of mailboxes.
const MOST_LINES: usize = 200_000;

/// A `File` holds the rows of a CSV file and its errors.
#[derive(Debug, Default)]
pub(super) struct File {
    /// Rows that have an address; each address occurs once.
    pub(super) rows: Vec<Row>,
    pub(super) faults: Faults,
}

impl File {
    /// Reads all of `csv`: comma-separated, quoted by `"`, lines ended by LF or CRLF, with or without a byte
    /// order mark. Lines without any value are skipped.
    ///
    /// Returns an error only when the reader fails.
    pub(super) fn read(mut csv: impl Read) -> Result<File, std::io::Error> {
        let mut bytes = Vec::new();
        csv.read_to_end(&mut bytes)?;
        let mut file = File::default();
        file.lines(bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes));
        Ok(file)
    }

    fn lines(&mut self, bytes: &[u8]) {
        let mut reader = ReaderBuilder::new().has_headers(false).flexible(true).from_reader(bytes);
        let mut lines = LineNumbers { bytes, at: 0, line: 1 };
        let (mut record, mut header, mut seen) = (ByteRecord::new(), None, HashMap::new());
        let mut records = 0;
        // Reading from memory with lines of any length has no errors.
        while reader.read_byte_record(&mut record).unwrap_or(false) {
            let start = record.position().map_or(0, |position| position.byte() as usize);
            let line = lines.of_record_at(start);
            records += 1;
            if records > MOST_LINES {
                let message = format!("is one too many: at most {MOST_LINES} lines at once; split the file");
                return self.faults.push(EnrolmentError::of_line(line, message));
            }
            if record.iter().all(|cell| cell.trim_ascii().is_empty()) {
                continue;
            }
            let cells: Option<Vec<&str>> = record.iter().map(|cell| str::from_utf8(cell).ok()).collect();
            match (cells, &header) {
                (None, _) => self.faults.push(EnrolmentError::of_line(line, "is not UTF-8: save the file as UTF-8")),
                (Some(cells), Some(header)) => self.row(header, line, &cells, &mut seen),
                (Some(cells), None) => match Header::read(line, &cells) {
                    Ok(read) => header = Some(read),
                    // Without a header, no other line can be understood.
                    Err(faults) => return self.faults.extend(faults),
                },
            }
            if header.is_none() {
                return;
            }
        }
        if header.is_none() {
            let required = Column::REQUIRED.map(Column::name).join(",");
            self.faults.push(EnrolmentError::of_line(
                1,
                format!("is empty: the first line must name the columns, {required}"),
            ));
        }
    }

    fn row(&mut self, header: &Header, line: u64, cells: &[&str], seen: &mut HashMap<String, u64>) {
        let (row, faults) = Row::read(header, line, cells);
        self.faults.extend(faults);
        let Some(row) = row.filter(|row| !row.email.is_empty()) else { return };
        match seen.insert(row.key(), line) {
            None => self.rows.push(row),
            Some(first) => {
                seen.insert(row.key(), first);
                let message = format!("the same address as in line {first}: keep one of them");
                self.faults.push(EnrolmentError::of_cell(line, Column::Email, message));
            }
        }
    }
}

/// `LineNumbers` counts lines as editors do. The parser's own numbers are wrong after blank lines and CRLF.
struct LineNumbers<'a> {
    bytes: &'a [u8],
    at: usize,
    line: u64,
}

impl LineNumbers<'_> {
    /// Returns the line of the record that the parser found from byte `start` on. Blank lines before a record
    /// belong to it.
    fn of_record_at(&mut self, start: usize) -> u64 {
        let blank = self.bytes[start..].iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
        let first = start + blank;
        self.line += self.bytes[self.at..first].iter().filter(|byte| **byte == b'\n').count() as u64;
        self.at = first;
        self.line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str = "email,password,smtp_host,smtp_port";

    fn read(text: &str) -> File {
        File::read(text.as_bytes()).unwrap()
    }

    fn faults(text: &str) -> Vec<String> {
        read(text).faults.iter().map(EnrolmentError::to_string).collect()
    }

    #[test]
    fn byte_order_mark_crlf_and_quotes_are_read() {
        let file = read(&format!("\u{feff}{HEADER},display_name\r\na@x.org,\"p,\"\"w\",h.org,587,\"Lee, Ann\"\r\n"));
        assert_eq!(file.faults.total(), 0);
        use secrecy::ExposeSecret;
        assert_eq!(file.rows[0].password.as_ref().unwrap().expose_secret(), "p,\"w");
        assert_eq!(file.rows[0].display_name.as_deref(), Some("Lee, Ann"));
    }

    #[test]
    fn lines_are_counted_as_editors_count_them() {
        for end in ["\n", "\r\n"] {
            let lines = [
                HEADER,
                "",
                "a@x.org,p,h.org,587",
                ",,,",
                "",
                "",
                "b@x.org,p,h.org,none",
                "\"c@x.org\",\"q",
                "q\",h.org,1",
            ];
            assert_eq!(
                faults(&lines.join(end)),
                [
                    "line 7, smtp_port: write a number from 1 to 65535",
                    "line 8, password: holds a line break or another control character: was a quote left open?",
                ]
            );
        }
    }

    #[test]
    fn the_same_address_twice_names_both_lines() {
        let text =
            format!("{HEADER}\na@x.org,p,h.org,587\nb@x.org,p,h.org,587\nA@X.ORG,p,h.org,587\na@x.org,p,h.org,587");
        assert_eq!(
            faults(&text),
            [
                "line 4, email: the same address as in line 2: keep one of them",
                "line 5, email: the same address as in line 2: keep one of them",
            ]
        );
    }

    #[test]
    fn what_is_not_utf8_is_told_with_its_line() {
        let bytes = [HEADER.as_bytes(), b"\na@x.org,p\xe4ss,h.org,587\n,p,h.org,587"].concat();
        let told: Vec<String> = File::read(&bytes[..]).unwrap().faults.iter().map(EnrolmentError::to_string).collect();
        assert_eq!(
            told,
            ["line 2: is not UTF-8: save the file as UTF-8", "line 3, email: is empty: write the mailbox's address",]
        );
    }

    #[test]
    fn of_many_faults_the_first_hundred_are_listed_and_of_too_many_lines_none_is_read() {
        let file = read(&format!("{HEADER}\n{}", "a\n".repeat(MOST_LINES + 50_000)));
        assert_eq!((file.faults.len(), file.faults.total()), (100, MOST_LINES));
        assert_eq!(file.faults[99].line, 101);
    }

    #[test]
    fn an_empty_file_is_told_what_it_lacks() {
        for empty in ["", "\u{feff}", "\n\r\n  \n"] {
            assert!(faults(empty)[0].starts_with("line 1: is empty"), "{empty:?}");
        }
        assert_eq!(faults(HEADER), [""; 0]);
    }
}

//! CSV to rows (RFC 4180; a byte order mark and CRLF are fine), with every fault of the file itself.

use std::{collections::HashMap, io::Read};

use csv::{ByteRecord, ReaderBuilder};

use crate::domain::enrolment::{Column, Fault, Header, Row};

/// Returns the sound rows and all faults.
pub(super) fn rows(csv: impl Read) -> Result<(Vec<Row>, Vec<Fault>), csv::Error> {
    let mut reader = ReaderBuilder::new().has_headers(false).flexible(true).from_reader(csv);
    let mut records = reader.byte_records();
    let Some(first) = records.next().transpose()? else {
        return Ok((Vec::new(), vec![Fault::of_line(1, "the file is empty: its first line must name the columns")]));
    };
    let header = match cells(&first).and_then(|cells| Header::read(line(&first), &cells)) {
        Ok(header) => header,
        Err(faults) => return Ok((Vec::new(), faults)),
    };
    let (mut rows, mut faults) = (Vec::new(), Vec::new());
    for record in records {
        let record = record?;
        match cells(&record).and_then(|cells| Row::read(&header, line(&record), &cells)) {
            Ok(row) => rows.push(row),
            Err(mut of_line) => faults.append(&mut of_line),
        }
    }
    faults.extend(repeated(&rows));
    Ok((rows, faults))
}

fn line(record: &ByteRecord) -> u64 {
    record.position().map_or(1, csv::Position::line)
}

fn cells(record: &ByteRecord) -> Result<Vec<&str>, Vec<Fault>> {
    let texts: Result<Vec<&str>, _> = record.iter().map(std::str::from_utf8).collect();
    texts.map_err(|_| vec![Fault::of_line(line(record), "is not UTF-8: save the file as UTF-8")])
}

/// The same address twice, in any case.
fn repeated(rows: &[Row]) -> Vec<Fault> {
    let mut first: HashMap<String, u64> = HashMap::new();
    let mut faults = Vec::new();
    for row in rows {
        let seen = *first.entry(row.key()).or_insert(row.line);
        if seen != row.line {
            let message = format!("stands in line {seen} already: keep one of the two lines");
            faults.push(Fault::of_cell(row.line, Column::Email, message));
        }
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(csv: &str) -> Vec<String> {
        rows(csv.as_bytes()).unwrap().1.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_byte_order_mark_quotes_and_crlf_are_fine() {
        let csv = "\u{feff}smtp_port,email,password,smtp_host,display_name\r\n587,a@example.com,pw,m.example.com,\"Doe, J\"\r\n";
        let (rows, faults) = rows(csv.as_bytes()).unwrap();
        assert!(faults.is_empty(), "{faults:?}");
        assert_eq!((rows[0].line, rows[0].display_name.as_deref()), (2, Some("Doe, J")));
    }

    #[test]
    fn the_same_address_twice_in_other_case_names_both_lines() {
        let csv = "email,password,smtp_host,smtp_port\na@example.com,x,m.example.com,587\nA@Example.com,x,m.example.com,587\n";
        assert_eq!(faults(csv), ["line 3, email: stands in line 2 already: keep one of the two lines"]);
    }

    #[test]
    fn all_faulty_lines_are_reported_at_once() {
        let csv =
            "email,password,smtp_host,smtp_port\nnobody,x,m.example.com,587\na@example.com,x,m.example.com,port\n";
        assert_eq!(faults(csv).len(), 2);
        assert!(faults("")[0].contains("the file is empty"));
    }
}

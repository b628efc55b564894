//! `Old` reads the database of the older system in one snapshot, and never writes to it.
//!
//! Only the names of its tables and columns are known, so every value is read as text: the importer distinguishes
//! numbers, booleans, uuids and varchars. A missing column reads as NULL, and the importer decides whether that
//! matters. Instants come in UTC and ISO 8601, whatever the server's settings are.

pub mod past;

use sqlx::{AssertSqlSafe, PgPool, Postgres, Row as _, Transaction, postgres::PgRow};

use super::transaction;

/// A `Table` names a table of the older schema and the columns to read.
#[derive(Debug)]
pub struct Table {
    pub name: &'static str,
    pub columns: &'static [&'static str],
    /// The columns without which no row can be understood.
    pub required: &'static [&'static str],
}

pub const USERS: Table = Table { name: "users", columns: &["id", "email", "role"], required: &["id", "email"] };

pub const ACCOUNTS: Table = Table {
    name: "accounts",
    columns: &[
        "id",
        "email",
        "app_password",
        "sender_name",
        "smtp_host",
        "smtp_port",
        "imap_host",
        "imap_port",
        "daily_warmup_quota",
        "warmup_start_date",
        "warmup_enabled",
        "warmup_max_daily",
        "warmup_start_count",
        "warmup_increase_by",
        "warmup_reply_rate",
        "user_id",
    ],
    required: &["email", "app_password", "smtp_host", "smtp_port"],
};

/// The log. Its first six columns distinguish the rows, so they define the order of reading.
pub const LOGS: Table = Table {
    name: "logs",
    columns: &["timestamp", "sender_id", "recipient_id", "sender", "recipient", "subject", "status", "notes"],
    required: &["timestamp", "status"],
};

pub const SEND_TEMPLATES: Table =
    Table { name: "send_templates", columns: &["id", "subject", "body", "content", "text"], required: &[] };

pub const REPLY_TEMPLATES: Table =
    Table { name: "reply_templates", columns: &["id", "body", "content", "text"], required: &[] };

/// An `OldRow` is a row of the older system.
#[derive(Debug)]
pub struct OldRow {
    /// The position of the row from 1, in the order of reading.
    pub place: u64,
    columns: &'static [&'static str],
    cells: Vec<Option<String>>,
}

impl OldRow {
    /// Returns the value of `column`; `None` if it is NULL, blank, or no column of the table.
    pub fn get(&self, column: &str) -> Option<&str> {
        let place = self.columns.iter().position(|name| *name == column)?;
        self.cells[place].as_deref().filter(|text| !text.trim().is_empty())
    }

    /// Returns the cells in the order of the table's columns.
    pub fn cells(&self) -> &[Option<String>] {
        &self.cells
    }
}

/// `Old` is the older database in one snapshot.
#[derive(Debug)]
pub struct Old {
    transaction: Transaction<'static, Postgres>,
}

impl Old {
    /// Begins the snapshot.
    pub async fn open(pool: &PgPool) -> Result<Old, sqlx::Error> {
        // A row hidden by a policy must not be missed silently: with row_security off it is an error.
        const SNAPSHOT: &str = "
            SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY;
            SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0;
            SET LOCAL datestyle = 'ISO, YMD'; SET LOCAL timezone = 'UTC'; SET LOCAL row_security = off";
        let mut transaction = transaction::begin(pool).await?;
        sqlx::raw_sql(SNAPSHOT).execute(&mut *transaction).await?;
        Ok(Old { transaction })
    }

    /// Returns whether this is a database of this system, and not of the older one.
    pub async fn is_ours(&mut self) -> Result<bool, sqlx::Error> {
        const OURS: &str = "SELECT to_regclass('mailbox_days') IS NOT NULL AND to_regclass('mailboxes') IS NOT NULL";
        sqlx::query_scalar(OURS).fetch_one(&mut *self.transaction).await
    }

    /// Returns the existing columns of `table`; none if the table does not exist.
    pub async fn columns(&mut self, table: &Table) -> Result<Vec<String>, sqlx::Error> {
        const COLUMNS: &str = "
            SELECT attname::text FROM pg_attribute
            WHERE attrelid = to_regclass($1) AND attnum > 0 AND NOT attisdropped";
        sqlx::query_scalar(COLUMNS).bind(table.name).fetch_all(&mut *self.transaction).await
    }

    /// Returns all rows of a table, ordered by id if it has one; none if the table does not exist.
    pub async fn rows(&mut self, table: &Table) -> Result<Vec<OldRow>, sqlx::Error> {
        let found = self.columns(table).await?;
        if found.is_empty() {
            return Ok(Vec::new());
        }
        let order = if found.iter().any(|name| name == "id") { "t.id" } else { "1" };
        let select = select(table, &found, order);
        let rows = sqlx::query(AssertSqlSafe(select)).fetch_all(&mut *self.transaction).await?;
        (1..).zip(rows).map(|(place, row)| old_row(table, place, &row)).collect()
    }

    /// Opens a cursor on the log, ordered by its first six columns, and returns the number of its rows. Returns `None`
    /// if there is no readable log.
    pub async fn open_log(&mut self) -> Result<Option<u64>, sqlx::Error> {
        let found = self.columns(&LOGS).await?;
        if !LOGS.required.iter().all(|wanted| found.iter().any(|name| name == wanted)) {
            return Ok(None);
        }
        let rows: i64 = sqlx::query_scalar("SELECT count(*) FROM logs").fetch_one(&mut *self.transaction).await?;
        let declare = format!("DECLARE past NO SCROLL CURSOR FOR {}", select(&LOGS, &found, "1, 2, 3, 4, 5, 6"));
        sqlx::raw_sql(AssertSqlSafe(declare)).execute(&mut *self.transaction).await?;
        Ok(Some(rows.unsigned_abs()))
    }

    /// Returns the next rows of the log after the `before` rows read so far; none at its end.
    pub async fn next_of_log(&mut self, before: u64) -> Result<Vec<OldRow>, sqlx::Error> {
        let rows = sqlx::query("FETCH FORWARD 2000 FROM past").fetch_all(&mut *self.transaction).await?;
        (before + 1..).zip(rows).map(|(place, row)| old_row(&LOGS, place, &row)).collect()
    }
}

fn select(table: &Table, found: &[String], order: &str) -> String {
    let cell = |column: &&str| match found.iter().any(|name| name == column) {
        true => format!("t.\"{column}\"::text"),
        false => "NULL::text".to_owned(),
    };
    let cells: Vec<String> = table.columns.iter().map(cell).collect();
    format!("SELECT {} FROM {} AS t ORDER BY {order}", cells.join(", "), table.name)
}

fn old_row(table: &Table, place: u64, row: &PgRow) -> Result<OldRow, sqlx::Error> {
    let cells: Result<Vec<Option<String>>, sqlx::Error> = (0..table.columns.len()).map(|at| row.try_get(at)).collect();
    Ok(OldRow { place, columns: table.columns, cells: cells? })
}

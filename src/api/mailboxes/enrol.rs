//! This module enrols and changes mailboxes: one by one as JSON, or many as a CSV file, by the rules of the
//! command line.

use axum::{
    extract::{DefaultBodyLimit, FromRequestParts, State},
    http::request::Parts,
};
use secrecy::SecretString;
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use super::{SharedState, detail};
use crate::{
    admin::import::{EnrolmentCommand, ImportError, ImportReport, Options, Owner, enrol_for, import_for},
    api::{
        auth::Caller,
        envelope::{ApiResult, CreatedResponse, Envelope},
        extract::{Csv, Id, JsonBody, QueryParams},
        problem::{Problem, Wrong},
        shares::Place,
    },
    domain::enrolment::{Column, EnrolmentError, Row, Rules},
    reporting::{MailboxDetail, mailbox_id},
};

/// The largest file, in bytes: some 200,000 mailboxes.
const LARGEST_FILE: usize = 32 * 1024 * 1024;

/// The path of the import.
pub(in crate::api) const IMPORT: &str = "/api/warmup/mailboxes/import";

/// Returns the body limit of a route that takes files.
pub(in crate::api) fn takes_files() -> DefaultBodyLimit {
    DefaultBodyLimit::max(LARGEST_FILE)
}

/// The columns of a mailbox; a missing one stays as it is, or takes its default.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(in crate::api) struct Columns {
    /// The address: required of a new mailbox, and never changed.
    email: Option<String>,
    /// The password; it is never returned.
    #[schema(value_type = Option<String>, format = Password)]
    password: Option<SecretString>,
    smtp_host: Option<String>,
    smtp_port: Option<u32>,
    /// `tls`, `starttls` or `none`; by default by the port.
    smtp_security: Option<String>,
    /// The owner's address; without it the caller's own, or operator@localhost.
    user: Option<String>,
    display_name: Option<String>,
    /// For AUTH; by default the address.
    username: Option<String>,
    imap_host: Option<String>,
    imap_port: Option<u32>,
    imap_security: Option<String>,
    /// An IANA name.
    timezone: Option<String>,
    /// The sending window: `09:00-17:00`.
    window: Option<String>,
    /// The weekdays on which it sends: `mon-fri`.
    days: Option<String>,
    ramp_start: Option<u32>,
    ramp_step: Option<u32>,
    daily_max: Option<u32>,
    /// Percent of its mails that are answered.
    reply_rate: Option<u32>,
    enabled: Option<bool>,
}

impl Columns {
    fn given(&self) -> Vec<(Column, String)> {
        let number = |number: &Option<u32>| number.map(|number| number.to_string());
        let all = [
            (Column::SmtpHost, self.smtp_host.clone()),
            (Column::SmtpPort, number(&self.smtp_port)),
            (Column::SmtpSecurity, self.smtp_security.clone()),
            (Column::User, self.user.clone()),
            (Column::DisplayName, self.display_name.clone()),
            (Column::Username, self.username.clone()),
            (Column::ImapHost, self.imap_host.clone()),
            (Column::ImapPort, number(&self.imap_port)),
            (Column::ImapSecurity, self.imap_security.clone()),
            (Column::Timezone, self.timezone.clone()),
            (Column::Window, self.window.clone()),
            (Column::Days, self.days.clone()),
            (Column::RampStart, number(&self.ramp_start)),
            (Column::RampStep, number(&self.ramp_step)),
            (Column::DailyMax, number(&self.daily_max)),
            (Column::ReplyRate, number(&self.reply_rate)),
            (Column::Enabled, self.enabled.map(|enabled| enabled.to_string())),
        ];
        all.into_iter().filter_map(|(column, text)| Some((column, text?))).collect()
    }
}

/// Enrols a mailbox.
#[utoipa::path(post, path = "/mailboxes", tag = "mailboxes", request_body = Columns,
    responses((status = 201, description = "The mailbox", body = Envelope<MailboxDetail>)))]
pub(in crate::api) async fn create(
    State(front): State<SharedState>,
    caller: Caller,
    JsonBody(columns): JsonBody<Columns>,
) -> Result<CreatedResponse<MailboxDetail>, Problem> {
    let email =
        columns.email.as_deref().ok_or_else(|| Problem::unprocessable("say the mailbox's address in `email`"))?;
    write(&front, &caller, email, &columns, EnrolmentCommand::Add).await?;
    let id = mailbox_id(&front.desk.database, email).await?;
    let id = id.ok_or_else(|| Problem::conflict("the mailbox was removed just now"))?;
    Ok(CreatedResponse(front.answer(detail(&front, &caller, id).await?)))
}

/// Changes the given columns of a mailbox.
#[utoipa::path(patch, path = "/mailboxes/{id}", tag = "mailboxes", params(("id" = i64, Path,)), request_body = Columns,
    responses((status = 200, description = "The mailbox as it is now", body = Envelope<MailboxDetail>)))]
pub(in crate::api) async fn change(
    State(front): State<SharedState>,
    caller: Caller,
    Id(id): Id,
    JsonBody(columns): JsonBody<Columns>,
) -> ApiResult<MailboxDetail> {
    let known = detail(&front, &caller, id).await?.status;
    if columns.email.as_ref().is_some_and(|email| !email.trim().eq_ignore_ascii_case(&known.email)) {
        return Err(Problem::unprocessable("an address can't be changed: remove the mailbox, and enrol the other one"));
    }
    if columns.password.is_none() && columns.given().is_empty() {
        return Err(Problem::unprocessable("nothing is to be changed: say at least one column, such as dailyMax"));
    }
    write(&front, &caller, &known.email, &columns, EnrolmentCommand::Set).await?;
    Ok(front.answer(detail(&front, &caller, id).await?))
}

async fn write(
    front: &SharedState,
    caller: &Caller,
    email: &str,
    columns: &Columns,
    by: EnrolmentCommand,
) -> Result<(), Problem> {
    let given = columns.given();
    let cells: Vec<(Column, &str)> = [(Column::Email, email.trim())]
        .into_iter()
        .chain(given.iter().map(|(column, text)| (*column, text.as_str())))
        .collect();
    let (row, faults) = Row::given(1, &cells, columns.password.clone());
    let rows = if row.email.is_empty() { Vec::new() } else { vec![row] };
    let (desk, options) = (&front.desk, options(front, false));
    let (rules, owner) = (Rules::from(&*desk.settings), owner(front, caller));
    let done = enrol_for(&desk.database, &desk.sealer, &rules, (rows, faults), by, owner.as_ref(), &options).await;
    done.map(drop).map_err(|error| refused(error, Form::Json))
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub(in crate::api) struct Parameters {
    /// Say what would be done, and do nothing.
    #[serde(default)]
    #[param(required = false)]
    dry_run: bool,
}

/// Enrols the mailboxes of a CSV file, or updates them: all of them, or none if there is any error.
#[utoipa::path(post, path = "/mailboxes/import", tag = "mailboxes", params(Parameters),
    request_body(content = String, content_type = "text/csv",
        description = "The first line names the columns; required are email,password,smtp_host,smtp_port"),
    responses((status = 200, description = "What was done", body = Envelope<ImportReport>)))]
pub(in crate::api) async fn import(
    State(front): State<SharedState>,
    caller: Caller,
    QueryParams(asked): QueryParams<Parameters>,
    ImportPlace(_place): ImportPlace,
    Csv(file): Csv,
) -> ApiResult<ImportReport> {
    // The API imports one file at a time, because a file needs memory and CPU time.
    let _turn = front.importing.lock().await;
    let (desk, options) = (&front.desk, options(&front, asked.dry_run));
    let (rules, owner) = (Rules::from(&*desk.settings), owner(&front, &caller));
    let done = import_for(&desk.database, &desk.sealer, &rules, &file[..], owner.as_ref(), &options).await;
    let report = done.map_err(|error| refused(error, Form::Csv))?;
    desk.capacity.clear();
    Ok(front.answer(report.with_caps(&desk.settings)))
}

/// An `ImportPlace` reserves a place for a file before its body is read.
pub(in crate::api) struct ImportPlace(Place);

impl FromRequestParts<SharedState> for ImportPlace {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, front: &SharedState) -> Result<ImportPlace, Problem> {
        let caller = Caller::from_request_parts(parts, front).await?;
        let place = front.imports.take(&caller.identity).ok_or_else(|| {
            let detail = "other files are being imported: send yours again in a moment";
            Problem::unavailable(detail).with_retry_after(5)
        })?;
        Ok(ImportPlace(place))
    }
}

fn options(front: &SharedState, dry_run: bool) -> Options<'static> {
    Options { now: front.desk.clock.now(), dry_run, progress: &|_, _| {} }
}

/// Returns the only owner that the caller may enrol for; `None` for an admin.
fn owner(front: &SharedState, caller: &Caller) -> Option<Owner> {
    let most = front.desk.settings.user_mailbox_limit as usize;
    caller.identity.scope().map(|id| Owner { id, address: caller.identity.name.clone(), most })
}

/// The format in which the mailboxes were sent.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Csv,
    Json,
}

fn refused(error: ImportError, form: Form) -> Problem {
    match error {
        ImportError::Database(error) => error.into(),
        ImportError::Faults(faults) => {
            let detail = match (form, &faults[..]) {
                (Form::Json, [only]) => only.message.clone(),
                _ if faults.more() > 0 => {
                    let (total, listed, more) = (faults.total(), faults.len(), faults.more());
                    format!(
                        "{total} faults, nothing was changed: `errors` says what to write of the first {listed}, and {more} more"
                    )
                }
                _ => format!("{} faults, nothing was changed: `errors` says what to write", faults.total()),
            };
            let errors = faults.iter().map(|fault| as_written(fault, form)).collect();
            Problem::unprocessable(detail).with_errors(errors)
        }
        ImportError::Unreadable(_) => Problem::bad_request("the body broke off: send it again"),
        ImportError::NotMigrated | ImportError::Keyring(_) => Problem::unavailable(error.to_string()),
    }
}

/// Returns the error with the column name of the format: camel case for JSON.
fn as_written(fault: &EnrolmentError, form: Form) -> Wrong {
    let camel = |name: &str| {
        let mut words = name.split('_');
        let first = words.next().unwrap_or_default().to_owned();
        words.fold(first, |name, word| name + &word[..1].to_uppercase() + &word[1..])
    };
    let column = fault.column.map(|name| if form == Form::Json { camel(name) } else { name.to_owned() });
    Wrong { line: (form == Form::Csv).then_some(fault.line), column, message: fault.message.clone() }
}

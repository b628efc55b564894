//! An open connection on which commands can be given: the library that writes them, the wire on which their replies are
//! read, and what the host offers.

use lettre::transport::smtp::{
    authentication::{Credentials, Mechanism},
    client::AsyncSmtpConnection,
    commands::Auth,
    response::{Category, Code, Detail, Response, Severity},
};

use super::{offers::Offers, wire::Wire};
use crate::domain::outcome::{Reply, judge::Evidence};

/// AUTH LOGIN asks for two answers; who asks for more than this will not have enough.
const MOST_CHALLENGES: usize = 10;

pub(super) struct Line {
    pub(super) wire: Wire,
    pub(super) connection: AsyncSmtpConnection,
    pub(super) offers: Offers,
}

impl Line {
    /// Writes `text`, where there is any, and waits for the next reply.
    pub(super) async fn ask(&mut self, text: Option<String>) -> Result<Reply, Evidence> {
        if let Some(text) = text {
            // Whether it could be written is seen from what can be read.
            let _ = self.connection.command(text).await;
        }
        self.wire.reply().await
    }

    /// Logs in, as far as we have answers, and returns the last reply.
    pub(super) async fn log_in(&mut self, credentials: &Credentials) -> Result<Reply, Evidence> {
        let mechanism = self.offers.mechanism().ok_or(Evidence::AuthMissing)?;
        let auth = Auth::new(mechanism, credentials.clone(), None);
        let auth = auth.map_err(|error| Evidence::Unsendable(error.to_string()))?;
        let mut reply = self.ask(Some(auth.to_string())).await?;
        for _ in 0..MOST_CHALLENGES {
            let Some(answer) = answer(&reply, mechanism, credentials) else { break };
            reply = self.ask(Some(answer)).await?;
        }
        Ok(reply)
    }
}

/// Returns what to say to a challenge of AUTH; `None` where `reply` is none, or one that we have no answer to.
fn answer(reply: &Reply, mechanism: Mechanism, credentials: &Credentials) -> Option<String> {
    let code = Code::new(Severity::PositiveIntermediate, Category::Unspecified3, Detail::Four);
    let challenge = (reply.code == u16::from(code)).then(|| Response::new(code, vec![reply.text.clone()]))?;
    let answer = Auth::new_from_response(mechanism, credentials.clone(), &challenge).ok()?;
    Some(answer.to_string())
}

//! An open connection on which commands can be given: the library that writes them, the wire on which their replies are
//! read, and what the host offers.

use lettre::transport::smtp::client::AsyncSmtpConnection;

use super::{
    capabilities::Capabilities,
    sasl::{Login, Mechanism},
    transport::Transport,
};
use crate::domain::outcome::{Reply, classify::DialogueEnd};

/// The reply that asks for the next line of a login (RFC 4954 section 4).
const CHALLENGE: u16 = 334;

pub(super) struct SmtpSession {
    pub(super) wire: Transport,
    pub(super) connection: AsyncSmtpConnection,
    pub(super) offers: Capabilities,
}

impl SmtpSession {
    /// Writes `text`, where there is any, and waits for the next reply.
    pub(super) async fn ask(&mut self, text: Option<String>) -> Result<Reply, DialogueEnd> {
        if let Some(text) = text {
            // Whether it could be written is seen from what can be read.
            let _ = self.connection.command(text).await;
        }
        self.wire.reply().await
    }

    /// Logs in by `mechanism`, as far as we have answers, and returns the last reply.
    pub(super) async fn log_in(&mut self, login: &Login<'_>, mechanism: Mechanism) -> Result<Reply, DialogueEnd> {
        let mut reply = self.ask(Some(login.command(mechanism))).await?;
        let mut place = 0;
        while reply.code == CHALLENGE
            && let Some(answer) = login.answer(mechanism, place)
        {
            reply = self.ask(Some(answer)).await?;
            place += 1;
        }
        Ok(reply)
    }
}

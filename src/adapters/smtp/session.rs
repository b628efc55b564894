//! An `SmtpSession` is an open connection that is ready for commands: lettre's connection, which writes the commands,
//! the transport, which reads the replies, and the host's capabilities.

use lettre::transport::smtp::client::AsyncSmtpConnection;

use super::{
    capabilities::Capabilities,
    sasl::{Login, Mechanism},
    transport::Transport,
};
use crate::domain::outcome::{Reply, classify::DialogueEnd};

/// The reply code that asks for the next line of a login (RFC 4954 section 4).
const CHALLENGE: u16 = 334;

pub(super) struct SmtpSession {
    pub(super) wire: Transport,
    pub(super) connection: AsyncSmtpConnection,
    pub(super) offers: Capabilities,
}

impl SmtpSession {
    /// Writes `text`, if any, and waits for the next reply.
    pub(super) async fn ask(&mut self, text: Option<String>) -> Result<Reply, DialogueEnd> {
        if let Some(text) = text {
            // A failed write shows itself in the read that follows.
            let _ = self.connection.command(text).await;
        }
        self.wire.reply().await
    }

    /// Logs in by `mechanism` until no answer is left, and returns the last reply.
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

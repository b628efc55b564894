//! `Frontend` parses a client's messages to Postgres to find the running statement.
//!
//! The text of a prepared statement is sent once, in Parse. The message that runs it, Bind, only names it.
//! <https://www.postgresql.org/docs/current/protocol-message-formats.html>

use std::collections::HashMap;

const SSL_REQUEST: [u8; 4] = 80_877_103_i32.to_be_bytes();

/// The client's half of one connection.
#[derive(Debug, Default)]
pub(super) struct Frontend {
    pending: Vec<u8>,
    started: bool,
    prepared: HashMap<Vec<u8>, String>,
}

impl Frontend {
    /// Reads the next bytes and returns the texts of the statements whose Bind, or whose simple Query, is now
    /// complete.
    pub(super) fn read(&mut self, bytes: &[u8]) -> Vec<String> {
        self.pending.extend_from_slice(bytes);
        let mut run = Vec::new();
        while let Some(message) = self.message() {
            match message.first() {
                Some(b'P') => {
                    let mut texts = message[5..].split(|byte| *byte == 0);
                    let (name, text) = (texts.next().unwrap_or_default(), texts.next().unwrap_or_default());
                    self.prepared.insert(name.to_vec(), String::from_utf8_lossy(text).into_owned());
                }
                Some(b'B') => {
                    let name = message[5..].split(|byte| *byte == 0).nth(1).unwrap_or_default();
                    run.extend(self.prepared.get(name).cloned());
                }
                Some(b'Q') => {
                    let text = message[5..].split(|byte| *byte == 0).next().unwrap_or_default();
                    run.push(String::from_utf8_lossy(text).into_owned());
                }
                _ => {}
            }
        }
        run
    }

    /// Takes a complete message with its type and length. The first messages have no type and are skipped.
    fn message(&mut self) -> Option<Vec<u8>> {
        let typed = usize::from(self.started);
        let length = self.pending.get(typed..typed + 4)?.try_into().map(u32::from_be_bytes).ok()? as usize;
        if self.pending.len() < typed + length {
            return None;
        }
        let message: Vec<u8> = self.pending.drain(..typed + length).collect();
        if !self.started {
            self.started = message.get(4..8) != Some(&SSL_REQUEST);
            return Some(Vec::new());
        }
        Some(message)
    }
}

/// Returns true if the server's bytes end in ReadyForQuery: the transaction is over and its answer is
/// complete.
pub(super) fn is_ready_for_query(bytes: &[u8]) -> bool {
    bytes.len() >= 6 && bytes[bytes.len() - 6..bytes.len() - 1] == *b"Z\0\0\0\x05"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(kind: &[u8], body: &[u8]) -> Vec<u8> {
        let length = u32::try_from(body.len() + 4).unwrap().to_be_bytes();
        [kind, &length, body].concat()
    }

    #[test]
    fn a_statement_is_known_by_its_text_whenever_it_is_run() {
        let mut frontend = Frontend::default();
        let start = [message(b"", &SSL_REQUEST), message(b"", b"\0\x03\0\0user\0me\0\0")].concat();
        assert!(frontend.read(&start).is_empty());
        assert!(frontend.read(&message(b"P", b"s1\0SELECT 1\0\0\0")).is_empty());
        let bind = message(b"B", b"\0s1\0\0\0\0\0\0\0");
        assert!(frontend.read(&bind[..7]).is_empty());
        assert_eq!(frontend.read(&bind[7..]), ["SELECT 1"]);
        assert_eq!(frontend.read(&bind), ["SELECT 1"]);
        assert_eq!(frontend.read(&message(b"Q", b"BEGIN\0")), ["BEGIN"]);
    }
}

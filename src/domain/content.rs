//! The words of a mail.

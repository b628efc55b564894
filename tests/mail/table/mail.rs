//! MAIL, and DATA before the 354, which means what it means at MAIL.

use super::{DISABLED, NOBODY, STALLED, host, hours, sender};

super::rows! {
    not_the_senders_address: [Mail Data] "553 5.7.1 Sender address rejected: not owned by user" => Refused "sender-address", sender(DISABLED);
    not_the_senders_address_without_a_word_of_it: [Mail Data] "553 5.7.1 No" => Refused "sender-address", sender(DISABLED);
    a_bad_senders_address: [Mail Data] "550 5.1.7 Invalid address" => Refused "sender-address", sender(DISABLED);
    a_senders_address_with_a_null_mx: [Mail Data] "550 5.7.27 Sender address has null MX" => Refused "sender-address", sender(DISABLED);
    no_storage_left: [Mail Data] "452 4.3.1 Insufficient system storage" => Refused "host-trouble", host(STALLED);
    no_resources: [Mail Data] "451 4.3.0 Temporary system problem" => Refused "host-trouble", host(STALLED);
    no_resources_without_a_code: [Mail Data] "452 Full" => Refused "host-trouble", host(STALLED);
    a_server_that_closes: [Mail Rcpt Data] "421 Closing" => Refused "host-trouble", host(STALLED);
    the_senders_own_mailbox_is_full: [Mail Data] "552 5.2.2 Over quota" => Refused "sender-full", sender(hours(24));
    an_unknown_4yz: [Mail Data] "450 4.0.0 Not now" => Refused "transient", NOBODY;
    an_unknown_5yz: [Mail Data] "554 5.0.0 No" => Refused "refused", NOBODY;
    a_2yz_where_the_body_should_be_asked_for: [Data] "250 2.0.0 Ok" => Refused "protocol-error", NOBODY;
    a_3yz_that_nobody_asked_for: [Mail] "354 Go on" => Refused "protocol-error", NOBODY;
}

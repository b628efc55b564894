//! RCPT: an address reply is the partner's, a policy against us is not.

use super::{COUNTED, DISABLED, NOBODY, hours, partner, sender};

super::rows! {
    an_unknown_partner: [Rcpt] "550 5.1.1 User unknown" => Refused "partner-unknown", partner(DISABLED);
    a_partners_domain_that_is_unknown: [Rcpt] "550 5.1.2 Domain not found" => Refused "partner-unknown", partner(DISABLED);
    a_partner_that_moved: [Rcpt] "550 5.1.6 Recipient no longer on server" => Refused "partner-unknown", partner(DISABLED);
    a_partner_unknown_to_exchange: [Rcpt] "550 5.1.10 Recipient not found" => Refused "partner-unknown", partner(DISABLED);
    an_unknown_partner_without_a_code: [Rcpt] "550 No such user here" => Refused "partner-unknown", partner(DISABLED);
    a_disabled_partner: [Rcpt] "550 5.2.1 The account is disabled" => Refused "partner-disabled", partner(DISABLED);
    a_disabled_partners_account: [Rcpt] "525 5.7.13 User account disabled" => Refused "partner-disabled", partner(DISABLED);
    a_full_partner_for_now: [Rcpt] "452 4.2.2 The inbox is out of storage" => Refused "partner-full", partner(hours(24));
    a_full_partner_for_now_in_few_words: [Rcpt] "452 4.2.2 Over quota" => Refused "partner-full", partner(hours(24));
    a_busy_partner: [Rcpt] "450 4.2.1 Busy" => Refused "partner-busy", partner(hours(1));
    a_full_partner: [Rcpt] "552 5.2.2 Over quota" => Refused "partner-full", partner(hours(24));
    a_full_partner_without_a_code: [Rcpt] "552 Over quota" => Refused "partner-full", partner(hours(24));
    a_partner_that_receives_too_fast: [Rcpt] "450 4.2.1 Receiving mail at a rate that prevents delivery" => Refused "partner-busy", partner(hours(1));
    a_greylisting: [Rcpt] "450 4.7.1 Come back later" => Refused "greylisted", NOBODY;
    another_greylisting: [Rcpt] "451 4.7.0 Come back later" => Refused "greylisted", NOBODY;
    a_greylisting_without_a_code: [Rcpt] "451 Greylisted for 300 s" => Refused "greylisted", NOBODY;
    a_policy_against_us: [Rcpt] "550 5.7.1 Service refused" => Refused "policy-refused", sender(COUNTED);
    another_policy_against_us: [Rcpt] "554 5.7.129 Restricted to certain senders" => Refused "policy-refused", sender(COUNTED);
    relaying_is_policy: [Rcpt] "553 5.7.1 Relaying denied" => Refused "policy-refused", sender(COUNTED);
    too_many_recipients_for_now: [Rcpt] "452 4.5.3 Too many recipients" => Refused "too-many-recipients", NOBODY;
    too_many_recipients: [Rcpt] "550 5.5.3 Too many recipients" => Refused "too-many-recipients", NOBODY;
    what_postfix_thinks_of_the_sender_it_says_at_rcpt:
        [Rcpt] "553 5.7.1 <a@b.c>: Sender address rejected: not owned by user x" => Refused "sender-address", sender(DISABLED);
    a_senders_domain_that_does_not_exist_is_not_the_partners_fault: [Rcpt] "550 Sender domain does not exist" => Refused "sender-refused", NOBODY;
    an_unknown_4yz_at_rcpt: [Rcpt] "450 4.0.0 Not now" => Refused "transient", NOBODY;
    an_unknown_5yz_at_rcpt: [Rcpt] "550 5.0.0 No" => Refused "refused", NOBODY;
}

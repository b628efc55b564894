//! After the final dot: 250 is sent; a refusal is definite also here; 5.2.2 is the sender's at Exchange.

use super::{COUNTED, NOBODY, hours, sender};

super::rows! {
    accepted: [Dot] "250 2.0.0 Ok: queued as 4XyZ" => Sent "", NOBODY;
    a_421_is_definite: [Dot] "421 4.4.2 Timeout" => Refused "transient", NOBODY;
    a_450_is_definite: [Dot] "450 4.0.0 Later" => Refused "transient", NOBODY;
    a_451_is_definite: [Dot] "451 4.3.0 Queue file write error" => Refused "transient", NOBODY;
    a_452_is_definite: [Dot] "452 4.3.1 Insufficient system storage" => Refused "transient", NOBODY;
    the_senders_own_mailbox_is_full: [Dot] "554 5.2.2 mailbox full; STOREDRV.Submission" => Refused "sender-full", sender(hours(24));
    a_full_mailbox_that_may_be_eithers: [Dot] "552 5.2.2 Over quota" => Refused "mailbox-full", NOBODY;
    too_big: [Mail Data Dot] "552 5.3.4 Message too big" => Refused "content-refused", NOBODY;
    too_big_without_a_code: [Mail Data Dot] "552 Too big" => Refused "content-refused", NOBODY;
    too_big_in_no_words: [Mail Data Dot] "552 5.3.4 No" => Refused "content-refused", NOBODY;
    too_big_without_a_code_in_no_words: [Mail Data Dot] "552 No" => Refused "content-refused", NOBODY;
    a_form_that_is_not_taken: [Dot] "554 5.6.0 Invalid message content" => Refused "content-refused", NOBODY;
    a_parameter_that_is_not_known: [Mail Dot] "555 5.5.4 Unsupported" => Refused "content-refused", NOBODY;
    looks_like_spam: [Dot] "550 5.7.1 Looks like spam" => Refused "policy-refused", sender(COUNTED);
    looks_like_spam_to_others: [Dot] "554 5.7.1 Message content rejected" => Refused "policy-refused", sender(COUNTED);
    content_is_policy: [Dot] "554 5.7.0 Content blocked" => Refused "policy-refused", sender(COUNTED);
    exchange_says_5_2_0_about_many_things: [Dot] "554 5.2.0 STOREDRV.Submission.Exception" => Refused "refused", NOBODY;
    a_partner_that_is_unknown_only_now_is_this_mails_matter: [Dot] "550 5.1.1 User unknown" => Refused "refused", NOBODY;
    an_unknown_4yz: [Dot] "471 4.9.9 Hm" => Refused "transient", NOBODY;
    an_unknown_5yz: [Dot] "571 5.9.9 Hm" => Refused "refused", NOBODY;
    a_goodbye_says_nothing_of_the_mail: [Dot] "221 2.0.0 Bye" => Uncertain "uncertain", NOBODY;
    a_3yz_answers_nothing_that_was_asked: [Dot] "354 Go on" => Uncertain "uncertain", NOBODY;
}

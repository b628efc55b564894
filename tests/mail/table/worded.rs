//! Replies whose words name another side than their code does. The places and the partners stand as if nobody had spoken
//! of them: a sender's limit rests the sender alone.

use super::{DISABLED, NOBODY, STALLED, host, hours, minutes, partner, sender};

super::rows! {
    // The sender's own limit.
    a_24_hour_limit: [Rcpt Dot] "550 User x has exceeded its 24-hour sending limit. Messages to 250 recipients out of 250 allowed have been sent." => Refused "sender-quota-exceeded", sender(hours(4));
    an_hourly_limit_of_the_domain: [Rcpt Dot] "550 Domain d has exceeded the max emails per hour (150/150 (100%)) allowed. Message discarded." => Refused "sender-rate-exceeded", sender(minutes(20));
    a_daily_quota_behind_a_454: [Mail Dot] "454 Throttling failure: Daily message quota exceeded." => Refused "sender-quota-exceeded", sender(hours(4));
    a_sending_rate_behind_a_454: [Dot] "454 Throttling failure: Maximum sending rate exceeded." => Refused "sender-rate-exceeded", sender(minutes(20));
    a_relay_quota: [Rcpt Dot] "552 Message would take you over your relay quota of 500" => Refused "sender-quota-exceeded", sender(hours(4));
    a_rate_limit_is_no_greylisting: [Rcpt] "451 4.7.1 Rate limit exceeded" => Refused "sender-rate-exceeded", sender(minutes(20));
    a_policy_service_counts_messages: [Data Dot] "554 5.7.1 Data command rejected: only 10 messages per day" => Refused "sender-quota-exceeded", sender(hours(4));
    a_quota_that_looks_like_the_partners: [Rcpt] "554 5.7.1 <a@b.c>: Recipient address rejected: You have exceeded your quota" => Refused "sender-rate-exceeded", sender(minutes(20));
    an_allowance_of_mails: [Rcpt Dot] "550 You reached the allowance of 300 mails for your plan" => Refused "sender-quota-exceeded", sender(hours(4));
    credits_that_are_used_up: [Auth] "451 Authentication failed: Maximum credits exceeded" => Refused "sender-quota-exceeded", sender(hours(4));
    a_quota_where_no_recipient_is_meant: [Mail Dot] "552 5.7.1 Quota exceeded" => Refused "sender-quota-exceeded", sender(hours(4));
    a_limit_where_no_recipient_is_meant: [Mail Dot] "550 5.7.1 Limit exceeded" => Refused "sender-rate-exceeded", sender(minutes(20));
    // The partner's, although they speak of rates and limits.
    a_partner_that_receives_too_quickly: [Rcpt] "550 5.2.1 The user is receiving mail too quickly" => Refused "partner-busy", partner(hours(1));
    a_partner_without_room: [Rcpt] "552 Mailbox size limit exceeded" => Refused "partner-full", partner(hours(24));
    a_size_is_no_rate: [Mail Dot] "552 5.3.4 Message size limit exceeded" => Refused "content-refused", NOBODY;
    // One sender and one partner.
    a_greylisting_by_its_word: [Rcpt Dot] "451 4.3.0 Greylisted, come back in 5 minutes" => Refused "greylisted", NOBODY;
    // The sender is suspended.
    a_suspended_sender: [Mail Dot] "550 Outgoing mail from a has been suspended." => Refused "sender-blocked", sender(DISABLED);
    a_suspended_sender_told_at_rcpt: [Rcpt] "550 Your account has been suspended" => Refused "sender-blocked", sender(DISABLED);
    a_sender_that_is_suspended_for_now: [Mail Dot] "451 Account temporarily suspended" => Refused "sender-blocked", sender(hours(4));
    a_sender_that_is_suspended_for_now_told_at_rcpt: [Rcpt] "451 Your account is temporarily suspended" => Refused "sender-blocked", sender(hours(4));
    // The login may not send from this address.
    an_address_of_somebody_else: [Mail Rcpt Dot] "553 Relaying disallowed as x" => Refused "sender-address", sender(DISABLED);
    an_address_that_is_not_verified: [Mail Dot] "554 Message rejected: Email address is not verified" => Refused "sender-address", sender(DISABLED);
    an_address_that_is_not_allowed: [Mail] "550 Sender address is not allowed." => Refused "sender-address", sender(DISABLED);
    // Our address, or the host.
    our_address_is_on_a_list: [Rcpt Dot] "554 5.7.1 Service unavailable; Client host [192.0.2.1] blocked using zen.spamhaus.org" => Refused "host-refuses-us", host(STALLED);
    our_address_is_blocked: [Mail Rcpt] "550 5.7.1 Access from your IP address is blocked" => Refused "host-refuses-us", host(STALLED);
}

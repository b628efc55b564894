//! Replies with which one provider says one thing, at whatever stage they turn up: quotas that look permanent and clear
//! by themselves, a sender that is blocked, a rate, a domain whose DNS fails.

use super::{DISABLED, EASED, NOBODY, domain, hours, minutes, partner, sender};

super::rows! {
    gmails_daily_limit: [Mail Rcpt Data Dot] "550 5.4.5 Daily user sending limit exceeded" => Refused "sender-daily-limit", sender(hours(24));
    a_trial_tenants_limit: [Mail Rcpt Data Dot] "550 5.7.232 Your message can't be sent: trial tenant" => Refused "tenant-limit", domain(hours(24));
    a_tenants_external_limit: [Mail Rcpt Data Dot] "550 5.7.233 Your tenant exceeded its limit" => Refused "tenant-limit", domain(hours(24));
    exchanges_daily_recipient_limit:
        [Mail Rcpt Data Dot] "554 5.2.0 STOREDRV.Submission.Exception: submission quota exceeded" => Refused "sender-daily-limit", sender(hours(24));
    exchange_suspends_a_sender:
        [Dot] "554 5.2.0 STOREDRV.Submission.Exception:OutboundSpamException; Actual verdict is Suspend, ShowTierUpgrade" => Refused "sender-blocked", sender(DISABLED);
    exchange_denies_an_address: [Mail Dot] "554 5.2.252 SendAsDenied; a not allowed to send as b" => Refused "sender-address", sender(DISABLED);
    exchange_gives_no_permission_for_an_address:
        [Mail Dot] "550 5.7.60 SMTP; Client does not have permissions to send as this sender" => Refused "sender-address", sender(DISABLED);
    exchanges_daily_limit_by_its_code: [Dot] "550 5.1.90 You've reached your daily limit for message recipients" => Refused "sender-daily-limit", sender(hours(24));
    exchange_blocks_a_sender: [Mail Rcpt Data Dot] "550 5.1.8 Access denied, bad outbound sender" => Refused "sender-blocked", sender(DISABLED);
    exchange_does_not_know_the_domain: [Mail Rcpt Data Dot] "550 5.7.750 Unregistered domain" => Refused "sender-blocked", sender(DISABLED);
    zoho_blocks_a_sender: [Mail Rcpt Data Dot] "554 5.1.8 Email Outgoing Blocked" => Refused "sender-blocked", sender(DISABLED);
    zoho_sees_unusual_activity: [Mail Rcpt Data Dot] "550 5.4.6 Unusual sending activity detected" => Refused "sender-blocked", sender(DISABLED);
    a_routing_loop_is_nobodys_fault: [Dot] "550 5.4.6 Hop count exceeded, possible mail loop" => Refused "routing-loop", NOBODY;
    a_sender_with_too_many_connections: [Mail Rcpt Data Dot] "432 4.3.2 Concurrent connections limit exceeded" => Refused "sender-concurrency", sender(minutes(5));
    a_partner_with_too_many_threads:
        [Rcpt Dot] "432 4.3.2 STOREDRV.Deliver; recipient thread limit exceeded" => Refused "partner-busy", partner(minutes(5));
    a_mail_flood: [Mail Rcpt Data Dot] "550 5.7.38 Mail flood detected" => Refused "sender-rate", sender(EASED);
    gmails_unusual_rate: [Mail Rcpt Data Dot] "421 4.7.28 Our system has detected an unusual rate" => Refused "sender-rate", sender(EASED);
    exchanges_reputation_throttle: [Mail Rcpt Data Dot] "451 4.7.500 Server busy. Please try again later" => Refused "sender-rate", sender(EASED);
    gmail_wants_authentication: [Mail Rcpt Data Dot] "550 5.7.26 This mail is unauthenticated" => Refused "domain-unauthenticated", domain(hours(24));
    outlook_wants_authentication:
        [Mail Rcpt Data Dot] "550 5.7.515 Access denied, does not meet the required authentication level" => Refused "domain-unauthenticated", domain(hours(24));
    no_dkim_signature_passes: [Dot] "550 5.7.20 No passing DKIM signature found" => Refused "domain-unauthenticated", domain(hours(24));
    spf_fails: [Rcpt Dot] "550 5.7.23 SPF validation failed" => Refused "domain-unauthenticated", domain(hours(24));
    the_reverse_dns_fails: [Dot] "550 5.7.25 Reverse DNS validation failed" => Refused "domain-unauthenticated", domain(hours(24));
}

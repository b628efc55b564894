//! Name resolution, TCP, TLS, greeting and EHLO: nobody was named yet.

use super::{COUNTED, STALLED, host, hours};

super::rows! {
    a_421_greeting_is_the_hosts_trouble: [Greeting Ehlo] "421 4.3.2 Service not available" => Refused "host-trouble", host(COUNTED);
    a_4yz_greeting_is_the_hosts_trouble: [Greeting Ehlo] "450 Try again later" => Refused "host-trouble", host(COUNTED);
    a_554_greeting_refuses_our_address: [Greeting Ehlo] "554 5.7.1 Your address is listed" => Refused "host-refuses-us", host(hours(1));
    a_name_that_is_not_full_is_our_matter:
        [Ehlo] "550 EHLO argument does not match a fully qualified name" => Refused "helo-refused", host(COUNTED);
    a_name_that_is_no_legal_one_is_our_matter: [Ehlo] "501 Syntactically invalid HELO argument(s)" => Refused "helo-refused", host(COUNTED);
    a_name_that_is_not_fully_qualified_is_our_matter:
        [Ehlo] "504 5.5.2 <warmup-0>: Helo command rejected: need fully-qualified hostname" => Refused "helo-refused", host(COUNTED);
    a_name_that_does_not_resolve_is_our_matter:
        [Ehlo] "450 4.7.1 <warmup-0>: Helo command rejected: Host not found" => Refused "helo-refused", host(COUNTED);
    a_name_that_postfix_refuses_late_counts_once_several_senders_meet_it:
        [Mail Rcpt Data] "504 5.5.2 <warmup-0>: Helo command rejected: need fully-qualified hostname" => Refused "helo-refused", host(STALLED);
    a_name_that_does_not_resolve_counts_late_once_several_senders_meet_it:
        [Mail Rcpt Data] "450 4.7.1 <warmup-0>: Helo command rejected: Host not found" => Refused "helo-refused", host(STALLED);
    a_starttls_that_is_not_available_now_is_the_hosts_trouble:
        [Starttls] "454 4.7.0 TLS not available due to a temporary reason" => Refused "host-trouble", host(COUNTED);
}

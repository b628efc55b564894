//! AUTH: what concerns the sender's login, and never the partner. A 454 is not bad credentials.

use super::{DISABLED, STALLED, host, hours, sender};

super::rows! {
    a_454_is_too_many_logins_and_disables_nobody: [Auth] "454 4.7.0 Too many login attempts" => Refused "auth-temporary", sender(hours(1));
    a_454_without_a_code_is_the_same: [Auth] "454 Temporary authentication failure" => Refused "auth-temporary", sender(hours(1));
    a_421_for_the_login_throttles: [Auth] "421 4.7.0 Try again later" => Refused "auth-throttled", sender(hours(1));
    a_password_that_must_be_changed: [Auth] "432 4.7.12 A password transition is needed" => Refused "password-change-needed", sender(DISABLED);
    a_password_that_must_be_changed_without_a_code: [Auth] "432 Change it first" => Refused "password-change-needed", sender(DISABLED);
    an_app_password_is_needed: [Auth] "534 5.7.9 Application-specific password required" => Refused "auth-needs-operator", sender(DISABLED);
    a_web_login_is_needed: [Auth] "534 5.7.14 Please log in via your web browser" => Refused "auth-needs-operator", sender(DISABLED);
    a_mechanism_that_is_too_weak: [Auth] "534 Too weak" => Refused "auth-needs-operator", sender(DISABLED);
    bad_credentials: [Auth] "535 5.7.8 Username and password not accepted" => Refused "auth-refused", sender(DISABLED);
    bad_credentials_at_exchange: [Auth] "535 5.7.3 Authentication unsuccessful" => Refused "auth-refused", sender(DISABLED);
    a_login_that_could_not_be_checked: [Auth] "535 5.7.8 Error: authentication failed: Connection lost to authentication server" => Refused "auth-temporary", sender(hours(1));
    a_wrong_password_of_which_postfix_says_no_more: [Auth] "535 5.7.8 Error: authentication failed: (reason unavailable)" => Refused "auth-refused", sender(DISABLED);
    a_wrong_password_that_may_be_corrected: [Auth] "535 5.7.8 Invalid credentials, check your password and try again" => Refused "auth-refused", sender(DISABLED);
    bad_credentials_without_a_code: [Auth] "535 Incorrect" => Refused "auth-refused", sender(DISABLED);
    smtp_auth_is_off: [Auth] "535 5.7.139 SmtpClientAuthentication is disabled for the tenant" => Refused "auth-method-retired", sender(DISABLED);
    basic_auth_is_retired: [Auth Mail] "550 5.7.30 Basic authentication is not supported" => Refused "auth-method-retired", sender(DISABLED);
    a_login_is_required: [Auth Mail Rcpt] "530 5.7.0 Authentication required" => Refused "auth-required", sender(DISABLED);
    a_login_is_required_without_a_code: [Mail] "530 Log in first" => Refused "auth-required", sender(DISABLED);
    encryption_is_required: [Auth] "538 5.7.11 Encryption required" => Refused "encryption-required", sender(DISABLED);
    encryption_is_required_without_a_code: [Auth] "538 Encryption required" => Refused "encryption-required", sender(DISABLED);
    another_4yz_to_the_login: [Auth] "451 4.7.24 Later" => Refused "auth-temporary", sender(hours(1));
    another_5yz_to_the_login: [Auth] "504 5.5.4 Unrecognized authentication type" => Refused "auth-failed", sender(hours(1));
    a_server_that_closes_during_the_login: [Auth] "421 Closing" => Refused "host-trouble", host(STALLED);
}

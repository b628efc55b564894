//! This module writes the configuration files of the servers. Every other setting has the program's default.

use std::{collections::BTreeSet, path::Path};

use super::{Accounts, Ports};

/// Returns Dovecot's passwd-file with the logins.
pub(super) fn passwd(accounts: &Accounts) -> String {
    accounts.logins.iter().map(|(address, password)| format!("{address}:{{PLAIN}}{password}::::::\n")).collect()
}

/// Returns Postfix' table of the domains to which it delivers.
pub(super) fn domains(accounts: &Accounts) -> String {
    let addresses = accounts.logins.iter().map(|(address, _)| address);
    let domains: BTreeSet<&str> = addresses.filter_map(|address| Some(address.rsplit_once('@')?.1)).collect();
    domains.iter().map(|domain| format!("{domain} x\n")).collect()
}

/// Returns Postfix' table of the addresses to which it delivers.
pub(super) fn mailboxes(accounts: &Accounts) -> String {
    let known = accounts.logins.iter().map(|(address, _)| address);
    let known = known.filter(|address| !accounts.unknown.contains(address));
    known.map(|address| format!("{address} x\n")).collect()
}

/// Returns the configuration of Dovecot 2.3: LMTP input, logins for Postfix, and Maildirs of `owner`. It logs
/// a failed login, and unlike the default neither delays it nor counts it against other logins from this
/// address.
pub(super) fn dovecot(dir: &Path, ports: Ports, (uid, gid): (u32, u32)) -> String {
    let (dir, lmtp) = (dir.display(), ports.lmtp);
    format!(
        r#"base_dir = {dir}/run
state_dir = {dir}/state
log_path = {dir}/dovecot.log
protocols = lmtp
listen = 127.0.0.1
ssl = no
auth_mechanisms = plain login
auth_verbose = yes
auth_failure_delay = 0
first_valid_uid = 0
first_valid_gid = 0
last_valid_uid = 0
mail_uid = {uid}
mail_gid = {gid}
mail_home = {dir}/vmail/%d/%n
mail_location = maildir:~/Maildir
mail_fsync = never
passdb {{
  driver = passwd-file
  args = scheme=PLAIN username_format=%u {dir}/passwd
}}
userdb {{
  driver = static
  args = uid={uid} gid={gid} home={dir}/vmail/%d/%n
}}
service anvil {{
  chroot =
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
service stats {{
  chroot =
}}
service lmtp {{
  inet_listener lmtp {{
    address = 127.0.0.1
    port = {lmtp}
  }}
}}
service auth {{
  unix_listener auth-postfix {{
    mode = 0666
  }}
}}
"#
    )
}

/// Returns the main configuration of Postfix: submission with AUTH only, delivery to Dovecot by LMTP, and no
/// route out of this machine.
pub(super) fn main_cf(dir: &Path, ports: Ports, daemons: &str) -> String {
    let (dir, lmtp) = (dir.display(), ports.lmtp);
    format!(
        "compatibility_level = 3.6
queue_directory = {dir}/spool
data_directory = {dir}/data
daemon_directory = {daemons}
maillog_file = {dir}/postfix.log
maillog_file_prefixes = {dir}
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
myhostname = mx.warmup.test
mydestination =
mynetworks =
alias_maps =
alias_database =
local_recipient_maps =
virtual_mailbox_domains = texthash:{dir}/postfix/domains
virtual_mailbox_maps = texthash:{dir}/postfix/mailboxes
virtual_transport = lmtp:inet:127.0.0.1:{lmtp}
default_transport = error:5.1.2 no route out of this machine
relay_transport = error:5.1.2 no route out of this machine
smtpd_sasl_auth_enable = yes
smtpd_sasl_type = dovecot
smtpd_sasl_path = {dir}/run/auth-postfix
smtpd_tls_cert_file = {dir}/certificate.pem
smtpd_tls_key_file = {dir}/key.pem
smtpd_tls_auth_only = yes
smtpd_recipient_restrictions = permit_sasl_authenticated, reject
smtpd_peername_lookup = no
smtp_dns_support_level = disabled
lmtp_destination_concurrency_limit = 20
smtpd_client_connection_count_limit = 0
smtpd_error_sleep_time = 0
in_flow_delay = 0
"
    )
}

/// Returns the services of Postfix: the two ports, and the path of a mail to LMTP.
pub(super) fn master_cf(ports: Ports) -> String {
    let Ports { starttls, tls, .. } = ports;
    format!(
        "127.0.0.1:{starttls} inet n - n - - smtpd
  -o smtpd_tls_security_level=may
127.0.0.1:{tls} inet n - n - - smtpd
  -o smtpd_tls_wrappermode=yes
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
tlsmgr unix - - n 1000? 1 tlsmgr
proxymap unix - - n - - proxymap
error unix - - n - - error
retry unix - - n - - error
lmtp unix - - n - - lmtp
showq unix n - n - - showq
anvil unix - - n - 1 anvil
pickup unix n - n 60 1 pickup
postlog unix-dgram n - n - 1 postlogd
"
    )
}

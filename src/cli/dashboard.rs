//! This module prints the address of the dashboard for the person who started the process that serves it.
//!
//! If no admin token is set, the process makes one that lives as long as the process and is stored nowhere. The
//! token is in the fragment of the address. A browser sends the fragment to no server, and the page erases it.
//! If standard output is no terminal, it may be stored as a log, so the address comes without the token.

use std::{
    io::{self, IsTerminal},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
};

use secrecy::{ExposeSecret, SecretString};

use crate::{config::Settings, domain::token::token};

/// Makes a token for this run and lets the API take it.
pub(super) fn let_in(settings: &mut Settings) -> SecretString {
    let own = token(&rand::random());
    settings.admin_token = Some(own.clone());
    own
}

/// The same where a person reads what is printed, and has no token of their own.
pub(super) fn let_person_in(settings: &mut Settings) -> Option<SecretString> {
    let needed = settings.admin_token.is_none() && io::stdout().is_terminal();
    needed.then(|| let_in(settings))
}

/// The address to open, with the token, if there is one to be told.
pub(super) fn address(http: SocketAddr, token: Option<&SecretString>) -> String {
    let host = SocketAddr::new(reachable(http.ip()), http.port());
    match token {
        Some(token) => format!("http://{host}/#token={}", token.expose_secret()),
        None => format!("http://{host}/ (`warmup token create` makes a token)"),
    }
}

/// Who listens everywhere is found here.
fn reachable(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_can_be_opened_and_holds_a_token_only_in_its_fragment() {
        let token = SecretString::from("warmup_x");
        assert_eq!(address("0.0.0.0:80".parse().unwrap(), Some(&token)), "http://127.0.0.1:80/#token=warmup_x");
        let without = address("[::]:8080".parse().unwrap(), None);
        assert_eq!(without, "http://[::1]:8080/ (`warmup token create` makes a token)");
    }

    #[test]
    fn nobody_is_let_in_beside_a_token_of_the_settings() {
        let vars = [("WARMUP_ADMIN_TOKEN".to_owned(), "a-token-of-the-operator-s-own-000".to_owned())].into();
        let (mut settings, _) = Settings::from_vars(&vars).unwrap();
        assert!(let_person_in(&mut settings).is_none());
        assert_eq!(settings.admin_token.unwrap().expose_secret(), "a-token-of-the-operator-s-own-000");
    }
}

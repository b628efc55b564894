//! `warmup healthcheck` sends a health request, for container runtimes without HTTP probes and images without a
//! shell.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    process::ExitCode,
    time::Duration,
};

use anyhow::{Context, bail};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use super::session::print;
use crate::config::{Settings, environment};

/// Less than what runtimes give a check, so that the reason is told and not only a time-out.
const PATIENCE: Duration = Duration::from_secs(3);
/// An answer is a line.
const LARGEST_ANSWER: u64 = 4 * 1024;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Ask whether it is ready too: Redis and Postgres answer, and mails are scheduled.
    #[arg(long)]
    ready: bool,
}

/// Asks the worker at `WARMUP_HTTP_ADDR`; exit 0 when it says yes.
pub(super) async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let (settings, _) = Settings::with_files(&environment())?;
    let (address, path) = (reachable(settings.http_addr), if args.ready { "/readyz" } else { "/healthz" });
    let answer = timeout(PATIENCE, ask(address, path)).await;
    let answer = answer.with_context(|| format!("nobody answered at http://{address}{path} in {PATIENCE:?}"))?;
    let answer = answer.with_context(|| format!("nobody answers at http://{address}{path}: is `warmup run` there?"))?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    if head.split(' ').nth(1) != Some("200") {
        bail!("{address}{path} says {}", if body.is_empty() { head } else { body.trim() });
    }
    print(body)?;
    Ok(ExitCode::SUCCESS)
}

async fn ask(address: SocketAddr, path: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    let question = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(question.as_bytes()).await?;
    let mut answer = String::new();
    stream.take(LARGEST_ANSWER).read_to_string(&mut answer).await?;
    Ok(answer)
}

/// Where what listens on `address` is found from the same machine: every address is no address.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(match address.ip() {
            IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    address
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_listens_everywhere_is_asked_on_this_machine() {
        for (listens, asked) in
            [("0.0.0.0:8080", "127.0.0.1:8080"), ("[::]:8080", "[::1]:8080"), ("10.1.2.3:80", "10.1.2.3:80")]
        {
            assert_eq!(reachable(listens.parse().unwrap()).to_string(), asked);
        }
    }
}

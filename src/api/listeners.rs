//! `Listeners` binds the sockets of the HTTP server.

use std::net::SocketAddr;

use anyhow::Context;
use tokio::net::TcpListener;

use crate::config::Settings;

/// `Listeners` are the bound sockets of the API and of `/metrics`.
pub struct Listeners {
    pub api: TcpListener,
    /// The socket of `/metrics`, if it has its own address.
    pub metrics: Option<TcpListener>,
}

impl Listeners {
    /// Binds the addresses of the settings.
    pub async fn bind(settings: &Settings) -> anyhow::Result<Listeners> {
        let bind = async |name: &str, address: SocketAddr| {
            let bound = TcpListener::bind(address).await;
            bound.with_context(|| format!("{name} {address} can't be listened on: choose another port"))
        };
        let api = bind("WARMUP_HTTP_ADDR", settings.http_addr).await?;
        let metrics = match settings.metrics_addr {
            Some(address) => Some(bind("WARMUP_METRICS_ADDR", address).await?),
            None => None,
        };
        Ok(Listeners { api, metrics })
    }
}

//! `serve` accepts connections and runs a session for each.

use std::{future::Future, io, sync::Arc, time::Duration};

use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
};
use tokio_rustls::TlsAcceptor;

use super::{
    Options, SinkError,
    certificate::self_signed,
    journal::Journal,
    scenario::{self, Scenario},
    session::{End, Session},
};

/// The names by which a client on this machine may reach the sink.
const NAMES: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

/// The pause after a failed accept, which happens when all file descriptors are in use.
const EXHAUSTED: Duration = Duration::from_millis(50);

/// A `Sink` is the state that all sessions share.
pub(super) struct Sink {
    pub(super) journal: Journal,
    password: Option<String>,
    faults: u8,
    seed: u64,
}

impl Sink {
    fn new(options: &Options) -> Result<Sink, SinkError> {
        let password = options.password_file.as_ref().map(|path| {
            let text = std::fs::read_to_string(path).map_err(|error| SinkError::File { path: path.clone(), error })?;
            Ok(text.trim_end_matches(['\r', '\n']).to_owned())
        });
        let journal = Journal::open(&options.journal)?;
        Ok(Sink { journal, password: password.transpose()?, faults: options.faults, seed: options.seed })
    }

    pub(super) fn wants_auth(&self) -> bool {
        self.password.is_some()
    }

    pub(super) fn takes(&self, password: &str) -> bool {
        self.password.as_ref().is_none_or(|wanted| wanted == password)
    }

    pub(super) fn scenario(&self, from: &str, to: &str) -> Option<Scenario> {
        scenario::of_mail(self.seed, self.faults, from, to)
    }
}

/// Serves on a free port of the loopback address until `shutdown` completes. Calls `ready` with the port when
/// the certificate is written and the socket listens. Open connections end with the shutdown.
pub async fn serve(
    options: &Options,
    ready: impl FnOnce(u16),
    shutdown: impl Future<Output = ()>,
) -> Result<(), SinkError> {
    let sink = Arc::new(Sink::new(options)?);
    let identity = self_signed(&NAMES)?;
    std::fs::write(&options.ca, &identity.pem).map_err(|error| SinkError::File { path: options.ca.clone(), error })?;
    let listener = TcpListener::bind("127.0.0.1:0").await.map_err(SinkError::Listen)?;
    ready(listener.local_addr().map_err(SinkError::Listen)?.port());
    tokio::select! {
        biased;
        () = shutdown => {}
        () = accept(&listener, &sink, &identity.acceptor) => {}
    }
    Ok(())
}

async fn accept(listener: &TcpListener, sink: &Arc<Sink>, tls: &TlsAcceptor) {
    let mut sessions = JoinSet::new();
    loop {
        tokio::select! {
            biased;
            Some(_) = sessions.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    sessions.spawn(attend(Arc::clone(sink), tls.clone(), stream));
                }
                Err(_) => tokio::time::sleep(EXHAUSTED).await,
            }
        }
    }
}

/// Serves one connection. A broken connection is the client's problem and is not reported.
async fn attend(sink: Arc<Sink>, tls: TlsAcceptor, stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    if let End::Starttls(stream) = Session::new(&sink, stream, false).run().await? {
        let stream = tls.accept(stream).await?;
        Session::new(&sink, stream, true).run().await?;
    }
    Ok(())
}

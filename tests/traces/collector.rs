//! A real OpenTelemetry collector, and where it hands on what it took.

use std::{
    io::Read,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::PathBuf,
    process::Stdio,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    body::Bytes,
    extract::{DefaultBodyLimit, State},
    http::StatusCode,
    routing::post,
};
use flate2::read::GzDecoder;
use opentelemetry_proto::tonic::{
    collector::{metrics::v1::ExportMetricsServiceRequest, trace::v1::ExportTraceServiceRequest},
    common::v1::{KeyValue, any_value::Value},
    metrics::v1::ResourceMetrics,
    resource::v1::Resource,
    trace::v1::Span,
};
use prost::Message;
use tempfile::TempDir;
use tokio::process::{Child, Command};
use warmup_support::world::eventually;

/// Far longer than it takes to be up.
const PATIENCE: Duration = Duration::from_secs(30);

/// What came out of the collector.
#[derive(Clone, Default)]
pub struct Taken(Arc<Mutex<Vec<ExportTraceServiceRequest>>>, Arc<Mutex<Vec<ResourceMetrics>>>);

impl Taken {
    pub fn spans(&self) -> Vec<Span> {
        let requests = self.0.lock().unwrap();
        let resources = requests.iter().flat_map(|request| &request.resource_spans);
        resources.flat_map(|of| &of.scope_spans).flat_map(|of| of.spans.clone()).collect()
    }

    /// What was pushed, push by push.
    pub fn pushes(&self) -> Vec<ResourceMetrics> {
        self.1.lock().unwrap().clone()
    }

    /// In whose name spans came.
    pub fn resources(&self) -> Vec<Resource> {
        let requests = self.0.lock().unwrap();
        requests.iter().flat_map(|request| &request.resource_spans).filter_map(|of| of.resource.clone()).collect()
    }
}

/// The text of an attribute.
pub fn text(attributes: &[KeyValue], key: &str) -> Option<String> {
    let value = attributes.iter().find(|attribute| attribute.key == key)?.value.as_ref()?.value.as_ref()?;
    Some(match value {
        Value::StringValue(text) => text.clone(),
        Value::IntValue(number) => number.to_string(),
        other => format!("{other:?}"),
    })
}

/// A running collector that takes both protocols and hands on to `taken`.
pub struct Collector {
    pub grpc: SocketAddr,
    pub http: SocketAddr,
    pub taken: Taken,
    child: Child,
    _folder: TempDir,
}

impl Collector {
    pub async fn start() -> Collector {
        let taken = Taken::default();
        let behind = receive(taken.clone()).await;
        let (grpc, http, folder) = (free(), free(), TempDir::new().unwrap());
        let child = Command::new(agent())
            .arg("start")
            .args(["--otlp-grpc-endpoint", &grpc.to_string(), "--otlp-http-endpoint", &http.to_string()])
            .args(["--exporter", "otlp", "--otlp-exporter-endpoint", &format!("http://{behind}")])
            .args(["--otlp-exporter-protocol", "http"])
            .args(["--pid-file", &folder.path().join("pid").display().to_string()])
            .args(["--log-file", &folder.path().join("log").display().to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("the collector is installed: scripts/tools.sh");
        let listens = async |at: SocketAddr| tokio::net::TcpStream::connect(at).await.is_ok();
        eventually(PATIENCE, async || listens(grpc).await && listens(http).await).await;
        Collector { grpc, http, taken, child, _folder: folder }
    }

    pub async fn kill(&mut self) {
        self.child.kill().await.unwrap();
    }
}

fn agent() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target/tools/rotel-agent")
}

/// Another process may take it first; then the collector does not come up, and the test says so.
fn free() -> SocketAddr {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap()
}

async fn receive(taken: Taken) -> SocketAddr {
    let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let app = Router::new().route("/v1/traces", post(take)).route("/v1/metrics", post(take_metrics));
    let app = app.layer(DefaultBodyLimit::disable()).with_state(taken);
    tokio::spawn(async move { axum::serve(listener, app).await });
    address
}

async fn take(State(taken): State<Taken>, body: Bytes) -> StatusCode {
    taken.0.lock().unwrap().push(message(&body));
    StatusCode::OK
}

async fn take_metrics(State(taken): State<Taken>, body: Bytes) -> StatusCode {
    taken.1.lock().unwrap().extend(message::<ExportMetricsServiceRequest>(&body).resource_metrics);
    StatusCode::OK
}

/// The collector compresses whatever it is told.
fn message<M: Message + Default>(body: &[u8]) -> M {
    let mut plain = Vec::new();
    GzDecoder::new(body).read_to_end(&mut plain).expect("it is compressed");
    M::decode(&plain[..]).expect("it is what OTLP says")
}

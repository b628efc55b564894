//! `OtlpClient` sends metrics to a collector in one request, by gRPC or HTTP, configured by
//! `OTEL_EXPORTER_OTLP_*`. The SDK's own exporter accepts only numbers that the SDK itself counted.
//!
//! A failed request is not retried: the next push sends the totals again, and newer ones.

use std::{error::Error, fmt, io::Write, time::Duration};

use flate2::{Compression, write::GzEncoder};
use opentelemetry_proto::tonic::collector::metrics::v1::{
    ExportMetricsServiceRequest, ExportMetricsServiceResponse, metrics_service_client::MetricsServiceClient,
};
use percent_encoding::percent_decode_str;
use prost::Message;
use reqwest::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use thiserror::Error;
use tonic::{
    codec::CompressionEncoding,
    metadata::MetadataMap,
    transport::{Channel, ClientTlsConfig, Endpoint},
};

use super::{
    TelemetryError,
    env::{OtelEnv, Protocol},
    fault,
};

/// A client of one collector.
pub(super) struct OtlpClient {
    way: Way,
    /// The headers of each request. They may hold a token, so each value is marked as sensitive.
    headers: HeaderMap,
    gzip: bool,
    /// The longest duration of one request.
    pub(super) within: Duration,
}

enum Way {
    Http { client: reqwest::Client, url: String },
    Grpc(MetricsServiceClient<Channel>),
}

/// The error of a failed push.
#[derive(Debug, Error)]
pub(super) enum Undelivered {
    #[error("{}", chain(.0))]
    Http(#[from] reqwest::Error),
    #[error("the collector answered {}{}", .0.code(), cause(.0))]
    Grpc(Box<tonic::Status>),
    #[error("the collector answered {0}")]
    Status(reqwest::StatusCode),
    #[error("the collector's answer is not OTLP's")]
    Answer(#[from] prost::DecodeError),
    #[error("the collector refused {0} numbers: {1}")]
    Refused(i64, String),
    #[error("no answer within {} ms", .0.as_millis())]
    Late(Duration),
}

impl OtlpClient {
    /// Creates a client from the environment. Call it within the runtime.
    pub(super) fn of(asked: &OtelEnv, protocol: Protocol) -> Result<OtlpClient, TelemetryError> {
        let gzip = match asked.either("COMPRESSION") {
            None | Some((_, "none")) => false,
            Some((_, "gzip")) => true,
            Some((name, other)) => return Err(fault(name, other, "this program knows gzip and none")),
        };
        let within = match asked.either("TIMEOUT") {
            None => Duration::from_secs(10),
            Some((name, value)) => milliseconds(name, value)?,
        };
        let way = match protocol {
            Protocol::Grpc => Way::grpc(asked, gzip, within)?,
            Protocol::HttpProtobuf => Way::http(asked)?,
        };
        Ok(OtlpClient { way, headers: headers(asked)?, gzip, within })
    }

    /// Sends `request` within the timeout.
    pub(super) async fn deliver(&self, request: ExportMetricsServiceRequest) -> Result<(), Undelivered> {
        let answer = match &self.way {
            Way::Http { client, url } => tokio::time::timeout(self.within, self.post(client, url, request)).await,
            Way::Grpc(client) => tokio::time::timeout(self.within, self.call(client.clone(), request)).await,
        };
        let answer = answer.unwrap_or(Err(Undelivered::Late(self.within)))?;
        match answer.partial_success {
            Some(part) if part.rejected_data_points > 0 => {
                Err(Undelivered::Refused(part.rejected_data_points, part.error_message))
            }
            _ => Ok(()),
        }
    }

    async fn post(
        &self,
        client: &reqwest::Client,
        url: &str,
        request: ExportMetricsServiceRequest,
    ) -> Result<ExportMetricsServiceResponse, Undelivered> {
        let mut post = client.post(url).headers(self.headers.clone()).header(CONTENT_TYPE, "application/x-protobuf");
        let mut body = request.encode_to_vec();
        if self.gzip {
            post = post.header(CONTENT_ENCODING, "gzip");
            body = gzipped(&body);
        }
        let answer = post.body(body).send().await.map_err(reqwest::Error::without_url)?;
        if !answer.status().is_success() {
            return Err(Undelivered::Status(answer.status()));
        }
        Ok(ExportMetricsServiceResponse::decode(answer.bytes().await?)?)
    }

    async fn call(
        &self,
        mut client: MetricsServiceClient<Channel>,
        request: ExportMetricsServiceRequest,
    ) -> Result<ExportMetricsServiceResponse, Undelivered> {
        let mut request = tonic::Request::new(request);
        *request.metadata_mut() = MetadataMap::from_headers(self.headers.clone());
        let answer = client.export(request).await;
        answer.map(tonic::Response::into_inner).map_err(|status| Undelivered::Grpc(Box::new(status)))
    }
}

impl Way {
    /// Creates an HTTP client. The common endpoint is a base URL, the one of metrics is the full URL.
    fn http(asked: &OtelEnv) -> Result<Way, TelemetryError> {
        let (name, endpoint) = asked.either("ENDPOINT").unwrap_or_default();
        let url = match asked.own("ENDPOINT") {
            Some(_) => endpoint.to_owned(),
            None => format!("{}/v1/metrics", endpoint.trim_end_matches('/')),
        };
        let client = reqwest::Client::builder().build().map_err(|error| TelemetryError::Exporter(chain(&error)))?;
        // Building a request, which is never sent, checks that the URL is valid.
        client.post(&url).build().map_err(|_| fault(name, endpoint, A_URL))?;
        Ok(Way::Http { client, url })
    }

    fn grpc(asked: &OtelEnv, gzip: bool, within: Duration) -> Result<Way, TelemetryError> {
        let (name, endpoint) = asked.either("ENDPOINT").unwrap_or_default();
        let plain = asked.either("INSECURE").is_some_and(|(_, value)| value.eq_ignore_ascii_case("true"));
        let whole = match endpoint.contains("://") {
            true => endpoint.to_owned(),
            false => format!("{}://{endpoint}", if plain { "http" } else { "https" }),
        };
        let wrong = |_| fault(name.clone(), endpoint, A_URL);
        let mut channel = Endpoint::from_shared(whole.clone()).map_err(wrong)?.connect_timeout(within);
        if whole.starts_with("https://") {
            channel = channel.tls_config(ClientTlsConfig::new().with_enabled_roots()).map_err(wrong)?;
        }
        let mut client = MetricsServiceClient::new(channel.connect_lazy());
        if gzip {
            client = client.send_compressed(CompressionEncoding::Gzip).accept_compressed(CompressionEncoding::Gzip);
        }
        Ok(Way::Grpc(client))
    }
}

const A_URL: &str = "a URL such as http://collector:4317 (gRPC) or http://collector:4318 (http/protobuf)";

/// Parses a duration of at least 1 ms in milliseconds.
pub(super) fn milliseconds(name: String, value: &str) -> Result<Duration, TelemetryError> {
    match value.parse() {
        Ok(time) if time > 0 => Ok(Duration::from_millis(time)),
        _ => Err(fault(name, value, "milliseconds, from 1 on")),
    }
}

/// Parses `name=value,name=value` with percent-encoded values, as in W3C Baggage.
fn headers(asked: &OtelEnv) -> Result<HeaderMap, TelemetryError> {
    let mut headers = HeaderMap::new();
    let Some((name, list)) = asked.either("HEADERS") else { return Ok(headers) };
    for pair in list.split(',').map(str::trim).filter(|pair| !pair.is_empty()) {
        // The message omits the value, which may be a secret.
        let wrong = || fault(name.clone(), "…", "name=value,name=value, the values percent-encoded");
        let (key, value) = pair.split_once('=').ok_or_else(wrong)?;
        let value = percent_decode_str(value.trim()).decode_utf8().map_err(|_| wrong())?;
        let mut value = HeaderValue::from_str(&value).map_err(|_| wrong())?;
        value.set_sensitive(true);
        headers.insert(HeaderName::try_from(key.trim()).map_err(|_| wrong())?, value);
    }
    Ok(headers)
}

fn gzipped(body: &[u8]) -> Vec<u8> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
    let written = gzip.write_all(body).and_then(|()| gzip.finish());
    written.expect("memory takes every byte")
}

/// Returns the text of an error followed by its causes.
fn chain(error: &dyn Error) -> String {
    let causes = std::iter::successors(error.source(), |cause: &&dyn Error| (*cause).source());
    causes.fold(error.to_string(), |told, cause| format!("{told}: {cause}"))
}

/// Returns the cause of a local status, such as a refused connection. A server's own message may contain the
/// data that we sent.
fn cause(status: &tonic::Status) -> String {
    status.source().map(|cause| format!(": {}", chain(cause))).unwrap_or_default()
}

impl fmt::Debug for OtlpClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Courier")
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::env::Signal;
    use super::*;

    const HERE: (&str, &str) = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://localhost:4318/");

    fn courier(vars: &[(&str, &str)]) -> Result<OtlpClient, String> {
        // The test installs the TLS provider as `main` does.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let vars: BTreeMap<_, _> = vars.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let asked = OtelEnv::of(&vars, Signal::Metrics);
        OtlpClient::of(&asked, asked.protocol().unwrap().unwrap()).map_err(|fault| fault.to_string())
    }

    fn url(vars: &[(&str, &str)]) -> String {
        match courier(vars).unwrap().way {
            Way::Http { url, .. } => url,
            Way::Grpc(_) => "by gRPC".to_owned(),
        }
    }

    #[tokio::test]
    async fn the_endpoint_of_all_is_a_base_and_that_of_metrics_the_whole_address() {
        let own = ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "http://localhost:9090/api/v1/otlp/v1/metrics");
        assert_eq!(url(&[HERE]), "http://localhost:4318/v1/metrics");
        assert_eq!(url(&[HERE, own]), own.1);
        assert_eq!(url(&[HERE, ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")]), "by gRPC");
    }

    #[tokio::test]
    async fn headers_are_decoded_and_their_values_told_nobody() {
        let headers = courier(&[HERE, ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20abc, X-Scope = a=b")]);
        let headers = headers.unwrap().headers;
        assert_eq!(
            (&headers["authorization"], &headers["x-scope"]),
            (&"Bearer abc".parse().unwrap(), &"a=b".parse().unwrap())
        );
        assert!(!format!("{headers:?}").contains("abc"), "{headers:?}");
        let said = courier(&[HERE, ("OTEL_EXPORTER_OTLP_HEADERS", "secret")]).unwrap_err();
        assert!(said.contains("OTEL_EXPORTER_OTLP_HEADERS") && !said.contains("secret"), "{said}");
    }

    #[tokio::test]
    async fn what_can_t_be_followed_is_said() {
        for (wrong, said) in [
            (("OTEL_EXPORTER_OTLP_COMPRESSION", "zstd"), "gzip and none"),
            (("OTEL_EXPORTER_OTLP_METRICS_TIMEOUT", "10s"), "milliseconds"),
            (("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "nowhere"), "a URL"),
        ] {
            let fault = courier(&[HERE, wrong]).unwrap_err();
            assert!(fault.contains(said), "{fault}");
        }
    }
}

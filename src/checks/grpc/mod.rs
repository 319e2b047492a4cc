//! gRPC: a server that reports by the health protocol (`grpc.health.v1.Health/Check`) that a service is serving.

mod exchange;
mod first_byte;
mod judge;
mod message;

use std::collections::BTreeMap;

use async_trait::async_trait;
use hyper::header::{HeaderMap, HeaderName};
use serde::Deserialize;

use super::fields::{self, header_value, validated};
use crate::checks::Check;
use crate::model::{CheckError, Finding, Secret, SpecError};
use crate::net::{self, Stream, Tls};
use crate::runtime::Context;
use exchange::call;
use judge::judge;

const METHOD: &str = "/grpc.health.v1.Health/Check";
/// The longest service name that is sent, in bytes.
const MAX_SERVICE: usize = 1024;
/// What a client of gRPC sets itself.
const OWN_HEADERS: [&str; 4] = ["te", "content-type", "user-agent", "host"];

/// A gRPC server reports by `grpc.health.v1.Health/Check` that it, or one of its services, is serving.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GrpcCheck {
    pub host: String,
    pub port: u16,
    /// The full name of a service, such as `shop.v1.Orders`. Default: the server as a whole.
    #[serde(default)]
    pub service: String,
    /// Sent with the call, such as `{"authorization": "Bearer ..."}`.
    #[serde(default)]
    pub metadata: BTreeMap<String, Secret>,
    /// `None`: no TLS.
    #[serde(default)]
    pub tls: Option<Tls>,
}

#[async_trait]
impl Check for GrpcCheck {
    fn validate(&self) -> Result<(), SpecError> {
        fields::host("host", &self.host)?;
        fields::port("port", Some(self.port))?;
        if self.service.len() > MAX_SERVICE || self.service.chars().any(|c| c.is_whitespace() || c.is_control()) {
            return Err(SpecError::new("service must be the full name of a service, such as shop.v1.Orders"));
        }
        self.metadata().map(drop)
    }

    async fn run(&self, context: &Context) -> Result<Finding, CheckError> {
        let GrpcCheck { host, port, service, tls, .. } = self;
        let metadata = validated(self.metadata())?;
        let target = net::target(host, *port);
        let stream = net::connect(context, host, *port).await?;
        let stream = match tls {
            Some(tls) => Stream::Tls(Box::new(net::secure_alpn(context, stream, host, *port, tls, &[b"h2"]).await?)),
            None => Stream::Plain(stream),
        };
        let scheme = if tls.is_some() { "https" } else { "http" };
        // Headers are ASCII, so that an international name is in Punycode.
        let authority = net::ascii_host(host).map_or_else(|| target.clone(), |host| net::target(&host, *port));
        let url = format!("{scheme}://{authority}{METHOD}");
        let answer = call(context, stream, &target, &url, metadata, service).await?;
        judge(&target, service, &answer)
    }
}

impl GrpcCheck {
    fn metadata(&self) -> Result<HeaderMap, SpecError> {
        let mut headers = HeaderMap::new();
        for (name, value) in &self.metadata {
            let wrong = |rule: &str| SpecError(format!("metadata: {name:?} {rule}"));
            let lower = name.to_ascii_lowercase();
            if lower.starts_with("grpc-") || OWN_HEADERS.contains(&lower.as_str()) {
                return Err(wrong("is reserved for gRPC itself"));
            }
            let known = HeaderName::from_bytes(lower.as_bytes()).map_err(|_| wrong("is no name of metadata"))?;
            headers.append(known, header_value(&format!("metadata[{name:?}]"), value.expose())?);
        }
        Ok(headers)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::json;

    #[test]
    fn validate_wrong_fields_named_without_secrets() {
        for (fields, said) in [
            (json!({"host": "", "port": 1}), "host must not be empty"),
            (json!({"host": "h", "port": 0}), "port must be from 1 to 65535, not 0"),
            (
                json!({"host": "h", "port": 1, "service": "a b"}),
                "service must be the full name of a service, such as shop.v1.Orders",
            ),
            (
                json!({"host": "h", "port": 1, "metadata": {"grpc-timeout": "secret"}}),
                "metadata: \"grpc-timeout\" is reserved for gRPC itself",
            ),
            (
                json!({"host": "h", "port": 1, "metadata": {"a b": "secret"}}),
                "metadata: \"a b\" is no name of metadata",
            ),
            (
                json!({"host": "h", "port": 1, "metadata": {"a": "secret\n"}}),
                "metadata[\"a\"] holds characters that an HTTP header cannot carry, such as a line end",
            ),
        ] {
            let check: GrpcCheck = serde_json::from_value(fields).unwrap();
            assert_eq!(check.validate().unwrap_err().to_string(), said);
        }
        let right = json!({"host": "h", "port": 1, "service": "a.B", "metadata": {"Authorization": "Bearer x"}});
        assert_eq!(serde_json::from_value::<GrpcCheck>(right).unwrap().validate(), Ok(()));
    }
}

//! The request of a check, from its fields.

use hyper::Method;
use hyper::body::Bytes;
use hyper::header::{CONNECTION, CONTENT_LENGTH, HOST, HeaderMap, HeaderName, TRAILER, TRANSFER_ENCODING, UPGRADE};
use serde::Deserialize;

use super::HttpCheck;
use crate::checks::fields::{header_value, url};
use crate::model::SpecError;
use crate::net::http::HttpRequest;

/// What a request on a connection that may be kept can only have one way.
const RESERVED: [HeaderName; 7] = [
    CONNECTION,
    CONTENT_LENGTH,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
];
const WHY_RESERVED: &str = "the length of the body and the connection are managed by the engine";

/// The method of the request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum HttpMethod {
    #[default]
    Get,
    Head,
    Post,
    Put,
    Patch,
    Delete,
    Options,
}

impl HttpCheck {
    pub fn request(&self) -> Result<HttpRequest, SpecError> {
        Ok(HttpRequest {
            method: match self.method {
                HttpMethod::Get => Method::GET,
                HttpMethod::Head => Method::HEAD,
                HttpMethod::Post => Method::POST,
                HttpMethod::Put => Method::PUT,
                HttpMethod::Patch => Method::PATCH,
                HttpMethod::Delete => Method::DELETE,
                HttpMethod::Options => Method::OPTIONS,
            },
            url: url("url", self.url.expose())?,
            headers: self.header_map()?,
            body: self.body.as_ref().map_or_else(Bytes::new, |body| Bytes::copy_from_slice(body.expose().as_bytes())),
            records_certificates: self.certificate_days.is_some(),
        })
    }

    pub fn header_map(&self) -> Result<HeaderMap, SpecError> {
        let mut headers = HeaderMap::new();
        for (name, value) in &self.headers {
            let known = HeaderName::from_bytes(name.as_bytes());
            let known = known.map_err(|_| SpecError(format!("headers: {name:?} is not an HTTP header name")))?;
            if RESERVED.contains(&known) {
                return Err(SpecError(format!("headers: {name:?} cannot be set: {WHY_RESERVED}")));
            }
            if known == HOST && headers.contains_key(HOST) {
                return Err(SpecError("headers: Host is given twice, in upper and lower case".to_owned()));
            }
            headers.append(known, header_value(&format!("headers[{name:?}]"), value.expose())?);
        }
        Ok(headers)
    }
}

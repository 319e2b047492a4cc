//! Where a redirect leads: the next request, with what of the last one may be sent there.

use hyper::Method;
use hyper::body::Bytes;
use hyper::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, LOCATION};
use url::Url;

use crate::model::CheckError;
use crate::net::http::HttpRequest;

/// The longest host name there is; a longer one in a `Location` would only fill messages.
const MAX_HOST: usize = 253;

/// The request that an answer redirects to; `None` where it is no redirect.
///
/// As browsers do, 303 asks for the result by `GET`, and 301 and 302 do so after a `POST`; 307 and 308 repeat the
/// request as it was. Headers, credentials and body that were configured for one server (scheme, host and port) are not
/// sent to another: a redirect that wants the body there is an error.
pub fn next(
    request: &HttpRequest,
    target: &str,
    status: u16,
    headers: &HeaderMap,
) -> Result<Option<HttpRequest>, CheckError> {
    let (301 | 302 | 303 | 307 | 308, Some(location)) = (status, headers.get(LOCATION)) else { return Ok(None) };
    let wrong = |reason: &'static str| CheckError::Rejected { target: target.to_owned(), reason: reason.into() };
    let location = location.to_str().ok().and_then(|location| request.url.join(location).ok());
    let mut url = location.ok_or_else(|| wrong("it redirects to something that is no URL"))?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none_or(|host| host.len() > MAX_HOST) {
        return Err(wrong("it redirects to a URL that is neither http:// nor https://"));
    }
    let same_server = url.origin() == request.url.origin();
    set_credentials(&mut url, same_server.then_some(&request.url));
    let mut next = HttpRequest { url, ..request.clone() };
    if !same_server {
        next.headers.clear();
    }
    if status == 303 && request.method != Method::HEAD || status < 303 && request.method == Method::POST {
        next.method = Method::GET;
        next.body = Bytes::new();
        [CONTENT_TYPE, CONTENT_LENGTH, CONTENT_ENCODING].iter().for_each(|name| _ = next.headers.remove(name));
    }
    if !same_server && !next.body.is_empty() {
        return Err(wrong("it redirects to another server, which the configured body is not sent to"));
    }
    Ok(Some(next))
}

/// Those that a server puts into a `Location` are none of ours.
fn set_credentials(url: &mut Url, from: Option<&Url>) {
    // Fails for URLs without a host only.
    url.set_username(from.map_or("", Url::username)).ok();
    url.set_password(from.and_then(Url::password)).ok();
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use hyper::header::{AUTHORIZATION, HeaderValue};

    fn request(method: &str) -> HttpRequest {
        HttpRequest {
            method: method.parse().unwrap(),
            url: Url::parse("http://user:secret@a.example/x/y?q").unwrap(),
            headers: [(AUTHORIZATION, HeaderValue::from_static("secret")), (CONTENT_TYPE, "a/b".parse().unwrap())]
                .into_iter()
                .collect(),
            body: Bytes::from_static(b"secret"),
            records_certificates: false,
        }
    }

    fn redirected(method: &str, status: u16, location: &str) -> Result<Option<HttpRequest>, CheckError> {
        let headers = [(LOCATION, HeaderValue::from_str(location).unwrap())].into_iter().collect();
        next(&request(method), "http://a.example", status, &headers)
    }

    #[test]
    fn next_url_and_what_is_sent_there() {
        for (location, url, keeps_secrets) in [
            ("/z", "http://user:secret@a.example/z", true),
            ("z?r", "http://user:secret@a.example/x/z?r", true),
            ("http://a.example:80/z", "http://user:secret@a.example/z", true),
            ("https://a.example/z", "https://a.example/z", false),
            ("http://a.example:81/z", "http://a.example:81/z", false),
            ("//b.example/z", "http://b.example/z", false),
            ("http://evil:evil@b.example/", "http://b.example/", false),
        ] {
            let next = redirected("POST", 302, location).unwrap().unwrap();
            assert_eq!(next.url.as_str(), url);
            assert_eq!(next.headers.contains_key(AUTHORIZATION), keeps_secrets, "{location}");
            for (method, status) in [("POST", 307), ("POST", 308), ("PUT", 301), ("PUT", 302)] {
                match redirected(method, status, location) {
                    Ok(next) => assert!(keeps_secrets && !next.unwrap().body.is_empty(), "{status} {location}"),
                    Err(error) => assert!(!keeps_secrets && !error.to_string().contains("secret"), "{status} {error}"),
                }
            }
        }
    }

    #[test]
    fn next_method_by_status() {
        for (method, status, then) in [
            ("GET", 301, "GET"),
            ("POST", 301, "GET"),
            ("POST", 302, "GET"),
            ("PUT", 302, "PUT"),
            ("PUT", 303, "GET"),
            ("HEAD", 303, "HEAD"),
            ("POST", 307, "POST"),
            ("POST", 308, "POST"),
        ] {
            let next = redirected(method, status, "/").unwrap().unwrap();
            assert_eq!(next.method, then, "{method} {status}");
            assert_eq!(next.body.is_empty(), method != then, "{method} {status}");
            assert_eq!(next.headers.contains_key(CONTENT_TYPE), method == then, "{method} {status}");
        }
    }

    #[test]
    fn next_of_no_redirect_or_a_wrong_one() {
        assert!(redirected("GET", 200, "/").unwrap().is_none());
        assert!(redirected("GET", 304, "/").unwrap().is_none());
        assert!(next(&request("GET"), "a", 302, &HeaderMap::new()).unwrap().is_none());
        for location in ["ftp://b.example/", "javascript:secret", "http://", "http://a b/"] {
            let error = redirected("GET", 302, location).err().unwrap();
            assert!(matches!(&error, CheckError::Rejected { .. }) && !error.to_string().contains("secret"));
        }
        assert!(redirected("GET", 302, &format!("http://{}/", "a".repeat(300))).is_err());
    }
}

//! The proxies that the environment names, by the rules of curl.
//!
//! `HTTP_PROXY` for `http` URLs and `HTTPS_PROXY` for `https` URLs, else `ALL_PROXY`, unless `NO_PROXY` lists the host;
//! in upper case, else in lower case. They are read once, on the first request of a process. In a CGI program, `HTTP_PROXY` is
//! ignored: there it is a header of the request that is served. A proxy is spoken to in HTTP, or in HTTP over TLS.

use std::env;
use std::sync::{Arc, OnceLock};

use hyper::Uri;
use hyper::header::HeaderValue;
use hyper_util::client::proxy::matcher::{Intercept, Matcher};
use url::Url;

use crate::model::CheckError;
use crate::net;
use crate::runtime::Context;

/// A proxy that a request goes through.
#[derive(Clone)]
pub struct Proxy {
    /// `the proxy host:port`, as it stands in messages.
    pub target: String,
    pub host: String,
    pub port: u16,
    pub is_encrypted: bool,
    /// The value of `Proxy-Authorization`.
    pub credentials: Option<HeaderValue>,
}

impl Proxy {
    /// What a 407 means.
    pub fn login_refused(&self) -> CheckError {
        CheckError::Authentication { target: self.target.clone(), reason: "HTTP status 407".into() }
    }
}

/// What the environment says of proxies.
pub struct Proxies {
    http: Option<Setting>,
    https: Option<Setting>,
    /// Intercepts the URLs that `NO_PROXY` does not list.
    proxied: Matcher,
}

/// A variable that is set, and the proxy that it names, if it names one.
struct Setting {
    variable: &'static str,
    proxy: Option<Intercept>,
}

/// Those of this process, once they were read.
#[derive(Default)]
struct ReadOnce(OnceLock<Arc<Proxies>>);

impl Proxies {
    pub fn of(context: &Context) -> Arc<Self> {
        let read = context.process.shared::<ReadOnce>("");
        read.0.get_or_init(|| Arc::new(Self::read(|name| env::var(name).ok()))).clone()
    }

    fn read(variable: impl Fn(&str) -> Option<String>) -> Self {
        let first = |names: [&'static str; 2]| names.into_iter().find_map(|name| Some((name, variable(name)?)));
        let setting = |names| first(names).filter(|(_, value)| !value.is_empty());
        let is_cgi = variable("REQUEST_METHOD").is_some();
        let http = ["HTTP_PROXY", "http_proxy"].map(|name| if is_cgi { "http_proxy" } else { name });
        let all = ["ALL_PROXY", "all_proxy"];
        let no_proxy = first(["NO_PROXY", "no_proxy"]).map(|(_, value)| value).unwrap_or_default();
        // The matcher applies it to names only.
        let is_off = no_proxy.split(',').any(|entry| entry.trim() == "*");
        let setting = |names| setting(names).filter(|_| !is_off);
        Self {
            http: setting(http).or_else(|| setting(all)).map(Setting::new),
            https: setting(["HTTPS_PROXY", "https_proxy"]).or_else(|| setting(all)).map(Setting::new),
            proxied: Matcher::builder().all("http://any.invalid").no(no_proxy).build(),
        }
    }

    /// The proxy for `url`, if there is one.
    pub fn select(&self, url: &Url) -> Result<Option<Proxy>, CheckError> {
        let Some(setting) = (if url.scheme() == "https" { &self.https } else { &self.http }) else { return Ok(None) };
        // The matcher's own word for what it cannot read is that there is no proxy.
        let origin = url.origin().ascii_serialization().parse::<Uri>();
        if origin.is_ok_and(|origin| self.proxied.intercept(&origin).is_none()) {
            return Ok(None);
        }
        setting.proxy().map(Some).map_err(CheckError::Configuration)
    }
}

impl Setting {
    fn new((variable, value): (&'static str, String)) -> Self {
        let matcher = Matcher::builder().all(value).build();
        Self { variable, proxy: matcher.intercept(&Uri::from_static("http://any.invalid")) }
    }

    /// Or why it cannot be used, without its text: it may hold credentials.
    fn proxy(&self) -> Result<Proxy, String> {
        let variable = self.variable;
        let wrong = || format!("{variable} is not the URL of an HTTP proxy, such as http://proxy.example.org:3128");
        let proxy = self.proxy.as_ref().ok_or_else(wrong)?;
        let is_encrypted = match proxy.uri().scheme_str() {
            Some("http") => false,
            Some("https") => true,
            _ => return Err(format!("{variable} names a SOCKS proxy: HTTP checks can only use HTTP proxies")),
        };
        let host = proxy.uri().host().filter(|host| !host.is_empty()).ok_or_else(wrong)?;
        // `Uri` passes ports over that are no number or too large.
        let authority = proxy.uri().authority().map(|authority| authority.as_str()).unwrap_or_default();
        let port = match authority.strip_prefix(host).and_then(|rest| rest.strip_prefix(':')).unwrap_or_default() {
            "" if is_encrypted => 443,
            "" => 80,
            port => port.parse().ok().filter(|port| *port != 0).ok_or_else(wrong)?,
        };
        let target = format!("the proxy {}", net::target(host, port));
        Ok(Proxy { target, host: host.to_owned(), port, is_encrypted, credentials: proxy.basic_auth().cloned() })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// The proxy that `variables` select for `url`, as `[tls ]target[ with credentials]`.
    fn selected(variables: &[(&str, &str)], url: &str) -> Result<Option<String>, String> {
        let variable = |name: &str| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        let proxy = Proxies::read(variable).select(&Url::parse(url).unwrap());
        let proxy = proxy.map_err(|error| error.to_string())?;
        Ok(proxy.map(|proxy| {
            let credentials = proxy.credentials.map(|value| format!(" {}", value.to_str().unwrap()));
            let tls = if proxy.is_encrypted { "tls " } else { "" };
            format!("{tls}{}{}", proxy.target, credentials.unwrap_or_default())
        }))
    }

    #[test]
    fn proxy_of_a_url() {
        let (plain, tls) = ("http://a.example.org/x", "https://a.example.org/x");
        for (variables, url, found) in [
            (&[][..], plain, None),
            (&[("HTTP_PROXY", "http://p:3128")], plain, Some("the proxy p:3128")),
            (&[("HTTP_PROXY", "http://p:3128")], tls, None),
            (&[("HTTPS_PROXY", "http://p:3128")], plain, None),
            (&[("https_proxy", "p:3128")], tls, Some("the proxy p:3128")),
            (&[("HTTPS_PROXY", "https://p")], tls, Some("tls the proxy p:443")),
            (&[("http_proxy", "http://[::1]")], plain, Some("the proxy [::1]:80")),
            (&[("all_proxy", "http://u:p%40ss@p")], tls, Some("the proxy p:80 Basic dTpwQHNz")),
            (&[("HTTP_PROXY", ""), ("ALL_PROXY", "http://p:1")], plain, Some("the proxy p:1")),
            (&[("HTTP_PROXY", "http://p:1"), ("http_proxy", "http://q:1")], plain, Some("the proxy p:1")),
            (&[("HTTP_PROXY", "http://p:1"), ("REQUEST_METHOD", "GET")], plain, None),
            (&[("http_proxy", "http://p:1"), ("REQUEST_METHOD", "GET")], plain, Some("the proxy p:1")),
            (&[("ALL_PROXY", "http://p"), ("NO_PROXY", "b.example, .example.org")], tls, None),
            (&[("ALL_PROXY", "http://p"), ("no_proxy", "ample.org")], tls, Some("the proxy p:80")),
            (&[("ALL_PROXY", "http://p"), ("NO_PROXY", "*")], plain, None),
            (&[("ALL_PROXY", "http://p"), ("NO_PROXY", "b.example, *")], "http://10.1.2.3", None),
            (&[("ALL_PROXY", "http://p"), ("NO_PROXY", "10.0.0.0/8")], "http://10.1.2.3:8000", None),
            (&[("ALL_PROXY", "http://p"), ("NO_PROXY", "::1")], "http://[::1]:8000", None),
            (&[("ALL_PROXY", "wrong url"), ("NO_PROXY", "a.example.org")], plain, None),
        ] {
            assert_eq!(selected(variables, url), Ok(found.map(str::to_owned)), "{variables:?} {url}");
        }
    }

    #[test]
    fn wrong_setting_named_without_its_text() {
        let wrong = "is not the URL of an HTTP proxy, such as http://proxy.example.org:3128";
        let socks = "names a SOCKS proxy: HTTP checks can only use HTTP proxies";
        for (value, said) in [
            ("http://u:secret@", wrong),
            ("http://u:secret@p:0", wrong),
            ("http://u:secret@p:99999", wrong),
            ("two secret words", wrong),
            ("ftp://u:secret@p", wrong),
            ("socks5://u:secret@p", socks),
            ("socks4a://p", socks),
        ] {
            let found = selected(&[("HTTPS_PROXY", value)], "https://a.example.org");
            assert_eq!(found, Err(format!("HTTPS_PROXY {said}")), "{value}");
            assert_eq!(selected(&[("HTTPS_PROXY", value)], "http://a.example.org"), Ok(None), "{value}");
        }
    }
}

//! An SMTP server as configured.

use serde::Deserialize;

use crate::checks::server_url::ServerUrl;
use crate::model::{Secret, SpecError};
use crate::net::Tls;
use crate::net::smtp::SmtpSecurity;

/// What a specification says, field by field.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SmtpFields {
    /// `smtp://`, `smtps://` (TLS from the first byte, as `submissions://`) or `submission://` (STARTTLS), with user and
    /// password. What the other fields say comes before it.
    #[serde(default)]
    url: Option<Secret>,
    /// Required without `url`.
    #[serde(default)]
    host: Option<String>,
    /// Default 25, 587 (starttls) or 465 (tls).
    #[serde(default)]
    port: Option<u16>,
    #[serde(default)]
    username: Option<String>,
    #[serde(default)]
    password: Option<Secret>,
    /// Required without `url`, and for `smtp://` with a password, which does not say whether to encrypt it.
    #[serde(default)]
    security: Option<SmtpSecurity>,
    /// The name to greet with (EHLO). Default: the address of this end of the connection.
    #[serde(default)]
    local_hostname: Option<String>,
    #[serde(default)]
    tls: Tls,
}

/// The SMTP server (port 25, with `security` "starttls" 587, "tls" 465) accepts the credentials; sends no mail.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(try_from = "SmtpFields")]
pub struct SmtpCheck {
    pub host: String,
    pub port: Option<u16>,
    pub username: Option<String>,
    pub password: Option<Secret>,
    pub security: SmtpSecurity,
    pub local_hostname: Option<String>,
    pub tls: Tls,
}

impl TryFrom<SmtpFields> for SmtpCheck {
    type Error = SpecError;

    fn try_from(fields: SmtpFields) -> Result<Self, SpecError> {
        let required = |names: &str| SpecError(format!("{names} is required"));
        let schemes = ["smtp", "smtps", "submission", "submissions"];
        let url = fields.url.map(|url| ServerUrl::parse(&url, &schemes)).transpose()?;
        let (port, username, password, security, host) = match url {
            Some(url) => {
                let security = match url.scheme.as_str() {
                    "smtps" | "submissions" => Some(SmtpSecurity::Tls),
                    "submission" => Some(SmtpSecurity::Starttls),
                    _ if url.password.is_none() && fields.password.is_none() => Some(SmtpSecurity::None),
                    _ => None,
                };
                (url.port, url.username, url.password, security, Some(url.host))
            }
            None => (None, None, None, None, None),
        };
        let named = host.is_some();
        Ok(Self {
            host: fields.host.or(host).ok_or_else(|| required("host or url"))?,
            port: fields.port.or(port),
            username: fields.username.or(username),
            password: fields.password.or(password),
            security: fields.security.or(security).ok_or_else(|| match named {
                true => SpecError(
                    "security must be \"starttls\", \"tls\" or \"none\" where an smtp:// url has a password".to_owned(),
                ),
                false => required("security"),
            })?,
            local_hostname: fields.local_hostname,
            tls: fields.tls,
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::{Value, json};

    fn parse(fields: &Value) -> Result<SmtpCheck, String> {
        serde_json::from_value(fields.clone()).map_err(|error| error.to_string())
    }

    #[test]
    fn url_and_fields_beside_it() {
        for (fields, same) in [
            (json!({"url": "smtp://h"}), json!({"host": "h", "security": "none"})),
            (json!({"url": "smtps://h"}), json!({"host": "h", "security": "tls"})),
            (json!({"url": "submissions://h"}), json!({"host": "h", "security": "tls"})),
            (
                json!({"url": "submission://u:p%40@h:2"}),
                json!({"host": "h", "port": 2, "username": "u", "password": "p@", "security": "starttls"}),
            ),
            (
                json!({"url": "smtp://u:p@h:1", "security": "starttls", "port": 3, "username": "v"}),
                json!({"host": "h", "port": 3, "username": "v", "password": "p", "security": "starttls"}),
            ),
        ] {
            assert_eq!(parse(&fields).unwrap(), parse(&same).unwrap(), "{fields}");
        }
    }

    #[test]
    fn url_that_would_send_a_password_unencrypted_refused() {
        for fields in [json!({"url": "smtp://u:secret@h"}), json!({"url": "smtp://u@h", "password": "secret"})] {
            let error = parse(&fields).unwrap_err();
            assert!(error.starts_with("security must be \"starttls\"") && !error.contains("secret"), "{error}");
        }
        assert!(parse(&json!({"url": "smtp://u:secret@h", "security": "none"})).is_ok());
    }

    #[test]
    fn missing_fields_are_named() {
        for (fields, said) in [
            (json!({}), "host or url is required"),
            (json!({"host": "h"}), "security is required"),
            (json!({"url": "mailto:h"}), "url must start with smtp:// or smtps:// or submission:// or submissions://"),
        ] {
            assert_eq!(parse(&fields).unwrap_err(), said);
        }
    }
}

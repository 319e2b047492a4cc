//! Servers reached over HTTP, SMTP or bare TCP.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{Secret, Tls};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SmtpSecurity {
    None,
    Starttls,
    Tls,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Smtp {
    pub host: String,
    /// Default 25, 587 (starttls) or 465 (tls).
    #[serde(default)]
    pub port: Option<u16>,
    #[serde(default)]
    pub username: Option<String>,
    #[serde(default)]
    pub password: Option<Secret>,
    pub security: SmtpSecurity,
    #[serde(default)]
    pub tls: Tls,
}

/// A `GET` of one URL.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Http {
    pub url: Secret,
    #[serde(default)]
    pub headers: BTreeMap<String, Secret>,
    #[serde(default = "ok")]
    pub expect_status: u16,
    #[serde(default)]
    pub tls: Tls,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GoogleMaps {
    pub api_key: Secret,
    #[serde(default)]
    pub base_url: Option<String>,
    #[serde(default)]
    pub tls: Tls,
}

/// OpenAI's API, or one that speaks it.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OpenAi {
    pub api_key: Secret,
    /// With the version, as OpenAI's own clients take it: `https://api.openai.com/v1`.
    #[serde(default)]
    pub base_url: Option<String>,
    #[serde(default)]
    pub tls: Tls,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Anthropic {
    pub api_key: Secret,
    /// Without the version, as Anthropic's own clients take it: `https://api.anthropic.com`.
    #[serde(default)]
    pub base_url: Option<String>,
    #[serde(default)]
    pub tls: Tls,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tcp {
    pub host: String,
    pub port: u16,
    #[serde(default)]
    pub tls: Option<Tls>,
}

fn ok() -> u16 {
    200
}

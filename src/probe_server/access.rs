//! What a caller is shown: statuses always, details to callers with a configured token or from a configured network.

use std::net::IpAddr;

use ipnet::IpNet;
use ring::digest::{SHA256, digest};
use serde::Deserialize;
use subtle::{Choice, ConstantTimeEq};

use crate::model::{Secret, SpecError};
use crate::policy::report::Shown;

/// Which callers are shown details.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ShowDetails {
    /// Callers that send a configured token or come from a configured network.
    #[default]
    Authorized,
    Always,
    Never,
}

/// What one caller may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caller {
    pub shown: Shown,
    /// By a token or a network, whatever is shown to it: it may have checks run anew.
    pub is_authorized: bool,
    /// Whether it would be shown details if it were authorized.
    pub is_hinted: bool,
}

#[derive(Clone, Debug, Default)]
pub struct Access {
    show_details: ShowDetails,
    tokens: Vec<Secret>,
    networks: Vec<IpNet>,
}

impl Access {
    pub fn new(show_details: ShowDetails, tokens: Vec<Secret>, networks: &[String]) -> Result<Self, SpecError> {
        if tokens.iter().any(Secret::is_empty) {
            return Err(SpecError::new("an empty token would authorize every caller"));
        }
        let networks = networks.iter().map(|text| network(text)).collect::<Result<_, _>>()?;
        Ok(Self { show_details, tokens, networks })
    }

    /// What a caller may do; `peer` is none for a Unix socket, which is in no network.
    pub fn caller(&self, peer: Option<IpAddr>, authorization: Option<&[u8]>) -> Caller {
        let is_authorized =
            peer.is_some_and(|peer| self.allows_network(peer)) || authorization.is_some_and(|it| self.allows_token(it));
        let shows_details = match self.show_details {
            ShowDetails::Always => true,
            ShowDetails::Never => false,
            ShowDetails::Authorized => is_authorized,
        };
        let shown = if shows_details { Shown::Everything } else { Shown::Statuses };
        let is_hinted = self.show_details == ShowDetails::Authorized && !is_authorized;
        Caller { shown, is_authorized, is_hinted }
    }

    fn allows_network(&self, peer: IpAddr) -> bool {
        // A listener on [::] sees IPv4 callers as ::ffff:192.0.2.1.
        let peer = peer.to_canonical();
        self.networks.iter().any(|network| network.contains(&peer))
    }

    /// Compares digests with every token, each in constant time: how long it takes says nothing about any.
    fn allows_token(&self, authorization: &[u8]) -> bool {
        let Some((scheme, token)) = authorization.split_at_checked(7) else { return false };
        if !scheme.eq_ignore_ascii_case(b"bearer ") {
            return false;
        }
        let sent = digest(&SHA256, token.trim_ascii());
        let equals = |known: &Secret| digest(&SHA256, known.expose().as_bytes()).as_ref().ct_eq(sent.as_ref());
        self.tokens.iter().fold(Choice::from(0), |found, known| found | equals(known)).into()
    }
}

/// A network as `10.0.0.0/8`, or one address.
fn network(text: &str) -> Result<IpNet, SpecError> {
    let address = || text.parse::<IpAddr>().map(IpNet::from);
    text.parse()
        .or_else(|_| address())
        .map_err(|_| SpecError(format!("a network is \"10.0.0.0/8\", \"fd00::/8\" or one address, not {text:?}")))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn access(show_details: ShowDetails) -> Access {
        let tokens = vec![Secret::new("first"), Secret::new("second")];
        let networks = ["10.0.0.0/8", "fd00::/8", "192.0.2.7"].map(str::to_owned);
        Access::new(show_details, tokens, &networks).unwrap()
    }

    #[test]
    fn authorized_callers_are_shown_details() {
        use Shown::{Everything, Statuses};
        let table: [(Option<&str>, Option<&str>, Shown); 17] = [
            (None, None, Statuses),
            (None, Some("Bearer first"), Everything),
            (None, Some("Bearer second"), Everything),
            (None, Some("bearer  second "), Everything),
            (None, Some("Bearer firs"), Statuses),
            (None, Some("Bearer firstt"), Statuses),
            (None, Some("Bearer "), Statuses),
            (None, Some("Bearer"), Statuses),
            (None, Some(""), Statuses),
            (None, Some("Basic first"), Statuses),
            (Some("10.1.2.3"), None, Everything),
            (Some("::ffff:10.1.2.3"), None, Everything),
            (Some("11.1.2.3"), None, Statuses),
            (Some("11.1.2.3"), Some("Bearer first"), Everything),
            (Some("fd00::1"), None, Everything),
            (Some("192.0.2.7"), None, Everything),
            (Some("192.0.2.8"), None, Statuses),
        ];
        for (peer, authorization, expected) in table {
            let peer = peer.map(|peer| peer.parse().unwrap());
            let caller = |show| access(show).caller(peer, authorization.map(str::as_bytes));
            let is_authorized = expected == Everything;
            let of = |shown, is_hinted| Caller { shown, is_authorized, is_hinted };
            let found = caller(ShowDetails::Authorized);
            assert_eq!(found, of(expected, !is_authorized), "{peer:?} {authorization:?}");
            assert_eq!(caller(ShowDetails::Always), of(Everything, false));
            assert_eq!(caller(ShowDetails::Never), of(Statuses, false));
        }
    }

    #[test]
    fn empty_token_or_wrong_network_is_refused() {
        assert!(Access::new(ShowDetails::Authorized, vec![Secret::new("")], &[]).is_err());
        for text in ["", "10.0.0.0/33", "10.0.0", "localhost", "*"] {
            assert!(Access::new(ShowDetails::Authorized, vec![], &[text.to_owned()]).is_err(), "{text}");
        }
    }
}

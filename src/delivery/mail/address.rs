//! An address of mail, with a name before it where it has one: `ops@example.org`, `On call <ops@example.org>`.

use crate::model::SpecError;
use crate::net;

#[derive(Clone, Debug, PartialEq)]
pub struct Mailbox {
    pub name: String,
    local: String,
    /// In Punycode where it is international.
    pub domain: String,
}

impl Mailbox {
    /// The address that is configured as `field`. Its text is in no error, as it might be a password in the wrong place.
    pub fn parse(field: &str, text: &str) -> Result<Self, SpecError> {
        let example = "\"ops@example.org\" or \"On call <ops@example.org>\"";
        let wrong = || SpecError(format!("{field} must be an address of mail such as {example}"));
        Self::read(text.trim()).ok_or_else(wrong)
    }

    fn read(text: &str) -> Option<Self> {
        let (name, address) = match text.strip_suffix('>') {
            Some(rest) => rest.rsplit_once('<')?,
            None => ("", text),
        };
        let name = name.trim();
        let name = name.strip_prefix('"').and_then(|name| name.strip_suffix('"')).unwrap_or(name);
        let (local, domain) = address.rsplit_once('@')?;
        let domain = net::ascii_host(domain)?;
        let is_local = |c: char| !c.is_whitespace() && !c.is_control() && !"<>()[]\\,;:\"@".contains(c);
        let is_domain = |c: char| c.is_ascii_alphanumeric() || "-._[]:".contains(c);
        let fits = (1..=64).contains(&local.len()) && (1..=253).contains(&domain.len());
        let is_valid = fits && local.chars().all(is_local) && domain.chars().all(is_domain);
        (is_valid && !name.contains(char::is_control)).then(|| Self {
            name: name.to_owned(),
            local: local.to_owned(),
            domain: domain.into_owned(),
        })
    }

    pub fn address(&self) -> String {
        format!("{}@{}", self.local, self.domain)
    }

    /// Whether only a server that offers SMTPUTF8 can take it.
    pub fn needs_utf8(&self) -> bool {
        !self.local.is_ascii()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn mailbox_each_form() {
        for (text, name, address) in [
            ("ops@example.org", "", "ops@example.org"),
            (" <o.p+s@example.org> ", "", "o.p+s@example.org"),
            ("On call <ops@example.org>", "On call", "ops@example.org"),
            ("\"Ops, on call\" <ops@[127.0.0.1]>", "Ops, on call", "ops@[127.0.0.1]"),
            ("Müller <jürgen@bücher.example>", "Müller", "jürgen@xn--bcher-kva.example"),
            ("root@localhost", "", "root@localhost"),
        ] {
            let mailbox = Mailbox::parse("to[0]", text).unwrap();
            assert_eq!((mailbox.name.as_str(), mailbox.address().as_str()), (name, address));
            assert_eq!(mailbox.needs_utf8(), text.contains("jürgen"));
        }
    }

    #[test]
    fn text_that_is_no_address_refused_without_quoting_it() {
        let said = "to[0] must be an address of mail such as \"ops@example.org\" or \"On call <ops@example.org>\"";
        for text in [
            "",
            "ops",
            "@example.org",
            "ops@",
            "a b@example.org",
            "a@b@c d",
            "ops@example.org>",
            "<ops@example.org",
            "ops@exam ple.org",
            "ops@example.org\r\nRCPT TO:<x@y>",
            "Evil\r\nBcc: x@y <ops@example.org>",
            "<a>@example.org",
            "ops@example.org, dev@example.org",
        ] {
            assert_eq!(Mailbox::parse("to[0]", text).unwrap_err().0, said, "{text:?}");
        }
    }
}

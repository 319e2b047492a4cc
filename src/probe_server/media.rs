//! Which of the media types on offer a request prefers. What cannot be understood is no error: a probe has to answer.

use url::form_urlencoded;

/// How a response is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MediaType {
    Json,
    /// In the words of the IETF's draft "Health Check Response Format for HTTP APIs".
    HealthJson,
    Text,
    Html,
}

impl MediaType {
    /// The first of them where a request prefers none.
    const OFFERED: [Self; 4] = [Self::Json, Self::HealthJson, Self::Text, Self::Html];

    /// The value of the header.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::HealthJson => "application/health+json",
            Self::Text => "text/plain; charset=utf-8",
            Self::Html => "text/html; charset=utf-8",
        }
    }

    /// The type that `?format=` names, or that `Accept` prefers.
    pub fn preferred(query: &str, accept: &str) -> Self {
        let named = match parameter(query, "format").as_deref() {
            Some("json") => Some(Self::Json),
            // In a query a plus sign is a space, unless it is escaped.
            Some("health+json" | "health json") => Some(Self::HealthJson),
            Some("text") => Some(Self::Text),
            Some("html") => Some(Self::Html),
            _ => None,
        };
        named.unwrap_or_else(|| Self::by_accept(accept))
    }

    fn by_accept(accept: &str) -> Self {
        if accept.is_empty() || accept == "*/*" {
            return Self::Json;
        }
        let ranges: Vec<MediaRange> = accept.split(',').filter_map(MediaRange::parse).collect();
        let range_of = |media: Self| {
            let fitting = ranges.iter().enumerate().filter(|(_, range)| range.contains(media));
            // Of equal ones the first counts, and `max_by` returns the last.
            fitting.rev().max_by(|(_, one), (_, other)| {
                one.precision.cmp(&other.precision).then(one.quality.total_cmp(&other.quality))
            })
        };
        let accepted = Self::OFFERED.into_iter().filter_map(|media| Some((media, range_of(media)?)));
        let best = accepted.rev().max_by(|(_, (place, one)), (_, (other_place, other))| {
            let quality = one.quality.total_cmp(&other.quality);
            quality.then(one.precision.cmp(&other.precision)).then(other_place.cmp(place))
        });
        best.map_or(Self::Json, |(media, _)| media)
    }

    fn parts(self) -> (&'static str, &'static str) {
        let name = self.content_type();
        name.split_once(';').map_or(name, |(name, _)| name).split_once('/').unwrap_or_default()
    }
}

/// The last value of a parameter of a query.
pub fn parameter(query: &str, name: &str) -> Option<String> {
    let found = form_urlencoded::parse(query.as_bytes()).filter(|(key, _)| key == name).last();
    found.map(|(_, value)| value.into_owned())
}

/// One of the types, or groups of types, that a request accepts.
struct MediaRange<'a> {
    main: &'a str,
    sub: &'a str,
    quality: f64,
    /// How many of its two parts are no asterisk.
    precision: u8,
}

impl<'a> MediaRange<'a> {
    /// `None` if it is refused (`q=0`), is none, or asks for parameters, which no type on offer has.
    fn parse(text: &'a str) -> Option<Self> {
        let mut parts = text.split(';').map(str::trim);
        let (main, sub) = parts.next()?.split_once('/')?;
        let mut quality = 1.0;
        for (name, value) in parts.filter_map(|part| part.split_once('=')) {
            if !name.trim().eq_ignore_ascii_case("q") {
                return None;
            }
            let valid = value.trim().parse().ok().filter(|quality| (0.0..=1.0).contains(quality));
            quality = valid.unwrap_or(1.0);
        }
        let is_known = !main.is_empty() && !sub.is_empty() && quality > 0.0;
        let precision = u8::from(main != "*") + u8::from(sub != "*");
        is_known.then_some(Self { main, sub, quality, precision })
    }

    fn contains(&self, media: MediaType) -> bool {
        let (main, sub) = media.parts();
        let is_in = |range: &str, part: &str| range == "*" || range.eq_ignore_ascii_case(part);
        is_in(self.main, main) && is_in(self.sub, sub)
    }
}

#[cfg(test)]
mod tests {
    use super::MediaType::{HealthJson, Html, Json, Text};
    use super::*;

    #[test]
    fn accept_header_decides_as_django_decides() {
        let table = [
            ("", Json),
            (" , ,", Json),
            ("*/*", Json),
            ("application/json", Json),
            ("application/health+json", HealthJson),
            ("APPLICATION/Health+JSON", HealthJson),
            ("text/plain", Text),
            ("text/html", Html),
            ("text/*", Text),
            ("application/*", Json),
            ("text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8", Html),
            ("text/html;q=0.5, text/plain;q=0.6", Text),
            ("text/plain, text/html", Text),
            ("text/html, text/plain", Html),
            ("text/html;q=0, */*", Json),
            ("text/*;q=0.9, text/plain;q=0.1", Html),
            ("image/png", Json),
            ("application/openmetrics-text;version=1.0.0;q=0.5,*/*;q=0.1", Json),
            ("text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2", Html),
            ("*", Json),
            ("*; q=.2", Json),
            ("text/html;", Html),
            ("text/plain; q", Text),
            ("text/html;q=much", Html),
            ("text/html;q=7", Html),
            ("text/html;level=1", Json),
            ("json", Json),
            ("text/", Json),
            ("/", Json),
            (";q=1", Json),
            ("text/html a", Json),
            ("<script>", Json),
        ];
        for (accept, expected) in table {
            assert_eq!(MediaType::preferred("", accept), expected, "{accept}");
        }
    }

    #[test]
    fn format_parameter_comes_before_the_header() {
        let table = [
            ("format=json", Json),
            ("format=health+json", HealthJson),
            ("format=health%2Bjson", HealthJson),
            ("format=text", Text),
            ("a=b&format=html", Html),
            ("format=html&format=text", Text),
            ("format=yaml", HealthJson),
            ("format=", HealthJson),
            ("%ff=%ff&format", HealthJson),
        ];
        for (query, expected) in table {
            assert_eq!(MediaType::preferred(query, "application/health+json"), expected, "{query}");
        }
    }
}

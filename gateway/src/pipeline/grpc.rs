//! Which messages are gRPC's, by their media type.
//!
//! Everything else that begins `application/grpc` is another type, gRPC-Web's among them:
//! its clients are browsers, which read no trailers and take a refusal in fields.

use http::HeaderMap;
use http::header;

/// gRPC-Web's media types, as they are answered (PROTOCOL-WEB.md), the longest first.
const WEB: [&str; 4] = [
    "application/grpc-web-text+proto",
    "application/grpc-web-text",
    "application/grpc-web+proto",
    "application/grpc-web",
];

/// The form in which a client of gRPC reads how its call went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Trailers-Only (gRPC over HTTP2, "Responses").
    Grpc,
    /// The same fields under the media type of the call, by its place in `WEB`: every
    /// request has room for it.
    Web(u8),
}

impl Form {
    /// Of the message whose header fields these are, if it is one of gRPC.
    #[must_use]
    pub fn of(headers: &HeaderMap) -> Option<Self> {
        let written = headers.get(header::CONTENT_TYPE)?.as_bytes();
        let has = |media_type: &str| {
            let start = written.get(..media_type.len());
            let is_end = matches!(written.get(media_type.len()), None | Some(b'+' | b';'));
            start.is_some_and(|start| start.eq_ignore_ascii_case(media_type.as_bytes())) && is_end
        };
        if has("application/grpc") {
            return Some(Form::Grpc);
        }
        (0..).zip(WEB).find(|(_, media_type)| has(media_type)).map(|(place, _)| Form::Web(place))
    }

    #[must_use]
    pub fn media_type(self) -> &'static str {
        match self {
            Form::Grpc => "application/grpc",
            Form::Web(place) => WEB[usize::from(place) % WEB.len()],
        }
    }
}

/// Whether a message is gRPC itself: HTTP/2, and messages in both directions at will.
#[must_use]
pub fn is_grpc(headers: &HeaderMap) -> bool {
    Form::of(headers) == Some(Form::Grpc)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn grpc_is_its_own_type_with_a_format_or_parameter_and_grpc_web_is_another() {
        for (written, form) in [
            ("application/grpc", Some("application/grpc")),
            ("Application/gRPC", Some("application/grpc")),
            ("application/grpc+proto", Some("application/grpc")),
            ("application/grpc+json", Some("application/grpc")),
            ("application/grpc;v=1", Some("application/grpc")),
            ("application/grpc-web", Some("application/grpc-web")),
            ("application/grpc-web;charset=utf-8", Some("application/grpc-web")),
            ("application/grpc-web+json", Some("application/grpc-web")),
            ("application/grpc-web+proto", Some("application/grpc-web+proto")),
            ("application/grpc-web-text", Some("application/grpc-web-text")),
            ("application/grpc-web-text+proto", Some("application/grpc-web-text+proto")),
            ("application/grpc-web-other", None),
            ("application/grpcx", None),
            ("application/grpc/x", None),
            ("application/grp", None),
            ("application/json", None),
            ("application/connect+proto", None),
            ("text/plain; application/grpc", None),
        ] {
            let headers = [(header::CONTENT_TYPE, HeaderValue::from_static(written))];
            let found = Form::of(&headers.into_iter().collect());
            assert_eq!(found.map(Form::media_type), form, "{written}");
        }
        assert_eq!(Form::of(&HeaderMap::new()), None);
    }
}

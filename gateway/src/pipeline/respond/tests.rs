use http_body::Body;

use super::*;

#[test]
fn grpc_clients_get_the_number_that_tells_them_what_to_do() {
    for (status, number) in [
        (400, GRPC_INVALID_ARGUMENT),
        (401, GRPC_UNAUTHENTICATED),
        (403, GRPC_PERMISSION_DENIED),
        (404, GRPC_UNIMPLEMENTED),
        (405, GRPC_UNIMPLEMENTED),
        (408, GRPC_DEADLINE_EXCEEDED),
        (413, GRPC_RESOURCE_EXHAUSTED),
        (421, GRPC_INVALID_ARGUMENT),
        (429, GRPC_RESOURCE_EXHAUSTED),
        (431, GRPC_INVALID_ARGUMENT),
        (500, GRPC_INTERNAL),
        (501, GRPC_UNAVAILABLE),
        (502, GRPC_UNAVAILABLE),
        (503, GRPC_UNAVAILABLE),
        (504, GRPC_UNAVAILABLE),
    ] {
        let status = StatusCode::from_u16(status).expect("a status");
        assert_eq!(grpc_status(status), number, "{status}");
    }
}

#[test]
fn a_browser_that_navigates_wants_a_page_and_programs_do_not() {
    for (accept, page) in [
        (Some("text/html,application/xhtml+xml,*/*;q=0.8"), true),
        (Some("text/html"), true),
        (Some("*/*"), false),
        (Some("application/json"), false),
        (Some("application/json, text/html"), false),
        (None, false),
    ] {
        let fields = accept.map(|accept| (header::ACCEPT, HeaderValue::from_static(accept)));
        assert_eq!(wants_page(&fields.into_iter().collect()), page, "{accept:?}");
    }
}

fn answer(body: &str, fields: &[(HeaderName, &'static str)]) -> Response<ResponseBody> {
    let fields = fields.iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value)));
    let body = body.as_bytes().to_vec();
    own_answer(Answer { status: StatusCode::OK, body, fields: fields.collect() })
}

#[test]
fn own_answers_are_json_unless_they_say_otherwise_and_never_stored() {
    let html = [(header::CONTENT_TYPE, "text/html")];
    for (body, fields, media_type) in [
        ("{}", &[][..], Some("application/json")),
        ("<p>", &html, Some("text/html")),
        ("", &[], None),
        ("", &html, Some("text/html")),
    ] {
        let response = answer(body, fields);
        let types: Vec<_> = response.headers().get_all(header::CONTENT_TYPE).iter().collect();
        assert_eq!(types, Vec::from_iter(media_type), "{body:?}");
        assert_eq!(response.headers()[header::CACHE_CONTROL], "no-store");
    }
}

#[test]
fn what_head_gets_tells_how_long_the_answer_would_be() {
    let mut response = answer("{\"a\":1}", &[]);
    assert!(!response.body().is_end_stream());
    leave_out_body(&mut response);
    assert!(response.body().is_end_stream());
    assert_eq!(response.headers()[header::CONTENT_LENGTH], "7");
    let mut empty = answer("", &[]);
    leave_out_body(&mut empty);
    assert!(!empty.headers().contains_key(header::CONTENT_LENGTH));
}

#[test]
fn a_limit_tells_its_size_and_when_to_come_again() {
    let mut headers = HeaderMap::new();
    add_limit(&mut headers, "attempts", 5, 300, 42);
    for (name, value) in [
        (header::RETRY_AFTER, "42"),
        (RATE_LIMIT_POLICY, "\"attempts\";q=5;w=300"),
        (RATE_LIMIT, "\"attempts\";r=0;t=42"),
    ] {
        assert_eq!(headers[&name], value, "{name}");
    }
}

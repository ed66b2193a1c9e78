use http_body::Body;

use super::*;

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
    for (name, value) in
        [(RATE_LIMIT_POLICY, "\"attempts\";q=5;w=300"), (RATE_LIMIT, "\"attempts\";r=0;t=42")]
    {
        assert_eq!(headers[&name], value, "{name}");
    }
}

#[test]
fn a_malformed_body_is_told_what_is_wrong_and_the_table_says_all_else() {
    let told = |reason: &Reason| message(reason, &reason.row()).to_owned();
    let words = "The two passwords differ";
    assert_eq!(told(&Reason::BodyMalformed(words.to_owned())), words);
    assert_eq!(told(&Reason::RouteUnknown), Reason::RouteUnknown.row().message);
}

#[test]
fn who_may_come_again_or_by_another_method_is_told_so() {
    let allow = "GET, POST".to_owned();
    let wait = std::time::Duration::from_millis(1_500);
    for (reason, allow, retry_after) in [
        (Reason::MethodRefused, Some(FORWARDED_METHODS), None),
        (Reason::MethodNotAllowed { allow }, Some("GET, POST"), None),
        (Reason::AttemptsQueued, None, Some("1")),
        (Reason::UserAttemptsQueued { retry_after: wait }, None, Some("2")),
        (Reason::LockedOut { retry_after: wait }, None, Some("2")),
        (Reason::RegistrationsOverLimit { retry_after: wait }, None, Some("2")),
        (Reason::HasherBusy, None, Some("1")),
        (Reason::MailBusy, None, Some("1")),
        (Reason::ConnectionsOverAddressLimit, None, Some("1")),
        (Reason::RequestsOverAddressLimit, None, Some("1")),
        (Reason::AgentsOverLimit, None, Some("1")),
        (Reason::AgentsOverAddressLimit, None, Some("1")),
        (Reason::StoreBusy, None, Some("1")),
        (Reason::StoreUnavailable, None, Some("1")),
        (Reason::StreamsOverLimit, None, Some("1")),
        (Reason::RevocationNotStored, None, Some("1")),
        (Reason::UpstreamSaturated, None, Some("1")),
        (Reason::UpstreamShareTaken, None, Some("1")),
        (Reason::UpstreamTimeout, None, None),
        (Reason::Stopping, None, None),
        (Reason::CredentialMissing, None, None),
    ] {
        let mut headers = HeaderMap::new();
        add_way_out(&reason, &reason.row(), &mut headers);
        let field = |name| headers.get(name).map(|value: &HeaderValue| value.to_str().unwrap());
        let found = (field(header::ALLOW), field(header::RETRY_AFTER));
        assert_eq!(found, (allow, retry_after), "{reason:?}");
    }
}

use super::*;

const ID: &str = "01980000-0000-7000-8000-000000000001";
const OTHER: &str = "01980000-0000-7000-8000-000000000002";
const JSON: Option<&str> = Some("application/json");

/// The request as the socket would write it, or what is wrong with it.
fn decode(verb: Verb, path: &str, query: &str, body: &str) -> Result<Value, DecodeError> {
    let admin = Admin::new("/api/admin".to_owned());
    let mut router = matchit::Router::new();
    for (row, (_, pattern, _)) in TABLE.iter().enumerate().filter(|(_, row)| row.0 == verb) {
        router.insert(*pattern, row).expect("the table's paths can be told apart");
    }
    let found = router.at(path).expect("there is such an endpoint");
    let parameters: Vec<String> = found.params.iter().map(|(_, text)| text.to_owned()).collect();
    let input = Input {
        content_type: JSON.filter(|_| !body.is_empty()),
        body: body.as_bytes(),
        query: Some(query).filter(|query| !query.is_empty()),
        parameters: &parameters,
        ..Input::default()
    };
    match admin.decode(Operation::Administer(*found.value), &input)? {
        Command::Administer(request) => Ok(serde_json::to_value(request).expect("it serializes")),
        other => panic!("{other:?}"),
    }
}

#[test]
fn every_form_of_an_id_names_the_same() {
    let id: Uuid = ID.parse().expect("an id");
    for form in [ID.to_owned(), super::super::notation::prefixed("usr_", id)] {
        let request = decode(Verb::Get, &format!("/users/{form}"), "", "").expect("a request");
        assert_eq!(request["user"], ID);
    }
    let request = decode(Verb::Get, "/users/ann", "", "").expect("a request");
    assert_eq!(request["user"], Uuid::nil().to_string(), "a name is no id");
}

#[test]
fn lists_are_asked_for_in_parts_and_narrowed() {
    let request = |path: &str, query: &str| decode(Verb::Get, path, query, "");
    let page = |query: &str| request("/users", query).map(|request| request["page"].clone());
    assert_eq!(page(""), Ok(serde_json::json!({ "after": null, "limit": 50 })));
    let narrowed = format!("limit=200&cursor={ID}");
    assert_eq!(page(&narrowed), Ok(serde_json::json!({ "after": ID, "limit": 200 })));
    let keys = request("/keys", &format!("owner={ID}&server={OTHER}")).expect("a request");
    assert_eq!((&keys["owner"], &keys["server"]), (&ID.into(), &OTHER.into()));
    let lockouts = request("/lockouts", "cursor=2001%3Adb8%3A%3A").expect("a request");
    assert_eq!(lockouts["page"]["after"], "2001:db8::");
    for wrong in [
        "limit=0",
        "limit=201",
        "limit=x",
        "limit=",
        "limit=1&limit=1",
        "cursor=01980000-0000-7000-8000-000000000001&cursor=01980000-0000-7000-8000-000000000002",
        "cursor=x",
        "cursor=",
        "page=2",
        "user=x",
        "limit=-1",
        "limit=1.0",
    ] {
        assert!(matches!(page(wrong), Err(DecodeError::Malformed(_))), "{wrong}");
    }
    let twice = request("/keys", &format!("owner={ID}&owner={OTHER}"));
    assert!(matches!(twice, Err(DecodeError::Malformed(_))), "{twice:?}");
}

/// An id that a caller has forgotten would end everything else.
#[test]
fn what_ends_for_all_or_for_a_user_is_said_by_one_parameter_of_the_very_name() {
    let all = |query: &str| decode(Verb::Delete, "/sessions", query, "");
    assert!(all("all=true").is_ok());
    let keys = |query: &str| {
        decode(Verb::Delete, "/keys", query, "").map(|request| request["owner"].clone())
    };
    assert_eq!(keys(&format!("owner={ID}")), Ok(ID.into()));
    for wrong in ["", "all", "all=false", "all=1", "every=true", "all=true&all=true", "all=true&x"]
    {
        assert!(matches!(all(wrong), Err(DecodeError::Malformed(_))), "{wrong}");
    }
    for wrong in [format!("user={ID}"), format!("owner={ID}&owner={ID}"), String::new()] {
        assert!(matches!(keys(&wrong), Err(DecodeError::Malformed(_))), "{wrong}");
    }
    assert!(decode(Verb::Delete, "/sessions", "all=true", r#"{"all":true}"#).is_err());
}

#[test]
fn a_key_ends_at_the_time_that_is_said() {
    let expires = |time: &str| {
        let body = format!(r#"{{"owner":"{ID}","expires":"{time}"}}"#);
        decode(Verb::Post, "/keys", "", &body).map(|request| request["expires"].clone())
    };
    assert_eq!(expires("2026-03-05T12:00:00Z"), Ok(1_772_712_000_000_u64.into()));
    assert!(matches!(expires("tomorrow"), Err(DecodeError::Malformed(_))));
}

#[test]
fn nobody_and_no_change_are_two_owners() {
    let owner = |body: &str| {
        decode(Verb::Patch, &format!("/servers/{ID}"), "", body).map(|it| it["owner"].clone())
    };
    assert_eq!(owner("{}"), Ok("same".into()));
    assert_eq!(owner(r#"{"owner":null}"#), Ok("nobody".into()));
    let given = owner(&format!(r#"{{"owner":"{ID}"}}"#));
    assert_eq!(given, Ok(serde_json::json!({ "user": ID })));
}

#[test]
fn a_body_has_exactly_the_documented_members() {
    let path = |pattern: &str| pattern.replace("{id}", ID).replace("{user}", OTHER);
    for (verb, pattern, _) in TABLE {
        let path = path(pattern).replace("{address}", "192.0.2.1");
        let strange = decode(*verb, &path, "", r#"{"strange":1}"#);
        assert!(matches!(strange, Err(DecodeError::Malformed(_))), "{verb:?} {pattern}");
    }
}

#[test]
fn a_key_goes_on_for_a_day_beside_its_successor_or_as_long_as_is_said() {
    let overlap = |body: &str| {
        decode(Verb::Post, &format!("/keys/{ID}/rotate"), "", body).map(|it| it["overlap"].clone())
    };
    assert_eq!(overlap(""), Ok(86_400.into()));
    assert_eq!(overlap("{}"), Ok(86_400.into()));
    assert_eq!(overlap(r#"{"overlap_seconds":0}"#), Ok(0.into()));
    assert!(overlap(r#"{"overlap_seconds":2592001}"#).is_err());
    assert!(overlap(r#"{"overlap_seconds":-1}"#).is_err());
}

#[test]
fn passwords_are_not_in_what_a_request_shows_of_itself() {
    let path = format!("/users/{ID}/password");
    let input = Input {
        content_type: JSON,
        body: br#"{"password":"hunter2 hunter2"}"#,
        parameters: &[ID.to_owned()],
        ..Input::default()
    };
    let row = TABLE
        .iter()
        .position(|(verb, pattern, _)| *verb == Verb::Put && pattern.replace("{id}", ID) == path);
    let operation = Operation::Administer(row.expect("a row"));
    let command = Admin::new("/api/admin".to_owned()).decode(operation, &input).expect("a command");
    assert!(!format!("{command:?}").contains("hunter2"));
}

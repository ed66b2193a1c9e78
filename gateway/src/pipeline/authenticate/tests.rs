use http::HeaderMap;

use super::ticket::{MoreThanOne, split_query};
use super::{Presented, basic, presented};

fn headers(fields: &[(&'static str, &str)]) -> HeaderMap {
    fields.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
}

fn check(fields: &[(&'static str, &str)], expected: Option<&Presented<'_>>) {
    let headers = headers(fields);
    let actual = presented(&headers, None).ok();
    assert_eq!(actual.as_ref(), expected, "{fields:?}");
}

#[test]
fn each_scheme_is_told_by_its_form() {
    check(&[], Some(&Presented::Nothing));
    check(&[("authorization", "Basic abc=")], Some(&Presented::Basic("abc=")));
    check(&[("authorization", "bASIC   abc=")], Some(&Presented::Basic("abc=")));
    check(&[("authorization", "Bearer a.b.c")], Some(&Presented::Bearer("a.b.c")));
    check(&[("authorization", "Bearer")], Some(&Presented::Bearer("")));
    check(&[("authorization", "Bearer sk_live_x")], Some(&Presented::Key("sk_live_x")));
    check(&[("x-api-key", "anything")], Some(&Presented::Key("anything")));
    check(&[("authorization", "Digest x")], Some(&Presented::Nothing));
    check(&[("authorization", "BearerX a")], Some(&Presented::Nothing));
}

#[test]
fn two_credentials_are_a_conflict() {
    check(&[("authorization", "Bearer a"), ("authorization", "Bearer a")], None);
    check(&[("authorization", "Bearer a"), ("x-api-key", "b")], None);
    check(&[("x-api-key", "a"), ("x-api-key", "a")], None);
    let headers = headers(&[("authorization", "Bearer a")]);
    assert!(presented(&headers, Some("ticket")).is_err());
}

#[test]
fn a_basic_name_ends_at_the_first_colon() {
    let decode =
        |text| basic::decode(text).map(|(name, password)| (name, password.expose().to_owned()));
    assert_eq!(decode("YTpiOmM="), Some(("a".to_owned(), "b:c".to_owned())));
    assert_eq!(decode("YTo="), Some(("a".to_owned(), String::new())));
    for malformed in ["", "YQ==", "YTpi Yg==", "!", "YTo", "/////w=="] {
        assert_eq!(decode(malformed), None, "{malformed}");
    }
}

#[test]
fn a_ticket_is_taken_out_of_the_query() {
    assert_eq!(split_query("token=abc"), Ok((Some("abc"), String::new())));
    assert_eq!(split_query("a=1&token=abc&b=2"), Ok((Some("abc"), "a=1&b=2".to_owned())));
    assert_eq!(split_query("mytoken=abc"), Ok((None, "mytoken=abc".to_owned())));
    assert_eq!(split_query("token=a&token=b"), Err(MoreThanOne));
}

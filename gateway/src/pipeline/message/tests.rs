use http::Request;

use super::host;

#[test]
fn the_host_that_is_forwarded_is_the_one_that_was_judged() {
    for (written, name, authority) in [
        ("App.Example.", "app.example", "app.example"),
        ("APP.example:08443", "app.example", "app.example:8443"),
        ("[2001:DB8:0::1]:443", "[2001:db8::1]", "[2001:db8::1]:443"),
    ] {
        let request = Request::get("/").header("host", written).body(()).unwrap();
        let found = host(&request.into_parts().0).unwrap();
        assert_eq!((&*found.name, &*found.authority), (name, authority), "{written}");
    }
}

#[test]
fn the_absolute_form_must_agree_with_the_host_field() {
    let check = |uri: &str, hosts: &[&str]| {
        let mut request = Request::get(uri);
        for host in hosts {
            request = request.header("host", *host);
        }
        let (parts, ()) = request.body(()).unwrap().into_parts();
        host(&parts).map(|host| host.name).map_err(|rejection| rejection.reason.code())
    };
    assert_eq!(check("/", &["a"]), Ok("a".to_owned()));
    assert_eq!(check("http://a/", &["A"]), Ok("a".to_owned()));
    assert_eq!(check("http://a/", &["b"]), Err("host_mismatch"));
    assert_eq!(check("http://a/", &[]), Err("host_missing"));
    assert_eq!(check("/", &[]), Err("host_missing"));
    assert_eq!(check("/", &["a", "a"]), Err("host_malformed"));
}

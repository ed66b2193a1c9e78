//! Where tokens come in cookies they are judged there, as strictly as in a body.

use serde_json::json;

use crate::support::gateway::Gateway;

use super::liar::{Liar, Lie};
use super::{
    ADMIN_OF_CALLERS, ALL_HELD, LIMITED, NAMED, NOT_TRIED, QUICK, QUICK_STATED, STREAM, conform,
    judged, outcomes, shipped, whole,
};

const COOKIES: &str = "[dialect]\nform.delivery = \"cookie\"\nstatus.delivery = \"cookie\"\n\
                       envelope.delivery = \"cookie\"\nplain.delivery = \"cookie\"\n";

#[tokio::test]
async fn every_statement_is_judged_where_tokens_come_in_cookies() {
    let gateway = Gateway::start(&shipped(&[QUICK, ADMIN_OF_CALLERS, STREAM, COOKIES])).await;
    let arguments = [&["--format", "json"], NAMED, QUICK_STATED].concat();
    let ended = whole(conform(&gateway, gateway.address(), &arguments)).await;
    assert_eq!(ended.status.code(), ALL_HELD, "{ended:?}");
    for (id, (outcome, detail)) in outcomes(&ended) {
        let is_tried = ![NOT_TRIED, LIMITED].concat().contains(&id.as_str());
        assert_eq!(outcome, if is_tried { "ok" } else { "not_tried" }, "{id}: {detail}");
    }
}

#[tokio::test]
async fn a_fault_is_found_where_tokens_come_in_cookies() {
    const LOGIN: &str = "POST /api/auth/login";
    const LOGIN_V1: &str = "POST /api/v1/auth/login";
    const LOOSE: &str = "__Host-portcullis-access=eyJhbGciOi.e30.c2ln; Path=/; Max-Age=60; Secure";
    let gateway = Gateway::start(&shipped(&[QUICK, ADMIN_OF_CALLERS, STREAM, COOKIES])).await;
    for (id, asked, lie) in [
        ("S0-08", LOGIN_V1, Lie::Field("set-cookie", None)),
        ("S0-08", LOGIN_V1, Lie::Set("/user", json!({}))),
        ("S0-20", "GET /api/v1/servers", Lie::Status(401)),
        ("S0-20", "POST /api/v1/servers", Lie::Status(200)),
        ("S1-08", LOGIN, Lie::Field("set-cookie", None)),
        ("S1-08", LOGIN, Lie::Field("set-cookie", Some(LOOSE))),
        ("S1-08", LOGIN, Lie::Set("/access_token", json!("eyJhbGciOi"))),
        ("S1-08", LOGIN, Lie::Set("/token_type", json!("bearer"))),
        ("S1-15", "POST /api/auth/refresh", Lie::Field("set-cookie", None)),
        ("S2-15", LOGIN, Lie::Drop("/data/user")),
        ("S2-22", "POST /api/auth/switch-workspace", Lie::Field("set-cookie", None)),
        ("S3-03", LOGIN_V1, Lie::Drop("/expires_in")),
    ] {
        let liar = Liar::start(&gateway, asked, lie.clone()).await;
        let (ended, outcome, detail) = judged(&gateway, &liar, id).await;
        assert_eq!(outcome, "fail", "{id} {asked} {lie:?}: {detail}: {ended:?}");
    }
}

use proptest::prelude::*;

use super::*;
use crate::protocol::scope::{Actions, Scope};

fn scopes() -> ScopeSet {
    let mut scopes = ScopeSet::new(Scope::new("team/app".parse().unwrap(), Actions::PUSH));
    scopes.add(Scope::new("base".parse().unwrap(), Actions::PULL));
    scopes
}

fn realm() -> Url {
    "https://auth.example/token?a=b".parse().unwrap()
}

const QUERY: &str = "scope=repository%3Ateam%2Fapp%3Apull%2Cpush&scope=repository%3Abase%3Apull";

#[test]
fn scopes_are_asked_for_one_by_one_with_the_needed_one_first() {
    let request = TokenRequest::new(&realm(), None, &scopes(), Grant::Anonymous);
    assert_eq!(
        request.url.as_str(),
        format!("https://auth.example/token?a=b&{QUERY}")
    );
    assert_eq!(request.authorization, None);
    assert_eq!(request.form, None);
}

#[test]
fn what_a_challenge_says_is_written_anew() {
    let service = "r.example&scope=repository:victim:pull#\"";
    let request = TokenRequest::new(&realm(), Some(service), &scopes(), Grant::Anonymous);
    let pairs: Vec<_> = request.url.query_pairs().collect();
    assert_eq!(pairs[1].1, service);
    assert_eq!(pairs.len(), 4);
}

#[test]
fn a_password_goes_in_the_header_and_a_refresh_token_in_the_body() {
    let secret = Secret::new("imgkit-canary-1");
    let password = Grant::Basic {
        username: "me",
        password: &secret,
    };
    let request = TokenRequest::new(&realm(), Some("s"), &scopes(), password);
    assert_eq!(
        request.authorization.as_ref().map(Secret::expose),
        Some("Basic bWU6aW1na2l0LWNhbmFyeS0x")
    );
    let refresh = Grant::Refresh { token: &secret };
    let request = TokenRequest::new(&realm(), Some("s"), &scopes(), refresh);
    assert_eq!(request.url, realm());
    assert_eq!(request.authorization, None);
    assert_eq!(
        request.form.as_ref().map(Secret::expose),
        Some(
            "grant_type=refresh_token&service=s&client_id=imgkit\
             &scope=repository%3Ateam%2Fapp%3Apull%2Cpush+repository%3Abase%3Apull\
             &refresh_token=imgkit-canary-1"
        )
    );
    assert!(!format!("{request:?}").contains("canary"));
}

#[test]
fn servers_without_the_post_form_get_the_refresh_token_as_a_password() {
    for (status, expected) in [
        (404, true),
        (405, true),
        (400, false),
        (401, false),
        (500, false),
    ] {
        assert_eq!(wants_get(status), expected);
    }
    let token = Secret::new("t");
    let request = TokenRequest::get(&realm(), None, &scopes(), Grant::Refresh { token: &token });
    assert_eq!(
        request.authorization.as_ref().map(Secret::expose),
        Some("Basic PHRva2VuPjp0")
    );
    assert!(request.form.is_none());
}

#[test]
fn tokens_are_read_from_every_form_of_answer() {
    for (body, token, life) in [
        (r#"{"token":"a"}"#, "a", 60.0),
        (r#"{"access_token":"b"}"#, "b", 60.0),
        (
            r#"{"token":"a","access_token":"b","expires_in":300}"#,
            "a",
            300.0,
        ),
        (r#"{"token":"","access_token":"b"}"#, "b", 60.0),
        (
            r#"{"token":null,"access_token":"b","expires_in":null}"#,
            "b",
            60.0,
        ),
        (r#"{"token":"a","expires_in":0}"#, "a", 60.0),
        (r#"{"token":"a","expires_in":-5}"#, "a", 60.0),
        (r#"{"token":"a","expires_in":"300"}"#, "a", 300.0),
        (r#"{"token":"a","expires_in":"soon"}"#, "a", 60.0),
        (r#"{"token":"a","expires_in":299.5}"#, "a", 299.5),
        (r#"{"token":"a","expires_in":1e300}"#, "a", 86400.0),
        (r#"{"token":"a","expires_in":[]}"#, "a", 60.0),
        (
            r#"{"token":"not.a~jwt+/=","issued_at":"2099-01-01T00:00:00Z"}"#,
            "not.a~jwt+/=",
            60.0,
        ),
    ] {
        let answer = TokenResponse::parse(body.as_bytes()).unwrap();
        assert_eq!(answer.token.expose(), token, "{body}");
        assert_eq!(answer.life, Duration::from_secs_f64(life), "{body}");
        assert!(answer.refresh_token.is_none());
    }
    let answer = TokenResponse::parse(br#"{"token":"a","refresh_token":"r"}"#).unwrap();
    assert_eq!(answer.refresh_token.as_ref().map(Secret::expose), Some("r"));
    assert_eq!(answer.authorization().expose(), "Bearer a");
}

#[test]
fn answers_without_a_usable_token_are_errors() {
    for (body, expected) in [
        ("", TokenError::NoObject),
        ("<html>", TokenError::NoObject),
        ("[]", TokenError::NoObject),
        ("\"a\"", TokenError::NoObject),
        (r#"{"token":"a","token":"b"}"#, TokenError::NoObject),
        ("{}", TokenError::NoToken),
        (r#"{"token":7}"#, TokenError::NoToken),
        (r#"{"token":""}"#, TokenError::NoToken),
        (r#"{"token":"a\r\nX-Evil: 1"}"#, TokenError::Characters),
        (r#"{"token":"a b"}"#, TokenError::Characters),
        (r#"{"token":"é"}"#, TokenError::Characters),
    ] {
        let error = TokenResponse::parse(body.as_bytes()).unwrap_err();
        assert_eq!(error, expected, "{body}");
    }
    let long = format!(r#"{{"token":"{}"}}"#, "a".repeat(MAX_BYTES));
    let error = TokenResponse::parse(long.as_bytes()).unwrap_err();
    assert_eq!(error, TokenError::TooLong);
}

#[test]
fn a_new_token_is_fetched_before_the_old_one_ends() {
    for (life, fresh) in [(300, 240), (60, 48), (3600, 2880), (5, 4)] {
        let body = format!(r#"{{"token":"a","expires_in":{life}}}"#);
        let answer = TokenResponse::parse(body.as_bytes()).unwrap();
        assert_eq!(answer.fresh_for(), Duration::from_secs(fresh));
    }
}

proptest! {
    #[test]
    fn a_token_can_always_be_sent(token in ".{1,20}", life in any::<f64>()) {
        let mut quoted = String::new();
        imgcore::json::push_string(&token, &mut quoted);
        let body = format!(r#"{{"token":{quoted},"expires_in":{life}}}"#);
        if let Ok(answer) = TokenResponse::parse(body.as_bytes()) {
            prop_assert!(http::HeaderValue::from_str(answer.authorization().expose()).is_ok());
            prop_assert!(answer.fresh_for() <= answer.life);
        }
    }
}

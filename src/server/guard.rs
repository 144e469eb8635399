//! Who may do what on the admin listener.
//!
//! | call | without a token | with the token |
//! | --- | --- | --- |
//! | `/healthz`, `/readyz` | yes | yes |
//! | `/metrics`, the status page, all else that is only shown | on loopback, or where `admin.open` names it | yes |
//! | anything that changes something: only by POST | never | yes |
//!
//! A page in an operator's browser must not be able to do or to read anything here: a call that says that it comes from a
//! page changes nothing, the token goes in a header that no page can set unasked, and on loopback the gateway is called
//! by its address or as localhost, so that no name of a page's own leads here (DNS rebinding).

use actix_web::body::{EitherBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::http::header::{
    AUTHORIZATION, HOST, HeaderMap, HeaderName, HeaderValue, ORIGIN, WWW_AUTHENTICATE,
};
use actix_web::middleware::Next;
use actix_web::web::Data;
use actix_web::{Error, HttpResponse};
use base64::Engine;

use super::Server;
use crate::audit::Event;
use crate::config::{Admin, Open};
use crate::protocol::hosts::Host;

/// Browsers say with it where a call comes from.
const FROM_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Why a call is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refused {
    #[error("the Host header names neither an address nor localhost, nor a host in admin.hosts")]
    Host,
    #[error("not from a web page")]
    Page,
    #[error("this needs admin.token, which is not set")]
    NoToken,
    #[error("this needs the token of admin.token, as Authorization: Bearer …")]
    Token,
}

impl Refused {
    pub(super) const ALL: [Self; 4] = [Self::Host, Self::Page, Self::NoToken, Self::Token];

    pub(super) const fn label(self) -> &'static str {
        match self {
            Self::Host => "host",
            Self::Page => "page",
            Self::NoToken => "no_token",
            Self::Token => "token",
        }
    }
}

/// Lets a call through to its handler, or refuses it.
///
/// # Errors
/// The handler's own.
pub async fn guard(
    call: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<EitherBody<impl MessageBody>>, Error> {
    let Some(server) = call.app_data::<Data<Server>>().cloned() else {
        return next.call(call).await.map(ServiceResponse::map_into_left_body);
    };
    let settings = server.driver.live().load();
    let is_loopback = call.app_config().local_addr().ip().is_loopback();
    let judged = judge(call.method(), call.path(), call.headers(), &settings.admin, is_loopback);
    let Err(refused) = judged else {
        return next.call(call).await.map(ServiceResponse::map_into_left_body);
    };
    let (reason, from) = (refused.label(), call.peer_addr().map(|peer| peer.ip().to_canonical()));
    server.metrics.admin_refused(reason);
    server.driver.audit.refused("", reason, || Event::OperatorRefused { reason, from });
    tracing::warn!(
        from = from.map(tracing::field::display), path = call.match_pattern(), reason = %refused, "an operator's call was refused"
    );
    let mut reply = match refused {
        Refused::Token => HttpResponse::Unauthorized(),
        Refused::Host | Refused::Page | Refused::NoToken => HttpResponse::Forbidden(),
    };
    if refused == Refused::Token && only_shows(call.method()) {
        // A browser asks its user for it; the name does not matter.
        reply.insert_header((WWW_AUTHENTICATE, "Basic realm=\"capgate\""));
    }
    let reply = reply.content_type("text/plain; charset=UTF-8").body(format!("{refused}\n"));
    Ok(call.into_response(reply).map_into_right_body())
}

fn only_shows(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD)
}

fn judge(
    method: &Method,
    path: &str,
    headers: &HeaderMap,
    admin: &Admin,
    is_loopback: bool,
) -> Result<(), Refused> {
    if !is_called_rightly(headers, admin, is_loopback) {
        return Err(Refused::Host);
    }
    if !only_shows(method) {
        let from_site = headers.get(FROM_SITE).map(HeaderValue::as_bytes);
        if headers.contains_key(ORIGIN) || from_site.is_some_and(|site| site != b"none") {
            return Err(Refused::Page);
        }
        return has_token(headers, admin, false);
    }
    let is_open = match path {
        "/healthz" | "/readyz" => true,
        "/metrics" => is_loopback || admin.open.contains(&Open::Metrics),
        _ => is_loopback || admin.open.contains(&Open::Status),
    };
    if is_open { Ok(()) } else { has_token(headers, admin, true) }
}

/// A page's own name that leads to this address by DNS is in the browser's Host header.
fn is_called_rightly(headers: &HeaderMap, admin: &Admin, is_loopback: bool) -> bool {
    // Browsers always send it.
    let Some(host) = headers.get(HOST) else { return true };
    let Ok(host) = Host::read(host.as_bytes()) else { return false };
    let is_named = admin.hosts.iter().any(|pattern| pattern.allows(&host));
    let is_of_this_machine = host.is_address() || host.as_str() == "localhost";
    is_named || is_of_this_machine || (!is_loopback && admin.hosts.is_empty())
}

/// `basic`: a browser may send the token as the password of its user.
fn has_token(headers: &HeaderMap, admin: &Admin, basic: bool) -> Result<(), Refused> {
    let token = admin.token.ok_or(Refused::NoToken)?;
    let offered = headers.get(AUTHORIZATION).and_then(|header| header.to_str().ok()).ok_or(Refused::Token)?;
    let (scheme, offered) = offered.split_once(' ').ok_or(Refused::Token)?;
    let is_right = if scheme.eq_ignore_ascii_case("Bearer") {
        token.is(offered.trim().as_bytes())
    } else if basic && scheme.eq_ignore_ascii_case("Basic") {
        let decoded = base64::engine::general_purpose::STANDARD.decode(offered.trim()).unwrap_or_default();
        let password = decoded.iter().position(|byte| *byte == b':').map(|colon| &decoded[colon + 1..]);
        password.is_some_and(|password| token.is(password))
    } else {
        false
    };
    if is_right { Ok(()) } else { Err(Refused::Token) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::AdminToken;

    const TOKEN: &str = "fake-admin-token-000000000000000";

    fn admin(open: &[Open]) -> Admin {
        Admin { token: AdminToken::parse(TOKEN), open: open.to_vec(), hosts: Vec::new() }
    }

    fn asked(call: &str, headers: &[(&str, &str)], admin: &Admin, is_loopback: bool) -> Result<(), Refused> {
        let (method, path) = call.split_once(' ').unwrap();
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(name.parse().unwrap(), HeaderValue::from_str(value).unwrap());
        }
        judge(&method.parse().unwrap(), path, &map, admin, is_loopback)
    }

    #[test]
    fn what_is_shown_is_open_on_loopback_and_elsewhere_as_the_settings_say() {
        let elsewhere = |call, open: &[Open]| asked(call, &[], &admin(open), false);
        for call in ["GET /healthz", "GET /readyz", "HEAD /readyz", "GET /metrics", "GET /", "GET /clients"] {
            assert_eq!(asked(call, &[], &admin(&[]), true), Ok(()), "{call}");
        }
        for (call, open) in [
            ("GET /healthz", &[][..]),
            ("GET /readyz", &[]),
            ("GET /metrics", &[Open::Metrics]),
            ("GET /", &[Open::Status]),
        ] {
            assert_eq!(elsewhere(call, open), Ok(()), "{call}");
        }
        assert_eq!(elsewhere("GET /metrics", &[Open::Status]), Err(Refused::Token));
        assert_eq!(elsewhere("GET /status.json", &[Open::Metrics]), Err(Refused::Token));
        let unset = Admin { token: None, ..admin(&[]) };
        assert_eq!(asked("GET /", &[], &unset, false), Err(Refused::NoToken));
    }

    #[test]
    fn whatever_changes_something_needs_the_token_on_loopback_too() {
        let bearer = format!("Bearer {TOKEN}");
        for method in ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"] {
            let call = format!("{method} /drain");
            let asked = |headers: &[(&str, &str)]| {
                asked(&call, headers, &admin(&[Open::Metrics, Open::Status]), true)
            };
            assert_eq!(asked(&[("authorization", &bearer)]), Ok(()));
            assert_eq!(asked(&[("authorization", &bearer.replace("Bearer", "bearer"))]), Ok(()));
            for wrong in [&bearer[..bearer.len() - 1], &format!("{bearer}0"), TOKEN, "Bearer ", ""] {
                assert_eq!(asked(&[("authorization", wrong)]), Err(Refused::Token), "{wrong}");
            }
            assert_eq!(asked(&[]), Err(Refused::Token));
            for page in
                [("origin", "http://127.0.0.1:9464"), ("origin", "null"), ("sec-fetch-site", "cross-site")]
            {
                assert_eq!(asked(&[("authorization", &bearer), page]), Err(Refused::Page), "{page:?}");
            }
        }
        let unset = Admin { token: None, ..admin(&[]) };
        assert_eq!(asked("POST /drain", &[("authorization", &bearer)], &unset, true), Err(Refused::NoToken));
    }

    #[test]
    fn a_browsers_user_may_look_with_the_token_and_do_nothing() {
        let basic = |user: &str, password: &str| {
            let text = base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"));
            format!("Basic {text}")
        };
        for user in ["", "operator"] {
            let headers = [("authorization", basic(user, TOKEN))];
            let headers = headers.each_ref().map(|(name, value)| (*name, value.as_str()));
            assert_eq!(asked("GET /", &headers, &admin(&[]), false), Ok(()));
            assert_eq!(asked("POST /drain", &headers, &admin(&[]), false), Err(Refused::Token));
        }
        for wrong in [basic("operator", "no"), basic(TOKEN, ""), "Basic ***".to_owned(), "Basic".to_owned()] {
            assert_eq!(asked("GET /", &[("authorization", &wrong)], &admin(&[]), false), Err(Refused::Token));
        }
    }

    #[test]
    fn a_name_of_somebody_elses_does_not_lead_here() {
        let on = |host, hosts: &[&str], is_loopback| {
            let hosts = hosts.iter().map(|host| host.parse().unwrap()).collect();
            asked("GET /metrics", &[("host", host)], &Admin { hosts, ..admin(&[Open::Metrics]) }, is_loopback)
        };
        for host in ["127.0.0.1:9464", "localhost", "LOCALHOST:9464", "[::1]:9464", "10.0.0.7"] {
            assert_eq!(on(host, &[], true), Ok(()), "{host}");
            assert_eq!(on(host, &["gw.example.com"], false), Ok(()), "{host}");
        }
        for host in ["rebound.example", "localhost.example", "127.0.0.1.example", "a b", ""] {
            assert_eq!(on(host, &[], true), Err(Refused::Host), "{host}");
            assert_eq!(on(host, &["gw.example.com"], false), Err(Refused::Host), "{host}");
        }
        assert_eq!(on("gw.example.com:9464", &["gw.example.com"], true), Ok(()));
        assert_eq!(on("capgate.capgate.svc:9464", &[], false), Ok(()), "a cluster's own names");
    }
}

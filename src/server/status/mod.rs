//! The status page: what the gateway does at present, for a person who has ten seconds; the same as JSON for programs.
//!
//! | file | what it does |
//! | --- | --- |
//! | `facts` | what all of it is made from |
//! | `state` | the states, and which of them hold |
//! | `value` | everything that is shown, as one value: the JSON |
//! | `clients`, `money` | two parts of it |
//! | `past`, `chart` | the last hour, counted and drawn |
//! | `words` | numbers and times as people read them |
//! | `page`, `page.html`, `style.css`, `script.js`, `icon.svg` | the page |
//!
//! The page is written here, on each call; its script fetches it again and takes over what differs. So there is one place
//! where a state becomes words, and the page is whole without the script.

pub mod chart;
pub mod clients;
pub mod facts;
pub mod money;
mod page;
pub mod past;
pub mod state;
pub mod value;
pub mod words;

use actix_web::HttpResponse;
use actix_web::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
    X_FRAME_OPTIONS,
};
use actix_web::web::Data;

use super::Server;
use crate::clients::Client;
use crate::engine::refusal::CallKind;
use facts::Standing;
pub use facts::{About, Facts};
use page::Page;
pub use state::State;
pub use value::Status;

/// Nothing but the page's own files, which come from here.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
const STYLE: &str = include_str!("style.css");
const SCRIPT: &str = include_str!("script.js");
const ICON: &str = include_str!("icon.svg");

pub(super) async fn page(server: Data<Server>) -> HttpResponse {
    match Page::of(&status(&server)).written() {
        Ok(page) => file("text/html; charset=UTF-8", page),
        // Writing into a text does not fail; should it, the JSON is still there.
        Err(error) => HttpResponse::InternalServerError().body(format!("the page: {error}")),
    }
}

pub(super) async fn json(server: Data<Server>) -> HttpResponse {
    HttpResponse::Ok().insert_header((CACHE_CONTROL, "no-store")).json(status(&server))
}

pub(super) async fn style() -> HttpResponse {
    file("text/css; charset=UTF-8", STYLE)
}

pub(super) async fn script() -> HttpResponse {
    file("text/javascript; charset=UTF-8", SCRIPT)
}

pub(super) async fn icon() -> HttpResponse {
    file("image/svg+xml", ICON)
}

fn file(content_type: &'static str, content: impl Into<String>) -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, content_type))
        .insert_header((CONTENT_SECURITY_POLICY, POLICY))
        .insert_header((X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .insert_header((X_FRAME_OPTIONS, "DENY"))
        .insert_header((REFERRER_POLICY, "no-referrer"))
        .insert_header((CACHE_CONTROL, "no-store"))
        .body(content.into())
}

fn standing(server: &Server, client: &Client) -> (String, Standing) {
    let driver = &server.driver;
    let is_stopped = client.policy.may_call(driver.clock.now()).is_err();
    (client.name.to_string(), Standing { is_stopped, left: driver.allowances.left(client) })
}

/// Everything that is shown, as it is now.
pub(super) fn status(server: &Server) -> Status {
    let driver = &server.driver;
    // Nobody waits for a look where nothing is open.
    let looks = (driver.poller.open_count() > 0).then_some(CallKind::Look { ids: 1, last: false });
    let calls = [Some(CallKind::Upload), looks].into_iter().flatten();
    let facts = Facts {
        now: driver.clock.now(),
        is_draining: driver.is_stopping(),
        waits: driver.gate.waits(),
        budgets: driver.gate.budgets(),
        held: calls.filter_map(|call| driver.gate.foresee(call)).collect(),
        store_fault: driver.keeper.fault(),
        unanswered: driver.troubles.unanswered(),
        numbers: server.metrics.numbers(),
        standings: server.clients.all().iter().map(|client| standing(server, client)).collect(),
        hour: driver.history.read(),
        balances: driver.account.balances(),
        troubles: driver.troubles.list(),
    };
    let settings = driver.live().load();
    let about = About { upstream: settings.upstream.url.clone(), budget_mode: settings.budget.mode };
    Status::of(&about, &facts)
}

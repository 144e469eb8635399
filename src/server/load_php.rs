//! load.php: how busy the service is. It needs no key (2016).

use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};

use super::Server;
use super::call::parameters;
use super::respond::Respond;
use crate::driver::account::Question;

pub(super) async fn answer(server: Data<Server>, call: HttpRequest, body: Payload) -> HttpResponse {
    let respond = match parameters(server.driver.clock, &call, body).await {
        Ok(form) => Respond::to(&form),
        Err((wrong, respond)) => return respond.wrong(wrong),
    };
    match server.driver.account.ask(Question::Load).await {
        Ok(page) => respond.page(&page, "text/xml; charset=UTF-8"),
        Err(failure) => respond.no_answer(failure),
    }
}

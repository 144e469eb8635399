//! Every path, and the limits of what is taken.

use std::sync::Arc;

use actix_web::HttpRequest;
use actix_web::web::{self, Data, Payload, ServiceConfig};
use bytes::Bytes;

use super::respond::Respond;
use super::{Server, admin, in_php, load_php, res_php};
use crate::protocol::errors::ErrorCode;
use crate::protocol::form::{Form, FormError};
use crate::protocol::reply;
use crate::protocol::submit::WrongCall;

/// Largest body of a client's call, bytes: nine rotate images of 600 kB as base64 in a form (protocol.md 1.1).
pub const BODY_BYTES_MAX: usize = 8 * 1024 * 1024;

/// The paths of the client listeners. Any HTTP method is taken: clients use GET and POST for the same call.
pub fn clients(server: &Arc<Server>) -> impl FnOnce(&mut ServiceConfig) + use<> {
    let server = Data::from(Arc::clone(server));
    move |app| {
        app.app_data(server)
            .route("/in.php", web::route().to(in_php::answer))
            .route("/res.php", web::route().to(res_php::answer))
            .route("/load.php", web::route().to(load_php::answer))
            .default_service(web::route().to(admin::nothing_here));
    }
}

/// The paths of the admin listener.
pub fn admin(server: &Arc<Server>) -> impl FnOnce(&mut ServiceConfig) + use<> {
    let server = Data::from(Arc::clone(server));
    move |app| {
        app.app_data(server)
            .route("/metrics", web::get().to(admin::metrics))
            .route("/healthz", web::get().to(admin::health))
            .route("/readyz", web::get().to(admin::ready))
            .route("/clear-latches", web::post().to(admin::clear_latches))
            .default_service(web::route().to(admin::nothing_here));
    }
}

/// Reads a call's parameters from query and body. The second part of an error says how to tell it.
pub(super) async fn parameters(call: &HttpRequest, body: Payload) -> Result<Form, (WrongCall, Respond)> {
    // The query alone says in which form a client wants to hear of a body that cannot be read.
    let told_in = || Respond::to(&Form::decode(call.query_string(), &Bytes::new()).unwrap_or_default());
    let wrong = |code, reason: String| (WrongCall::new(code, reason), told_in());
    let body = match body.to_bytes_limited(BODY_BYTES_MAX).await {
        Ok(Ok(body)) => body,
        Ok(Err(error)) => return Err(wrong(ErrorCode::Upload, format!("the body did not arrive: {error}"))),
        Err(_) => {
            let reason = format!("the body is larger than {BODY_BYTES_MAX} bytes");
            return Err(wrong(ErrorCode::TooBigCaptchaFilesize, reason));
        }
    };
    Form::decode(call.query_string(), &body).map_err(|error| {
        let code = match error {
            FormError::Json(_) | FormError::Multipart(_) => ErrorCode::Upload,
            FormError::TooManyParameters => ErrorCode::BadParameters,
        };
        wrong(code, error.to_string())
    })
}

impl Respond {
    /// How the sender of `form` wants to be told.
    pub(super) fn to(form: &Form) -> Self {
        let wants_json = form.is_on("json");
        Self {
            form: if wants_json { reply::Form::Json } else { reply::Form::Plain },
            allows_any_origin: form.is_on("header_acao"),
        }
    }
}

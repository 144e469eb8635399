//! Every path.

use std::any::Any;
use std::sync::Arc;

use actix_web::dev::Extensions;
use actix_web::middleware::NormalizePath;
use actix_web::web::{self, Data, ServiceConfig};
use actix_web::{FromRequest, Handler, Resource, Responder, Route};

use super::connections::Connections;
use super::{Server, actions, admin, in_php, load_php, push, res_php, status};

/// The paths of the client listeners. Clients use GET and POST for the same call; nothing else buys a captcha.
pub fn clients(server: &Arc<Server>) -> impl FnOnce(&mut ServiceConfig) + use<> {
    let server = Data::from(Arc::clone(server));
    move |app| {
        // Whoever doubles a slash or adds one is understood; all others don't wait until that is looked for.
        let put_right = web::scope("").wrap(NormalizePath::trim()).configure(calls);
        let put_right = put_right.default_service(web::route().to(push::or_nothing));
        app.app_data(server).configure(calls).service(put_right);
    }
}

fn calls(app: &mut ServiceConfig) {
    app.service(
        web::resource("/res.php")
            .route(web::get().to(res_php::answer))
            .route(web::post().to(res_php::answer)),
    )
    .service(
        web::resource("/in.php").route(web::get().to(in_php::answer)).route(web::post().to(in_php::answer)),
    )
    .service(
        web::resource("/load.php")
            .route(web::get().to(load_php::answer))
            .route(web::post().to(load_php::answer)),
    )
    .route("/2captcha.txt", web::get().to(push::token))
    .route("/rucaptcha.txt", web::get().to(push::token));
}

/// Remembers who is at the other end of a connection to the client listeners, and counts it.
pub fn remember_peer(
    connections: &Arc<Connections>,
) -> impl Fn(&dyn Any, &mut Extensions) + Send + Sync + use<> {
    let connections = Arc::clone(connections);
    move |connection, data| {
        if let Some(known) = connections.taken(connection) {
            data.insert(known);
        }
    }
}

/// The paths of the admin listener, which `guard` stands before.
pub fn admin(server: &Arc<Server>) -> impl FnOnce(&mut ServiceConfig) + use<> {
    let server = Data::from(Arc::clone(server));
    move |app| {
        app.app_data(server)
            .service(shown("/", status::page))
            .service(shown("/status.json", status::json))
            .service(shown("/status/style.css", status::style))
            .service(shown("/status/script.js", status::script))
            .service(shown("/status/icon.svg", status::icon))
            .service(shown("/metrics", admin::metrics))
            .service(shown("/healthz", admin::health))
            .service(shown("/readyz", admin::ready))
            .service(shown("/pingbacks", admin::pingbacks))
            .service(shown("/clients", actions::clients))
            .service(action("/clients/{name}/stop", actions::stop))
            .service(action("/clients/{name}/resume", actions::resume))
            .service(action("/pingbacks/retry", actions::retry_pingbacks))
            .service(action("/clear-latches", actions::clear_latches))
            .service(action("/drain", actions::drain))
            .default_service(web::route().to(admin::nothing_here));
    }
}

/// A page that changes nothing.
fn shown<F: Handler<A, Output: Responder + 'static> + Copy, A: FromRequest + 'static>(
    path: &str,
    page: F,
) -> Resource {
    called_with(path, [web::get().to(page), web::head().to(page)])
}

/// What an operator does.
fn action<F: Handler<A, Output: Responder + 'static>, A: FromRequest + 'static>(
    path: &str,
    act: F,
) -> Resource {
    called_with(path, [web::post().to(act)])
}

fn called_with(path: &str, routes: impl IntoIterator<Item = Route>) -> Resource {
    let resource = web::resource(path).default_service(web::route().to(admin::another_method));
    routes.into_iter().fold(resource, Resource::route)
}

//! Every path.

use std::any::Any;
use std::sync::Arc;

use actix_web::dev::Extensions;
use actix_web::web::{self, Data, ServiceConfig};

use super::connections::Connections;
use super::{Server, actions, admin, in_php, load_php, push, res_php, status};

/// The paths of the client listeners. Clients use GET and POST for the same call; nothing else buys a captcha.
pub fn clients(server: &Arc<Server>) -> impl FnOnce(&mut ServiceConfig) + use<> {
    let server = Data::from(Arc::clone(server));
    move |app| {
        app.app_data(server)
            .service(
                web::resource("/in.php")
                    .route(web::get().to(in_php::answer))
                    .route(web::post().to(in_php::answer)),
            )
            .service(
                web::resource("/res.php")
                    .route(web::get().to(res_php::answer))
                    .route(web::post().to(res_php::answer)),
            )
            .service(
                web::resource("/load.php")
                    .route(web::get().to(load_php::answer))
                    .route(web::post().to(load_php::answer)),
            )
            .route("/2captcha.txt", web::get().to(push::token))
            .route("/rucaptcha.txt", web::get().to(push::token))
            .default_service(web::route().to(push::or_nothing));
    }
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
            .route("/", web::get().to(status::page))
            .route("/status.json", web::get().to(status::json))
            .route("/status/style.css", web::get().to(status::style))
            .route("/status/script.js", web::get().to(status::script))
            .route("/status/icon.svg", web::get().to(status::icon))
            .route("/metrics", web::get().to(admin::metrics))
            .route("/healthz", web::get().to(admin::health))
            .route("/readyz", web::get().to(admin::ready))
            .route("/pingbacks", web::get().to(admin::pingbacks))
            .route("/clients", web::get().to(actions::clients))
            .route("/clients/{name}/stop", web::post().to(actions::stop))
            .route("/clients/{name}/resume", web::post().to(actions::resume))
            .route("/pingbacks/retry", web::post().to(actions::retry_pingbacks))
            .route("/clear-latches", web::post().to(actions::clear_latches))
            .route("/drain", web::post().to(actions::drain))
            .default_service(web::route().to(admin::nothing_here));
    }
}

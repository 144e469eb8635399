//! The least that a server on the same web framework can do with a call: say the same words, with the same headers.

use std::net::SocketAddr;

use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use actix_web::web::{self, Bytes};
use actix_web::{App, HttpResponse, HttpServer, rt};
use clap::Args;

/// Answers every poll `CAPCHA_NOT_READY` and every upload `OK|id`, and knows nothing.
#[derive(Args)]
pub struct Options {
    #[arg(long)]
    listen: SocketAddr,
}

fn said(text: &'static str) -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, "text/html; charset=UTF-8"))
        .insert_header((CACHE_CONTROL, "no-store"))
        .body(text)
}

async fn poll() -> HttpResponse {
    said("CAPCHA_NOT_READY")
}

async fn upload(body: Bytes) -> HttpResponse {
    said(if body.is_empty() { "ERROR_ZERO_CAPTCHA_FILESIZE" } else { "OK|70000000000" })
}

pub fn run(options: &Options) -> anyhow::Result<()> {
    let app = || {
        App::new()
            .app_data(web::PayloadConfig::new(8 << 20))
            .route("/res.php", web::get().to(poll))
            .route("/in.php", web::post().to(upload))
    };
    let server = HttpServer::new(app).workers(1).bind(options.listen)?.run();
    Ok(rt::System::new().block_on(server)?)
}

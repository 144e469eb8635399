//! A stand-in for the upstream that costs as little as it can: it keeps a count and nothing else, has no block rules, and
//! tells by an id whether its captcha is solved.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use actix_web::web::{self, Bytes, Data, Query};
use actix_web::{App, HttpResponse, HttpServer, rt};
use clap::{Args, ValueEnum};
use serde::Deserialize;
use serde_json::json;

use crate::records::FIRST_ID;

/// Takes uploads and answers looks.
#[derive(Args)]
pub struct Options {
    #[arg(long)]
    listen: SocketAddr,
    /// Which captchas are solved.
    #[arg(long, value_enum, default_value = "even")]
    solved: Solved,
}

#[derive(Clone, Copy, ValueEnum)]
enum Solved {
    /// Those with an even id, from the beginning.
    Even,
    None,
}

#[derive(Default)]
struct Counts {
    uploads: AtomicU64,
    looks: AtomicU64,
    captchas_looked_at: AtomicU64,
}

struct Upstream {
    solved: Solved,
    counts: Counts,
}

#[derive(Deserialize)]
struct Look {
    action: String,
    id: Option<u64>,
    ids: Option<String>,
    json: Option<u8>,
}

impl Upstream {
    fn shows(&self, id: u64) -> Option<String> {
        match self.solved {
            Solved::Even if id.is_multiple_of(2) => Some(format!("answer{id}")),
            Solved::Even | Solved::None => None,
        }
    }

    fn look(&self, look: &Look) -> String {
        if look.action == "getbalance" {
            return "1000.0".to_owned();
        }
        self.counts.looks.fetch_add(1, Ordering::Relaxed);
        let Some(ids) = &look.ids else {
            self.counts.captchas_looked_at.fetch_add(1, Ordering::Relaxed);
            let shown = self.shows(look.id.unwrap_or_default());
            return match (shown, look.json == Some(1)) {
                (Some(answer), true) => json!({ "status": 1, "request": answer }).to_string(),
                (Some(answer), false) => format!("OK|{answer}"),
                (None, true) => json!({ "status": 0, "request": "CAPCHA_NOT_READY" }).to_string(),
                (None, false) => "CAPCHA_NOT_READY".to_owned(),
            };
        };
        let pieces = ids.split(',').map(|id| {
            self.counts.captchas_looked_at.fetch_add(1, Ordering::Relaxed);
            id.parse().ok().and_then(|id| self.shows(id)).unwrap_or_else(|| "CAPCHA_NOT_READY".to_owned())
        });
        pieces.collect::<Vec<_>>().join("|")
    }
}

fn said(text: String) -> HttpResponse {
    HttpResponse::Ok().content_type("text/html; charset=UTF-8").body(text)
}

async fn look(upstream: Data<Upstream>, call: Query<Look>) -> HttpResponse {
    said(upstream.look(&call))
}

async fn upload(upstream: Data<Upstream>, body: Bytes) -> HttpResponse {
    drop(body);
    let number = upstream.counts.uploads.fetch_add(1, Ordering::Relaxed);
    said(format!("OK|{}", FIRST_ID + number))
}

async fn counts(upstream: Data<Upstream>) -> HttpResponse {
    let Counts { uploads, looks, captchas_looked_at } = &upstream.counts;
    let of = |count: &AtomicU64| count.load(Ordering::Relaxed);
    HttpResponse::Ok().json(
        json!({ "uploads": of(uploads), "looks": of(looks), "captchas_looked_at": of(captchas_looked_at) }),
    )
}

pub fn run(options: &Options) -> anyhow::Result<()> {
    let upstream = Data::from(Arc::new(Upstream { solved: options.solved, counts: Counts::default() }));
    let app = move || {
        App::new()
            .app_data(web::PayloadConfig::new(8 << 20))
            .app_data(upstream.clone())
            .route("/res.php", web::get().to(look))
            .route("/in.php", web::post().to(upload))
            .route("/counts", web::get().to(counts))
    };
    let server = HttpServer::new(app).workers(1).bind(options.listen)?.run();
    Ok(rt::System::new().block_on(server)?)
}

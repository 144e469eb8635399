//! The parts that a call goes through and that decide alone, each by itself.

mod quiet;

use std::hint::black_box;
use std::time::Duration;

use bytes::Bytes;
use capgate::clients::Clients;
use capgate::clock::Timestamp;
use capgate::config::Polling as Settings;
use capgate::engine::polling::{Looked, Polling};
use capgate::engine::refusal::{CallKind, Ended};
use capgate::engine::timing::Timing;
use capgate::engine::{Admission, Limits, Past};
use capgate::metrics::Metrics;
use capgate::protocol::form::Form;
use capgate::protocol::ids::{CaptchaId, UpstreamKey};
use capgate::protocol::poll::ResCall;
use capgate::protocol::reply::{Batch, Look, read_batch};
use capgate::protocol::submit::Upload;
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use quiet::{METHOD, Quiet};

const FIRST_ID: u64 = 70_000_000_000;
const BEGIN: Timestamp = Timestamp(1_800_000_000_000);
const QUERY: &str = "key=fakefakefakefakefakefakefake0001&action=get&id=70000000001";

/// What the map says of an open captcha among many.
fn poll(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    let runtime = runtime.expect("a runtime without IO starts");
    let settings = quiet::settings();
    let clients = Clients::new(&settings, &Metrics::default());
    let quiet = runtime.block_on(Quiet::start(&settings, quiet::NOT_READY));
    runtime.block_on(async { (0..100_000).for_each(|number| quiet.open(CaptchaId(FIRST_ID + number))) });
    let mut group = criterion.benchmark_group("poll");
    group.bench_function("key to client", |bencher| {
        bencher.iter(|| clients.find(black_box(Some(quiet::KEY.as_bytes()))).expect("it is known"));
    });
    group.bench_function("find among 100,000", |bencher| {
        let mut number = 0;
        bencher.iter(|| {
            number = (number + 7_919) % 100_000;
            quiet.driver.find(&quiet.client, CaptchaId(FIRST_ID + number), false)
        });
    });
    group.finish();
}

fn decode(criterion: &mut Criterion) {
    let none = Bytes::new();
    let mut group = criterion.benchmark_group("decode");
    group.bench_function("a poll's query", |bencher| {
        bencher.iter(|| {
            let form = Form::decode(black_box(QUERY), &none).expect("a query");
            ResCall::parse(&form).expect("a poll")
        });
    });
    for (name, body) in
        [("an upload of 5 kB as base64", form_body()), ("an upload of 30 kB in multipart", multipart_body())]
    {
        group.throughput(Throughput::Bytes(body.len() as u64));
        group.bench_function(name, |bencher| {
            bencher.iter(|| Form::decode("", black_box(&body)).expect("an upload"));
        });
        let upload = Upload::check(Form::decode("", &body).expect("an upload")).expect("an image");
        let key = UpstreamKey::new("fakefakefakefakefakefakefake0000");
        group.bench_function(format!("{name}, as it leaves"), |bencher| {
            bencher.iter(|| upload.encode(black_box(&key), "boundary-0123456789abcdef"));
        });
    }
    group.finish();
}

fn form_body() -> Bytes {
    let image = "iVBORw0KGgo".chars().chain("AbCd%2BEfGh012%2F".chars().cycle().take(6_700 - 6_700 % 17));
    format!("key={}&method=base64&body={}", quiet::KEY, image.collect::<String>()).into()
}

fn multipart_body() -> Bytes {
    let mut body = format!(
        "--b\r\nContent-Disposition: form-data; name=\"key\"\r\n\r\n{}\r\n--b\r\nContent-Disposition: form-data; \
         name=\"file\"; filename=\"c.png\"\r\nContent-Type: image/png\r\n\r\n",
        quiet::KEY
    )
    .into_bytes();
    body.extend_from_slice(b"\x89PNG\r\n\x1a\n");
    body.extend((0..30_000_u32).map(|at| u8::try_from(at.wrapping_mul(2_654_435_761) >> 24).unwrap_or(0)));
    body.extend_from_slice(b"\r\n--b--\r\n");
    body.into()
}

fn batch(criterion: &mut Criterion) {
    let pieces = |count: usize| -> Bytes {
        let piece = |number| if number % 3 == 0 { "CAPCHA_NOT_READY" } else { "03AGdBq25SxXT-pmSeBXjzScW" };
        (0..count).map(piece).collect::<Vec<_>>().join("|").into()
    };
    let mut group = criterion.benchmark_group("split a batch");
    for count in [12, 100] {
        let reply = pieces(count);
        group.throughput(Throughput::Elements(count as u64));
        group.bench_function(format!("of {count}"), |bencher| {
            bencher.iter(|| read_batch(black_box(&reply), count));
        });
    }
    group.finish();
}

/// Every captcha of many is looked at once: what is due is gathered into calls, and what came back makes it due again.
fn calendar(criterion: &mut Criterion) {
    let Settings { interval, first_look, first_look_token, max_ids, .. } = Settings::default();
    let timing = Timing { interval, first_look, first_look_token, max_ids };
    let mut group = criterion.benchmark_group("calendar");
    group.sample_size(10);
    for count in [1_000_u64, 100_000] {
        group.throughput(Throughput::Elements(count));
        group.bench_function(format!("{count} captchas looked at once"), |bencher| {
            bencher.iter_batched(
                || {
                    let mut polling = Polling::new(timing);
                    for number in 0..count {
                        polling.open(CaptchaId(FIRST_ID + number), METHOD.into(), BEGIN, None);
                    }
                    polling
                },
                |mut polling| {
                    let (mut now, mut looked) = (BEGIN, 0);
                    while looked < count {
                        now = polling.next_at().max(now);
                        let (calls, _) = polling.plan((64, 64), false, now);
                        for call in calls {
                            looked += call.ids.len() as u64;
                            let looks = vec![Look::NotReady; call.ids.len()];
                            let reply = match &looks[..] {
                                [one] => Looked::One(one.clone()),
                                _ => Looked::Many(Batch::Pieces(looks)),
                            };
                            polling.settle(call, reply, timing.interval, now);
                        }
                    }
                    polling
                },
                BatchSize::LargeInput,
            );
        });
    }
    group.finish();
}

fn admission(criterion: &mut Criterion) {
    let mut admission = Admission::new(Limits::default(), Past::Fresh, BEGIN);
    let mut now = BEGIN;
    criterion.bench_function("admission of an upload and of a look", |bencher| {
        bencher.iter(|| {
            now = now + Duration::from_millis(100);
            for (call, ended) in
                [(CallKind::Upload, Ended::Accepted), (CallKind::Look { ids: 12, last: false }, Ended::Done)]
            {
                if let Ok(ticket) = admission.admit(call, now) {
                    admission.settle(ticket, ended, now);
                }
            }
        });
    });
}

criterion_group!(benches, poll, decode, batch, calendar, admission);
criterion_main!(benches);

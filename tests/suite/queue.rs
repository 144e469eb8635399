//! The queue of uploads, under a paused clock.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use capgate::driver::Refusal;
use capgate::protocol::{CaptchaId, Form, Upload};
use capgate::simulator::Scenario;

use crate::support::{PausedGateway, paused};

const WAY: Duration = Duration::from_millis(40);
const QUEUE_MAX: usize = 3;

async fn upload(gateway: Arc<PausedGateway>, number: usize) -> Result<CaptchaId, Refusal> {
    let form = Form::decode(&format!("textcaptcha=what+is+{number}"), &Bytes::new()).unwrap();
    gateway.driver.submit(&gateway.client(1 + number % 2), Upload::check(form)).await
}

#[test]
fn uploads_of_clients_that_have_gone_make_room_before_another_is_refused() {
    paused(async {
        // Nobody gets a slot, so whoever is not refused waits.
        let scenario = Scenario { slots: 0, ..Scenario::default() };
        let gateway = PausedGateway::start(scenario, WAY, 2, |config| config.uploads.queue_max = QUEUE_MAX);
        let gateway = Arc::new(gateway.await);
        let start = |number| tokio::spawn(upload(Arc::clone(&gateway), number));
        let mut waiting: Vec<_> = (0..QUEUE_MAX).map(start).collect();
        gateway.clock.sleep(Duration::from_millis(500)).await;
        let is_full = |told: &Result<CaptchaId, Refusal>| matches!(told, Err(Refusal::QueueFull(_)));
        assert!(is_full(&upload(Arc::clone(&gateway), 10).await), "one more than there is room for");
        waiting.remove(1).abort();
        let told = upload(Arc::clone(&gateway), 11).await;
        assert!(!is_full(&told), "{told:?}");
    });
}

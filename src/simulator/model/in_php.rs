//! in.php: uploads (protocol.md 2).

use super::super::answers;
use super::super::captchas::Captcha;
use super::super::faults::{Endpoint, FaultKind};
use super::super::reply::Say;
use super::super::uploads::Upload;
use super::Model;
use crate::clock::Timestamp;
use crate::protocol::{CaptchaId, ErrorCode, Form};

/// Ids grow by 1 up to this, so that not every number between two ids is one.
const ID_STEP_MAX: u64 = 7;

impl Model {
    pub(super) fn in_php(&mut self, form: &Form, now: Timestamp) -> Say {
        if form.word("method") == Some(b"get_server_errors") {
            let codes: Vec<&str> = ErrorCode::ALL.iter().map(|code| code.as_str()).collect();
            return Say::Text(codes.join("\n"));
        }
        match self.accept(form, now) {
            Ok(id) => {
                let id = id.to_string();
                Say::value(format!("OK|{id}"), format!("\"{id}\""))
            }
            Err(code) => self.refused(code, now),
        }
    }

    fn accept(&mut self, form: &Form, now: Timestamp) -> Result<CaptchaId, ErrorCode> {
        let upload = Upload::read(form, self.scenario.image_max_bytes)?;
        let price = self.prices.get(&upload.method).copied().unwrap_or_default();
        if !self.captchas.can_pay(price) {
            return Err(ErrorCode::ZeroBalance);
        }
        if self.captchas.waiting() >= self.scenario.slots {
            return Err(ErrorCode::NoSlotAvailable);
        }
        let (times, scale) = (self.scenario.solve_times, self.scenario.time_scale);
        let solve_time = times.draw(upload.method, scale, &mut self.times);
        let ends_with = match self.faults.strike(Endpoint::InPhp, FaultKind::ends_captcha) {
            Some(FaultKind::Code(code)) => Some(code),
            _ => None,
        };
        self.last_id += 1 + self.ids.below(ID_STEP_MAX);
        let id = CaptchaId(self.last_id);
        let pingback = form.word("pingback").map(|url| String::from_utf8_lossy(url).into_owned());
        let mut ready_at = now + solve_time;
        if let Some(url) = pingback.as_ref().filter(|url| self.pushes.is_registered(url)) {
            let fault = self.faults.strike(Endpoint::InPhp, FaultKind::spoils_push);
            if fault == Some(FaultKind::PushEarly) {
                ready_at = now;
            }
            let (late, random) = (self.scenario.slow_ms, self.faults.random());
            self.pushes.plan(id, url, ready_at, fault, late, random);
        }
        self.captchas.accept(Captcha {
            id,
            method: upload.method.label(),
            content: answers::content(form),
            uploaded_at: now,
            ready_at,
            price,
            looks: 0,
            first_look_at: None,
            last_look_at: None,
            smallest_gap_ms: None,
            told_at: None,
            report: None,
            pingback,
            ends_with,
            answer: answers::answer(&upload, form, self.scenario.piped_answers),
        });
        self.rules.upload(now);
        self.counts.c += 1;
        self.counts.uploads_accepted += 1;
        Ok(id)
    }

    /// A refusal of an upload; two codes are what rules 1001 to 1003 count.
    pub(super) fn refused(&mut self, code: ErrorCode, now: Timestamp) -> Say {
        self.counts.uploads_refused += 1;
        match code {
            ErrorCode::NoSlotAvailable => self.rules.no_slot(now),
            ErrorCode::ZeroBalance => self.rules.zero_balance(now),
            _ => {}
        }
        Say::Code(code)
    }
}

//! res.php: answers, reports, the account (protocol.md 3).

use super::super::answers::quoted;
use super::super::faults::{Endpoint, FaultKind};
use super::super::reply::Say;
use super::Model;
use crate::clock::Timestamp;
use crate::protocol::{CaptchaId, ErrorCode, Form};

/// The looks that a call makes when each id counts, and 1 when it makes none: what R grows by.
pub(super) fn ids_in(form: &Form) -> u64 {
    let Some(ids) = form.word("ids") else { return 1 };
    1 + ids.iter().map(|byte| u64::from(*byte == b',')).sum::<u64>()
}

impl Model {
    /// `is_lost`: a fault will keep the reply from being read.
    pub(super) fn res_php(&mut self, form: &Form, is_lost: bool, now: Timestamp) -> Say {
        match form.word("action") {
            Some(b"get" | b"get2") if form.word("ids").is_some() => self.batch(form, is_lost, now),
            Some(b"get") => self.single(form, false, is_lost, now),
            Some(b"get2") => self.single(form, true, is_lost, now),
            Some(b"reportbad") => self.report(form, "reportbad", now),
            Some(b"reportgood") => self.report(form, "reportgood", now),
            Some(b"getbalance") => Say::word(&self.captchas.balance.to_string()),
            Some(b"getstats") => self.statistics(form),
            Some(b"add_pingback") => self.add_pingback(form),
            Some(b"get_pingback") => self.pingbacks(),
            Some(b"del_pingback") => self.delete_pingback(form),
            _ => Say::Code(ErrorCode::EmptyAction),
        }
    }

    fn single(&mut self, form: &Form, with_price: bool, is_lost: bool, now: Timestamp) -> Say {
        self.counts.looks += 1;
        let id = match CaptchaId::parse(form.word("id").unwrap_or_default()) {
            Ok(id) => id,
            Err(code) => return Say::Code(code),
        };
        let Some(captcha) = self.captchas.look(id, is_lost, now) else {
            return Say::Code(ErrorCode::WrongCaptchaId);
        };
        let answer = match captcha.outcome(now) {
            Ok(answer) => answer,
            Err(code) => return Say::Code(code),
        };
        let (mut plain, mut extras) = (format!("OK|{}", answer.plain), answer.extras.clone());
        if with_price {
            plain = format!("{plain}|{}", captcha.price);
            extras = format!(r#"{extras},"price":"{}""#, captcha.price);
        }
        Say::Value { plain, request: answer.request.clone(), extras }
    }

    /// Pieces joined by a bar, without `OK|`, in the order of the ids; failures are pieces too (protocol.md 3.3). No
    /// source shows a price in a batch, so `get2` looks like `get` here.
    fn batch(&mut self, form: &Form, is_lost: bool, now: Timestamp) -> Say {
        let ids = form.word("ids").unwrap_or_default();
        let mut pieces: Vec<String> =
            ids.split(|byte| *byte == b',').map(|id| self.piece(id, is_lost, now)).collect();
        self.counts.batches += 1;
        self.counts.batch_max = self.counts.batch_max.max(u64::try_from(pieces.len()).unwrap_or(u64::MAX));
        let is_short = |kind| kind == FaultKind::ShortBatch;
        if pieces.len() > 1 && self.faults.strike(Endpoint::ResPhp, is_short).is_some() {
            self.shorten(&mut pieces);
        }
        let joined = pieces.join("|");
        let request = quoted(&joined);
        Say::value(joined, request)
    }

    fn piece(&mut self, id: &[u8], is_lost: bool, now: Timestamp) -> String {
        self.counts.looks += 1;
        let found = CaptchaId::parse(id).and_then(|id| {
            let captcha = self.captchas.look(id, is_lost, now);
            captcha.map_or(Err(ErrorCode::WrongCaptchaId), |captcha| captcha.outcome(now))
        });
        let code = match found {
            Ok(answer) => return answer.plain.clone(),
            // Inside a batch, an unknown id has another code than alone (protocol.md 3.2).
            Err(ErrorCode::WrongCaptchaId) => ErrorCode::NoSuchCaptchaId,
            Err(code) => code,
        };
        self.counts.error(code.as_str());
        code.as_str().to_owned()
    }

    /// Drops at least one piece and leaves at least one; from anywhere, so that the rest stands in wrong places.
    fn shorten(&mut self, pieces: &mut Vec<String>) {
        let random = self.faults.random();
        let length = |pieces: &Vec<String>| u64::try_from(pieces.len()).unwrap_or(u64::MAX);
        for _ in 0..=random.below(length(pieces) - 1) {
            if pieces.len() > 1 {
                let at = usize::try_from(random.below(length(pieces))).unwrap_or(0);
                pieces.remove(at);
            }
        }
    }

    fn report(&mut self, form: &Form, kind: &'static str, now: Timestamp) -> Say {
        let id = match CaptchaId::parse(form.word("id").unwrap_or_default()) {
            Ok(id) => id,
            Err(code) => return Say::Code(code),
        };
        let Some(captcha) = self.captchas.known(id, now) else {
            return Say::Code(ErrorCode::WrongCaptchaId);
        };
        if captcha.outcome(now).is_err() {
            return Say::Code(ErrorCode::ReportNotRecorded);
        }
        if captcha.report.is_some() {
            return Say::Code(ErrorCode::DuplicateReport);
        }
        captcha.report = Some(kind);
        self.counts.reports += 1;
        Say::word("OK_REPORT_RECORDED")
    }

    /// Statistics of the day; the form is not described, so this one is invented (protocol.md 3.1).
    fn statistics(&self, form: &Form) -> Say {
        let date = String::from_utf8_lossy(form.word("date").unwrap_or_default()).into_owned();
        let is_date = date.len() == 10 && date.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
        if !is_date {
            return Say::Code(ErrorCode::BadParameters);
        }
        let sums = &self.captchas.sums;
        Say::Xml(format!(
            "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<response>\n  <stats date=\"{date}\">\n    \
             <volume>{}</volume>\n    <money>{}</money>\n  </stats>\n</response>\n",
            sums.solved, sums.charged
        ))
    }

    fn add_pingback(&mut self, form: &Form) -> Say {
        let Some(address) = form.word("addr") else {
            return Say::Code(ErrorCode::BadParameters);
        };
        let address = String::from_utf8_lossy(address).into_owned();
        if self.pushes.register(address) { Say::word("OK") } else { Say::Code(ErrorCode::BadParameters) }
    }

    fn pingbacks(&self) -> Say {
        let plain = format!("OK|{}", self.pushes.addresses().join("|"));
        let addresses: Vec<String> = self.pushes.addresses().iter().map(|address| quoted(address)).collect();
        Say::value(plain, format!("[{}]", addresses.join(",")))
    }

    fn delete_pingback(&mut self, form: &Form) -> Say {
        let Some(address) = form.word("addr") else {
            return Say::Code(ErrorCode::BadParameters);
        };
        self.pushes.remove(address);
        Say::word("OK")
    }
}

//! The page that shows a captcha, as a number: enough to tell one from another, and no address to keep.

use std::hash::{Hash, Hasher};
use std::num::NonZeroU64;

use super::form::Form;

/// Longest host that is taken for one, bytes (RFC 1035).
pub const HOST_BYTES_MAX: usize = 253;

/// A page's host. Two hosts may share a number; that costs a guess and nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Page(NonZeroU64);

impl Page {
    /// The host in the upload's `pageurl`; none without one.
    #[must_use]
    pub fn of(form: &Form) -> Option<Self> {
        let url = std::str::from_utf8(form.word("pageurl")?).ok()?;
        let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
        let authority = rest.split(['/', '?', '#']).next()?;
        let host = authority.rsplit('@').next()?.to_ascii_lowercase();
        (!host.is_empty() && host.len() <= HOST_BYTES_MAX).then(|| {
            let mut hasher = std::hash::DefaultHasher::new();
            host.hash(&mut hasher);
            Self(NonZeroU64::new(hasher.finish()).unwrap_or(NonZeroU64::MIN))
        })
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn of(pageurl: &str) -> Option<Page> {
        Page::of(&Form::decode(&format!("pageurl={pageurl}"), &Bytes::new()).unwrap())
    }

    #[test]
    fn a_page_is_known_by_its_host_however_its_address_is_written() {
        let page = of("https://shop.example/login");
        assert!(page.is_some());
        for same in ["http://shop.example", "SHOP.example/cart?x=1", "https://user@Shop.Example%23top"] {
            assert_eq!(of(same), page, "{same}");
        }
        assert_ne!(of("https://other.example/login"), page);
    }

    #[test]
    fn what_holds_no_host_is_no_page() {
        for none in ["", "https:///x", "%FF"] {
            assert_eq!(of(none), None, "{none}");
        }
        assert_eq!(of(&"a".repeat(HOST_BYTES_MAX + 1)), None);
        assert!(of(&"a".repeat(HOST_BYTES_MAX)).is_some());
    }
}

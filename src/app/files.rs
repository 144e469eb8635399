//! How many files the process may have open.

use std::fs;

/// The limit in force; none where the system does not tell it.
pub(super) fn limit() -> Option<u64> {
    of(&fs::read_to_string("/proc/self/limits").ok()?)
}

/// The soft limit in the system's table.
fn of(table: &str) -> Option<u64> {
    let row = table.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    row.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_soft_limit_is_read() {
        let table = "Limit                     Soft Limit           Hard Limit           Units     \n\
                     Max processes             95930                95930                processes \n\
                     Max open files            1024                 524288               files     \n";
        assert_eq!(of(table), Some(1_024));
        assert_eq!(of(&table.replace("1024", "unlimited")), None);
    }
}

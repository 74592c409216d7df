//! The processor time that this process has taken.

use std::fs;

/// Ticks of a second in /proc, on every Linux.
const TICKS: f64 = 100.0;

/// Seconds of processor time so far; 0 where the system does not tell.
pub(crate) fn time() -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // Fields are counted after the name, which may hold spaces: utime and stime are the 12th and
    // 13th from there.
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace().skip(11).take(2);
    fields.filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / TICKS
}

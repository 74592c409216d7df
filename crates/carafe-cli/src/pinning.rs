//! Whether OpenVINO's threads stay on processors of their own.
//!
//! Pinned threads suffer from whatever else runs on their processors: another server, a build, a
//! second container. That a process may use only some processors does not mean that nothing else
//! may use them. Only of processors that the kernel isolates (`isolcpus`) is that known, and there
//! the scheduler does not spread threads by itself, so that pinning is needed as well.

use std::collections::BTreeSet;
use std::fs;

use crate::arguments::CpuPinning;
use crate::resources;

/// Processors that the kernel gives to those programs alone that ask for them.
const ISOLATED: &str = "/sys/devices/system/cpu/isolated";

/// What was decided, and why.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pinning {
    pub(crate) pins_threads: bool,
    pub(crate) reason: &'static str,
}

impl Pinning {
    /// Decides by the flag, and by this process's processors if the flag leaves it open.
    pub(crate) fn decide(flag: CpuPinning) -> Self {
        let (pins_threads, reason) = match flag {
            CpuPinning::On => (true, "threads are pinned to processors, as `--cpu-pinning on` says"),
            CpuPinning::Off => (false, "threads are not pinned to processors, as `--cpu-pinning off` says"),
            CpuPinning::Auto if has_isolated_processors() => {
                (true, "threads are pinned to processors, which the kernel isolates from other programs")
            }
            CpuPinning::Auto => (
                false,
                "threads are not pinned to processors, since other programs may use them too; where none do, try \
                 `--cpu-pinning on`",
            ),
        };
        Self { pins_threads, reason }
    }
}

/// Whether all processors of this process are isolated; not where the system does not tell.
fn has_isolated_processors() -> bool {
    let allowed = resources::status_line("Cpus_allowed_list:");
    let isolated = fs::read_to_string(ISOLATED).ok();
    allowed.zip(isolated).is_some_and(|(allowed, isolated)| are_isolated(&allowed, &isolated))
}

/// Whether the first list of processors is within the second.
fn are_isolated(allowed: &str, isolated: &str) -> bool {
    let lists = processors(allowed).zip(processors(isolated));
    lists.is_some_and(|(allowed, isolated)| !allowed.is_empty() && allowed.is_subset(&isolated))
}

/// A list as the kernel writes it: `0-3,8`.
fn processors(list: &str) -> Option<BTreeSet<u32>> {
    let mut all = BTreeSet::new();
    for range in list.trim().split(',').filter(|range| !range.is_empty()) {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        all.extend(first.parse::<u32>().ok()?..=last.parse().ok()?);
    }
    Some(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_processors_that_are_all_isolated_are_a_processs_own() {
        assert!(are_isolated("2-3", "1-3,7\n") && are_isolated("\t7", "1-3,7"));
        for (allowed, isolated) in [("0-3", "2-3\n"), ("0-1", "\n"), ("", "0-3"), ("0-x", "0-3"), ("0", "all")] {
            assert!(!are_isolated(allowed, isolated), "{allowed:?} within {isolated:?}");
        }
    }

    #[test]
    fn the_flag_goes_before_what_the_machine_is() {
        assert!(Pinning::decide(CpuPinning::On).pins_threads);
        assert!(!Pinning::decide(CpuPinning::Off).pins_threads);
    }
}

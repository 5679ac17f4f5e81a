//! How much memory there is, and how much of it the process holds.

/// Bytes that the process holds; `None` where the system does not say so.
pub(super) fn resident() -> Option<u64> {
    kib(
        &std::fs::read_to_string("/proc/self/status").ok()?,
        "VmRSS:",
    )
}

/// A quarter of the machine's memory, or 4 GiB where the system does not say how much that is.
pub(super) fn share() -> u64 {
    let told = std::fs::read_to_string("/proc/meminfo").ok();
    let all = told.and_then(|text| kib(&text, "MemTotal:"));
    all.map_or(4 << 30, |all| all / 4)
}

/// The number behind a key of a file of the kernel, which counts in KiB.
fn kib(text: &str, key: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(key))?;
    let number: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(number << 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernels_count_in_kib() {
        let text = "Name:\tx\nVmRSS:\t  1024 kB\nThreads:\t1\n";
        assert_eq!(kib(text, "VmRSS:"), Some(1 << 20));
        assert_eq!(kib(text, "Threads:"), None);
        assert_eq!(kib(text, "VmSwap:"), None);
    }
}

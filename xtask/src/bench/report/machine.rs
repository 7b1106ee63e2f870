//! The machine that a report is about.

use std::process::Command;

use fs_err as fs;

use crate::bench::tools::first_line;

/// One sentence: processor, cores, memory, kernel, compiler.
pub(in crate::bench) fn describe(cores: usize) -> String {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let processor =
        field(&read("/proc/cpuinfo"), "model name").unwrap_or_else(|| "unknown".to_owned());
    let memory = field(&read("/proc/meminfo"), "MemTotal")
        .and_then(|text| text.split(' ').next()?.parse::<u64>().ok())
        .map_or(0, |kib| kib.div_ceil(1 << 20));
    let kernel = read("/proc/sys/kernel/osrelease");
    let compiler = first_line(Command::new("rustc").arg("--version")).unwrap_or_default();
    format!(
        "The machine: {processor}, {cores} cores, {memory} GiB, Linux {}, {compiler}.",
        kernel.trim()
    )
}

/// The first value of a name in a file of `name: value` lines.
fn field(text: &str, name: &str) -> Option<String> {
    text.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        (key.trim() == name).then(|| value.trim().to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::field;

    #[test]
    fn a_field_is_found_by_its_whole_name() {
        let text = "model\t\t: 17\nmodel name\t: Fast One\nmodel name\t: Second\n";
        assert_eq!(field(text, "model name").as_deref(), Some("Fast One"));
        assert_eq!(field(text, "name"), None);
    }
}

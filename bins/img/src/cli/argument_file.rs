//! `@file` among the arguments: the file's lines stand in its place.
//!
//! There are two kinds. The Go tool has one for a few commands, with comments ([`expand`]). Bazel
//! writes the other ([`expand_only_word`]) for every command that can be a worker: where workers
//! are off, it runs `img <command> @file` with the lines that a worker would get as they are.

use std::ffi::OsString;

use fs_err as fs;

use crate::context::Context;
use crate::report::{Explain as _, Failure};
use crate::sys;

/// Replaces the one `@file` by the lines of the file; without one the words stay as they are.
///
/// Lines are trimmed; empty ones and comments (`#`) are dropped.
///
/// # Errors
///
/// Fails if there are two such words or the file cannot be read.
pub(crate) fn expand(words: Vec<OsString>, context: &Context) -> Result<Vec<OsString>, Failure> {
    let mut files = words.iter().enumerate().filter_map(|(at, word)| {
        let file = word.to_str()?.strip_prefix('@')?;
        Some((at, file.to_owned()))
    });
    let Some((at, file)) = files.next() else {
        return Ok(words);
    };
    if let Some((_, second)) = files.next() {
        let message = format!("argument files @{file} and @{second}: only one is possible");
        return Err(Failure::new(message).hint("put all arguments into one file"));
    }
    let text =
        fs::read_to_string(context.path(&file)).explain(|| format!("argument file @{file}"))?;
    let lines = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(OsString::from);
    let mut expanded = words.clone();
    expanded.splice(at..=at, lines);
    Ok(expanded)
}

/// Replaces an `@file` that is the only word by the lines of the file, as they are.
///
/// # Errors
///
/// Fails if the file cannot be read.
pub(crate) fn expand_only_word(
    words: Vec<OsString>,
    context: &Context,
) -> Result<Vec<OsString>, Failure> {
    let file = match &*words {
        [word] => word.to_str().and_then(|word| word.strip_prefix('@')),
        _ => None,
    };
    let Some(file) = file else {
        return Ok(words);
    };
    let bytes = fs::read(context.path(file)).explain(|| format!("argument file @{file}"))?;
    let bytes = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
    if bytes.is_empty() {
        return Ok(Vec::new());
    }
    bytes
        .split(|&byte| byte == b'\n')
        .map(|line| {
            let word = sys::path_from_bytes(line).map(OsString::from);
            word.ok_or_else(|| Failure::new(format!("argument file @{file}: a line is not UTF-8")))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(lines: &str, words: &[&str], expected: &[&str]) {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("args"), lines).unwrap();
        let context = Context::of_process().with_directory(Some(directory.path().into()));
        let words = words.iter().map(OsString::from).collect();
        assert_eq!(expand(words, &context).unwrap(), expected);
    }

    #[test]
    fn lines_stand_where_the_file_was_named() {
        check(
            "--a=1\nb c\n",
            &["x", "@args", "y"],
            &["x", "--a=1", "b c", "y"],
        );
        check(
            "  --a  \r\n\n# no\n#--b\n \n--c",
            &["@args"],
            &["--a", "--c"],
        );
        check("@other\n", &["@args"], &["@other"]);
        check("", &["@args", "x"], &["x"]);
        check("", &["x", "y@args"], &["x", "y@args"]);
    }

    #[test]
    fn second_file_is_refused() {
        let words = ["@a", "--annotation", "@b"].map(OsString::from).to_vec();
        let failure = expand(words, &Context::of_process()).unwrap_err();
        assert!(failure.to_string().contains("@a and @b"), "{failure}");
    }
}

//! The format of a case: a title, then sections of a header line and a body.

use std::ops::Range;

use crate::text;

/// What a header may say as `name=value`.
const OPTIONS: [&str; 4] = ["cwd=", "env=", "mode=", "stdin="];

/// One section: `[word word …]` and the lines up to the next one.
#[derive(Debug)]
pub(crate) struct Section {
    /// The header's words without those of the form `name=value`.
    pub(crate) words: Vec<String>,
    /// The header's `name=value` words.
    options: Vec<(String, String)>,
    /// The body; blank lines at its end only separate sections and are no part of it.
    pub(crate) lines: Vec<String>,
    /// Where the body is in the file, in lines.
    pub(crate) place: Range<usize>,
}

impl Section {
    pub(crate) fn kind(&self) -> &str {
        &self.words[0]
    }

    /// The word after the kind, at `at` counted from 1.
    pub(crate) fn word(&self, at: usize) -> Result<&str, String> {
        let word = self.words.get(at).map(String::as_str);
        word.ok_or_else(|| format!("[{}] needs {at} words after it", self.kind()))
    }

    pub(crate) fn has(&self, word: &str) -> bool {
        self.words.iter().any(|found| found == word)
    }

    pub(crate) fn option(&self, name: &str) -> Option<&str> {
        let mut found = self.options.iter().filter(|(key, _)| key == name);
        found.next().map(|(_, value)| value.as_str())
    }

    /// Every value of an option that may be given several times.
    pub(crate) fn options(&self, name: &str) -> impl Iterator<Item = &str> {
        let found = self.options.iter().filter(move |(key, _)| key == name);
        found.map(|(_, value)| value.as_str())
    }

    /// Whether the header says nothing but its words.
    pub(crate) fn is_plain(&self) -> bool {
        self.options.is_empty()
    }

    /// The body as text: every line ends with a newline, unless `bare`.
    pub(crate) fn text(&self) -> Result<Vec<u8>, String> {
        let mut text = self.lines.join("\n");
        if !self.has("bare") && !self.lines.is_empty() {
            text.push('\n');
        }
        if self.has("escaped") {
            return text::unescape(&text);
        }
        Ok(text.into_bytes())
    }
}

/// Reads a case: at least a title and one `[run]`.
pub(crate) fn parse(text: &str) -> Result<Vec<Section>, String> {
    let lines: Vec<&str> = text.lines().collect();
    let is_header = |line: &str| line.starts_with('[') && line.ends_with(']');
    let starts: Vec<usize> = (0..lines.len())
        .filter(|&at| is_header(lines[at]))
        .collect();
    if starts
        .first()
        .is_none_or(|&first| lines[..first].iter().all(|line| line.is_empty()))
    {
        return Err("a case starts with a line that says what it shows".to_owned());
    }
    let mut sections = Vec::new();
    for (nth, &start) in starts.iter().enumerate() {
        let mut end = starts.get(nth + 1).copied().unwrap_or(lines.len());
        while end > start + 1 && lines[end - 1].is_empty() {
            end -= 1;
        }
        let header = &lines[start][1..lines[start].len() - 1];
        let (options, words): (Vec<_>, Vec<_>) = text::words(header)?
            .into_iter()
            .partition(|word| OPTIONS.iter().any(|option| word.starts_with(option)));
        if words.is_empty() {
            return Err(format!("line {}: a section needs a kind", start + 1));
        }
        let unescaped = |line: &&str| {
            line.strip_prefix("\\[")
                .map_or((*line).to_owned(), |rest| format!("[{rest}"))
        };
        sections.push(Section {
            words,
            options: options
                .iter()
                .filter_map(|word| word.split_once('='))
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .collect(),
            lines: lines[start + 1..end].iter().map(unescaped).collect(),
            place: start + 1..end,
        });
    }
    if !sections.iter().any(|section| section.kind() == "run") {
        return Err("a case has at least one [run]".to_owned());
    }
    Ok(sections)
}

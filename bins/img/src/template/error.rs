//! Why a template fails.

/// Why a template cannot be expanded. The text says what is wrong and in which line.
#[derive(Debug, thiserror::Error)]
#[error("line {line}: {message}")]
pub(crate) struct TemplateError {
    phase: Phase,
    line: usize,
    message: String,
}

/// When a template failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Its text is no template.
    Parse,
    /// It does something that cannot be done with these values.
    Run,
}

impl TemplateError {
    pub(super) fn parse(line: usize, message: impl Into<String>) -> Self {
        Self {
            phase: Phase::Parse,
            line,
            message: message.into(),
        }
    }

    pub(super) fn run(line: usize, message: impl Into<String>) -> Self {
        Self {
            phase: Phase::Run,
            line,
            message: message.into(),
        }
    }

    /// When it failed.
    #[cfg(test)]
    pub(crate) fn phase(&self) -> Phase {
        self.phase
    }
}

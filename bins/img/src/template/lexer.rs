//! Text to tokens.

use super::error::TemplateError;

/// A token and the line where it starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Token<'a> {
    pub(super) kind: TokenKind,
    pub(super) text: &'a str,
    pub(super) line: usize,
}

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TokenKind {
    Assign,
    Bool,
    Character,
    Declare,
    Dot,
    End,
    Field,
    Identifier,
    Keyword,
    LeftDelimiter,
    LeftParenthesis,
    Nil,
    Number,
    Pipe,
    Punctuation,
    QuotedText,
    RawText,
    RightDelimiter,
    RightParenthesis,
    Space,
    Text,
    Variable,
}

const KEYWORDS: [&str; 10] = [
    "block", "break", "continue", "define", "else", "end", "if", "range", "template", "with",
];

/// Splits a template into tokens; the last one is [`TokenKind::End`].
pub(super) fn tokenize(text: &str) -> Result<Vec<Token<'_>>, TemplateError> {
    let mut lexer = Lexer {
        text,
        position: 0,
        start: 0,
        line: 1,
        parentheses: 0,
        tokens: Vec::new(),
    };
    while lexer.position < text.len() {
        lexer.lex_text();
        if lexer.position < text.len() {
            lexer.lex_action()?;
        }
    }
    lexer.emit(TokenKind::End);
    Ok(lexer.tokens)
}

struct Lexer<'a> {
    text: &'a str,
    position: usize,
    start: usize,
    line: usize,
    parentheses: usize,
    tokens: Vec<Token<'a>>,
}

impl<'a> Lexer<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.position..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let next = self.peek()?;
        self.position += next.len_utf8();
        Some(next)
    }

    fn take_while(&mut self, accept: impl Fn(char) -> bool) -> usize {
        let rest = self.rest();
        let length = rest.find(|c| !accept(c)).unwrap_or(rest.len());
        self.position += length;
        length
    }

    fn emit(&mut self, kind: TokenKind) {
        let text = &self.text[self.start..self.position];
        self.tokens.push(Token {
            kind,
            text,
            line: self.line,
        });
        self.skip();
    }

    /// Drops what was read since the last token.
    fn skip(&mut self) {
        let text = &self.text[self.start..self.position];
        self.line += text.bytes().filter(|byte| *byte == b'\n').count();
        self.start = self.position;
    }

    fn error(&self, message: impl Into<String>) -> TemplateError {
        TemplateError::parse(self.line, message)
    }

    /// Takes the text before the next action, without the white space that a `{{- ` takes away.
    fn lex_text(&mut self) {
        let rest = self.rest();
        let length = rest.find("{{").unwrap_or(rest.len());
        let trims = rest.get(length + 2..).is_some_and(has_left_trim_marker);
        let kept = if trims {
            rest[..length].trim_end_matches(is_space).len()
        } else {
            length
        };
        self.position += kept;
        if kept > 0 {
            self.emit(TokenKind::Text);
        }
        self.position += length - kept;
        self.skip();
    }

    fn lex_action(&mut self) -> Result<(), TemplateError> {
        self.position += 2;
        let marker = if has_left_trim_marker(self.rest()) {
            2
        } else {
            0
        };
        if self.rest()[marker..].starts_with("/*") {
            self.position += marker;
            return self.lex_comment();
        }
        self.emit(TokenKind::LeftDelimiter);
        self.position += marker;
        self.skip();
        self.parentheses = 0;
        while !self.lex_right_delimiter()? {
            self.lex_inside()?;
        }
        Ok(())
    }

    fn lex_comment(&mut self) -> Result<(), TemplateError> {
        let Some(end) = self.rest().find("*/") else {
            return Err(self.error("the comment has no end"));
        };
        self.position += end + 2;
        if self.rest().starts_with("}}") {
            self.position += 2;
        } else if trims_right(self.rest()) {
            self.position += 4;
            self.take_while(is_space);
        } else {
            return Err(self.error("a comment must fill its action"));
        }
        self.skip();
        Ok(())
    }

    /// Takes the end of the action, if this is where it is.
    fn lex_right_delimiter(&mut self) -> Result<bool, TemplateError> {
        let trims = trims_right(self.rest());
        if !trims && !self.rest().starts_with("}}") {
            return Ok(false);
        }
        if self.parentheses > 0 {
            return Err(self.error("a parenthesis is not closed"));
        }
        if trims {
            self.position += 2;
            self.skip();
        }
        self.position += 2;
        self.emit(TokenKind::RightDelimiter);
        if trims {
            self.take_while(is_space);
            self.skip();
        }
        Ok(true)
    }

    fn lex_inside(&mut self) -> Result<(), TemplateError> {
        let Some(next) = self.next() else {
            return Err(self.error("the action has no end"));
        };
        match next {
            c if is_space(c) => self.lex_space(),
            '=' => self.emit(TokenKind::Assign),
            ':' if self.next() == Some('=') => self.emit(TokenKind::Declare),
            ':' => return Err(self.error("\":\" must be followed by \"=\"")),
            '|' => self.emit(TokenKind::Pipe),
            '"' => self.lex_quoted('"', TokenKind::QuotedText)?,
            '\'' => self.lex_quoted('\'', TokenKind::Character)?,
            '`' => self.lex_raw()?,
            '$' => self.lex_name(TokenKind::Variable)?,
            '.' if !self.peek().is_some_and(|c| c.is_ascii_digit()) => {
                self.lex_name(TokenKind::Field)?;
            }
            '.' | '+' | '-' | '0'..='9' => self.lex_number()?,
            c if is_alphanumeric(c) => self.lex_identifier()?,
            '(' => {
                self.parentheses += 1;
                self.emit(TokenKind::LeftParenthesis);
            }
            ')' if self.parentheses > 0 => {
                self.parentheses -= 1;
                self.emit(TokenKind::RightParenthesis);
            }
            ')' => return Err(self.error("a parenthesis is closed that was not opened")),
            c if c.is_ascii_graphic() => self.emit(TokenKind::Punctuation),
            c => return Err(self.error(format!("{c:?} cannot stand in an action"))),
        }
        Ok(())
    }

    /// Takes white space, but leaves one character where ` -}}` ends the action.
    fn lex_space(&mut self) {
        self.position = self.start;
        let rest = self.rest();
        let spaces = rest.len() - rest.trim_start_matches(is_space).len();
        let trims = rest.get(spaces - 1..).is_some_and(trims_right);
        self.position += if trims { spaces - 1 } else { spaces };
        if self.position > self.start {
            self.emit(TokenKind::Space);
        }
    }

    fn lex_quoted(&mut self, quote: char, kind: TokenKind) -> Result<(), TemplateError> {
        loop {
            match self.next() {
                Some('\\') if self.peek().is_some_and(|c| c != '\n') => {
                    self.next();
                }
                None | Some('\\' | '\n') => return Err(self.error("a quotation has no end")),
                Some(c) if c == quote => break,
                Some(_) => {}
            }
        }
        self.emit(kind);
        Ok(())
    }

    fn lex_raw(&mut self) -> Result<(), TemplateError> {
        let Some(end) = self.rest().find('`') else {
            return Err(self.error("a raw quotation has no end"));
        };
        self.position += end + 1;
        self.emit(TokenKind::RawText);
        Ok(())
    }

    /// Takes a field or a variable, whose first character is already read.
    fn lex_name(&mut self, kind: TokenKind) -> Result<(), TemplateError> {
        if self.take_while(is_alphanumeric) == 0 && kind == TokenKind::Field {
            // A dot alone; anything may follow it except what would be a name.
            return self.emit_name(TokenKind::Dot);
        }
        self.emit_name(kind)
    }

    fn emit_name(&mut self, kind: TokenKind) -> Result<(), TemplateError> {
        if !self.at_terminator() {
            return Err(self.bad_character());
        }
        self.emit(kind);
        Ok(())
    }

    fn lex_identifier(&mut self) -> Result<(), TemplateError> {
        self.take_while(is_alphanumeric);
        if !self.at_terminator() {
            return Err(self.bad_character());
        }
        let kind = match &self.text[self.start..self.position] {
            "true" | "false" => TokenKind::Bool,
            "nil" => TokenKind::Nil,
            word if KEYWORDS.contains(&word) => TokenKind::Keyword,
            _ => TokenKind::Identifier,
        };
        self.emit(kind);
        Ok(())
    }

    fn lex_number(&mut self) -> Result<(), TemplateError> {
        self.position = self.start;
        if matches!(self.peek(), Some('+' | '-')) {
            self.next();
        }
        let (prefix, digits): (usize, fn(char) -> bool) = match self.rest().as_bytes() {
            [b'0', b'x' | b'X', ..] => (2, |c| c.is_ascii_hexdigit()),
            [b'0', b'o' | b'O', ..] => (2, |c| matches!(c, '0'..='7')),
            [b'0', b'b' | b'B', ..] => (2, |c| matches!(c, '0' | '1')),
            _ => (0, |c| c.is_ascii_digit()),
        };
        self.position += prefix;
        self.take_while(|c| digits(c) || c == '_');
        if self.peek() == Some('.') {
            self.next();
            self.take_while(|c| digits(c) || c == '_');
        }
        if prefix == 0 && matches!(self.peek(), Some('e' | 'E')) {
            self.next();
            if matches!(self.peek(), Some('+' | '-')) {
                self.next();
            }
            self.take_while(|c| c.is_ascii_digit() || c == '_');
        }
        if self.peek().is_some_and(is_alphanumeric) {
            return Err(self.error(format!("{:?} is no number", self.word())));
        }
        self.emit(TokenKind::Number);
        Ok(())
    }

    fn word(&self) -> &'a str {
        let rest = &self.text[self.start..];
        let length = rest.find(|c| is_space(c) || c == '}').unwrap_or(rest.len());
        &rest[..length]
    }

    fn bad_character(&self) -> TemplateError {
        match self.peek() {
            Some(c) => self.error(format!("{c:?} cannot follow a name")),
            None => self.error("the action has no end"),
        }
    }

    fn at_terminator(&self) -> bool {
        match self.peek() {
            None | Some('.' | ',' | '|' | ':' | ')' | '(') => true,
            Some(c) => is_space(c) || self.rest().starts_with("}}"),
        }
    }
}

fn has_left_trim_marker(after_delimiter: &str) -> bool {
    after_delimiter
        .strip_prefix('-')
        .is_some_and(|rest| rest.starts_with(is_space))
}

fn trims_right(text: &str) -> bool {
    text.strip_prefix(is_space)
        .is_some_and(|rest| rest.starts_with("-}}"))
}

fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\n')
}

/// Whether a character can be part of a name.
pub(super) fn is_alphanumeric(c: char) -> bool {
    c == '_' || c.is_alphanumeric()
}

//! What stands in an action: pipelines, commands and operands.

use super::{Parser, unexpected, unquote_token};
use crate::template::ast::{Command, Number, Operand, Pipeline};
use crate::template::builtin::Function;
use crate::template::error::TemplateError;
use crate::template::lexer::{Token, TokenKind};
use crate::template::quote::unquote_character;

impl Parser<'_> {
    pub(super) fn pipeline(
        &mut self,
        place: &str,
        end: TokenKind,
    ) -> Result<Pipeline, TemplateError> {
        self.deeper()?;
        let line = self.peek_word().line;
        let mut pipeline = Pipeline {
            line,
            variables: Vec::new(),
            assigns: false,
            commands: Vec::new(),
        };
        self.declarations(place, &mut pipeline)?;
        loop {
            let token = self.peek_word();
            if token.kind == end {
                self.next_word();
                break;
            }
            if !starts_operand(token.kind) {
                return Err(unexpected(&token, place));
            }
            pipeline.commands.push(self.command()?);
        }
        self.depth -= 1;
        check_pipeline(&pipeline, place)?;
        Ok(pipeline)
    }

    /// Parses `$x :=`, `$x =` and, in a range, `$x, $y :=`.
    fn declarations(&mut self, place: &str, pipeline: &mut Pipeline) -> Result<(), TemplateError> {
        while self.peek_word().kind == TokenKind::Variable {
            let before = self.position;
            let variable = self.next_word();
            let next = self.peek_word();
            match next.kind {
                TokenKind::Assign | TokenKind::Declare => {
                    self.next_word();
                    pipeline.assigns = next.kind == TokenKind::Assign;
                    self.declare(pipeline, &variable);
                    return Ok(());
                }
                TokenKind::Punctuation if next.text == "," => {
                    self.next_word();
                    if place != "range" || !pipeline.variables.is_empty() {
                        let message = format!("too many variables in {place}");
                        return Err(TemplateError::parse(next.line, message));
                    }
                    self.declare(pipeline, &variable);
                    let second = self.peek_word();
                    if second.kind != TokenKind::Variable {
                        return Err(unexpected(&second, "the variables of a range"));
                    }
                }
                _ => {
                    self.position = before;
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Makes a variable visible. That an assigned one exists is checked when the template runs.
    fn declare(&mut self, pipeline: &mut Pipeline, variable: &Token<'_>) {
        pipeline.variables.push(variable.text.to_owned());
        self.variables.push(variable.text.to_owned());
    }

    fn command(&mut self) -> Result<Command, TemplateError> {
        let mut operands = Vec::new();
        let line = self.peek_word().line;
        loop {
            self.skip_spaces();
            operands.extend(self.operand()?);
            let token = self.peek();
            match token.kind {
                TokenKind::Space => {
                    self.next();
                }
                TokenKind::RightDelimiter | TokenKind::RightParenthesis => break,
                TokenKind::Pipe => {
                    self.next();
                    break;
                }
                _ => return Err(unexpected(&token, "a command")),
            }
        }
        let mut operands = operands.into_iter();
        let first = operands
            .next()
            .ok_or_else(|| TemplateError::parse(line, "a command is empty"))?;
        Ok(Command {
            first,
            arguments: operands.collect(),
        })
    }

    fn operand(&mut self) -> Result<Option<Operand>, TemplateError> {
        let line = self.peek().line;
        let Some(term) = self.term()? else {
            return Ok(None);
        };
        let mut fields = Vec::new();
        while self.peek().kind == TokenKind::Field {
            fields.push(self.next().text[1..].to_owned());
        }
        if fields.is_empty() {
            return Ok(Some(term));
        }
        Ok(Some(match term {
            Operand::Field(mut names) => {
                names.append(&mut fields);
                Operand::Field(names)
            }
            Operand::Variable(name, mut names) => {
                names.append(&mut fields);
                Operand::Variable(name, names)
            }
            Operand::Bool(_)
            | Operand::Dot
            | Operand::Nil
            | Operand::Number(_)
            | Operand::Text(_) => {
                return Err(TemplateError::parse(line, "a constant has no fields"));
            }
            other => Operand::Chain(Box::new(other), fields),
        }))
    }

    fn term(&mut self) -> Result<Option<Operand>, TemplateError> {
        let token = self.peek();
        let operand = match token.kind {
            TokenKind::Bool => Operand::Bool(token.text == "true"),
            TokenKind::Character | TokenKind::Number => Operand::Number(number(&token)?),
            TokenKind::Dot => Operand::Dot,
            TokenKind::Field => Operand::Field(vec![token.text[1..].to_owned()]),
            TokenKind::Identifier => {
                let function = Function::by_name(token.text).ok_or_else(|| {
                    let message = format!("there is no function {:?}", token.text);
                    TemplateError::parse(token.line, message)
                })?;
                Operand::Function(function)
            }
            TokenKind::LeftParenthesis => {
                self.next();
                let pipeline = self.pipeline("parentheses", TokenKind::RightParenthesis)?;
                return Ok(Some(Operand::Pipeline(Box::new(pipeline))));
            }
            TokenKind::Nil => Operand::Nil,
            TokenKind::QuotedText | TokenKind::RawText => {
                Operand::Text(unquote_token(&token)?.into())
            }
            TokenKind::Variable if self.is_visible(token.text) => {
                Operand::Variable(token.text.to_owned(), Vec::new())
            }
            TokenKind::Variable => return Err(undefined_variable(&token)),
            _ => return Ok(None),
        };
        self.next();
        Ok(Some(operand))
    }

    fn is_visible(&self, variable: &str) -> bool {
        self.variables.iter().any(|known| known == variable)
    }
}

fn check_pipeline(pipeline: &Pipeline, place: &str) -> Result<(), TemplateError> {
    if pipeline.commands.is_empty() {
        let message = format!("{place} lacks a value");
        return Err(TemplateError::parse(pipeline.line, message));
    }
    let constant = pipeline.commands[1..].iter().any(|command| {
        matches!(
            command.first,
            Operand::Bool(_) | Operand::Dot | Operand::Nil | Operand::Number(_) | Operand::Text(_)
        )
    });
    if constant {
        let message = "a constant cannot take what the pipeline hands on";
        return Err(TemplateError::parse(pipeline.line, message));
    }
    Ok(())
}

fn starts_operand(kind: TokenKind) -> bool {
    matches!(
        kind,
        TokenKind::Bool
            | TokenKind::Character
            | TokenKind::Dot
            | TokenKind::Field
            | TokenKind::Identifier
            | TokenKind::LeftParenthesis
            | TokenKind::Nil
            | TokenKind::Number
            | TokenKind::QuotedText
            | TokenKind::RawText
            | TokenKind::Variable
    )
}

fn number(token: &Token<'_>) -> Result<Number, TemplateError> {
    let bad = || TemplateError::parse(token.line, format!("{} is no number", token.text));
    if token.kind == TokenKind::Character {
        let character = unquote_character(token.text).ok_or_else(bad)?;
        return Ok(Number::Int(u32::from(character).into()));
    }
    crate::template::number::parse(token.text).ok_or_else(bad)
}

fn undefined_variable(token: &Token<'_>) -> TemplateError {
    TemplateError::parse(token.line, format!("there is no variable {}", token.text))
}

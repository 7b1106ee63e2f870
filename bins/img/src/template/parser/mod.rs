//! Tokens to a tree: bodies and actions. What stands in an action is in [`pipeline`].

mod pipeline;

use std::collections::BTreeMap;

use super::ast::{Branch, Call, Node, Tree};
use super::error::TemplateError;
use super::lexer::{Token, TokenKind, tokenize};
use super::quote::unquote;

/// How deep actions and parentheses may stand in each other.
const MAX_DEPTH: usize = 100;

/// Parses a template. `variables` are those that exist before it starts, with their `$`.
pub(super) fn parse(text: &str, variables: &[String]) -> Result<Tree, TemplateError> {
    let mut parser = Parser {
        tokens: tokenize(text)?,
        position: 0,
        variables: Vec::new(),
        ranges: 0,
        depth: 0,
        definitions: BTreeMap::new(),
    };
    parser.variables.push("$".to_owned());
    parser.variables.extend_from_slice(variables);
    let body = parser.top_level()?;
    Ok(Tree {
        body,
        definitions: parser.definitions,
    })
}

struct Parser<'a> {
    tokens: Vec<Token<'a>>,
    position: usize,
    variables: Vec<String>,
    ranges: usize,
    depth: usize,
    definitions: BTreeMap<String, Vec<Node>>,
}

/// What ended a list of nodes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ending {
    Else,
    End,
}

/// What follows an `{{else`.
enum Item {
    Ending(Ending),
    Node(Node),
}

impl<'a> Parser<'a> {
    fn top_level(&mut self) -> Result<Vec<Node>, TemplateError> {
        let mut nodes = Vec::new();
        while self.peek().kind != TokenKind::End {
            if self.at_definition() {
                self.definition()?;
                continue;
            }
            let line = self.peek().line;
            match self.item()? {
                Item::Node(node) => nodes.push(node),
                Item::Ending(Ending::Else) => {
                    return Err(TemplateError::parse(line, "{{else}} without a beginning"));
                }
                Item::Ending(Ending::End) => {
                    return Err(TemplateError::parse(line, "{{end}} without a beginning"));
                }
            }
        }
        Ok(nodes)
    }

    fn at_definition(&self) -> bool {
        let mut tokens = self.tokens[self.position..]
            .iter()
            .filter(|token| token.kind != TokenKind::Space);
        tokens
            .next()
            .is_some_and(|token| token.kind == TokenKind::LeftDelimiter)
            && tokens
                .next()
                .is_some_and(|token| is_keyword(token, "define"))
    }

    fn definition(&mut self) -> Result<(), TemplateError> {
        self.next();
        let line = self.next_word().line;
        let name = self.template_name("{{define}}")?;
        self.expect(TokenKind::RightDelimiter, "{{define}}")?;
        let body = self.own_body(line)?;
        self.define(line, name, body)
    }

    /// Parses a body that sees no variables and no range of its surroundings, with its end.
    fn own_body(&mut self, line: usize) -> Result<Vec<Node>, TemplateError> {
        let variables = std::mem::replace(&mut self.variables, vec!["$".to_owned()]);
        let ranges = std::mem::take(&mut self.ranges);
        let (body, ending) = self.list()?;
        self.variables = variables;
        self.ranges = ranges;
        match ending {
            Ending::Else => Err(TemplateError::parse(line, "{{else}} in a definition")),
            Ending::End => Ok(body),
        }
    }

    /// Keeps a definition; an empty one never replaces another and is always replaced.
    fn define(&mut self, line: usize, name: String, body: Vec<Node>) -> Result<(), TemplateError> {
        let known = self.definitions.get(&name);
        if known.is_none_or(|known| is_empty(known)) {
            self.definitions.insert(name, body);
        } else if !is_empty(&body) {
            let message = format!("the template {name:?} is defined twice");
            return Err(TemplateError::parse(line, message));
        }
        Ok(())
    }

    /// Parses nodes up to an `{{end}}` or `{{else`.
    fn list(&mut self) -> Result<(Vec<Node>, Ending), TemplateError> {
        self.deeper()?;
        let mut nodes = Vec::new();
        while self.peek().kind != TokenKind::End {
            match self.item()? {
                Item::Node(node) => nodes.push(node),
                Item::Ending(ending) => {
                    self.depth -= 1;
                    return Ok((nodes, ending));
                }
            }
        }
        Err(TemplateError::parse(
            self.peek().line,
            "an {{end}} is missing",
        ))
    }

    fn item(&mut self) -> Result<Item, TemplateError> {
        let token = self.next();
        match token.kind {
            TokenKind::Text => Ok(Item::Node(Node::Text(token.text.into()))),
            TokenKind::LeftDelimiter => self.action(),
            _ => Err(unexpected(&token, "a template")),
        }
    }

    fn action(&mut self) -> Result<Item, TemplateError> {
        let token = self.peek_word();
        if token.kind != TokenKind::Keyword {
            let pipeline = self.pipeline("an action", TokenKind::RightDelimiter)?;
            return Ok(Item::Node(Node::Action(pipeline)));
        }
        self.next_word();
        let node = match token.text {
            "block" => self.block()?,
            "break" => self.leave_range("break", Node::Break)?,
            "continue" => self.leave_range("continue", Node::Continue)?,
            "else" => {
                // `{{else if` and `{{else with` are parsed by who began it.
                let next = self.peek_word();
                if !is_keyword(&next, "if") && !is_keyword(&next, "with") {
                    self.expect(TokenKind::RightDelimiter, "{{else}}")?;
                }
                return Ok(Item::Ending(Ending::Else));
            }
            "end" => {
                self.expect(TokenKind::RightDelimiter, "{{end}}")?;
                return Ok(Item::Ending(Ending::End));
            }
            "if" => Node::If(self.branch("if")?),
            "range" => Node::Range(self.branch("range")?),
            "template" => self.template()?,
            "with" => Node::With(self.branch("with")?),
            _ => return Err(unexpected(&token, "an action")),
        };
        Ok(Item::Node(node))
    }

    fn block(&mut self) -> Result<Node, TemplateError> {
        let name = self.template_name("{{block}}")?;
        let argument = self.pipeline("{{block}}", TokenKind::RightDelimiter)?;
        let line = argument.line;
        let body = self.own_body(line)?;
        self.define(line, name.clone(), body)?;
        Ok(Node::Template(Call {
            line,
            name,
            argument: Some(argument),
        }))
    }

    fn template(&mut self) -> Result<Node, TemplateError> {
        let name = self.template_name("{{template}}")?;
        let next = self.peek_word();
        let argument = if next.kind == TokenKind::RightDelimiter {
            self.next_word();
            None
        } else {
            Some(self.pipeline("{{template}}", TokenKind::RightDelimiter)?)
        };
        Ok(Node::Template(Call {
            line: next.line,
            name,
            argument,
        }))
    }

    fn template_name(&mut self, place: &str) -> Result<String, TemplateError> {
        let token = self.next_word();
        match token.kind {
            TokenKind::QuotedText | TokenKind::RawText => unquote_token(&token),
            _ => Err(unexpected(&token, place)),
        }
    }

    fn leave_range(&mut self, word: &str, node: Node) -> Result<Node, TemplateError> {
        let token = self.next_word();
        if token.kind != TokenKind::RightDelimiter {
            return Err(unexpected(&token, &format!("{{{{{word}}}}}")));
        }
        if self.ranges == 0 {
            let message = format!("{{{{{word}}}}} outside {{{{range}}}}");
            return Err(TemplateError::parse(token.line, message));
        }
        Ok(node)
    }

    fn branch(&mut self, word: &str) -> Result<Branch, TemplateError> {
        let visible = self.variables.len();
        let is_range = word == "range";
        let pipeline = self.pipeline(word, TokenKind::RightDelimiter)?;
        self.ranges += usize::from(is_range);
        let (then, ending) = self.list()?;
        self.ranges -= usize::from(is_range);
        let otherwise = match ending {
            Ending::Else => self.otherwise(word, pipeline.line)?,
            Ending::End => Vec::new(),
        };
        self.variables.truncate(visible);
        Ok(Branch {
            pipeline,
            then,
            otherwise,
        })
    }

    fn otherwise(&mut self, word: &str, line: usize) -> Result<Vec<Node>, TemplateError> {
        let next = self.peek_word();
        if word != "range" && is_keyword(&next, word) {
            // One `{{end}}` closes the whole chain.
            self.next_word();
            self.deeper()?;
            let branch = self.branch(word)?;
            self.depth -= 1;
            return Ok(vec![if word == "if" {
                Node::If(branch)
            } else {
                Node::With(branch)
            }]);
        }
        let (nodes, ending) = self.list()?;
        if ending == Ending::Else {
            return Err(TemplateError::parse(line, "a second {{else}}"));
        }
        Ok(nodes)
    }

    fn deeper(&mut self) -> Result<(), TemplateError> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            let message = format!("actions are nested more than {MAX_DEPTH} deep");
            return Err(TemplateError::parse(self.peek().line, message));
        }
        Ok(())
    }

    fn peek(&self) -> Token<'a> {
        self.tokens
            .get(self.position)
            .or(self.tokens.last())
            .cloned()
            .expect("because the lexer ends with an end token")
    }

    fn next(&mut self) -> Token<'a> {
        let token = self.peek();
        self.position += 1;
        token
    }

    fn skip_spaces(&mut self) {
        while self.peek().kind == TokenKind::Space {
            self.position += 1;
        }
    }

    fn peek_word(&mut self) -> Token<'a> {
        self.skip_spaces();
        self.peek()
    }

    fn next_word(&mut self) -> Token<'a> {
        self.skip_spaces();
        self.next()
    }

    fn expect(&mut self, kind: TokenKind, place: &str) -> Result<(), TemplateError> {
        let token = self.next_word();
        if token.kind == kind {
            Ok(())
        } else {
            Err(unexpected(&token, place))
        }
    }
}

fn is_keyword(token: &Token<'_>, word: &str) -> bool {
    token.kind == TokenKind::Keyword && token.text == word
}

/// Whether a body has nothing but white space in it.
fn is_empty(body: &[Node]) -> bool {
    body.iter()
        .all(|node| matches!(node, Node::Text(text) if text.trim().is_empty()))
}

fn unquote_token(token: &Token<'_>) -> Result<String, TemplateError> {
    unquote(token.text).ok_or_else(|| {
        let message = format!("{} is no quoted text", token.text);
        TemplateError::parse(token.line, message)
    })
}

fn unexpected(token: &Token<'_>, place: &str) -> TemplateError {
    let message = match token.kind {
        TokenKind::End => format!("the template ends in {place}"),
        _ => format!("{:?} cannot stand in {place}", token.text),
    };
    TemplateError::parse(token.line, message)
}

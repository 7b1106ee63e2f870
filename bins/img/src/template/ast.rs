//! What the parser makes of a template's text.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::builtin::Function;

/// A parsed template: its own body and those that it defines.
#[derive(Debug)]
pub(super) struct Tree {
    /// What is expanded.
    pub(super) body: Vec<Node>,
    /// The bodies that `{{template}}` calls by name.
    pub(super) definitions: BTreeMap<String, Vec<Node>>,
}

/// One piece of a body.
#[derive(Debug)]
pub(super) enum Node {
    /// `{{pipeline}}`
    Action(Pipeline),
    /// `{{break}}`
    Break,
    /// `{{continue}}`
    Continue,
    /// `{{if pipeline}} … {{else}} … {{end}}`
    If(Branch),
    /// `{{range pipeline}} … {{else}} … {{end}}`
    Range(Branch),
    /// `{{template "name" pipeline}}`
    Template(Call),
    /// Text that stands for itself.
    Text(Rc<str>),
    /// `{{with pipeline}} … {{else}} … {{end}}`
    With(Branch),
}

/// A control structure.
#[derive(Debug)]
pub(super) struct Branch {
    /// The condition, or what is ranged over.
    pub(super) pipeline: Pipeline,
    /// The body.
    pub(super) then: Vec<Node>,
    /// What follows `{{else}}`.
    pub(super) otherwise: Vec<Node>,
}

/// The call of a defined template.
#[derive(Debug)]
pub(super) struct Call {
    /// The line of the call.
    pub(super) line: usize,
    /// The name of the template.
    pub(super) name: String,
    /// What the template gets as its dot.
    pub(super) argument: Option<Pipeline>,
}

/// Commands that hand their results on, and the variables that get the last one.
#[derive(Debug)]
pub(super) struct Pipeline {
    /// The line where it starts.
    pub(super) line: usize,
    /// The variables, with their `$`.
    pub(super) variables: Vec<String>,
    /// Whether the variables exist already (`=`) or are new (`:=`).
    pub(super) assigns: bool,
    /// The commands; the first one exists.
    pub(super) commands: Vec<Command>,
}

/// Operands: something to evaluate, and its arguments.
#[derive(Debug)]
pub(super) struct Command {
    /// What is evaluated.
    pub(super) first: Operand,
    /// Its arguments.
    pub(super) arguments: Vec<Operand>,
}

/// One operand of a command.
#[derive(Debug)]
pub(super) enum Operand {
    /// `true` or `false`
    Bool(bool),
    /// Fields of something in parentheses or of a function's result.
    Chain(Box<Self>, Vec<String>),
    /// `.`
    Dot,
    /// `.a.b`
    Field(Vec<String>),
    /// A function's name.
    Function(Function),
    /// `nil`
    Nil,
    /// A number.
    Number(Number),
    /// `( … )`
    Pipeline(Box<Pipeline>),
    /// Text in quotes.
    Text(Rc<str>),
    /// `$name.a.b`
    Variable(String, Vec<String>),
}

/// A constant number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Number {
    /// With a point or an exponent.
    Float(f64),
    /// A whole number.
    Int(i64),
    /// A whole number that can be written, but that no value can hold.
    TooLarge,
}

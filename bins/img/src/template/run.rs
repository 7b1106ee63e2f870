//! A tree and data to text.

use std::rc::Rc;

use super::ast::{Branch, Call, Command, Node, Number, Operand, Pipeline, Tree};
use super::builtin::Function;
use super::error::TemplateError;
use super::printf::display;
use super::value::{MAX_TEXT, Value};

/// How deep bodies, pipelines and calls of templates may stand in each other.
const MAX_DEPTH: usize = 500;

/// What all steps of one template may cost together: about one for each byte it makes.
const BUDGET: usize = 64 << 20;

/// What a step costs beside the bytes that it makes.
const STEP: usize = 16;

/// What an item of a list costs.
const ITEM: usize = 64;

/// Expands a template. `variables` are those that exist before it starts, with their `$`.
pub(super) fn run(
    tree: &Tree,
    data: &Value,
    variables: Vec<(String, Value)>,
) -> Result<String, TemplateError> {
    let dot = data.clone().settled();
    let mut runner = Runner {
        tree,
        variables: vec![("$".to_owned(), dot.clone())],
        out: String::new(),
        budget: BUDGET,
        depth: 0,
        line: 1,
    };
    runner.variables.extend(variables);
    runner.walk(&tree.body, &dot)?;
    Ok(runner.out)
}

struct Runner<'t> {
    tree: &'t Tree,
    variables: Vec<(String, Value)>,
    out: String,
    budget: usize,
    depth: usize,
    line: usize,
}

/// Whether what follows is walked, too.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Flow {
    Break,
    Continue,
    On,
}

impl Runner<'_> {
    fn walk(&mut self, nodes: &[Node], dot: &Value) -> Result<Flow, TemplateError> {
        self.deeper()?;
        for node in nodes {
            let flow = match node {
                Node::Action(pipeline) => self.action(pipeline, dot)?,
                Node::Break => Flow::Break,
                Node::Continue => Flow::Continue,
                Node::If(branch) => self.choose(branch, dot, false)?,
                Node::Range(branch) => self.range(branch, dot)?,
                Node::Template(call) => self.template(call, dot)?,
                Node::Text(text) => self.write(text)?,
                Node::With(branch) => self.choose(branch, dot, true)?,
            };
            if flow != Flow::On {
                self.depth -= 1;
                return Ok(flow);
            }
        }
        self.depth -= 1;
        Ok(Flow::On)
    }

    fn action(&mut self, pipeline: &Pipeline, dot: &Value) -> Result<Flow, TemplateError> {
        let value = self.pipeline(pipeline, dot)?;
        if !pipeline.variables.is_empty() {
            return Ok(Flow::On);
        }
        match value {
            Value::Missing | Value::Null => self.write("<no value>"),
            Value::Text(text) => self.write(&text),
            value => self.write(&display(&value)),
        }
    }

    fn write(&mut self, text: &str) -> Result<Flow, TemplateError> {
        self.spend(STEP + text.len())?;
        self.out.push_str(text);
        Ok(Flow::On)
    }

    fn choose(
        &mut self,
        branch: &Branch,
        dot: &Value,
        moves_dot: bool,
    ) -> Result<Flow, TemplateError> {
        let visible = self.variables.len();
        let value = self.pipeline(&branch.pipeline, dot)?;
        let flow = if value.is_true() {
            self.walk(&branch.then, if moves_dot { &value } else { dot })?
        } else {
            self.walk(&branch.otherwise, dot)?
        };
        self.variables.truncate(visible);
        Ok(flow)
    }

    fn range(&mut self, branch: &Branch, dot: &Value) -> Result<Flow, TemplateError> {
        let visible = self.variables.len();
        let flow = self.iterate(branch, dot)?;
        self.variables.truncate(visible);
        Ok(flow)
    }

    fn iterate(&mut self, branch: &Branch, dot: &Value) -> Result<Flow, TemplateError> {
        let mut any = false;
        match self.pipeline(&branch.pipeline, dot)? {
            Value::Int(count) if branch.pipeline.variables.len() > 1 => {
                let message = format!("ranging over the number {count} gives one variable only");
                return Err(self.error(message));
            }
            Value::Int(count) => {
                for number in 0..count {
                    any = true;
                    if self.iteration(branch, Value::Missing, &Value::Int(number))? == Flow::Break {
                        break;
                    }
                }
            }
            Value::List(list) => {
                for (place, item) in (0..).zip(list.items.iter()) {
                    any = true;
                    if self.iteration(branch, Value::Int(place), item)? == Flow::Break {
                        break;
                    }
                }
            }
            Value::Map(map) => {
                for (key, item) in map.iter() {
                    any = true;
                    if self.iteration(branch, Value::text(key), item)? == Flow::Break {
                        break;
                    }
                }
            }
            Value::Missing | Value::Null => {}
            other => {
                let message = format!("nothing to range over in a {}", other.type_name());
                return Err(self.error(message));
            }
        }
        if any {
            return Ok(Flow::On);
        }
        self.walk(&branch.otherwise, dot)
    }

    fn iteration(
        &mut self,
        branch: &Branch,
        index: Value,
        item: &Value,
    ) -> Result<Flow, TemplateError> {
        self.line = branch.pipeline.line;
        self.spend(STEP)?;
        let pipeline = &branch.pipeline;
        let values = match pipeline.variables.len() {
            0 => vec![],
            1 => vec![item.clone()],
            _ => vec![index, item.clone()],
        };
        if pipeline.assigns {
            for (name, value) in pipeline.variables.iter().zip(values) {
                self.assign(name, value)?;
            }
        } else {
            // The pipeline has made its variables last.
            let places = self.variables.iter_mut().rev();
            for ((_, variable), value) in places.zip(values.into_iter().rev()) {
                *variable = value;
            }
        }
        let visible = self.variables.len();
        let flow = self.walk(&branch.then, item)?;
        self.variables.truncate(visible);
        Ok(flow)
    }

    fn template(&mut self, call: &Call, dot: &Value) -> Result<Flow, TemplateError> {
        self.line = call.line;
        let tree = self.tree;
        let Some(body) = tree.definitions.get(&call.name) else {
            return Err(self.error(format!("there is no template {:?}", call.name)));
        };
        let argument = match &call.argument {
            Some(pipeline) => self.pipeline(pipeline, dot)?,
            None => Value::Missing,
        };
        let own = vec![("$".to_owned(), argument.clone())];
        let variables = std::mem::replace(&mut self.variables, own);
        let flow = self.walk(body, &argument)?;
        self.variables = variables;
        Ok(flow)
    }

    fn pipeline(&mut self, pipeline: &Pipeline, dot: &Value) -> Result<Value, TemplateError> {
        self.deeper()?;
        self.line = pipeline.line;
        let mut handed_on = None;
        for command in &pipeline.commands {
            handed_on = Some(self.command(command, dot, handed_on)?.settled());
        }
        let value = handed_on.unwrap_or(Value::Missing);
        for name in &pipeline.variables {
            if pipeline.assigns {
                self.assign(name, value.clone())?;
            } else {
                self.variables.push((name.clone(), value.clone()));
            }
        }
        self.depth -= 1;
        Ok(value)
    }

    fn assign(&mut self, name: &str, value: Value) -> Result<(), TemplateError> {
        let place = self
            .variables
            .iter_mut()
            .rev()
            .find(|(known, _)| known == name);
        match place {
            Some((_, variable)) => {
                *variable = value;
                Ok(())
            }
            None => Err(self.error(format!("there is no variable {name}"))),
        }
    }

    fn command(
        &mut self,
        command: &Command,
        dot: &Value,
        handed_on: Option<Value>,
    ) -> Result<Value, TemplateError> {
        self.spend(STEP)?;
        let has_arguments = handed_on.is_some() || !command.arguments.is_empty();
        match &command.first {
            Operand::Function(function) => {
                return self.call(*function, &command.arguments, dot, handed_on);
            }
            Operand::Field(names) => return self.fields(dot.clone(), names, has_arguments),
            Operand::Chain(inner, names) => {
                let value = self.operand(inner, dot)?;
                return self.fields(value, names, has_arguments);
            }
            Operand::Variable(name, names) if !names.is_empty() => {
                let value = self.variable(name)?;
                return self.fields(value, names, has_arguments);
            }
            Operand::Nil => return Err(self.error("nil is no command")),
            _ => {}
        }
        if has_arguments {
            return Err(self.error("arguments are given to something that is no function"));
        }
        self.operand(&command.first, dot)
    }

    /// Evaluates an operand that gets no arguments.
    fn operand(&mut self, operand: &Operand, dot: &Value) -> Result<Value, TemplateError> {
        match operand {
            Operand::Bool(value) => Ok(Value::Bool(*value)),
            Operand::Chain(inner, names) => {
                let value = self.operand(inner, dot)?;
                self.fields(value, names, false)
            }
            Operand::Dot => Ok(dot.clone()),
            Operand::Field(names) => self.fields(dot.clone(), names, false),
            Operand::Function(function) => self.call(*function, &[], dot, None),
            Operand::Nil => Ok(Value::Missing),
            Operand::Number(Number::Float(number)) => Ok(Value::Float(*number)),
            Operand::Number(Number::Int(number)) => Ok(Value::Int(*number)),
            Operand::Number(Number::TooLarge) => Err(self.error("a number is too large")),
            Operand::Pipeline(pipeline) => self.pipeline(pipeline, dot),
            Operand::Text(text) => Ok(Value::Text(Rc::clone(text))),
            Operand::Variable(name, names) => {
                let value = self.variable(name)?;
                self.fields(value, names, false)
            }
        }
    }

    fn variable(&self, name: &str) -> Result<Value, TemplateError> {
        self.variables
            .iter()
            .rev()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.clone())
            .ok_or_else(|| self.error(format!("there is no variable {name}")))
    }

    fn fields(
        &self,
        value: Value,
        names: &[String],
        has_arguments: bool,
    ) -> Result<Value, TemplateError> {
        let last = names.len().saturating_sub(1);
        names
            .iter()
            .enumerate()
            .try_fold(value, |value, (place, name)| {
                self.field(&value, name, has_arguments && place == last)
            })
    }

    fn field(
        &self,
        value: &Value,
        name: &str,
        has_arguments: bool,
    ) -> Result<Value, TemplateError> {
        match value {
            Value::Map(_) if has_arguments => {
                Err(self.error(format!("the field {name} takes no arguments")))
            }
            Value::Map(map) => Ok(map.get(name).cloned().unwrap_or(Value::Missing)),
            Value::Missing => Ok(Value::Missing),
            Value::Null => Err(self.error(format!("null has no field {name}"))),
            other => {
                let message = format!("a value of type {} has no field {name}", other.type_name());
                Err(self.error(message))
            }
        }
    }

    fn call(
        &mut self,
        function: Function,
        operands: &[Operand],
        dot: &Value,
        handed_on: Option<Value>,
    ) -> Result<Value, TemplateError> {
        let count = operands.len() + usize::from(handed_on.is_some());
        function
            .check_count(count)
            .map_err(|message| self.error(message))?;
        let mut arguments = Vec::with_capacity(count);
        for operand in operands {
            let value = self.operand(operand, dot)?;
            // What decides an `and` or an `or` is the last that is evaluated.
            let decides = match function {
                Function::And => !value.is_true(),
                Function::Or => value.is_true(),
                _ => false,
            };
            if decides {
                return Ok(value);
            }
            arguments.push(value);
        }
        arguments.extend(handed_on);
        let value = function
            .call(&arguments)
            .map_err(|message| self.error(message))?;
        self.charge(&value)?;
        Ok(value)
    }

    /// Lets a value that a function made count.
    fn charge(&mut self, value: &Value) -> Result<(), TemplateError> {
        match value {
            Value::List(list) => self.spend(list.items.len() * ITEM),
            Value::Text(text) if text.len() > MAX_TEXT => {
                Err(self.error(format!("a text has more than {MAX_TEXT} bytes")))
            }
            Value::Text(text) => self.spend(text.len()),
            _ => Ok(()),
        }
    }

    fn spend(&mut self, cost: usize) -> Result<(), TemplateError> {
        match self.budget.checked_sub(cost) {
            Some(rest) => {
                self.budget = rest;
                Ok(())
            }
            None => Err(self.error("the template does not come to an end")),
        }
    }

    fn deeper(&mut self) -> Result<(), TemplateError> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(self.error("templates call each other too deep"));
        }
        Ok(())
    }

    fn error(&self, message: impl Into<String>) -> TemplateError {
        TemplateError::run(self.line, message)
    }
}

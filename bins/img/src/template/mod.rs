//! Go's `text/template`, as far as build settings and stamp values need it.
//!
//! The one entry is [`expand`]. The language is Go's: actions between `{{` and `}}` with trim
//! markers and comments, `if`, `with`, `range`, `break`, `continue`, `define`, `template`,
//! `block`, variables, pipelines, and the built-in functions; ten functions for `KEY=VALUE` lists,
//! texts and times are added. `tests/oracles/template` holds a table of templates with what Go
//! makes of them, and a test compares.
//!
//! It differs from Go where Go would be of no use here:
//!
//! - Text is always UTF-8. What would cut a character in two is an error.
//! - A template that runs too long, calls too deep or makes too much text is an error.
//! - There are no complex numbers, no constants in base 16 with a fraction, and no values to `call`.
//! - A cut cannot reach beyond the end of a list.

mod ast;
mod builtin;
mod compare;
mod error;
mod keyvalue;
mod lexer;
mod number;
mod parser;
mod printf;
mod quote;
mod run;
mod value;

#[cfg(test)]
mod tests;

#[cfg(test)]
pub(crate) use error::Phase;
pub(crate) use error::TemplateError;
pub(crate) use keyvalue::time_text;
pub(crate) use value::{List, Value};

/// Expands a template with `data` as its dot.
///
/// `variables` are names (without `$`) and values of variables that the template finds in place.
/// When there are any, white space at the template's start is dropped, as the peer does.
pub(crate) fn expand(
    text: &str,
    data: &Value,
    variables: &[(String, String)],
) -> Result<String, TemplateError> {
    if text.is_empty() {
        return Ok(String::new());
    }
    let text = if variables.is_empty() {
        text
    } else {
        text.trim_start()
    };
    let variables: Vec<(String, Value)> = variables
        .iter()
        .map(|(name, value)| (format!("${name}"), Value::text(value)))
        .collect();
    let names: Vec<String> = variables.iter().map(|(name, _)| name.clone()).collect();
    let tree = parser::parse(text, &names)?;
    run::run(&tree, data, variables)
}

/// Whether a text can be the name of a variable.
pub(crate) fn is_variable_name(name: &str) -> bool {
    !name.is_empty() && name.chars().all(lexer::is_alphanumeric)
}

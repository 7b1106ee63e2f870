//! `eq`, `ne`, `lt`, `le`, `gt`, `ge`.

use std::cmp::Ordering;

use super::value::Value;

/// Why two values cannot be compared.
pub(super) type Incomparable = String;

/// Whether the first value equals one of the others.
pub(super) fn equals_any(first: &Value, others: &[Value]) -> Result<bool, Incomparable> {
    for other in others {
        if equals(first, other)? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn equals(a: &Value, b: &Value) -> Result<bool, Incomparable> {
    match (a, b) {
        (Value::Bool(a), Value::Bool(b)) => Ok(a == b),
        #[expect(
            clippy::float_cmp,
            reason = "equality of numbers is what was asked for"
        )]
        (Value::Float(a), Value::Float(b)) => Ok(a == b),
        (Value::Int(a), Value::Int(b)) => Ok(a == b),
        (Value::Text(a), Value::Text(b)) => Ok(a == b),
        (a, b) if a.is_nothing() || b.is_nothing() => Ok(a.is_nothing() && b.is_nothing()),
        (a, b) => Err(different_types(a, b)),
    }
}

/// How two values of one ordered type stand to each other.
pub(super) fn order(a: &Value, b: &Value) -> Result<Ordering, Incomparable> {
    match (a, b) {
        (Value::Float(a), Value::Float(b)) => a
            .partial_cmp(b)
            .ok_or_else(|| "what is no number has no order".to_owned()),
        (Value::Int(a), Value::Int(b)) => Ok(a.cmp(b)),
        (Value::Text(a), Value::Text(b)) => Ok(a.cmp(b)),
        (a, b) => Err(different_types(a, b)),
    }
}

fn different_types(a: &Value, b: &Value) -> Incomparable {
    let (a, b) = (a.type_name(), b.type_name());
    if matches!((a, b), ("int", "float64") | ("float64", "int")) {
        "a whole number and one with a point (every number from JSON is one) cannot be compared"
            .to_owned()
    } else {
        format!("{a} and {b} cannot be compared")
    }
}

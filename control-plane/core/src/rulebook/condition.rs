//! The condition of a rule: an expression of CEL over the facts of one incident and of what would be done about it.
//!
//! The part of the language that is taken has no loops, no regular expressions and no types of its own, so that what an evaluation
//! costs is bounded by the length of the text. It is typed: what names an unknown fact, or compares a number with a text, is refused
//! with its place when the rule is set, and not met as an error at night. A fact that is not known when the condition is evaluated
//! makes the whole of it unknown, unless the rest decides without it.

use cel::common::ast::{CallExpr, Expr, IdedExpr, LiteralValue, operators as op};
use cel::{ExecutionError, Program, Value};

use super::facts::{self, Fact, Facts};

/// Longest condition, characters.
pub const MAX_CONDITION: usize = 1_024;
/// Most characters in it by which one part holds others. So deep it can be at most, in whatever shape: how deep a chain such as `1+1+1`
/// is the parser does not bound.
const MAX_OPERATORS: usize = 160;
/// See [`MAX_OPERATORS`].
const OPERATORS: &str = "+-*/%<>=!&|?.[({";

/// A condition that was compiled.
#[derive(Debug)]
pub struct Condition(Program);

/// What a part of an expression is.
#[derive(Debug, Clone, PartialEq)]
enum Type {
    Truth,
    Number,
    Text,
    /// A map of texts, as labels are.
    Texts,
    List(Box<Self>),
}

impl Type {
    fn words(&self) -> String {
        match self {
            Self::Truth => "true or false".to_owned(),
            Self::Number => "a whole number".to_owned(),
            Self::Text => "a text".to_owned(),
            Self::Texts => "labels".to_owned(),
            Self::List(of) => format!("a list of {}", of.words()),
        }
    }
}

/// Where something is wrong (the number of the part) and what.
type Wrong = (u64, String);

impl Condition {
    /// Compiles a condition. The error says the place, what was expected and what was found.
    pub fn compile(text: &str) -> Result<Self, String> {
        let length = text.chars().count();
        if length > MAX_CONDITION {
            return Err(format!("expected at most {MAX_CONDITION} characters, found {length}"));
        }
        let operators = text.chars().filter(|c| OPERATORS.contains(*c)).count() + text.matches("in").count();
        if operators > MAX_OPERATORS {
            return Err(format!(
                "expected at most {MAX_OPERATORS} of the characters {OPERATORS} and of `in`, found {operators}: make two rules of it"
            ));
        }
        let program = Program::compile(text).map_err(|errors| {
            let first = errors.errors.first();
            let place = first.map_or_else(String::new, |error| {
                format!("line {}, column {}: ", error.pos.0.max(1), error.pos.1.max(1))
            });
            let said = first.map_or("it is no expression", |error| error.msg.as_str());
            format!("{place}expected an expression of CEL, found: {}", one_line(said))
        })?;
        match type_of(program.expression()) {
            Ok(Type::Truth) => Ok(Self(program)),
            Ok(other) => {
                Err(format!("expected a condition, which is true or false, found {}", other.words()))
            }
            Err((part, wrong)) => Err(format!("{}{wrong}", place(&program, text, part))),
        }
    }

    /// Does it hold? The error says what is not known.
    pub fn holds(&self, facts: &Facts) -> Result<bool, String> {
        match self.0.execute(facts.context()) {
            Ok(Value::Bool(holds)) => Ok(holds),
            Ok(_) => Err("it is neither true nor false".to_owned()),
            Err(ExecutionError::NoSuchKey(name)) => Err(format!("{:?} is not known", one_line(&name))),
            // Its words may quote what comes from a cluster.
            Err(_) => Err("it cannot be worked out".to_owned()),
        }
    }
}

/// Line and column of a part of the text.
fn place(program: &Program, text: &str, part: u64) -> String {
    let Some((start, _)) = program.source_info().offset_for(part) else { return String::new() };
    let before: String = text.chars().take(usize::try_from(start).unwrap_or(usize::MAX)).collect();
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    format!("line {line}, column {column}: ")
}

fn one_line(text: &str) -> String {
    let flat: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    flat.chars().take(80).collect()
}

fn wrong<T>(part: &IdedExpr, text: impl Into<String>) -> Result<T, Wrong> {
    Err((part.id, text.into()))
}

fn type_of(part: &IdedExpr) -> Result<Type, Wrong> {
    match &part.expr {
        Expr::Literal(LiteralValue::Boolean(_)) => Ok(Type::Truth),
        Expr::Literal(LiteralValue::Int(_)) => Ok(Type::Number),
        Expr::Literal(LiteralValue::String(_)) => Ok(Type::Text),
        Expr::Literal(
            LiteralValue::Bytes(_) | LiteralValue::Double(_) | LiteralValue::Null | LiteralValue::UInt(_),
        ) => wrong(part, "expected a text, a whole number, true or false, found another value"),
        Expr::Ident(name) => {
            wrong(part, format!("expected a fact, such as finding.kind, found {name:?}; {}", facts::listed()))
        }
        Expr::Select(select) => {
            let of = match &select.operand.expr {
                Expr::Ident(root) => match facts::of(root, &select.field) {
                    Some(Fact::Text) => Type::Text,
                    Some(Fact::Number) => Type::Number,
                    Some(Fact::Texts) => Type::Texts,
                    None => {
                        let found = format!("{root}.{}", select.field);
                        return wrong(part, format!("expected a fact, found {found:?}; {}", facts::listed()));
                    }
                },
                Expr::Unspecified
                | Expr::Call(_)
                | Expr::Comprehension(_)
                | Expr::List(_)
                | Expr::Literal(_)
                | Expr::Map(_)
                | Expr::Select(_)
                | Expr::Struct(_) => match type_of(&select.operand)? {
                    Type::Texts => Type::Text,
                    other @ (Type::Truth | Type::Number | Type::Text | Type::List(_)) => {
                        return wrong(
                            part,
                            format!("expected labels before {:?}, found {}", select.field, other.words()),
                        );
                    }
                },
            };
            Ok(if select.test { Type::Truth } else { of })
        }
        Expr::List(list) => {
            let mut elements = list.elements.iter();
            let Some(first) = elements.next() else {
                return wrong(part, "expected a list of something, found an empty one");
            };
            let of = type_of(first)?;
            for element in elements {
                expect(element, &of)?;
            }
            Ok(Type::List(Box::new(of)))
        }
        Expr::Call(call) => call_type(part, call),
        Expr::Comprehension(_) => {
            wrong(part, "expected no loop (all, exists, exists_one, map, filter), found one")
        }
        Expr::Map(_) | Expr::Struct(_) => wrong(part, "expected no map and no message, found one"),
        Expr::Unspecified => wrong(part, "expected an expression, found none"),
    }
}

fn expect(part: &IdedExpr, expected: &Type) -> Result<(), Wrong> {
    let found = type_of(part)?;
    if found == *expected {
        return Ok(());
    }
    wrong(part, format!("expected {}, found {}", expected.words(), found.words()))
}

/// Two parts of the same type, which is one of these.
fn same(args: &[IdedExpr], part: &IdedExpr, of: &[Type]) -> Result<Type, Wrong> {
    let [left, right] = args else { return wrong(part, "expected two sides") };
    let found = type_of(left)?;
    if !of.contains(&found) {
        let expected: Vec<String> = of.iter().map(Type::words).collect();
        return wrong(left, format!("expected {}, found {}", expected.join(" or "), found.words()));
    }
    expect(right, &found)?;
    Ok(found)
}

fn call_type(part: &IdedExpr, call: &CallExpr) -> Result<Type, Wrong> {
    let args = call.args.as_slice();
    match (call.func_name.as_str(), call.target.as_deref(), args) {
        (op::LOGICAL_AND | op::LOGICAL_OR, None, args) => {
            args.iter().try_for_each(|arg| expect(arg, &Type::Truth))?;
            Ok(Type::Truth)
        }
        (op::LOGICAL_NOT, None, [arg]) => expect(arg, &Type::Truth).map(|()| Type::Truth),
        (op::EQUALS | op::NOT_EQUALS, None, args) => {
            same(args, part, &[Type::Text, Type::Number, Type::Truth]).map(|_| Type::Truth)
        }
        (op::LESS | op::LESS_EQUALS | op::GREATER | op::GREATER_EQUALS, None, args) => {
            same(args, part, &[Type::Number, Type::Text]).map(|_| Type::Truth)
        }
        // Neither division nor remainder: by them a condition could flip every minute.
        (op::ADD | op::SUBSTRACT | op::MULTIPLY, None, args) => same(args, part, &[Type::Number]),
        (op::NEGATE, None, [arg]) => expect(arg, &Type::Number).map(|()| Type::Number),
        (op::CONDITIONAL, None, [condition, rest @ ..]) => {
            expect(condition, &Type::Truth)?;
            same(rest, part, &[Type::Text, Type::Number, Type::Truth])
        }
        (op::IN, None, [element, within]) => {
            match type_of(within)? {
                Type::List(of) => expect(element, &of)?,
                Type::Texts => expect(element, &Type::Text)?,
                other @ (Type::Truth | Type::Number | Type::Text) => {
                    return wrong(within, format!("expected a list or labels, found {}", other.words()));
                }
            }
            Ok(Type::Truth)
        }
        (op::INDEX, None, [of, key]) => {
            expect(of, &Type::Texts)?;
            expect(key, &Type::Text)?;
            Ok(Type::Text)
        }
        ("size", None, [arg]) | ("size", Some(arg), []) => match type_of(arg)? {
            Type::Text | Type::Texts | Type::List(_) => Ok(Type::Number),
            other @ (Type::Truth | Type::Number) => {
                wrong(arg, format!("expected a text, labels or a list, found {}", other.words()))
            }
        },
        ("contains" | "startsWith" | "endsWith", Some(target), [arg]) => {
            expect(target, &Type::Text)?;
            expect(arg, &Type::Text)?;
            Ok(Type::Truth)
        }
        (name, _, _) => wrong(
            part,
            format!(
                "expected one of the operators, `in`, size, has, contains, startsWith or endsWith with what they take, found {name:?}"
            ),
        ),
    }
}

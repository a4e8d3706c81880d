//! Python source as the few facts that detection needs: assignments, calls, functions with their decorators.
//!
//! Read with a grammar, never run, never imported. Walks without recursion, so that no nesting can exhaust the stack.

use super::shape::Workers;
use super::shell::Variables;
use tree_sitter::{Node, Parser};

/// Largest source that is parsed, in bytes.
const LIMIT: usize = 512 << 10;

/// What an expression is, as far as it can be known without running it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    Text(String),
    Number(i64),
    Bool(bool),
    /// `os.environ.get("NAME", default)` and the like.
    Variable(String, Option<Box<Value>>),
    /// Something with the number of CPUs in it.
    Machine,
    /// A plain or dotted name.
    Name(String),
    Other,
}

impl Value {
    /// The text, with known variables and defaults filled in.
    pub(super) fn text(&self, variables: &Variables) -> Option<String> {
        match self {
            Self::Text(text) => Some(text.clone()),
            Self::Variable(name, default) => variables
                .get(name)
                .cloned()
                .or_else(|| default.as_ref().and_then(|default| default.text(variables))),
            Self::Number(number) => Some(number.to_string()),
            _ => None,
        }
    }

    /// Whether it is true, when that can be known.
    pub(super) fn truth(&self, variables: &Variables) -> Option<bool> {
        match self {
            Self::Bool(value) => Some(*value),
            Self::Number(number) => Some(*number != 0),
            Self::Text(text) => Some(!text.is_empty()),
            Self::Variable(name, default) => match variables.get(name) {
                Some(value) => Some(!matches!(value.to_ascii_lowercase().as_str(), "" | "0" | "false" | "no")),
                None => default.as_ref().map_or(Some(false), |default| default.truth(variables)),
            },
            _ => None,
        }
    }

    /// A number of workers.
    pub(super) fn workers(&self, variables: &Variables) -> Workers {
        self.text(variables)
            .and_then(|text| text.trim().parse().ok())
            .map_or(Workers::Machine, Workers::Count)
    }
}

/// `name = value` or `name["key"] = value`.
#[derive(Debug, Clone)]
pub(super) struct Assignment {
    /// Dotted name on the left; `os.environ` for `os.environ["X"]`.
    pub(super) name: String,
    /// The key, when the left side has one.
    pub(super) key: Option<String>,
    pub(super) value: Value,
    /// From 1.
    pub(super) line: usize,
    /// Not inside a function.
    pub(super) top: bool,
}

/// A call.
#[derive(Debug, Clone)]
pub(super) struct Call {
    /// Dotted text of what is called.
    pub(super) callee: String,
    pub(super) positional: Vec<Value>,
    pub(super) named: Vec<(String, Value)>,
    /// From 1.
    pub(super) line: usize,
    /// Index of the innermost function around it.
    pub(super) function: Option<usize>,
    /// The name that the result is bound to.
    pub(super) target: Option<String>,
}

impl Call {
    /// Last part of the callee: `run` of `app.run`.
    pub(super) fn method(&self) -> &str {
        self.callee.rsplit('.').next().unwrap_or_default()
    }

    /// A keyword argument.
    pub(super) fn named(&self, name: &str) -> Option<&Value> {
        self.named.iter().find(|(known, _)| known == name).map(|(_, value)| value)
    }
}

/// A function.
#[derive(Debug, Clone)]
pub(super) struct Function {
    pub(super) name: String,
    /// Text of each decorator without the `@`.
    pub(super) decorators: Vec<String>,
    /// Index of the function around it.
    pub(super) outer: Option<usize>,
}

/// The facts of one file.
#[derive(Debug, Default)]
pub(super) struct Source {
    pub(super) assignments: Vec<Assignment>,
    pub(super) calls: Vec<Call>,
    pub(super) functions: Vec<Function>,
}

impl Source {
    /// Reads a source text; broken syntax gives what could be made out.
    pub(super) fn parse(text: &str) -> Option<Self> {
        if text.len() > LIMIT {
            return None;
        }
        let mut parser = Parser::new();
        parser.set_language(&tree_sitter_python::LANGUAGE.into()).ok()?;
        let tree = parser.parse(text, None)?;
        let mut source = Self::default();
        let mut open = vec![(tree.root_node(), None)];
        while let Some((node, function)) = open.pop() {
            let inside = source.visit(node, text, function);
            let mut cursor = node.walk();
            let children: Vec<_> = node.named_children(&mut cursor).collect();
            open.extend(children.into_iter().rev().map(|child| (child, inside)));
        }
        Some(source)
    }

    /// The value last assigned to a module-level name.
    pub(super) fn top(&self, name: &str) -> Option<&Assignment> {
        self.assignments
            .iter()
            .rev()
            .find(|assignment| assignment.top && assignment.key.is_none() && assignment.name == name)
    }

    /// The functions around a call, innermost first.
    pub(super) fn around(&self, call: &Call) -> impl Iterator<Item = &Function> {
        std::iter::successors(call.function.and_then(|at| self.functions.get(at)), |function| {
            function.outer.and_then(|at| self.functions.get(at))
        })
    }

    fn visit(&mut self, node: Node<'_>, text: &str, function: Option<usize>) -> Option<usize> {
        let line = node.start_position().row + 1;
        match node.kind() {
            "function_definition" => {
                let decorators = node
                    .parent()
                    .filter(|parent| parent.kind() == "decorated_definition")
                    .map(|parent| {
                        let mut cursor = parent.walk();
                        let found = parent.named_children(&mut cursor).filter(|child| child.kind() == "decorator");
                        found
                            .map(|child| source_text(child, text).trim_start_matches('@').trim().to_owned())
                            .collect()
                    })
                    .unwrap_or_default();
                self.functions.push(Function {
                    name: node
                        .child_by_field_name("name")
                        .map(|name| source_text(name, text))
                        .unwrap_or_default(),
                    decorators,
                    outer: function,
                });
                return Some(self.functions.len() - 1);
            }
            "assignment" => {
                if let (Some(left), Some(right)) = (node.child_by_field_name("left"), node.child_by_field_name("right")) {
                    let (name, key) = match left.kind() {
                        "subscript" => (
                            left.child_by_field_name("value")
                                .map(|value| source_text(value, text))
                                .unwrap_or_default(),
                            left.child_by_field_name("subscript").and_then(|key| string(key, text)),
                        ),
                        _ => (source_text(left, text), None),
                    };
                    self.assignments.push(Assignment {
                        name,
                        key,
                        value: evaluate(right, text, 0),
                        line,
                        top: function.is_none(),
                    });
                }
            }
            "call" => {
                if let Some(call) = call(node, text, function) {
                    self.calls.push(call);
                }
            }
            _ => {}
        }
        function
    }
}

fn call(node: Node<'_>, text: &str, function: Option<usize>) -> Option<Call> {
    let callee = node.child_by_field_name("function")?;
    if !matches!(callee.kind(), "identifier" | "attribute") {
        return None;
    }
    let arguments = node.child_by_field_name("arguments")?;
    let (mut positional, mut named) = (Vec::new(), Vec::new());
    let mut cursor = arguments.walk();
    for argument in arguments.named_children(&mut cursor) {
        match argument.kind() {
            "keyword_argument" => {
                if let (Some(name), Some(value)) = (argument.child_by_field_name("name"), argument.child_by_field_name("value")) {
                    named.push((source_text(name, text), evaluate(value, text, 0)));
                }
            }
            "comment" => {}
            _ => positional.push(evaluate(argument, text, 0)),
        }
    }
    let target = node
        .parent()
        .filter(|parent| parent.kind() == "assignment")
        .and_then(|parent| parent.child_by_field_name("left"))
        .filter(|left| left.kind() == "identifier")
        .map(|left| source_text(left, text));
    Some(Call {
        callee: source_text(callee, text),
        positional,
        named,
        line: node.start_position().row + 1,
        function,
        target,
    })
}

/// Depth of nested expressions that are looked into.
const DEPTH: usize = 8;

fn evaluate(node: Node<'_>, text: &str, depth: usize) -> Value {
    if depth > DEPTH {
        return Value::Other;
    }
    match node.kind() {
        "string" => string(node, text).map_or(Value::Other, Value::Text),
        "integer" => source_text(node, text).replace('_', "").parse().map_or(Value::Other, Value::Number),
        "true" => Value::Bool(true),
        "false" => Value::Bool(false),
        "identifier" | "attribute" => Value::Name(source_text(node, text)),
        "parenthesized_expression" => node.named_child(0).map_or(Value::Other, |inner| evaluate(inner, text, depth + 1)),
        "call" => {
            let Some(call) = call_shallow(node, text, depth) else {
                return Value::Other;
            };
            match (call.callee.as_str(), call.positional.as_slice()) {
                ("os.environ.get" | "environ.get" | "os.getenv" | "getenv", [Value::Text(name), rest @ ..]) => {
                    Value::Variable(name.clone(), rest.first().cloned().map(Box::new))
                }
                ("int" | "str" | "bool" | "float", [inner, ..]) => inner.clone(),
                (callee, _) if callee.ends_with("cpu_count") || callee.ends_with("sched_getaffinity") => Value::Machine,
                _ if source_text(node, text).contains("cpu_count") => Value::Machine,
                _ => Value::Other,
            }
        }
        "subscript" => {
            let variable = node.child_by_field_name("value").map(|value| source_text(value, text));
            let key = node.child_by_field_name("subscript").and_then(|key| string(key, text));
            match (variable.as_deref(), key) {
                (Some("os.environ" | "environ"), Some(key)) => Value::Variable(key, None),
                _ => Value::Other,
            }
        }
        "binary_operator" | "boolean_operator" | "conditional_expression" if source_text(node, text).contains("cpu_count") => {
            Value::Machine
        }
        "boolean_operator" => {
            // `os.environ.get("X") or "default"`.
            let (left, right) = (node.child_by_field_name("left"), node.child_by_field_name("right"));
            match (
                left.map(|n| evaluate(n, text, depth + 1)),
                right.map(|n| evaluate(n, text, depth + 1)),
            ) {
                (Some(Value::Variable(name, None)), Some(default)) => Value::Variable(name, Some(Box::new(default))),
                _ => Value::Other,
            }
        }
        _ => Value::Other,
    }
}

/// The callee and the positional arguments of a call, for [`evaluate`].
fn call_shallow(node: Node<'_>, text: &str, depth: usize) -> Option<Call> {
    let callee = source_text(node.child_by_field_name("function")?, text);
    let arguments = node.child_by_field_name("arguments")?;
    let mut cursor = arguments.walk();
    let positional = arguments
        .named_children(&mut cursor)
        .filter(|argument| !matches!(argument.kind(), "keyword_argument" | "comment"))
        .take(3)
        .map(|argument| evaluate(argument, text, depth + 1))
        .collect();
    Some(Call {
        callee,
        positional,
        named: Vec::new(),
        line: 0,
        function: None,
        target: None,
    })
}

/// A plain string literal; `None` for one with interpolations.
fn string(node: Node<'_>, text: &str) -> Option<String> {
    if node.kind() != "string" {
        return None;
    }
    let mut cursor = node.walk();
    let mut value = String::new();
    for part in node.named_children(&mut cursor) {
        match part.kind() {
            "string_content" => value.push_str(&source_text(part, text)),
            "interpolation" => return None,
            _ => {}
        }
    }
    Some(value)
}

fn source_text(node: Node<'_>, text: &str) -> String {
    node.utf8_text(text.as_bytes()).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_are_known_as_far_as_they_can_be() {
        let text = "import os\na = int(os.environ.get('W', '4'))\nb = multiprocessing.cpu_count() * 2 + 1\nc = os.getenv('X') or 'y'\n\
                    d = f'{a}'\ndef f():\n    e = True\n";
        let source = Source::parse(text).unwrap();
        let none = Variables::new();
        assert_eq!(source.top("a").unwrap().value.workers(&none), Workers::Count(4));
        let seven = Variables::from([("W".to_owned(), "7".to_owned())]);
        assert_eq!(source.top("a").unwrap().value.workers(&seven), Workers::Count(7));
        assert_eq!(source.top("b").unwrap().value.workers(&none), Workers::Machine);
        assert_eq!(source.top("c").unwrap().value.text(&none).as_deref(), Some("y"));
        assert_eq!(source.top("d").unwrap().value, Value::Other);
        assert!(source.top("e").is_none());
        assert_eq!(source.top("b").unwrap().line, 3);
    }

    #[test]
    fn decorators_and_enclosing_functions_are_seen() {
        let text =
            "@worker_process_init.connect(weak=False)\ndef init(**kw):\n    def inner():\n        p.add_span_processor(x)\n    inner()\n";
        let source = Source::parse(text).unwrap();
        let call = source.calls.iter().find(|call| call.method() == "add_span_processor").unwrap();
        let names: Vec<_> = source.around(call).map(|function| function.name.as_str()).collect();
        assert_eq!((names, call.line), (vec!["inner", "init"], 4));
        assert!(source.functions[0].decorators[0].starts_with("worker_process_init"));
    }

    #[test]
    fn deep_nesting_is_survived() {
        assert!(Source::parse(&format!("x = {}1{}", "(".repeat(50_000), ")".repeat(50_000))).is_some());
    }
}

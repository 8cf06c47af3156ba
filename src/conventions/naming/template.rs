//! Name templates: literal text with placeholders in braces and optional parts in brackets.

use std::fmt::Write as _;

use super::arithmetic::{Number, Place};
use crate::weights::Layout;

/// The layout that a rule names.
pub(super) fn layout(word: &str) -> Result<Layout, TemplateError> {
    Layout::parse(word).ok_or_else(|| TemplateError::Layout { layout: word.to_owned() })
}

/// What is wrong with a template.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TemplateError {
    /// A placeholder that the grammar does not have.
    #[error("unknown placeholder `{{{token}}}` in `{template}`: expected one of {expected}")]
    Unknown {
        /// What is between the braces.
        token: String,
        /// The whole template.
        template: String,
        /// What may be there.
        expected: String,
    },
    /// A brace or bracket without its partner.
    #[error("`{token}` without its other {what} in `{template}`")]
    Brace {
        /// The text from the brace or bracket onwards.
        token: String,
        /// `brace` or `bracket`.
        what: &'static str,
        /// The whole template.
        template: String,
    },
    /// An optional part without a number, so there is no reason ever to leave it out.
    #[error("the optional part `{part}` of `{template}` must hold a number and nothing optional")]
    Optional {
        /// The part between the brackets.
        part: String,
        /// The whole template.
        template: String,
    },
    /// A pattern whose `{rest}` is not its last segment.
    #[error("`{{{token}}}` must be the whole last segment of `{template}`")]
    Rest {
        /// `rest` or the name of a table of parameters.
        token: String,
        /// The whole template.
        template: String,
    },
    /// The sides of a rule do not have the same `{rest}`.
    #[error("`{{{token}}}` is on one side only of `{pattern}` = `{template}`")]
    OneSided {
        /// `rest` or the name of a table of parameters.
        token: String,
        /// The canonical side.
        pattern: String,
        /// The foreign side.
        template: String,
    },
    /// A table of parameters whose name is already a placeholder.
    #[error("`{{{token}}}` is a placeholder of the grammar and cannot name parameters")]
    Reserved {
        /// The table's name.
        token: String,
    },
    /// A layout that is not an arrangement of a kernel's axes.
    #[error(
        "`{layout}` is not a layout: expected O, I, H and W (or C and M of a depthwise kernel), each at most once"
    )]
    Layout {
        /// The word.
        layout: String,
    },
    /// A rule with a layout for what a table of parameters already lays out.
    #[error("`{pattern}` has a layout of its own and takes its parameters from `{{{token}}}`")]
    TwoLayouts {
        /// The table of parameters.
        token: String,
        /// The canonical side.
        pattern: String,
    },
}

/// Whether a table of parameters may have this name.
pub(super) fn may_name_parameters(token: &str) -> bool {
    !matches!(token, "rest" | "model") && Number::parse(token, true).is_none()
}

/// The canonical side of a rule: a literal name, or a literal beginning and a placeholder.
#[derive(Clone, Debug)]
pub(super) struct Pattern {
    literal: String,
    /// `rest`, or the table that lists the last segments.
    rest: Option<String>,
}

impl Pattern {
    /// Parses a pattern; `tables` are the names of the tables of parameters.
    pub(super) fn parse(text: &str, tables: &[&str]) -> Result<Self, TemplateError> {
        let mut literal = String::new();
        let mut rest = None;
        for piece in pieces(text)? {
            match piece {
                _ if rest.is_some() => return Err(misplaced(rest.as_deref(), text)),
                Piece::Text(part) => literal.push_str(part),
                Piece::Token(token) if token == "rest" || tables.contains(&token) => {
                    if !literal.is_empty() && !literal.ends_with('.') {
                        return Err(misplaced(Some(token), text));
                    }
                    rest = Some(token.to_owned());
                }
                Piece::Token(token) => return Err(unknown(token, text, "{rest}", tables)),
                Piece::Optional(part) => literal.push_str(&format!("[{part}]")),
            }
        }
        Ok(Self { literal, rest })
    }

    /// `rest`, or the table of parameters that says what may follow the literal part.
    pub(super) fn rest(&self) -> Option<&str> {
        self.rest.as_deref()
    }

    /// What follows the literal part in `name` (empty if the pattern is a whole name), or `None` if
    /// `name` does not match.
    pub(super) fn matches<'n>(&self, name: &'n str) -> Option<&'n str> {
        let rest = name.strip_prefix(self.literal.as_str())?;
        (self.rest.is_some() != rest.is_empty()).then_some(rest)
    }

    /// If two patterns match a name, the more specific wins: the one with the longer literal part.
    pub(super) fn specificity(&self) -> usize {
        self.literal.len()
    }
}

/// The foreign side of a rule.
#[derive(Clone, Debug)]
pub(super) struct Template {
    text: String,
    parts: Vec<Part>,
    rest: Option<String>,
}

#[derive(Clone, Debug)]
enum Part {
    Text(String),
    /// What the canonical side's last placeholder stands for.
    Rest,
    /// The library's name of the model.
    Model,
    Number(Number),
    /// Left out if all its numbers are 0.
    Optional(Vec<Part>),
}

/// Why a template gives no name for a tensor.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{template}` makes {number} of `{{{placeholder}}}`")]
pub struct FillError {
    /// The template.
    template: String,
    /// The number's placeholder.
    placeholder: String,
    /// Its value, which cannot be written.
    number: i64,
}

impl Template {
    /// Parses a template; only a template for a block may use the block's position.
    pub(super) fn parse(
        text: &str,
        of_block: bool,
        tables: &[&str],
    ) -> Result<Self, TemplateError> {
        let mut rest = None;
        let parts = parts(text, text, of_block, tables, &mut rest)?;
        Ok(Self { text: text.to_owned(), parts, rest })
    }

    /// `rest`, or the table of parameters that the template takes its last segment from.
    pub(super) fn rest(&self) -> Option<&str> {
        self.rest.as_deref()
    }

    /// Whether one of its numbers is the module's place among others.
    pub(super) fn counts_modules(&self) -> bool {
        fn any(parts: &[Part]) -> bool {
            parts.iter().any(|part| match part {
                Part::Number(number) => number.counts_modules(),
                Part::Optional(inner) => any(inner),
                _ => false,
            })
        }
        any(&self.parts)
    }

    /// The name with `rest` filled in, at a place in the network of the library's `model`.
    pub(super) fn fill(&self, model: &str, rest: &str, at: &Place) -> Result<String, FillError> {
        let mut name = String::new();
        self.write(&self.parts, [model, rest], at, &mut name)?;
        Ok(name)
    }

    fn write(
        &self,
        parts: &[Part],
        [model, rest]: [&str; 2],
        at: &Place,
        name: &mut String,
    ) -> Result<(), FillError> {
        for part in parts {
            match part {
                Part::Text(text) => name.push_str(text),
                Part::Rest => name.push_str(rest),
                Part::Model => name.push_str(model),
                Part::Number(number) => {
                    let written = number.write(at).map_err(|value| FillError {
                        template: self.text.clone(),
                        placeholder: number.text().to_owned(),
                        number: value,
                    })?;
                    // Writing to a string cannot fail.
                    let _ = write!(name, "{written}");
                }
                Part::Optional(inner) => {
                    let is_zero = |part: &Part| matches!(part, Part::Number(n) if n.value(at) != 0);
                    if inner.iter().any(is_zero) {
                        self.write(inner, [model, rest], at, name)?;
                    }
                }
            }
        }
        Ok(())
    }
}

/// The parts of `text`, which is `template` or one of its optional parts.
fn parts(
    text: &str,
    template: &str,
    of_block: bool,
    tables: &[&str],
    rest: &mut Option<String>,
) -> Result<Vec<Part>, TemplateError> {
    let mut all = Vec::new();
    for piece in pieces(text)? {
        all.push(match piece {
            Piece::Text(part) => Part::Text(part.to_owned()),
            Piece::Token(token) if token == "rest" || tables.contains(&token) => {
                if rest.as_deref().is_some_and(|other| other != token) {
                    return Err(unknown(token, template, "one placeholder for the rest", &[]));
                }
                *rest = Some(token.to_owned());
                Part::Rest
            }
            Piece::Token("model") => Part::Model,
            Piece::Token(token) => match Number::parse(token, of_block) {
                Some(number) => Part::Number(number),
                None => return Err(unknown(token, template, Number::expected(of_block), tables)),
            },
            Piece::Optional(inner) => {
                let optional = || TemplateError::Optional {
                    part: inner.to_owned(),
                    template: template.to_owned(),
                };
                let inner_parts = parts(inner, template, of_block, tables, rest)?;
                let has_number = inner_parts.iter().any(|p| matches!(p, Part::Number(_)));
                if !has_number || inner_parts.iter().any(|p| matches!(p, Part::Optional(_))) {
                    return Err(optional());
                }
                Part::Optional(inner_parts)
            }
        });
    }
    Ok(all)
}

enum Piece<'a> {
    Text(&'a str),
    Token(&'a str),
    Optional(&'a str),
}

fn pieces(template: &str) -> Result<Vec<Piece<'_>>, TemplateError> {
    let lone = |at: usize, what| TemplateError::Brace {
        token: template[at..].to_owned(),
        what,
        template: template.to_owned(),
    };
    let mut pieces = Vec::new();
    let mut start = 0;
    while let Some(at) = template[start..].find(['{', '}', '[', ']']).map(|i| start + i) {
        if at > start {
            pieces.push(Piece::Text(&template[start..at]));
        }
        let inside = &template[at + 1..];
        start = match template.as_bytes()[at] {
            b'{' => match inside.find(['{', '}']) {
                Some(end) if inside[end..].starts_with('}') => {
                    pieces.push(Piece::Token(&inside[..end]));
                    at + end + 2
                }
                _ => return Err(lone(at, "brace")),
            },
            b'[' => match inside.find(['[', ']']) {
                Some(end) if inside[end..].starts_with(']') => {
                    pieces.push(Piece::Optional(&inside[..end]));
                    at + end + 2
                }
                _ => return Err(lone(at, "bracket")),
            },
            b'}' => return Err(lone(at, "brace")),
            _ => return Err(lone(at, "bracket")),
        };
    }
    if start < template.len() {
        pieces.push(Piece::Text(&template[start..]));
    }
    Ok(pieces)
}

fn misplaced(token: Option<&str>, template: &str) -> TemplateError {
    TemplateError::Rest { token: token.unwrap_or("rest").to_owned(), template: template.to_owned() }
}

fn unknown(token: &str, template: &str, expected: &str, tables: &[&str]) -> TemplateError {
    let mut expected = expected.to_owned();
    for table in tables {
        expected.push_str(&format!(", {{{table}}}"));
    }
    TemplateError::Unknown { token: token.to_owned(), template: template.to_owned(), expected }
}

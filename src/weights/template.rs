//! Name templates: literal text with placeholders in braces.

use std::fmt::Write as _;

/// What is wrong with a template.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TemplateError {
    /// A placeholder that the grammar does not have.
    #[error("unknown placeholder `{{{token}}}` in `{template}`: expected one of {expected}")]
    Unknown {
        /// What stands between the braces.
        token: String,
        /// The whole template.
        template: String,
        /// What may stand there.
        expected: &'static str,
    },
    /// A brace without its partner.
    #[error("`{token}` without its other brace in `{template}`")]
    Brace {
        /// The text from the brace on.
        token: String,
        /// The whole template.
        template: String,
    },
    /// A pattern whose `{rest}` is not its last segment.
    #[error("`{{rest}}` must be the whole last segment of `{template}`")]
    Rest {
        /// The whole template.
        template: String,
    },
    /// One side of a rule has `{rest}` and the other has not.
    #[error("`{{rest}}` stands on one side only of `{pattern}` = `{template}`")]
    OneSided {
        /// The canonical side.
        pattern: String,
        /// The foreign side.
        template: String,
    },
}

/// The canonical side of a rule: a literal name, or a literal prefix and `{rest}`.
#[derive(Clone, Debug)]
pub(super) struct Pattern {
    literal: String,
    rest: bool,
}

impl Pattern {
    pub(super) fn parse(text: &str) -> Result<Self, TemplateError> {
        let mut literal = String::new();
        let mut rest = false;
        for piece in pieces(text)? {
            match piece {
                _ if rest => return Err(TemplateError::Rest { template: text.to_owned() }),
                Piece::Text(part) => literal.push_str(part),
                Piece::Token("rest") if literal.is_empty() || literal.ends_with('.') => rest = true,
                Piece::Token("rest") => {
                    return Err(TemplateError::Rest { template: text.to_owned() });
                }
                Piece::Token(token) => return Err(unknown(token, text, "{rest}")),
            }
        }
        Ok(Self { literal, rest })
    }

    pub(super) fn has_rest(&self) -> bool {
        self.rest
    }

    /// What `{rest}` stands for in `name` (empty where the pattern has none), or `None` if `name`
    /// does not fit.
    pub(super) fn matches<'n>(&self, name: &'n str) -> Option<&'n str> {
        let rest = name.strip_prefix(self.literal.as_str())?;
        (self.rest != rest.is_empty()).then_some(rest)
    }

    /// Of two patterns that fit a name the more specific wins: the longer literal part.
    pub(super) fn specificity(&self) -> usize {
        self.literal.len()
    }
}

/// Where in the network a tensor stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Position {
    pub(super) stage: usize,
    pub(super) block: usize,
    /// The block's index counted over all stages.
    pub(super) flat: usize,
}

/// The foreign side of a rule.
#[derive(Clone, Debug)]
pub(super) struct Template {
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq)]
enum Part {
    Text(String),
    Rest,
    Stage,
    Block,
    Flat,
}

impl Template {
    /// Parses a template; only one of a block may use the block's position.
    pub(super) fn parse(text: &str, of_block: bool) -> Result<Self, TemplateError> {
        let part = |piece| match piece {
            Piece::Text(part) => Ok(Part::Text(part.to_owned())),
            Piece::Token("rest") => Ok(Part::Rest),
            Piece::Token("stage") if of_block => Ok(Part::Stage),
            Piece::Token("block") if of_block => Ok(Part::Block),
            Piece::Token("flat") if of_block => Ok(Part::Flat),
            Piece::Token(token) if of_block => {
                Err(unknown(token, text, "{rest}, {stage}, {block}, {flat}"))
            }
            Piece::Token(token) => Err(unknown(token, text, "{rest} (outside of blocks)")),
        };
        let parts = pieces(text)?.into_iter().map(part).collect::<Result<_, _>>()?;
        Ok(Self { parts })
    }

    pub(super) fn has_rest(&self) -> bool {
        self.parts.contains(&Part::Rest)
    }

    pub(super) fn fill(&self, rest: &str, at: Position) -> String {
        let mut name = String::new();
        for part in &self.parts {
            let number = match part {
                Part::Text(text) => {
                    name.push_str(text);
                    continue;
                }
                Part::Rest => {
                    name.push_str(rest);
                    continue;
                }
                Part::Stage => at.stage,
                Part::Block => at.block,
                Part::Flat => at.flat,
            };
            // Writing to a string cannot fail.
            let _ = write!(name, "{number}");
        }
        name
    }
}

enum Piece<'a> {
    Text(&'a str),
    Token(&'a str),
}

fn pieces(template: &str) -> Result<Vec<Piece<'_>>, TemplateError> {
    let lone = |at: usize| TemplateError::Brace {
        token: template[at..].to_owned(),
        template: template.to_owned(),
    };
    let mut pieces = Vec::new();
    let mut start = 0;
    while let Some(brace) = template[start..].find(['{', '}']).map(|i| start + i) {
        if brace > start {
            pieces.push(Piece::Text(&template[start..brace]));
        }
        let inside = &template[brace + 1..];
        match inside.find(['{', '}']) {
            Some(end) if template[brace..].starts_with('{') && inside[end..].starts_with('}') => {
                pieces.push(Piece::Token(&inside[..end]));
                start = brace + 1 + end + 1;
            }
            _ => return Err(lone(brace)),
        }
    }
    if start < template.len() {
        pieces.push(Piece::Text(&template[start..]));
    }
    Ok(pieces)
}

fn unknown(token: &str, template: &str, expected: &'static str) -> TemplateError {
    TemplateError::Unknown { token: token.to_owned(), template: template.to_owned(), expected }
}

//! One row of the table of settings.

use serde_json::Value;
use version::{Series, Span};

use crate::kind::Kind;

/// A setting of the server that has a name of its own.
///
/// Rows are written with the `const` methods below, so that a row reads as a sentence and states only what it has.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    /// Its variable, which is also its name.
    pub name: &'static str,
    /// The key at the top of `mainstay.toml` that sets it too.
    pub key: Option<&'static str>,
    /// What its value may be.
    pub kind: Kind,
    /// Where config.json has it, release by release; empty = it is part of another setting, or one of Mainstay's own.
    pub places: &'static [Place],
    /// What a later release changed.
    pub change: Option<Change>,
    /// docker-mattermost's default; `None` = it has none.
    pub then: Option<&'static str>,
    /// The default today, in words.
    pub now: &'static str,
    /// Other words for some of its values: (the word, the value).
    pub synonyms: &'static [(&'static str, &'static str)],
    /// Whether no message may show its value.
    pub secret: bool,
    /// What it means, for the operator.
    pub meaning: &'static str,
    /// Where it is documented.
    pub source: &'static str,
}

/// Where config.json has a setting, during some releases.
#[derive(Debug, Clone, Copy)]
pub struct Place {
    /// The section.
    pub section: &'static str,
    /// The key in it.
    pub key: &'static str,
    /// The releases that read it there.
    pub span: Span,
    /// How the value is written there.
    pub form: Form,
}

/// How a row's value is written at a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// As it is.
    Same,
    /// Days as hours.
    Hours,
    /// One of two words: for true, for false.
    Either(&'static str, &'static str),
}

impl Form {
    /// The value as the place has it.
    pub fn write(self, value: Value) -> Value {
        match (self, &value) {
            (Self::Hours, Value::Number(days)) => {
                days.as_i64().map_or(value, |days| days.saturating_mul(24).into())
            }
            (Self::Either(yes, no), Value::Bool(flag)) => if *flag { yes } else { no }.into(),
            _ => value,
        }
    }
}

/// What a release changed about a setting.
#[derive(Debug, Clone, Copy)]
pub struct Change {
    /// The release.
    pub since: Series,
    /// What it did, and what to use instead.
    pub what: &'static str,
}

/// A place that every release from 3.0 on has.
pub(crate) const fn at(section: &'static str, key: &'static str) -> Place {
    Place { section, key, span: Span { since: Series::new(3, 0), until: None }, form: Form::Same }
}

impl Place {
    /// From this release on.
    pub(crate) const fn since(mut self, major: u32, minor: u32) -> Self {
        self.span.since = Series::new(major, minor);
        self
    }

    /// Not from this release on.
    pub(crate) const fn until(mut self, major: u32, minor: u32) -> Self {
        self.span.until = Some(Series::new(major, minor));
        self
    }

    /// In another form.
    pub(crate) const fn form(mut self, form: Form) -> Self {
        self.form = form;
        self
    }

    /// What a value may be there, where its row allows `kind`; `None` = the place has other values.
    pub(crate) fn kind(&self, kind: Kind) -> Option<Kind> {
        match (self.form, kind) {
            (Form::Same, _) => Some(kind),
            (Form::Hours, Kind::Int(least, most)) => Some(Kind::Int(least, most.saturating_mul(24))),
            (Form::Hours | Form::Either(..), _) => None,
        }
    }

    /// `Section.Key`.
    pub fn path(&self) -> String {
        format!("{}.{}", self.section, self.key)
    }

    /// The variable that the server itself reads.
    pub fn variable(&self) -> String {
        server_variable(self.section, self.key)
    }
}

/// The variable by which the server overrides a key: `MM_SECTION_KEY` (server source, config/environment.go).
pub(crate) fn server_variable(section: &str, key: &str) -> String {
    format!("MM_{section}_{key}").replace('.', "_").to_uppercase()
}

/// A row; its methods add the rest.
pub(crate) const fn row(name: &'static str, kind: Kind, meaning: &'static str) -> Row {
    Row {
        name,
        key: None,
        kind,
        places: &[],
        change: None,
        then: None,
        now: "",
        synonyms: &[],
        secret: false,
        meaning,
        source: "docker-mattermost 2.1.0",
    }
}

impl Row {
    pub(crate) const fn places(mut self, places: &'static [Place]) -> Self {
        self.places = places;
        self
    }

    pub(crate) const fn key(mut self, key: &'static str) -> Self {
        self.key = Some(key);
        self
    }

    pub(crate) const fn then(mut self, then: &'static str) -> Self {
        self.then = Some(then);
        self
    }

    pub(crate) const fn now(mut self, now: &'static str) -> Self {
        self.now = now;
        self
    }

    /// The same default then and now.
    pub(crate) const fn always(self, value: &'static str) -> Self {
        self.then(value).now(value)
    }

    pub(crate) const fn change(mut self, major: u32, minor: u32, what: &'static str) -> Self {
        self.change = Some(Change { since: Series::new(major, minor), what });
        self
    }

    pub(crate) const fn synonyms(mut self, synonyms: &'static [(&'static str, &'static str)]) -> Self {
        self.synonyms = synonyms;
        self
    }

    pub(crate) const fn secret(mut self) -> Self {
        self.secret = true;
        self
    }

    pub(crate) const fn source(mut self, source: &'static str) -> Self {
        self.source = source;
        self
    }

    /// Where config.json of that release has it.
    pub fn place(&self, version: Series) -> Option<&'static Place> {
        self.places.iter().find(|place| place.span.holds(version))
    }

    /// Reads a text that was given.
    ///
    /// # Errors
    /// What is wrong with it; never the text of a secret.
    pub fn read(&self, text: &str) -> Result<Value, String> {
        let meant =
            self.synonyms.iter().find(|(said, _)| said.eq_ignore_ascii_case(text)).map(|(_, meant)| *meant);
        self.kind.read(meant.unwrap_or(text))
    }
}

//! The fields of an object of a manifest, taken one by one.

use finding::nearest;

use crate::found::{Found, shown};
use crate::located::{Field, Kind, Located, Matched};

/// The fields of an object, taken one by one.
pub(crate) struct Object<'a> {
    pub at: Located<'a>,
    /// Whether it is an object at all; what it is instead has been said.
    pub is_object: bool,
    matched: Matched<'a>,
    names: &'static [&'static str],
}

impl<'a> Object<'a> {
    /// The fields of a value; none, and an error, where it is no object.
    pub(crate) fn of(at: &Located<'a>, names: &'static [&'static str], found: &mut Found) -> Self {
        let fields = at.fields().unwrap_or_else(|| wrong_kind(at, "an object", found));
        let is_object = at.kind() == Kind::Object;
        Self { at: at.clone(), is_object, matched: Matched::of(fields, names), names }
    }

    /// A field that is there and is not null.
    pub(crate) fn get(&self, name: &str) -> Option<&Located<'a>> {
        let (_, value) = self.matched.known.get(name)?;
        (value.kind() != Kind::Null).then_some(value)
    }

    /// The path of a field, which need not be there.
    pub(crate) fn path(&self, name: &str) -> String {
        let dot = if self.at.path().is_empty() { "" } else { "." };
        format!("{}{dot}{name}", self.at.path())
    }

    /// A text; empty where it is not there.
    pub(crate) fn text(&self, name: &str, found: &mut Found) -> String {
        let Some(value) = self.get(name) else { return String::new() };
        value.text().unwrap_or_else(|| wrong_kind(value, "a text in quotes", found))
    }

    /// A text that must be there.
    pub(crate) fn required(&self, name: &str, means: &str, found: &mut Found) -> String {
        let text = self.text(name, found);
        let is_text = self.get(name).is_none_or(|value| value.kind() == Kind::Text);
        if text.trim().is_empty() && is_text && self.is_object {
            let at = self.get(name).unwrap_or(&self.at);
            let state = if self.get(name).is_some() { "empty" } else { "missing" };
            let what = format!("`{}` is {state}", self.path(name));
            found.error(at, what, "it is required", format!("write {means}"));
        }
        text
    }

    /// Whether it is true.
    pub(crate) fn bool(&self, name: &str, found: &mut Found) -> bool {
        let Some(value) = self.get(name) else { return false };
        value.bool().unwrap_or_else(|| wrong_kind(value, "true or false", found))
    }

    /// A list of texts.
    pub(crate) fn texts(&self, name: &str, found: &mut Found) -> Vec<String> {
        let Some(value) = self.get(name) else { return Vec::new() };
        let items: Vec<Located<'_>> =
            value.items().unwrap_or_else(|| wrong_kind(value, "a list of texts", found));
        let text =
            |item: &Located<'_>| item.text().unwrap_or_else(|| wrong_kind(item, "a text in quotes", found));
        items.iter().map(text).collect()
    }

    /// Every key that stands for nothing, or that is given twice or in other case.
    pub(crate) fn warn_of_unknown(&self, found: &mut Found) {
        for (name, value) in &self.matched.unknown {
            let what = format!("`{}` is no field of a manifest", finding::one_line(value.path(), 80));
            let fix = match nearest(name, self.names.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => "remove it".to_owned(),
            };
            found.warning(value, what, "Mattermost ignores it", fix);
        }
        for (name, value) in &self.matched.again {
            let what = format!("`{}` is given twice", finding::one_line(name, 80));
            found.warning(value, what, "Mattermost reads only the last one", "remove this one");
        }
        for (right, (name, value)) in &self.matched.known {
            if name != right {
                let what = format!("{} is read as `{right}`", shown(name));
                found.warning(
                    value,
                    what,
                    "other tools tell upper from lower case",
                    format!("write `{right}`"),
                );
            }
        }
    }

    /// The field of this name as it is written.
    pub(crate) fn field(&self, name: &str) -> Option<&Field<'a>> {
        self.matched.known.get(name)
    }
}

/// Notes that a value is of the wrong kind, and gives nothing in its place.
pub(crate) fn wrong_kind<T: Default>(value: &Located<'_>, wanted: &str, found: &mut Found) -> T {
    let path = finding::one_line(value.path(), 80);
    found.error(
        value,
        format!("`{path}` is {}", value.kind().words()),
        "it has another form",
        format!("write {wanted}"),
    );
    T::default()
}

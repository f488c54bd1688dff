//! Changing some fields of an object.

/// Replaces each field that has a new value.
pub(super) fn apply<T, const N: usize>(fields: [(&mut T, Option<T>); N]) {
    for (field, new) in fields {
        if let Some(new) = new {
            *field = new;
        }
    }
}

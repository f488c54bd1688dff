//! The nearest right name, for every message about a wrong one.

/// The candidate that `name` was most likely meant to be, if any is near enough.
///
/// Near enough: at most a third of the longer name differs, letters compared without case.
/// ```
/// assert_eq!(finding::nearest("lisetn", ["listen", "edition"]), Some("listen"));
/// assert_eq!(finding::nearest("quux", ["listen", "edition"]), None);
/// ```
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let name = name.to_lowercase();
    candidates
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(&name, &candidate.to_lowercase()), candidate))
        .filter(|(distance, candidate)| distance * 3 <= name.len().max(candidate.len()))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

//! Which names somebody may have meant.

use super::Stop;

/// Why a command ends that finds no scenario for a word.
pub(super) fn unknown<'a>(problem: &str, word: &str, names: impl Iterator<Item = &'a str>) -> Stop {
    let similar = similar(word, names).join(", ");
    let similar = match similar.is_empty() {
        true => String::new(),
        false => format!("; similar: {similar}"),
    };
    Stop::Unusable(format!("{problem}{similar}; see `list`"))
}

/// Up to three of `names` that contain the word or resemble it, the closest first.
pub(super) fn similar<'a>(word: &str, names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let near = names.filter_map(|name| {
        let typed = match name.contains(word) {
            true => 0,
            false => edits(word, name),
        };
        (typed <= word.chars().count() / 3).then_some((typed, name))
    });
    let mut near: Vec<_> = near.collect();
    near.sort_by_key(|(typed, _)| *typed);
    near.truncate(3);
    near.into_iter().map(|(_, name)| name).collect()
}

/// How many characters to insert, remove or replace to make one word of the other.
fn edits(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (line, found) in from.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], line + 1);
        for (column, wanted) in to.iter().enumerate() {
            let replaced = diagonal + usize::from(found != *wanted);
            diagonal = row[column + 1];
            row[column + 1] = replaced.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[to.len()]
}

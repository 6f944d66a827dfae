//! How well a name fits to what is typed.

/// Best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::tui) enum Rank {
    Whole,
    Start,
    StartOfWord,
    Inside,
    /// Only the explanation has it.
    Help,
    /// Its letters, in this order, with others between them.
    Scattered,
}

/// Whether a name fits, and which of its characters do. Capitals are as good as small letters.
pub(in crate::tui) fn fit(typed: &str, name: &str) -> Option<(Rank, Vec<usize>)> {
    let small = |text: &str| -> Vec<char> { text.chars().map(|c| c.to_lowercase().next().unwrap_or(c)).collect() };
    let (typed, name) = (small(typed), small(name));
    if typed.is_empty() {
        return Some((Rank::Start, Vec::new()));
    }
    let begins = |at: usize| name[at..].starts_with(&typed);
    let is_start_of_word = |at: usize| at == 0 || !name[at - 1].is_alphanumeric();
    let found = |rank, at: usize| Some((rank, (at..at + typed.len()).collect()));
    if begins(0) {
        return found(if typed.len() == name.len() { Rank::Whole } else { Rank::Start }, 0);
    }
    if let Some(at) = (1..name.len()).find(|&at| is_start_of_word(at) && begins(at)) {
        return found(Rank::StartOfWord, at);
    }
    if let Some(at) = (1..name.len()).find(|&at| begins(at)) {
        return found(Rank::Inside, at);
    }
    // A single letter is in nearly everything, and so are letters that begin nowhere.
    let first = (0..name.len()).find(|&at| is_start_of_word(at) && name[at] == typed[0])?;
    let mut places = vec![first];
    for letter in &typed[1..] {
        let from = places.last().map_or(0, |last| last + 1);
        places.push((from..name.len()).find(|&at| name[at] == *letter)?);
    }
    Some((Rank::Scattered, places))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn better_fits_rank_higher() {
        let rank = |typed, name| fit(typed, name).map(|(rank, _)| rank);
        assert_eq!(rank("plan", "plan"), Some(Rank::Whole));
        assert_eq!(rank("Pla", "plan"), Some(Rank::Start));
        assert_eq!(rank("all", "execute-all"), Some(Rank::StartOfWord));
        assert_eq!(rank("cute", "execute-all"), Some(Rank::Inside));
        assert_eq!(rank("exa", "execute-all"), Some(Rank::Scattered));
        assert_eq!(rank("refersh", "refresh"), None);
        assert_eq!(rank("", "refresh"), Some(Rank::Start));
    }

    #[test]
    fn the_fitting_characters_are_told() {
        let places = |typed, name| fit(typed, name).expect("a fit").1;
        assert_eq!(places("all", "execute-all"), [8, 9, 10]);
        assert_eq!(places("exa", "execute-all"), [0, 1, 8]);
        assert_eq!(places("ÜB", "Übersicht/"), [0, 1]);
    }
}

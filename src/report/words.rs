//! Counts in words.

/// `1 flow`, `1,234 flows`.
pub(crate) fn count(number: u64, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {noun}{plural}", thousands(number))
}

/// `1,234,567`.
pub(crate) fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `open 2, dropped 1`: what is most comes first, then by name.
pub(crate) fn shares(counts: impl IntoIterator<Item = (&'static str, u64)>) -> String {
    let mut counts: Vec<(&str, u64)> = counts.into_iter().collect();
    counts.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
    let words: Vec<String> = counts.iter().map(|(name, count)| format!("{name} {}", thousands(*count))).collect();
    words.join(", ")
}

/// `a, b and 3 more`: the first of many.
pub(crate) fn some<T: AsRef<str>>(all: &[T], shown_max: usize) -> String {
    let shown: Vec<&str> = all.iter().take(shown_max).map(AsRef::as_ref).collect();
    match all.len().saturating_sub(shown_max) {
        0 => shown.join(", "),
        more => format!("{} and {} more", shown.join(", "), thousands(more as u64)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_read_well() {
        assert_eq!(count(1, "flow"), "1 flow");
        assert_eq!(count(0, "flow"), "0 flows");
        assert_eq!(some(&["a", "b", "c"], 3), "a, b, c");
        assert_eq!(some(&["a", "b", "c", "d", "e"], 3), "a, b, c and 2 more");
        assert_eq!([7, 999, 1000, 1_234_567].map(thousands), ["7", "999", "1,000", "1,234,567"]);
        assert_eq!(shares([("dropped", 1), ("open", 2), ("refused", 1)]), "open 2, dropped 1, refused 1");
    }
}

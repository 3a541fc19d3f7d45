//! What plugins say, made fit for logs, errors and whoever reads them.

/// Bytes of what is said at once.
const SAID_MAX: usize = 4 << 10;

/// The beginning of what a plugin says. It is kept, logged and told to clients, so all that comes from one passes here.
pub fn cut(mut text: String) -> String {
    if text.len() > SAID_MAX {
        text.truncate(text.floor_char_boundary(SAID_MAX));
        text.push('…');
        text.shrink_to_fit();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_cut_between_characters() {
        assert_eq!(cut("short\n".to_owned()), "short\n");
        let long = cut("ä".repeat(SAID_MAX));
        assert!(long.ends_with("ä…") && long.len() <= SAID_MAX + 3 && long.capacity() < 2 * SAID_MAX, "{}", long.len());
    }
}

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

/// One line of at most so many bytes: line ends and other control characters are escaped, so that none looks like a line of its own.
pub fn line(text: &str, most: usize) -> String {
    let mut line = String::new();
    for c in text.chars() {
        let before = line.len();
        if c.is_control() && c != '\t' {
            line.extend(c.escape_default());
        } else {
            line.push(c);
        }
        if line.len() > most {
            line.truncate(before);
            break;
        }
    }
    line
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

    #[test]
    fn a_line_is_one() {
        assert_eq!(line("a\tä\r\n\u{1b}[2Kb\u{85}", 100), "a\tä\\r\\n\\u{1b}[2Kb\\u{85}");
        assert_eq!((line("\n\n\n", 5), line("äää", 5)), ("\\n\\n".to_owned(), "ää".to_owned()));
    }
}

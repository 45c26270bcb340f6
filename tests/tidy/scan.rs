//! Reads Rust well enough for the tidy test: comments and literals blanked out, words, paths,
//! functions.

/// A word of the code, and its line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Word {
    /// The word.
    pub text: String,
    /// Its line, from 1.
    pub line: usize,
}

/// A function with a body.
#[derive(Debug, PartialEq, Eq)]
pub struct Function {
    /// Its name.
    pub name: String,
    /// The line of its `fn`, from 1.
    pub line: usize,
    /// Lines from there to its closing brace.
    pub lines: usize,
}

/// One file.
pub struct Source {
    /// As it stands.
    pub raw: String,
    /// The same lines, with comments, strings and characters blanked out.
    pub code: String,
    /// Where `#[cfg(test)]` begins, if it does; tests stand at the end of a file.
    first_test_line: Option<usize>,
}

/// A piece of code: a word, or one other character.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Word(String),
    Mark(char),
}

impl Source {
    /// Reads a file.
    pub fn read(raw: &str) -> Self {
        let code = blank(raw);
        // Only a module with its body here; `mod tests;` is another file.
        let lines: Vec<&str> = code.lines().collect();
        let first_test_line = lines
            .windows(2)
            .position(|pair| pair[0].contains("#[cfg(test)]") && pair[1].ends_with('{'))
            .map(|at| at + 1);
        Self { raw: raw.to_owned(), code, first_test_line }
    }

    /// The same file, all of it tests.
    pub fn of_tests(self) -> Self {
        Self { first_test_line: Some(1), ..self }
    }

    /// Whether a line belongs to the tests at the end of the file.
    pub fn is_test(&self, line: usize) -> bool {
        self.first_test_line.is_some_and(|first| line >= first)
    }

    /// All words.
    pub fn words(&self) -> Vec<Word> {
        let word = |(token, line)| match token {
            Token::Word(text) => Some(Word { text, line }),
            Token::Mark(_) => None,
        };
        self.tokens().into_iter().filter_map(word).collect()
    }

    /// Names directly under `crate::`, and under `super::` where that may reach the crate: rooms,
    /// if they are names of rooms.
    pub fn rooms_named(&self) -> Vec<Word> {
        let mut named = self.paths_under("crate");
        named.extend(self.paths_under("super"));
        named.extend(self.paths_under("urbanmine"));
        named
    }

    /// Names directly under a head, as in `head::name` and `head::{name, name::x}`.
    pub fn paths_under(&self, head: &str) -> Vec<Word> {
        let tokens = self.tokens();
        let mut named = Vec::new();
        for at in 0..tokens.len() {
            let is_head = matches!(&tokens[at].0, Token::Word(word) if word == head);
            if !is_head || !is_path(&tokens, at + 1) {
                continue;
            }
            match tokens.get(at + 3) {
                Some((Token::Word(text), line)) => {
                    named.push(Word { text: text.clone(), line: *line });
                }
                Some((Token::Mark('{'), _)) => named.extend(group(&tokens[at + 3..])),
                _ => {}
            }
        }
        named
    }

    /// First names of paths, as in `head::name` and `use head;`.
    pub fn path_heads(&self) -> Vec<Word> {
        let tokens = self.tokens();
        let mut heads = Vec::new();
        for (at, (token, line)) in tokens.iter().enumerate() {
            let Token::Word(text) = token else { continue };
            let before = |back: usize| at.checked_sub(back).map(|it| &tokens[it].0);
            let is_first = before(1) != Some(&Token::Mark(':'));
            let is_used = matches!(before(1), Some(Token::Word(word)) if word == "use");
            if is_first && (is_used || is_path(&tokens, at + 1)) {
                heads.push(Word { text: text.clone(), line: *line });
            }
        }
        heads
    }

    /// All functions with a body.
    pub fn functions(&self) -> Vec<Function> {
        let tokens = self.tokens();
        let mut functions = Vec::new();
        for at in 0..tokens.len() {
            let (Token::Word(word), line) = &tokens[at] else { continue };
            let Some((Token::Word(name), _)) = tokens.get(at + 1) else { continue };
            if word != "fn" {
                continue;
            }
            if let Some(end) = body_end(&tokens[at..]) {
                functions.push(Function { name: name.clone(), line: *line, lines: end - line + 1 });
            }
        }
        functions
    }

    fn tokens(&self) -> Vec<(Token, usize)> {
        let mut tokens = Vec::new();
        for (at, line) in self.code.lines().enumerate() {
            let mut word = String::new();
            for letter in line.chars().chain([' ']) {
                if letter.is_alphanumeric() || letter == '_' {
                    word.push(letter);
                    continue;
                }
                if !word.is_empty() {
                    tokens.push((Token::Word(std::mem::take(&mut word)), at + 1));
                }
                if !letter.is_whitespace() {
                    tokens.push((Token::Mark(letter), at + 1));
                }
            }
        }
        tokens
    }
}

fn is_path(tokens: &[(Token, usize)], at: usize) -> bool {
    let is_colon = |at: usize| matches!(tokens.get(at), Some((Token::Mark(':'), _)));
    is_colon(at) && is_colon(at + 1)
}

/// First names in `{a, b::c, d::{e}}`.
fn group(tokens: &[(Token, usize)]) -> Vec<Word> {
    let (mut depth, mut is_first, mut named) = (0_usize, false, Vec::new());
    for (token, line) in tokens {
        match token {
            Token::Mark('{') => {
                depth += 1;
                is_first = depth == 1;
            }
            Token::Mark('}') => {
                depth -= 1;
                if depth == 0 {
                    break;
                }
            }
            Token::Mark(',') => is_first = depth == 1,
            Token::Word(text) if is_first => {
                named.push(Word { text: text.clone(), line: *line });
                is_first = false;
            }
            _ => {}
        }
    }
    named
}

/// The line of the brace that closes the function that begins here; `None` without a body.
fn body_end(tokens: &[(Token, usize)]) -> Option<usize> {
    let (mut nested, mut braces) = (0_usize, 0_usize);
    for (token, line) in tokens {
        match token {
            Token::Mark('(' | '[') => nested += 1,
            Token::Mark(')' | ']') => nested = nested.checked_sub(1)?,
            Token::Mark(';') if nested == 0 && braces == 0 => return None,
            Token::Mark('{') => braces += 1,
            Token::Mark('}') => {
                braces = braces.checked_sub(1)?;
                if braces == 0 && nested == 0 {
                    return Some(*line);
                }
            }
            _ => {}
        }
    }
    None
}

/// Blanks comments and literals; lines stay where they are.
fn blank(raw: &str) -> String {
    let letters: Vec<char> = raw.chars().collect();
    let mut code = String::with_capacity(raw.len());
    let mut at = 0;
    while at < letters.len() {
        let end = literal_end(&letters, at);
        if end == at {
            code.push(letters[at]);
            at += 1;
            continue;
        }
        for letter in &letters[at..end] {
            code.push(if *letter == '\n' { '\n' } else { ' ' });
        }
        at = end;
    }
    code
}

/// Where the comment or literal that begins here ends; `at` when none begins.
fn literal_end(letters: &[char], at: usize) -> usize {
    let next = letters.get(at + 1);
    match letters[at] {
        '/' if next == Some(&'/') => until(letters, at, |letter| letter == '\n'),
        '/' if next == Some(&'*') => block_comment_end(letters, at),
        '"' => string_end(letters, at),
        'r' if !follows_a_word(letters, at) => raw_string_end(letters, at).unwrap_or(at),
        'b' if next == Some(&'r') && !follows_a_word(letters, at) => {
            raw_string_end(letters, at + 1).unwrap_or(at)
        }
        '\'' => character_end(letters, at),
        _ => at,
    }
}

fn follows_a_word(letters: &[char], at: usize) -> bool {
    at.checked_sub(1).is_some_and(|it| letters[it].is_alphanumeric() || letters[it] == '_')
}

fn until(letters: &[char], at: usize, is_end: impl Fn(char) -> bool) -> usize {
    letters[at..].iter().position(|it| is_end(*it)).map_or(letters.len(), |length| at + length)
}

fn block_comment_end(letters: &[char], mut at: usize) -> usize {
    let mut depth = 0_usize;
    while at < letters.len() {
        match (letters[at], letters.get(at + 1)) {
            ('/', Some('*')) => {
                depth += 1;
                at += 2;
            }
            ('*', Some('/')) => {
                depth -= 1;
                at += 2;
                if depth == 0 {
                    return at;
                }
            }
            _ => at += 1,
        }
    }
    letters.len()
}

fn string_end(letters: &[char], mut at: usize) -> usize {
    at += 1;
    while at < letters.len() {
        match letters[at] {
            '\\' => at += 2,
            '"' => return at + 1,
            _ => at += 1,
        }
    }
    letters.len()
}

/// `r"…"`, `r#"…"#`; not the raw identifier `r#type`.
fn raw_string_end(letters: &[char], at: usize) -> Option<usize> {
    let hashes = letters[at + 1..].iter().take_while(|it| **it == '#').count();
    let open = at + 1 + hashes;
    if letters.get(open) != Some(&'"') {
        return None;
    }
    let close: Vec<char> = std::iter::once('"').chain(std::iter::repeat_n('#', hashes)).collect();
    let rest = &letters[open + 1..];
    let length = rest.windows(close.len()).position(|window| window == close)?;
    Some(open + 1 + length + close.len())
}

/// `'x'`, `'\n'`, `'\u{1F}'`; not the lifetime `'a`.
fn character_end(letters: &[char], at: usize) -> usize {
    match (letters.get(at + 1), letters.get(at + 2)) {
        (Some('\\'), Some(_)) => until(letters, at + 3, |letter| letter == '\'') + 1,
        (Some(_), Some('\'')) => at + 3,
        _ => at,
    }
}

#[test]
fn comments_and_literals_are_no_code() {
    let raw = "let a = \"crate::store\"; // crate::node\n/* crate::api /* x */ y */ let b = '\"';\n\
               let c = r#\"crate::cli \"quoted\" \"#; fn f<'a>(x: &'a str) {}\n";
    let source = Source::read(raw);
    assert_eq!(source.code.lines().count(), 3);
    assert!(source.rooms_named().is_empty(), "{}", source.code);
    assert_eq!(source.functions().len(), 1);
}

#[test]
fn paths_are_found_in_groups_and_over_lines() {
    let raw = "use crate::{\n    domain::{Grams, LotId},\n    store,\n};\nuse sled;\n\
               fn f() { tokio::spawn(async {}); a::tonic::b(); super::node::x() }\n";
    let source = Source::read(raw);
    let rooms: Vec<(String, usize)> =
        source.rooms_named().into_iter().map(|word| (word.text, word.line)).collect();
    let expected = [("domain", 2), ("store", 3), ("node", 6)];
    assert_eq!(rooms, expected.map(|(name, line)| (name.to_owned(), line)));
    let heads: Vec<String> = source.path_heads().into_iter().map(|word| word.text).collect();
    assert!(heads.contains(&"sled".to_owned()) && heads.contains(&"tokio".to_owned()));
    assert!(!heads.contains(&"tonic".to_owned()), "{heads:?}");
}

#[test]
fn functions_are_measured_to_their_closing_brace() {
    let raw = "trait T { fn none(&self, x: [u8; 4]); }\nfn some(\n    x: [u8; 4],\n) -> u8\nwhere\n\
               \u{20}   u8: Copy,\n{\n    if x[0] == b'{' { 1 } else { 2 }\n}\n";
    let functions = Source::read(raw).functions();
    assert_eq!(functions, [Function { name: "some".to_owned(), line: 2, lines: 8 }]);
}

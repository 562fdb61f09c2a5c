//! Rust sources as the house rules see them: without comments, and without what is compiled for tests only.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// One file.
pub(super) struct Source {
    /// Its path from the root of the workspace.
    pub(super) path: String,
    /// Its text as it is.
    pub(super) text: String,
    /// The same without comments and test items; lines stay where they are.
    pub(super) code: String,
    /// The same without what stands in string literals.
    pub(super) bare: String,
}

/// A function and how many lines it has.
pub(super) struct Function {
    pub(super) name: String,
    pub(super) lines: usize,
}

impl Source {
    pub(super) fn of(path: &str, text: String) -> Self {
        let Stripped { mut code, mut bare } = stripped(&text);
        for (start, end) in test_items(&bare) {
            blank(&mut code, start, end);
            blank(&mut bare, start, end);
        }
        Self { path: path.to_owned(), text, code: ascii(code), bare: ascii(bare) }
    }

    /// The functions with a body.
    pub(super) fn functions(&self) -> Vec<Function> {
        let bytes = self.bare.as_bytes();
        words(&self.bare, "fn").filter_map(|at| function_at(bytes, at)).collect()
    }
}

/// The files of a product folder that are compiled into the product, in order.
pub(super) fn product_files(folder: &str) -> Vec<Source> {
    let all: Vec<(String, String)> = files_under(folder);
    let tests: BTreeSet<String> = all.iter().flat_map(|(path, text)| test_modules(path, text)).collect();
    let is_product =
        |path: &str| !tests.iter().any(|test| path == format!("{test}.rs") || path.starts_with(&format!("{test}/")));
    all.into_iter().filter(|(path, _)| is_product(path)).map(|(path, text)| Source::of(&path, text)).collect()
}

/// Every `.rs` file under a folder, with its text, in order.
pub(super) fn files_under(folder: &str) -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    let mut folders = vec![root.join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder") {
            let path: PathBuf = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(root).expect("a path below the root").to_string_lossy().into_owned();
                found.push((name, fs::read_to_string(&path).expect("a readable file")));
            }
        }
    }
    found.sort();
    found
}

/// Where the word stands alone.
pub(super) fn words<'a>(text: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    let bytes = text.as_bytes();
    text.match_indices(word).map(|(at, _)| at).filter(move |at| {
        let is_free = |byte: Option<&u8>| byte.is_none_or(|byte| !is_name(*byte));
        is_free(at.checked_sub(1).and_then(|before| bytes.get(before))) && is_free(bytes.get(at + word.len()))
    })
}

pub(super) const fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// The name that begins here.
pub(super) fn name_at(text: &str, at: usize) -> &str {
    let rest = &text[at..];
    &rest[..rest.bytes().position(|byte| !is_name(byte)).unwrap_or(rest.len())]
}

/// The number of the line that this is in.
pub(super) fn line_of(text: &str, at: usize) -> usize {
    text.as_bytes()[..at].iter().filter(|byte| **byte == b'\n').count() + 1
}

/// The modules that a file declares for tests, as paths without `.rs`.
fn test_modules(path: &str, text: &str) -> Vec<String> {
    let Stripped { code, bare } = stripped(text);
    let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
    let own = if path.ends_with("/mod.rs") { folder } else { path.trim_end_matches(".rs") };
    let (code, bare) = (ascii(code), ascii(bare));
    let declared = test_items(bare.as_bytes()).into_iter().filter_map(|(start, end)| {
        let (item, bare) = (&code[start..end], &bare[start..end]);
        let at = words(bare, "mod").next().filter(|_| bare.ends_with(';'))?;
        let named = item.split_once("#[path = \"").and_then(|(_, rest)| rest.split_once(".rs\""));
        Some(named.map_or_else(|| format!("{own}/{}", name_at(bare, at + 4)), |(file, _)| format!("{folder}/{file}")))
    });
    declared.collect()
}

/// Where items for tests begin and end, from the attribute to the last byte.
fn test_items(bare: &[u8]) -> Vec<(usize, usize)> {
    let attribute = b"#[cfg(test)]";
    let starts = bare.windows(attribute.len()).enumerate().filter(|(_, window)| window == attribute).map(|(at, _)| at);
    starts.map(|start| (start, end_of_item(bare, start))).collect()
}

/// An item ends with its block, or with a semicolon before any block.
fn end_of_item(bare: &[u8], start: usize) -> usize {
    let at = (start..bare.len()).find(|at| matches!(bare[*at], b'{' | b';')).expect("the end of an item");
    if bare[at] == b';' { at + 1 } else { end_of_block(bare, at) }
}

/// Behind the brace that closes the one that is here.
fn end_of_block(bare: &[u8], open: usize) -> usize {
    let mut depth = 0_usize;
    for (at, byte) in bare.iter().enumerate().skip(open) {
        match byte {
            b'{' => depth += 1,
            b'}' if depth == 1 => return at + 1,
            b'}' => depth -= 1,
            _ => {}
        }
    }
    panic!("a block without an end")
}

fn function_at(bare: &[u8], at: usize) -> Option<Function> {
    let text = std::str::from_utf8(bare).expect("ASCII");
    // A type such as `fn(u8)` has no name.
    let name = name_at(text, at + 3);
    let open = (at..bare.len()).find(|at| matches!(bare[*at], b'{' | b';'))?;
    if name.is_empty() || bare[open] == b';' {
        return None;
    }
    let end = end_of_block(bare, open);
    Some(Function { name: name.to_owned(), lines: line_of(text, end) - line_of(text, at) + 1 })
}

struct Stripped {
    code: Vec<u8>,
    bare: Vec<u8>,
}

/// What the scanner is in.
#[derive(Clone, Copy, PartialEq, Eq)]
enum In {
    Code,
    LineComment,
    BlockComment,
    /// A string that ends with a quote and so many hashes; without any, a backslash escapes.
    Text(usize),
    RawText(usize),
}

/// Blanks comments, and in the second copy also what is in literals.
fn stripped(text: &str) -> Stripped {
    let bytes = text.as_bytes();
    let (mut code, mut bare) = (bytes.to_vec(), bytes.to_vec());
    let (mut at, mut inside) = (0, In::Code);
    while at < bytes.len() {
        let (length, next) = step(&bytes[at..], at.checked_sub(1).map(|before| bytes[before]), inside);
        let is_comment = |state: In| matches!(state, In::LineComment | In::BlockComment);
        if is_comment(inside) || is_comment(next) {
            blank(&mut code, at, at + length);
            blank(&mut bare, at, at + length);
        } else if inside != In::Code && next != In::Code || is_character(&bytes[at..], length) {
            blank(&mut bare, at, at + length);
        }
        (at, inside) = (at + length, next);
    }
    Stripped { code, bare }
}

/// How many bytes belong together, and what is behind them.
fn step(rest: &[u8], before: Option<u8>, inside: In) -> (usize, In) {
    match inside {
        In::LineComment if rest[0] == b'\n' => (1, In::Code),
        In::BlockComment if rest.starts_with(b"*/") => (2, In::Code),
        In::Text(_) if rest[0] == b'\\' => (2, inside),
        In::Text(_) if rest[0] == b'"' => (1, In::Code),
        In::RawText(hashes) if rest[0] == b'"' && rest[1..].iter().take_while(|byte| **byte == b'#').count() >= hashes => {
            (1 + hashes, In::Code)
        }
        In::LineComment | In::BlockComment | In::Text(_) | In::RawText(_) => (1, inside),
        In::Code if rest.starts_with(b"//") => (2, In::LineComment),
        In::Code if rest.starts_with(b"/*") => (2, In::BlockComment),
        In::Code if rest[0] == b'"' => (1, In::Text(0)),
        In::Code if rest[0] == b'r' && before.is_none_or(|byte| !is_name(byte) || byte == b'b') => raw(rest),
        In::Code if rest[0] == b'\'' => (character(rest), In::Code),
        In::Code => (1, In::Code),
    }
}

fn raw(rest: &[u8]) -> (usize, In) {
    let hashes = rest[1..].iter().take_while(|byte| **byte == b'#').count();
    if rest.get(1 + hashes) == Some(&b'"') { (2 + hashes, In::RawText(hashes)) } else { (1, In::Code) }
}

/// The length of a character literal; a lifetime's quote stands alone.
fn character(rest: &[u8]) -> usize {
    match rest {
        [_, b'\\', ..] => rest[3..].iter().position(|byte| *byte == b'\'').map_or(1, |at| at + 4),
        [_, first, ..] if first.is_ascii() => {
            if rest.get(2) == Some(&b'\'') {
                3
            } else {
                1
            }
        }
        [..] => rest.iter().skip(1).position(|byte| *byte == b'\'').map_or(1, |at| at + 2),
    }
}

fn is_character(rest: &[u8], length: usize) -> bool {
    rest[0] == b'\'' && length > 1
}

fn blank(bytes: &mut [u8], start: usize, end: usize) {
    let end = end.min(bytes.len());
    bytes[start..end].iter_mut().filter(|byte| **byte != b'\n').for_each(|byte| *byte = b' ');
}

/// Letters that are not ASCII stand in texts only, where they are of no interest here.
fn ascii(bytes: Vec<u8>) -> String {
    bytes.into_iter().map(|byte| if byte.is_ascii() { char::from(byte) } else { '?' }).collect()
}

#[test]
fn the_scanner_tells_code_from_comments_texts_and_tests() {
    let text = r##"
        use crate::a; // crate::b
        const C: (&str, char, &'static str) = ("crate::\"c", '"', r#"x"{ "#); /* crate::d */
        fn one() { if '\'' == '{' { two() } }
        #[cfg(test)]
        mod tests { fn three() { "}" } }
    "##;
    let source = Source::of("a.rs", text.to_owned());
    let found: Vec<&str> = words(&source.bare, "crate").map(|at| name_at(&source.bare, at + 7)).collect();
    assert_eq!(found, ["a"]);
    assert!(source.code.contains("crate::\\\"c") && !source.code.contains("crate::b") && !source.code.contains("crate::d"));
    let functions: Vec<(String, usize)> =
        source.functions().into_iter().map(|function| (function.name, function.lines)).collect();
    assert_eq!(functions, [("one".to_owned(), 1)]);
    let declaring = "#[cfg(test)]\n#[path = \"x_tests.rs\"]\nmod tests;\n#[cfg(test)]\nmod b;\nmod c;";
    assert_eq!(test_modules("src/d/x.rs", declaring), ["src/d/x_tests", "src/d/x/b"]);
    assert_eq!(test_modules("src/d/mod.rs", declaring), ["src/d/x_tests", "src/d/b"]);
}

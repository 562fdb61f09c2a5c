//! The map of the house, held to: who may use whom, which library may be named where, and how large things are.
//!
//! The lists say what is, exactly. An entry that is no longer needed fails as well, so they only shrink by themselves.

mod map;
mod source;

use std::collections::{BTreeMap, BTreeSet};

use map::{FORBIDDEN, FUNCTIONS_OF_ROWS, LAYERS, Layer, ROWS_AND_STEPS};
use source::{Source, files_under, line_of, name_at, product_files, words};

const MAX_FILE_LINES: usize = 400;
const MAX_FUNCTION_LINES: usize = 70;
const MAX_MEDIAN_LINES: usize = 10;
/// Nine of ten functions are shorter.
const USUAL_FUNCTION_LINES: usize = 30;

/// The layer that a file of `src/` belongs to.
fn layer_of(path: &str) -> &str {
    let inside = path.strip_prefix("src/").expect("a file of src");
    inside.split('/').next().expect("a name").trim_end_matches(".rs")
}

fn by_layer() -> BTreeMap<String, Vec<Source>> {
    let mut layers: BTreeMap<String, Vec<Source>> = BTreeMap::new();
    for source in product_files("src") {
        layers.entry(layer_of(&source.path).to_owned()).or_default().push(source);
    }
    layers
}

/// The first names of what follows `crate::`, also of each element of a list in braces, and of `super::` that leads to the root.
fn used_layers(source: &Source) -> BTreeSet<String> {
    let bare = &source.bare;
    let mut found: BTreeSet<String> =
        words(bare, "crate").filter(|at| bare[at + 5..].starts_with("::")).flat_map(|at| first_names(bare, at + 7)).collect();
    let depth = source.path.matches('/').count() - usize::from(source.path.ends_with("/mod.rs"));
    for at in words(bare, "super").filter(|at| !bare[..*at].ends_with("::")) {
        let rest = &bare[at..];
        let levels = (0..).take_while(|level| rest[level * 7..].starts_with("super::")).count();
        if levels >= depth {
            found.extend(first_names(bare, at + levels * 7));
        }
    }
    found
}

fn first_names(bare: &str, at: usize) -> Vec<String> {
    if !bare[at..].starts_with('{') {
        return vec![name_at(bare, at).to_owned()];
    }
    let (mut names, mut depth) = (Vec::new(), 0_usize);
    for (offset, byte) in bare[at..].bytes().enumerate() {
        match byte {
            b'{' => depth += 1,
            b'}' if depth == 1 => break,
            b'}' => depth -= 1,
            byte if depth == 1 && source::is_name(byte) && !source::is_name(bare.as_bytes()[at + offset - 1]) => {
                let before = bare[..at + offset].trim_end();
                if before.ends_with(['{', ',']) {
                    names.push(name_at(bare, at + offset).to_owned());
                }
            }
            _ => {}
        }
    }
    names
}

/// The libraries that a file names, of those that the workspace depends on.
fn used_libraries(source: &Source, known: &[String]) -> BTreeSet<String> {
    let bare = &source.bare;
    let is_named = |library: &String| {
        words(bare, library).any(|at| bare[at + library.len()..].starts_with("::") && !bare[..at].ends_with("::"))
            || words(bare, library).any(|at| bare[..at].ends_with("use ") && !bare[at..].starts_with("::"))
    };
    known.iter().filter(|library| is_named(library)).cloned().collect()
}

/// Every dependency in the manifests, as code names it.
fn libraries() -> Vec<String> {
    let manifests =
        [include_str!("../../Cargo.toml"), include_str!("../../entity/Cargo.toml"), include_str!("../../migration/Cargo.toml")];
    let mut names = BTreeSet::new();
    for manifest in manifests {
        let mut is_dependencies = false;
        for line in manifest.lines() {
            if line.starts_with('[') {
                is_dependencies = line.ends_with("dependencies]");
            } else if let (true, Some((name, _))) = (is_dependencies, line.split_once([' ', '.'])) {
                names.insert(name.replace('-', "_"));
            }
        }
    }
    names.into_iter().filter(|name| !name.starts_with('#')).collect()
}

fn named(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[test]
fn every_layer_uses_exactly_what_the_map_says() {
    let sources = by_layer();
    let known = libraries();
    assert!(known.len() > 20, "the manifests were not understood: {known:?}");
    let mapped: BTreeSet<String> = LAYERS.iter().map(|layer| layer.name.to_owned()).collect();
    assert_eq!(sources.keys().cloned().collect::<BTreeSet<_>>(), mapped, "a part of the house is not on the map");
    let mut wrong = Vec::new();
    for Layer { name, uses, libraries } in LAYERS {
        let files = &sources[*name];
        let mut layers: BTreeSet<String> = files.iter().flat_map(used_layers).collect();
        layers.remove(*name);
        let used: BTreeSet<String> = files.iter().flat_map(|file| used_libraries(file, &known)).collect();
        if layers != named(uses) || used != named(libraries) {
            wrong.push(format!("{name} uses {layers:?} and names {used:?}"));
        }
    }
    assert!(wrong.is_empty(), "the map says otherwise:\n{}", wrong.join("\n"));
}

#[test]
fn arrows_never_lead_back() {
    let uses: BTreeMap<&str, &[&str]> = LAYERS.iter().map(|layer| (layer.name, layer.uses)).collect();
    let mut below: BTreeSet<&str> = BTreeSet::new();
    while below.len() < uses.len() {
        let next: Vec<&str> = uses
            .iter()
            .filter(|(name, uses)| !below.contains(*name) && uses.iter().all(|used| below.contains(used)))
            .map(|(name, _)| *name)
            .collect();
        let left: Vec<&&str> = uses.keys().filter(|name| !below.contains(*name)).collect();
        assert!(!next.is_empty(), "these lead back to each other, or to something that is not on the map: {left:?}");
        below.extend(next);
    }
}

#[test]
fn no_layer_says_what_is_not_its_business() {
    let sources = by_layer();
    for (layer, forbidden) in FORBIDDEN {
        for source in &sources[*layer] {
            for word in *forbidden {
                let found = words(&source.code, word).next().map(|at| line_of(&source.code, at));
                assert_eq!(found, None, "{} says {word:?} in this line", source.path);
            }
        }
    }
}

#[test]
fn rows_and_steps_stand_alone() {
    let known = libraries();
    for (folder, allowed) in ROWS_AND_STEPS {
        let files = product_files(folder);
        let used: BTreeSet<String> = files.iter().flat_map(|file| used_libraries(file, &known)).collect();
        assert_eq!(used, named(allowed), "the libraries that {folder} names");
    }
    let functions: usize = product_files("entity/src").iter().map(|file| file.functions().len()).sum();
    assert_eq!(functions, FUNCTIONS_OF_ROWS, "rows have no behaviour");
}

#[test]
fn every_file_says_first_what_it_is() {
    let mut wrong = Vec::new();
    for (path, text) in ["src", "entity/src", "migration/src", "tests"].into_iter().flat_map(files_under) {
        let first = text.lines().next().unwrap_or_default();
        if !first.starts_with("//! ") {
            wrong.push(format!("{path} begins with {first:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn files_and_functions_stay_small() {
    let files: Vec<Source> = ["src", "entity", "migration"].into_iter().flat_map(product_files).collect();
    let mut lines = Vec::new();
    for file in &files {
        let length = file.text.lines().count();
        assert!(length <= MAX_FILE_LINES, "{} has {length} lines", file.path);
        for function in file.functions() {
            assert!(function.lines <= MAX_FUNCTION_LINES, "{} in {} has {} lines", function.name, file.path, function.lines);
            lines.push(function.lines);
        }
    }
    lines.sort_unstable();
    assert!(lines.len() > 500, "only {} functions were found", lines.len());
    let (median, usual) = (lines[lines.len() / 2], lines[lines.len() * 9 / 10]);
    assert!(median <= MAX_MEDIAN_LINES, "half of all functions have more than {median} lines");
    assert!(usual < USUAL_FUNCTION_LINES, "a tenth of all functions has {usual} lines or more");
}

#[test]
fn nothing_in_the_product_panics_by_choice() {
    for source in ["src", "entity", "migration"].into_iter().flat_map(product_files) {
        for call in [
            ".unwrap()",
            ".expect(\"",
            ".unwrap_err(",
            ".expect_err(\"",
            "panic!(",
            "todo!(",
            "unimplemented!(",
            "unreachable!(",
            "dbg!(",
        ] {
            let found = source.bare.find(call).map(|at| line_of(&source.bare, at));
            assert_eq!(found, None, "{} has {call} in this line", source.path);
        }
    }
}

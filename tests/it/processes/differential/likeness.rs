//! Whether two answers are the same, but for ids and secrets that each product has made by itself, and which belong together.

use std::collections::{BTreeMap, HashMap};

use serde_json::{Map, Value};

use crate::harness::Answer;

/// Which of the two products.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Embedded,
    Shared,
}

/// Two names of the same thing.
#[derive(Clone, Debug)]
pub(super) struct Pair {
    names: [String; 2],
    /// When it was met first, in milliseconds since the epoch.
    pub(super) since: i64,
}

/// What belongs together.
#[derive(Default)]
pub(super) struct Likeness {
    /// Random words of the one, and those of the other.
    words: [HashMap<String, String>; 2],
    /// Whole names, by what they begin with.
    pub(super) pairs: BTreeMap<String, Vec<Pair>>,
}

/// Headers that say nothing of the answer. Whether the connection stays open depends on how much of a refused body has come.
const UNLIKE: [&str; 3] = ["connection", "content-length", "date"];

/// The length of the part of a secret that is shown.
const SHOWN: usize = 8;

type Compared = Result<(), String>;

impl Likeness {
    /// A text with `<key:3>` replaced by what the third thing of that kind is called there.
    pub(super) fn fill(&self, text: &str, side: Side) -> String {
        let mut filled = String::with_capacity(text.len());
        let mut rest = text;
        while let Some((before, behind)) = rest.split_once('<') {
            let (name, after) = behind.split_once('>').expect("a name");
            let (kind, index) = name.split_once(':').expect("a kind and an index");
            filled.push_str(before);
            filled.push_str(&self.pairs[kind][index.parse::<usize>().expect("an index")].names[side as usize]);
            rest = after;
        }
        filled.push_str(rest);
        filled
    }

    pub(super) fn compare(&mut self, embedded: &Answer, shared: &Answer, now: i64) -> Compared {
        if embedded.status != shared.status {
            return Err(format!("the status is {} and {}", embedded.status, shared.status));
        }
        self.headers(embedded, shared)?;
        if embedded.body.is_null() || shared.body.is_null() {
            return self.text("the text", &embedded.text, &shared.text, now);
        }
        self.value("", &embedded.body, &shared.body, now)
    }

    fn headers(&mut self, embedded: &Answer, shared: &Answer) -> Compared {
        let all = |answer: &Answer| -> BTreeMap<String, String> {
            let headers = answer.headers.iter().filter(|(name, _)| !UNLIKE.contains(&name.as_str()));
            headers.map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned())).collect()
        };
        let (embedded, shared) = (all(embedded), all(shared));
        if !embedded.keys().eq(shared.keys()) {
            return Err(format!("the headers are {embedded:?} and {shared:?}"));
        }
        for (name, value) in &embedded {
            self.words(name, value, &shared[name])?;
        }
        Ok(())
    }

    fn value(&mut self, path: &str, embedded: &Value, shared: &Value, now: i64) -> Compared {
        match (embedded, shared) {
            // Each product writes down from time to time when keys were used, by another clock than that of the test.
            _ if path.ends_with("/lastUsedAt") => Ok(()),
            (Value::Object(one), Value::Object(other)) => self.object(path, one, other, now),
            (Value::Array(one), Value::Array(other)) if one.len() == other.len() => {
                let mut items = one.iter().zip(other).enumerate();
                items.try_for_each(|(index, (one, other))| self.value(&format!("{path}/{index}"), one, other, now))
            }
            (Value::String(one), Value::String(other)) => self.text(path, one, other, now),
            (one, other) if one == other => Ok(()),
            (one, other) => Err(format!("{path} is {one} and {other}")),
        }
    }

    fn object(&mut self, path: &str, one: &Map<String, Value>, other: &Map<String, Value>, now: i64) -> Compared {
        if !one.keys().eq(other.keys()) {
            return Err(format!("{path} has {:?} and {:?}", one.keys(), other.keys()));
        }
        one.iter().try_for_each(|(name, value)| self.value(&format!("{path}/{name}"), value, &other[name], now))
    }

    fn text(&mut self, path: &str, one: &str, other: &str, now: i64) -> Compared {
        if path.ends_with("/nextCursor") {
            // What is in it is nobody's business; what it leads to is compared.
            self.meet("cursor", one, other, now);
            return Ok(());
        }
        self.words(path, one, other)?;
        if let Some((kind, rest)) = one.split_once('_')
            && rest.split('_').next().is_some_and(|word| is_random(word) && word.len() > SHOWN)
        {
            self.meet(kind, one, other, now);
        }
        Ok(())
    }

    fn meet(&mut self, kind: &str, one: &str, other: &str, now: i64) {
        let pairs = self.pairs.entry(kind.to_owned()).or_default();
        if !pairs.iter().any(|pair| pair.names[0] == one) {
            pairs.push(Pair { names: [one.to_owned(), other.to_owned()], since: now });
        }
    }

    /// Word by word; random ones may differ if they always belong together.
    fn words(&mut self, path: &str, one: &str, other: &str) -> Compared {
        let unlike = || format!("{path} is {one:?} and {other:?}");
        let split = |text: &str| text.split(|c: char| !c.is_ascii_alphanumeric()).map(str::to_owned).collect::<Vec<_>>();
        let between = |text: &str| text.chars().filter(|c| !c.is_ascii_alphanumeric()).collect::<String>();
        let (words, others) = (split(one), split(other));
        if between(one) != between(other) || words.len() != others.len() {
            return Err(unlike());
        }
        for (word, other) in words.into_iter().zip(others) {
            if is_random(&word) && is_random(&other) {
                self.belong_together(&word, &other).map_err(|why| format!("{}: {why}", unlike()))?;
            } else if word != other {
                return Err(unlike());
            }
        }
        Ok(())
    }

    fn belong_together(&mut self, one: &str, other: &str) -> Compared {
        let [there, back] = &mut self.words;
        let known = (there.entry(one.to_owned()).or_insert_with(|| other.to_owned()).as_str(), back.entry(other.to_owned()));
        let back = known.1.or_insert_with(|| one.to_owned());
        if known.0 == other && back == one { Ok(()) } else { Err(format!("{one} is {} elsewhere", known.0)) }
    }
}

/// A number of a record, a secret, or the part of one that is shown.
fn is_random(word: &str) -> bool {
    [SHOWN, 32, 64].contains(&word.len()) && word.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

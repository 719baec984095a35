//! Reads tables of TOML key by key and notes everything that is wrong with them.
//!
//! serde's derived readers stop at the first fault of a table, and a person who writes rules deserves to hear of all
//! of them at once. So each key is asked for by name here; a key that nobody asked for is unknown. It must never know
//! what the keys mean.

use std::ops::Range;

use toml::Spanned;
use toml::de::DeTable;
use toml::de::DeValue;

use crate::catalogue::fault::At;
use crate::catalogue::fault::Faults;
use crate::catalogue::fault::did_you_mean;

/// A word and its place.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Word {
    pub(crate) text: String,
    pub(crate) at: At,
}

impl Word {
    /// Whether there is nothing in it: also what a missing key reads as, once its fault is noted.
    pub(crate) fn is_blank(&self) -> bool {
        self.text.trim().is_empty()
    }
}

/// One table that is being read.
pub(crate) struct Fields<'t, 'f> {
    table: &'t DeTable<'t>,
    pub(crate) at: At,
    faults: &'f mut Faults,
    asked: Vec<&'static str>,
}

/// A document; an empty one where the text could not be parsed.
pub(crate) struct Document<'t> {
    source: u32,
    table: Spanned<DeTable<'t>>,
}

/// The place in `source` of something with a span.
fn place<T>(source: u32, spanned: &Spanned<T>) -> At {
    at(source, spanned.span())
}

fn at(source: u32, span: Range<usize>) -> At {
    let byte = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
    At { source, start: byte(span.start), end: byte(span.end) }
}

/// Parses the text of a source. Of a broken one only the first fault is told, and nothing is read: what a parser makes
/// of the rest is a guess, and its faults would be echoes.
pub(crate) fn parse<'t>(source: u32, text: &'t str, faults: &mut Faults) -> Document<'t> {
    let (table, errors) = DeTable::parse_recoverable(text);
    let start = |error: &toml::de::Error| error.span().map_or(0, |span| span.start);
    let Some(first) = errors.iter().min_by_key(|&error| start(error)) else {
        return Document { source, table };
    };
    faults.set_broken();
    faults.error(at(source, first.span().unwrap_or(0..0)), first.message(), None);
    Document { source, table: Spanned::new(0..0, DeTable::new()) }
}

impl<'t, 'f> Fields<'t, 'f> {
    /// Begins to read the outermost table.
    pub(crate) fn of(document: &'t Document<'t>, faults: &'f mut Faults) -> Self {
        let at = place(document.source, &document.table);
        Self { table: document.table.get_ref(), at, faults, asked: Vec::new() }
    }

    fn ask(&mut self, key: &'static str) -> Option<(At, &'t DeValue<'t>)> {
        self.asked.push(key);
        let value = self.table.get(key)?;
        Some((place(self.at.source, value), value.get_ref()))
    }

    fn wrong(&mut self, key: &str, at: At, value: &DeValue<'_>, wanted: &str) {
        self.faults.error(at, format!("`{key}` must be {wanted}, and is {}", kind(value)), None);
    }

    /// A string.
    pub(crate) fn word(&mut self, key: &'static str) -> Option<Word> {
        let (at, value) = self.ask(key)?;
        if let DeValue::String(text) = value {
            return Some(Word { text: text.to_string(), at });
        }
        self.wrong(key, at, value, "a string");
        None
    }

    /// A string that must be there and say something.
    pub(crate) fn needed(&mut self, key: &'static str) -> Word {
        let missing = !self.table.contains_key(key);
        let word = self.word(key);
        if missing {
            self.missing(key);
        }
        if let Some(word) = word.as_ref().filter(|word| word.is_blank()) {
            self.faults.error(word.at, format!("`{key}` is empty"), None);
        }
        word.unwrap_or(Word { text: String::new(), at: self.at })
    }

    /// A list of strings, or one string alone.
    pub(crate) fn words(&mut self, key: &'static str) -> Option<Vec<Word>> {
        let (at, value) = self.ask(key)?;
        match value {
            DeValue::String(text) => Some(vec![Word { text: text.to_string(), at }]),
            DeValue::Array(values) => Some(self.strings(key, values.iter())),
            other => {
                self.wrong(key, at, other, "a string or a list of strings");
                None
            }
        }
    }

    fn strings(&mut self, key: &str, values: impl Iterator<Item = &'t Spanned<DeValue<'t>>>) -> Vec<Word> {
        let mut words = Vec::new();
        for value in values {
            let at = place(self.at.source, value);
            match value.get_ref() {
                DeValue::String(text) => words.push(Word { text: text.to_string(), at }),
                other => self.wrong(key, at, other, "a list of strings"),
            }
        }
        words
    }

    /// The same, where it must hold at least one: neither all nor none is what somebody meant for certain.
    pub(crate) fn some_words(&mut self, key: &'static str) -> Option<Vec<Word>> {
        let empty = match self.table.get(key).map(|value| (place(self.at.source, value), value.get_ref())) {
            Some((at, DeValue::Array(values))) if values.is_empty() => Some(at),
            _ => None,
        };
        if let Some(at) = empty {
            self.faults.error(at, format!("`{key}` is empty"), Some(format!("name one, or leave out `{key}`")));
        }
        self.words(key)
    }

    /// The same, where it must be there, too.
    pub(crate) fn needed_words(&mut self, key: &'static str) -> Vec<Word> {
        let missing = !self.table.contains_key(key);
        let words = self.some_words(key);
        if missing {
            self.missing(key);
        }
        words.unwrap_or_default()
    }

    /// A date: written as one, or as a string.
    pub(crate) fn date(&mut self, key: &'static str) -> Option<Word> {
        let (at, value) = self.ask(key)?;
        match value {
            DeValue::String(text) => Some(Word { text: text.to_string(), at }),
            DeValue::Datetime(date) => Some(Word { text: date.to_string(), at }),
            other => {
                self.wrong(key, at, other, "a date");
                None
            }
        }
    }

    /// `true` or `false`.
    pub(crate) fn flag(&mut self, key: &'static str) -> Option<bool> {
        let (at, value) = self.ask(key)?;
        if let DeValue::Boolean(flag) = value {
            return Some(*flag);
        }
        self.wrong(key, at, value, "true or false");
        None
    }

    /// A whole number.
    pub(crate) fn number(&mut self, key: &'static str) -> Option<(i64, At)> {
        let (at, value) = self.ask(key)?;
        let read = value.as_integer().and_then(|digits| i64::from_str_radix(digits.as_str(), digits.radix()).ok());
        if read.is_none() {
            self.wrong(key, at, value, "a whole number");
        }
        Some((read?, at))
    }

    /// A table.
    pub(crate) fn table(&mut self, key: &'static str) -> Option<Fields<'t, '_>> {
        let (at, value) = self.ask(key)?;
        if let DeValue::Table(table) = value {
            return Some(Fields { table, at, faults: self.faults, asked: Vec::new() });
        }
        self.wrong(key, at, value, &format!("a table, written [{key}]"));
        None
    }

    /// Reads each table of a list of tables with `read`.
    pub(crate) fn each<T>(&mut self, key: &'static str, mut read: impl FnMut(Fields<'t, '_>) -> T) -> Vec<T> {
        let Some((at, value)) = self.ask(key) else { return Vec::new() };
        let DeValue::Array(values) = value else {
            self.wrong(key, at, value, &format!("a list of tables, each written [[{key}]]"));
            return Vec::new();
        };
        let mut all = Vec::new();
        for value in values {
            let at = place(self.at.source, value);
            if let DeValue::Table(table) = value.get_ref() {
                all.push(read(Fields { table, at, faults: self.faults, asked: Vec::new() }));
            } else {
                self.wrong(key, at, value.get_ref(), "a list of tables");
            }
        }
        all
    }

    /// Takes whatever keys there are as names, each with a list of strings.
    pub(crate) fn lists_by_name(self) -> Vec<(Word, Vec<Word>)> {
        let mut all = Vec::new();
        let mut fields = self;
        for (key, value) in fields.table {
            let name = Word { text: key.get_ref().to_string(), at: place(fields.at.source, key) };
            let at = place(fields.at.source, value);
            let words = match value.get_ref() {
                DeValue::String(text) => vec![Word { text: text.to_string(), at }],
                DeValue::Array(values) => fields.strings(&name.text, values.iter()),
                other => {
                    fields.wrong(&name.text, at, other, "a string or a list of strings");
                    continue;
                }
            };
            all.push((name, words));
        }
        all
    }

    fn missing(&mut self, key: &str) {
        self.faults.error(self.at, format!("`{key}` is missing"), Some(format!("add {key} = \"...\"")));
    }

    /// Ends the reading: every key that was not asked for is a fault.
    pub(crate) fn finish(self) {
        for key in self.table.keys() {
            let name: &str = key.get_ref();
            if !self.asked.contains(&name) {
                let hint = did_you_mean(name, self.asked.iter().copied())
                    .unwrap_or_else(|| format!("the keys here are {}", self.asked.join(", ")));
                self.faults.error(place(self.at.source, key), format!("unknown key `{name}`"), Some(hint));
            }
        }
    }
}

/// What a value is, in words.
fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number with a point",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date or time",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

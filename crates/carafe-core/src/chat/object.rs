//! An object of a client's JSON, as a template sees it.

use std::collections::HashMap;
use std::sync::Arc;

use minijinja::Value;
use minijinja::value::{Enumerator, Object};

use super::marks::Marks;

/// A mapping whose keys are marked, and found by what they stand for.
#[derive(Debug)]
pub(super) struct ClientObject {
    marks: Arc<Marks>,
    keys: Vec<Value>,
    values: Vec<Value>,
    numbers: HashMap<String, usize>,
}

impl ClientObject {
    /// An object of these entries, whose keys are unmarked and differ.
    pub(super) fn new(marks: &Arc<Marks>, entries: Vec<(&str, Value)>) -> Self {
        let keys = entries.iter().map(|(key, _)| Value::from(marks.usual_text(key))).collect();
        let numbers = entries.iter().enumerate().map(|(number, (key, _))| ((*key).to_owned(), number)).collect();
        let values = entries.into_iter().map(|(_, value)| value).collect();
        Self { marks: Arc::clone(marks), keys, values, numbers }
    }
}

impl Object for ClientObject {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.get_value_by_str(key.as_str()?)
    }

    fn get_value_by_str(self: &Arc<Self>, key: &str) -> Option<Value> {
        self.values.get(*self.numbers.get(&self.marks.plain_text(key))?).cloned()
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Values(self.keys.clone())
    }

    fn enumerator_len(self: &Arc<Self>) -> Option<usize> {
        Some(self.keys.len())
    }
}

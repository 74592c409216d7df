//! What a model is called that comes from elsewhere.

use anyhow::{Result, ensure};
use carafe_models::manifest::{MAX_NAME, is_model_name};

/// The name that was asked for, or else one that is made of what the source is called.
pub(super) fn choose(asked: Option<&str>, source: &str) -> Result<String> {
    let name = asked.map_or_else(|| made_of(source), str::to_owned);
    ensure!(
        is_model_name(&name),
        "`{name}` cannot be a model's name; 1 to {MAX_NAME} of a-z, 0-9, `-` and `.` were expected, the first a letter or \
         digit: give one by --name"
    );
    Ok(name)
}

/// In lower case, with one `-` for whatever a name cannot hold.
fn made_of(source: &str) -> String {
    let mut name = String::new();
    for letter in source.chars().map(|letter| letter.to_ascii_lowercase()) {
        let is_plain = letter.is_ascii_alphanumeric() || letter == '.';
        match (is_plain, name.ends_with('-')) {
            (true, _) => name.push(letter),
            (false, false) => name.push('-'),
            (false, true) => {}
        }
    }
    name.trim_matches(['-', '.']).to_owned()
}

#[cfg(test)]
mod tests {
    use super::choose;

    #[test]
    fn a_source_of_any_name_gives_a_name_that_a_model_can_have() {
        for (source, name) in [
            ("SmolLM2-135M-Instruct.Q4_1", "smollm2-135m-instruct.q4-1"),
            ("My Model (final)", "my-model-final"),
            ("_tiny_", "tiny"),
            ("..hidden", "hidden"),
        ] {
            assert_eq!(choose(None, source).ok().as_deref(), Some(name), "{source}");
        }
    }

    #[test]
    fn a_name_that_cannot_be_is_refused_and_the_flag_named() {
        for (asked, source) in
            [(Some("Tiny"), "tiny"), (Some("../tiny"), "tiny"), (None, "日本"), (None, &"a".repeat(65))]
        {
            let error = choose(asked, source).expect_err(source).to_string();
            assert!(error.contains("cannot be a model's name") && error.contains("--name"), "{error}");
        }
    }
}

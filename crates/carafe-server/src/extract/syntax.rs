//! What is wrong with a text that is no JSON. The parser says it in its own words, as `EOF while
//! parsing a list at line 1 column 7`.

/// The beginnings of what the parser says, and what it means.
const WORDS: [(&str, &str); 19] = [
    ("EOF while parsing a value", "there is nothing where a value was expected"),
    ("EOF while parsing", "it ends too early"),
    ("expected `:`", "a `:` is missing after a name"),
    ("expected `,` or `]`", "a `,` or `]` is missing in an array"),
    ("expected `,` or `}`", "a `,` or `}` is missing in an object"),
    ("expected ident", "this word is none of `true`, `false` and `null`"),
    ("expected value", "here stands something that begins no value"),
    ("expected `\"`", "a `\"` is missing"),
    ("invalid escape", "there is no such escape in a text"),
    ("invalid number", "this is no number of JSON"),
    ("number out of range", "this number is too large"),
    ("invalid unicode code point", "a text is not valid UTF-8"),
    ("control character", "a text holds a control character, which must be escaped as in `\\n` or `\\u0007`"),
    ("key must be a string", "the name of a field must be a text between `\"`"),
    ("lone leading surrogate", "an escape is half of a character: `\\ud800` to `\\udfff` go in pairs only"),
    ("trailing comma", "a `,` stands before the end of an array or object"),
    ("trailing characters", "something follows after its end"),
    ("unexpected end of hex escape", "an escape is half of a character: `\\ud800` to `\\udfff` go in pairs only"),
    ("recursion limit exceeded", "it is nested too deeply: at most 127 arrays and objects may lie in one another"),
];

/// What the parser's message means, and where.
pub(super) fn words(message: &str) -> String {
    let meaning = WORDS.iter().find(|(beginning, _)| message.starts_with(beginning));
    let meaning = meaning.map_or("it breaks JSON's rules", |(_, meaning)| meaning);
    match location(message) {
        Some((line, column)) => format!("{meaning} (line {line}, column {column})"),
        None => meaning.to_owned(),
    }
}

fn location(message: &str) -> Option<(usize, usize)> {
    let (line, column) = message.rsplit_once(" at line ")?.1.split_once(" column ")?;
    Some((line.parse().ok()?, column.parse().ok()?))
}

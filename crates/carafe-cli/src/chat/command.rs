//! What a line asks for.

/// The commands, for `/help`.
pub(super) const HELP: &str = "\
/help          show this
/system TEXT   begin anew with this system prompt; without TEXT, with none
/clear         begin anew
/regenerate    answer the last message once more
/exit          end
//TEXT         say a message that begins with `/`
Ctrl-C ends an answer.";

/// A line, understood.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Command {
    Nothing,
    /// Say this to the model.
    Say(String),
    Regenerate,
    /// Begin anew, with this or nothing said beforehand.
    System(Option<String>),
    Clear,
    /// Show the commands.
    Help,
    /// Something with a slash that is none of them.
    Unknown(String),
    Exit,
}

impl Command {
    /// Understands a line.
    pub(super) fn of(line: &str) -> Self {
        let line = line.trim();
        if line.is_empty() {
            return Self::Nothing;
        }
        let Some(command) = line.strip_prefix('/') else { return Self::Say(line.to_owned()) };
        if command.starts_with('/') {
            return Self::Say(command.to_owned());
        }
        let (word, rest) = command.split_once(char::is_whitespace).unwrap_or((command, ""));
        let rest = Some(rest.trim()).filter(|rest| !rest.is_empty());
        match (word, rest) {
            ("system", text) => Self::System(text.map(str::to_owned)),
            ("clear", None) => Self::Clear,
            ("regenerate", None) => Self::Regenerate,
            ("exit" | "quit", None) => Self::Exit,
            ("help", None) => Self::Help,
            _ => Self::Unknown(line.to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Command;

    #[test]
    fn a_line_is_a_message_unless_it_begins_with_a_slash() {
        let say = |text: &str| Command::Say(text.to_owned());
        for (line, command) in [
            (" Hello, world ", say("Hello, world")),
            ("//etc/passwd", say("/etc/passwd")),
            ("", Command::Nothing),
            ("/system Be brief.", Command::System(Some("Be brief.".to_owned()))),
            ("/system", Command::System(None)),
            ("/regenerate", Command::Regenerate),
            ("/clear", Command::Clear),
            ("/exit ", Command::Exit),
            ("/help", Command::Help),
            ("/halp", Command::Unknown("/halp".to_owned())),
            ("/clear all", Command::Unknown("/clear all".to_owned())),
        ] {
            assert_eq!(Command::of(line), command, "{line}");
        }
    }
}

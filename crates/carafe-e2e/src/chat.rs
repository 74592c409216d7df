//! A tiny model that answers conversations: the tiny model's files, a chat template, and defaults
//! of its own.

use std::fs;
use std::path::PathBuf;

use anyhow::Result;
use carafe_models::folder::sha256;
use tempfile::TempDir;

use crate::root;
use crate::server::Server;

/// Its name.
pub const TINY_CHAT: &str = "tiny-chat";

/// Writes each message behind the first letter of its role, tools and a variable of the request.
pub const PLAIN_TEMPLATE: &str = "{% if tools %}{{ tools[0].function.name }}\n{% endif %}\
    {% for message in messages %}{{ message.role[0] }}:{{ message.content }}{{ suffix }}\n{% endfor %}\
    {% if add_generation_prompt %}a:{% endif %}";

/// Begins every answer with the tag of its reasoning, and takes the reasoning of earlier ones out
/// of the history.
pub const THINKING_TEMPLATE: &str = "{% for message in messages %}\
    {{ message.role[0] }}:{{ message.content.split('</think>')[-1] }}\n{% endfor %}\
    {% if add_generation_prompt %}a:<think>\n{% endif %}";

/// Writes messages as SmolLM2 and many others have them; the marks are ordinary text here.
pub const TURNS_TEMPLATE: &str = "{% for message in messages %}\
    <|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}\
    {% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}";

/// The folder of models that holds it, with this template. It draws by a temperature of 0.5.
///
/// # Errors
/// If it cannot be made.
pub fn chat_models(template: &str) -> Result<TempDir> {
    chat_model("fixtures/models/tiny", TINY_CHAT, template)
}

/// A folder of models with one: the files of a model of the tree under another name, with this
/// template. It draws by a temperature of 0.5.
///
/// # Errors
/// If it cannot be made.
pub fn chat_model(of: &str, name: &str, template: &str) -> Result<TempDir> {
    let (of, place) = (root().join(of), TempDir::new()?);
    let folder: PathBuf = place.path().join(name);
    fs::create_dir(&folder)?;
    for name in ["model.xml", "model.bin", "tokenizer.json", "certificate.json"] {
        fs::copy(of.join(name), folder.join(name))?;
    }
    let (file, path) = ("chat_template.jinja", folder.join("chat_template.jinja"));
    fs::write(&path, template)?;
    let (size, sha256) = (template.len(), sha256(&path)?);
    let files = format!("[files]\nchat_template = {{ path = \"{file}\", size = {size}, sha256 = \"{sha256}\" }}");
    let text =
        "[text]\nspecial_tokens = { eos_token = \"<|endoftext|>\" }\ngeneration = { temperature = 0.5, top_k = 40 }";
    let old = format!("name = \"{}\"", of.file_name().unwrap_or_default().to_string_lossy());
    let manifest = fs::read_to_string(of.join("model.toml"))?.replace(&old, &format!("name = \"{name}\""));
    let manifest = manifest.replace("[files]", &files).replace("[text]", text);
    fs::write(folder.join("model.toml"), manifest)?;
    Ok(place)
}

/// A server of it, with these flags, and its folder.
///
/// # Errors
/// If it cannot be made or started.
pub fn start_chat(template: &str, flags: &[&str]) -> Result<(Server, TempDir)> {
    let models = chat_models(template)?;
    let folder = models.path().to_string_lossy().into_owned();
    let server = Server::start(&[&["--models", &folder, "--model", TINY_CHAT][..], flags].concat())?;
    Ok((server, models))
}

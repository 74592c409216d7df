//! Images over HTTP: every way in, and what is refused.

use std::fs;
use std::thread;

use anyhow::{Error, Result};
use carafe_e2e::root;
use carafe_e2e::server::{Answer, Server};
use serde_json::{Value, json};
use tempfile::TempDir;

/// Sends a file of the tree as it is.
fn send(server: &Server, path: &str, kind: &str, file: &str) -> Result<Answer> {
    let (kind, file) = (format!("Content-Type: {kind}"), format!("@{}", root().join(file).display()));
    server.curl(path, &["-H", &kind, "--data-binary", &file])
}

fn best(answer: &Answer) -> Result<Value> {
    Ok(answer.json()?["labels"][0]["label"].clone())
}

#[test]
fn an_image_is_recognised_by_every_door() -> Result<()> {
    let server = Server::start(&[])?;
    let cat = "images/cat_720p.jpg";
    let raw = send(&server, "/v1/classify", "image/jpeg", cat)?;
    assert_eq!(best(&raw)?, "Egyptian cat");
    let bytes = send(&server, "/v1/classify?model=mobilenet-v2", "application/octet-stream", cat)?;
    let form = format!("image=@{}", root().join(cat).display());
    let form = server.curl("/v1/classify", &["-F", &form])?;
    let infer = send(&server, "/infer", "image/jpeg", cat)?;
    for answer in [bytes, form, infer] {
        assert_eq!(answer.json()?["labels"], raw.json()?["labels"]);
    }
    assert_eq!(best(&send(&server, "/v1/classify", "image/bmp", "images/grace_hopper.bmp")?)?, "military uniform");
    Ok(())
}

#[test]
fn images_at_one_time_get_the_answers_that_each_gets_alone() -> Result<()> {
    let server = Server::start(&["--model", "mobilenet-v2", "--image-workers", "3"])?;
    let files = ["images/cat_720p.jpg", "images/parrot.jpg", "images/hot_dog.jpg", "images/grace_hopper.bmp"];
    let classify = |file: &str| -> Result<Value> {
        send(&server, "/v1/classify?input=true", "application/octet-stream", file)?.json()
    };
    let answer = |answer: Value| [&answer["labels"], &answer["input"]].map(Clone::clone);
    let alone = files.iter().map(|file| Ok(answer(classify(file)?))).collect::<Result<Vec<_>>>()?;
    thread::scope(|scope| {
        let several = |file| (0..4).map(|_| scope.spawn(move || classify(file))).collect::<Vec<_>>();
        let threads: Vec<_> = files.iter().map(|file| several(*file)).collect();
        for (threads, alone) in threads.into_iter().zip(&alone) {
            for thread in threads {
                let together = thread.join().map_err(|_| Error::msg("a client panicked"))??;
                assert_eq!(&answer(together), alone);
            }
        }
        Ok(())
    })
}

#[test]
fn top_and_input_say_what_is_answered() -> Result<()> {
    let server = Server::start(&["--model", "mobilenet-v2"])?;
    let answer = send(&server, "/v1/classify?top=2&input=true", "image/jpeg", "images/parrot.jpg")?.json()?;
    assert_eq!(answer["labels"].as_array().map(Vec::len), Some(2));
    let (width, height) = (&answer["input"]["width"], &answer["input"]["height"]);
    assert_eq!((width, height), (&json!(224), &json!(224)));
    // Four letters of base64 for three bytes: one pixel.
    assert_eq!(answer["input"]["rgb"].as_str().map(str::len), Some(224 * 224 * 4));
    Ok(())
}

#[test]
fn what_cannot_be_classified_is_refused_in_words() -> Result<()> {
    let server = Server::start(&["--model", "mobilenet-v2"])?;
    let folder = TempDir::new()?;
    let large = folder.path().join("large");
    fs::write(&large, vec![0; (20 << 20) + 1])?;
    let large = large.to_string_lossy().into_owned();
    let cases = [
        ("/v1/classify", "application/json", "images/parrot.jpg", 415, Value::Null),
        ("/v1/classify", "image/jpeg", "README.md", 415, Value::Null),
        ("/v1/classify", "image/jpeg", "fixtures/images/empty.jpg", 400, json!("image")),
        ("/v1/classify", "image/png", "fixtures/images/bomb.png", 413, json!("image")),
        ("/v1/classify", "image/jpeg", &large, 413, Value::Null),
        ("/v1/classify?top=0", "image/jpeg", "images/parrot.jpg", 400, json!("top")),
        ("/v1/classify?top=1002", "image/jpeg", "images/parrot.jpg", 400, json!("top")),
        ("/v1/classify?top=many", "image/jpeg", "images/parrot.jpg", 400, json!("top")),
        ("/v1/classify?tops=1", "image/jpeg", "images/parrot.jpg", 400, json!("tops")),
        ("/v1/classify?model=gpt-9", "image/jpeg", "images/parrot.jpg", 404, json!("model")),
        ("/v1/classify", "image/jpeg", "fixtures/images/small.gif", 415, Value::Null),
        ("/infer", "application/json", "README.md", 415, Value::Null),
        ("/infer", "image/png", "README.md", 415, Value::Null),
    ];
    for (path, kind, file, status, param) in cases {
        let answer = send(&server, path, kind, file)?;
        assert_eq!((answer.status, &answer.json()?["error"]["param"]), (status, &param), "{path} {kind} {file}");
    }
    let named = send(&server, "/v1/classify", "application/json", "images/parrot.jpg")?;
    assert!(named.body.contains("JPEG, PNG or BMP"), "{}", named.body);
    let parrot = send(&server, "/v1/classify", "image/jpeg", "images/parrot.jpg")?;
    assert_eq!(best(&parrot)?, "macaw", "no refusal has harmed the model");
    Ok(())
}

/// The message of a refusal with status 415.
fn refusal(answer: &Answer) -> Result<String> {
    assert_eq!(answer.status, 415, "{}", answer.body);
    Ok(answer.json()?["error"]["message"].as_str().unwrap_or_default().to_owned())
}

#[test]
fn the_bytes_decide_what_an_image_is_whatever_its_type_says() -> Result<()> {
    let server = Server::start(&["--model", "mobilenet-v2"])?;
    let types = [
        "",
        "image/jpg",
        "image/pjpeg",
        "image/x-png",
        "image/x-ms-bmp",
        "image/gif",
        "application/octet-stream",
        "application/x-www-form-urlencoded",
    ];
    for (path, kind) in ["/v1/classify", "/infer"].into_iter().flat_map(|path| types.map(|kind| (path, kind))) {
        let answer = send(&server, path, kind, "images/parrot.jpg")?;
        assert_eq!(best(&answer)?, "macaw", "{path} {kind}");
    }
    Ok(())
}

#[test]
fn kinds_that_are_not_decoded_are_refused_by_name_in_one_wording_through_every_door() -> Result<()> {
    let server = Server::start(&["--model", "mobilenet-v2"])?;
    let folder = TempDir::new()?;
    let kinds: [(&str, &[u8]); 6] = [
        ("HEIC images", b"\0\0\0\x18ftypheic\0\0\0\0mif1heic"),
        ("AVIF images", b"\0\0\0\x1cftypavif\0\0\0\0avifmif1"),
        ("WebP images", b"RIFF\x24\0\0\0WEBPVP8 "),
        ("TIFF images", b"II*\0\x08\0\0\0"),
        ("SVG images", b"<svg xmlns=\"http://www.w3.org/2000/svg\"/>"),
        ("files of an unknown kind", b"\x01\x02\x03\x04"),
    ];
    for (name, bytes) in kinds {
        let path = folder.path().join("file");
        fs::write(&path, bytes)?;
        let file = path.to_string_lossy().into_owned();
        let expected = format!("{name} are not supported: convert the image to an ordinary JPEG, PNG or BMP file");
        for kind in ["image/heic", ""] {
            assert_eq!(refusal(&send(&server, "/v1/classify", kind, &file)?)?, expected);
        }
        assert_eq!(refusal(&server.curl("/v1/classify", &["-F", &format!("image=@{file}")])?)?, expected);
        assert_eq!(refusal(&send(&server, "/infer", "image/heic", &file)?)?, expected);
        let silent = refusal(&send(&server, "/infer", "", &file)?)?;
        assert_eq!(silent, format!("{expected}, or send a text as `text/plain`"));
    }
    Ok(())
}

#[test]
fn a_form_must_hold_one_image_and_nothing_else() -> Result<()> {
    let server = Server::start(&["--model", "mobilenet-v2"])?;
    let picture = root().join("images/parrot.jpg");
    let (image, other) = (format!("image=@{}", picture.display()), format!("picture=@{}", picture.display()));
    for form in [&["-F", &other][..], &["-F", &image, "-F", &image], &["-F", &image, "-F", "top=3"]] {
        let answer = server.curl("/v1/classify", form)?;
        assert_eq!((answer.status, &answer.json()?["error"]["param"]), (400, &json!("image")), "{form:?}");
    }
    Ok(())
}

#[test]
fn a_text_goes_through_the_simple_door_as_it_is() -> Result<()> {
    // The door has no seed, and `tiny`, whose weights are random, may end any text; this model ends
    // none so early.
    let server = Server::start(&["--model", "tales"])?;
    let text = |path: &str, body: &str| server.curl(path, &["-H", "Content-Type: text/plain", "--data-binary", body]);
    let answer = text("/infer?max_tokens=5", "The fox")?.json()?;
    assert_eq!((&answer["model"], &answer["usage"]["completion_tokens"]), (&json!("tales"), &json!(5)));
    assert_eq!(text("/infer?max_tokens=0", "The fox")?.json()?["text"], "");
    assert_eq!(text("/infer?max_tokens=256", "The fox")?.json()?["error"]["param"], "max_tokens");
    assert_eq!(text("/infer?max_tokens=1", "")?.json()?["usage"]["prompt_tokens"], 1, "a new text begins with EOS");
    let no_image = text("/v1/classify", "The fox")?;
    assert_eq!(no_image.status, 404, "this server has no image model: {}", no_image.body);
    Ok(())
}

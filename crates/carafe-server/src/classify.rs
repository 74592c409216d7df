//! `POST /v1/classify`: says what an image shows.
#![expect(unused_qualifications, reason = "utoipa's code for parameters")]

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::multipart::MultipartError;
use axum::extract::{DefaultBodyLimit, FromRequest, Multipart, Request, State};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use carafe_host::image::{Classification, Label, Pixels};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::body::{keep_part, read_image};
use crate::error::ApiError;
use crate::extract::Query;
use crate::media_type::{content_type, said};
use crate::openapi::RequestErrors;
use crate::record::milliseconds;
use crate::server::Server;
use crate::service::{Caller, Classifier};

/// Media types that say nothing of a body: none at all, any bytes, and what curl says of data if it
/// is given no type.
const SILENT_TYPES: [&str; 4] =
    ["", "application/octet-stream", "binary/octet-stream", "application/x-www-form-urlencoded"];

/// How an image is to be classified.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ClassifyParameters {
    /// The model; the first image model if it is not named.
    model: Option<String>,
    /// How many labels to answer, 1 to the number of the model's labels; 5 if it is not said.
    #[param(minimum = 1)]
    top: Option<u32>,
    /// Whether to answer the image as the model saw it as well.
    input: Option<bool>,
}

impl ClassifyParameters {
    /// Without the image as the model saw it.
    pub(crate) fn new(model: Option<String>, top: Option<u32>) -> Self {
        Self { model, top, input: None }
    }
}

/// What an image shows.
#[derive(Serialize, ToSchema)]
pub(crate) struct ClassifyResponse {
    model: String,
    /// `fast`, `latency` or `exact`.
    profile: String,
    /// Width of the decoded image.
    width: u32,
    /// Height of the decoded image.
    height: u32,
    /// Best first.
    labels: Vec<LabelScore>,
    times: ClassifyTimes,
    /// The most memory that the guest which did it has had; a model has several guests.
    guest_memory_bytes: u64,
    /// The image as the model saw it, if it was asked for.
    input: Option<InputPixels>,
}

/// One label and how probable the model finds it.
#[derive(Serialize, ToSchema)]
struct LabelScore {
    /// Index of the score in the model's output.
    index: u32,
    label: String,
    /// 0 to 1.
    probability: f32,
}

/// Times in milliseconds.
#[derive(Serialize, ToSchema)]
struct ClassifyTimes {
    /// Waiting for the images before.
    queue_ms: f64,
    /// Reading the file's format, in the sandbox.
    decode_ms: f64,
    /// Scaling to the model's size, in the sandbox.
    resize_ms: f64,
    /// Running the model and reading its scores.
    model_ms: f64,
    /// All of it, since the request's head arrived.
    total_ms: f64,
}

/// An image as a model sees it.
#[derive(Serialize, ToSchema)]
struct InputPixels {
    width: u32,
    height: u32,
    /// Base64 of red, green and blue of each pixel, row by row.
    #[schema(content_encoding = "base64")]
    rgb: String,
}

/// Says what an image shows.
///
/// The image is the body itself, or the part `image` of a form.
#[utoipa::path(
    post, path = "/v1/classify", tag = "images", security((), ("key" = [])),
    params(ClassifyParameters),
    request_body(content(
        (Vec<u8> = "image/jpeg"), (Vec<u8> = "image/png"), (Vec<u8> = "image/bmp"),
        (Vec<u8> = "application/octet-stream"), (ImageForm = "multipart/form-data")
    )),
    responses((status = 200, body = ClassifyResponse), RequestErrors)
)]
pub(crate) async fn classify(
    State(server): State<Server>,
    caller: Caller,
    Query(parameters): Query<ClassifyParameters>,
    request: Request,
) -> Result<Json<ClassifyResponse>, ApiError> {
    run(&server, caller, parameters, request).await.map(Json)
}

/// An image in a form.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only described, never made")]
struct ImageForm {
    /// A JPEG, PNG or BMP file.
    #[schema(value_type = String, content_media_type = "application/octet-stream")]
    image: Vec<u8>,
}

/// Reads an image from a request and classifies it.
pub(crate) async fn run(
    server: &Server,
    caller: Caller,
    parameters: ClassifyParameters,
    request: Request,
) -> Result<ClassifyResponse, ApiError> {
    let mut classifier = Classifier::find(caller, parameters.model.as_deref())?;
    let image = image(server, request).await?;
    let classification = classifier.classify(image, parameters.top.unwrap_or(5)).await?;
    let input = parameters.input.unwrap_or_default().then(|| InputPixels::of(&classification.pixels));
    Ok(ClassifyResponse { input, ..ClassifyResponse::of(&classifier, &classification) })
}

/// Whether a body of this type may be an image. The guest decides by its bytes: names of types are
/// many, and often wrong.
pub(crate) fn is_image(kind: &str) -> bool {
    kind.starts_with("image/") || is_silent(kind)
}

/// Whether the type says nothing of the body.
pub(crate) fn is_silent(kind: &str) -> bool {
    SILENT_TYPES.contains(&kind)
}

async fn image(server: &Server, request: Request) -> Result<Bytes, ApiError> {
    let (kind, _) = content_type(request.headers());
    match kind.as_str() {
        kind if is_image(kind) => read_image(server.body_memory(), request).await,
        "multipart/form-data" => form_image(server, request).await,
        other => {
            let message = format!("an image must be JPEG, PNG or BMP, and `Content-Type` says {}", said(other));
            Err(ApiError::UnsupportedMediaType { message })
        }
    }
}

/// The part `image` of a form, which must be its only one.
async fn form_image(server: &Server, request: Request) -> Result<Bytes, ApiError> {
    let head = request.headers().clone();
    let body = read_image(server.body_memory(), request).await?;
    let mut whole = Request::new(Body::from(body));
    *whole.headers_mut() = head;
    // It is bounded already, and by more than the 2 MB that axum would allow.
    DefaultBodyLimit::disable().apply(&mut whole);
    let invalid = |message: &str| ApiError::invalid("image", format!("the form cannot be read: {message}"));
    let broken = |_: MultipartError| invalid(BROKEN_FORM);
    let mut form = Multipart::from_request(whole, &()).await.map_err(|_| invalid(BROKEN_FORM))?;
    let mut image = None;
    while let Some(part) = form.next_field().await.map_err(broken)? {
        match part.name() {
            Some("image") if image.is_none() => image = Some(part.bytes().await.map_err(broken)?),
            Some("image") => return Err(invalid("the part `image` is given twice; give it once")),
            other => {
                let name = said(other.unwrap_or_default());
                return Err(invalid(&format!("it has a part named {name}; expected `image` and no other")));
            }
        }
    }
    let image = image.ok_or_else(|| invalid("it has no part `image`"))?;
    keep_part(server.body_memory(), image)
}

/// What a form lacks that its parser cannot read; the parser's own words may repeat names that the
/// client made up.
const BROKEN_FORM: &str = "each part must begin at the `boundary` that `Content-Type` names, with its headers, and the last must \
    be followed by that boundary and `--`";

impl ClassifyResponse {
    fn of(classifier: &Classifier, classification: &Classification) -> Self {
        let (card, times) = (classifier.card(), &classification.times);
        Self {
            model: card.id.clone(),
            profile: card.profile.clone(),
            width: classification.width,
            height: classification.height,
            labels: classification.labels.iter().map(LabelScore::of).collect(),
            times: ClassifyTimes {
                queue_ms: milliseconds(times.queue),
                decode_ms: milliseconds(times.decode),
                resize_ms: milliseconds(times.resize),
                model_ms: milliseconds(times.model),
                total_ms: milliseconds(classifier.elapsed()),
            },
            guest_memory_bytes: classification.guest_memory,
            input: None,
        }
    }
}

impl LabelScore {
    fn of(label: &Label) -> Self {
        Self { index: label.index, label: label.text.clone(), probability: label.probability }
    }
}

impl InputPixels {
    fn of(pixels: &Pixels) -> Self {
        Self { width: pixels.width, height: pixels.height, rgb: STANDARD.encode(&pixels.rgb) }
    }
}

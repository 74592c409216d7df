// A model's certificate and profile in words.

/** References by their name in the certificate. */
const REFERENCES = {
  exact: "profile exact",
  stateful: "the graph as its file has it, without pages",
  float64: "a reference that computes the same weights in 64 bits",
  faithful: "a reference that follows the source file operation by operation",
  litert: "LiteRT on the source file",
  unrounded: "the weights before they were rounded to 8 bits",
  litert_pictures: "LiteRT on the sample pictures",
};

/** What is compared, by its name in the certificate. */
const SUBJECTS = {
  exact: "Profile exact",
  fast: "Profile fast",
  litert: "LiteRT itself",
  litert_reference_kernels: "LiteRT's reference kernels",
  litert_undelegated_kernels: "LiteRT's plain kernels",
};

/** Sentences on what the conversion proved. */
export function certificateSentences({ passed, openvino, comparisons }) {
  const verdict = passed ? "Every gate was passed" : "Not every gate was passed";
  return [`${verdict}, with OpenVINO ${version(openvino)}.`, ...comparisons.map(comparisonSentence)];
}

function comparisonSentence({ name, max_error: error, limit, argmax_agreement: agreement }) {
  const allowed = limit === null ? "reported, not judged" : `at most ${number(limit)} allowed`;
  const same = agreement === null ? "" : `; the same best answer in ${(agreement * 100).toFixed(1)} % of the cases`;
  return `${subject(name)}: off by ${number(error)} at most (${allowed})${same}.`;
}

function subject(name) {
  if (name === "exact_step_by_step") return "Profile exact, token by token against all at once";
  const [who, reference] = name.split("_against_");
  return `${SUBJECTS[who] ?? who} against ${REFERENCES[reference] ?? reference}`;
}

/** What a model's profile means on this machine. */
export function profileSentence({ profile, profile_reason: reason, properties, openvino, ...model }) {
  const precision = properties.INFERENCE_PRECISION_HINT ?? "unknown";
  const meaning =
    profile === "exact" ? "32-bit floats throughout" : "the precision that OpenVINO picks for this processor";
  const chosen = reason ? ` (chosen since ${reason})` : "";
  return (
    `Profile ${profile}${chosen}: ${meaning}. Here that is ${precision} activations and ` +
    `${properties.INFERENCE_NUM_THREADS} threads, by OpenVINO ${version(openvino)}.${cacheSentence(model, properties)}`
  );
}

/** What a text model's KV cache may take, and holds. */
function cacheSentence({ kv_cache_bytes: bytes, kv_cache_tokens: tokens }, properties) {
  if (!bytes) {
    return "";
  }
  const mebibytes = (bytes / 2 ** 20).toFixed(0);
  return ` The KV cache (${properties.KV_CACHE_PRECISION}) holds ${tokens} tokens in up to ${mebibytes} MiB.`;
}

const version = (text) => text.split("-")[0];

const number = (value) => (value === 0 ? "0" : value.toPrecision(2));

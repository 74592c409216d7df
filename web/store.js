// What the parts of the page know of each other: the models, and the latest request. A part that
// changes it tells the others by an event.

class Store extends EventTarget {
  /** Models as `/v1/models` describes them. */
  models = [];

  /** The latest finished request: `{ kind, model, total, steps: […] }`, drawn under the hood. */
  latest = null;

  setModels(models) {
    this.models = models;
    this.dispatchEvent(new Event("models"));
  }

  setLatest(latest) {
    this.latest = latest;
    this.dispatchEvent(new Event("latest"));
  }

  /** Models of a task: `text-generation` or `image-classification`. */
  modelsOf(task) {
    return this.models.filter((model) => model.task === task);
  }

  /** Models that converse: those with a chat template. */
  chatModels() {
    return this.modelsOf("text-generation").filter((model) => model.chat_template === true);
  }
}

export const store = new Store();

// Starts the page: the two panels and their tabs, the one under the hood and its button, then the list of models.

import { Problem, listModels } from "./api.js";
import { announce, byId } from "./dom.js";
import { clearProblem, showProblem } from "./errors.js";
import { HoodView } from "./hood-view.js";
import { PictureView } from "./picture-view.js";
import { store } from "./store.js";
import { TextView } from "./text-view.js";

const PANELS = ["text", "pictures"];
const MOVES = { ArrowRight: 1, ArrowLeft: -1 };

const textView = new TextView();
const hoodView = new HoodView();
new PictureView();

function open(panel, focus = false) {
  for (const name of PANELS) {
    const tab = byId(`${name}-tab`);
    tab.setAttribute("aria-selected", String(name === panel));
    tab.tabIndex = name === panel ? 0 : -1;
    byId(name).hidden = name !== panel;
  }
  clearProblem();
  if (focus) byId(`${panel}-tab`).focus();
}

PANELS.forEach((panel, place) => {
  const tab = byId(`${panel}-tab`);
  tab.addEventListener("click", () => open(panel));
  tab.addEventListener("keydown", (event) => {
    if (event.key in MOVES) open(PANELS.at((place + MOVES[event.key]) % PANELS.length), true);
  });
});

byId("hood-button").addEventListener("click", () => {
  const hood = byId("hood");
  hood.hidden = !hood.hidden;
  document.body.classList.toggle("hooded", !hood.hidden);
  byId("hood-button").setAttribute("aria-expanded", String(!hood.hidden));
  hoodView.show(!hood.hidden);
  if (!hood.hidden) hood.scrollIntoView({ block: "nearest" });
});

async function start() {
  try {
    store.setModels(await listModels(() => announce("The server is loading its models.")));
    textView.followLink();
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    showProblem(error, start);
  }
}

// On a small screen the text comes first; the controls are one touch away.
byId("controls").open = matchMedia("(min-width: 40rem)").matches;
start();

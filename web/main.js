// Starts the page: the panels and their tabs, the one under the hood and its button, then the list
// of models.

import { Problem, listModels } from "./api.js";
import { ChatView } from "./chat-view.js";
import { announce, byId } from "./dom.js";
import { clearProblem, showProblem } from "./errors.js";
import { HoodView } from "./hood-view.js";
import { readLink } from "./link.js";
import { PictureView } from "./picture-view.js";
import { store } from "./store.js";
import { TextView } from "./text-view.js";

const PANELS = ["chat", "text", "pictures"];
const MOVES = { ArrowRight: 1, ArrowLeft: -1 };

const chatView = new ChatView();
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

for (const panel of PANELS) {
  const tab = byId(`${panel}-tab`);
  tab.addEventListener("click", () => open(panel));
  tab.addEventListener("keydown", (event) => {
    if (event.key in MOVES) open(neighbour(panel, MOVES[event.key]), true);
  });
}

/** The panel a number of tabs further, of those that are there. */
function neighbour(panel, move) {
  const shown = PANELS.filter((name) => !byId(`${name}-tab`).hidden);
  return shown.at((shown.indexOf(panel) + move) % shown.length);
}

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
    const canChat = store.chatModels().length > 0;
    byId("chat-tab").hidden = !canChat;
    if (canChat) open("chat");
    followLink();
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    showProblem(error, start);
  }
}

/** Does what the address bar asks for. */
function followLink() {
  try {
    const request = readLink();
    if (request?.messages) followConversation(request);
    else if (request) followText(request);
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    showProblem(error, followLink);
  }
}

function followConversation(request) {
  if (store.chatModels().length === 0) throw new Problem("no_chat_model", "no model has a chat template");
  open("chat");
  chatView.follow(request);
}

function followText(request) {
  open("text");
  textView.follow(request);
}

addEventListener("hashchange", followLink);

// On a small screen the text comes first; the controls are one touch away.
byId("controls").open = matchMedia("(min-width: 40rem)").matches;
start();

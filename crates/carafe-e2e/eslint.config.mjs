// Rules for the page and for the tests in JavaScript.

import js from "@eslint/js";
import globals from "globals";

const rules = {
  camelcase: ["error", { allow: ["_"], properties: "never", ignoreDestructuring: true }],
  curly: ["error", "multi-line"],
  eqeqeq: "error",
  "no-var": "error",
  "prefer-const": "error",
  "no-restricted-properties": [
    "error",
    ...["innerHTML", "outerHTML", "insertAdjacentHTML"].map((property) => ({ property, message: "text goes in by textContent" })),
  ],
  "no-implicit-globals": "error",
  "no-shadow": "error",
  "object-shorthand": "error",
  "prefer-template": "error",
  "require-unicode-regexp": "error",
};

export default [
  { ignores: ["**/node_modules/"] },
  js.configs.recommended,
  { files: ["**/web/**/*.js"], languageOptions: { globals: globals.browser }, rules },
  { files: ["**/*.mjs"], languageOptions: { globals: { ...globals.node, ...globals.browser } }, rules },
];

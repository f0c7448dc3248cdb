import js from "@eslint/js";
import globals from "globals";

export default [
  { ignores: ["js/style.js"] }, // made by Python
  js.configs.recommended,
  {
    languageOptions: { ecmaVersion: 2022, globals: { ...globals.browser, ...globals.node } },
    rules: {
      "no-unused-vars": ["error", { args: "after-used" }], eqeqeq: "error", "no-var": "error", "prefer-const": "error",
      complexity: ["error", 20], "max-len": ["error", { code: 180, ignoreComments: true }],
      "no-restricted-properties": ["error", { property: "innerHTML" }, { property: "outerHTML" }, { property: "insertAdjacentHTML" }],
    },
  },
];

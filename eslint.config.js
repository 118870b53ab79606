import js from "@eslint/js";
import { defineConfig, globalIgnores } from "eslint/config";
import globals from "globals";

export default defineConfig([
  globalIgnores([".venv", "_build", "build", "bnn_tutorial/figures/bundles", "book/**/katex"]),
  js.configs.recommended,
  { languageOptions: { globals: globals.browser } },
  { files: ["tests/helpers/*.mjs"], languageOptions: { globals: globals.node } },
]);

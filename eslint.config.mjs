// @ts-check
import tseslint from 'typescript-eslint';

/**
 * The layers of docs/architecture.md: an import that crosses them is an error.
 * @param {string[]} group @param {string} message
 * @returns {import('eslint').Linter.RulesRecord}
 */
const forbid = (group, message) => ({
  'no-restricted-imports': ['error', { patterns: [{ group, message }] }],
});

export default tseslint.config(
  { ignores: ['build/', 'dist/', 'artifacts/', 'node_modules/', 'test/fixtures/'] },
  ...tseslint.configs.recommendedTypeChecked,
  {
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      '@typescript-eslint/no-floating-promises': 'error',
      '@typescript-eslint/switch-exhaustiveness-check': 'error',
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true }],
      eqeqeq: 'error',
    },
  },
  {
    files: ['**/*.mjs'],
    ...tseslint.configs.disableTypeChecked,
  },
  {
    files: ['backend/**'],
    rules: forbid(['vscode', '**/extension/**'], 'The backend never touches VS Code.'),
  },
  {
    files: ['extension/**'],
    rules: forbid(
      ['**/backend/*', '**/backend/*/**', '!**/backend/protocol.ts', '!./backend/*', '!../backend/*'],
      'The extension speaks to the backend through backend/protocol.ts only.',
    ),
  },
  {
    files: ['test/**/*.ts'],
    rules: {
      '@typescript-eslint/no-floating-promises': [
        'error',
        {
          allowForKnownSafeCalls: [
            { from: 'package', name: ['test', 'it', 'describe', 'suite'], package: 'node:test' },
          ],
        },
      ],
    },
  },
);

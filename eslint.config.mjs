// @ts-check
import tseslint from 'typescript-eslint';

/** The layers of docs/architecture: an import that crosses them upwards is an error. */
const forbid = (...patterns) => ({ 'no-restricted-imports': ['error', { patterns }] });

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
    rules: forbid({ group: ['vscode', '**/extension/**'], message: 'The backend never touches VS Code.' }),
  },
  {
    files: ['extension/**'],
    rules: forbid({
      group: ['**/backend/*', '**/backend/*/**', '!**/backend/protocol.ts', '!./backend/*', '!../backend/*'],
      message: 'The extension speaks to the backend through backend/protocol.ts only.',
    }),
  },
  {
    files: ['test/**'],
    rules: {
      '@typescript-eslint/no-floating-promises': [
        'error',
        { allowForKnownSafeCalls: [{ from: 'package', name: ['test', 'it', 'describe', 'suite'], package: 'node:test' }] },
      ],
    },
  },
);

import neostandard from 'neostandard'

export default [
  ...neostandard({ ts: true, ignores: ['dist/', 'coverage/', '.tap/', 'data/', 'node_modules/'] }),
  {
    files: ['**/*.ts'],
    languageOptions: { parserOptions: { projectService: { allowDefaultProject: ['.config/*.ts'] } } },
    rules: {
      // `void promise` is how a promise is let go on purpose.
      'no-void': 'off',
      '@typescript-eslint/no-floating-promises': ['error', { ignoreIIFE: true }],
      '@typescript-eslint/no-misused-promises': ['error', { checksVoidReturn: false }],
      '@typescript-eslint/await-thenable': 'error',
      '@typescript-eslint/no-explicit-any': 'error',
      '@typescript-eslint/consistent-type-imports': 'error',
      'no-restricted-globals': ['error', { name: 'process', message: 'Only src/main.ts touches process.*; take what you need as an argument.' }]
    }
  },
  {
    files: ['src/main.ts', 'test/**/*.ts', '.config/**'],
    rules: { 'no-restricted-globals': 'off' }
  },
  {
    files: ['test/**/*.ts'],
    rules: { '@typescript-eslint/no-floating-promises': 'off' }
  }
]

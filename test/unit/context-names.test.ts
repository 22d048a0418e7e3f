import assert from 'node:assert/strict';
import test from 'node:test';
import { asksForFiles, asksForOneFile, namesIn, valueOf } from '../../backend/context/names.ts';

test('a setting is told from other parameters, comments and the type of the name', () => {
  const parameters = 'def connect(self, time_out: float, retries: int = DEFAULT_RETRIES,';
  const comment = '// see MAX_SIZE: when x = OTHER_SIZE\n';
  const settings: [name: string, text: string, value: string | undefined][] = [
    ['time_out', parameters, undefined],
    ['retries', parameters, 'DEFAULT_RETRIES'],
    ['MAX_SIZE', `${comment}const MAX_SIZE: number = MOST_BYTES;`, 'MOST_BYTES'],
    ['MAX_SIZE', comment, undefined],
    ['MAX_SIZE', '# MAX_SIZE = OLD_SIZE', undefined],
    ['MAX_SIZE', '/**\n * MAX_SIZE = OLD_SIZE\n */\nMAX_SIZE = NEW_SIZE', 'NEW_SIZE'],
    ['MAX_SIZE', '/*\nMAX_SIZE = OLD_SIZE;\n*/\nMAX_SIZE = NEW_SIZE;', 'NEW_SIZE'],
    ['MAX_SIZE', "glob = 'src/*';\nMAX_SIZE = NEW_SIZE;", 'NEW_SIZE'],
    ['MAX_SIZE', 'MAX_SIZE =\n    NEW_SIZE,  # bytes', 'NEW_SIZE'],
    ['MAX_SIZE', 'MAX_SIZE = // to be done\nOTHER_SIZE = 1', undefined],
    ['half_size', 'half_size = max_size // 2', 'max_size // 2'],
    ['limit', 'limit: string | undefined = config.MOST', 'config.MOST'],
    ['limit', 'on(limit: Limit) { const x = config.MOST;', undefined],
  ];
  for (const [name, text, value] of settings) assert.equal(valueOf(name, text), value, text);
});

/** With steps that grow with the square of the length, each of these takes more than a minute, with the cube a year. */
test('a very long line is looked through all the same', { timeout: 60_000 }, () => {
  const long = (text: string) => text.repeat(300_000);
  assert.equal(valueOf('X', `X = a${long(' ')}b`), `a${long(' ')}b`);
  assert.equal(valueOf('X', `X${long(' ')}`), undefined);
  assert.equal(valueOf('X', long('X: ')), undefined);
  assert.equal(valueOf(' ', long(' ')), undefined);
  assert.equal(valueOf('X', `X = 1;${long('//')}`), '1');
  assert.equal(valueOf('X', `X = 1;${long(' ')}`), '1');
});

test('a question of one very long word is looked through all the same', { timeout: 60_000 }, () => {
  const long = (text: string) => text.repeat(300_000);
  for (const text of ['a', 'A', '“', '-', '.', '/', '1']) assert.deepEqual(namesIn(long(text)), [], text);
  assert.deepEqual(namesIn(`\`a${long('.')}b\``), [`a${long('.')}b`]);
  assert.equal(namesIn(Array.from({ length: 50_000 }, (_, i) => `x${i}`).join(' ')).length, 50_000);
  assert.ok(!asksForFiles(long('list ')));
});

test('names come in the order in which the question has them first, each once', () => {
  assert.deepEqual(namesIn('Does readFile call `open`, or src/io.ts, or `readFile` of fs.open?'), [
    ...['readFile', 'open', 'src/io.ts', 'fs.open'],
  ]);
});

test('which one file, and where something is defined, asks for one file', () => {
  const one = [
    'Which file holds this?',
    'In which source file is `x`?',
    'Where is readFile defined?',
    'What module parses it?',
  ];
  const other = [
    'Which files hold this?',
    'What does the file a.ts do?',
    'Where do I begin?',
    'What is MAX_SIZE?',
  ];
  assert.deepEqual([...one, ...other].filter(asksForOneFile), one);
});

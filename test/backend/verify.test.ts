import assert from 'node:assert/strict';
import test from 'node:test';
import { IndexRequest, VerifyAnswerRequest } from '../../backend/protocol.ts';
import { code, Lab } from './harness.ts';

const files = {
  'src/apple.ts': code('apple'),
  'src/banana.ts': code('banana'),
  'src/cherry.ts': code('cherry'),
};
const answer = 'It is apple7. And so on.';
const sentence = { start: 0, end: 'It is apple7.'.length };
const linesOf = (file: string) => ({ file, startLine: 3, endLine: 5 });

async function lab(t: test.TestContext) {
  const lab = new Lab(t, files);
  const client = await lab.client({ FAKE_ANSWER: answer });
  await client.request(IndexRequest, lab.params(''));
  lab.forgetPasses();
  const verify = (file: string, passage = sentence) =>
    client.request(VerifyAnswerRequest, {
      ...lab.params('What does apple7 return?'),
      ...{ answer, passage, hide: [linesOf(file)] },
    });
  return { lab, verify };
}

/** Log-probability of a token whose logit is so much above that of all others. */
const logShare = (lead: number) => lead - Math.log(Math.exp(lead) + 256);

test('a sentence is less likely without the segment that it was read from, and as likely without another', async (t) => {
  const { verify } = await lab(t);
  const needed = await verify('src/apple.ts');
  assert.equal(needed.tokens, 13);
  assert.deepEqual(needed.files, ['src/apple.ts']);
  assert.ok(needed.hiddenTokens > 2_900 && needed.hiddenTokens < 3_200);
  assert.ok(Math.abs(needed.seen - 13 * logShare(2)) < 1e-4, `${needed.seen}`);
  assert.ok(Math.abs(needed.hidden - 13 * logShare(1)) < 1e-4, `${needed.hidden}`);
  const other = await verify('src/cherry.ts');
  assert.equal(other.hidden, other.seen);
});

test('the hidden segment is not looked at, and question and beginning of the answer are the same', async (t) => {
  const { lab: own, verify } = await lab(t);
  const second = { start: sentence.end + 1, end: answer.length };
  const { tokens } = await verify('src/apple.ts', second);
  assert.equal(tokens, 'And so on.'.length);
  const all = own.passes();
  const [seen, hidden] = [all.slice(0, all.length / 2), all.slice(all.length / 2)];
  assert.deepEqual(
    hidden.map(({ text, position }) => [text, position]),
    seen.map(({ text, position }) => [text, position]),
  );
  assert.equal(hidden[0]!.views.length, seen[0]!.views.length - 1);
  assert.match(seen[0]!.text, /Question: What does apple7 return\?\[assistant\]It is apple7\.$/);
});

test('what is not there any more cannot be hidden', async (t) => {
  const { verify } = await lab(t);
  await assert.rejects(verify('src/gone.ts'), { code: 'usage', message: /ask the question again/ });
});

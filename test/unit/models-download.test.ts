import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { TestContext } from 'node:test';
import { test } from 'node:test';
import type { CatalogueModel } from '../../backend/models/catalogue.ts';
import { ensureModel, isVerified } from '../../backend/models/download.ts';
import { llamaLike } from './gguf-writer.ts';
import { fails } from './models-helpers.ts';

/** Bytes that do not repeat, so that a piece in the wrong place is noticed. */
const content = Buffer.concat(
  Array.from({ length: 8_192 }, (_, i) => createHash('sha256').update(String(i)).digest()),
);
const sha256 = createHash('sha256').update(content).digest('hex');

function folder(t: TestContext): string {
  const directory = mkdtempSync(path.join(tmpdir(), 'repowave-models-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

/** A catalogue of one model, which comes from these addresses. */
function catalogue(...urls: string[]): [CatalogueModel] {
  const sources = urls.map((url) => ({ kind: 'url' as const, url }));
  const model = { id: 'tiny', name: 'Tiny', file: 'tiny.gguf', bytes: content.length, sha256 };
  return [{ ...model, licence: 'Apache-2.0', trainedContext: 128, sources }];
}

async function serve(t: TestContext, listener: RequestListener): Promise<string> {
  const server = createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/tiny.gguf`;
}

/** Answers as a file server does; `most` bytes are sent before the connection breaks. */
function sendRange(
  request: IncomingMessage,
  response: ServerResponse,
  body = content,
  most = Infinity,
): void {
  const from = Number(/bytes=(\d+)-/.exec(request.headers.range ?? '')?.[1] ?? 0);
  response.writeHead(206, {
    'content-range': `bytes ${from}-${body.length - 1}/${body.length}`,
    'content-length': body.length - from,
  });
  const piece = body.subarray(from, from + most);
  if (from + piece.length === body.length) response.end(piece);
  else response.write(piece, () => response.destroy());
}

test('a model that is not open source is fetched only when its licence was accepted, and then never asks again', async (t) => {
  const url = await serve(t, sendRange);
  const [open] = catalogue(url);
  const terms = 'https://example.org/terms';
  const options = { directory: folder(t), catalogue: [{ ...open, licence: 'Some Terms', terms }] };
  const says =
    /Some Terms \(https:\/\/example\.org\/terms\).*`repowave models --download tiny --accept-licence`/;
  await assert.rejects(ensureModel('tiny', options), fails('licence', says));
  assert.equal(existsSync(path.join(options.directory, 'tiny.gguf.partial')), false);
  await ensureModel('tiny', { ...options, acceptLicence: true });
  assert.equal((await ensureModel('tiny', options)).sha256, sha256);
});

test('a model is downloaded, and found again without the network', async (t) => {
  const directory = path.join(folder(t), 'not', 'there yet');
  let requests = 0;
  const url = await serve(t, (request, response) => {
    requests++;
    sendRange(request, response);
  });
  const seen: number[] = [];
  const options = {
    directory,
    catalogue: catalogue(url),
    onProgress: ({ done, total }: { done: number; total: number }) => {
      assert.equal(total, content.length);
      seen.push(done);
    },
  };
  const model = await ensureModel('tiny', options);
  assert.deepEqual(model, { path: path.join(directory, 'tiny.gguf'), id: 'tiny', sha256 });
  assert.deepEqual(readFileSync(model.path), content);
  assert.deepEqual(
    seen,
    seen.toSorted((a, b) => a - b),
  );
  assert.equal(seen.at(-1), content.length);

  await ensureModel('tiny', options);
  assert.equal(requests, 1);
  assert.ok(!existsSync(`${model.path}.partial`));
});

test('a download goes on where an earlier one stopped', async (t) => {
  const directory = folder(t);
  writeFileSync(path.join(directory, 'tiny.gguf.partial'), content.subarray(0, 100_000));
  const ranges: (string | undefined)[] = [];
  const url = await serve(t, (request, response) => {
    ranges.push(request.headers.range);
    sendRange(request, response);
  });
  const model = await ensureModel('tiny', { directory, catalogue: catalogue(url) });
  assert.deepEqual(readFileSync(model.path), content);
  assert.deepEqual(ranges, ['bytes=100000-']);
});

test('a connection that breaks in the middle is taken up again', async (t) => {
  const directory = folder(t);
  let requests = 0;
  const url = await serve(t, (request, response) => {
    requests++;
    sendRange(request, response, content, 100_000);
  });
  const model = await ensureModel('tiny', { directory, catalogue: catalogue(url) });
  assert.deepEqual(readFileSync(model.path), content);
  assert.equal(requests, 3);
});

test('a server that cannot resume sends the file from the start', async (t) => {
  const directory = folder(t);
  writeFileSync(path.join(directory, 'tiny.gguf.partial'), content.subarray(0, 100_000));
  const url = await serve(t, (_, response) => {
    response.writeHead(200, { 'content-length': content.length }).end(content);
  });
  const model = await ensureModel('tiny', { directory, catalogue: catalogue(url) });
  assert.deepEqual(readFileSync(model.path), content);
});

test('a file with the wrong checksum is removed and the next source is not asked', async (t) => {
  const directory = folder(t);
  const wrong = Buffer.from(content);
  wrong[5] = wrong[5]! ^ 1;
  const url = await serve(t, (request, response) => sendRange(request, response, wrong));
  const never = await serve(t, () => assert.fail('the next source was asked'));
  await assert.rejects(
    ensureModel('tiny', { directory, catalogue: catalogue(url, never) }),
    fails('checksumMismatch'),
  );
  assert.ok(!existsSync(path.join(directory, 'tiny.gguf')));
  assert.ok(!existsSync(path.join(directory, 'tiny.gguf.partial')));
});

test('a source that has nothing, or something else, is passed over for the next', async (t) => {
  const directory = folder(t);
  const nothing = await serve(t, (_, response) => void response.writeHead(404).end('not here'));
  const somethingElse = await serve(
    t,
    (_, response) => void response.writeHead(200).end('<html>Log in</html>'),
  );
  const url = await serve(t, (request, response) => sendRange(request, response));
  const model = await ensureModel('tiny', { directory, catalogue: catalogue(nothing, somethingElse, url) });
  assert.deepEqual(readFileSync(model.path), content);
});

test('a source that sends less than it announced, or more, does not hang the download', async (t) => {
  const range = { 'content-range': `bytes 0-${content.length - 1}/${content.length}` };
  const less = await serve(t, (_, response) => void response.writeHead(206, range).end());
  const more = await serve(t, (_, response) => {
    response.writeHead(206, range).end(Buffer.concat([content, content]));
  });
  const failure = fails('download', /less than the file.*more than the file/);
  await assert.rejects(
    ensureModel('tiny', { directory: folder(t), catalogue: catalogue(less, more) }),
    failure,
  );
});

test('when every source fails the error names each with its reason, and the way by hand', async (t) => {
  const nothing = await serve(t, (_, response) => void response.writeHead(404).end());
  const closed = 'http://127.0.0.1:1/tiny.gguf';
  await assert.rejects(
    ensureModel('tiny', { directory: folder(t), catalogue: catalogue(nothing, closed) }),
    fails('download', /HTTP 404.* nor from 127\.0\.0\.1:1 \(.+\)\. .*--model PATH/),
  );
});

test('a cancelled download keeps what it has, and the next goes on', async (t) => {
  const directory = folder(t);
  const url = await serve(t, (request, response) => sendRange(request, response));
  const stuck = await serve(t, (_, response) => {
    response.writeHead(200, { 'content-length': content.length });
    response.write(content.subarray(0, 50_000));
  });
  const cancel = new AbortController();
  await assert.rejects(
    ensureModel('tiny', {
      directory,
      catalogue: catalogue(stuck),
      signal: cancel.signal,
      onProgress: ({ done }) => done === 50_000 && cancel.abort(),
    }),
    fails('cancelled'),
  );
  assert.equal(statSync(path.join(directory, 'tiny.gguf.partial')).size, 50_000);
  const model = await ensureModel('tiny', { directory, catalogue: catalogue(url) });
  assert.deepEqual(readFileSync(model.path), content);
});

test('of two that want the same model one downloads and the other waits', async (t) => {
  const directory = folder(t);
  let requests = 0;
  const url = await serve(t, (request, response) => {
    requests++;
    sendRange(request, response);
  });
  const options = { directory, catalogue: catalogue(url) };
  const [one, two] = await Promise.all([ensureModel('tiny', options), ensureModel('tiny', options)]);
  assert.deepEqual(one, two);
  assert.equal(requests, 1);
});

test('a model that was changed on disk is noticed and removed', async (t) => {
  const directory = folder(t);
  const url = await serve(t, (request, response) => sendRange(request, response));
  const options = { directory, catalogue: catalogue(url) };
  const { path: file } = await ensureModel('tiny', options);
  const damaged = Buffer.from(content);
  damaged[9] = damaged[9]! ^ 1;
  writeFileSync(file, damaged);
  utimesSync(file, 1, 1);
  assert.equal(await isVerified(file, options.catalogue[0]), false);
  await assert.rejects(ensureModel('tiny', options), fails('checksumMismatch'));
  assert.ok(!existsSync(file));
  await ensureModel('tiny', options);
  assert.deepEqual(readFileSync(file), content);
});

test('a model that was copied into the folder by hand is verified and used', async (t) => {
  const directory = folder(t);
  writeFileSync(path.join(directory, 'tiny.gguf'), content);
  const model = await ensureModel('tiny', { directory, catalogue: catalogue() });
  assert.equal(model.sha256, sha256);
});

test('a download that cannot fit is refused before it starts', async (t) => {
  const huge = { ...catalogue(await serve(t, () => assert.fail('it started')))[0], bytes: 2 ** 52 };
  await assert.rejects(
    ensureModel('tiny', { directory: folder(t), catalogue: [huge] }),
    fails('noSpace', /4\.5 PB.*REPOWAVE_MODELS/),
  );
});

test('a folder that cannot be made is an error about the folder', async (t) => {
  const directory = path.join(folder(t), 'file');
  writeFileSync(directory, '');
  await assert.rejects(
    ensureModel('tiny', { directory, catalogue: catalogue() }),
    fails('environment', /models folder/),
  );
});

test('a path is used as it is when it is a model that can be served', async (t) => {
  const directory = path.join(folder(t), "with space and 'quote'");
  mkdirSync(directory);
  const file = path.join(directory, 'my model.gguf');
  writeFileSync(file, llamaLike());
  assert.deepEqual(await ensureModel(file, { directory }), { path: file, id: 'my model' });

  writeFileSync(file, llamaLike({ 'general.architecture': 'mamba' }));
  await assert.rejects(
    ensureModel(file, { directory }),
    fails('modelUnsupported', /my model\.gguf is .* mamba/),
  );
  writeFileSync(file, llamaLike().subarray(0, 300));
  await assert.rejects(ensureModel(file, { directory }), fails('modelCorrupt'));
  await assert.rejects(ensureModel('./missing.gguf', { directory }), fails('modelUnknown', /missing\.gguf/));
});

test('an id that is not in the catalogue is refused', async (t) => {
  await assert.rejects(
    ensureModel('huge', { directory: folder(t), catalogue: catalogue() }),
    fails('modelUnknown', /tiny/),
  );
});

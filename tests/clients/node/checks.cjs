'use strict';
// One line on stdout per operation, `ok`, `not offered` or `FAILED`: `../run` reads them and insists on all of them.
const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');

if (typeof globalThis.capgateGuard !== 'function') throw new Error('the guard is not in place');
globalThis.capgateGuard();

const directory = process.env.CAPGATE_PICTURES;
const pictures = fs
  .readdirSync(directory)
  .sort()
  .map((name) => path.join(directory, name));

const emit = (outcome, operation, why = '') => console.log(JSON.stringify({ outcome, operation, why }));

function failed(operation, error) {
  emit('FAILED', operation, String(error?.message ?? error));
  console.error(error);
}

async function check(operation, steps) {
  try {
    await steps();
    emit('ok', operation);
  } catch (error) {
    failed(operation, error);
  }
}

/** The library has no such call. `names` are what it would be called: one that appears makes this fail. */
function notOffered(operation, owner, ...names) {
  const found = names.filter((name) => name in owner);
  if (found.length) failed(operation, new Error(`called \`not offered\` here, but the library has ${found}`));
  else emit('not offered', operation);
}

function isBalance(got) {
  assert.ok(Number(got) > 0, `expected a balance, got ${JSON.stringify(got)}`);
}

/** `call` must end in an error of the library that names `code`, in its message or name. */
async function rejects(code, call) {
  await assert.rejects(call, (error) => [error.err, error.code, error.name, error.message].join(' ').includes(code));
}

module.exports = {
  check,
  notOffered,
  isBalance,
  rejects,
  equal: assert.deepEqual,
  pictures: pictures.map((file) => ({ file, bytes: fs.readFileSync(file), base64: fs.readFileSync(file, 'base64') })),
  http: process.env.CAPGATE_HTTP,
  https: process.env.CAPGATE_HTTPS,
  key: process.env.CAPGATE_KEY,
  unknownKey: process.env.CAPGATE_UNKNOWN_KEY,
};

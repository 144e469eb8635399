'use strict';
// 2captcha-node: images by base64 only, plain http to the real name, no option and no proxy variable: a hosts entry and
// a listener on port 80. It waits 5 s before its first poll, so its captchas are solved side by side.
const expected = require('./expected.cjs');
const { check, notOffered, equal, isBalance, pictures, key, unknownKey } = require('./checks.cjs');

const captchaSolver = require('2captcha-node').default;
const solver = captchaSolver(key);

async function main() {
  const ids = [];
  await check('image base64', async () => {
    const solved = await Promise.all(pictures.slice(0, 3).map(({ base64 }) => solver.solve({ image: base64 })));
    equal(
      solved.map(({ text }) => text),
      pictures.slice(0, 3).map(({ bytes }) => expected.image(bytes)),
    );
    ids.push(...solved.map(({ id }) => id));
  });
  const absent = [
    'image file',
    'image digits',
    'text',
    'grid',
    'coordinates',
    'rotate',
    'recaptcha v2',
    'hcaptcha',
    'turnstile',
    'funcaptcha',
    'keycaptcha',
    'geetest',
    'geetest v4',
    'several ids',
    'pingback',
  ];
  equal(Object.keys(solver).sort(), ['balance', 'report', 'solve']); // all that this library has
  for (const operation of absent) notOffered(operation, solver, operation);
  await check('balance', async () => isBalance(await solver.balance()));
  // It turns every reply into `true`, and a reply that is not JSON into an error.
  await check('report good', async () => equal([typeof ids[0], await solver.report(ids[0], true)], ['string', true]));
  await check('report bad', async () => equal([typeof ids[1], await solver.report(ids[1], false)], ['string', true]));
  await check('unknown key', async () => equal(await captchaSolver(unknownKey).balance(), 'ERROR_KEY_DOES_NOT_EXIST'));
}

main();

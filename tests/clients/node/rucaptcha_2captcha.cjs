'use strict';
// rucaptcha-2captcha: https to the real name through an old axios, which sends https URLs in absolute form and in plain
// http to HTTPS_PROXY. It waits 5 or 20 s before its first poll: all captchas are sent first, then waited for together.
const expected = require('./expected.cjs');
const { check, notOffered, equal, isBalance, pictures, key, unknownKey } = require('./checks.cjs');
const { checkPingback } = require('./receiver.cjs');

const RuCaptcha2Captcha = require('rucaptcha-2captcha');
const solver = new RuCaptcha2Captcha(key, 2);
const pageurl = expected.PAGE_URL;
const [one, two, three, four] = pictures;
const question = 'Сколько будет 2+2?';

// `get` splits an answer at `|` and breaks on an object, `getWithPrice` takes any: each is used where it works.
const plain = (id) => solver.get(id);
const priced = async (id) => {
  const { token, price } = await solver.getWithPrice(id);
  isBalance(price);
  return token;
};

const captchas = [
  ['image file', { url: one.file }, plain, expected.image(one.bytes)],
  ['image base64', { method: 'base64', body: two.base64 }, plain, expected.image(two.bytes)],
  ['image digits', { method: 'base64', body: three.base64, numeric: 1 }, plain, expected.digits(three.bytes)],
  ['text', { textcaptcha: question }, plain, expected.text(question)],
  [
    'grid',
    { method: 'base64', body: four.base64, recaptcha: 1, textinstructions: 'hills' },
    plain,
    expected.grid(four.bytes),
  ],
  [
    'coordinates',
    { method: 'base64', body: one.base64, coordinatescaptcha: 1 },
    priced,
    expected.coordinates(one.bytes),
  ],
  ['rotate', { method: 'rotatecaptcha', body: two.base64, angle: 25 }, plain, expected.rotate(two.bytes, 25)],
  ['recaptcha v2', { method: 'userrecaptcha', googlekey: 'site-x', pageurl }, plain, expected.token('site-x')],
  ['hcaptcha', { method: 'hcaptcha', sitekey: 'site-y', pageurl }, priced, expected.token('site-y')],
  ['turnstile', { method: 'turnstile', sitekey: 'site-z', pageurl }, plain, expected.token('site-z')],
  [
    'funcaptcha',
    { method: 'funcaptcha', publickey: 'pk-4', pageurl, 'data[blob]': 'b' },
    priced,
    expected.funcaptcha('pk-4'),
  ],
  [
    'keycaptcha',
    {
      method: 'keycaptcha',
      s_s_c_user_id: 'user-4',
      s_s_c_session_id: 's',
      s_s_c_web_server_sign: 'w',
      s_s_c_web_server_sign2: 'v',
      pageurl,
    },
    priced,
    expected.keycaptcha('user-4'),
  ],
  [
    'geetest',
    { method: 'geetest', gt: 'gt-5', challenge: 'challenge-5', pageurl },
    priced,
    expected.geetest('gt-5', 'challenge-5'),
  ],
  ['geetest v4', { method: 'geetest_v4', captcha_id: 'v4-5', pageurl }, priced, expected.geetestV4('v4-5')],
];

async function main() {
  const sent = [];
  for (const [operation, params, wait, answer] of captchas) {
    const id = await solver.send(params).catch((error) => error);
    sent.push({ operation, id, wait, answer });
  }
  await Promise.all(
    sent.map(({ operation, id, wait, answer }) =>
      check(operation, async () => {
        if (id instanceof Error) throw id;
        equal(await wait(id), answer);
      }),
    ),
  );
  const images = sent.slice(0, 3);
  await check('several ids', async () => {
    equal(
      await solver.get(images.map(({ id }) => id)),
      images.map(({ answer }) => answer),
    );
  });
  await checkPingback(
    (pingback) => solver.send({ method: 'base64', body: pictures[3].base64, pingback }),
    expected.image(pictures[3].bytes),
  );
  await check('balance', async () => isBalance(await solver.getBalance()));
  const recorded = { status: 1, request: 'OK_REPORT_RECORDED' };
  await check('report good', async () => equal(await solver.reportGood(images[0].id), recorded));
  await check('report bad', async () => equal(await solver.reportBad(images[1].id), recorded));
  await check('unknown key', async () => {
    equal(await new RuCaptcha2Captcha(unknownKey, 2).getBalance(), 'ERROR_KEY_DOES_NOT_EXIST');
  });
}

main();

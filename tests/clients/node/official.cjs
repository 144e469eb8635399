'use strict';
// @2captcha/captcha-solver and 2captcha-ts: one code base, the second with fewer methods. Argument: the package's name.
// `in` and `res` are getters of the class; a property of the same name on the instance goes first.
const expected = require('./expected.cjs');
const {
  check,
  notOffered,
  equal,
  isBalance,
  rejects,
  pictures,
  http,
  https,
  key,
  unknownKey,
} = require('./checks.cjs');
const { checkPingback } = require('./receiver.cjs');

const name = process.argv[2];
const { Solver } = require(name);
const gateway = name === '2captcha-ts' ? http : https;

function point(solver) {
  Object.defineProperties(solver, { in: { value: `${gateway}/in.php` }, res: { value: `${gateway}/res.php` } });
  return solver;
}

const solver = point(new Solver(key, 50));
const pageurl = expected.PAGE_URL;
const [one, two, three, four] = pictures;

/** The newest package only, under one of `names`: the other's row then says `not offered`. */
async function checkWhereOffered(operation, method, params, answer) {
  if (name === '2captcha-ts') return notOffered(operation, solver, method);
  return check(operation, async () => equal((await solver[method](params)).data, answer));
}

const answers = (operation, method, params, answer) =>
  check(operation, async () => {
    equal((await solver[method](params)).data, answer);
  });

async function main() {
  notOffered('image file', solver, 'imageFile', 'imageCaptchaFile');
  await answers('image base64', 'imageCaptcha', { body: one.base64 }, expected.image(one.bytes));
  await answers('image digits', 'imageCaptcha', { body: two.base64, numeric: 1 }, expected.digits(two.bytes));
  const question = 'Quelle couleur a le ciel d’été ?';
  await checkWhereOffered('text', 'text', { textcaptcha: question }, expected.text(question));
  await checkWhereOffered(
    'grid',
    'grid',
    { body: three.base64, textinstructions: 'buses', rows: 3, cols: 3 },
    expected.grid(three.bytes),
  );
  await answers('coordinates', 'coordinates', { body: one.base64 }, expected.coordinates(one.bytes));
  await checkWhereOffered('rotate', 'rotate', { body: two.base64, angle: 20 }, expected.rotate(two.bytes, 20));
  await answers('recaptcha v2', 'recaptcha', { pageurl, googlekey: 'site-j' }, expected.token('site-j'));
  await answers('hcaptcha', 'hcaptcha', { pageurl, sitekey: 'site-k' }, expected.token('site-k'));
  await answers('turnstile', 'cloudflareTurnstile', { pageurl, sitekey: 'site-l' }, expected.token('site-l'));
  await answers('funcaptcha', 'funCaptcha', { pageurl, publickey: 'pk-3' }, expected.funcaptcha('pk-3'));
  const keycaptcha = {
    pageurl,
    s_s_c_user_id: 'user-3',
    s_s_c_session_id: 's',
    s_s_c_web_server_sign: 'w',
    s_s_c_web_server_sign2: 'v',
  };
  await checkWhereOffered('keycaptcha', 'keyCaptcha', keycaptcha, expected.keycaptcha('user-3'));
  await answers(
    'geetest',
    'geetest',
    { pageurl, gt: 'gt-4', challenge: 'challenge-4' },
    expected.geetest('gt-4', 'challenge-4'),
  );
  await answers('geetest v4', 'geetestV4', { pageurl, captcha_id: 'v4-4' }, expected.geetestV4('v4-4'));
  notOffered('several ids', solver, 'pollResponses', 'getResults');
  await checkPingback((pingback) => solver.imageCaptcha({ body: four.base64, pingback }), expected.image(four.bytes));
  await check('balance', async () => isBalance(await solver.balance()));
  await check('report good', async () => {
    const { id } = await solver.imageCaptcha({ body: three.base64 });
    equal(await solver.goodReport(id), 'OK_REPORT_RECORDED');
  });
  await check('report bad', async () => {
    const { id } = await solver.imageCaptcha({ body: two.base64 });
    equal(await solver.badReport(id), 'OK_REPORT_RECORDED');
  });
  await check('unknown key', () =>
    rejects('ERROR_KEY_DOES_NOT_EXIST', () => point(new Solver(unknownKey, 50)).balance()),
  );
}

main();

'use strict';
// What the simulator answers: a pure function of the upload. The same rules as in ../python/expected.py.
const { createHash } = require('node:crypto');

const PAGE_URL = 'https://page.example/sign-in?step=1&lang=en';

const digest = (data) => createHash('sha256').update(data).digest();
const image = (picture) => digest(picture).toString('hex').slice(0, 8);
const digits = (picture) => String(digest(picture).readUInt32BE(0)); // numeric=1: the same four bytes as a number
const text = (question) => digest(question).toString('hex').slice(0, 8);

function grid(picture) {
  const b = digest(picture);
  return `click:${1 + (b[0] % 3)}/${4 + (b[1] % 3)}/${7 + (b[2] % 3)}`;
}

function coordinates(picture) {
  // with json=1; plain replies have another form, that no library here asks for
  const b = digest(picture);
  return [
    { x: String(b[0]), y: String(b[1]) },
    { x: String(b[2]), y: String(b[3]) },
  ];
}

function rotate(picture, angle = 40) {
  const b = digest(picture);
  const degrees = angle * (1 + (b[0] % 8));
  return String(b[1] % 2 ? -degrees : degrees);
}

const tokenDigest = (site, page = PAGE_URL) => digest(`${site}|${page}`).toString('hex');
const token = (site, page) => `token-${tokenDigest(site, page)}`;
const funcaptcha = (publicKey) => `${tokenDigest(publicKey).slice(0, 16)}|r=us-east-1|pk=${publicKey}`;

function keycaptcha(userId) {
  const h = tokenDigest(userId);
  return `${h.slice(0, 16)}|${h.slice(16, 32)}|${PAGE_URL}|c|1`;
}

function geetest(gt, challenge) {
  const h = tokenDigest(gt).slice(0, 32);
  return { geetest_challenge: challenge, geetest_validate: h, geetest_seccode: `${h}|jordan` };
}

function geetestV4(captchaId) {
  const h = tokenDigest(captchaId);
  return {
    captcha_id: captchaId,
    lot_number: h.slice(0, 32),
    pass_token: h,
    gen_time: '1700000000',
    captcha_output: h.slice(32, 64),
  };
}

module.exports = {
  PAGE_URL,
  image,
  digits,
  text,
  grid,
  coordinates,
  rotate,
  token,
  funcaptcha,
  keycaptcha,
  geetest,
  geetestV4,
};

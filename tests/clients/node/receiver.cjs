'use strict';
// A client's own receiver of pingback, on loopback.
const http = require('node:http');
const { check, equal, http: gateway, key } = require('./checks.cjs');

const WITHIN_MS = 30_000;

/** The libraries have no call for it. */
function register(url) {
  const query = new URLSearchParams({ key, action: 'add_pingback', addr: url });
  return new Promise((resolve, reject) => {
    http
      .get(`${gateway}/res.php?${query}`, (reply) => {
        let said = '';
        reply.on('data', (part) => (said += part));
        reply.on('end', () => (said === 'OK' ? resolve() : reject(new Error(`add_pingback said ${said}`))));
      })
      .on('error', reject);
  });
}

/** `upload` is given an address; what is told there must be `answer`. */
const checkPingback = (upload, answer) =>
  check('pingback', async () => {
    let tell;
    const told = new Promise((resolve, reject) => {
      tell = resolve;
      setTimeout(() => reject(new Error('nothing was pushed')), WITHIN_MS).unref();
    });
    const server = http.createServer((call, reply) => {
      let body = '';
      call.on('data', (part) => (body += part));
      call.on('end', () => {
        reply.end('OK');
        tell(new URLSearchParams(body));
      });
    });
    await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
    try {
      const url = `http://127.0.0.1:${server.address().port}/answers?job=1`;
      await register(url);
      const [form] = await Promise.all([told, upload(url)]);
      equal([form.get('code'), /^[0-9]+$/.test(form.get('id'))], [answer, true]);
    } finally {
      server.close();
    }
  });

module.exports = { checkPingback };

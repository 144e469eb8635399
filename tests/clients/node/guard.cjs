'use strict';
// Loaded by `node --require` before any client library: this process reaches loopback addresses and nothing else.
// CAPGATE_HOSTS ("2captcha.com:80=8080 …") stands for a hosts entry and a listener on the usual port: that name and
// port lead to 127.0.0.1 at the port behind the `=`.
const childProcess = require('node:child_process');
const dgram = require('node:dgram');
const dns = require('node:dns');
const net = require('node:net');

const hosts = new Map(
  (process.env.CAPGATE_HOSTS ?? '')
    .split(' ')
    .filter(Boolean)
    .map((entry) => entry.split('=')),
);

const isLoopback = (host) =>
  host == null ||
  host === '' ||
  host === 'localhost' ||
  host === '::1' ||
  (net.isIPv4(host) && host.startsWith('127.'));

class Blocked extends Error {
  constructor(what) {
    super(`guard: ${what} refused`);
    this.code = 'EBLOCKED';
  }
}

// Every TCP and TLS connection of every module ends in this one method.
const connect = net.Socket.prototype.connect;
net.Socket.prototype.connect = function guardedConnect(...given) {
  const normalised = Array.isArray(given[0]) ? given[0] : net._normalizeArgs(given);
  const options = normalised[0];
  const port = hosts.get(`${options.host}:${options.port}`);
  if (port !== undefined) Object.assign(options, { host: '127.0.0.1', port: Number(port) });
  if (options.path == null && !isLoopback(options.host))
    throw new Blocked(`connection to ${options.host}:${options.port}`);
  return connect.call(this, normalised);
};

const lookup = dns.lookup;
dns.lookup = function guardedLookup(host, ...rest) {
  if (!isLoopback(host)) throw new Blocked(`look-up of ${host}`);
  return lookup.call(this, host, ...rest);
};
const promisedLookup = dns.promises.lookup;
dns.promises.lookup = async function guardedLookup(host, ...rest) {
  if (!isLoopback(host)) throw new Blocked(`look-up of ${host}`);
  return promisedLookup.call(this, host, ...rest);
};

function forbid(owner, names) {
  for (const name of names)
    owner[name] = () => {
      throw new Blocked(name);
    };
}
const queries = (owner) => Object.keys(owner).filter((name) => /^(resolve|reverse|lookupService)/.test(name));
forbid(dns, queries(dns));
forbid(dns.promises, queries(dns.promises));
for (const resolver of [dns.Resolver, dns.promises.Resolver]) {
  forbid(resolver.prototype, ['resolve', 'resolve4', 'resolve6', 'resolveAny', 'resolveCname', 'reverse']);
}
forbid(dgram, ['createSocket']);
forbid(childProcess, ['spawn', 'spawnSync', 'exec', 'execSync', 'execFile', 'execFileSync', 'fork']);

/** Throws unless a foreign name and a foreign address are both refused; neither exists anywhere. */
globalThis.capgateGuard = () => {
  const attempts = [
    () => dns.lookup('guard.invalid', () => {}),
    () => net.connect(80, '192.0.2.1'),
    () => require('node:tls').connect(443, 'guard.invalid'),
  ];
  for (const attempt of attempts) {
    try {
      attempt();
    } catch (error) {
      if (error instanceof Blocked) continue;
      throw error;
    }
    throw new Error('the guard is not in place');
  }
};

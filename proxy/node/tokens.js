// Bearer tokens: who asks, and as whom.  RFC 6750, RFC 7519.
import { readFileSync } from 'node:fs';
import { createLocalJWKSet, createRemoteJWKSet, errors, jwtVerify } from 'jose';

const supported = ['HS256', 'RS256', 'ES256', 'EdDSA'];

export class InvalidToken extends Error {}
export class KeysUnavailable extends Error {}

// A secret is only ever used for HS256 and a public key never, so that a token
// can't name an algorithm that takes the one for the other.  RFC 8725, 3.1.
function localKeys(file) {
  const document = JSON.parse(readFileSync(file, 'utf8'));
  const keys = document.keys ?? [document];
  const others = createLocalJWKSet({ keys: keys.filter((key) => key.kty !== 'oct') });
  const secrets = keys.filter((key) => key.kty === 'oct')
    .map((key) => ({ use: 'sig', alg: 'HS256', ...key, bytes: Buffer.from(key.k, 'base64url') }));

  if (keys.length === 0) throw new Error(`${file} has no key`);
  if (secrets.some((key) => key.bytes.length < 32))
    throw new Error(`${file}: a key for HS256 has 32 bytes or more (RFC 7518, 3.2)`);
  return (header, token) => {
    if (header.alg !== 'HS256') return others(header, token);
    const fitting = secrets.filter((key) => key.use === 'sig' && key.alg === 'HS256' &&
      (header.kid ?? key.kid) === (key.kid ?? header.kid));
    if (fitting.length !== 1) throw new errors.JWKSNoMatchingKey();
    return fitting[0].bytes;
  };
}

// What a token can't be blamed for is that its issuer's keys can't be had.
function remoteKeys(uri) {
  const keys = createRemoteJWKSet(new URL(uri));
  const itsFault = [errors.JWKSNoMatchingKey, errors.JWKSMultipleMatchingKeys, errors.JOSENotSupported];

  return async (header, token) => {
    try {
      return await keys(header, token);
    } catch (error) {
      throw itsFault.some((type) => error instanceof type) ? error : new KeysUnavailable();
    }
  };
}

function keysOf({ jwt_key_file: file, jwks_uri: uri, jwt_algorithms: algorithms }) {
  if (algorithms.length === 0 || !algorithms.every((name) => supported.includes(name)))
    throw new Error(`jwt_algorithms are some of ${supported.join(', ')}`);
  if (!file === !uri) throw new Error('either jwt_key_file or jwks_uri has to be set');
  if (uri && algorithms.includes('HS256')) throw new Error('HS256 needs a secret, from jwt_key_file');
  return file ? localKeys(file) : remoteKeys(uri);
}

// Returns a function from the header Authorization to the role and the claims
// (the JSON text that was signed).  It throws InvalidToken or KeysUnavailable.
export function tokenReader(settings) {
  const keys = keysOf(settings);
  const utf8 = new TextDecoder('utf-8', { fatal: true });
  const options = {
    algorithms: settings.jwt_algorithms,
    ...(settings.jwt_audience.length > 0 && { audience: settings.jwt_audience }),
    ...(settings.jwt_issuer && { issuer: settings.jwt_issuer }),
  };

  return async (authorization) => {
    const token = /^Bearer +([\w.-]+)$/i.exec(authorization)?.[1];
    try {
      const { payload } = await jwtVerify(token, keys, options);
      const claims = utf8.decode(Buffer.from(token.split('.')[1], 'base64url'));
      const role = payload[settings.jwt_role_claim];
      if (typeof role === 'string' && /^[^\0]+$/.test(role)) return { role, claims };
    } catch (error) {
      if (error instanceof KeysUnavailable) throw error;
    }
    throw new InvalidToken();
  };
}

// JWE compact serialization with whatever header: what a library that makes valid
// ones only can't do.  RFC 7516, section 5, with "dir" and A256CBC-HS512 of RFC
// 7518, section 5.2.5; the primitives are node's.
import { createCipheriv, createDecipheriv, createHmac } from 'node:crypto';

export const encode = (bytes) => Buffer.from(bytes).toString('base64url');
export const decode = (text) => Buffer.from(text, 'base64url');

const TAG_LENGTH = 32;

// the halves of a key
export function split(bytes) {
  return { mac: bytes.subarray(0, 32), enc: bytes.subarray(32) };
}

export function encrypt(key, iv, plaintext, padding = true) {
  const cipher = createCipheriv('aes-256-cbc', key.enc, iv).setAutoPadding(padding);
  return Buffer.concat([cipher.update(plaintext), cipher.final()]);
}

function tagOf(key, aad, iv, ciphertext) {
  const bits = Buffer.alloc(8);
  bits.writeBigUInt64BE(BigInt(aad.length) * 8n);
  return createHmac('sha512', key.mac).update(aad).update(iv).update(ciphertext).update(bits).digest().subarray(0, TAG_LENGTH);
}

// An envelope whose tag is right, whatever the rest is.
export function seal(key, header, plaintext, { iv, ciphertext = encrypt(key, iv, plaintext) }) {
  const aad = encode(header);
  return [aad, '', encode(iv), encode(ciphertext), encode(tagOf(key, Buffer.from(aad), iv, ciphertext))].join('.');
}

// One that is right, taken apart.
export function open(key, envelope) {
  const [header, , iv, ciphertext] = envelope.split('.').map(decode);
  const decipher = createDecipheriv('aes-256-cbc', key.enc, iv);
  return { header: header.toString(), iv, plaintext: Buffer.concat([decipher.update(ciphertext), decipher.final()]).toString() };
}

// What the reference does to decrypt and encrypt a connection of 600 bytes:
// PBKDF2 with 2,000 rounds of SHA-512 for each, and AES-256-GCM.  Prints
// microseconds of CPU time.
const crypto = require('crypto');

const secret = 'a secret of some length';
const plaintext = Buffer.alloc(600, 'x');
const count = 40;

const key = (salt) => crypto.pbkdf2Sync(secret, salt, 2000, 32, 'sha512');

function encrypt() {
  const salt = crypto.randomBytes(64);
  const iv = crypto.randomBytes(12);
  const cipher = crypto.createCipheriv('aes-256-gcm', key(salt), iv);
  const ciphertext = Buffer.concat([cipher.update(plaintext), cipher.final()]);
  return { salt, iv, ciphertext, tag: cipher.getAuthTag() };
}

function decrypt({ salt, iv, ciphertext, tag }) {
  const decipher = crypto.createDecipheriv('aes-256-gcm', key(salt), iv);
  decipher.setAuthTag(tag);
  return Buffer.concat([decipher.update(ciphertext), decipher.final()]);
}

let stored = encrypt();
const before = process.cpuUsage();
for (let i = 0; i < count; i++) {
  decrypt(stored);
  stored = encrypt();
}
const used = process.cpuUsage(before);
console.log((used.user + used.system) / count);

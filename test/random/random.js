// Numbers that a seed decides (mulberry32), and what is drawn with them.
export class Random {
  #state;

  constructor(seed) {
    this.#state = seed >>> 0;
  }

  // from 0 up to 1, which it isn't
  next() {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let t = this.#state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  }

  below(n) {
    return Math.floor(this.next() * n);
  }

  chance(probability) {
    return this.next() < probability;
  }

  pick(list) {
    return list[this.below(list.length)];
  }

  bytes(length) {
    return Buffer.from(Array.from({ length }, () => this.below(256)));
  }

  // one of [weight, what] pairs
  weighted(pairs) {
    let at = this.next() * pairs.reduce((sum, [weight]) => sum + weight, 0);
    for (const [weight, what] of pairs) {
      at -= weight;
      if (at < 0) return what;
    }
    return pairs.at(-1)[1];
  }
}

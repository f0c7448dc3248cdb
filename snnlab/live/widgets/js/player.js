// A cursor that runs through a sample in slow motion. Where it is counts in columns of the raster that are over.

const SECONDS = 6; // for a whole sample
const LONGEST = 0.1; // seconds between two pictures; after a longer wait, as in a hidden tab, it continues from where it was

export class Player {
  /** @param {() => number} columns how many there are now */
  constructor(columns) {
    this.columns = columns;
    this.seconds = SECONDS;
    this.playing = false;
    /** @type {number | null} */ this.at = null; // between columns while it plays; null: no cursor
    /** @type {(() => void)[]} */ this.watchers = [];
    this.request = 0;
  }

  /** The columns that are over, or null without a cursor. */
  get column() { return this.at === null ? null : Math.min(Math.floor(this.at), this.columns()); }

  /** @param {() => void} act called after each change */
  watch(act) { this.watchers.push(act); }

  /** @param {number | null} at @param {boolean} playing */
  change(at, playing) {
    const before = this.column, was = this.playing;
    this.at = at;
    this.playing = playing;
    if (before !== this.column || was !== playing) for (const act of this.watchers) act();
  }

  toggle() { this.playing ? this.pause() : this.play(); }

  /** Begin, or continue; who wants less motion gets the cursor, and moves it. */
  play() {
    const from = this.at === null || this.at >= this.columns() ? 0 : this.at;
    const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
    this.change(from, !still);
    cancelAnimationFrame(this.request);
    if (!still) this.request = requestAnimationFrame((now) => this.run(now, now));
  }

  /** @param {number} before @param {number} now milliseconds */
  run(before, now) {
    if (!this.playing || this.at === null) return;
    const at = this.at + (Math.min((now - before) / 1000, LONGEST) * this.columns()) / this.seconds;
    this.change(Math.min(at, this.columns()), at < this.columns());
    this.request = requestAnimationFrame((next) => this.run(now, next));
  }

  pause() { this.change(this.at, false); }

  /** @param {number} column */
  seek(column) { this.change(Math.min(Math.max(Math.round(column), 0), this.columns()), false); }

  end() { this.change(null, false); }

  /** What a key does; returns whether it does something. @param {KeyboardEvent} event */
  press(event) {
    const turn = event.shiftKey ? { ArrowLeft: -1, ArrowRight: 1 }[event.key] : 0;
    if (event.key === ".") this.toggle();
    else if (event.key === "Escape" && this.at !== null) this.end();
    else if (turn) this.seek((this.column ?? 0) + turn);
    else return false;
    event.preventDefault();
    event.stopPropagation();
    return true;
  }
}

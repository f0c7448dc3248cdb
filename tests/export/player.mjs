// Plays all samples of a page by the page's own modules: node player.mjs MODULES PAGE [MOVES]
// MOVES: JSON, a list of stops for the sliders; then it prints the spikes of each sample and layer as base64 of bytes.
import { readFileSync } from "node:fs";
import { inflateSync } from "node:zlib";
import { pathToFileURL } from "node:url";

const [folder, page, moves] = process.argv.slice(2), from = (name) => import(pathToFileURL(`${folder}/${name}.js`).href);
const [{ check, sealed }, { codeOf, signalOf }, { givenBy, moved, netOf }, { play }] = await Promise.all(["checks", "coding", "stored", "engine"].map(from));
const text = readFileSync(page, "utf8"), carried = (id) => new RegExp(`id="${id}">(.*?)</script>`, "s").exec(text)[1];
const more = inflateSync(Buffer.from(carried("code"), "base64")).toString().split("\0")[1];
const data = { ...JSON.parse(carried("data")), ...JSON.parse(more) }, net = netOf(data), base64 = (bytes) => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("base64");
if (moves) {
  const stops = JSON.parse(moves), other = moved(net, data, stops), code = codeOf(data, stops);
  const played = data.samples.map((_, k) => play(other, signalOf(data, givenBy(data, k), 0, code)));
  console.log(JSON.stringify(played.map((layers) => layers.map(({ spikes, values }) => [spikes && base64(spikes), base64(values)]))));
} else {
  const began = performance.now(), found = data.samples.map((_, k) => check(data, net, k));
  const spikes = found.map(({ layers }) => layers.reduce((sum, { spikes }) => sum + (spikes ? spikes.reduce((a, b) => a + b, 0) : 0), 0));
  const each = (performance.now() - began) / found.length;
  console.log(JSON.stringify({ same: found.map(({ same }) => same), answers: found.map(({ answer }) => answer), spikes, each, exact: data.exact, bound: data.bound, whole: sealed(data) }));
}

"""The page as text: HTML, its policy, its data. Whatever a user or a file has named gets there by `plain` or as JSON.

Script, style sheet and all data that no checksum covers travel deflated, which saves 40 kB, as much as the weights of a
small network take. A loader of a few lines inflates them and adds them to the page. The policy names loader, script and
style by their hashes: nothing else can run.
"""

import base64
import hashlib
import json
import zlib
from typing import Any

from snnlab.export.exhibits import script
from snnlab.support.markup import plain

_POLICY = (
    "default-src 'none'; script-src '{loader}' '{script}'; style-src '{style}'; base-uri 'none'; form-action 'none'"
)

_LOADER = """
const packed = Uint8Array.from(atob(document.getElementById("code").textContent), (sign) => sign.charCodeAt(0));
const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
const kinds = [["style"], ["script", { type: "application/json", id: "more" }], ["script"]];
const add = ([name, more], text) =>
  document.body.append(Object.assign(document.createElement(name), { textContent: text, ...more }));
new Response(stream).text().then((text) => text.split("\\0").forEach((part, k) => add(kinds[k], part)));
"""

SEALED = ("layers", "samples", "seal")  # the checksum, and what it covers, stand in the page as they are


def as_json(data: Any) -> str:
    """JSON that can stand inside an element `script`: plain ASCII, no `<` and no `&`.

    Example:
        >>> as_json("</script>\\u2028")
        '"\\\\u003c/script>\\\\u2028"'
    """
    text = json.dumps(data, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace("&", "\\u0026")


def hashed(text: str) -> str:
    """What a content security policy says of a script or a style sheet that may be used.

    Example:
        >>> hashed("")
        'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='
    """
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def packed(*texts: str) -> str:
    """Deflated, in base64.

    Example:
        >>> zlib.decompress(base64.b64decode(packed("let a;", "let b;")))
        b'let a;\\x00let b;'
    """
    return base64.b64encode(zlib.compress("\0".join(texts).encode(), 9)).decode()


def html(data: dict[str, Any], picture: str) -> str:
    """Return the whole page.

    Args:
        data: see `js/exhibit.d.ts`.
        picture: SVG, for who lets no script run.

    Example:
        >>> page = html({"title": "<b>"}, "<svg></svg>")
        >>> "<title>&lt;b&gt;</title>" in page, "default-src 'none'" in page
        (True, True)
    """
    code, style = script.javascript(), script.css()
    plainly = {name: data[name] for name in SEALED if name in data}
    more = {name: value for name, value in data.items() if name not in SEALED}
    policy = _POLICY.format(loader=hashed(_LOADER), script=hashed(code), style=hashed(style))
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="referrer" content="no-referrer">
<title>{plain(data["title"])}</title>
</head>
<body class="snnlab">
<noscript><h1>{plain(data["title"])}</h1>
<p>This page plays the network where scripts may run. Here is a picture of it.</p>
{picture}</noscript>
<script type="application/json" id="data">{as_json(plainly)}</script>
<script type="text/plain" id="code">{packed(style, as_json(more), code)}</script>
<script>{_LOADER}</script>
</body>
</html>
"""

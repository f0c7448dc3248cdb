"""JavaScript in modules, joined to one file, whole or with no more than is used.

The modules import each other as modules do everywhere, so that they can be checked and tested one by one. Joined, each
stands in a function of its own, which returns what the module exports, after those that it imports. What begins in the
first column of a module is a statement of its own; `in_use` keeps those that are reached from the last module.
"""

import re
from collections.abc import Mapping

IMPORT = re.compile(r'^import (\{[^}]*\}) from "\./([\w-]+)\.js";[^\n]*\n', re.MULTILINE)
EXPORT = re.compile(r"^export (const|function|class)\s*(\w+|\[[^\]]*\])", re.MULTILINE)

_TOKEN = re.compile(
    r"""(?P<comment>//[^\n]*|/\*.*?\*/)
      | (?P<text>"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'
          |`(?:\\.|\$\{(?:[^`{}]|\{[^`{}]*\}|`(?:[^`\\]|\\.)*`)*\}|[^`\\$]|\$(?!\{))*`
          |(?<=[(,=:])\s*/(?![/*])(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\\n])+/)
      | (?P<space>\s+)
      | (?P<word>[\w$.]+)
      | (?P<sign>.)""",
    re.DOTALL | re.VERBOSE,
)
_STATEMENT = re.compile(r"^(?:export )?(?:const|let|function|class)\s*(\w+|\[[^\]]*\])")
_WORD = re.compile(r"[A-Za-z_]\w*")


def joined(sources: Mapping[str, str], entry: str) -> str:
    """Return one module and all that it imports, as one file.

    Args:
        sources: the modules by name.
        entry: the last one, whose own exports stay exports.

    Example:
        >>> print(joined({"a": "export const one = 1;", "b": 'import { one } from "./a.js";\\none + 1;'}, "b"))
        const $a = (() => {
        const one = 1;
        return { one };
        })();
        const { one } = $a;
        one + 1;
    """
    order = ordered(sources, entry)
    return "\n".join([*(_enclosed(name, sources[name]) for name in order[:-1]), _with_imports(sources[entry])])


def ordered(sources: Mapping[str, str], entry: str) -> list[str]:
    """Return the names of the modules that one needs, each after those that it imports itself.

    Example:
        >>> ordered({"a": "", "b": 'import { one } from "./a.js";\\n', "c": ""}, "b")
        ['a', 'b']
    """
    order: list[str] = []

    def add(name: str) -> None:
        for _, needed in IMPORT.findall(sources[name]):
            if needed not in order:
                add(needed)
        order.append(name)

    add(entry)
    return order


def _enclosed(name: str, source: str) -> str:
    exported = [word for _, names in EXPORT.findall(source) for word in re.findall(r"\w+", names)]
    body = EXPORT.sub(r"\1 \2", _with_imports(source))
    return f"const ${name} = (() => {{\n{body}\nreturn {{ {', '.join(exported)} }};\n}})();"


def _with_imports(source: str) -> str:
    return IMPORT.sub(lambda found: f"const {found[1].replace(' as ', ': ')} = ${found[2]};\n", source)


def smaller(code: str) -> str:
    """Return the same code without comments and without the spaces that nothing needs.

    Example:
        >>> smaller("// adds\\nconst sum = (a, b) => a + b; // or so\\n\\nlet x = sum(1, - -2) /* 3 */ + 'a // b';")
        "const sum=(a,b)=>a+b;let x=sum(1,- -2)+'a // b';"
        >>> smaller("let words = `${a ? `, ${ b } spikes` : ''} here`;")
        "let words=`${a ? `, ${ b } spikes` : ''} here`;"
    """
    parts: list[str] = []
    last = gap = ""
    for found in _TOKEN.finditer(code):
        if found.lastgroup in ("comment", "space"):
            gap = "\n" if "\n" in found[0] or gap == "\n" else " "
            continue
        token = found[0].lstrip()
        if gap == "\n" and last and last not in ";{(,[":
            parts.append("\n")
        elif gap and (re.fullmatch(r"[\w$]{2}", last + token[0]) or last + token[0] in ("++", "--", "//")):
            parts.append(" ")
        parts.append(token)
        last, gap = token[-1], ""
    return "".join(parts)


def in_use(sources: Mapping[str, str], entry: str) -> dict[str, str]:
    """Return the modules with those statements only that the entry reaches.

    Raises:
        ValueError: if a module imports what the other one does not export, as a `const`, `function` or `class`.

    Example:
        >>> of_a = "export const one = 1;\\nexport const two = 2;\\n"
        >>> in_use({"a": of_a, "b": 'import { one } from "./a.js";\\none;\\n'}, "b")["a"]
        'export const one=1;\\n'
        >>> of_a = "const one = [1, 0], two = 2;\\nexport const both = () => two;\\n"
        >>> in_use({"a": of_a, "b": 'import { both } from "./a.js";\\nboth();\\n'}, "b")["a"]
        'const one=[1,0],two=2;\\nexport const both=()=>two;\\n'
    """
    order = ordered(sources, entry)
    wanted: dict[str, set[str]] = {name: set() for name in order}
    kept: dict[str, list[str]] = {}
    for name in reversed(order):
        parts = re.split(r"(?m)^(?=(?:export )?(?:const|let|function|class) )", IMPORT.sub("", sources[name]))
        statements = [smaller(part) + "\n" for part in parts if smaller(part)]
        used = _reached(statements, wanted[name]) if name != entry else set(range(len(statements)))
        kept[name] = [statement for k, statement in enumerate(statements) if k in used]
        words = {word for statement in kept[name] for word in _WORD.findall(statement)}
        imports = []
        for names, module in IMPORT.findall(sources[name]):
            pairs = [pair.strip() for pair in names.strip("{} ").split(",") if pair.strip()]
            taken = [pair for pair in pairs if pair.split(" as ")[-1] in words]
            wanted[module] |= {pair.split(" as ")[0] for pair in taken}
            imports += [f'import {{ {", ".join(taken)} }} from "./{module}.js";\n'] if taken else []
        kept[name] = imports + kept[name]
    return {name: "".join(kept[name]) for name in order}


def _declared(statement: str) -> set[str]:
    """The names that a statement without spaces declares: the first, or all in brackets, and those after a comma."""
    names = {word for first in _STATEMENT.findall(statement) for word in re.findall(r"\w+", first)}
    depth, after_comma = 0, False
    for token in _TOKEN.finditer(statement):
        if after_comma and token.lastgroup == "word":
            names.add(token[0])
        if token.lastgroup == "sign":
            depth += (token[0] in "([{") - (token[0] in ")]}")
        after_comma = depth == 0 and token[0] == ","
    return names


def _reached(statements: list[str], wanted: set[str]) -> set[int]:
    """The statements that declare the wanted names, and those that they need."""
    declared = [_declared(statement) for statement in statements]
    if lost := wanted - set().union(*declared):
        raise ValueError(f"no such export: {', '.join(sorted(lost))}")
    reached: set[int] = set()
    names = set(wanted)
    while True:
        found = {k for k, own in enumerate(declared) if own & names} - reached
        if not found:
            return reached
        reached |= found
        names = {word for k in found for word in _WORD.findall(statements[k])}

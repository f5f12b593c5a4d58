"""HTML as values: text is escaped where it enters, so no name of a user's can break a page."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape


class Html(str):
    """Text that is HTML already."""


def tag(name: str, *children: str, **attributes: str) -> Html:
    """An element; children that are plain text are escaped, `class_` is the attribute class."""
    shown = "".join(f' {k.rstrip("_")}="{escape(v)}"' for k, v in attributes.items())
    return Html(f"<{name}{shown}>{join(children)}</{name}>")


def join(children: Iterable[str]) -> Html:
    return Html("".join(c if isinstance(c, Html) else escape(c) for c in children))


def table(head: Sequence[str], rows: Iterable[Sequence[str]], **attributes: str) -> Html:
    """A table that scrolls by itself where the page is too narrow; cells that are `td` already stay as they are."""
    top = tag("thead", tag("tr", *(tag("th", h, scope="col") for h in head)))
    body = tag("tbody", *(tag("tr", *map(_cell, row)) for row in rows))
    return tag("div", tag("table", top, body, **attributes), class_="scroll")


def _cell(content: str) -> Html:
    return content if isinstance(content, Html) and content.startswith("<td") else tag("td", content)


def number(text: str) -> Html:
    """A cell aligned at the right."""
    return tag("td", text, class_="n")


def bar(share: float, mark: float | None = None, kind: str = "") -> Html:
    """A bar of `share` (0..1) of the width, with a mark at another share."""
    parts = [tag("i", style=f"width:{100 * min(share, 1):.2f}%", class_=kind)]
    if mark is not None:
        parts.append(tag("b", style=f"left:{100 * mark:.2f}%"))
    return tag("span", *parts, class_="bar")


def folded(title: str, *content: str) -> Html:
    """A part that the reader opens."""
    return tag("details", tag("summary", title), *content)


def section(title: str, *content: str) -> Html:
    return tag("section", tag("h2", title), *content)


def page(title: str, *content: str) -> str:
    """A whole document, which loads nothing from elsewhere."""
    head = join(
        (
            Html('<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'),
            tag("title", title),
            tag("style", Html(STYLE)),
        )
    )
    return f'<!DOCTYPE html>\n<html lang="en"><head>{head}</head>\n<body><main>{join(content)}</main></body></html>\n'


STYLE = """
:root{color-scheme:light dark;--ink:#1c2330;--soft:#5d6675;--line:#dfe3ea;--paper:#fff;--tint:#f5f7fa;
--blue:#3367b5;--green:#2c8a63;--red:#b3372f}
@media (prefers-color-scheme:dark){:root{--ink:#e4e8ef;--soft:#98a2b3;--line:#323a47;--paper:#14181f;
--tint:#1c222c;--blue:#6d9eeb;--green:#55b98d;--red:#ef7d74}}
*{box-sizing:border-box}
body{margin:0;background:var(--paper);color:var(--ink);font:15px/1.5 system-ui,-apple-system,"Segoe UI",sans-serif}
main{max-width:1120px;margin:0 auto;padding:2rem 1.25rem 4rem}
h1{font-size:1.7rem;line-height:1.25;margin:0;overflow-wrap:anywhere}
h2{font-size:1.15rem;margin:2.6rem 0 .6rem}
p{margin:.4rem 0;max-width:75ch}
.soft,small,caption{color:var(--soft)} small{font-size:.8rem;font-weight:400}
code,pre{font:.82rem/1.5 ui-monospace,"DejaVu Sans Mono",Consolas,monospace}
code{overflow-wrap:anywhere;background:var(--tint);padding:.1em .35em;border-radius:4px}
pre{background:var(--tint);padding:.8rem;border-radius:6px;overflow-x:auto;margin:.5rem 0}
.cards{display:grid;grid-template-columns:repeat(auto-fit,minmax(11rem,1fr));gap:.8rem;margin-top:1.4rem}
.card{border:1px solid var(--line);border-radius:8px;padding:.8rem 1rem}
.card strong{display:block;font-size:1.45rem;line-height:1.3;font-variant-numeric:tabular-nums}
.scroll{overflow-x:auto}
table{border-collapse:collapse;width:100%;font-size:.88rem;font-variant-numeric:tabular-nums}
th,td{text-align:left;vertical-align:top;padding:.4rem .7rem .4rem 0;border-bottom:1px solid var(--line)}
th{font-weight:600;vertical-align:bottom} .n,.numbers th:not(:first-child){text-align:right;white-space:nowrap}
.numbers th small,.under{white-space:normal;display:block}
.use td:nth-child(-n+5),.use th:nth-child(-n+5){width:11%} .use th:nth-child(n+3):nth-child(-n+5){text-align:right}
.numbers th:not(:first-child){width:26%;white-space:normal}
.bar{display:block;position:relative;height:.5rem;min-width:3.5rem;margin-top:.25rem;background:var(--tint);
border-radius:3px}
.bar i{display:block;height:100%;background:var(--blue);border-radius:3px}
.bar i.green{background:var(--green)} .bar i.red{background:var(--red)}
.bar b{position:absolute;top:-.2rem;bottom:-.2rem;width:2px;background:var(--ink)}
.bad{color:var(--red)} .good{color:var(--green)}
.confusion{width:auto} .confusion td,.confusion th{text-align:right;padding:.3rem .6rem;min-width:2.6rem;
border:1px solid var(--paper)}
details{border-top:1px solid var(--line);padding:.5rem 0} summary{cursor:pointer}
i,b{font-style:normal}
@media print{main{max-width:none;padding:0} body{font-size:11px} tr,.card{break-inside:avoid} h2{break-after:avoid}
pre{white-space:pre-wrap} .bar,.bar i,.bar b,.confusion td{print-color-adjust:exact;-webkit-print-color-adjust:exact}
details::details-content{content-visibility:visible;display:block;height:auto}}
"""

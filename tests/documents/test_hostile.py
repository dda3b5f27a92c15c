"""Whatever somebody writes, nothing comes out that is not listed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import unquote
from xml.etree.ElementTree import Element

import nh3
import pytest
import tinyhtml5
from hypothesis import example, given, settings
from hypothesis import strategies as st

from documents.markup import ATTRIBUTES, CLASSES, TAGS, render

# --- What is looked for -----------------------------------------------------------------------------------------------

ANY_ELEMENT = {"class", "dir", "id", "lang"}
NEVER = {
    "script",
    "style",
    "iframe",
    "object",
    "embed",
    "form",
    "button",
    "svg",
    "math",
    "link",
    "meta",
    "base",
    "template",
}
SCHEMES = ("http://", "https://", "mailto:", "tel:", "#doc-")


def problems(page: str) -> Iterator[str]:
    """Say what a browser would find in the page that is not listed."""
    body = tree(f"<div>{page}<i id=end></i></div>")
    container = body[0]
    if not any(element.get("id") == "end" for element in container.iter()):
        yield "it ends the element that it is put into"
    for element in body.iter():
        if element not in (body, container) and element.get("id") != "end":
            yield from _problems(element)


def tree(page: str) -> Element:
    body = tinyhtml5.parse(f"<!doctype html><body>{page}", namespace_html_elements=False).find("body")
    assert body is not None
    return body


def _problems(element: Element) -> Iterator[str]:
    tag = element.tag if isinstance(element.tag, str) else "a comment"
    if tag not in TAGS:
        yield f"<{tag}>"
    for name, value in element.attrib.items():
        if name not in ANY_ELEMENT | {"href", "rel", "src", "type"} | set(ATTRIBUTES.get(tag, {})):
            yield f"<{tag} {name}>"
        if (name == "href" and tag != "a") or (name == "src" and tag != "img"):
            yield f"<{tag} {name}>"
        if name == "href" and not value.lower().startswith(SCHEMES):
            yield f"href={value}"
        if name == "src" and not is_in_corner(value):
            yield f"src={value}"
        if name == "id" and not value.startswith("doc-"):
            yield f"id={value}"
        if name == "class" and not set(value.split()) <= CLASSES.get(tag, set()) | {"missing"}:
            yield f"class={value}"
    if tag == "a" and element.get("rel") != "noopener noreferrer":
        yield "a link that tells where it comes from"
    if tag == "input" and element.get("type") != "checkbox":
        yield "a field to write in"


def is_in_corner(source: str) -> bool:
    path = unquote(source.removeprefix("corner:"))
    return (
        re.fullmatch("corner:[A-Za-z0-9%/._~-]+", source) is not None
        and not path.startswith("/")
        and ".." not in path.split("/")
        and re.search(r"\.(gif|jpe?g|png|webp)$", path, re.IGNORECASE) is not None
    )


def cleaned_again(page: str) -> str:
    """Clean the page with the same lists, but leave ids and addresses as they are."""
    return nh3.clean(
        page,
        tags=set(TAGS),
        attributes={
            **{tag: set(names) for tag, names in ATTRIBUTES.items()},
            "input": {"type", "checked", "disabled"},
            "a": {"href", "title", "rel"},
        },
        url_schemes={"http", "https", "mailto", "tel", "corner"},
        link_rel=None,
    )


def parts(page: str) -> set[tuple[object, ...]]:
    """Return the kinds of elements that are in a page. Where links and tables are tangled, browsers split them anew."""
    return {(element.tag, *sorted(element.attrib.items())) for element in tree(page).iter()}


def assert_harmless(text: str, folder: str = "") -> str:
    rendered = render(text, folder=folder)
    assert not list(problems(rendered.html)), rendered.html
    again = cleaned_again(rendered.html)
    assert again == rendered.html or parts(again) == parts(rendered.html)
    for path in rendered.images:
        assert is_in_corner(f"corner:{path}".replace(" ", "_")) or not path.isascii()
    return rendered.html


def test_what_is_looked_for_is_found() -> None:
    bad = '<b onclick=x>x</b><a href="javascript:x">x</a><img src="corner:../a.png"><p id=location class=bay>x</div>'
    assert set(problems(bad)) == {
        "it ends the element that it is put into",
        "<b onclick>",
        "a link that tells where it comes from",
        "href=javascript:x",
        "src=corner:../a.png",
        "id=location",
        "class=bay",
    }
    assert list(problems("<svg>"))


def test_the_lists_hold_nothing_that_runs_loads_or_asks() -> None:
    assert NEVER.isdisjoint(TAGS)
    names = {name for attributes in ATTRIBUTES.values() for name in attributes}
    assert not {name for name in names if name.startswith("on")}
    assert names.isdisjoint(
        {"style", "name", "srcset", "target", "formaction", "action", "background", "ping", "srcdoc"}
    )


# --- The collection ---------------------------------------------------------------------------------------------------

SCRIPT_ADDRESSES = [
    "javascript:alert(1)",
    "JaVaScRiPt:alert(1)",
    "javascript&colon;alert(1)",
    "javascript&#58;alert(1)",
    "javascript&#x3a;alert(1)",
    "javascript&#0000058alert(1)",
    "&#106;&#97;&#118;&#97;&#115;&#99;&#114;&#105;&#112;&#116;&#58;alert(1)",
    "&#x6A;&#x61;&#x76;&#x61;&#x73;&#x63;&#x72;&#x69;&#x70;&#x74;&#x3A;alert(1)",
    "java&Tab;script:alert(1)",
    "java&NewLine;script:alert(1)",
    "java&#9;script:alert(1)",
    "java&#10;script:alert(1)",
    "java&#13;script:alert(1)",
    "java\tscript:alert(1)",
    "&#1;javascript:alert(1)",
    "&#14; javascript:alert(1)",
    "\x01javascript:alert(1)",
    "\u00a0javascript:alert(1)",
    "\u200bjavascript:alert(1)",
    "%6aavascript:alert(1)",
    "javascript%3aalert(1)",
    "java%0ascript:alert(1)",
    "\\javascript:alert(1)",
    "javascript:\\alert(1)",
    "jav\\ascript:alert(1)",
    "javascript://example.com/%0aalert(1)",
    "https:javascript:alert(1)",
    "ｊａｖａｓｃｒｉｐｔ:alert(1)",
    "javaſcript:alert(1)",
    "vbscript:msgbox(1)",
    "VBScript:msgbox(1)",
    "livescript:x",
    "mocha:x",
    "data:text/html,<script>alert(1)</script>",
    "data:text/html;base64,PHNjcmlwdD5hbGVydCgxKTwvc2NyaXB0Pg==",
    "DATA:image/svg+xml,<svg onload=alert(1)>",
    "data&colon;text/html,x",
    "blob:https://example.com/1",
    "filesystem:https://example.com/1",
    "file:///etc/passwd",
    "view-source:https://example.com",
    "ftp://example.com",
    "ws://example.com",
    "about:blank",
    "feed:javascript:alert(1)",
    "jar:https://example.com!/a",
    "corner:images/ab.png",
    "theme:limestone.css",
    "//example.com/a.png",
    "\\\\example.com\\a.png",
    "/accounts/sign-out/",
    "?next=//example.com",
    "../../../etc/passwd",
]
PLACES = [
    "[x]({})",
    "[x](<{}>)",
    '[x]({} "title")',
    "[x][r]\n\n[r]: {}",
    "[x][r]\n\n[r]: <{}>",
    "[r]\n\n[r]: {}",
    "<{}>",
    "![x]({})",
    "![x][r]\n\n[r]: {}",
    "[![x]({0})]({0})",
    '<a href="{}">x</a>',
    "<a href='{}'>x</a>",
    "<a href={}>x</a>",
    "<a\nhref = {}>x</a>",
    '<img src="{}">',
    "<img src={} onerror=alert(1)>",
    '<div><a href="{}">x</a></div>',
    "[x](https://example.com){{: href={} }}",
    '![x](a.png){{: src="{}" }}',
    "# x {{: href={} src={} }}",
    "text[^1]\n\n[^1]: [x]({})",
    "| a |\n|---|\n| [x]({}) |",
    "- [ ] [x]({})",
    '!!! note "[x]({})"\n    [x]({})',
    "[x]: {}\n[TOC]\n\n# [x]",
    "*[x]: {}\n\nx",
    "Term\n:   [x]({})",
]


@pytest.mark.parametrize("place", PLACES)
def test_no_address_but_those_that_lead_to_a_page_or_a_letter(place: str) -> None:
    for address in SCRIPT_ADDRESSES:
        assert_harmless(place.format(address, address))


ELEMENTS = [
    "<script>alert(1)</script>",
    "<ScRiPt>alert(1)</sCrIpT>",
    "<script src=//example.com/x.js></script>",
    "<script\n>alert(1)</script\n>",
    "<script/x>alert(1)</script>",
    "<<script>alert(1)</script>",
    "<scr<script>ipt>alert(1)</scr</script>ipt>",
    "</script><script>alert(1)</script>",
    "<script>alert(1)",
    "<script type=text/javascript>//<![CDATA[\nalert(1)//]]></script>",
    "&lt;script&gt;alert(1)&lt;/script&gt;",
    "\\<script>alert(1)\\</script>",
    "`<script>alert(1)</script>`",
    "<img src=x onerror=alert(1)>",
    "<img src=x onerror=alert(1)//",
    "<img/src=x/onerror=alert(1)>",
    "<img src=`x`onerror=alert(1)>",
    '<img """><script>alert(1)</script>">',
    "<IMG SRC=x ONERROR=alert(1)>",
    "<img src=x:x onerror\n=\nalert(1)>",
    "<img srcset='https://example.com/a.png 2x' sizes=1px>",
    "<picture><source srcset=https://example.com/a.png><img></picture>",
    "<input type=image src=https://example.com/a.png>",
    "<input autofocus onfocus=alert(1)>",
    "<input type=text name=password>",
    "<input type=checkbox name=x form=y>",
    "<b onmouseover=alert(1)>x</b>",
    "<p onclick='alert(1)' ONLOAD=alert(1)>x</p>",
    "<details open ontoggle=alert(1)>x</details>",
    "<a onclick=alert(1) href=#x>x</a>",
    "<a href=https://example.com target=_blank ping=https://example.com download rel=opener>x</a>",
    "<body onload=alert(1)>",
    "<html onload=alert(1)>",
    "<svg onload=alert(1)>",
    "<svg/onload=alert(1)>",
    "<svg><script>alert(1)</script></svg>",
    "<svg><script xlink:href=data:,alert(1) /></svg>",
    "<svg><a xlink:href=javascript:alert(1)><text y=9>x</text></a></svg>",
    "<svg><animate xlink:href=#x attributeName=href values=javascript:alert(1) /></svg>",
    "<svg><use href='data:image/svg+xml,<svg id=x/>#x'></svg>",
    "<svg><image href=https://example.com/a.png></svg>",
    "<svg><foreignObject><body onload=alert(1)></foreignObject></svg>",
    "<svg><style>@import 'https://example.com'</style></svg>",
    "<math><a xlink:href=javascript:alert(1)>x</a></math>",
    "<math href=javascript:alert(1)>x</math>",
    "<math><maction actiontype=statusline xlink:href=javascript:alert(1)>x</maction></math>",
    "<math><annotation-xml encoding=text/html><script>alert(1)</script></annotation-xml></math>",
    "<style>body{background:url(https://example.com/)}</style>",
    "<style>@import 'https://example.com/x.css';</style>",
    "<style>input[value^=a]{background:url(https://example.com/a)}</style>",
    "<style>*{color:red",
    "<p style='background:url(https://example.com/)'>x</p>",
    "<p style='position:fixed;inset:0;opacity:0'>x</p>",
    "<p style='x:expression(alert(1))'>x</p>",
    "<p style='behavior:url(x.htc);-moz-binding:url(x)'>x</p>",
    "<p STYLE=color:red>x</p>",
    "<table background=https://example.com/><tr><td background=javascript:alert(1) style=x>x</table>",
    "<table><tr><td colspan=99999999 rowspan=99999999>x</table>",
    "<font color=red size=9 face=x>x</font>",
    "<link rel=stylesheet href=https://example.com/x.css>",
    "<link rel=attachment href=file:///etc/passwd>",
    "<link rel=prefetch href=https://example.com/>",
    "<meta http-equiv=refresh content='0;url=javascript:alert(1)'>",
    "<meta http-equiv=Content-Security-Policy content=default-src>",
    "<base href=https://example.com/>",
    "<base target=_blank>",
    "<title>x</title><title><script>alert(1)</script>",
    "<iframe src=javascript:alert(1)></iframe>",
    "<iframe srcdoc='<script>alert(1)</script>'></iframe>",
    "<iframe><script>alert(1)</script>",
    "<frameset><frame src=javascript:alert(1)></frameset>",
    "<object data=javascript:alert(1) type=text/html></object>",
    "<object><param name=x value=javascript:alert(1)></object>",
    "<embed src=javascript:alert(1)>",
    "<applet code=x></applet>",
    "<form action=https://example.com method=post><input name=x><button>x</button></form>",
    "<form id=x></form><button form=x formaction=javascript:alert(1)>x</button>",
    "<isindex action=javascript:alert(1) type=submit>",
    "<select><option onclick=alert(1)>x</select>",
    "<textarea autofocus onfocus=alert(1)>x</textarea>",
    "<keygen autofocus onfocus=alert(1)>",
    "<video src=https://example.com/v poster=https://example.com/p onerror=alert(1)></video>",
    "<video><source onerror=alert(1)></video>",
    "<audio src=x onerror=alert(1)></audio>",
    "<track src=https://example.com>",
    "<marquee onstart=alert(1)>x</marquee>",
    "<bgsound src=javascript:alert(1)>",
    "<layer src=https://example.com></layer>",
    "<xml id=x><script>alert(1)</script></xml>",
    "<?xml-stylesheet href='javascript:alert(1)'?>",
    "<!DOCTYPE html [<!ENTITY x SYSTEM 'file:///etc/passwd'>]>&x;",
    "<!--<script>alert(1)</script>-->",
    "<!--><img src=x onerror=alert(1)>-->",
    "<!--[if IE]><script>alert(1)</script><![endif]-->",
    "<![CDATA[<img src=x onerror=alert(1)>]]>",
    "<%<img src=x onerror=alert(1)>%>",
    "<dialog open>x</dialog>",
    "<slot name=x></slot><portal src=x></portal>",
    "<x-element onclick=alert(1) is=x>x</x-element>",
    "<p is=x-element slot=x part=x contenteditable draggable=true tabindex=1 accesskey=x popover>x</p>",
    "<a id=location name=location href=#>x</a><a id=location name=href>x</a>",
    "<img name=cookie><img id=getElementById><form name=body>",
    "<p id=csrfmiddlewaretoken class='button note bay'>x</p>",
    "<p id=doc-x class=doc-x>x</p>",
    "<span class='missing k evil'>x</span>",
    "<p id='a b'>x</p><p id=''>x</p>",
    "<p lang='\"><script>alert(1)</script>' dir='x'>x</p>",
    "</div></div></main></body></html><script>alert(1)</script>",
    "<p title='</p><script>alert(1)</script>'>x</p>",
    "<abbr title='<img src=x onerror=alert(1)>'>x</abbr>",
    '<a href="https://example.com" title="<img>">x</a>',
    "<ol start=1e9 type=javascript reversed><li value=-1>x</ol>",
    "\x02wzxhzdk:0\x03",
    "\x02klzzwxh:0000\x03 *x* <b>y</b>",
    "&#2;klzzwxh:0000&#3; *x*",
    # HTML that a browser understands in another way once it was written and read again.
    "<noscript><p title='</noscript><img src=x onerror=alert(1)>'></noscript>",
    "<template><p title='</template><img src=x onerror=alert(1)>'></template>",
    "<template><script>alert(1)</script></template>",
    "<textarea><p title='</textarea><img src=x onerror=alert(1)>'>",
    "<xmp><p title='</xmp><img src=x onerror=alert(1)>'>",
    "<noembed><p title='</noembed><img src=x onerror=alert(1)>'>",
    "<noframes><p title='</noframes><img src=x onerror=alert(1)>'>",
    "<plaintext><img src=x onerror=alert(1)>",
    "<svg></p><style><a id='</style><img src=x onerror=alert(1)>'>",
    "<svg><desc><style><a title='</style><img src=x onerror=alert(1)>'>",
    "<math><mtext><table><mglyph><style><!--</style><img title='--&gt;&lt;img src=x onerror=alert(1)&gt;'>",
    "<math><mtext><table><mglyph><style><math><img src=x onerror=alert(1)></style></table></mtext></math>",
    "<form><math><mtext></form><form><mglyph><style></math><img src=x onerror=alert(1)>",
    "<math><annotation-xml encoding='text/html'><style><img title='</style><img src=x onerror=alert(1)>'>",
    "<select><template><style><!--</style><a rel='--></style></template></select><img src=x onerror=alert(1)>'>",
    "<table><tr><td><svg><title><p><style></title><img src=x onerror=alert(1)></style>",
    "<b><a><b></p><table><a><style></a><img src=x onerror=alert(1)>",
    "<a><table><a><table><a href=javascript:alert(1)>x",
    "<p><table><p><table><td></p><p onclick=alert(1)>",
    "<details><summary><details><summary></p></summary><li></details><dd>",
    "<h1><h2><h3></h1><table></h2><caption><h1></table>x",
    "<input><select><input><keygen><textarea></select>",
    "<ruby><rt><rp><rb><rtc></ruby><nobr><nobr><center>",
]
SYNTAX = [
    "# x {: onclick=alert(1) style=color:red id=location name=y class='button k' }",
    "[x](https://example.com){: onclick=alert(1) target=_blank href=javascript:alert(1) }",
    "*x*{: style='background:url(https://example.com)' onmouseover=alert(1) }",
    "![x](a.png){ onerror=alert(1) srcset=https://example.com/a.png width=99999 height='1px;x' src=javascript:x }",
    "| a |\n|---|\n| x {: onclick=alert(1) colspan=999 style=x } |",
    "- x\n  {: onclick=alert(1) }",
    "Term {: onclick=alert(1) }\n:   Definition\n    {: onclick=alert(1) }",
    '```{ .python #location onclick=alert(1) title="<img src=x onerror=alert(1)>" style=x }\nx\n```',
    '```html hl_lines="1" linenums="1" title="</span><script>alert(1)</script>"\n<script>alert(1)</script>\n```',
    "```<img/src=x/onerror=alert(1)>\nx\n```",
    '```"><script>alert(1)</script>\nx\n```',
    "~~~ {.evil .x onclick=x}\n</code></pre><script>alert(1)</script>\n~~~",
    "x[^<img src=x onerror=alert(1)>]\n\n[^<img src=x onerror=alert(1)>]: y",
    'x[^" onclick="alert(1)]\n\n[^" onclick="alert(1)]: y',
    "x[^location]\n\n[^location]: <script>alert(1)</script>",
    "# <img src=x onerror=alert(1)>\n\n[TOC]",
    "# `<script>alert(1)</script>` &lt;script&gt;\n\n[TOC]",
    '# " onclick="alert(1)\n\n[TOC]',
    "# location\n\n# body\n\n# __proto__\n\n# constructor {#cookie}",
    "*[x]: <script>alert(1)</script>\n\nx",
    '*[x]: " onclick="alert(1)\n\nx',
    '!!! note" onclick="alert(1) "<script>alert(1)</script>"\n    x',
    "!!! evil button bay\n    x",
    '!!! note ""\n    <script>alert(1)</script>',
    '[x](https://example.com "</a><script>alert(1)</script>")',
    "[x](https://example.com 'a\" onclick=\"alert(1)')",
    "[<script>alert(1)</script>](https://example.com)",
    "![<script>alert(1)</script>](https://example.com/a.png)",
    '![x" onerror="alert(1)](a.png)',
    "![</span><script>alert(1)</script>](//example.com)",
    "![&lt;img src=x onerror=alert(1)&gt;](https://example.com)",
    '<javascript:alert(1)> <data:text/html,x> <https://example.com/"onclick=alert(1)>',
    '<user@example.com> <"onclick=alert(1)"@example.com>',
    "- [ ] <script>alert(1)</script>\n- [x](javascript:alert(1)) y",
    "~~<script>~~alert(1)~~</script>~~ ==<svg onload=alert(1)>==",
    "---\ntitle: <script>alert(1)</script>\n---\n\nx",
    "<div markdown=1>\n# <script>alert(1)</script>\n</div>",
    "> <div\n> onclick=alert(1)\n> >x",
    "1. <iframe\n\n   src=javascript:alert(1)>",
    "<p>**x**</p>\n<script>\n\n*x*\n\n</script>",
    "[a]: javascript:alert(1)\n[A]\n\n[b]: <javascript:alert(1)> 'x'\n[b][]",
    "\\newpage<script>alert(1)</script>\n<!-- pagebreak --><script>alert(1)</script>",
]


SURROUNDINGS = [
    "{}",
    "text {} text",
    "> {}",
    "- a\n\n    {}",
    "| a |\n|---|\n| {} |",
    "<div>{}</div>",
    "*{}*",
    "x[^1]\n\n[^1]: {}",
]


@pytest.mark.parametrize("fragment", [*ELEMENTS, *SYNTAX])
def test_nothing_comes_through_that_is_not_listed(fragment: str) -> None:
    for around in SURROUNDINGS:
        assert_harmless(around.format(fragment), "notes")


@pytest.mark.parametrize("fragment", ELEMENTS)
def test_no_text_is_lost_behind_it(fragment: str) -> None:
    page = assert_harmless(f"before\n\nsee {fragment} here\n\nafter it")
    text = re.sub("<[^>]*>", "", page)
    assert "before" in text
    assert "here" in text
    assert "after it" in text


fragments = st.sampled_from(
    [*ELEMENTS, *SYNTAX, *(place.format(a, a) for place in PLACES[:6] for a in SCRIPT_ADDRESSES[:12])]
)
glue = st.sampled_from(
    [
        "",
        " ",
        "\n",
        "\n\n",
        "\n    ",
        "\n> ",
        "`",
        "```\n",
        "*",
        "<",
        '"',
        "'",
        "-->",
        "<!--",
        "</",
        "|",
        "[",
        "](",
        "{: ",
        "}",
    ]
)


@settings(deadline=None, max_examples=300)
@given(st.lists(fragments | glue | st.text(max_size=8), max_size=8).map("".join))
@example("<div><!-- x</div>\n\nafter")
def test_no_mixture_comes_through(text: str) -> None:
    assert_harmless(text)


@settings(deadline=None, max_examples=200)
@given(st.text(st.sampled_from("<>/=\"'`&;:#!-[](){}|*_~^\\ \n\tabcdimgsrcpon0\x00\x02\x03"), max_size=120))
def test_no_text_comes_through(text: str) -> None:
    assert_harmless(text)


@settings(deadline=None, max_examples=200)
@given(
    parts=st.lists(
        st.sampled_from(
            ["..", ".", "", "a", "corner:", "%2e%2e", "%2f", "%5c", "\\", "/", "//", "http:", "a.png", "?", "#", "%00"]
        )
    ),
    folder=st.sampled_from(["", "notes", "notes/2026"]),
)
def test_no_picture_lies_outside_of_the_corner(parts: list[str], folder: str) -> None:
    for address in ("/".join(parts), "".join(parts)):
        rendered = render(f"<img src='{address}.png'>\n\n![]({address}.png)", folder=folder)
        assert not list(problems(rendered.html))
        assert all(not {"..", ""} & set(path.split("/")) for path in rendered.images)

"""The hostile corpus beyond JSON: parts of a path, queries, headers, forms, multipart bodies; each by its name.

Values carry CANARY where a refusal could repeat it.
"""

from __future__ import annotations

import io
import json
import zipfile

from tests.support.wire import Header

CANARY = "hunter2quokka"
FORM = "application/x-www-form-urlencoded"
_BOUNDARY = "multipart/form-data; boundary=b"
_WORD = CANARY.encode()

# One part of a path, as it is written in the request line.
PARTS: dict[str, bytes] = {
    "parent": b"..",
    "escaped parent": b"%2e%2e",
    "escaped parent and slash": b"%2e%2e%2fetc%2fpasswd",
    "escaped twice": b"%252e%252e%252f",
    "backslash": b"..%5c..%5c" + _WORD,
    "absolute": b"%2fetc%2fpasswd",
    "the server's own root": b"%2fproc%2fself%2froot",
    "NUL": b"a%00b",
    "no UTF-8": b"%ff",
    "surrogate": b"%ed%a0%80",
    "half an escape": b"%4",
    "raw bytes": b"\xc3\xa9",
    "20 KB": b"a" * 20_000,
    "dot": b".",
    "empty": b"",
    "trailing dot": b"x.",
    "device name": b"CON",
    "leading dash": b"-rf",
    "newline": b"a%0d%0aSet-Cookie:%20a=b",
    "braces": b"%7b%7b7*7%7d%7d",
    "upper case id": b"0190AAAA-BBBB-CCCC-DDDD-EEEEFFFF0000",
    "id without dashes": b"0190aaaabbbbccccddddeeeeffff0000",
    "markup": b"%3Cscript%3E" + _WORD,
    "SQL": b"'%20OR%20'1'='1'--",
    "digits": b"9" * 400,
    "Arabic digits": b"%D9%A3",
    "right to left": b"%E2%80%AE" + _WORD,
}
# A value in a query, as it is written.
VALUES: dict[str, bytes] = {
    "minus one": b"-1",
    "zero": b"0",
    "10^9": b"1000000000",
    "2^63": b"9223372036854775808",
    "5000 digits": b"9" * 5000,
    "exponent": b"1e3",
    "fraction": b"1.5",
    "Arabic digit": b"%D9%A3",
    "empty": b"",
    "spaces": b"%20%20",
    "NUL": b"%00",
    "no UTF-8": b"%ff",
    "surrogate": b"%ed%a0%80",
    "newline": b"1%0d%0aX-Evil:1",
    "markup": b"%22%3E%3Cscript%3Ealert(1)" + _WORD,
    "SQL": b"1'%20OR%20'1'='1'--" + _WORD,
    "wildcards": b"%25_%25%5C",
    "pattern": b"(a%2B)%2B%24",
    "a position of the future": b"1.999999999999",
    "a position of another life": b"9.1",
    "a huge position": b"9999999999999999999.9999999999999999999",
    "not a number": b"NaN",
    "year 0": b"0000-00-00",
    "year 10000": b"10000-01-01T00:00:00Z",
    "the edge of time": b"9999-12-31T23:59:59-23:59",
}
QUERIES: dict[str, bytes] = {
    "unknown": b"x=1&__proto__=2&" + _WORD + b"=3",
    "nothing but signs": b"&&&=&=&;&=;",
    "no name": b"=" + _WORD,
    "brackets": b"limit[]=1&limit[$gt]=0",
    "half an escape": b"x=%",
    "question marks": b"???",
    "many": b"&".join(b"a%d=1" % n for n in range(2000)),
    "sort injection": b"sort=id;DROP%20TABLE%20x&order=desc,(select%201)",
    "method override": b"_method=DELETE&method=DELETE",
}
_PLENTY = b"; ".join(b"c%d=%s" % (n, _WORD) for n in range(200))
HEADERS: dict[str, list[Header]] = {
    "If-Match malformed": [("If-Match", b"1.1 " + _WORD)],
    "If-Match weak": [("If-Match", b'W/"1.1"')],
    "If-Match list": [("If-Match", b'"1.1", "1.2"')],
    "If-Match huge": [("If-Match", b'"1.' + b"9" * 300 + b'"')],
    "If-Match of another life": [("If-Match", b'"9.1"')],
    "key empty": [("Idempotency-Key", b"")],
    "key long": [("Idempotency-Key", b"k" * 20_000)],
    "key latin-1": [("Idempotency-Key", b"\xe9" + _WORD)],
    "key control": [("Idempotency-Key", b"a\tb\x01")],
    "Last-Event-ID text": [("Last-Event-ID", b"../" + _WORD)],
    "Last-Event-ID of the future": [("Last-Event-ID", b"1.999999999999")],
    "Last-Event-ID of another life": [("Last-Event-ID", b"9.1"), ("If-None-Match", b'"1.1", W/"x", *')],
    "Range": [("Range", b"bytes=" + b",".join(b"%d-%d" % (n, n) for n in range(3000)))],
    "forwarded": [
        ("X-Forwarded-Host", b"evil.example"), ("X-Forwarded-For", b"127.0.0.1, ::1, x"),
        ("X-Forwarded-Proto", b"javascript"), ("Forwarded", b"for=unknown;host=evil.example"),
        ("X-Original-URL", b"/admin"), ("X-HTTP-Method-Override", b"DELETE"),
    ],
    "credentials elsewhere": [("X-Api-Key", _WORD), ("Proxy-Authorization", b"Bearer " + _WORD)],
    "SQL as a token": [("Authorization", b"Bearer ' OR '1'='1")],
    "no token": [("Authorization", b"Bearer")],
    "another scheme": [("Authorization", b"Basic " + _WORD)],
    "two tokens": [("Authorization", b"Bearer " + _WORD), ("Authorization", b"Bearer b")],
    "200 cookies": [("Cookie", _PLENTY)],
    "broken cookies": [("Cookie", b'sitting="; join-=\xff; =; ;;, $Version=1; __Host-sitting=\x80')],
    "languages": [("Accept-Language", b"es;q=1e999,zh;q=nan,*;q=-1,en;q=0.0001;q=2," + b"x" * 5000)],
    "accept": [("Accept", b"text/html;q=abc,,;;application/json;q=NaN,*/*;q=" + b"9" * 400)],
    "accept nothing": [("Accept", b"image/png")],
    "no bytes of text": [("X-CSRF-Token", b"\xff\xfe"), ("Sec-Fetch-Site", b"\xff"), ("Origin", b"\xff")],
}  # fmt: skip
# Whole bodies that call themselves forms.
FORMS: dict[str, tuple[bytes, bytes]] = {
    "signs": (FORM.encode(), b"&&&=&=;"),
    "no name": (FORM.encode(), b"=" + _WORD),
    "NUL in a name": (FORM.encode(), b"a%00b=1"),
    "NUL in a value": (FORM.encode(), b"text=%00" + _WORD),
    "no UTF-8": (FORM.encode(), b"text=%ff" + _WORD),
    "surrogate": (FORM.encode(), b"text=%ed%a0%80"),
    "raw bytes": (FORM.encode(), b"text=\xff\xfe\x00"),
    "201 fields": (FORM.encode(), b"&".join(b"a%d=1" % n for n in range(201))),
    "semicolons": (FORM.encode(), b"a=1;b=2;text=" + _WORD),
    "a long name": (FORM.encode(), b"n" * 50_000 + b"=1"),
    "unknown field": (FORM.encode(), b"role=admin&is_admin=true&id=x&space=other&owner=" + _WORD),
    "20,000 fields": (FORM.encode(), b"a=1&" * 20_000),
    "over the limit": (FORM.encode(), b"text=" + b"a" * 300_000),
    "another charset": (FORM.encode() + b"; charset=utf-16", "text=x".encode("utf-16")),
    "no type": (b"", b"text=x"),
    "a strange type": (b"application/x-www-form-urlencoded, text/html;;=", b"text=x"),
    "text": (b"text/plain", b'{"text":"x"}'),
}
_FIELD = b'--b\r\nContent-Disposition: form-data; name="file"; filename="%s"\r\n\r\nx\r\n--b--\r\n'
MULTIPART: dict[str, tuple[bytes, bytes]] = {
    "traversal": (_BOUNDARY.encode(), _FIELD % b"../../etc/passwd"),
    "NUL name": (_BOUNDARY.encode(), _FIELD % b"a\x00.txt"),
    "absolute": (_BOUNDARY.encode(), _FIELD % b"/etc/passwd"),
    "no boundary": (b"multipart/form-data", _FIELD % b"a"),
    "preamble": (_BOUNDARY.encode(), b"p" * 60_000 + b"\r\n" + _FIELD % b"a"),
    "900 parts": (_BOUNDARY.encode(), _FIELD[:-7] % b"a" * 900),
    "many heads": (_BOUNDARY.encode(), b"--b\r\n" + b"X: y\r\n" * 9000 + b"\r\n1\r\n--b--\r\n"),
    "no end": (_BOUNDARY.encode(), b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\n1'),
    "empty": (_BOUNDARY.encode(), b""),
}
DOCUMENTS: dict[str, bytes] = {
    "null": b"null",
    "array": b"[]",
    "NaN": b'{"text":NaN,"content":1e400}',
    "surrogate": rb'{"text":"\ud800","content":"\u0000"}',
    "raw bytes": b'{"text":"\xff"}',
    "depth": b'{"text":' + b"[" * 1000 + b"]" * 1000 + b"}",
    "two keys": b'{"text":"a","text":"b"}',
    "no fields of ours": b'{"__proto__":{},"role":"admin","id":"x","space":"other","seq":1,"text":{"a":[]}}',
    "many fields": json.dumps({f"k{n}": n for n in range(3000)}).encode(),
    "cut": b'{"text":"' + _WORD,
}
# What one field of a form may be made to say.
FIELDS: dict[str, bytes] = {
    "NUL": b"%00" + _WORD,
    "no UTF-8": b"%ff",
    "digits": b"9" * 400,
    "minus": b"-1",
    "long": b"x" * 30_000,
    "brackets": b"%5B" * 400,
    "empty": b"",
    "separators": b"a%E2%80%A8%0d%0a%0a%1b%5b31m%C2%85%E2%80%AE",
    "markup": b"%3Cscript%3Ealert(1)%3C%2Fscript%3E%22+onmouseover%3D%22alert(1)",
}
# Text is data: it may be stored, and must then be read everywhere; or it is refused.
TEXTS: dict[str, str] = {
    "right to left": "\u202eevil",
    "zero width": "a\u200b\u200d\ufeffb",
    "combining marks": "e" + "\u0301" * 200,
    "NFC": "é",
    "NFD": "e\u0301",
    "homoglyph": "Аdа",
    "line separator": "a\u2028b\u2029c",
    "CRLF": "a\r\nb",
    "CR": "a\rb",
    "ANSI": "\x1b[31mred\x1b[0m",
    "control": "a\x7f\x85b",
    "noncharacter": "a\uffff\ufffe\U0010ffffb",
    "long word": "w" * 240,
    "script": "<script>alert(1)</script>",
    "attribute": '" onmouseover="alert(1)',
    "javascript link": "[x](javascript:alert(1))",
    "markdown image": "![x](https://evil.example/p.png)",
    "reference link": "[x][1]\n\n[1]: https://evil.example",
    "jinja": "{{7*7}}{% raw %}",
    "dollar": "${7*7}",
    "spreadsheet": '=HYPERLINK("https://evil.example")',
    "format": "%s%n%d",
    "stream": "x\n\ndata: {}\nevent: bye\n\n",
    "sql": "' OR '1'='1'; --",
}


def archives() -> dict[str, bytes]:
    """Files that pretend to be a bundle."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as bomb:
        bomb.writestr("../../etc/passwd", b"0" * 5_000_000)
        bomb.writestr("bundle.json", b"{}")
    return {
        "zip bomb": packed.getvalue(),
        "no zip": b"PK\x03\x04" + b"\x00" * 64,
        "cut zip": packed.getvalue()[:-30],
        "PNG": b"\x89PNG\r\n\x1a\n<script>alert(1)</script>",
        "nothing": b"",
    }

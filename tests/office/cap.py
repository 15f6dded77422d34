"""cap.py - is the console of one mind with the schema of CAP 1.2?  (TAP)

    cap.py CAP_JUDGE [SCHEMA.xsd]

A full alert is changed in every place: each element taken away, doubled, emptied, renamed, given a
child, an attribute or another value, moved before and behind its neighbour.  Of each variant the
console must say what xmllint says with cap.rng, and with another schema where one is named.
"""
import copy
import os
import subprocess
import sys
import tempfile
from xml.etree import ElementTree

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "e2e"))

from rig import tap_main  # noqa: E402

SPACE = "urn:oasis:names:tc:emergency:cap:1.2"
INSTANCE = "http://www.w3.org/2001/XMLSchema-instance"
SIGNATURE = "http://www.w3.org/2000/09/xmldsig#"
ElementTree.register_namespace("", SPACE)

FULL = """<alert xmlns="urn:oasis:names:tc:emergency:cap:1.2">
<identifier>VN-LS-2026-0117</identifier><sender>truc@example.vn</sender>
<sent>2026-11-22T14:05:00+07:00</sent><status>Actual</status><msgType>Update</msgType>
<source>Trực ban</source><scope>Restricted</scope><restriction>Lực lượng xung kích</restriction>
<addresses>xa@example.vn</addresses><code>VN</code><code>LS</code><note>Ghi chú</note>
<references>truc@example.vn,VN-LS-2026-0116,2026-11-22T13:05:00+07:00</references>
<incidents>bão 12</incidents>
<info><language>vi-VN</language><category>Met</category><category>Safety</category>
<event>Lũ quét</event><responseType>Evacuate</responseType><responseType>Avoid</responseType>
<urgency>Immediate</urgency><severity>Severe</severity><certainty>Likely</certainty>
<audience>Dân ven suối</audience>
<eventCode><valueName>x</valueName><value>1</value></eventCode>
<effective>2026-11-22T14:05:00+07:00</effective><onset>2026-11-22T15:00:00-00:00</onset>
<expires>2026-11-23T02:00:00+07:00</expires><senderName>Xã</senderName>
<headline>Lũ quét</headline><description>Suối lên 2 m</description>
<instruction>Rời khỏi ven suối</instruction><web>http://example.vn/</web>
<contact>112</contact><parameter><valueName>y</valueName><value>2</value></parameter>
<resource><resourceDesc>ảnh</resourceDesc><mimeType>image/png</mimeType><size>12</size>
<uri>http://example.vn/a.png</uri><derefUri>AA==</derefUri><digest>00</digest></resource>
<area><areaDesc>Cao Minh</areaDesc><polygon>22,105 22,106 23,106 22,105</polygon>
<circle>22,105 1</circle><geocode><valueName>z</valueName><value>3</value></geocode>
<altitude>300.5</altitude><ceiling>+900</ceiling></area></info>
<info><category>Other</category><event>x</event><urgency>Unknown</urgency>
<severity>Unknown</severity><certainty>Unknown</certainty></info>
</alert>"""
LEAST = """<alert xmlns="urn:oasis:names:tc:emergency:cap:1.2"><identifier>1</identifier>
<sender>a</sender><sent>2026-11-22T14:05:00+07:00</sent><status>Test</status>
<msgType>Ack</msgType><scope>Public</scope></alert>"""

# Values of each sort, good and bad; the schemas say which.
VALUES = {
    ("sent", "expires"): [
        "2026-11-22T14:05:00Z", "2026-11-22T14:05:00", "2026-11-22T14:05:00.5+07:00",
        " 2026-11-22T14:05:00+07:00 ", "2026-02-29T14:05:00+07:00", "2024-02-29T14:05:00+07:00",
        "2026-13-01T00:00:00+07:00", "2026-11-22T24:00:00+07:00", "2026-11-22T24:01:00+07:00",
        "2026-11-22T23:60:00+07:00", "2026-11-22T23:59:60+07:00", "2026-11-22T23:59:59+14:00",
        "2026-11-22T23:59:59+14:01", "2026-11-22T23:59:59-13:59", "2026-11-22T14:05:00+07:60",
        "2026-11-22T14:05:00,07:00", "2026-11-22t14:05:00+07:00", "02026-11-22T14:05:00+07:00",
        "2026-00-10T14:05:00+07:00", "2026-11-00T14:05:00+07:00", "2026-11-31T14:05:00+07:00",
        "yesterday"],
    ("status", "severity", "category", "responseType"): [
        "actual", " Actual", "Actual ", "Extreme", "None", "Met", "Fire", "Act", "Actual Test"],
    ("language",): ["en", "en-US", "vi-VN-x-abc", "abcdefghi", "-", "en_US", "e1", "en-1", " vi "],
    ("size",): ["-1", "+12", "1.5", "1e3", " 7 ", "0012", "+"],
    ("altitude",): ["-1.5", ".5", "5.", "1e3", "NaN", ".", " 8 ", "1.2.3", "--1"],
}


def variants():
    """(name, XML) of every change."""
    yield "full", FULL
    yield "least", LEAST
    count = len(list(ElementTree.fromstring(FULL).iter()))
    for i in range(1, count):
        yield from changes(i)
    yield from signatures()
    for text in ("", "<alert/>", FULL.replace("cap:1.2", "cap:1.1"), FULL[:-1], "x" + FULL,
                 FULL.replace("<info>", "<info>words", 1), FULL.replace("<note>", "words<note>", 1),
                 FULL.replace("<area>", "<area xmlns=''>", 1),
                 FULL.replace("<note>", "<note><![CDATA[<&]]>", 1), "<!-- -->" + FULL,
                 FULL.replace("<note>", "<note><!-- a --><?b c?>", 1),
                 FULL.replace("<alert ", "<alert lang='vi' ", 1),
                 FULL.replace("<alert ", f"<alert xmlns:s='{INSTANCE}' s:schemaLocation='a' ", 1)):
        yield "text", text


def changes(i):
    def fresh():
        root = ElementTree.fromstring(FULL)
        at = list(root.iter())[i]
        parent = next(p for p in root.iter() if at in list(p))
        return root, at, parent, list(parent).index(at)

    root, at, parent, place = fresh()
    name = at.tag.split("}")[1]

    def made(what):
        return f"{name}: {what}", ElementTree.tostring(root, encoding="unicode")

    parent.remove(at)
    yield made("taken away")
    root, at, parent, place = fresh()
    parent.insert(place, copy.deepcopy(at))
    yield made("twice")
    root, at, parent, place = fresh()
    at.tag = "{%s}%sx" % (SPACE, name)
    yield made("renamed")
    root, at, parent, place = fresh()
    at.tag = name
    yield made("of no namespace")
    root, at, parent, place = fresh()
    at.set("kind", "x")
    yield made("an attribute")
    root, at, parent, place = fresh()
    ElementTree.SubElement(at, "{%s}value" % SPACE).text = "x"
    yield made("a child")
    root, at, parent, place = fresh()
    for child in list(at):
        at.remove(child)
    at.text = ""
    yield made("empty")
    if place + 1 < len(parent):
        root, at, parent, place = fresh()
        parent.remove(at)
        parent.insert(place + 1, at)
        yield made("behind its neighbour")
    for names, values in VALUES.items():
        for value in values if name in names else ():
            root, at, parent, place = fresh()
            at.text = value
            yield made(repr(value))


def signatures():
    for where in (0, 3, None):
        root = ElementTree.fromstring(FULL)
        signature = ElementTree.Element("{%s}Signature" % SIGNATURE, {"Id": "s"})
        ElementTree.SubElement(signature, "{%s}SignedInfo" % SIGNATURE).text = "x"
        ElementTree.SubElement(signature, "other")
        root.insert(len(root) if where is None else where, signature)
        yield f"signature at {where}", ElementTree.tostring(root, encoding="unicode")


def by_xmllint(schema, paths):
    option = "--schema" if schema.endswith(".xsd") else "--relaxng"
    said = subprocess.run(["xmllint", "--noout", "--nonet", option, schema, *paths],
                          capture_output=True, encoding="utf-8", timeout=120, check=False).stderr
    return {path: f"{path} validates\n" in said for path in paths}


def by_console(judge, paths):
    said = subprocess.run([judge, *paths], capture_output=True, encoding="utf-8", timeout=120,
                          check=True).stdout.splitlines()
    return {path: line for path, line in zip(paths, said)}


# What the standard says in sentences and no schema can: the console holds to it as well.
def breaks_a_sentence(xml):
    root = ElementTree.fromstring(xml)
    for name in ("identifier", "sender"):
        text = root.findtext("{%s}%s" % (SPACE, name), "")
        if not text.strip() or any(c in text.strip() for c in " ,<&"):
            return True
    scope = root.findtext("{%s}scope" % SPACE)
    return scope == "Private" and not root.findtext("{%s}addresses" % SPACE)


def of_one_mind(tap):
    judge, schemas = sys.argv[1], [os.path.join(HERE, "cap.rng")] + sys.argv[2:]
    with tempfile.TemporaryDirectory(prefix="keng-cap-") as directory:
        names, paths = {}, []
        for i, (name, xml) in enumerate(variants()):
            paths.append(os.path.join(directory, f"{i}.xml"))
            names[paths[-1]] = name
            with open(paths[-1], "w", encoding="utf-8") as file:
                file.write(xml)
        console = by_console(judge, paths)
        for schema in schemas:
            verdicts = by_xmllint(schema, paths)
            wrong = []
            for path in paths:
                good = console[path].startswith("good")
                if verdicts[path] and not good:
                    with open(path, encoding="utf-8") as file:
                        if breaks_a_sentence(file.read()):
                            continue
                if verdicts[path] != good:
                    wrong.append(f"{names[path]}: the schema says {verdicts[path]}, the console "
                                 + console[path].split("/")[-1])
            count = sum(verdicts.values())
            tap.ok(not wrong and 0 < count < len(paths),
                   f"{len(paths)} alerts, {count} of them good: the console judges as "
                   f"{os.path.basename(schema)} does", "\n".join(wrong))


if __name__ == "__main__":
    sys.exit(tap_main(of_one_mind))

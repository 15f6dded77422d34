"""sheets.py - spreadsheets as LibreOffice reads them.

A file goes through LibreOffice without a screen and comes out as flat OpenDocument XML, where each
cell says what it was taken for: ("float", 2.5), ("date", "2026-11-22T10:00:00"), ("string", "a");
a formula is ("formula", "of:=1+1").
"""
import os
import subprocess
from xml.etree import ElementTree

TABLE = "{urn:oasis:names:tc:opendocument:xmlns:table:1.0}"
OFFICE = "{urn:oasis:names:tc:opendocument:xmlns:office:1.0}"
TEXT = "{urn:oasis:names:tc:opendocument:xmlns:text:1.0}"
UTF8, ENGLISH, VIETNAMESE = 76, 1033, 1066


class Office:
    def __init__(self, directory):
        self.directory = directory

    def convert(self, path, to, options=()):
        """The path of what LibreOffice made of a file."""
        out = os.path.join(self.directory, "converted")
        done = subprocess.run(
            ["soffice", "--headless", f"-env:UserInstallation=file://{self.directory}/profile",
             *options, "--convert-to", to, "--outdir", out, path],
            capture_output=True, encoding="utf-8", timeout=120, check=False)
        name = os.path.splitext(os.path.basename(path))[0] + "." + to.split(":")[0]
        made = os.path.join(out, name)
        if done.returncode != 0 or not os.path.exists(made):
            raise ValueError(f"LibreOffice: {path}: {done.stdout} {done.stderr}")
        return made

    def open(self, path, options=()):
        """{sheet: rows of cells}, empty cells None, nothing at the ends."""
        made = self.convert(path, "fods", options)
        tables = ElementTree.parse(made).getroot().iter(TABLE + "table")
        sheets = {table.get(TABLE + "name"): rows_of(table) for table in tables}
        os.remove(made)
        return sheets

    def open_csv(self, path, language):
        """As a person opens it by a double click: what looks like a number, a date or a formula is
        taken for one, by the habits of that language."""
        options = f"--infilter=CSV:44,34,{UTF8},1,,{language},false,true,false,false,false,-1,true"
        return next(iter(self.open(path, [options]).values()))


def cell_of(cell):
    if cell.get(TABLE + "formula"):
        return ("formula", cell.get(TABLE + "formula"))
    kind = cell.get(OFFICE + "value-type")
    if kind is None:
        return None
    if kind == "date":
        return (kind, cell.get(OFFICE + "date-value"))
    if kind == "string":
        return (kind, "\n".join("".join(p.itertext()) for p in cell.findall(TEXT + "p")))
    return (kind, float(cell.get(OFFICE + "value")))


def rows_of(table):
    rows = []
    for row in table.iter(TABLE + "table-row"):
        cells = []
        for cell in row:
            cells += [cell_of(cell)] * int(cell.get(TABLE + "number-columns-repeated", 1))
        while cells and cells[-1] is None:
            cells.pop()
        rows += [cells] * (int(row.get(TABLE + "number-rows-repeated", 1)) if cells else 1)
    return rows

"""Writes the bundle of a small app, whose function is a shell script: bundle.py FILE [ID VERSION [SCRIPT]]"""
import io
import os
import sys
import zipfile

APP, VERSION = (sys.argv[2:4] or ["com.example.hello", "1.0.0"])
SCRIPT = sys.argv[4] if len(sys.argv) > 4 else os.path.join(os.path.dirname(__file__), "bootstrap.sh")
MANIFEST = """{
    "app_id": "%s", "version": "%s", "display_name": "Hello", "homepage_url": "https://example.com",
    "aws_lambda": {"functions": [{"path": "/", "name": "main", "handler": "bootstrap", "runtime": "provided.al2023"}]}
}""" % (APP, VERSION)


def add(archive, name, text, mode):
    entry = zipfile.ZipInfo(name)
    entry.external_attr = (0o100000 | mode) << 16
    archive.writestr(entry, text)


package = io.BytesIO()
with zipfile.ZipFile(package, "w") as archive:
    with open(SCRIPT) as script:
        add(archive, "bootstrap", script.read(), 0o755)
with zipfile.ZipFile(sys.argv[1], "w") as archive:
    add(archive, "manifest.json", MANIFEST, 0o644)
    add(archive, "static/hello.txt", "Hello\n", 0o644)
    add(archive, "main.zip", package.getvalue(), 0o644)

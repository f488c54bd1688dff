"""Writes the bundle of a small app, whose function is a shell script, to the file that its argument names."""
import io
import os
import sys
import zipfile

MANIFEST = """{
    "app_id": "com.example.hello", "version": "1.0.0", "display_name": "Hello", "homepage_url": "https://example.com",
    "aws_lambda": {"functions": [{"path": "/", "name": "main", "handler": "bootstrap", "runtime": "provided.al2023"}]}
}"""


def add(archive, name, text, mode):
    entry = zipfile.ZipInfo(name)
    entry.external_attr = (0o100000 | mode) << 16
    archive.writestr(entry, text)


package = io.BytesIO()
with zipfile.ZipFile(package, "w") as archive:
    with open(os.path.join(os.path.dirname(__file__), "bootstrap.sh")) as script:
        add(archive, "bootstrap", script.read(), 0o755)
with zipfile.ZipFile(sys.argv[1], "w") as archive:
    add(archive, "manifest.json", MANIFEST, 0o644)
    add(archive, "static/hello.txt", "Hello\n", 0o644)
    add(archive, "main.zip", package.getvalue(), 0o644)

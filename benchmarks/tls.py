"""What TLS takes: OpenSSL for the load generator to be linked with, and a certificate for the servers."""

import shutil
import subprocess
from functools import cache
from pathlib import Path

FLAGS = ("-DTLS", "-lssl", "-lcrypto")
"""What compiles the load generator with TLS."""

PROBE = "#include <openssl/ssl.h>\nint main(void) { return !TLS_client_method(); }\n"


@cache
def available(compiler: str) -> bool:
    """Whether OpenSSL is here: its headers, its libraries, and its command."""
    if shutil.which("openssl") is None:
        return False
    command = [compiler, "-x", "c", "-", "-o", "/dev/null", *FLAGS]
    return subprocess.run(command, input=PROBE, text=True, capture_output=True, check=False).returncode == 0


def certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate for P-256 that its own key has signed, and the key: as files, made where they are not there."""
    cert, key = folder / "cert.pem", folder / "key.pem"
    if not (cert.exists() and key.exists()):
        folder.mkdir(parents=True, exist_ok=True)
        kind = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
        named = ("-subj", "/CN=127.0.0.1", "-days", "3650", "-keyout", key, "-out", cert)
        subprocess.run(["openssl", "req", "-x509", *kind, *named], capture_output=True, check=True)
    return cert, key
